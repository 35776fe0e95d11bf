//! The output buffer. Names are copied eight bytes at a time and judged as they are copied.

use super::block::{KEEP, at_block, judge};
use super::names;

/// The text being written.
pub(super) struct Text {
    /// Initialised to its end, so that a block can be stored whole and its length counted afterwards.
    buf: Vec<u8>,
    len: usize,
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
    // Most names end in their first sixteen bytes.
    let Some(block) = at_block(tail, 0) else {
        return scan_last(tail);
    };
    let judged = judge(block);
    let len = judged.len();
    if len == 16 {
        return scan_long(tail);
    }
    let block = block & KEEP[len];
    Scan {
        len,
        hash: add(0, block) ^ (len as u64) << 56,
        plain: judged.is_fine(len) && is_plain(block as u64, tail, len),
    }
}

fn scan_long(tail: &[u8]) -> Scan {
    let (mut at, mut hash, mut fine) = (0, 0u64, true);
    loop {
        let Some(block) = at_block(tail, at) else {
            return scan_last(tail);
        };
        let judged = judge(block);
        let len = judged.len();
        fine &= judged.is_fine(len);
        hash = add(hash, block & KEEP[len]);
        at += len;
        if len < 16 {
            let first = at_block(tail, 0).unwrap_or_default() as u64;
            return Scan {
                len: at,
                hash: hash ^ (at as u64) << 56,
                plain: fine && is_plain(first, tail, at),
            };
        }
    }
}

/// Adds a block to a hash.
#[inline]
fn add(hash: u64, block: u128) -> u64 {
    mix(mix(hash ^ block as u64) ^ (block >> 64) as u64)
}

/// As [`scan`], where the strings end before a whole word does.
#[cold]
fn scan_last(tail: &[u8]) -> Scan {
    let len = tail.iter().position(|b| *b == 0).unwrap_or(tail.len());
    let mut padded = tail[..len].to_vec();
    padded.extend_from_slice(&[0; 32]);
    scan(&padded)
}

/// What is left to ask of an identifier, `first` being its first eight bytes.
#[inline]
fn is_plain(first: u64, tail: &[u8], len: usize) -> bool {
    len > 0
        && !(first as u8).is_ascii_digit()
        && !(names::may_be_reserved(first, tail, len) && names::is_reserved(&tail[..len]))
}

#[inline]
fn mix(x: u64) -> u64 {
    let x = x.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^ x >> 29
}

/// A short text in a block that is copied whole.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    block: [u8; 32],
    len: usize,
}

impl Word {
    pub const fn new(text: &str) -> Word {
        let mut block = [0; 32];
        let bytes = text.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            block[i] = bytes[i];
            i += 1;
        }
        Word {
            block,
            len: bytes.len(),
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.block[..self.len]
    }
}

/// Bytes that are always free at the end of the buffer.
const SLACK: usize = 64;

impl Text {
    /// An empty text with room for `capacity` bytes; pages are taken as they are written.
    pub fn new(capacity: usize) -> Text {
        Text {
            buf: vec![0; capacity + SLACK],
            len: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The text, as the bytes that it is.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.buf.truncate(self.len);
        self.buf
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.buf[..self.len]
    }

    pub fn last(&self) -> Option<u8> {
        self.as_bytes().last().copied()
    }

    pub fn truncate(&mut self, len: usize) {
        self.len = len.min(self.len);
    }

    /// Inserts text before the byte at `at`.
    pub fn insert(&mut self, at: usize, text: &str) {
        let behind = self.buf[at..self.len].to_vec();
        self.len = at;
        self.str(text);
        self.bytes(&behind);
    }

    #[inline]
    fn advance(&mut self, by: usize) {
        self.len += by;
        if self.len + SLACK > self.buf.len() {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        // Doubled while it is small; a large one is moved, not copied, and so may grow by steps.
        let step = self.buf.len().min(4 << 20);
        let want = (self.len + SLACK).max(self.buf.len() + step);
        // Else the vector doubles by itself.
        self.buf.reserve_exact(want - self.buf.len());
        self.buf.resize(want, 0);
    }

    /// Text whose length the compiler knows, up to the slack.
    #[inline]
    pub fn lit<const N: usize>(&mut self, text: &[u8; N]) {
        const { assert!(N <= SLACK) };
        self.buf[self.len..self.len + N].copy_from_slice(text);
        self.advance(N);
    }

    #[inline]
    pub fn word(&mut self, word: &Word) {
        self.buf[self.len..self.len + 32].copy_from_slice(&word.block);
        self.advance(word.len);
    }

    pub fn str(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(SLACK) {
            self.buf[self.len..self.len + chunk.len()].copy_from_slice(chunk);
            self.advance(chunk.len());
        }
    }

    /// Copies the first `len` bytes of `tail`, by blocks where it is long enough for that.
    #[inline(always)]
    pub fn copy(&mut self, tail: &[u8], len: usize) {
        // Fixed sizes take a few instructions; what is copied too much is written over.
        if len <= 32
            && let Some(block) = tail.first_chunk::<32>()
        {
            self.buf[self.len..self.len + 32].copy_from_slice(block);
            self.advance(len);
        } else {
            self.bytes(&tail[..len]);
        }
    }

    #[inline]
    pub fn byte(&mut self, byte: u8) {
        self.lit(&[byte]);
    }

    #[inline]
    pub fn tabs(&mut self, n: usize) {
        const TABS: &[u8; 8] = &[b'\t'; 8];
        let mut left = n;
        while left > 8 {
            self.lit(TABS);
            left -= 8;
        }
        self.buf[self.len..self.len + 8].copy_from_slice(TABS);
        self.advance(left);
    }

    #[inline]
    pub fn number(&mut self, n: u64) {
        if n < 10 {
            return self.byte(b'0' + n as u8);
        }
        self.digits(n);
    }

    fn digits(&mut self, mut n: u64) {
        let mut digits = [0u8; 32];
        let mut at = digits.len();
        while n > 0 {
            at -= 1;
            digits[at] = b'0' + (n % 10) as u8;
            n /= 10;
        }
        self.bytes(&digits[at..]);
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
    fn a_names_hash_does_not_depend_on_what_lies_behind_it() {
        for len in 0..24 {
            let name = &b"abcdefghijklmnopqrstuvwxyz"[..len];
            let short = [name, b"\0"].concat();
            let long = [name, b"\0", &[b'x'; 64]].concat();
            assert_eq!(scan(&short).hash, scan(&long).hash, "{len}");
            assert_eq!(scan(&short).plain, scan(&long).plain, "{len}");
        }
    }

    #[test]
    fn text_is_what_was_written() {
        let mut text = Text::new(0);
        let mut want = String::new();
        for i in 0..300u64 {
            text.word(&Word::new("struct "));
            text.copy(b"list_head\0and a tail that is long enough", 9);
            text.tabs(i as usize % 20);
            text.number(i * 7919);
            text.lit(b";\n");
            want += &format!(
                "struct list_head{}{};\n",
                "\t".repeat(i as usize % 20),
                i * 7919
            );
        }
        text.insert(7, "big ");
        want.insert_str(7, "big ");
        assert_eq!(String::from_utf8(text.into_bytes()).unwrap(), want);
    }
}
