//! How far the references of types reach. They may point forward, so only the largest are kept, to be judged
//! once all types are known.

use super::types::Kind;
use super::walk::{BATCH, COMMON, Place, tail_words};
use super::wire::{Info, Word, read_word};

/// The largest type id and the largest string offset that types name.
#[derive(Clone, Copy, Default)]
pub(super) struct Most {
    pub id: u32,
    pub string: u32,
}

impl Most {
    #[inline(always)]
    pub fn add(&mut self, id: u32, string: u32) {
        self.id = self.id.max(id);
        self.string = self.string.max(string);
    }

    /// Adds what stands behind a type's first words.
    pub fn add_tail(&mut self, kind: Kind, tail: &[Word]) {
        match kind {
            Kind::FuncProto => self.add_rows::<2>(tail, u32::MAX),
            Kind::Enum => self.add_rows::<2>(tail, 0),
            Kind::Struct | Kind::Union => self.add_rows::<3>(tail, u32::MAX),
            Kind::Enum64 => self.add_rows::<3>(tail, 0),
            Kind::Array => {
                if let [element, index, ..] = tail {
                    self.add(read_word(*element).max(read_word(*index)), 0);
                }
            }
            Kind::Datasec => {
                for [ty, ..] in tail.as_chunks::<3>().0 {
                    self.add(read_word(*ty), 0);
                }
            }
            _ => {}
        }
    }

    /// Adds rows of a name and a word of which these bits are of a type id.
    #[inline(always)]
    fn add_rows<const N: usize>(&mut self, tail: &[Word], id_bits: u32) {
        let mut most = *self;
        for row in tail.as_chunks::<N>().0 {
            if let [name, ty, ..] = row.as_slice() {
                most.add(read_word(*ty) & id_bits, read_word(*name));
            }
        }
        *self = most;
    }

    /// Adds the parameters at the start of `rest`. Few are read whether they are there or not: a loop over
    /// those that are would end where no processor foresees it.
    #[inline(always)]
    fn add_params(&mut self, rest: &[Word], count: usize) {
        const FEW: usize = 5;
        match rest.first_chunk::<{ 2 * FEW }>() {
            Some(few) if count <= FEW => {
                // By themselves first, so that no prototype waits for the one before.
                let mut most = Most::default();
                for (n, [name, ty]) in few.as_chunks::<2>().0.iter().enumerate() {
                    let is_there = u32::from(n < count).wrapping_neg();
                    most.add(read_word(*ty) & is_there, read_word(*name) & is_there);
                }
                self.add(most.id, most.string);
            }
            _ => self.add_rows::<2>(tail(rest, count.saturating_mul(2)), u32::MAX),
        }
    }
}

/// What stands behind the first words of a type.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Tail {
    /// Nothing that refers to anything.
    Plain = 0,
    Params = 1,
    Members = 2,
    /// To be looked at more closely.
    Other = 3,
}

/// Reads what stands behind the first words of types, of a batch one sort after the other.
pub(super) struct Tails {
    by_tail: [[Place; BATCH]; 4],
    pub most: Most,
}

impl Tails {
    pub fn new() -> Tails {
        Tails {
            by_tail: [[Place::FIRST; BATCH]; 4],
            most: Most::default(),
        }
    }

    /// Reads a batch, of which no more than [`BATCH`] types are looked at. Of a type that is cut short nothing is read:
    /// that is an error anyway.
    #[inline(never)]
    pub fn add(&mut self, words: &[Word], batch: &[Place]) {
        let lens = self.sort(batch);
        let [_, params, members, others] = &self.by_tail;
        let [_, some_params, some_members, some_others] = lens;
        // Two, since one that is handed on by reference stays in memory.
        let (mut all, mut odd) = (Most::default(), Most::default());
        for place in params.iter().take(some_params) {
            let (info, rest) = split(words, *place);
            all.add_params(rest, info.vlen() as usize);
        }
        for place in members.iter().take(some_members) {
            let (info, mut rest) = split(words, *place);
            // Row by row: most records have few, and a loop of vectors takes its time to begin.
            for _ in 0..info.vlen() {
                let Some((&[name, ty, _], behind)) = rest.split_first_chunk::<3>() else {
                    break;
                };
                all.add(read_word(ty), read_word(name));
                rest = behind;
            }
        }
        for place in others.iter().take(some_others) {
            let (info, rest) = split(words, *place);
            let kind = place.kind();
            odd.add_tail(kind, tail(rest, tail_words(kind, info)));
        }
        for more in [all, odd] {
            self.most.add(more.id, more.string);
        }
    }

    /// Sorts a batch, without a branch. How many there are of each sort.
    #[inline(always)]
    // Remainders, so less than the lengths.
    #[allow(clippy::indexing_slicing)]
    fn sort(&mut self, batch: &[Place]) -> [usize; 4] {
        let mut lens: [usize; 4] = [0; 4];
        for place in batch.iter().take(BATCH) {
            let tail = usize::from(place.tail() % 4);
            let len = lens[tail];
            self.by_tail[tail][len % BATCH] = *place;
            lens[tail] = len.wrapping_add(1);
        }
        lens
    }
}

/// A type's info, and all that stands behind its first words.
#[inline(always)]
fn split(words: &[Word], place: Place) -> (Info, &[Word]) {
    let rest = words.get(place.at()..).unwrap_or_default();
    match rest.split_first_chunk::<COMMON>() {
        Some((&[_, info, _], rest)) => (Info(read_word(info)), rest),
        None => (Info(0), &[]),
    }
}

#[inline(always)]
fn tail(rest: &[Word], len: usize) -> &[Word] {
    rest.get(..len).unwrap_or_default()
}
