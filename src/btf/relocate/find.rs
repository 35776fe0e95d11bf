//! Which type of the base each type of a distilled base is.

use super::RelocateError;
use crate::btf::{Btf, Kind, Type, TypeId};
use std::collections::HashMap;

/// What a type of the distilled base can be found by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Class {
    /// With its encoding.
    Int(u32),
    Float,
    /// ENUM64 too: a distilled base has ENUM for both.
    Enum,
    Struct,
    Union,
    FwdStruct,
    FwdUnion,
}

fn class(ty: &Type<'_>) -> Option<Class> {
    Some(match ty.kind() {
        Kind::Int => Class::Int(ty.int().map_or(0, |i| {
            u32::from(i.is_signed()) | u32::from(i.is_char()) << 1 | u32::from(i.is_bool()) << 2
        })),
        Kind::Float => Class::Float,
        Kind::Enum | Kind::Enum64 => Class::Enum,
        Kind::Struct => Class::Struct,
        Kind::Union => Class::Union,
        Kind::Fwd if ty.kind_flag() => Class::FwdUnion,
        Kind::Fwd => Class::FwdStruct,
        _ => return None,
    })
}

/// The first type found under a name, and how many there are.
#[derive(Clone, Copy, Default)]
struct Found {
    id: TypeId,
    count: u32,
}

impl Found {
    fn add(&mut self, id: TypeId) {
        if self.count == 0 {
            self.id = id;
        }
        self.count = self.count.saturating_add(1);
    }

    fn or(self, other: Found) -> Found {
        Found {
            id: if self.count == 0 { other.id } else { self.id },
            count: self.count.saturating_add(other.count),
        }
    }
}

/// What a base has under the names that a distilled base knows.
#[derive(Default)]
struct Candidates<'b> {
    any_size: HashMap<(&'b [u8], Class), Found>,
    of_size: HashMap<(&'b [u8], Class, u32), Found>,
}

impl<'b> Candidates<'b> {
    fn collect(distilled: &Btf<'b>, base: &Btf<'b>) -> Candidates<'b> {
        // No more is kept of a base than a distilled base asks for.
        let asked: HashMap<&[u8], ()> = distilled
            .types()
            .map(|ty| (distilled.name(ty.name()), ()))
            .collect();
        let mut found = Candidates::default();
        for id in (1..base.end_id()).map(TypeId) {
            let ty = base.ty(id);
            let name = base.name(ty.name());
            let Some(class) = class(&ty) else { continue };
            if name.is_empty() || !asked.contains_key(name) {
                continue;
            }
            found.any_size.entry((name, class)).or_default().add(id);
            let key = (name, class, ty.size());
            found.of_size.entry(key).or_default().add(id);
        }
        found
    }

    fn any(&self, name: &'b [u8], class: Class) -> Found {
        self.any_size
            .get(&(name, class))
            .copied()
            .unwrap_or_default()
    }

    fn sized(&self, name: &'b [u8], class: Class, size: u32) -> Found {
        let key = (name, class, size);
        self.of_size.get(&key).copied().unwrap_or_default()
    }
}

/// For every type of the distilled base, by id, its id in the base; `void` first.
pub(super) fn find_all<'b>(
    distilled: &Btf<'b>,
    embedded: &[bool],
    base: &Btf<'b>,
) -> Result<Vec<TypeId>, RelocateError> {
    let candidates = Candidates::collect(distilled, base);
    let mut ids = vec![TypeId::VOID];
    for ty in distilled.types() {
        let name = distilled.name(ty.name());
        let shown = || String::from_utf8_lossy(name).into_owned();
        let (id, kind) = (ty.id(), ty.kind().name());
        let class = match class(&ty) {
            Some(class) if !name.is_empty() => class,
            _ => {
                let name = shown();
                return Err(RelocateError::Distilled { id, kind, name });
            }
        };
        let (found, by_size) = match class {
            Class::FwdStruct => {
                let fwd = candidates.any(name, class);
                (fwd.or(candidates.any(name, Class::Struct)), false)
            }
            Class::FwdUnion => {
                let fwd = candidates.any(name, class);
                (fwd.or(candidates.any(name, Class::Union)), false)
            }
            Class::Struct | Class::Union => {
                // A record that is only pointed at may have grown. One that is part of a record of the
                // module may not; and among several of one name only the size can tell.
                let records = candidates
                    .any(name, Class::Struct)
                    .or(candidates.any(name, Class::Union));
                let embedded = embedded.get(id.0 as usize).copied().unwrap_or(false);
                match embedded || records.count > 1 {
                    true => (candidates.sized(name, class, ty.size()), true),
                    false => (candidates.any(name, class), false),
                }
            }
            Class::Int(_) | Class::Float | Class::Enum => {
                (candidates.sized(name, class, ty.size()), true)
            }
        };
        let size = match by_size {
            true => format!(" of {} bytes", ty.size()),
            false => String::new(),
        };
        let name = shown;
        match found.count {
            0 => {
                let name = name();
                return Err(RelocateError::Absent {
                    id,
                    kind,
                    name,
                    size,
                });
            }
            1 => ids.push(found.id),
            count => {
                let name = name();
                return Err(RelocateError::Ambiguous {
                    id,
                    kind,
                    name,
                    size,
                    count,
                });
            }
        }
    }
    Ok(ids)
}

/// Which records of the distilled base (by id) a record of the split has as a member, not behind a pointer.
pub(super) fn embedded(btf: &Btf<'_>, distilled: &Btf<'_>) -> Vec<bool> {
    let first = distilled.end_id();
    let mut embedded = vec![false; first as usize];
    // Each type of the split is looked through once, however many members end in it: long chains of
    // typedefs may be shared, or run in circles.
    let mut seen = vec![false; btf.own_ids().len()];
    for record in btf.types().filter(|ty| ty.kind().is_record()) {
        for member in record.members() {
            let mut id = member.ty;
            loop {
                let Some(own) = id.0.checked_sub(first) else {
                    if let Some(flag) = embedded.get_mut(id.0 as usize) {
                        *flag |= distilled.kind(id).is_record();
                    }
                    break;
                };
                match seen.get_mut(own as usize) {
                    Some(seen) if !*seen => *seen = true,
                    _ => break,
                }
                let ty = btf.ty(id);
                id = match ty.kind() {
                    Kind::Typedef => ty.target(),
                    kind if kind.is_modifier() => ty.target(),
                    Kind::Array => ty.array().map_or(TypeId::VOID, |a| a.element),
                    _ => break,
                };
            }
        }
    }
    embedded
}
