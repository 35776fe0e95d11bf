//! A header being written: its pieces by whoever helps, its text in order to one who takes it.

use super::beside::{Aside, Hands, lock};
use super::decl::Wants;
use super::error::Error;
use super::header::Plan;
use super::print::{Mark, Printer};
use super::text::{MAX_TEXT, Text};
use super::write::Draft;
use crate::btf::Btf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// The `vmlinux.h` of a BTF, as [`header()`](super::header()) makes it, decided upon and being written.
/// Its text is the same whatever the number of threads that [`help`](Writing::help).
pub struct Writing<'b, T> {
    draft: Draft<'b>,
    /// Where each piece begins, and the end.
    starts: Vec<usize>,
    next: AtomicUsize,
    shelf: Mutex<Shelf>,
    taker: Mutex<Taker<T>>,
}

/// Pieces that are written and wait for their turn.
struct Shelf {
    done: Vec<Option<Result<Piece, Error>>>,
    /// Bytes of all that are or were here.
    len: usize,
    /// Rooms of those that had their turn.
    free: Vec<Vec<u8>>,
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
    /// Bytes so far.
    len: usize,
    /// Macros that were defined.
    has: Wants,
    error: Option<Error>,
}

impl<'b, T: FnMut(&[u8])> Writing<'b, T> {
    /// Decides what the header of `btf` holds, with the help of `hands`. `take` will be given its text in parts,
    /// by one thread at a time.
    ///
    /// # Errors
    /// As [`header()`](super::header()).
    pub fn new(btf: &'b Btf<'b>, take: T, hands: &dyn Hands<'b>) -> Result<Writing<'b, T>, Error> {
        let plan = Plan::new(btf, hands)?;
        Ok(Writing::of(Draft::of_all(btf, plan), take))
    }

    pub(super) fn of(draft: Draft<'b>, take: T) -> Writing<'b, T> {
        let starts = draft.pieces();
        Writing {
            draft,
            next: AtomicUsize::new(0),
            shelf: Mutex::new(Shelf {
                done: starts.iter().skip(1).map(|_| None).collect(),
                len: 0,
                free: Vec::new(),
            }),
            starts,
            taker: Mutex::new(Taker {
                take,
                turn: 0,
                len: 0,
                has: Wants::default(),
                error: None,
            }),
        }
    }

    /// Writes pieces until there are no more; then all are written, or some other thread has the last ones
    /// under way.
    pub fn help(&self) {
        let mut printer = None;
        loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(&[from, to]) = self.starts.get(n..).and_then(|s| s.first_chunk()) else {
                break;
            };
            let p = printer.get_or_insert_with(|| self.draft.printer());
            let piece = self.piece(p, from, to);
            let mut shelf = lock(&self.shelf);
            shelf.len += piece.as_ref().map_or(0, |piece| piece.len);
            if piece.is_err() || shelf.len > MAX_TEXT {
                // What comes behind is of no use.
                self.next.store(self.starts.len(), Ordering::Relaxed);
            }
            shelf.done[n] = Some(piece);
            drop(shelf);
            match self.taker.try_lock() {
                Ok(taker) => self.hand_on(taker),
                Err(TryLockError::Poisoned(taker)) => self.hand_on(taker.into_inner()),
                // Whoever has it will look again.
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.hand_on(lock(&self.taker));
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

    /// Hands on the pieces whose turn it is.
    fn hand_on(&self, mut taker: MutexGuard<'_, Taker<T>>) {
        while taker.error.is_none() {
            let turn = taker.turn;
            let piece = match lock(&self.shelf).done.get_mut(turn).and_then(Option::take) {
                None => return,
                Some(Ok(piece)) => piece,
                Some(Err(e)) => {
                    taker.error = Some(e);
                    return;
                }
            };
            taker.turn += 1;
            taker.piece(&piece);
            lock(&self.shelf).free.push(piece.room);
        }
    }

    /// Writes all of it, with the help of `hands`. Gives the one who took the text.
    ///
    /// # Errors
    /// The first thing, in the order of the text, that C cannot express.
    pub fn write(self, hands: &dyn Hands<'b>) -> Result<T, Error>
    where
        T: Send + 'b,
    {
        let writing = Arc::new(self);
        let theirs = Arc::clone(&writing);
        let aside = Aside::offer(hands, move || theirs.help());
        writing.help();
        aside.finish();
        let alone = Arc::into_inner(writing);
        alone.expect("whoever helped has ended").finish()
    }

    /// The one who took the text, once all have helped.
    ///
    /// # Errors
    /// The first thing, in the order of the text, that C cannot express.
    pub fn finish(self) -> Result<T, Error> {
        self.help();
        let taker = self.taker.into_inner();
        let taker = taker.unwrap_or_else(PoisonError::into_inner);
        match taker.error {
            Some(e) => Err(e),
            None => Ok(taker.take),
        }
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
        self.len += text.len();
        if self.len > MAX_TEXT {
            let most = MAX_TEXT >> 20;
            let what = format!("the header is longer than {most} MiB");
            self.error = Some(Error::unknown(what));
        } else if !text.is_empty() {
            (self.take)(text);
        }
    }
}
