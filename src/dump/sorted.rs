//! The order of names.

use super::block::compare_names;
use super::defs::{DefClass, Defs, Slot};
use super::text::scan;
use crate::btf::{Btf, Enumerator, StrOffset, TypeId};
use std::cmp::Ordering;
use std::collections::HashMap;

/// A named definition's place in the order of names.
#[derive(Clone, Copy)]
pub(super) struct Named {
    /// Eight bytes of the name: those by which the sort told it from its neighbours.
    key: u64,
    at: StrOffset,
    /// The slot, and whether it is a typedef's.
    of: u32,
}

const TYPEDEF: u32 = 1 << 31;
const ENUM: u32 = 1 << 30;

impl Named {
    #[inline]
    pub fn new(at: StrOffset, tail: &[u8], slot: Slot, class: DefClass) -> Named {
        Named {
            key: name_key(tail),
            at,
            of: match class {
                DefClass::Typedef => slot | TYPEDEF,
                DefClass::Enum => slot | ENUM,
                _ => slot,
            },
        }
    }

    #[inline]
    pub fn slot(&self) -> Slot {
        self.of & !(TYPEDEF | ENUM)
    }

    #[inline]
    pub fn typedef(&self) -> bool {
        self.of & TYPEDEF != 0
    }

    /// Whether it is an enum's.
    #[inline]
    pub fn is_enum(&self) -> bool {
        self.of & ENUM != 0
    }

    pub fn name(&self) -> StrOffset {
        self.at
    }

    /// The same name and namespace, borne by another.
    pub fn with(self, slot: Slot, class: DefClass) -> Named {
        let of = match class {
            DefClass::Enum => slot | ENUM,
            _ => self.of & TYPEDEF | slot,
        };
        Named { of, ..self }
    }

    /// The order of those that share a name.
    fn rank(&self) -> u32 {
        self.of & !ENUM
    }

    /// Whether it shares name and namespace with its neighbour in a sorted list.
    #[inline]
    pub fn is_like(&self, btf: &Btf<'_>, next: &Named) -> bool {
        self.key == next.key && compare_named(btf, self, next).is_eq()
    }
}

/// Half the hash of a name in its namespace.
#[inline]
pub(super) fn half_hash(of_name: u64, typedef: bool) -> u32 {
    (of_name >> 32) as u32 ^ u32::from(typedef) << 31
}

/// Named definitions that are still to be put in order.
pub(super) struct Roll {
    /// All that were found, as they lie in the BTF.
    pub named: Vec<Named>,
    /// Of those that share a name, the first, and which of them stand, in their order; by name.
    pub groups: Vec<(Slot, Vec<Named>)>,
    /// A base's, in order.
    pub base: Vec<Named>,
    /// The order of those that share a name with a base's.
    pub rank: HashMap<Slot, u32>,
}

impl Roll {
    /// All that stand, in the order of their names.
    pub fn in_order(self, btf: &Btf<'_>) -> Vec<Named> {
        let mut named = self.named;
        sort_named(btf, &mut named);
        if self.groups.is_empty() && self.base.is_empty() {
            return named;
        }
        let mut out: Vec<Named> = Vec::with_capacity(named.len());
        let mut groups = self.groups.into_iter().peekable();
        for run in named.chunk_by(|a, b| a.is_like(btf, b)) {
            match groups.next_if(|(first, _)| *first == run[0].slot()) {
                Some((_, standing)) => out.extend(standing),
                None => out.extend_from_slice(run),
            }
        }
        if !self.base.is_empty() {
            let rank = |slot: Slot| self.rank.get(&slot).copied().unwrap_or(0);
            merge_named(btf, &mut out, self.base, rank);
        }
        out
    }
}

/// A name's first eight bytes as a number that orders as the bytes do; 0 for the empty name.
#[inline]
pub(super) fn name_key(tail: &[u8]) -> u64 {
    let word = match tail.first_chunk::<8>() {
        Some(word) => u64::from_le_bytes(*word),
        None => {
            let mut word = [0; 8];
            word[..tail.len()].copy_from_slice(tail);
            u64::from_le_bytes(word)
        }
    };
    // The lowest of these bits is that of the first NUL.
    let nul = word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080;
    let before = (nul & nul.wrapping_neg()) >> 7;
    (word & before.wrapping_sub(1)).swap_bytes()
}

/// Sorts by name, namespace and type id.
pub(super) fn sort_named(btf: &Btf<'_>, named: &mut [Named]) {
    sort_from(btf, named, 0);
}

/// Sorts names that are the same up to `depth`, where their keys begin. By numbers: comparisons without a
/// branch.
fn sort_from(btf: &Btf<'_>, named: &mut [Named], depth: usize) {
    const DEEPEST: usize = 64;
    named.sort_unstable_by_key(|n| n.key);
    let same_key = |a: &Named, b: &Named| a.key == b.key;
    for run in named.chunk_by_mut(same_key).filter(|run| run.len() > 1) {
        let ended = run.first().is_some_and(|n| n.key & 0xff == 0);
        if ended {
            run.sort_unstable_by_key(Named::rank);
        } else if depth == DEEPEST {
            run.sort_unstable_by(|a, b| compare_named(btf, a, b).then(a.rank().cmp(&b.rank())));
        } else {
            let depth = depth + 8;
            for n in &mut *run {
                n.key = name_key(btf.name_tail(StrOffset(n.at.0 + depth as u32)));
            }
            sort_from(btf, run, depth);
        }
    }
}

/// By name, then by namespace: tags before typedefs.
pub(super) fn compare_named(btf: &Btf<'_>, a: &Named, b: &Named) -> Ordering {
    compare_names_at(btf, a.at, b.at).then(a.typedef().cmp(&b.typedef()))
}

/// Orders two names by where they are.
pub(super) fn compare_names_at(btf: &Btf<'_>, a: StrOffset, b: StrOffset) -> Ordering {
    match a == b {
        true => Ordering::Equal,
        false => compare_names(btf.name_tail(a), btf.name_tail(b)),
    }
}

/// Puts two lists that were sorted by themselves into one order; what shares a name goes by `rank`.
fn merge_named(
    btf: &Btf<'_>,
    named: &mut Vec<Named>,
    more: Vec<Named>,
    rank: impl Fn(Slot) -> u32,
) {
    named.extend(more);
    for n in &mut *named {
        // Keys of two lists do not compare.
        n.key = 0;
    }
    let rank = |n: &Named| (rank(n.slot()), n.slot());
    // Stable, and quick on what is in order already.
    named.sort_by(|a, b| compare_named(btf, a, b).then_with(|| rank(a).cmp(&rank(b))));
}

/// Those of a sorted list that share a name and namespace with `like`.
pub(super) fn find_named<'n>(btf: &Btf<'_>, sorted: &'n [Named], like: &Named) -> &'n [Named] {
    let from = sorted.partition_point(|n| compare_named(btf, n, like).is_lt());
    let behind = &sorted[from..];
    &behind[..behind.partition_point(|n| compare_named(btf, n, like).is_eq())]
}

impl Defs {
    /// Whether some definition of this namespace bears exactly this name.
    pub fn is_taken(&self, btf: &Btf<'_>, name: &[u8], typedef: bool) -> bool {
        // With a block behind it, as names in a BTF have.
        let tail = [name, &[0; 16]].concat();
        if !self.borne.may_hold(half_hash(scan(&tail).hash, typedef)) {
            return false;
        }
        let less =
            |n: &Named| compare_names(btf.name_tail(n.at), &tail).then(n.typedef().cmp(&typedef));
        self.named.binary_search_by(less).is_ok()
    }
}

/// Orders enums by content: names, then values, then size and sign.
pub(super) fn compare_enums(btf: &Btf<'_>, a: TypeId, b: TypeId) -> Ordering {
    let (a, b) = (btf.ty(a), btf.ty(b));
    let rows = a.enumerators().zip(b.enumerators());
    let differ = |(a, b): (Enumerator, Enumerator)| {
        compare_names_at(btf, a.name, b.name).then(a.value.cmp(&b.value))
    };
    rows.map(differ)
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.vlen().cmp(&b.vlen()))
        .then(a.size().cmp(&b.size()))
        .then(a.kind_flag().cmp(&b.kind_flag()))
}
