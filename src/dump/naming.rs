//! Who gets a name that several definitions bear, and who gets `name___2`, `name___3`.
//!
//! C has two namespaces at file scope: tags, and everything else (typedefs, enumerators, functions). In
//! each, different definitions of one name are numbered, the most used first and of equal use by content;
//! a kfunc always keeps its name, since the kernel knows it by no other. A base's names are settled before
//! a module's, and a suffixed name that somebody bears by itself is skipped.

use super::defs::{Def, Defs, Slot};
use super::ordinary::{Ordinary, Owner};
use super::sorted::Named;
use crate::btf::{Btf, Kind, StrOffset, TypeId};
use std::cmp::Reverse;
use std::collections::HashMap;

/// The names of one header beyond those of its definitions.
#[derive(Clone, Default)]
pub(super) struct Naming {
    /// Suffixes of enumerators, by enum and number.
    enumerators: HashMap<(Slot, u32), u32>,
    /// For kfuncs whose name the header or its base has given already: the last suffix given.
    pub kfunc_suffix: HashMap<StrOffset, u32>,
    /// The typedef of `_Bool` called `bool`, and the enum of `false` and `true`, which the header's own
    /// lines declare.
    pub bool_typedef: Slot,
    /// See `bool_typedef`.
    pub bool_enum: Slot,
    table: Ordinary,
}

/// The ordinary names of a BTF's own definitions, in an order that depends on contents alone.
pub(super) struct Entries {
    kfuncs: Vec<TypeId>,
    typedefs: Vec<(Slot, TypeId, StrOffset)>,
    /// Named enums, then unnamed ones.
    enums: Vec<(Slot, TypeId)>,
    /// How many of them are named.
    named: usize,
    rows: usize,
}

impl Entries {
    /// Of definitions in order, `id` of each; nothing for a base's.
    pub fn new(
        btf: &Btf<'_>,
        named: &[Named],
        unnamed_enums: &[Slot],
        kfuncs: Vec<TypeId>,
        id: impl Fn(Slot) -> TypeId,
    ) -> Entries {
        let own = |slot: Slot| Some((slot, id(slot))).filter(|(_, id)| *id != TypeId::VOID);
        let all = named.iter().filter(|n| n.is_enum());
        let mut enums: Vec<(Slot, TypeId)> = all.filter_map(|n| own(n.slot())).collect();
        let named_enums = enums.len();
        enums.extend(unnamed_enums.iter().filter_map(|slot| own(*slot)));
        let typedefs = named.iter().filter(|n| n.typedef());
        let entry = |n: &Named| own(n.slot()).map(|(slot, id)| (slot, id, n.name()));
        Entries {
            kfuncs,
            typedefs: typedefs.filter_map(entry).collect(),
            rows: enums
                .iter()
                .map(|(_, id)| btf.ty(*id).vlen() as usize)
                .sum(),
            enums,
            named: named_enums,
        }
    }
}

/// Finds the names that several bear, some of them of a base's header.
pub(super) fn enter(btf: &Btf<'_>, own: &Entries, mut naming: Naming) -> Naming {
    fill(btf, own, &mut naming);
    naming
}

impl Naming {
    /// The names that a base has given.
    pub fn of_base(base: Option<&Naming>, defs: &Defs) -> Naming {
        let mut naming = base.cloned().unwrap_or_default();
        naming.settle_all(defs);
        naming
    }

    /// Has the mentions of those that share a name counted.
    pub fn count_uses(&self, defs: &mut Defs) {
        let clashes = self.table.clashes();
        for owner in clashes.into_iter().flat_map(|(_, owners)| owners) {
            if let Owner::Typedef(slot) | Owner::Enumerator(slot, _) = owner {
                defs.get_mut(*slot).flags |= Def::COUNTED;
            }
        }
    }
}

/// Settles all names of a header, now that uses are counted.
pub(super) fn settle(btf: &Btf<'_>, defs: &mut Defs, naming: &mut Naming) {
    settle_tags(btf, defs);

    if naming.bool_typedef != 0 {
        // The one keyword that the header itself makes usable under every standard.
        defs.get_mut(naming.bool_typedef).flags &= !Def::ESCAPED;
    }
    // Its enumerators are the header's own, so a mention of it is one of an int, as under a base's.
    defs.get_mut(naming.bool_enum).flags |= Def::BASE;
    for (at, owners) in naming.table.clashes() {
        let mut suffix = 0;
        let mut fresh: Vec<Owner> = Vec::new();
        for owner in owners {
            match owner {
                Owner::Settled(had) => suffix = suffix.max(*had),
                owner => fresh.push(*owner),
            }
        }
        // Stable: they were entered in the order of contents.
        fresh.sort_by_key(|owner| match owner {
            Owner::Typedef(slot) | Owner::Enumerator(slot, _) => (1, Reverse(defs.get(*slot).uses)),
            _ => (0, Reverse(0)),
        });
        let name = btf.name(at);
        if suffix > 0 && fresh.contains(&Owner::Kfunc) {
            naming.kfunc_suffix.insert(at, suffix);
        }
        for owner in fresh {
            suffix = next_suffix(name, suffix, |tried| naming.table.contains(btf, tried));
            match owner {
                Owner::Typedef(slot) => defs.get_mut(slot).suffix = suffix,
                Owner::Enumerator(slot, i) => {
                    naming.enumerators.insert((slot, i), suffix);
                    defs.get_mut(slot).flags |= Def::SUFFIXED;
                }
                Owner::Kfunc | Owner::Settled(_) => {}
            }
        }
    }
}

impl Naming {
    /// The suffix of an enum's enumerator.
    pub fn suffix_of(&self, slot: Slot, number: u32) -> u32 {
        self.enumerators.get(&(slot, number)).copied().unwrap_or(0)
    }

    /// Whether some ordinary identifier is exactly this, without suffix.
    pub fn is_taken(&self, btf: &Btf<'_>, name: &[u8]) -> bool {
        self.table.contains(btf, name)
    }

    /// Makes all owners so far a base's.
    fn settle_all(&mut self, defs: &Defs) {
        let enumerators = &self.enumerators;
        self.table.settle(|owner| match owner {
            Owner::Settled(suffix) => *suffix,
            Owner::Kfunc => 1,
            Owner::Typedef(slot) => defs.get(*slot).suffix,
            Owner::Enumerator(slot, i) => enumerators.get(&(*slot, *i)).copied().unwrap_or(1),
        });
    }
}

/// The suffix after `last`: none for the first, 2 for the second, and none that makes a name already taken.
pub(super) fn next_suffix(name: &[u8], last: u32, taken: impl Fn(&[u8]) -> bool) -> u32 {
    if last == 0 {
        return 1;
    }
    let mut suffix = last + 1;
    loop {
        let tried = [name, format!("___{suffix}").as_bytes()].concat();
        if !taken(&tried) {
            return suffix;
        }
        suffix += 1;
    }
}

fn settle_tags(btf: &Btf<'_>, defs: &mut Defs) {
    let named = std::mem::take(&mut defs.named);
    let runs = named.chunk_by(|a, b| a.is_like(btf, b));
    let mut settled: Vec<(Slot, u32)> = Vec::new();
    let mut asked: Vec<Vec<Slot>> = Vec::new();
    for run in runs.filter(|run| run.len() > 1 && !run[0].typedef()) {
        asked.push(run.iter().map(Named::slot).collect());
    }
    defs.named = named;
    for run in asked {
        let (base, mut own): (Vec<Slot>, Vec<Slot>) =
            run.iter().partition(|s| defs.get(**s).is(Def::SETTLED));
        let last = base.into_iter().map(|s| defs.get(s).suffix.max(1)).max();
        let mut suffix = last.unwrap_or(0);
        // Stable: the run is in the order of contents.
        own.sort_by_key(|s| Reverse(defs.get(*s).uses));
        let name = btf.name(defs.get(run[0]).name);
        for slot in own {
            suffix = next_suffix(name, suffix, |tried| defs.is_taken(btf, tried, false));
            settled.push((slot, suffix));
        }
    }
    for (slot, suffix) in settled {
        defs.get_mut(slot).suffix = suffix;
    }
}

/// Enters a BTF's own ordinary names.
fn fill(btf: &Btf<'_>, own: &Entries, naming: &mut Naming) {
    let table = &mut naming.table;
    let before = table.len();
    table.reserve(own.rows + own.typedefs.len() + own.kfuncs.len());
    for same_named in own
        .kfuncs
        .chunk_by(|a, b| btf.name(btf.ty(*a).name()) == btf.name(btf.ty(*b).name()))
    {
        table.enter(btf, btf.ty(same_named[0]).name(), Owner::Kfunc);
    }
    let mut bools: Vec<StrOffset> = Vec::new();
    for (slot, id, name) in own.typedefs.iter().copied() {
        if naming.bool_typedef == 0
            && btf.name_tail(name).starts_with(b"bool\0")
            && is_bool(btf, id)
        {
            naming.bool_typedef = slot;
            table.enter(btf, name, Owner::Settled(1));
            continue;
        }
        table.enter(btf, name, Owner::Typedef(slot));
    }
    for (n, (slot, id)) in own.enums.iter().copied().enumerate() {
        // In the order of their names they lie anywhere.
        let ahead = |by: usize| own.enums.get(n + by).map_or(TypeId::VOID, |(_, id)| *id);
        btf.place_soon(ahead(8));
        btf.type_soon(ahead(4));
        let ty = btf.ty(id);
        if naming.bool_enum == 0 && ty.vlen() == 2 && n >= own.named && is_false_true(btf, id) {
            naming.bool_enum = slot;
            for e in ty.enumerators() {
                bools.push(e.name);
            }
            continue;
        }
        for (i, e) in ty.enumerators().enumerate() {
            table.enter(btf, e.name, Owner::Enumerator(slot, i as u32));
        }
    }
    for name in bools {
        table.enter(btf, name, Owner::Settled(1));
    }
    table.find_clashes(btf, before);
}

/// Whether a typedef is `typedef _Bool bool` but for the name.
fn is_bool(btf: &Btf<'_>, typedef: TypeId) -> bool {
    let target = btf.ty(btf.ty(typedef).target());
    target.kind() == Kind::Int && target.size() == 1 && target.int().is_some_and(|i| i.is_bool())
}

/// Whether an enum is `enum { false = 0, true = 1 }`.
fn is_false_true(btf: &Btf<'_>, id: TypeId) -> bool {
    let ty = btf.ty(id);
    let rows: Vec<(&[u8], i128)> = ty
        .enumerators()
        .map(|e| (btf.name(e.name), e.value))
        .collect();
    ty.size() == 4 && rows == [(&b"false"[..], 0), (&b"true"[..], 1)]
}
