//! The part of a kernel's BTF that eBPF objects need for their CO-RE relocations.
//!
//! A kernel without BTF of its own can run a portable program if the program brings that kernel's: whole it has
//! megabytes, what a program's relocations look at is a few kilobytes. What is kept here gives every relocation of the
//! objects the same value as the whole does; `bpftool gen min_core_btf` does the same.

use super::check::{Candidate, CoreKind, Effort, Object, Spec, Target, TooMuch, resolve};
use crate::btf::{Btf, ByteOrder, Kind, StrOffset, Type, TypeId, is_long};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The BTF that these objects need of a kernel: raw, in the kernel's byte order.
///
/// Relocations that find nothing there need nothing, and find nothing in the smaller BTF either. Types of the kernel's
/// modules are not kept.
///
/// # Errors
/// An object asks for more than can be looked at.
pub fn minimize<'d>(
    target: &Target<'_>,
    objects: impl IntoIterator<Item = &'d Object<'d>>,
) -> Result<Vec<u8>, TooMuch> {
    let btf = target.kernel();
    let mut kept = Kept {
        btf,
        types: BTreeMap::new(),
        order: Vec::new(),
        followed: BTreeSet::new(),
        shaped: BTreeSet::new(),
    };
    let mut unfit: HashMap<TypeId, Vec<CoreKind>> = HashMap::new();
    for object in objects {
        let mut candidates: HashMap<TypeId, Vec<Candidate>> = HashMap::new();
        let mut seen = HashSet::new();
        let effort = Effort::new();
        for function in &object.functions {
            for relocation in &function.relocations {
                if !seen.insert((relocation.ty, relocation.kind, relocation.access)) {
                    continue;
                }
                let of_type = candidates
                    .entry(relocation.ty)
                    .or_insert_with(|| target.candidates(&object.btf, relocation.ty));
                let own = of_type.iter();
                let own = own.filter(|candidate| std::ptr::eq(target.btf(**candidate), btf));
                // All that fit: they have a say in whether the value is sure, and in other relocations of the type.
                for &candidate in own {
                    let resolved = resolve(
                        &object.btf,
                        relocation,
                        target,
                        &mut vec![candidate],
                        &effort,
                    );
                    match resolved.map(|resolved| resolved.found) {
                        Ok(Some((_, spec))) => kept.keep(relocation.kind, &spec),
                        Ok(None) if relocation.kind.is_type() => {
                            unfit.entry(candidate.id).or_default().push(relocation.kind);
                        }
                        _ => {}
                    }
                }
            }
        }
        effort.enough()?;
    }
    // What does not fit is kept as if it did, where another relocation needs some of it: some alone might fit.
    let mut at = 0;
    while let Some(&id) = kept.order.get(at) {
        at += 1;
        for kind in unfit.remove(&id).unwrap_or_default() {
            kept.asked(kind, id);
        }
    }
    kept.keep_long();
    Ok(write(btf, &kept.types))
}

/// What is kept: types, and of records which members.
struct Kept<'b> {
    btf: &'b Btf<'b>,
    types: BTreeMap<TypeId, BTreeSet<u32>>,
    /// The types, as they came.
    order: Vec<TypeId>,
    /// Types of which everything was followed, through pointers too.
    followed: BTreeSet<TypeId>,
    /// Types whose shape is kept, behind a pointer or not.
    shaped: BTreeSet<(TypeId, bool)>,
}

impl Kept<'_> {
    fn keep(&mut self, kind: CoreKind, spec: &Spec<'_>) {
        match kind.is_field() {
            true => self.way(spec),
            false => self.asked(kind, spec.root),
        }
    }

    /// What a relocation on a type as such, or on an enumerator, looks at.
    fn asked(&mut self, kind: CoreKind, id: TypeId) {
        match kind {
            CoreKind::TypeMatches => self.shape(id),
            kind => self.ty(id, kind.is_type()),
        }
    }

    /// A type and what it stands for; not what is in a record. What a pointer points at only where `through`.
    fn ty(&mut self, id: TypeId, through: bool) {
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            let is_done = match through {
                true => !self.followed.insert(id),
                false => self.types.contains_key(&id),
            };
            // What a reader of today does not know is not kept, and stands as `void`.
            if is_done || matches!(self.btf.kind(id), Kind::Void | Kind::Unknown) {
                continue;
            }
            self.types.entry(id).or_insert_with(|| {
                self.order.push(id);
                BTreeSet::new()
            });
            let ty = self.btf.ty(id);
            match ty.kind() {
                Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Datasec => {}
                Kind::Ptr if !through => {}
                _ => todo.extend(ty.references()),
            }
        }
    }

    /// The members on the way to a field.
    fn way(&mut self, spec: &Spec<'_>) {
        let mut id = spec.root;
        self.ty(id, false);
        for &index in spec.raw.iter().skip(1) {
            let Some(at) = self.behind(id) else { return };
            let ty = self.btf.ty(at);
            if let Some(array) = ty.array() {
                id = array.element;
            } else if let Some(member) = ty.members().nth(index as usize) {
                self.types.entry(at).or_default().insert(index);
                id = member.ty;
            } else {
                return;
            }
            self.ty(id, false);
        }
        // Whether an array is one without a length is told by its being the last.
        for step in spec.steps.iter().filter(|step| step.name.is_some()) {
            let last = self.btf.ty(step.ty).vlen().checked_sub(1);
            if last == Some(step.index) {
                continue;
            }
            let member = self.btf.ty(step.ty).members().nth(step.index as usize);
            let is_array = |id| {
                self.behind(id)
                    .is_some_and(|id| self.btf.ty(id).array().is_some_and(|a| a.count == 0))
            };
            if member.is_some_and(|m| is_array(m.ty))
                && let Some(last) = last
            {
                self.member(step.ty, last);
            }
        }
    }

    fn member(&mut self, record: TypeId, index: u32) {
        self.types.entry(record).or_default().insert(index);
        if let Some(member) = self.btf.ty(record).members().nth(index as usize) {
            self.ty(member.ty, false);
        }
    }

    /// All that a comparison of shapes looks at.
    fn shape(&mut self, id: TypeId) {
        let mut todo = vec![(id, false)];
        while let Some((id, behind_pointer)) = todo.pop() {
            if !self.shaped.insert((id, behind_pointer)) {
                continue;
            }
            self.ty(id, false);
            let ty = self.btf.ty(id);
            match ty.kind() {
                Kind::Struct | Kind::Union if behind_pointer => {}
                Kind::Struct | Kind::Union => {
                    let all = self.types.entry(id).or_default();
                    all.extend(0..ty.vlen());
                    todo.extend(ty.members().map(|m| (m.ty, false)));
                }
                kind => {
                    let behind = behind_pointer || kind == Kind::Ptr;
                    todo.extend(ty.references().map(|id| (id, behind)));
                }
            }
        }
    }

    /// The type behind modifiers and typedefs.
    fn behind(&self, mut id: TypeId) -> Option<TypeId> {
        for _ in 0..256 {
            let kind = self.btf.kind(id);
            if !kind.is_modifier() && kind != Kind::Typedef {
                return Some(id);
            }
            id = self.btf.ty(id).target();
        }
        None
    }

    /// By the largest `long` readers tell how large a pointer is; without one it has 8 bytes.
    fn keep_long(&mut self) {
        let btf = self.btf;
        let long = |ty: &Type<'_>| ty.kind() == Kind::Int && is_long(btf.name(ty.name()));
        let tells = |ty: &Type<'_>| long(ty) && ty.size() == btf.pointer_size();
        let kept = || self.types.keys().map(|id| btf.ty(*id));
        let misleads = kept().any(|ty| long(&ty)) && !kept().any(|ty| tells(&ty));
        if (btf.pointer_size() != 8 || misleads)
            && let Some(long) = btf.types().find(tells)
        {
            self.ty(long.id(), false);
        }
    }
}

/// The words of a BTF that is being written.
struct Writer<'b> {
    btf: &'b Btf<'b>,
    words: Vec<u32>,
    strings: Vec<u8>,
    places: HashMap<&'b [u8], u32>,
    ids: HashMap<TypeId, u32>,
}

impl Writer<'_> {
    fn string(&mut self, at: StrOffset) -> u32 {
        let name = self.btf.name(at);
        if name.is_empty() {
            return 0;
        }
        let next = self.strings.len() as u32;
        let place = *self.places.entry(name).or_insert(next);
        if place == next {
            self.strings.extend_from_slice(name);
            self.strings.push(0);
        }
        place
    }

    /// The new id; `void` for what was not kept.
    fn id(&self, id: TypeId) -> u32 {
        self.ids.get(&id).copied().unwrap_or(0)
    }

    fn ty(&mut self, ty: &Type<'_>, members: &BTreeSet<u32>) {
        let kept: Vec<_> = match ty.kind().is_record() {
            true => ty
                .members()
                .enumerate()
                .filter(|(n, _)| members.contains(&(*n as u32)))
                .collect(),
            false => Vec::new(),
        };
        let vlen = match ty.kind() {
            Kind::Struct | Kind::Union => kept.len() as u32,
            // Of a section its size is asked, nothing of its variables.
            Kind::Datasec => 0,
            _ => ty.vlen(),
        };
        let name = self.string(ty.name());
        let info = vlen | (ty.kind() as u32) << 24 | u32::from(ty.kind_flag()) << 31;
        let third = match ty.kind().refers() {
            true => self.id(ty.target()),
            false => ty.size(),
        };
        self.words.extend([name, info, third]);
        if let Some(int) = ty.int() {
            let flags = u32::from(int.is_signed())
                | u32::from(int.is_char()) << 1
                | u32::from(int.is_bool()) << 2;
            self.words
                .push(int.bits() | int.bit_offset() << 16 | flags << 24);
        }
        if let Some(array) = ty.array() {
            let row = [self.id(array.element), self.id(array.index), array.count];
            self.words.extend(row);
        }
        match ty.kind() {
            Kind::DeclTag => self.words.push(ty.component().unwrap_or(u32::MAX)),
            // Its linkage, which nobody asks for either.
            Kind::Var => self.words.push(0),
            _ => {}
        }
        for (_, member) in kept {
            let row = [
                self.string(member.name),
                self.id(member.ty),
                u32::from(member.width) << 24 | member.bit_offset,
            ];
            self.words.extend(row);
        }
        for value in ty.enumerators() {
            let (name, bits) = (self.string(value.name), value.value as u64);
            self.words.extend([name, bits as u32]);
            if ty.kind() == Kind::Enum64 {
                self.words.push((bits >> 32) as u32);
            }
        }
        for param in ty.params() {
            let row = [self.string(param.name), self.id(param.ty)];
            self.words.extend(row);
        }
    }
}

fn write(btf: &Btf<'_>, types: &BTreeMap<TypeId, BTreeSet<u32>>) -> Vec<u8> {
    let ids = types.keys().zip(1..).map(|(id, new)| (*id, new));
    let mut writer = Writer {
        btf,
        words: Vec::new(),
        strings: vec![0],
        places: HashMap::new(),
        ids: ids.collect(),
    };
    for (id, members) in types {
        writer.ty(&btf.ty(*id), members);
    }
    let types_len = (writer.words.len() * 4) as u32;
    let strings_len = writer.strings.len() as u32;
    let big = btf.byte_order() == ByteOrder::Big;
    let word = |word: u32| match big {
        true => word.to_be_bytes(),
        false => word.to_le_bytes(),
    };
    let mut out = match big {
        true => vec![0xeb, 0x9f, 1, 0],
        false => vec![0x9f, 0xeb, 1, 0],
    };
    let header = [24, 0, types_len, types_len, strings_len];
    for value in header.into_iter().chain(writer.words) {
        out.extend(word(value));
    }
    out.extend(writer.strings);
    out
}
