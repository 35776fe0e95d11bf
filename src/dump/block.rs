//! Sixteen bytes of a name at a time: where it ends, and whether C could take it as an identifier.

use wide::i8x16;

/// What sixteen bytes of a name hold, a bit for each byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Judged {
    /// NUL bytes.
    pub nul: u32,
    /// Bytes that may not stand in a C identifier, NUL among them.
    pub odd: u32,
}

impl Judged {
    /// Bytes before the first NUL.
    #[inline]
    pub fn len(self) -> usize {
        (self.nul | 1 << 16).trailing_zeros() as usize
    }

    /// Whether the first `len` bytes may all stand in a C identifier.
    #[inline]
    pub fn is_fine(self, len: usize) -> bool {
        self.odd & !(u32::MAX << len) == 0
    }
}

/// A block's first n bytes.
pub(super) const KEEP: [u128; 17] = {
    let mut masks = [0; 17];
    let mut n = 1;
    while n < 17 {
        masks[n] = u128::MAX >> (8 * (16 - n));
        n += 1;
    }
    masks
};

/// Judges a block.
#[inline]
pub(super) fn judge(block: u128) -> Judged {
    let v = i8x16::new(block.to_le_bytes().map(|b| b as i8));
    let all = |c: u8| i8x16::splat(c as i8);
    // Signed comparisons: bytes from 0x80 on are below all bounds, so odd.
    let within =
        |v: i8x16, least: u8, most: u8| v.simd_gt(all(least - 1)) & v.simd_lt(all(most + 1));
    let alpha = within(v | all(0x20), b'a', b'z');
    let digit = within(v, b'0', b'9');
    let fine = alpha | digit | v.simd_eq(all(b'_'));
    Judged {
        nul: v.simd_eq(all(0)).to_bitmask(),
        odd: !fine.to_bitmask() & 0xffff,
    }
}

/// Orders two NUL-terminated names as their bytes do.
pub(super) fn compare_names(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    let mut at = 0;
    while let (Some(x), Some(y)) = (at_block(a, at), at_block(b, at)) {
        let (x_len, y_len) = (judge(x).len(), judge(y).len());
        // What is behind a NUL is cut off, so that numbers order as the bytes do.
        let (x, y) = (x & KEEP[x_len], y & KEEP[y_len]);
        if x != y || x_len < 16 {
            return x.swap_bytes().cmp(&y.swap_bytes());
        }
        at += 16;
    }
    let rest = |name: &[u8]| {
        let len = name[at..]
            .iter()
            .position(|c| *c == 0)
            .unwrap_or(name.len() - at);
        at..at + len
    };
    a[rest(a)].cmp(&b[rest(b)])
}

/// The sixteen bytes at `at`, if there are as many.
#[inline]
pub(super) fn at_block(bytes: &[u8], at: usize) -> Option<u128> {
    let block = bytes.get(at..)?.first_chunk::<16>()?;
    Some(u128::from_le_bytes(*block))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge_each(block: u128) -> Judged {
        let mut judged = Judged { nul: 0, odd: 0 };
        for (i, c) in block.to_le_bytes().into_iter().enumerate() {
            judged.nul |= u32::from(c == 0) << i;
            judged.odd |= u32::from(!(c.is_ascii_alphanumeric() || c == b'_')) << i;
        }
        judged
    }

    #[test]
    fn a_block_is_judged_as_its_bytes_are() {
        for b in 0..=255u8 {
            for place in 0..16 {
                let mut block = *b"aZ09_zA_abcdefgh";
                block[place] = b;
                let block = u128::from_le_bytes(block);
                assert_eq!(judge(block), judge_each(block), "{b:#x} at {place}");
            }
        }
    }

    #[test]
    fn names_compare_as_byte_strings() {
        let names: Vec<String> = (0..40)
            .map(|n| "abcdefghijklmnopqrstuvwxyz0123456789"[..n % 36].to_string())
            .flat_map(|s| {
                [
                    s.clone(),
                    format!("{s}Z"),
                    format!("{s}zz"),
                    format!("B{s}"),
                ]
            })
            .collect();
        for x in &names {
            for y in &names {
                for behind in [&b""[..], b"behind it lies something"] {
                    let (a, b) = (
                        [x.as_bytes(), b"\0", behind].concat(),
                        [y.as_bytes(), b"\0", behind].concat(),
                    );
                    assert_eq!(compare_names(&a, &b), x.cmp(y), "{x} {y}");
                }
            }
        }
    }
}
