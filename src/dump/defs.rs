//! What a header defines: one [`Def`] for each distinct type that C gives a body or a name.

use super::arithmetic::{float_text, int_text, integer_text, is_int128, natural_align};
use super::error::{Error, in_words};
use super::hash::Hash;
use super::met::Met;
use super::sorted::{Named, Roll, compare_enums, find_named, half_hash, name_key, sort_named};
use super::text::{Word, scan};
use super::twins::{self, class_of};
use crate::btf::{Btf, Kind, KindSet, StrOffset, Type, TypeId};
use std::collections::{HashMap, HashSet};

/// An index into the definitions; 0 is none.
pub(super) type Slot = u32;

/// A definition, or what stands for one: named and unnamed records and enums, typedefs, arithmetic types.
#[derive(Clone, Debug)]
pub(super) struct Def {
    /// The type that stands for all that are equal to it.
    pub id: TypeId,
    pub name: StrOffset,
    /// Length of the name in bytes.
    pub len: u32,
    /// How many members or enumerators.
    pub rows: u32,
    pub class: DefClass,
    pub state: State,
    /// [`Def::PACKED`] and the others.
    pub flags: u16,
    /// Alignment in bytes as this header's C gives it.
    pub align: u8,
    /// A typedef's: the record that must be complete where the typedef is used by value.
    pub needs: Slot,
    /// An arithmetic type's: its C text's number. A typedef's: the kind of type that it ends in.
    pub text: u32,
    /// Mentions in what is printed.
    pub uses: u32,
    /// 0, or the n of `name___n`.
    pub suffix: u32,
    /// Size in bytes.
    pub size: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DefClass {
    Struct,
    Union,
    Enum,
    Typedef,
    Arithmetic,
}

/// Where the ordering walk is with a definition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    New,
    Open,
    Done,
}

impl Def {
    /// A record with `__attribute__((packed))`.
    pub const PACKED: u16 = 1;
    /// A record whose layout C does not give by itself: padding has to be printed.
    pub const PADDED: u16 = 2;
    /// A struct whose members overlap: printed as a union of packed structs.
    pub const OVERLAPS: u16 = 4;
    /// The name is no C identifier, or a compiler's: printed escaped.
    pub const ESCAPED: u16 = 8;
    /// Mentioned in a parameter list before it is defined: declared first.
    pub const FORWARD: u16 = 16;
    /// Only declared.
    pub const INCOMPLETE: u16 = 32;
    /// An unnamed enum that needs a name to be referred to by.
    pub const HOISTED: u16 = 64;

    /// Its name is settled: the base has given it.
    pub const SETTLED: u16 = 128;
    /// An enum of which some enumerator has a suffix.
    pub const SUFFIXED: u16 = 512;
    /// Its mentions are counted: it shares a name, or has none.
    pub const COUNTED: u16 = 1024;
    /// The base prints it.
    pub const BASE: u16 = 256;

    pub fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    fn new(ty: &Type<'_>, class: DefClass) -> Def {
        Def {
            id: ty.id(),
            name: ty.name(),
            len: 0,
            rows: ty.vlen(),
            class,
            state: State::New,
            flags: 0,
            align: 1,
            needs: 0,
            text: 0,
            uses: 0,
            suffix: 0,
            size: u64::from(ty.size()),
        }
    }
}

/// What is known of a type, in a word, so that the walks over members look here first.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Memo(pub u32);

impl Memo {
    /// A mention as a member's type needs nothing more and counts for nothing.
    pub const BY_VALUE: u32 = 1 << 31;
    /// A mention as a parameter's type needs nothing more and counts for nothing.
    pub const IN_PARAMS: u32 = 1 << 30;
    const SETTLED: u32 = Memo::BY_VALUE | Memo::IN_PARAMS;

    /// Size and alignment in bytes of a type that objects have; nothing where they are too large.
    pub fn new(size: u64, align: u8) -> Memo {
        match u32::try_from(size) {
            Ok(size) if size < 1 << 25 => Memo(size << 5 | u32::from(align)),
            _ => Memo(0),
        }
    }

    /// Size and alignment in bytes, if known.
    #[inline]
    pub fn shape(self) -> Option<(u64, u64)> {
        let (size, align) = ((self.0 & !Memo::SETTLED) >> 5, self.0 & 31);
        (align != 0).then_some((u64::from(size), u64::from(align)))
    }

    #[inline]
    pub fn is_settled(self, how: u32) -> bool {
        self.0 & how != 0
    }
}

/// The definitions of a BTF (and of its base), and which type is which of them.
#[derive(Clone)]
pub(super) struct Defs {
    /// For each type id; 0 for what is no definition.
    pub slot: Vec<Slot>,
    /// Where this table and others end: behind the last type that something can be declared as. Functions,
    /// variables and their tags are most of a kernel's types, and its last.
    pub end: usize,
    pub defs: Vec<Def>,
    /// For each type id what is known of it: a [`Memo`]. (Of plain numbers, the allocator gives zeros for
    /// nothing.)
    memos: Vec<u32>,
    /// Named ones, the base's included, in the order of their names.
    pub named: Vec<Named>,
    /// Their names, and those of all that are equal to one of them.
    pub borne: Met,
    /// Unnamed enums, each once, ordered by content.
    pub unnamed_enums: Vec<Slot>,
    /// FUNCs that are kfuncs.
    pub kfuncs: Vec<TypeId>,
    /// The base's kfuncs.
    pub base_kfuncs: Vec<TypeId>,
    /// FUNCs with the tag `bpf_fastcall`.
    pub fastcalls: Vec<TypeId>,
    /// C texts of arithmetic types.
    pub texts: Vec<Word>,
    /// This BTF's own arithmetic types.
    pub arithmetic: Vec<Slot>,
    /// Names of equal rank among same-named definitions: their order by content.
    pub rank: HashMap<Slot, u32>,
    /// A base's definitions that this BTF defines once more, equal.
    pub repeats: Vec<Slot>,
    /// Of typedefs of arrays of typedefs, and so on: how many levels.
    pub array_depth: HashMap<Slot, u32>,
    /// Some INT says itself that it is a bit-field's, as before kernel 4.20.
    pub old_bit_fields: bool,
    /// Some member may be a bit-field, or have no name, without its own words saying so.
    pub odd_members: bool,
}

/// What definitions are found by.
const DEFINING: KindSet = KindSet::of(&[
    Kind::Struct,
    Kind::Union,
    Kind::Enum,
    Kind::Enum64,
    Kind::Typedef,
    Kind::Fwd,
    Kind::Int,
    Kind::Float,
    Kind::DeclTag,
]);

/// What something can be declared as.
const DECLARED: KindSet = KindSet::of(&[
    Kind::Int,
    Kind::Ptr,
    Kind::Array,
    Kind::Struct,
    Kind::Union,
    Kind::Enum,
    Kind::Fwd,
    Kind::Typedef,
    Kind::Volatile,
    Kind::Const,
    Kind::Restrict,
    Kind::Float,
    Kind::TypeTag,
    Kind::Enum64,
]);

impl Defs {
    /// Finds the definitions of a BTF that stands alone; [`Defs::named`] is still to be put in order.
    pub fn new(btf: &Btf<'_>) -> Result<(Defs, Roll), Error> {
        let mut defs = Defs {
            slot: Vec::new(),
            end: 0,
            defs: Vec::with_capacity(btf.types().len() / 5),
            memos: Vec::new(),
            named: Vec::new(),
            borne: Met::default(),
            unnamed_enums: Vec::new(),
            kfuncs: Vec::new(),
            base_kfuncs: Vec::new(),
            fastcalls: Vec::new(),
            texts: Vec::new(),
            arithmetic: Vec::new(),
            rank: HashMap::new(),
            repeats: Vec::new(),
            array_depth: HashMap::new(),
            old_bit_fields: false,
            odd_members: false,
        };
        // Slot 0 is nobody's.
        defs.defs
            .push(Def::new(&btf.ty(TypeId::VOID), DefClass::Arithmetic));
        let roll = defs.collect(btf)?;
        Ok((defs, roll))
    }

    /// Goes on from a base's definitions, whose names stay as they are.
    pub fn on_base(base: &Defs, split: &Btf<'_>) -> Result<(Defs, Roll), Error> {
        let mut defs = base.clone();
        defs.repeats.clear();
        defs.base_kfuncs.append(&mut defs.kfuncs);
        defs.fastcalls.clear();
        defs.arithmetic.clear();
        defs.rank.clear();
        for def in &mut defs.defs {
            def.uses = 0;
            def.flags = def.flags & !Def::FORWARD | Def::SETTLED | Def::BASE;
        }
        let roll = defs.collect(split)?;
        Ok((defs, roll))
    }

    #[inline]
    pub fn slot_of(&self, id: TypeId) -> Slot {
        self.slot.get(id.0 as usize).copied().unwrap_or(0)
    }

    #[inline]
    pub fn get(&self, slot: Slot) -> &Def {
        &self.defs[slot as usize]
    }

    #[inline]
    pub fn get_mut(&mut self, slot: Slot) -> &mut Def {
        &mut self.defs[slot as usize]
    }

    /// What is known of a type.
    #[inline]
    pub fn memo(&self, id: TypeId) -> Memo {
        Memo(self.memos.get(id.0 as usize).copied().unwrap_or(0))
    }

    /// What is known of each type: a [`Memo`].
    #[inline]
    pub fn memos(&self) -> &[u32] {
        &self.memos
    }

    /// Notes that mentions like that need nothing more.
    pub fn settle(&mut self, id: TypeId, how: u32) {
        if let Some(memo) = self.memos.get_mut(id.0 as usize) {
            *memo |= how;
        }
    }

    /// Notes a shape.
    pub fn note(&mut self, id: TypeId, shape: Memo) {
        if let Some(memo) = self.memos.get_mut(id.0 as usize) {
            *memo = *memo & Memo::SETTLED | shape.0;
        }
    }

    /// This BTF's own named definitions, in the order of their names.
    pub fn own_named(&self) -> impl Iterator<Item = Slot> + '_ {
        let own = |slot: &Slot| !self.get(*slot).is(Def::BASE);
        self.named.iter().map(Named::slot).filter(own)
    }

    fn collect(&mut self, btf: &Btf<'_>) -> Result<Roll, Error> {
        self.make_room(btf);
        // About as many as a kernel's types have.
        let names = btf.types().len() / 5;
        let mut named: Vec<Named> = Vec::with_capacity(names);
        self.borne.reserve(names);
        let mut unnamed_enums: Vec<TypeId> = Vec::new();
        btf.each_of(DEFINING, |ty| {
            let class = match ty.kind() {
                Kind::Struct => DefClass::Struct,
                Kind::Union => DefClass::Union,
                Kind::Enum | Kind::Enum64 => DefClass::Enum,
                Kind::Typedef => DefClass::Typedef,
                Kind::Fwd if ty.kind_flag() => DefClass::Union,
                Kind::Fwd => DefClass::Struct,
                Kind::Int | Kind::Float => return self.arithmetic(btf, &ty),
                _ => {
                    self.tag(btf, &ty);
                    return Ok(());
                }
            };
            let tail = btf.name_tail(ty.name());
            // Nor is one a name that lies outside the strings, as long as that is not checked.
            if ty.name().is_none() || tail.first().is_none_or(|b| *b == 0) {
                return self.unnamed(btf, &ty, class, &mut unnamed_enums);
            }
            let (slot, hash) = self.define(btf, &ty, tail, class);
            self.borne.note(half_hash(hash, class == DefClass::Typedef));
            named.push(Named::new(ty.name(), tail, slot, class));
            Ok(())
        })?;
        let name = |id: &TypeId| btf.name(btf.ty(*id).name());
        self.kfuncs.sort_by_cached_key(|id| (name(id), *id));
        self.kfuncs.dedup();
        self.odd_members = self.old_bit_fields || btf.has_blank_names();
        let roll = self.define_named(btf, named);
        self.define_unnamed_enums(btf, unnamed_enums)?;
        self.unite_kfuncs(btf);
        Ok(roll)
    }

    /// Has the tables by type id reach to the end of what can be declared, and notes what pointers are like.
    fn make_room(&mut self, btf: &Btf<'_>) {
        let (first, end) = (btf.first_id().0 as usize, btf.end_of(DECLARED).0 as usize);
        self.end = end;
        self.slot.resize(end, 0);
        self.memos.reserve_exact(end - self.memos.len());
        self.memos.resize(first, 0);
        let pointer = Memo::new(btf.pointer_size().into(), btf.pointer_size() as u8);
        let pointers = btf.own_are(KindSet::of(&[Kind::Ptr])).take(end - first);
        self.memos
            .extend(pointers.map(|is| if is { pointer.0 } else { 0 }));
    }

    fn unnamed(
        &mut self,
        btf: &Btf<'_>,
        ty: &Type<'_>,
        class: DefClass,
        enums: &mut Vec<TypeId>,
    ) -> Result<(), Error> {
        match class {
            DefClass::Typedef => return Err(Error::new(btf, ty.id(), "a typedef without a name")),
            DefClass::Enum => enums.push(ty.id()),
            _ if ty.kind() == Kind::Fwd => {
                let what = "a forward declaration without a name";
                return Err(Error::new(btf, ty.id(), what));
            }
            _ => {
                let slot = self.push(Def::new(ty, class));
                self.slot[ty.id().0 as usize] = slot;
            }
        }
        Ok(())
    }

    /// Of kfuncs that are there twice, leaves one.
    fn unite_kfuncs(&mut self, btf: &Btf<'_>) {
        let name = |id: &TypeId| btf.name(btf.ty(*id).name());
        let mut out: Vec<TypeId> = Vec::with_capacity(self.kfuncs.len());
        for same_named in self.kfuncs.chunk_by(|a, b| name(a) == name(b)) {
            let mut known: HashSet<Vec<u32>> = HashSet::new();
            let new =
                |id: &&TypeId| same_named.len() == 1 || known.insert(self.signature(btf, **id));
            out.extend(same_named.iter().filter(new));
        }
        self.kfuncs = out;
    }

    /// What a function is made of, down to definitions; cut off where it is longer than any function's.
    fn signature(&self, btf: &Btf<'_>, func: TypeId) -> Vec<u32> {
        const MOST: usize = 10_000;
        let mut out = vec![u32::from(self.fastcalls.contains(&func))];
        let mut todo = vec![btf.ty(func).target()];
        while let Some(id) = todo.pop().filter(|_| out.len() < MOST) {
            let (slot, ty) = (self.slot_of(id), btf.ty(id));
            let def = self.get(slot);
            if slot != 0 && def.len > 0 {
                out.extend([1, slot]);
                continue;
            }
            if slot != 0 && def.class == DefClass::Arithmetic {
                out.extend([2, def.text]);
                continue;
            }
            let look = twins::local_hash(btf, &ty);
            out.extend([0, look as u32, (look >> 32) as u32]);
            todo.extend(ty.members().map(|m| m.ty));
            todo.extend(ty.params().map(|p| p.ty));
            match ty.array() {
                Some(array) => todo.push(array.element),
                None if ty.kind() != Kind::Void => todo.push(ty.target()),
                None => {}
            }
        }
        out
    }

    fn push(&mut self, def: Def) -> Slot {
        self.defs.push(def);
        (self.defs.len() - 1) as Slot
    }

    fn tag(&mut self, btf: &Btf<'_>, ty: &Type<'_>) {
        if ty.component().is_some() || btf.kind(ty.target()) != Kind::Func {
            return;
        }
        match btf.name(ty.name()) {
            b"bpf_kfunc" => self.kfuncs.push(ty.target()),
            b"bpf_fastcall" => self.fastcalls.push(ty.target()),
            _ => {}
        }
    }

    /// Leaves of all that bear a name one definition for each type that differs.
    fn define_named(&mut self, btf: &Btf<'_>, named: Vec<Named>) -> Roll {
        let base = std::mem::take(&mut self.named);
        let mut shared = match base.is_empty() {
            true => self.borne.repeated().map(|n| named[n]).collect(),
            // Any may be a name of the base's too.
            false => named.clone(),
        };
        sort_named(btf, &mut shared);
        let mut groups: Vec<Vec<TypeId>> = Vec::new();
        let mut names: Vec<Named> = Vec::new();
        for run in shared.chunk_by(|a, b| a.is_like(btf, b)) {
            let of_base = match base.as_slice() {
                [] => &[],
                base => find_named(btf, base, &run[0]),
            };
            if run.len() > 1 || !of_base.is_empty() {
                let all = of_base.iter().chain(run);
                groups.push(all.map(|n| self.get(n.slot()).id).collect());
                names.push(run[0]);
            }
        }
        let mut standing: Vec<Vec<Named>> = vec![Vec::new(); groups.len()];
        if !groups.is_empty() {
            self.define_twins(btf, &groups, &names, &mut standing);
        }
        let rank = |slot: Slot| self.rank.get(&slot).copied().unwrap_or(0);
        for several in &mut standing {
            several.sort_by_key(|n| (rank(n.slot()), n.slot()));
        }
        Roll {
            named,
            groups: names.iter().map(Named::slot).zip(standing).collect(),
            rank: match base.is_empty() {
                true => HashMap::new(),
                false => self.rank.clone(),
            },
            base,
        }
    }

    /// Gives the definition's slot and its name's hash.
    fn define(
        &mut self,
        btf: &Btf<'_>,
        ty: &Type<'_>,
        tail: &[u8],
        class: DefClass,
    ) -> (Slot, u64) {
        let mut def = Def::new(ty, class);
        if matches!(class_of(ty), Some((_, true))) {
            def.flags |= Def::INCOMPLETE;
        }
        if class == DefClass::Enum {
            (def.align, def.state) = (natural_align(def.size), State::Done);
        }
        let name = scan(tail);
        def.len = name.len as u32;
        if !name.plain && !is_int128(btf, ty) {
            def.flags |= Def::ESCAPED;
        }
        let slot = self.push(def);
        self.slot[ty.id().0 as usize] = slot;
        (slot, name.hash)
    }

    /// Names that several types bear: equal types become one definition, different ones several.
    fn define_twins(
        &mut self,
        btf: &Btf<'_>,
        groups: &[Vec<TypeId>],
        names: &[Named],
        standing_of: &mut [Vec<Named>],
    ) {
        let equal = {
            let grouped: HashSet<TypeId> = groups.iter().flatten().copied().collect();
            let leaf = |id: TypeId| self.leaf(btf, id, &grouped);
            twins::refine(btf, groups, |id| id, leaf)
        };
        let mut standing: HashMap<u32, TypeId> = HashMap::new();
        let mut several: Vec<Vec<TypeId>> = Vec::new();
        for ((group, name), out) in groups.iter().zip(names).zip(standing_of) {
            let mut ids: Vec<TypeId> = Vec::new();
            // What defines stands before what only declares, and the base's before our own.
            let declares = |id: &TypeId| matches!(class_of(&btf.ty(*id)), Some((_, true)));
            let (declared, defined): (Vec<TypeId>, Vec<TypeId>) =
                group.iter().copied().partition(declares);
            for id in defined.into_iter().chain(declared) {
                let Some(label) = equal.label(id) else {
                    continue;
                };
                let Some(first) = standing.get(&label).copied() else {
                    standing.insert(label, id);
                    let slot = self.slot_of(id);
                    if !self.get(slot).is(Def::BASE) {
                        out.push(name.with(slot, self.get(slot).class));
                    }
                    ids.push(id);
                    continue;
                };
                let (slot, before) = (self.slot_of(first), self.slot_of(id));
                if self.get(before).is(Def::BASE) {
                    // The base only declares what this BTF defines: its types refer to the base's slot.
                    let ours = self.get(slot).clone();
                    let def = self.get_mut(before);
                    let (suffix, flags) = (def.suffix, ours.flags | Def::SETTLED);
                    *def = Def {
                        suffix,
                        flags,
                        ..ours
                    };
                    for id in group {
                        let of = &mut self.slot[id.0 as usize];
                        *of = if *of == slot { before } else { *of };
                    }
                    out.pop_if(|n| n.slot() == slot);
                } else {
                    self.slot[id.0 as usize] = slot;
                    if self.get(slot).is(Def::BASE) && !declares(&id) {
                        self.repeats.push(slot);
                    }
                }
            }
            if ids.len() > 1 {
                several.push(ids);
            }
        }
        self.repeats.sort_unstable();
        self.repeats.dedup();
        if several.is_empty() {
            return;
        }
        // Once more over those that differ, as if each type were there once, so that the order among them
        // does not depend on how often a type was written down.
        let several: Vec<Vec<TypeId>> = several
            .iter()
            .map(|ids| ids.iter().map(|id| equal.canon(*id)).collect())
            .collect();
        let grouped: HashSet<TypeId> = several.iter().flatten().copied().collect();
        let canon = |id| equal.canon(id);
        let order = twins::refine(btf, &several, canon, |id| self.leaf(btf, id, &grouped));
        for id in several.iter().flatten() {
            self.get_mut(self.slot_of(*id)).flags |= Def::COUNTED;
            self.rank
                .insert(self.slot_of(*id), order.label(*id).unwrap_or(0));
        }
    }

    /// A named definition that is alone of its name stands for itself: a value of its name.
    fn leaf(&self, btf: &Btf<'_>, id: TypeId, grouped: &HashSet<TypeId>) -> Option<u128> {
        if id == TypeId::VOID {
            // Below every hash and above every label.
            return Some(1 << 64);
        }
        let slot = self.slot_of(id);
        if slot == 0 || grouped.contains(&id) {
            return None;
        }
        let def = self.get(slot);
        if grouped.contains(&def.id) || def.class == DefClass::Arithmetic {
            return None;
        }
        let name = btf.name(def.name);
        if name.is_empty() {
            return None;
        }
        let mut h = Hash::new();
        h.word(def.class as u64);
        h.word(u64::from(def.suffix));
        h.bytes(name);
        Some(h.finish())
    }

    fn define_unnamed_enums(&mut self, btf: &Btf<'_>, ids: Vec<TypeId>) -> Result<(), Error> {
        let first = |id: TypeId| {
            btf.ty(id)
                .enumerators()
                .next()
                .map_or(0, |e| name_key(btf.name_tail(e.name)))
        };
        let mut keyed: Vec<(u64, TypeId)> = ids.into_iter().map(|id| (first(id), id)).collect();
        keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| compare_enums(btf, a.1, b.1)));
        let mut out: Vec<Slot> = Vec::with_capacity(keyed.len() + self.unnamed_enums.len());
        let base = std::mem::take(&mut self.unnamed_enums);
        let mut last: Option<TypeId> = None;
        for (_, id) in keyed {
            let ty = btf.ty(id);
            if ty.vlen() == 0 {
                // Says nothing that C could: an integer of its size.
                let text = int_text(u64::from(ty.size()), true).ok_or_else(|| {
                    Error::new(btf, id, format!("an enum of {} bytes", ty.size()))
                })?;
                self.arithmetic_def(&ty, text.to_string());
                continue;
            }
            if let Some(last) = last
                && compare_enums(btf, last, id).is_eq()
            {
                self.slot[id.0 as usize] = self.slot_of(last);
                continue;
            }
            let find = base.binary_search_by(|s| compare_enums(btf, self.get(*s).id, id));
            if let Ok(found) = find {
                self.slot[id.0 as usize] = base[found];
                continue;
            }
            let mut def = Def::new(&ty, DefClass::Enum);
            (def.align, def.state) = (natural_align(def.size), State::Done);
            def.flags |= Def::COUNTED;
            let slot = self.push(def);
            self.slot[id.0 as usize] = slot;
            out.push(slot);
            last = Some(id);
        }
        if !base.is_empty() {
            out.extend(base);
            out.sort_by(|a, b| compare_enums(btf, self.get(*a).id, self.get(*b).id));
        }
        self.unnamed_enums = out;
        Ok(())
    }

    fn arithmetic(&mut self, btf: &Btf<'_>, ty: &Type<'_>) -> Result<(), Error> {
        let text = match ty.kind() {
            Kind::Float => float_text(btf.name(ty.name()), ty.size()),
            _ => {
                let int = ty.int();
                let signed = int.is_some_and(|i| i.is_signed());
                let bool = int.is_some_and(|i| i.is_bool());
                self.old_bit_fields |= int.is_some_and(|i| {
                    i.bit_offset() > 0 || u64::from(i.bits()) < u64::from(i.size) * 8
                });
                integer_text(
                    btf.name(ty.name()),
                    ty.size(),
                    signed,
                    bool,
                    btf.pointer_size(),
                )
            }
        };
        let Some(text) = text else {
            let what = format!(
                "{} of {} bytes: C has none",
                in_words(btf, ty.id()),
                ty.size()
            );
            return Err(Error::new(btf, ty.id(), what));
        };
        self.arithmetic_def(ty, text);
        Ok(())
    }

    fn arithmetic_def(&mut self, ty: &Type<'_>, text: String) {
        let text = Word::new(&text);
        let number = match self.texts.iter().rposition(|t| *t == text) {
            Some(n) => n,
            None => {
                self.texts.push(text);
                self.texts.len() - 1
            }
        };
        let mut def = Def::new(ty, DefClass::Arithmetic);
        def.text = number as u32;
        def.align = natural_align(def.size);
        def.state = State::Done;
        self.note(ty.id(), Memo::new(def.size, def.align));
        let slot = self.push(def);
        self.arithmetic.push(slot);
        self.slot[ty.id().0 as usize] = slot;
    }
}
