//! One pass over a type section: where its types lie, and how far their references reach.

use super::types::Kind;
use super::wire::{self, Info, WORD, Word, read_word};

/// Words that every type begins with: name, info, and size or type.
pub(super) const COMMON: usize = 3;

/// Where a type starts in the words of its section, and its kind in the lowest five bits.
#[derive(Clone, Copy)]
pub(super) struct Place(u32);

impl Place {
    /// More words than any kernel's BTF has: 512 MiB.
    pub const MOST: usize = 1 << 27;

    #[inline]
    fn new(at: usize, kind: Kind) -> Place {
        Place((at as u32) << 5 | kind as u32 & 31)
    }

    #[inline]
    pub fn at(self) -> usize {
        (self.0 >> 5) as usize
    }

    #[inline]
    pub fn kind(self) -> Kind {
        Kind::from_low_bits(self.0)
    }
}

/// What a walk found.
pub(super) struct Walked {
    pub index: Vec<Place>,
    /// Which of the types are INTs.
    pub ints: Vec<u32>,
    /// References may point forward, so only the largest are kept, to be judged at the end.
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

/// Walks a type section. A function of its own, so that the loop has the registers to itself.
#[inline(never)]
pub(super) fn walk(words: &[Word], layout: &[u8]) -> Result<Walked, Stop> {
    // Most types are 3 to 8 words long; a wrong guess costs a reallocation, not memory out of hand.
    let mut index: Vec<Place> = Vec::with_capacity(words.len() / 6);
    let mut ints = Vec::new();
    let mut most = Most::default();
    let mut rest = words;
    while !rest.is_empty() {
        let at = words.len().saturating_sub(rest.len());
        let types = index.len();
        let Some((&[name, info, size_or_type], behind)) = rest.split_first_chunk::<COMMON>() else {
            let need = COMMON;
            return Err(Stop::Truncated { at, need, types });
        };
        let info = Info(read_word(info));
        let kind = match info.kind() {
            raw @ 1..=LAST_KIND => Kind::from_low_bits(raw),
            _ => Kind::Unknown,
        };
        let tail_len = match kind {
            Kind::Unknown => match unknown_tail(layout, info) {
                Some(len) => len,
                None => {
                    let kind = info.kind();
                    return Err(Stop::UnknownKind { at, kind, types });
                }
            },
            known => tail_words(known, info),
        };
        most.string = most.string.max(read_word(name));
        most.id = most
            .id
            .max(read_word(size_or_type) & all_ones_if(kind.refers()));
        rest = behind;
        if tail_len > 0 {
            let Some((tail, behind)) = behind.split_at_checked(tail_len) else {
                let need = COMMON.saturating_add(tail_len);
                return Err(Stop::Truncated { at, need, types });
            };
            most.add_tail(kind, tail);
            rest = behind;
            if kind == Kind::Int {
                ints.push(types as u32);
            }
        }
        index.push(Place::new(at, kind));
    }
    Ok(Walked { index, ints, most })
}

/// The last of the kinds that are known here.
const LAST_KIND: u32 = Kind::Enum64 as u32;

/// Words that belong to a type, behind the common three.
#[inline]
pub(super) fn tail_words(kind: Kind, info: Info) -> usize {
    use Kind::*;
    // By a table, since kinds follow each other in no order that a processor could foresee.
    const ONCE: [u8; 32] = by_kind(&[Int, Var, DeclTag], 1, &[Array], 3);
    const EACH: [u8; 32] = by_kind(&[Enum, FuncProto], 2, &[Struct, Union, Datasec, Enum64], 3);
    let row = kind as usize & 31;
    let of = |table: &[u8; 32]| usize::from(table.get(row).copied().unwrap_or(0));
    // No overflow: vlen has 24 bits.
    of(&EACH)
        .wrapping_mul(info.vlen() as usize)
        .wrapping_add(of(&ONCE))
}

/// A table that holds `n` for these kinds, `m` for those, and 0 for others.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
const fn by_kind(these: &[Kind], n: u8, those: &[Kind], m: u8) -> [u8; 32] {
    let mut table = [0; 32];
    let mut i = 0;
    while i < these.len() {
        table[these[i] as usize] = n;
        i += 1;
    }
    let mut i = 0;
    while i < those.len() {
        table[those[i] as usize] = m;
        i += 1;
    }
    table
}

/// Words behind the common three of a type whose kind is not known here, if the BTF tells.
#[cold]
fn unknown_tail(layout: &[u8], info: Info) -> Option<usize> {
    let (once, each) = wire::layout_of(layout, info.kind())?;
    let each = (each as usize).saturating_mul(info.vlen() as usize);
    Some(each.saturating_add(once as usize).div_ceil(WORD))
}

#[inline]
fn all_ones_if(yes: bool) -> u32 {
    u32::from(yes).wrapping_neg()
}

/// The largest type id and the largest string offset that types name.
#[derive(Clone, Copy, Default)]
pub(super) struct Most {
    pub id: u32,
    pub string: u32,
}

impl Most {
    /// Adds what stands behind a type's first words.
    #[inline]
    pub fn add_tail(&mut self, kind: Kind, tail: &[Word]) {
        let (mut id, mut string) = (self.id, self.string);
        match kind {
            Kind::FuncProto | Kind::Enum => {
                let holds = all_ones_if(kind == Kind::FuncProto);
                for [name, ty] in tail.as_chunks::<2>().0 {
                    id = id.max(read_word(*ty) & holds);
                    string = string.max(read_word(*name));
                }
            }
            Kind::Struct | Kind::Union | Kind::Enum64 => {
                let holds = all_ones_if(kind != Kind::Enum64);
                for [name, ty, _] in tail.as_chunks::<3>().0 {
                    id = id.max(read_word(*ty) & holds);
                    string = string.max(read_word(*name));
                }
            }
            Kind::Array => {
                if let [element, index, ..] = tail {
                    id = id.max(read_word(*element)).max(read_word(*index));
                }
            }
            Kind::Datasec => {
                for [ty, ..] in tail.as_chunks::<3>().0 {
                    id = id.max(read_word(*ty));
                }
            }
            _ => {}
        }
        (self.id, self.string) = (id, string);
    }
}
