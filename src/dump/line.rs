//! A line of text, written by blocks into a room that is known to be there.

use super::block::BLOCK;
use super::text::{SLACK, Word, read};

/// A line under way, to be written in another way if it turns out not to fit.
pub(super) struct Line<'l> {
    room: &'l mut [u8; SLACK],
    at: usize,
}

impl<'l> Line<'l> {
    #[inline(always)]
    pub fn new(room: &'l mut [u8; SLACK]) -> Line<'l> {
        Line { room, at: 0 }
    }

    /// Its length, if all of it fits.
    #[inline(always)]
    pub fn len(self) -> Option<usize> {
        // No block is longer than what is left then.
        (self.at <= SLACK - 64).then_some(self.at)
    }

    #[inline(always)]
    pub fn take_back(&mut self, n: usize) {
        self.at -= n;
    }

    #[inline(always)]
    pub fn lit<const N: usize>(&mut self, text: &[u8; N]) {
        self.block(text, N);
    }

    /// The first `len` bytes of a block.
    #[inline(always)]
    pub fn block<const N: usize>(&mut self, block: &[u8; N], len: usize) {
        let room = self.room.get_mut(self.at..).unwrap_or_default();
        if let Some(room) = room.first_chunk_mut::<N>() {
            *room = *block;
        }
        self.at += len;
    }

    #[inline(always)]
    pub fn word(&mut self, word: &Word) {
        let (block, len) = word.block();
        self.block(block, len);
    }

    /// The first `len` bytes of a text that goes on beyond them. Most are no more than `N`.
    #[inline(always)]
    pub fn copy<const N: usize>(&mut self, tail: &[u8], len: usize) {
        let at = self.at;
        if let Some(block) = tail.first_chunk::<N>() {
            self.block(block, len);
        }
        if len > N {
            copy_rest(self.room, at + N, &tail[N..], len - N);
        }
    }

    /// The name at the start of `tail`. False if C does not take it as it is.
    #[inline(always)]
    pub fn long_name(&mut self, tail: &[u8]) -> bool {
        let len = copy_name(self.room, self.at, tail);
        self.at += len.unwrap_or(0);
        len.is_some()
    }

    #[inline(always)]
    pub fn number(&mut self, n: u32) {
        match SMALL.get(n as usize) {
            Some(digits) => self.block(digits, usize::from(digits[3])),
            None => self.large(n),
        }
    }

    fn large(&mut self, n: u32) {
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

/// Copies the first `len` bytes of `tail`, which goes on beyond them, by blocks.
#[inline(never)]
fn copy_rest(room: &mut [u8; SLACK], at: usize, tail: &[u8], len: usize) {
    let room = room.get_mut(at..).unwrap_or_default();
    let blocks = room.as_chunks_mut::<BLOCK>().0.iter_mut();
    for (room, block) in blocks.zip(tail.as_chunks().0).take(len.div_ceil(BLOCK)) {
        *room = *block;
    }
}

/// Copies the name at the start of `tail`: how long it is, if C takes it as it is.
#[inline(never)]
fn copy_name(room: &mut [u8; SLACK], at: usize, tail: &[u8]) -> Option<usize> {
    let mut line = Line { room, at };
    let name = read(tail, |block, len| line.block(block, len));
    name.plain.then_some(name.len)
}

/// Small numbers: up to three digits, and how many there are.
pub(super) static SMALL: [[u8; 4]; 1000] = {
    let mut all = [[0; 4]; 1000];
    let mut n = 0;
    while n < 1000 {
        let (a, b, c) = (n / 100, n / 10 % 10, n % 10);
        let [a, b, c] = [b'0' + a as u8, b'0' + b as u8, b'0' + c as u8];
        all[n] = match n {
            0..10 => [c, 0, 0, 1],
            10..100 => [b, c, 0, 2],
            _ => [a, b, c, 3],
        };
        n += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use super::super::text::Text;

    #[test]
    fn a_line_is_what_was_written() {
        let long: String = (0..600).map(|n| char::from(b'a' + n as u8 % 26)).collect();
        for len in [0, 1, 15, 16, 17, 31, 32, 33, 64, 200, 255] {
            let mut text = Text::new(Vec::new());
            text.lit(b"before ");
            assert!(text.line().is_none());
            text.ensure_line();
            let mut line = text.line().unwrap();
            line.copy::<32>(long.as_bytes(), len);
            line.lit(b" ");
            line.copy::<16>(long.as_bytes(), len);
            line.number(len as u32 * 16_777_216);
            assert!(line.long_name([&long.as_bytes()[..len + 1], b"\0"].concat().as_slice()));
            let len_of_line = line.len();
            assert!(text.end_line(len_of_line));
            let (part, name) = (&long[..len], &long[..len + 1]);
            let want = format!("before {part} {part}{}{name}", len as u32 * 16_777_216);
            assert_eq!(std::str::from_utf8(text.as_bytes()).unwrap(), want);
        }
    }

    #[test]
    fn a_line_that_does_not_fit_is_not_counted() {
        let mut text = Text::new(Vec::new());
        let mut line = text.line().unwrap();
        assert!(line.long_name([&[b'a'; 1100][..], b"\0"].concat().as_slice()));
        line.lit(b";\n");
        let len = line.len();
        assert!(!text.end_line(len));
        assert_eq!(text.as_bytes(), b"");
    }
}
