//! Which of many names are there more than once, as good as for nothing.

/// Hashes that were met, and those that were met again; a few others may be taken for either.
#[derive(Clone, Default)]
pub(super) struct Met {
    /// Two bits for each of the hashes' uppermost bits: met, met again.
    words: Vec<u64>,
    shift: u32,
}

impl Met {
    /// For so many hashes.
    pub fn new(hashes: usize) -> Met {
        // 16 places for each or more, so that few share one with another.
        let words = (hashes / 2).next_power_of_two().clamp(2, 1 << 26);
        Met {
            words: vec![0; words],
            shift: 27 - words.trailing_zeros(),
        }
    }

    /// For how many hashes there is room.
    pub fn room(&self) -> usize {
        2 * self.words.len()
    }

    /// Where the bits of a hash are: in which word, how far up.
    #[inline(always)]
    fn place(&self, hash: u32) -> (usize, u32) {
        let place = hash >> self.shift;
        ((place >> 5) as usize, (place & 31) * 2)
    }

    #[inline(always)]
    pub fn note(&mut self, hash: u32) {
        let (word, up) = self.place(hash);
        let word = &mut self.words[word];
        *word |= (1 | (*word >> up & 1) << 1) << up;
    }

    /// Whether it was noted.
    #[inline(always)]
    pub fn once(&self, hash: u32) -> bool {
        let (word, up) = self.place(hash);
        self.words[word] >> up & 1 != 0
    }

    /// Whether it was noted more than once.
    #[inline(always)]
    pub fn again(&self, hash: u32) -> bool {
        let (word, up) = self.place(hash);
        self.words[word] >> up & 2 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_met_is_known_and_little_else() {
        for count in [0usize, 1, 7, 1000, 30_000] {
            let hash = |n: usize| ((n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32;
            let mut met = Met::new(count);
            (0..count).for_each(|n| met.note(hash(n)));
            (0..count).step_by(3).for_each(|n| met.note(hash(n)));
            let again = |n: &usize| met.again(hash(*n));
            assert!((0..count).all(|n| met.once(hash(n))));
            assert!((0..count).step_by(3).all(|n| again(&n)));
            let others = (0..count).filter(|n| n % 3 != 0).filter(again).count();
            assert!(others <= count / 10, "{others} of {count}");
            let strangers = (count..2 * count).filter(|n| met.once(hash(*n))).count();
            assert!(strangers <= count / 10, "{strangers} of {count}");
        }
    }
}
