//! Split BTF that was made against a distilled base, moved onto a real one.
//!
//! A module that is not built together with its kernel carries, in `.BTF.base`, the little of the kernel's
//! types that its own BTF refers to: names and sizes (kernels 6.11 and later). The kernel looks these up in
//! its own BTF when the module is loaded; this does the same. What counts as the same type is what
//! `tools/lib/bpf/btf_relocate.c` says, but that a struct is never taken for a union.

mod find;
#[cfg(test)]
mod tests;

use super::error::{Error, ErrorKind};
use super::types::{ByteOrder, Kind, Type, TypeId};
use super::wire::{self, WORD, read_word};
use super::{Btf, StrOffset};
use find::{embedded, find_all};

/// Why a split BTF does not fit a base. Names are as they are in BTF, escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelocateError {
    /// One of the two blobs cannot be read.
    #[error(transparent)]
    Btf(#[from] Error),
    /// The distilled base holds what none may hold: only named INT, FLOAT, ENUM, STRUCT, UNION and FWD.
    #[error(
        "its distilled base (.BTF.base) holds a {kind} {name:?} (type id {id}), which none may hold"
    )]
    Distilled {
        /// The type's id in the distilled base.
        id: TypeId,
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The base has no such type.
    #[error(
        "the base has no {kind} {name:?}{size} (type id {id} of .BTF.base): it is another kernel's"
    )]
    Absent {
        /// The type's id in the distilled base.
        id: TypeId,
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// `" of N bytes"`, where the size matters.
        size: String,
    },
    /// The base has several such types, and nothing tells which is meant.
    #[error(
        "the base has {count} types that {kind} {name:?}{size} (type id {id} of .BTF.base) could be"
    )]
    Ambiguous {
        /// The type's id in the distilled base.
        id: TypeId,
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// `" of N bytes"`, where the size matters.
        size: String,
        /// How many there are.
        count: u32,
    },
    /// A type of a kind that this reader does not know, and so cannot move.
    #[error("type id {0} is of a kind that is not known, and cannot be moved onto another base")]
    Unknown(TypeId),
}

/// Moves `split` from `distilled_base`, the contents of its file's `.BTF.base`, onto `base`: gives split
/// BTF for [`Btf::parse_split`] over `base`.
///
/// # Errors
/// [`RelocateError`]: a blob cannot be read, or a type of the distilled base is absent from the base or
/// stands for several.
pub fn relocate(
    split: &[u8],
    distilled_base: &[u8],
    base: &Btf<'_>,
) -> Result<Vec<u8>, RelocateError> {
    let distilled = Btf::parse(distilled_base)?;
    let btf = Btf::parse_split(split, &distilled)?;
    if btf.byte_order() != base.byte_order() {
        let (split, base) = (btf.byte_order(), base.byte_order());
        return Err(Error::new(ErrorKind::ByteOrder { split, base }, None, 0).into());
    }
    let embedded = embedded(&btf, &distilled);
    let ids = find_all(&distilled, &embedded, base)?;
    let strings = wire::sections(split)?.strings;
    let distilled_strings = wire::sections(distilled_base)?.strings;
    let mover = Mover {
        ids: &ids,
        own_ids_from: distilled.end_id(),
        own_ids_to: base.end_id(),
        own_strings_from: distilled.end_str(),
        own_strings_to: base.end_str(),
        // The names that the split shares with its distilled base follow its own.
        distilled_strings_to: base.end_str().saturating_add(strings.len() as u32),
        order: btf.byte_order(),
    };
    let types = wire::sections(split)?.types;
    let mut moved = Vec::with_capacity(types.len());
    for ty in btf.types() {
        mover.push(&mut moved, &ty)?;
    }
    Ok(blob(
        btf.byte_order(),
        &moved,
        &[strings, distilled_strings],
    ))
}

/// Rewrites the numbers in a type.
struct Mover<'m> {
    ids: &'m [TypeId],
    own_ids_from: u32,
    own_ids_to: u32,
    own_strings_from: u32,
    own_strings_to: u32,
    distilled_strings_to: u32,
    order: ByteOrder,
}

impl Mover<'_> {
    fn id(&self, id: u32) -> u32 {
        match id.checked_sub(self.own_ids_from) {
            Some(own) => own.saturating_add(self.own_ids_to),
            // Every id below has been looked up.
            None => self.ids.get(id as usize).map_or(0, |id| id.0),
        }
    }

    fn string(&self, at: u32) -> u32 {
        match at.checked_sub(self.own_strings_from) {
            Some(own) => own.saturating_add(self.own_strings_to),
            None if at == 0 => 0,
            None => at.saturating_add(self.distilled_strings_to),
        }
    }

    fn push(&self, out: &mut Vec<u8>, ty: &Type<'_>) -> Result<(), RelocateError> {
        let mut push = |word: u32| out.extend(write_word(word, self.order));
        let StrOffset(name) = ty.name();
        push(self.string(name));
        push(ty.info.0);
        push(match ty.kind().refers() {
            true => self.id(ty.size_or_type),
            false => ty.size_or_type,
        });
        let keep = |word: u32| word;
        let id = |word: u32| self.id(word);
        let string = |word: u32| self.string(word);
        // What the words behind the common three mean, over and over.
        let row: &[&dyn Fn(u32) -> u32] = match ty.kind() {
            Kind::Struct | Kind::Union => &[&string, &id, &keep],
            Kind::Array => &[&id, &id, &keep],
            Kind::FuncProto => &[&string, &id],
            Kind::Enum => &[&string, &keep],
            Kind::Enum64 => &[&string, &keep, &keep],
            Kind::Datasec => &[&id, &keep, &keep],
            Kind::Unknown => return Err(RelocateError::Unknown(ty.id())),
            _ => &[&keep],
        };
        for (word, meaning) in ty.tail.iter().zip(row.iter().cycle()) {
            push(meaning(read_word(*word)));
        }
        Ok(())
    }
}

fn write_word(word: u32, order: ByteOrder) -> [u8; WORD] {
    match order {
        ByteOrder::Little => word.to_le_bytes(),
        ByteOrder::Big => word.to_be_bytes(),
    }
}

/// A BTF blob with the plain 24-byte header.
fn blob(order: ByteOrder, types: &[u8], strings: &[&[u8]]) -> Vec<u8> {
    let strings_len: usize = strings
        .iter()
        .map(|s| s.len())
        .fold(0, usize::saturating_add);
    // Both come from blobs whose sections 32 bits can number.
    let (types_len, strings_len) = (types.len() as u32, strings_len as u32);
    let mut out = Vec::with_capacity(types.len());
    out.extend(match order {
        ByteOrder::Little => [0x9f, 0xeb],
        ByteOrder::Big => [0xeb, 0x9f],
    });
    out.extend([1, 0]);
    for word in [24, 0, types_len, types_len, strings_len] {
        out.extend(write_word(word, order));
    }
    out.extend_from_slice(types);
    for part in strings {
        out.extend_from_slice(part);
    }
    out
}
