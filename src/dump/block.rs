//! Sixteen bytes of a name at a time: where it ends, and whether C could take it as an identifier.

use std::cmp::Ordering;
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
#[inline(always)]
pub(super) fn judge(block: u128) -> Judged {
    let v = i8x16::new(block.to_le_bytes().map(|b| b as i8));
    let all = |c: u8| i8x16::splat(c as i8);
    // Moved up so that a range ends at the largest signed byte: one comparison for each.
    let range = |v: i8x16, least: u8, most: u8| {
        (v + all(127 - most)).simd_gt(all(127 - (most - least) - 1))
    };
    let fine = range(v | all(0x20), b'a', b'z') | range(v, b'0', b'9') | v.simd_eq(all(b'_'));
    Judged {
        nul: v.simd_eq(all(0)).to_bitmask(),
        odd: !fine.to_bitmask() & 0xffff,
    }
}

/// Orders two NUL-terminated names as their bytes do.
pub(super) fn compare_names(a: &[u8], b: &[u8]) -> Ordering {
    let (mut a, mut b) = (a, b);
    while let (Some(x), Some(y)) = (a.first_chunk::<16>(), b.first_chunk::<16>()) {
        let (x, y) = (u128::from_le_bytes(*x), u128::from_le_bytes(*y));
        let nul = judge(x).nul;
        if x != y {
            let differs = (x ^ y).trailing_zeros() & !7;
            // Both can have ended before that.
            return match nul.trailing_zeros() * 8 < differs {
                true => Ordering::Equal,
                false => ((x >> differs) as u8).cmp(&((y >> differs) as u8)),
            };
        }
        if nul != 0 {
            return Ordering::Equal;
        }
        (a, b) = (&a[16..], &b[16..]);
    }
    let name = |tail: &'_ [u8]| tail.iter().position(|c| *c == 0).unwrap_or(tail.len());
    a[..name(a)].cmp(&b[..name(b)])
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
