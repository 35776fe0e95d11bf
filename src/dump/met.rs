//! Which of many names are there more than once, as good as for nothing.

/// Hashes in the order in which they were noted; for each it is known at once whether it may be there once more, which is
/// said of a few others too.
#[derive(Clone, Default)]
pub(super) struct Met {
    hashes: Vec<u32>,
    /// Two bits for each of the hashes' uppermost bits: met, met again.
    bits: Vec<u64>,
    shift: u32,
}

impl Met {
    /// Has room for about so many more. None is noted before this was called.
    pub fn reserve(&mut self, more: usize) {
        self.hashes.reserve(more);
        let all = self.hashes.len() + more;
        // 16 places or more for each, so that few share one with another.
        let words = (all / 2).next_power_of_two().clamp(2, 1 << 26);
        if words > self.bits.len() {
            self.bits = vec![0; words];
            self.shift = 27 - words.trailing_zeros();
            let hashes = std::mem::take(&mut self.hashes);
            hashes.iter().for_each(|hash| self.set(*hash));
            self.hashes = hashes;
        }
    }

    #[inline(always)]
    pub fn note(&mut self, hash: u32) {
        self.set(hash);
        self.hashes.push(hash);
    }

    #[inline(always)]
    fn set(&mut self, hash: u32) {
        let (word, up) = self.place(hash);
        let word = &mut self.bits[word];
        *word |= (1 | (*word >> up & 1) << 1) << up;
    }

    /// Where the bits of a hash are: in which word, how far up.
    #[inline(always)]
    fn place(&self, hash: u32) -> (usize, u32) {
        let place = hash >> self.shift;
        ((place >> 5) as usize, (place & 31) * 2)
    }

    /// All that were noted.
    pub fn hashes(&self) -> &[u32] {
        &self.hashes
    }

    /// The numbers of those that may have been noted more than once.
    pub fn repeated(&self) -> impl Iterator<Item = usize> {
        let again = |hash: u32| {
            let (word, up) = self.place(hash);
            self.bits[word] >> up & 2 != 0
        };
        let numbered = self.hashes.iter().enumerate();
        numbered
            .filter(move |(_, hash)| again(**hash))
            .map(|(n, _)| n)
    }

    /// Whether this one may have been noted.
    pub fn may_hold(&self, hash: u32) -> bool {
        !self.bits.is_empty() && {
            let (word, up) = self.place(hash);
            self.bits[word] >> up & 1 != 0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn what_was_met_is_known_and_little_else() {
        for count in [0usize, 1, 7, 1000, 30_000] {
            let hash = |n: usize| ((n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32;
            let mut met = Met::default();
            met.reserve(count / 9);
            (0..count / 2).for_each(|n| met.note(hash(n)));
            met.reserve(count);
            (count / 2..count).for_each(|n| met.note(hash(n)));
            (0..count).step_by(3).for_each(|n| met.note(hash(n)));
            assert!((0..count).all(|n| met.may_hold(hash(n))));
            let repeated: HashSet<usize> = met.repeated().collect();
            assert!((0..count).step_by(3).all(|n| repeated.contains(&n)));
            assert!((count..met.hashes().len()).all(|n| repeated.contains(&n)));
            let others = repeated.iter().filter(|n| **n < count && *n % 3 != 0);
            assert!(others.count() <= count / 10, "{count}");
            let strangers = (count..2 * count).filter(|n| met.may_hold(hash(*n)));
            assert!(strangers.count() <= count / 10, "{count}");
        }
    }
}
