//! The output buffer. Names are copied a block at a time and judged as they are copied.

use super::block::{BLOCK, Judged, judge};
use super::line::{Line, SMALL};
use super::names;

/// The text being written.
pub(super) struct Text {
    room: Vec<u8>,
    /// No longer than the room.
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

/// A name that fits a block.
pub(super) struct ShortName<'b> {
    /// The name and what lies behind it.
    pub block: &'b [u8; BLOCK],
    pub len: usize,
    pub hash: u64,
}

/// A name, given its first bytes, if it is as nearly all are: short, and of no look that any word has which C
/// does not take.
#[inline(always)]
pub(super) fn short_name(block: &[u8; BLOCK], judged: Judged) -> Option<ShortName<'_>> {
    let Judged {
        len,
        fine,
        first,
        fold,
    } = judged;
    let hash = add(0, fold);
    let fine = fine && len < BLOCK && begins_well(first);
    (fine && !names::may_be_reserved(first, hash, block, len)).then_some(ShortName {
        block,
        len,
        hash,
    })
}

/// Reads the name at the start of `tail`, which goes on beyond its NUL. Each block of it is handed over,
/// with how many of its bytes are the name's.
#[inline(always)]
pub(super) fn read(tail: &[u8], mut block_of: impl FnMut(&[u8; BLOCK], usize)) -> Scan {
    // Most names end in their first block.
    let block = block(tail);
    let judged = judge(&block);
    let (mut len, mut fine) = (judged.len, judged.fine);
    block_of(&block, len);
    let mut hash = add(0, judged.fold);
    if len == BLOCK {
        let mut rest = tail;
        loop {
            rest = rest.get(BLOCK..).unwrap_or_default();
            let block = self::block(rest);
            let here = judge(&block);
            block_of(&block, here.len);
            fine &= here.fine;
            hash = add(hash, here.fold);
            len += here.len;
            if here.len < BLOCK {
                break;
            }
        }
    }
    Scan {
        len,
        hash,
        plain: fine && is_plain(judged.first, hash, tail, len),
    }
}

/// A name's next block.
#[inline(always)]
fn block(rest: &[u8]) -> [u8; BLOCK] {
    match rest.first_chunk() {
        Some(block) => *block,
        None => last_block(rest),
    }
}

/// Adds a block to a hash.
#[inline(always)]
pub(super) const fn add(hash: u64, fold: u64) -> u64 {
    let x = (hash ^ fold).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^ x >> 32
}

/// The last bytes of the strings, filled up.
#[cold]
fn last_block(rest: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
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
fn is_plain(first: u64, hash: u64, tail: &[u8], len: usize) -> bool {
    begins_well(first)
        && !(names::may_be_reserved(first, hash, tail, len) && names::is_reserved(&tail[..len]))
}

/// Of what may stand in an identifier, digits come first; an empty name begins with a NUL.
#[inline(always)]
fn begins_well(first: u64) -> bool {
    first as u8 > b'9'
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

    /// The block, and how many bytes of it are the text.
    #[inline(always)]
    pub fn block(&self) -> (&[u8; 32], usize) {
        (&self.block, self.len)
    }
}

/// No text that is written at once is longer: a block is stored whole, and its length counted afterwards.
pub(super) const SLACK: usize = 1024;

impl Text {
    /// An empty text that grows in this room, whatever stands in it.
    pub fn new(mut room: Vec<u8>) -> Text {
        if room.len() < SLACK {
            room.resize(SLACK, 0);
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

    /// Room for the next `N` bytes.
    #[inline(always)]
    fn next<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        const { assert!(N <= SLACK) };
        if self.room.len() - self.len < N {
            self.grow();
        }
        self.room.get_mut(self.len..)?.first_chunk_mut()
    }

    /// Has room for a line.
    #[inline(always)]
    pub fn ensure_line(&mut self) {
        let _ = self.next::<SLACK>();
    }

    #[cold]
    fn grow(&mut self) {
        let most = MAX_TEXT + SLACK;
        if self.room.len() == most {
            (self.len, self.full) = (0, true);
        } else {
            self.room.resize((self.room.len() * 2).min(most), 0);
        }
    }

    /// The text, and room behind it.
    #[inline(always)]
    pub fn room(&self) -> &[u8] {
        &self.room
    }

    /// Room for a line, to be counted once it is written, if there is as much.
    #[inline(always)]
    pub fn line(&mut self) -> Option<Line<'_>> {
        let room = self.room.get_mut(self.len..)?.first_chunk_mut()?;
        Some(Line::new(room))
    }

    /// Counts a line of so many bytes, if it had room.
    #[inline(always)]
    pub fn end_line(&mut self, len: Option<usize>) -> bool {
        self.len += len.unwrap_or(0);
        len.is_some()
    }

    /// Writes over what stands at `at`.
    #[inline(always)]
    pub fn set<const N: usize>(&mut self, at: usize, text: [u8; N]) {
        if let Some(room) = self.room.get_mut(at..).and_then(|r| r.first_chunk_mut()) {
            *room = text;
        }
    }

    /// Writes once more what stands at `from`.
    #[inline(always)]
    pub fn again(&mut self, mut from: usize, len: usize) {
        let mut left = len;
        loop {
            let room = self.room.get(from..).unwrap_or_default();
            let block = room.first_chunk::<32>().copied().unwrap_or([0; 32]);
            self.block(&block, left.min(32));
            if left <= 32 {
                return;
            }
            (from, left) = (from + 32, left - 32);
        }
    }

    /// Text whose length the compiler knows, up to the slack.
    #[inline(always)]
    pub fn lit<const N: usize>(&mut self, text: &[u8; N]) {
        self.block(text, N);
    }

    /// The first `len` bytes of a block.
    #[inline(always)]
    pub fn block<const N: usize>(&mut self, block: &[u8; N], len: usize) {
        if let Some(room) = self.next() {
            *room = *block;
            self.len += len;
        }
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
        for chunk in bytes.chunks(SLACK) {
            if let Some(room) = self.next::<SLACK>() {
                room[..chunk.len()].copy_from_slice(chunk);
                self.len += chunk.len();
            }
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

    /// The number that tells a name from others.
    #[inline(always)]
    pub fn suffix(&mut self, suffix: u32) {
        if suffix > 1 {
            self.numbered(suffix);
        }
    }

    #[cold]
    fn numbered(&mut self, suffix: u32) {
        self.lit(b"___");
        self.number(u64::from(suffix));
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
        match SMALL.get(n as usize) {
            Some(digits) => self.block(digits, usize::from(digits[3])),
            None => self.digits(n),
        }
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
    use super::super::block::judge_whole;
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
    fn a_short_name_is_what_reading_it_tells() {
        for name in [
            "a",
            "_x9",
            "sixteen_bytes_16",
            "more_than_sixteen_bytes_of_it",
            "int",
            "9x",
            "",
            "a-b",
        ] {
            let mut bytes = [b'!'; BLOCK];
            bytes[..name.len()].copy_from_slice(name.as_bytes());
            bytes[name.len()] = 0;
            let read = scan(&bytes);
            for judged in [judge(&bytes), judge_whole(&bytes)] {
                let short = short_name(&bytes, judged).map(|name| (name.len, name.hash));
                assert_eq!(short, read.plain.then_some((read.len, read.hash)), "{name}");
            }
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
