//! One pass over a type section: where its types lie, and how far their references reach.

use super::reach::{Most, Tail, Tails};
use super::types::{Kind, KindSet};
use super::wire::{self, Info, WORD, Word, read_word};
use std::cmp::Ordering;

/// Words that every type begins with: name, info, and size or type.
pub(super) const COMMON: usize = 3;

/// Where a type starts in the words of its section, and its kind in the lowest five bits.
#[derive(Clone, Copy)]
pub(super) struct Place(u32);

impl Place {
    /// More words than any kernel's BTF has: 512 MiB.
    pub const MOST: usize = 1 << 27;
    pub const FIRST: Place = Place(0);

    /// Of the kind whose number ends in the lowest five bits of `kind`.
    #[inline]
    fn new(at: usize, kind: u8) -> Place {
        Place((at as u32) << 5 | u32::from(kind) & 31)
    }

    #[inline]
    pub fn at(self) -> usize {
        (self.0 >> 5) as usize
    }

    #[inline]
    pub fn kind(self) -> Kind {
        Kind::from_low_bits(self.0)
    }

    /// A [`Tail`].
    #[inline(always)]
    pub fn tail(self) -> u8 {
        about(self.0 as u8 & 31).tail
    }

    /// What stands for its kind in a [`KindSet`].
    #[inline(always)]
    fn kind_bit(self) -> u32 {
        1 << (self.0 & 31)
    }

    #[inline]
    pub fn is_of(self, kinds: KindSet) -> bool {
        kinds.0 >> (self.0 & 31) & 1 != 0
    }
}

/// What a walk found.
pub(super) struct Walked {
    pub index: Vec<Place>,
    /// Of the types' first words: references may point forward, so only the largest are kept, to be judged at the end.
    pub most: Most,
    /// The integers, in no order.
    pub ints: Vec<Place>,
}

/// Why a walk ended early: at which word, behind how many types.
pub(super) enum Stop {
    /// So many words were needed.
    Truncated {
        at: usize,
        need: usize,
        types: usize,
    },
    /// Nobody knows how long such a type is.
    UnknownKind { at: usize, kind: u32, types: usize },
}

/// How many types are walked along at a time.
pub(super) const BATCH: usize = 512;

/// Walks a type section. `tails`, if it is there, is given all types, in no order.
pub(super) fn walk(
    words: &[Word],
    layout: &[u8],
    tails: Option<&mut Tails>,
) -> Result<Walked, Stop> {
    let mut walker = Walker {
        words,
        // Most types are 3 to 8 words long; a wrong guess costs a reallocation, not memory out of hand.
        index: Vec::with_capacity(words.len() / 6),
        most: Most::default(),
        ints: Vec::new(),
        tails,
    };
    let mut at = walker.in_pairs();
    loop {
        at = walker.along(words, at);
        let index = &mut walker.index;
        let first = words.get(at..).and_then(<[_]>::first_chunk::<COMMON>);
        let Some([name, info, _]) = first else {
            self::end(words, at, index)?;
            let Walker {
                index, most, ints, ..
            } = walker;
            return Ok(Walked { index, most, ints });
        };
        let info = Info(read_word(*info));
        let (kind, types) = (info.kind(), index.len());
        let known = unknown_tail(layout, info);
        let tail = known.ok_or(Stop::UnknownKind { at, kind, types })?;
        walker.most.add(0, read_word(*name));
        index.push(Place::new(at, Kind::Unknown as u8));
        at = at.saturating_add(COMMON).saturating_add(tail);
    }
}

/// A walk under way: what [`Walked`] will hold.
struct Walker<'w, 't> {
    words: &'w [Word],
    index: Vec<Place>,
    most: Most,
    ints: Vec<Place>,
    tails: Option<&'t mut Tails>,
}

impl Walker<'_, '_> {
    /// Walks from two places at a time as long as there is much to walk. Where the next type begins.
    fn in_pairs(&mut self) -> usize {
        let mut at: usize = 0;
        while let Some(middle) = middle(self.words, at)
            && let Some(end) = self.pair(at, middle)
        {
            at = end;
        }
        at
    }

    /// Walks from both places, until the first walk has come to where the second began. Where the second one has come to;
    /// nothing, and nothing done, if no type begins in the middle.
    ///
    /// Where a type begins is known only once all before it were read, each of which a processor waits for; so it has the
    /// time for two.
    fn pair(&mut self, at: usize, middle: usize) -> Option<usize> {
        // As much as ends before a type that begins in the middle has its first words.
        let below = self
            .words
            .get(..middle.saturating_add(COMMON).saturating_sub(1))?;
        let before = (self.index.len(), self.ints.len());
        let most_before = (self.most, self.tails.as_ref().map(|tails| tails.most));
        let mut behind: Vec<Place> = Vec::new();
        let mut batches = [[Place::FIRST; BATCH]; 2];
        let mut ats = [at, middle];
        let reached = loop {
            let (lens, kinds) =
                fill_both(&mut batches, [below, self.words], &mut ats, &mut self.most);
            let [first, second] = &batches;
            let [first_len, second_len] = lens;
            self.found(first.get(..first_len).unwrap_or_default(), kinds);
            let second = second.get(..second_len).unwrap_or_default();
            self.look(second, kinds);
            behind.extend_from_slice(second);
            let [at, _] = ats;
            if first_len < BATCH {
                break at;
            }
            if second_len < BATCH {
                break self.along(below, at);
            }
        };
        if reached == middle {
            self.index.extend_from_slice(&behind);
            let [_, end] = ats;
            return Some(end);
        }
        let (types, ints) = before;
        self.index.truncate(types);
        self.ints.truncate(ints);
        let (most, tails_most) = most_before;
        self.most = most;
        if let (Some(tails), Some(most)) = (&mut self.tails, tails_most) {
            tails.most = most;
        }
        None
    }

    /// Walks types of known kinds, up to the first that no one knows or that is not in these words. Where they end.
    fn along(&mut self, words: &[Word], mut at: usize) -> usize {
        let mut batch = [Place::FIRST; BATCH];
        loop {
            let (types, kinds) = fill(&mut batch, words, &mut at, &mut self.most);
            self.found(batch.get(..types).unwrap_or_default(), kinds);
            if types < BATCH {
                return at;
            }
        }
    }

    fn found(&mut self, types: &[Place], kinds: KindSet) {
        self.look(types, kinds);
        self.index.extend_from_slice(types);
    }

    /// Looks at types that are of no other kinds than these.
    fn look(&mut self, types: &[Place], kinds: KindSet) {
        const INT: KindSet = KindSet::of(&[Kind::Int]);
        if kinds.0 & INT.0 != 0 {
            self.ints.extend(types.iter().filter(|at| at.is_of(INT)));
        }
        if let Some(tails) = &mut self.tails {
            tails.add(self.words, types);
        }
    }
}

/// Where a type seems to begin in what is left from here on, before its middle, if there is much. No word tells a type's
/// first one from others; but what a pointer begins with, no name and an info that says nothing else, is hardly found anywhere
/// else, nor are the infos of two functions, one behind the other.
fn middle(words: &[Word], at: usize) -> Option<usize> {
    const MUCH: usize = 32 << 10;
    const POINTER: [Word; 2] = [[0; WORD], info_of(Kind::Ptr)];
    const FUNCTION: Word = info_of(Kind::Func);
    let rest = words.len().checked_sub(at).filter(|rest| *rest >= MUCH)?;
    // Types that come later are shorter, so that the second walk is not the first to end.
    let from = at.saturating_add(rest / 2).saturating_sub(rest / 16);
    let mut search = words.get(from..)?.array_windows::<5>().take(MUCH / 4);
    let found = search.position(|[name, info, _, _, next]| {
        [*name, *info] == POINTER || [*info, *next] == [FUNCTION; 2]
    });
    found.map(|n| from.saturating_add(n))
}

/// The info of a type of which nothing else is to say.
const fn info_of(kind: Kind) -> Word {
    ((kind as u32) << 24).to_le_bytes()
}

/// Fills a batch with the types that begin at this word, up to the first that no one knows or that does not begin in these
/// words. How many they are, and of which kinds; `at` is where they end.
#[inline(never)]
fn fill(
    batch: &mut [Place; BATCH],
    words: &[Word],
    at: &mut usize,
    most: &mut Most,
) -> (usize, KindSet) {
    let (mut here, mut all, mut kinds) = (*at, *most, KindSet(0));
    let mut types: usize = 0;
    for place in batch {
        let Some(found) = next(words, &mut here, &mut all) else {
            break;
        };
        *place = found;
        kinds.0 |= found.kind_bit();
        types = types.wrapping_add(1);
    }
    (*at, *most) = (here, all);
    (types, kinds)
}

/// As [`fill`], two batches at a time, until one of them ends.
#[inline(never)]
fn fill_both(
    [first, second]: &mut [[Place; BATCH]; 2],
    [words, second_words]: [&[Word]; 2],
    ats: &mut [usize; 2],
    most: &mut Most,
) -> ([usize; 2], KindSet) {
    let ([mut at, mut second_at], mut all) = (*ats, *most);
    let mut kinds = KindSet(0);
    let mut lens: [usize; 2] = [0; 2];
    for (place, second_place) in first.iter_mut().zip(second) {
        let Some(found) = next(words, &mut at, &mut all) else {
            break;
        };
        *place = found;
        kinds.0 |= found.kind_bit();
        let [len, second_len] = &mut lens;
        *len = len.wrapping_add(1);
        let Some(found) = next(second_words, &mut second_at, &mut all) else {
            break;
        };
        *second_place = found;
        kinds.0 |= found.kind_bit();
        *second_len = second_len.wrapping_add(1);
    }
    (*ats, *most) = ([at, second_at], all);
    (lens, kinds)
}

/// The type that begins at this word, and where it ends; nothing if no one knows it or none begins there.
///
/// Kinds follow each other in no order that a processor could foresee. So the way from one type to the next is short and
/// without a branch: two loads, a multiplication and a sum.
#[inline(always)]
fn next(words: &[Word], at: &mut usize, most: &mut Most) -> Option<Place> {
    let &[name, info, size_or_type] = words.get(*at..)?.first_chunk()?;
    let [.., top] = info;
    let about = about(top);
    if about.common == 0 {
        return None;
    }
    let place = Place::new(*at, top);
    let refers = u32::from(about.refers).wrapping_neg();
    most.add(read_word(size_or_type) & refers, read_word(name));
    let vlen = Info(read_word(info)).vlen() as usize;
    // No overflow: there are at most 2^27 words before this, and vlen has 24 bits.
    *at = at
        .wrapping_add(usize::from(about.common))
        .wrapping_add(usize::from(about.each).wrapping_mul(vlen));
    Some(place)
}

/// Whether a walk that has come to this word, where no type begins, has read all of them.
#[cold]
fn end(words: &[Word], at: usize, index: &[Place]) -> Result<(), Stop> {
    let types = index.len();
    let need = COMMON;
    match at.cmp(&words.len()) {
        Ordering::Equal => Ok(()),
        Ordering::Less => Err(Stop::Truncated { at, need, types }),
        // The last one goes on beyond the end.
        Ordering::Greater => {
            let start = index.last().map_or(0, |place| place.at());
            Err(Stop::Truncated {
                at: start,
                need: at.saturating_sub(start),
                types: types.saturating_sub(1),
            })
        }
    }
}

/// Words that belong to a type, behind the common three.
#[inline]
pub(super) fn tail_words(kind: Kind, info: Info) -> usize {
    let about = about(kind as u8);
    // No overflow: vlen has 24 bits.
    usize::from(about.each)
        .wrapping_mul(info.vlen() as usize)
        .wrapping_add(usize::from(about.common).saturating_sub(COMMON))
}

/// What the walk asks of a kind.
#[derive(Clone, Copy)]
struct About {
    /// Words of a type of this kind but for its rows; 0 for unknown kinds.
    common: u8,
    /// Words of each of its rows.
    each: u8,
    /// A [`Tail`].
    tail: u8,
    /// [`Kind::refers`].
    refers: bool,
}

/// What there is to say of a kind, by the upper byte of a type's info: its number, and kind_flag as the
/// highest bit.
#[inline(always)]
fn about(top: u8) -> About {
    // Any byte is less than 256.
    #[allow(clippy::indexing_slicing)]
    ABOUT[usize::from(top)]
}

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
static ABOUT: [About; 256] = {
    let unknown = About {
        common: 0,
        each: 0,
        tail: Tail::Plain as u8,
        refers: false,
    };
    let mut table = [unknown; 256];
    let mut raw = 1;
    while raw <= Kind::Enum64 as usize {
        let about = about_kind(Kind::from_low_bits(raw as u32));
        (table[raw], table[raw | 0x80]) = (about, about);
        raw += 1;
    }
    table
};

#[allow(clippy::arithmetic_side_effects)]
const fn about_kind(kind: Kind) -> About {
    use Kind::*;
    let (once, each, tail) = match kind {
        Array => (3, 0, Tail::Other),
        Int | Var | DeclTag => (1, 0, Tail::Plain),
        FuncProto => (0, 2, Tail::Params),
        Struct | Union => (0, 3, Tail::Members),
        Enum => (0, 2, Tail::Other),
        Enum64 | Datasec => (0, 3, Tail::Other),
        _ => (0, 0, Tail::Plain),
    };
    About {
        common: once + COMMON as u8,
        each,
        tail: tail as u8,
        refers: kind.refers(),
    }
}

/// Words behind the common three of a type whose kind is not known here, if the BTF tells.
#[cold]
fn unknown_tail(layout: &[u8], info: Info) -> Option<usize> {
    let (once, each) = wire::layout_of(layout, info.kind())?;
    let each = (each as usize).saturating_mul(info.vlen() as usize);
    Some(each.saturating_add(once as usize).div_ceil(WORD))
}

#[cfg(test)]
mod tests;
