//! Names of the members of the records under way, to find one that is there twice.

use crate::btf::{Btf, StrOffset};
use std::collections::BTreeMap;

/// Member names seen in the scopes under way.
#[derive(Default)]
pub(super) struct Seen {
    /// Half a hash, and the name.
    names: Vec<(u32, StrOffset)>,
    scope: Scope,
}

/// A record's member names.
#[derive(Default)]
pub(super) struct Scope {
    /// Where they begin in [`Seen::names`].
    start: usize,
    /// A bit for each hash, by its upper bits: where that is clear, the name is new.
    bits: [u64; 32],
    /// Where a hash is, once there are many.
    map: Option<Box<BTreeMap<u32, u32>>>,
}

impl Seen {
    /// Up to this many names are searched one by one.
    const FEW: usize = 64;

    /// Begins a record's scope. Gives the one around it, where that has names.
    #[inline]
    pub fn open(&mut self) -> Option<Box<Scope>> {
        let start = self.names.len();
        if start == self.scope.start {
            return None;
        }
        let inner = Scope {
            start,
            ..Scope::default()
        };
        Some(Box::new(std::mem::replace(&mut self.scope, inner)))
    }

    /// Goes back to the scope around.
    #[inline]
    pub fn close(&mut self, around: Option<Box<Scope>>) {
        self.names.truncate(self.scope.start);
        match around {
            Some(around) => self.scope = *around,
            None => {
                self.scope.bits.fill(0);
                self.scope.map = None;
            }
        }
    }

    /// Notes a name; true if the scope has it already.
    #[inline(always)]
    pub fn repeats(&mut self, btf: &Btf<'_>, name: StrOffset, hash: u64) -> bool {
        let bit = 1 << (hash >> 53 & 63);
        let bits = &mut self.scope.bits[(hash >> 59) as usize];
        let maybe = *bits & bit != 0;
        *bits |= bit;
        let half = (hash >> 32) as u32;
        if maybe && self.search(btf, name, half) {
            return true;
        }
        self.names.push((half, name));
        false
    }

    #[cold]
    #[inline(never)]
    fn search(&mut self, btf: &Btf<'_>, name: StrOffset, half: u32) -> bool {
        let mine = &self.names[self.scope.start..];
        let same = |other: StrOffset| other == name || btf.name(other) == btf.name(name);
        if mine.len() <= Seen::FEW {
            return mine.iter().any(|(h, other)| *h == half && same(*other));
        }
        let map = self.scope.map.get_or_insert_default();
        for (i, (h, _)) in mine.iter().enumerate().skip(map.len()) {
            map.entry(*h).or_insert(i as u32);
        }
        match map.get(&half).map(|i| mine[*i as usize].1) {
            None => false,
            // Two names of one hash: look at all.
            Some(other) => same(other) || mine.iter().any(|(_, other)| same(*other)),
        }
    }
}
