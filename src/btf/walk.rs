//! One pass over a type section: where its types lie, and how far their references reach.

use super::reach::{Most, Tail};
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

/// Walks a type section; `each` is given the types in batches.
pub(super) fn walk(
    words: &[Word],
    layout: &[u8],
    mut each: impl FnMut(&[Place]),
) -> Result<Walked, Stop> {
    // Most types are 3 to 8 words long; a wrong guess costs a reallocation, not memory out of hand.
    let mut index: Vec<Place> = Vec::with_capacity(words.len() / 6);
    let mut most = Most::default();
    let mut batch = [Place::FIRST; BATCH];
    let mut at: usize = 0;
    loop {
        let (types, end) = fill(&mut batch, words, at, &mut most);
        at = end;
        let found = batch.get(..types).unwrap_or_default();
        each(found);
        index.extend_from_slice(found);
        if types == BATCH {
            continue;
        }
        let first = words.get(at..).and_then(<[_]>::first_chunk::<COMMON>);
        let Some([name, info, _]) = first else {
            self::end(words, at, &index)?;
            return Ok(Walked { index, most });
        };
        let info = Info(read_word(*info));
        let (kind, types) = (info.kind(), index.len());
        let known = unknown_tail(layout, info);
        let tail = known.ok_or(Stop::UnknownKind { at, kind, types })?;
        most.add(0, read_word(*name));
        index.push(Place::new(at, Kind::Unknown as u8));
        at = at.saturating_add(COMMON).saturating_add(tail);
    }
}

/// Fills a batch with the types that begin at this word, up to the first that no one knows. How many they are, and where
/// they end.
///
/// Where a type begins is known only once all before it were read, and their kinds follow each other in no
/// order that a processor could foresee. So the way from one type to the next is short and without a branch:
/// two loads, a multiplication and a sum. A function of its own, so that the loop has the registers to itself.
#[inline(never)]
fn fill(
    batch: &mut [Place; BATCH],
    words: &[Word],
    mut at: usize,
    most: &mut Most,
) -> (usize, usize) {
    let mut all = *most;
    let mut types: usize = 0;
    for place in batch {
        let first = words.get(at..).and_then(<[_]>::first_chunk);
        let Some(&[name, info, size_or_type]) = first else {
            break;
        };
        let [.., top] = info;
        let about = about(top);
        if about.common == 0 {
            break;
        }
        *place = Place::new(at, top);
        types = types.wrapping_add(1);
        let refers = u32::from(about.refers).wrapping_neg();
        all.add(read_word(size_or_type) & refers, read_word(name));
        let vlen = Info(read_word(info)).vlen() as usize;
        // No overflow: there are at most 2^27 words before this, and vlen has 24 bits.
        at = at
            .wrapping_add(usize::from(about.common))
            .wrapping_add(usize::from(about.each).wrapping_mul(vlen));
    }
    *most = all;
    (types, at)
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
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::super::{Btf, ErrorKind, Kind, TypeId};

    /// A BTF of these words, and of strings that are `len` bytes long.
    fn btf_of(words: &[u32], len: u32) -> Vec<u8> {
        let types = words.len() as u32 * 4;
        let mut blob = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types, types, len].iter().chain(words) {
            blob.extend(word.to_le_bytes());
        }
        blob.extend((0..len).map(|n| if n % 2 == 0 { 0 } else { b'a' }));
        blob.pop();
        blob.push(0);
        blob
    }

    fn proto(params: &[[u32; 2]]) -> Vec<u32> {
        let info = (Kind::FuncProto as u32) << 24 | params.len() as u32;
        let mut words = vec![0, info, 0];
        words.extend(params.iter().flatten());
        words
    }

    #[test]
    fn each_parameter_is_checked_and_nothing_behind_the_last() {
        for count in 0..9 {
            // What follows would be bad as a parameter: a float of many bytes.
            let float = [1, (Kind::Float as u32) << 24, u32::MAX].repeat(8);
            let good = [proto(&vec![[1, 1]; count]), float.clone()].concat();
            assert!(Btf::parse(&btf_of(&good, 8)).is_ok(), "{count}");
            for bad in 0..count {
                for (row, is_string) in [([8, 1], true), ([1, 10], false)] {
                    let mut params = vec![[1, 1]; count];
                    params[bad] = row;
                    for behind in [&float[..], &[]] {
                        let words = [proto(&params), behind.to_vec()].concat();
                        let Err(e) = Btf::parse(&btf_of(&words, 8)) else {
                            panic!("{count} {bad}")
                        };
                        match e.kind() {
                            ErrorKind::StringOffset { at: 8, .. } => assert!(is_string),
                            ErrorKind::TypeId { .. } => assert!(!is_string),
                            other => panic!("{other:?}"),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn batches_join_without_a_seam() {
        let pointer = [0, (Kind::Ptr as u32) << 24, 0];
        for types in (505..520).chain(1017..1030) {
            let words = pointer.repeat(types);
            let blob = btf_of(&words, 2);
            let btf = Btf::parse(&blob).unwrap();
            assert_eq!(btf.types().len(), types);
            assert!(btf.types().all(|ty| ty.kind() == Kind::Ptr));
            // A last one that goes on beyond the end, is cut short, or is of a kind that no one knows.
            let two_members = (Kind::Struct as u32) << 24 | 2;
            let ends: [(&[u32], usize, &str); 3] = [
                (
                    &[0, two_members, 8, 1, 1],
                    0,
                    "it needs 36 bytes, there are 20,",
                ),
                (&[0, 1], 0, "it needs 12 bytes, there are 8,"),
                (&[0, 99 << 24, 0], 4, "kind 99"),
            ];
            for (end, behind, what) in ends {
                let blob = btf_of(&[&words, end].concat(), 2);
                let Err(e) = Btf::parse(&blob) else {
                    panic!("{types} {what}")
                };
                assert_eq!(e.type_id(), Some(TypeId(types as u32 + 1)), "{e}");
                assert_eq!(e.offset(), 24 + types * 12 + behind, "{e}");
                assert!(e.to_string().contains(what), "{e}");
            }
        }
    }
}
