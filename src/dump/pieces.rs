//! A header being written: its pieces by whoever helps, its text in order to those who take it.

use super::beside::{Aside, Hands, lock};
use super::decl::Wants;
use super::error::Error;
use super::header::Plan;
use super::print::{Mark, Printer};
use super::text::{MAX_TEXT, Text};
use super::write::Draft;
use crate::btf::Btf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The `vmlinux.h` of a BTF, as [`header()`](super::header()) makes it, decided upon and being written.
/// Its text is the same whatever the number of threads that [`help`](Writing::help).
pub struct Writing<'b, T> {
    draft: Draft<'b>,
    /// Where each piece begins, and the end.
    starts: Vec<usize>,
    next: AtomicUsize,
    shelf: Mutex<Shelf>,
    takers: Vec<Mutex<Taker<T>>>,
}

/// Pieces that are written and wait for their turn.
struct Shelf {
    done: Vec<Option<Done>>,
    /// The first that could not be written, and why.
    error: Option<(usize, Error)>,
    /// Bytes of all that are or were here.
    len: usize,
    /// Rooms of those that had their turn.
    free: Vec<Vec<u8>>,
}

/// A piece, and how many have not taken it yet.
struct Done {
    piece: Arc<Piece>,
    left: usize,
}

/// Most pieces are no longer.
const USUAL: usize = 128 << 10;

struct Piece {
    room: Vec<u8>,
    len: usize,
    marks: Vec<Mark>,
}

/// Where the text goes.
struct Taker<T> {
    take: T,
    /// The piece whose turn it is.
    turn: usize,
    /// Bytes of all before it.
    len: usize,
    /// Macros that were defined.
    has: Wants,
}

impl<'b, T: FnMut(&[u8])> Writing<'b, T> {
    /// Decides what the header of `btf` holds, with the help of `hands`. Each of `takers` will be given all of its text in
    /// parts, by one thread at a time; different ones at the same time.
    ///
    /// # Errors
    /// As [`header()`](super::header()).
    pub fn new(
        btf: &'b Btf<'b>,
        takers: Vec<T>,
        hands: &dyn Hands<'b>,
    ) -> Result<Writing<'b, T>, Error> {
        let plan = Plan::new(btf, hands)?;
        Ok(Writing::of(Draft::of_all(btf, plan), takers))
    }

    pub(super) fn of(draft: Draft<'b>, takers: Vec<T>) -> Writing<'b, T> {
        let starts = draft.pieces();
        let taker = |take| Taker {
            take,
            turn: 0,
            len: 0,
            has: Wants::default(),
        };
        Writing {
            draft,
            next: AtomicUsize::new(0),
            shelf: Mutex::new(Shelf {
                done: starts.iter().skip(1).map(|_| None).collect(),
                error: None,
                len: 0,
                free: Vec::new(),
            }),
            starts,
            takers: takers.into_iter().map(taker).map(Mutex::new).collect(),
        }
    }

    /// Writes pieces until there are no more, then hands them on. Then all is done, or some other thread has the last of it
    /// under way.
    pub fn help(&self) {
        let mut printer = None;
        while self.write_next(&mut printer) {
            self.relieve();
        }
        self.hand_on_rest();
    }

    /// Hands on what is written, and writes pieces while there is nothing to hand on.
    fn lead(&self) {
        let mut printer = None;
        while self.takers.iter().any(|taker| self.hand_on(taker)) || self.write_next(&mut printer) {
        }
    }

    /// Writes the next piece. False if there is none.
    fn write_next<'w>(&'w self, printer: &mut Option<Printer<'w, 'b>>) -> bool {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(&[from, to]) = self.starts.get(n..).and_then(|s| s.first_chunk()) else {
            return false;
        };
        let p = printer.get_or_insert_with(|| self.draft.printer());
        let piece = self.piece(p, from, to);
        let mut shelf = lock(&self.shelf);
        shelf.len += piece.as_ref().map_or(0, |piece| piece.len);
        if piece.is_err() || shelf.len > MAX_TEXT {
            // What comes behind is of no use.
            self.next.store(self.starts.len(), Ordering::Relaxed);
        }
        match piece {
            Ok(piece) => {
                let (piece, left) = (Arc::new(piece), self.takers.len());
                shelf.done[n] = Some(Done { piece, left });
            }
            Err(e) => {
                let before = shelf.error.take().filter(|(of, _)| *of < n);
                shelf.error = before.or(Some((n, e)));
            }
        }
        true
    }

    /// Hands on a piece where many wait.
    fn relieve(&self) {
        const MANY: usize = 3;
        let begun = self.next.load(Ordering::Relaxed);
        for taker in &self.takers {
            if let Ok(taker) = taker.try_lock()
                && taker.turn + MANY < begun
            {
                self.hand_to(taker);
            }
        }
    }

    /// Hands on what is written when no more will be. Whoever else is at that begins with the first.
    fn hand_on_rest(&self) {
        for taker in self.takers.iter().rev() {
            while self.hand_on(taker) {}
        }
    }

    fn piece(&self, p: &mut Printer<'_, '_>, from: usize, to: usize) -> Result<Piece, Error> {
        let room = lock(&self.shelf).free.pop();
        let room = room.unwrap_or_else(|| vec![0; USUAL]);
        p.out = Text::new(room);
        p.has = Wants::default();
        self.draft.write(p, from, to)?;
        let (room, len) = std::mem::replace(&mut p.out, Text::new(Vec::new())).into_room();
        let marks = std::mem::take(&mut p.marks);
        Ok(Piece { room, len, marks })
    }

    /// Hands on the piece whose turn it is. False if it is not written yet, or of no use.
    fn hand_on(&self, taker: &Mutex<Taker<T>>) -> bool {
        self.hand_to(lock(taker))
    }

    fn hand_to(&self, mut taker: MutexGuard<'_, Taker<T>>) -> bool {
        let turn = taker.turn;
        if taker.len > MAX_TEXT {
            return false;
        }
        let Some(piece) = lock(&self.shelf).piece(turn) else {
            return false;
        };
        taker.turn += 1;
        taker.len += piece.len;
        if taker.len <= MAX_TEXT {
            taker.piece(&piece);
        }
        lock(&self.shelf).put_back(turn, piece);
        true
    }

    /// Writes all of it, with the help of `hands`. Gives those who took the text.
    ///
    /// # Errors
    /// The first thing, in the order of the text, that C cannot express.
    pub fn write(self, hands: &dyn Hands<'b>) -> Result<Vec<T>, Error>
    where
        T: Send + 'b,
    {
        let writing = Arc::new(self);
        let theirs = Arc::clone(&writing);
        let aside = Aside::offer(hands, move || theirs.help());
        writing.lead();
        aside.finish();
        let alone = Arc::into_inner(writing);
        alone.expect("whoever helped has ended").finish()
    }

    /// Those who took the text, once all have helped.
    ///
    /// # Errors
    /// The first thing, in the order of the text, that C cannot express.
    pub fn finish(self) -> Result<Vec<T>, Error> {
        self.lead();
        let takers = self.takers.into_iter().map(into_inner);
        let takers: Vec<Taker<T>> = takers.collect();
        if takers.iter().any(|taker| taker.len > MAX_TEXT) {
            let most = MAX_TEXT >> 20;
            let what = format!("the header is longer than {most} MiB");
            return Err(Error::unknown(what));
        }
        match into_inner(self.shelf).error {
            Some((_, e)) => Err(e),
            None => Ok(takers.into_iter().map(|taker| taker.take).collect()),
        }
    }
}

/// Nothing is left half done where a thread could panic.
fn into_inner<T>(of: Mutex<T>) -> T {
    of.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Shelf {
    /// The nth piece, if it is written.
    fn piece(&self, n: usize) -> Option<Arc<Piece>> {
        let done = self.done.get(n)?.as_ref();
        done.map(|done| Arc::clone(&done.piece))
    }

    /// Has the nth piece back from one who took it, and its room once nobody needs it.
    fn put_back(&mut self, n: usize, piece: Arc<Piece>) {
        drop(piece);
        let Some(done) = self.done.get_mut(n) else {
            return;
        };
        let last = done.take_if(|done| {
            done.left -= 1;
            done.left == 0
        });
        let piece = last.and_then(|done| Arc::into_inner(done.piece));
        self.free.extend(piece.map(|piece| piece.room));
    }
}

impl<T: FnMut(&[u8])> Taker<T> {
    fn piece(&mut self, piece: &Piece) {
        let mut from = 0;
        for mark in &piece.marks {
            if self.has.has_macros(mark.defines) {
                self.text(piece, from, mark.at.start);
                from = mark.at.end;
            }
            self.has.add(mark.defines);
        }
        self.text(piece, from, piece.len);
    }

    fn text(&mut self, piece: &Piece, from: usize, to: usize) {
        let text = piece.room.get(from..to).unwrap_or_default();
        if !text.is_empty() {
            (self.take)(text);
        }
    }
}
