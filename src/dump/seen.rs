//! Names of the members of the records under way, to find one that is there twice.

use crate::btf::{Btf, StrOffset};
use std::collections::BTreeMap;

/// Member names seen in the scopes under way.
#[derive(Default)]
pub(super) struct Seen {
    /// Half a hash, and the name.
    names: Vec<(u32, StrOffset)>,
    scope: Scope,
    /// Those around it that have names.
    around: Vec<Scope>,
}

/// A record's member names.
#[derive(Default)]
struct Scope {
    /// Where they begin in [`Seen::names`].
    start: usize,
    /// A bit for each hash, by its upper bits: where that is clear, the name is new.
    bits: [u64; 32],
    /// Where a hash is, once there are many.
    map: Option<BTreeMap<u32, u32>>,
}

impl Seen {
    /// Up to this many names are searched one by one.
    const FEW: usize = 512;

    /// Begins a record's scope. Whether there are names around it.
    #[inline]
    pub fn open(&mut self) -> bool {
        let start = self.names.len();
        let inside = start != self.scope.start;
        if inside {
            let inner = Scope {
                start,
                ..Scope::default()
            };
            self.around.push(std::mem::replace(&mut self.scope, inner));
        }
        inside
    }

    /// Goes back to the scope around; `inside` as [`Seen::open`] said.
    #[inline]
    pub fn close(&mut self, inside: bool) {
        self.names.truncate(self.scope.start);
        match self.around.pop_if(|_| inside) {
            Some(around) => self.scope = around,
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
            // All of them, without a branch for each.
            let found = mine
                .iter()
                .fold(false, |found, (h, _)| found | (*h == half));
            return found && mine.iter().any(|(h, other)| *h == half && same(*other));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A BTF without types, with these names; gives where each is too.
    fn names(names: &[String]) -> (Vec<u8>, Vec<StrOffset>) {
        let mut strings = vec![0];
        let at = names.iter().map(|name| {
            let at = StrOffset(strings.len() as u32);
            strings.extend_from_slice(name.as_bytes());
            strings.push(0);
            at
        });
        let at = at.collect();
        let mut blob = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, 0, 0, strings.len() as u32] {
            blob.extend_from_slice(&word.to_le_bytes());
        }
        blob.extend(strings);
        (blob, at)
    }

    #[test]
    fn a_name_is_found_in_its_own_scope_alone() {
        for count in [2, 60, 500, 3000] {
            // Each name is there twice, at another place.
            let all: Vec<String> = (0..count * 2)
                .map(|n| format!("name_{}", n % count))
                .collect();
            let (blob, at) = names(&all);
            let btf = Btf::parse(&blob).unwrap();
            // Hashes that many share, and some that none does.
            for spread in [1, 0x9e37_79b9_7f4a_7c15] {
                let hash = |n: usize| ((n % count) as u64 / 2).wrapping_mul(spread);
                let mut seen = Seen::default();
                let outer = seen.open();
                assert!(!seen.repeats(&btf, at[0], hash(0)));
                let inner = seen.open();
                for (n, at) in at.iter().enumerate() {
                    let there = seen.repeats(&btf, *at, hash(n));
                    assert_eq!(there, n >= count, "{n} of {count}");
                }
                seen.close(inner);
                assert!(seen.repeats(&btf, at[count], hash(count)));
                assert!(!seen.repeats(&btf, at[1], hash(1)));
                seen.close(outer);
                assert!(!seen.repeats(&btf, at[0], hash(0)));
            }
        }
    }
}
