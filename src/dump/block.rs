//! A name's bytes by blocks: where it ends, and whether C could take it as an identifier.

use std::cmp::Ordering;
use wide::i8x16;

/// Bytes of a name that are looked at at once: few names are longer.
pub(super) const BLOCK: usize = 32;

/// What the first bytes of a name are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Judged {
    /// How many of the bytes are the name's: all, or those before the NUL.
    pub len: usize,
    /// All of them may stand in a C identifier.
    pub fine: bool,
    /// The first eight of them, little-endian, padded with zeros.
    pub first: u64,
    /// All of them, folded.
    pub fold: u64,
}

/// Judges a block.
#[inline(always)]
pub(super) fn judge(block: &[u8; BLOCK]) -> Judged {
    let (low, _) = halves(block);
    // Most names end in the first half, and at the first byte that is none of an identifier's.
    match odd(low) {
        0 => judge_long(block),
        odd => {
            let len = odd.trailing_zeros() as usize;
            match block[len] {
                0 => {
                    let (keep, _) = halves(&KEEP[len]);
                    let low = low & keep;
                    Judged {
                        len,
                        fine: true,
                        first: low as u64,
                        fold: fold([low as u64, (low >> 64) as u64, 0, 0]),
                    }
                }
                _ => judge_odd(block),
            }
        }
    }
}

/// Judges a block, as [`judge`] does: quicker where the name ends in the second half as often as in the first, and
/// nobody can guess in which.
#[inline(always)]
pub(super) fn judge_whole(block: &[u8; BLOCK]) -> Judged {
    let (low, high) = halves(block);
    let odd = odd(low) | odd(high) << 16;
    let len = odd.trailing_zeros() as usize;
    match block.get(len) {
        Some(0) | None => known(block, len, true),
        Some(_) => judge_odd(block),
    }
}

/// Judges a block of which the first half may stand in an identifier.
#[inline(always)]
fn judge_long(block: &[u8; BLOCK]) -> Judged {
    let (_, high) = halves(block);
    let len = 16 + (odd(high) | 1 << 16).trailing_zeros() as usize;
    match block.get(len) {
        Some(0) | None => known(block, len, true),
        Some(_) => judge_odd(block),
    }
}

/// Judges a block that holds something that may not stand in an identifier.
#[cold]
#[inline(never)]
fn judge_odd(block: &[u8; BLOCK]) -> Judged {
    let len = block.iter().position(|b| *b == 0).unwrap_or(BLOCK);
    known(block, len, false)
}

#[inline(always)]
fn known(block: &[u8; BLOCK], len: usize, fine: bool) -> Judged {
    let ((low, high), (keep_low, keep_high)) = (halves(block), halves(&KEEP[len]));
    let (low, high) = (low & keep_low, high & keep_high);
    let [first, second] = [low as u64, (low >> 64) as u64];
    Judged {
        len,
        fine,
        first,
        fold: fold([first, second, high as u64, (high >> 64) as u64]),
    }
}

/// A number that depends on all the bytes of a block.
#[inline(always)]
pub(super) const fn fold(words: [u64; 4]) -> u64 {
    let [a, b, c, d] = words;
    a ^ b.rotate_left(29) ^ c.rotate_left(43) ^ d.rotate_left(15)
}

#[inline(always)]
fn halves(block: &[u8; BLOCK]) -> (u128, u128) {
    let half = |from: usize| {
        let mut half = [0; 16];
        half.copy_from_slice(&block[from..from + 16]);
        u128::from_le_bytes(half)
    };
    (half(0), half(16))
}

/// For each length, ones for the bytes to keep.
const KEEP: [[u8; BLOCK]; BLOCK + 1] = {
    let mut masks = [[0; BLOCK]; BLOCK + 1];
    let mut len = 1;
    while len <= BLOCK {
        masks[len] = masks[len - 1];
        masks[len][len - 1] = 0xff;
        len += 1;
    }
    masks
};

/// A bit for each byte that may not stand in a C identifier, NUL among them.
#[inline(always)]
fn odd(half: u128) -> u32 {
    let v = i8x16::new(half.to_le_bytes().map(|b| b as i8));
    let all = |c: u8| i8x16::splat(c as i8);
    // Moved up so that a range ends at the largest signed byte: one comparison for each.
    let range = |v: i8x16, least: u8, most: u8| {
        (v + all(127 - most)).simd_gt(all(127 - (most - least) - 1))
    };
    let fine = range(v | all(0x20), b'a', b'z') | range(v, b'0', b'9') | v.simd_eq(all(b'_'));
    !fine.to_bitmask() & 0xffff
}

/// A bit for each NUL.
#[inline(always)]
fn nul(half: u128) -> u32 {
    let v = i8x16::new(half.to_le_bytes().map(|b| b as i8));
    v.simd_eq(i8x16::splat(0)).to_bitmask()
}

/// Orders two NUL-terminated names as their bytes do.
pub(super) fn compare_names(a: &[u8], b: &[u8]) -> Ordering {
    let (mut a, mut b) = (a, b);
    while let (Some(x), Some(y)) = (a.first_chunk::<16>(), b.first_chunk::<16>()) {
        let (x, y) = (u128::from_le_bytes(*x), u128::from_le_bytes(*y));
        let nul = nul(x);
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

    #[test]
    fn a_block_is_judged_as_its_bytes_are() {
        for b in 0..=255u8 {
            for place in 0..BLOCK {
                for nul in [place + 1, 20, BLOCK] {
                    let mut block = *b"aZ09_zA_abcdefghIJKLMNOPqr_stuvw";
                    block[place] = b;
                    if let Some(nul) = block.get_mut(nul) {
                        *nul = 0;
                    }
                    let name = block.split(|b| *b == 0).next().unwrap_or_default();
                    let fine = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
                    let (got, whole) = (judge(&block), judge_whole(&block));
                    let want = (name.len(), name.iter().all(fine));
                    assert_eq!((got.len, got.fine), want, "{b:#x} at {place}");
                    assert_eq!(got, whole, "{b:#x} at {place}");
                }
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
