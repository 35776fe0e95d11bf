//! The output buffer. Names are copied eight bytes at a time and judged as they are copied.

use super::names;

/// The text being written.
pub(super) struct Text {
    pub buf: Vec<u8>,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of each byte of `word` (all below 0x80) that is at least `n`.
#[inline]
const fn at_least(word: u64, n: u8) -> u64 {
    (word | HIGH).wrapping_sub(ONES.wrapping_mul(n as u64)) & HIGH
}

/// The high bit of each byte that may not stand in a C identifier.
#[inline]
const fn not_identifier(word: u64) -> u64 {
    let ascii = word & !HIGH;
    let lower = ascii | ONES.wrapping_mul(0x20);
    let alpha = at_least(lower, b'a') & !at_least(lower, b'z' + 1);
    let digit = at_least(ascii, b'0') & !at_least(ascii, b'9' + 1);
    let underscore = !at_least(ascii ^ ONES.wrapping_mul(b'_' as u64), 1);
    (!(alpha | digit | underscore) | word) & HIGH
}

/// How a name, read to its NUL, can be written.
#[derive(Clone, Copy)]
pub(super) struct Scan {
    /// Bytes before the NUL.
    pub len: usize,
    /// A hash of those bytes.
    pub hash: u64,
    /// A C identifier, and no word that a compiler keeps for itself.
    pub plain: bool,
}

/// Reads the name at the start of `tail`, which goes on beyond its NUL.
#[inline]
pub(super) fn scan(tail: &[u8]) -> Scan {
    let mut hash = 0u64;
    let mut bad = 0u64;
    let mut at = 0;
    let mut first = 0u64;
    loop {
        let word = match tail.get(at..at + 8) {
            Some(bytes) => u64::from_le_bytes(bytes.try_into().unwrap_or_default()),
            None => {
                let mut last = [0; 8];
                let rest = tail.get(at..).unwrap_or_default();
                last[..rest.len()].copy_from_slice(rest);
                u64::from_le_bytes(last)
            }
        };
        // The lowest set high bit marks the first NUL (bytes behind it may be marked wrongly).
        let nul = word.wrapping_sub(ONES) & !word & HIGH;
        if nul == 0 {
            if at == 0 {
                first = word;
            }
            bad |= not_identifier(word);
            hash = mix(hash ^ word);
            at += 8;
            continue;
        }
        let bytes = nul.trailing_zeros() / 8;
        let keep = (1u64 << (bytes * 8)).wrapping_sub(1);
        let word = word & keep;
        if at == 0 {
            first = word;
        }
        bad |= not_identifier(word) & keep;
        let len = at + bytes as usize;
        hash = mix(hash ^ word ^ (len as u64) << 56);
        let plain = bad == 0
            && !(first as u8).is_ascii_digit()
            && len > 0
            && !(names::may_be_reserved(first) && names::is_reserved(&tail[..len], first));
        return Scan { len, hash, plain };
    }
}

#[inline]
fn mix(x: u64) -> u64 {
    let x = x.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^ x >> 29
}

impl Text {
    pub fn new(capacity: usize) -> Text {
        Text {
            buf: Vec::with_capacity(capacity),
        }
    }

    #[inline]
    pub fn str(&mut self, text: &str) {
        self.buf.extend_from_slice(text.as_bytes());
    }

    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// Copies the first `len` bytes of `tail`, by words where it is long enough for that.
    #[inline]
    pub fn copy(&mut self, tail: &[u8], len: usize) {
        if len <= 16
            && let Some(block) = tail.first_chunk::<16>()
        {
            self.buf.extend_from_slice(block);
            self.buf.truncate(self.buf.len() - (16 - len));
            return;
        }
        self.buf.extend_from_slice(&tail[..len]);
    }

    #[inline]
    pub fn byte(&mut self, byte: u8) {
        self.buf.push(byte);
    }

    #[inline]
    pub fn tabs(&mut self, n: usize) {
        for _ in 0..n {
            self.buf.push(b'\t');
        }
    }

    pub fn number(&mut self, mut n: u64) {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (n % 10) as u8;
            n /= 10;
            if n == 0 {
                break;
            }
        }
        self.buf.extend_from_slice(&digits[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scan_knows_identifiers_of_every_length() {
        for len in 1..40 {
            let mut name: Vec<u8> = (0..len).map(|i| b"aZ_9q"[i % 5]).collect();
            name.push(0);
            name.extend_from_slice(b"!!behind");
            let got = scan(&name);
            assert_eq!((got.len, got.plain), (len, true), "{len}");
            for bad in [
                b' ', b'*', b'/', b'@', b'[', b'`', b'{', b':', b'\n', 0x7f, 0x80, 0xdf, 0xff,
            ] {
                for at in 0..len {
                    let mut broken = name.clone();
                    broken[at] = bad;
                    let got = scan(&broken);
                    assert_eq!((got.len, got.plain), (len, false), "{len} {at} {bad:x}");
                }
            }
        }
        assert!(!scan(b"9lives\0").plain);
        assert!(!scan(b"\0").plain);
        assert_eq!(scan(b"\0").len, 0);
        assert!(scan(b"a\0").plain);
    }

    #[test]
    fn not_identifier_agrees_with_the_plain_rule_on_every_byte() {
        for b in 0..=255u8 {
            let ok = b.is_ascii_alphanumeric() || b == b'_';
            for shift in 0..8 {
                let word = (u64::from_le_bytes([b'a'; 8]) & !(0xff << (shift * 8)))
                    | u64::from(b) << (shift * 8);
                assert_eq!(not_identifier(word) == 0, ok, "{b:#x} at {shift}");
            }
        }
    }
}
