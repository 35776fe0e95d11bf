//! All ordinary identifiers of a header, to find those that several bear.

use super::defs::Slot;
use super::met::Met;
use super::sorted::{compare_names_at, half_hash};
use super::text::scan;
use crate::btf::{Btf, StrOffset};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// What bears an ordinary identifier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// Declared by the header itself or by its base, under this suffix.
    Settled(u32),
    Kfunc,
    Typedef(Slot),
    Enumerator(Slot, u32),
}

/// Ordinary identifiers in the order in which they were entered.
#[derive(Clone, Default)]
pub(super) struct Ordinary {
    entries: Vec<(StrOffset, Owner)>,
    /// Half a hash of each.
    met: Met,
    /// Those that the header itself declares.
    own: Vec<u32>,
    /// Names with more than one owner, by the number of the first entry.
    clashes: HashMap<u32, Vec<Owner>>,
    /// How many names were looked for that may have been there.
    sought: Arc<AtomicU32>,
    /// Hashes in order and whose they are, once that were many.
    sorted: OnceLock<Vec<(u32, u32)>>,
}

/// Whether the header itself declares this name.
pub(super) fn is_own(name: &[u8]) -> bool {
    matches!(name, b"bool" | b"true" | b"false")
}

impl Ordinary {
    /// Searches through all that take less time than to put all in order; most kernels need fewer.
    const FEW: u32 = 16;

    /// Has room for more.
    pub fn reserve(&mut self, more: usize) {
        (self.sought, self.sorted) = Default::default();
        self.entries.reserve(more);
        self.met.reserve(more);
    }

    /// Enters a name.
    #[inline]
    pub fn enter(&mut self, btf: &Btf<'_>, name: StrOffset, owner: Owner) {
        let tail = btf.name_tail(name);
        let read = scan(tail);
        if !read.plain && is_own(&tail[..read.len]) {
            self.own.push(self.entries.len() as u32);
        }
        self.met.note(half_hash(read.hash, false));
        self.entries.push((name, owner));
    }

    /// Finds the clashes of the entries from the nth on, with each other and with those before.
    pub fn find_clashes(&mut self, btf: &Btf<'_>, from: usize) {
        let mut found: Vec<u32> = self.met.repeated().map(|n| n as u32).collect();
        found.extend(&self.own);
        let hash = |n: u32| self.met.hashes()[n as usize];
        let name = |n: u32| self.entries[n as usize].0;
        let compare = |a: u32, b: u32| {
            hash(a)
                .cmp(&hash(b))
                .then_with(|| compare_names_at(btf, name(a), name(b)))
        };
        found.sort_unstable_by(|a, b| compare(*a, *b).then(a.cmp(b)));
        found.dedup();
        for group in found.chunk_by(|a, b| compare(*a, *b).is_eq()) {
            let owner = |n: &u32| self.entries[*n as usize].1;
            let is_own = is_own(btf.name(name(group[0])));
            if group.len() == 1 && !is_own {
                continue;
            }
            if let Some(owners) = self.clashes.get_mut(&group[0]) {
                let new = group.iter().filter(|n| **n as usize >= from);
                owners.extend(new.map(owner));
                continue;
            }
            let mut owners: Vec<Owner> = group.iter().map(owner).collect();
            if is_own && owners[0] != Owner::Settled(1) {
                owners.insert(0, Owner::Settled(1));
            }
            if owners.len() > 1 {
                self.clashes.insert(group[0], owners);
            }
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Names with more than one owner, in the order in which they were entered first.
    pub fn clashes(&self) -> Vec<(StrOffset, &[Owner])> {
        let mut clashes: Vec<(u32, &[Owner])> = self
            .clashes
            .iter()
            .map(|(n, owners)| (*n, owners.as_slice()))
            .collect();
        clashes.sort_unstable_by_key(|(n, _)| *n);
        let named = |(n, owners): (u32, _)| (self.entries[n as usize].0, owners);
        clashes.into_iter().map(named).collect()
    }

    /// Whether there is exactly this name.
    pub fn contains(&self, btf: &Btf<'_>, name: &[u8]) -> bool {
        let hash = half_hash(scan(&[name, b"\0"].concat()).hash, false);
        if !self.met.may_hold(hash) {
            return false;
        }
        let is_it = |n: u32| btf.name(self.entries[n as usize].0) == name;
        let hashes = self.met.hashes().iter().copied().zip(0..);
        if self.sought.fetch_add(1, Relaxed) < Ordinary::FEW {
            return hashes.filter(|(h, _)| *h == hash).any(|(_, n)| is_it(n));
        }
        let sorted = self.sorted.get_or_init(|| {
            let mut sorted: Vec<(u32, u32)> = hashes.collect();
            sorted.sort_unstable();
            sorted
        });
        let from = sorted.partition_point(|(h, _)| *h < hash);
        let mut same = sorted[from..].iter().take_while(|(h, _)| *h == hash);
        same.any(|(_, n)| is_it(*n))
    }

    /// Makes all entries so far a base's. `suffix` tells that of an owner; 0 or 1 for none.
    pub fn settle(&mut self, suffix: impl Fn(&Owner) -> u32) {
        for owner in self.clashes.values_mut().flatten() {
            *owner = Owner::Settled(suffix(owner).max(1));
        }
        for (_, owner) in &mut self.entries {
            *owner = Owner::Settled(1);
        }
    }
}
