//! The order of names.

use super::block::{KEEP, at_block, compare_names, judge};
use super::defs::{Defs, Slot};
use crate::btf::{Btf, Enumerator, StrOffset, TypeId};
use std::cmp::Ordering;

/// A named definition's place in the order of names.
#[derive(Clone, Copy)]
pub(super) struct Named {
    /// The name's first 16 bytes, big-endian, padded with zeros.
    pub key: u128,
    pub at: StrOffset,
    pub typedef: bool,
    pub slot: Slot,
}

/// A name's first 16 bytes as a number that orders as the bytes do; 0 for the empty name.
#[inline]
pub(super) fn sort_key(tail: &[u8]) -> u128 {
    let block = at_block(tail, 0).unwrap_or_else(|| {
        let mut block = [0; 16];
        block[..tail.len()].copy_from_slice(tail);
        u128::from_le_bytes(block)
    });
    (block & KEEP[judge(block).len()]).swap_bytes()
}

/// Sorts by name, namespace and type id.
pub(super) fn sort_named(btf: &Btf<'_>, named: &mut [Named]) {
    // By numbers first: comparisons without a branch.
    named.sort_unstable_by_key(|n| n.key);
    for run in named
        .chunk_by_mut(|a, b| a.key == b.key)
        .filter(|run| run.len() > 1)
    {
        run.sort_unstable_by(|a, b| compare_named(btf, a, b).then(a.slot.cmp(&b.slot)));
    }
}

/// By name, then by namespace: tags before typedefs.
pub(super) fn compare_named(btf: &Btf<'_>, a: &Named, b: &Named) -> Ordering {
    a.key
        .cmp(&b.key)
        .then_with(|| match a.at == b.at {
            true => Ordering::Equal,
            false => compare_names(btf.name_tail(a.at), btf.name_tail(b.at)),
        })
        .then(a.typedef.cmp(&b.typedef))
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
        let tail = [name, b"\0"].concat();
        let key = sort_key(&tail);
        let less = |n: &Named| {
            n.key
                .cmp(&key)
                .then_with(|| btf.name(n.at).cmp(name))
                .then(n.typedef.cmp(&typedef))
        };
        self.named.binary_search_by(less).is_ok()
    }
}

/// Orders enums by content: names, then values, then size and sign.
pub(super) fn compare_enums(btf: &Btf<'_>, a: TypeId, b: TypeId) -> Ordering {
    let (a, b) = (btf.ty(a), btf.ty(b));
    let row = |e: Enumerator| (btf.name(e.name), e.value);
    a.enumerators()
        .map(row)
        .cmp(b.enumerators().map(row))
        .then(a.size().cmp(&b.size()))
        .then(a.kind_flag().cmp(&b.kind_flag()))
}
