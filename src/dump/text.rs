//! The output buffer. Names are copied sixteen bytes at a time and judged as they are copied.

use super::block::{Judged, KEEP, judge};
use super::names;

/// The text being written.
pub(super) struct Text {
    /// Longer than the text by [`SLACK`] at least.
    room: Vec<u8>,
    len: usize,
    /// The text became longer than [`MAX_TEXT`], and what stands here is of no use.
    full: bool,
}

/// A header's text can be this many bytes long. The largest kernels' are under 5 MB.
pub(super) const MAX_TEXT: usize = 32 << 20;

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

/// Reads the name at the start of `tail`, which goes on beyond its NUL. Each block of it is handed over,
/// with how many of its bytes are the name's.
#[inline(always)]
fn read(tail: &[u8], mut block_of: impl FnMut(&[u8; 16], usize)) -> Scan {
    // Most names end in their first block.
    let (block, judged) = block(tail);
    let mut len = judged.len();
    let mut fine = judged.is_fine(len);
    block_of(&block, len);
    let kept = u128::from_le_bytes(block) & KEEP[len];
    let first = kept as u64;
    let mut hash = add(0, kept);
    if len == 16 {
        let mut rest = tail;
        loop {
            rest = rest.get(16..).unwrap_or_default();
            let (block, judged) = self::block(rest);
            let here = judged.len();
            block_of(&block, here);
            fine &= judged.is_fine(here);
            hash = add(hash, u128::from_le_bytes(block) & KEEP[here]);
            len += here;
            if here < 16 {
                break;
            }
        }
    }
    Scan {
        len,
        hash,
        plain: fine && is_plain(first, tail, len),
    }
}

/// A name's next block.
#[inline(always)]
fn block(rest: &[u8]) -> ([u8; 16], Judged) {
    let block = match rest.first_chunk::<16>() {
        Some(block) => *block,
        None => last_block(rest),
    };
    (block, judge(u128::from_le_bytes(block)))
}

/// Adds a block to a hash.
#[inline(always)]
fn add(hash: u64, block: u128) -> u64 {
    let x = hash ^ block as u64 ^ ((block >> 64) as u64).rotate_left(29);
    let x = x.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^ x >> 32
}

/// The last bytes of the strings, filled up.
#[cold]
fn last_block(rest: &[u8]) -> [u8; 16] {
    let mut block = [0; 16];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// Reads the name at the start of `tail`.
#[inline(always)]
pub(super) fn scan(tail: &[u8]) -> Scan {
    read(tail, |_, _| ())
}

/// What is left to ask of an identifier, `first` being its first eight bytes.
#[inline(always)]
fn is_plain(first: u64, tail: &[u8], len: usize) -> bool {
    len > 0
        && !(first as u8).is_ascii_digit()
        && !(names::may_be_reserved(first, tail, len) && names::is_reserved(&tail[..len]))
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

/// Bytes that are always free at the end of the room, so that a block can be stored whole and its length
/// counted afterwards.
pub(super) const SLACK: usize = 1024;

impl Text {
    /// An empty text that grows in this room, whatever stands in it.
    pub fn new(mut room: Vec<u8>) -> Text {
        if room.len() <= SLACK {
            room.resize(SLACK * 2, 0);
        }
        Text {
            room,
            len: 0,
            full: false,
        }
    }

    /// The room, and how many bytes of it are the text.
    pub fn into_room(self) -> (Vec<u8>, usize) {
        (self.room, self.len)
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the text became too long.
    pub fn is_full(&self) -> bool {
        self.full
    }

    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.room[..self.len]
    }

    pub fn last(&self) -> Option<u8> {
        self.as_bytes().last().copied()
    }

    /// Takes back the last `n` bytes.
    pub fn take_back(&mut self, n: usize) {
        self.len = self.len.saturating_sub(n);
    }

    /// Inserts text before the byte at `at`.
    pub fn insert(&mut self, at: usize, text: &str) {
        let behind = self.room.get(at..self.len).unwrap_or_default().to_vec();
        self.len = self.len.min(at);
        self.str(text);
        self.bytes(&behind);
    }

    #[inline]
    fn advance(&mut self, by: usize) {
        self.len += by;
        if self.len + SLACK > self.room.len() {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        if self.len > MAX_TEXT {
            (self.len, self.full) = (0, true);
        } else {
            let most = MAX_TEXT + 2 * SLACK;
            self.room.resize((self.room.len() * 2).min(most), 0);
        }
    }

    /// Room for a line, to be counted once it is written.
    #[inline(always)]
    pub fn line(&mut self) -> Option<Line<'_>> {
        let room = self.room.get_mut(self.len..)?.first_chunk_mut()?;
        Some(Line { room, at: 0 })
    }

    /// Counts a line.
    #[inline(always)]
    pub fn count(&mut self, line: usize) {
        self.advance(line);
    }

    /// Text whose length the compiler knows, up to the slack.
    #[inline(always)]
    pub fn lit<const N: usize>(&mut self, text: &[u8; N]) {
        self.block(text, N);
    }

    /// The first `len` bytes of a block.
    #[inline(always)]
    pub fn block<const N: usize>(&mut self, block: &[u8; N], len: usize) {
        const { assert!(N <= SLACK) };
        let room = self.room.get_mut(self.len..).unwrap_or_default();
        if let Some(room) = room.first_chunk_mut::<N>() {
            *room = *block;
        }
        self.advance(len);
    }

    #[inline]
    pub fn word(&mut self, word: &Word) {
        self.block(&word.block, word.len);
    }

    pub fn str(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(SLACK / 2) {
            let room = self.room.get_mut(self.len..).unwrap_or_default();
            if let Some(room) = room.get_mut(..chunk.len()) {
                room.copy_from_slice(chunk);
            }
            self.advance(chunk.len());
        }
    }

    /// Copies the first `len` bytes of `tail`, by blocks where it is long enough for that.
    #[inline(always)]
    pub fn copy(&mut self, tail: &[u8], len: usize) {
        // Fixed sizes take a few instructions; what is copied too much is written over.
        match tail.first_chunk::<32>() {
            Some(block) if len <= 32 => self.block(block, len),
            _ => self.bytes(&tail[..len]),
        }
    }

    /// Copies the name at the start of `tail` as it is, and tells how it should have been written.
    #[inline(always)]
    pub fn name(&mut self, tail: &[u8]) -> Scan {
        read(tail, |block, len| self.block(block, len))
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
        self.block(TABS, left);
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

/// A line under way, to be written in another way if it turns out not to fit.
pub(super) struct Line<'l> {
    room: &'l mut [u8; SLACK],
    /// Bytes so far; all of the room once something did not fit.
    at: usize,
}

impl Line<'_> {
    /// Its length, if it fits.
    #[inline(always)]
    pub fn end(self) -> Option<usize> {
        (self.at < SLACK).then_some(self.at)
    }

    /// The first `len` bytes of a block.
    #[inline(always)]
    pub fn block<const N: usize>(&mut self, block: &[u8; N], len: usize) {
        let room = self.room.get_mut(self.at..).unwrap_or_default();
        match room.first_chunk_mut::<N>() {
            Some(room) => {
                *room = *block;
                self.at += len;
            }
            None => self.at = SLACK,
        }
    }

    /// The first `len` bytes of a text that goes on beyond them.
    #[inline(always)]
    pub fn copy(&mut self, mut tail: &[u8], len: usize) {
        let end = self.at + len;
        loop {
            let room = self.room.get_mut(self.at..).unwrap_or_default();
            let (Some(room), Some(block)) = (room.first_chunk_mut::<32>(), tail.first_chunk())
            else {
                self.at = SLACK;
                return;
            };
            *room = *block;
            self.at += 32;
            if self.at >= end {
                self.at = end;
                return;
            }
            tail = tail.get(32..).unwrap_or_default();
        }
    }

    /// The name at the start of `tail`.
    #[inline(always)]
    pub fn name(&mut self, tail: &[u8]) -> Scan {
        read(tail, |block, len| self.block(block, len))
    }

    #[inline(always)]
    pub fn number(&mut self, n: u32) {
        if n < 10 {
            return self.block(&[b'0' + n as u8], 1);
        }
        let mut digits = [b'0'; 16];
        let (mut left, mut len) = (n, 0);
        while left > 0 {
            len += 1;
            digits[16 - len] = b'0' + (left % 10) as u8;
            left /= 10;
        }
        let digits = u128::from_le_bytes(digits) >> (8 * (16 - len));
        self.block(&digits.to_le_bytes(), len);
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
        let mut text = Text::new(Vec::new());
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
        assert_eq!(std::str::from_utf8(text.as_bytes()).unwrap(), want);
    }
}
