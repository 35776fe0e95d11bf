//! Split BTF that was made against a distilled base, moved onto a real one.
//!
//! A module that is not built together with its kernel carries, in `.BTF.base`, the little of the kernel's
//! types that its own BTF refers to: names and sizes (kernels 6.11 and later). The kernel looks these up in
//! its own BTF when the module is loaded; this does the same. What counts as the same type is what
//! `tools/lib/bpf/btf_relocate.c` says, but that a struct is never taken for a union.

use super::error::{Error, ErrorKind};
use super::types::{ByteOrder, Kind, Type, TypeId};
use super::wire::{self, WORD, read_word};
use super::{Btf, StrOffset};
use std::collections::HashMap;

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
fn find_all<'b>(
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
fn embedded(btf: &Btf<'_>, distilled: &Btf<'_>) -> Vec<bool> {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    /// Builds BTF, alone or over a base's ids and strings.
    struct Builder {
        order: ByteOrder,
        next: u32,
        strings_from: u32,
        types: Vec<u8>,
        strings: Vec<u8>,
    }

    impl Builder {
        fn new(order: ByteOrder) -> Builder {
            Builder {
                order,
                next: 1,
                strings_from: 0,
                types: vec![],
                strings: vec![0],
            }
        }

        fn over(base: &Btf<'_>) -> Builder {
            Builder {
                order: base.byte_order(),
                next: base.end_id(),
                strings_from: base.end_str(),
                types: vec![],
                strings: vec![],
            }
        }

        fn name(&mut self, name: &str) -> u32 {
            if name.is_empty() {
                return 0;
            }
            let at = self.strings.len() as u32 + self.strings_from;
            self.strings.extend(name.bytes().chain([0]));
            at
        }

        /// `vlen` and the kind flag are those of `rows` and `flag`; a row is words.
        fn ty(&mut self, kind: Kind, name: u32, flag: bool, size: u32, rows: &[&[u32]]) -> u32 {
            let vlen = match kind {
                Kind::Int | Kind::Array => 0,
                _ => rows.len() as u32,
            };
            let info = vlen | (kind as u32) << 24 | u32::from(flag) << 31;
            let words = [name, info, size];
            for word in words.iter().chain(rows.iter().copied().flatten()) {
                self.types.extend(write_word(*word, self.order));
            }
            self.next += 1;
            self.next - 1
        }

        fn named(&mut self, kind: Kind, name: &str, size: u32) -> u32 {
            let name = self.name(name);
            let rows: &[&[u32]] = if kind == Kind::Int { &[&[32]] } else { &[] };
            self.ty(kind, name, false, size, rows)
        }

        fn build(&self) -> Vec<u8> {
            blob(self.order, &self.types, &[&self.strings])
        }
    }

    /// A distilled base with `int`, `struct task`, `struct list`, `enum mode`, `union u` (forward).
    fn distilled(order: ByteOrder) -> Vec<u8> {
        let mut b = Builder::new(order);
        b.named(Kind::Int, "int", 4);
        b.named(Kind::Struct, "task", 100);
        b.named(Kind::Struct, "list", 16);
        b.named(Kind::Enum, "mode", 8);
        let name = b.name("u");
        b.ty(Kind::Fwd, name, true, 0, &[]);
        b.build()
    }

    /// `struct mine { int task; struct task *t; list_t l[2]; enum mode; union u *; }`
    fn split(distilled: &Btf<'_>) -> Vec<u8> {
        let mut s = Builder::over(distilled);
        let ptr = s.ty(Kind::Ptr, 0, false, 2, &[]);
        let list_t = s.name("list_t");
        let list_t = s.ty(Kind::Typedef, list_t, false, 3, &[]);
        let array = s.ty(Kind::Array, 0, false, 0, &[&[list_t, 1, 2]]);
        let union_ptr = s.ty(Kind::Ptr, 0, false, 5, &[]);
        // The name of the first member lies in the distilled base's strings, behind "\0int\0".
        let (t, l, m, u) = (s.name("t"), s.name("l"), s.name("m"), s.name("u"));
        let mine = s.name("mine");
        s.ty(
            Kind::Struct,
            mine,
            false,
            64,
            &[
                &[5, 1, 0],
                &[t, ptr, 64],
                &[l, array, 128],
                &[m, 4, 384],
                &[u, union_ptr, 448],
            ],
        );
        s.build()
    }

    /// A real base; `list` bytes in its list, and whatever else is asked for.
    fn base(order: ByteOrder, list: u32, more: &[(Kind, &str, u32)]) -> Vec<u8> {
        let mut b = Builder::new(order);
        b.named(Kind::Int, "other", 4);
        b.named(Kind::Union, "u", 4);
        b.named(Kind::Enum64, "mode", 8);
        b.named(Kind::Struct, "list", list);
        // Pointed at only: may have grown.
        b.named(Kind::Struct, "task", 120);
        b.named(Kind::Int, "int", 4);
        for (kind, name, size) in more {
            b.named(*kind, name, *size);
        }
        b.build()
    }

    fn shape(btf: &Btf<'_>) -> Vec<(String, String, u32)> {
        let text = |name| String::from_utf8_lossy(btf.name(name)).into_owned();
        let ty = btf.types().last().unwrap();
        ty.members()
            .map(|m| {
                let mut at = btf.ty(m.ty);
                let mut path = String::new();
                loop {
                    path += at.kind().name();
                    path += " ";
                    path += &text(at.name());
                    at = match at.kind() {
                        Kind::Ptr | Kind::Typedef => btf.ty(at.target()),
                        Kind::Array => btf.ty(at.array().unwrap().element),
                        _ => break,
                    };
                    path += " → ";
                }
                (text(m.name), path, m.bit_offset)
            })
            .collect()
    }

    #[test]
    fn a_split_means_the_same_over_the_real_base() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let (distilled_bytes, base_bytes) = (distilled(order), base(order, 16, &[]));
            let distilled = Btf::parse(&distilled_bytes).unwrap();
            let base = Btf::parse(&base_bytes).unwrap();
            let split = split(&distilled);
            let moved = relocate(&split, &distilled_bytes, &base).unwrap();
            let moved = Btf::parse_split(&moved, &base).unwrap();
            let want = [
                ("task", "INT int", 0),
                ("t", "PTR  → STRUCT task", 64),
                ("l", "ARRAY  → TYPEDEF list_t → STRUCT list", 128),
                ("m", "ENUM64 mode", 384),
                ("u", "PTR  → UNION u", 448),
            ];
            let want: Vec<_> = want
                .iter()
                .map(|(n, p, o)| ((*n).to_owned(), (*p).to_owned(), *o))
                .collect();
            assert_eq!(shape(&moved), want);
            let mine = moved.types().last().unwrap();
            assert_eq!(moved.name(mine.name()), b"mine");
            assert_eq!(mine.size(), 64);
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let order = ByteOrder::Little;
        let distilled_bytes = distilled(order);
        let distilled = Btf::parse(&distilled_bytes).unwrap();
        let split = split(&distilled);
        let tried = |base_bytes: &[u8]| {
            let base = Btf::parse(base_bytes).unwrap();
            relocate(&split, &distilled_bytes, &base).map(|_| ())
        };
        // A member by value of another size.
        let e = tried(&base(order, 24, &[])).unwrap_err();
        assert!(
            matches!(&e, RelocateError::Absent { name, .. } if name == "list"),
            "{e}"
        );
        // Two of one name: the size must tell, and 100 is neither's.
        let e = tried(&base(order, 16, &[(Kind::Struct, "task", 140)])).unwrap_err();
        assert!(
            matches!(&e, RelocateError::Absent { name, .. } if name == "task"),
            "{e}"
        );
        // Two of one name, one of them of the right size.
        tried(&base(order, 16, &[(Kind::Struct, "task", 100)])).unwrap();
        let twice = [(Kind::Struct, "task", 100), (Kind::Struct, "task", 100)];
        let e = tried(&base(order, 16, &twice)).unwrap_err();
        assert!(
            matches!(&e, RelocateError::Ambiguous { name, count: 2, .. } if name == "task"),
            "{e}"
        );
        // A union of that name is another thing, but makes the name ambiguous.
        let e = tried(&base(order, 16, &[(Kind::Union, "task", 100)])).unwrap_err();
        assert!(
            matches!(&e, RelocateError::Absent { name, .. } if name == "task"),
            "{e}"
        );
        let e = tried(&base(ByteOrder::Big, 16, &[])).unwrap_err();
        assert!(matches!(e, RelocateError::Btf(_)), "{e}");
        let e = tried(&Builder::new(order).build()).unwrap_err();
        assert!(
            matches!(&e, RelocateError::Absent { name, .. } if name == "int"),
            "{e}"
        );
    }

    #[test]
    fn a_distilled_base_that_is_none_is_refused() {
        let order = ByteOrder::Little;
        let mut b = Builder::new(order);
        b.named(Kind::Typedef, "t", 0);
        let bytes = b.build();
        let distilled = Btf::parse(&bytes).unwrap();
        let split = Builder::over(&distilled).build();
        let e = relocate(&split, &bytes, &distilled).unwrap_err();
        assert!(matches!(e, RelocateError::Distilled { .. }), "{e}");
    }

    #[test]
    fn circles_and_shared_chains_end() {
        let order = ByteOrder::Little;
        let bytes = distilled(order);
        let distilled = Btf::parse(&bytes).unwrap();
        let mut s = Builder::over(&distilled);
        let name = s.name("t");
        let first = s.next;
        let len = 50_000;
        for n in 0..len {
            // The last one closes the circle.
            let to = if n == 0 {
                first + len - 1
            } else {
                first + n - 1
            };
            s.ty(Kind::Typedef, name, false, to, &[]);
        }
        let last = [0, first + len - 1, 0];
        let rows = vec![&last[..]; 50_000];
        s.ty(Kind::Struct, name, false, 4, &rows);
        let base_bytes = base(order, 16, &[]);
        let base = Btf::parse(&base_bytes).unwrap();
        relocate(&s.build(), &bytes, &base).unwrap();
    }

    #[test]
    fn damaged_input_is_an_error_or_parses_where_it_was_moved() {
        let order = ByteOrder::Little;
        let distilled_bytes = distilled(order);
        let split = split(&Btf::parse(&distilled_bytes).unwrap());
        let base_bytes = base(order, 16, &[(Kind::Struct, "task", 100)]);
        let base = Btf::parse(&base_bytes).unwrap();
        let mut state = 1u64;
        let mut chance = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as usize % below
        };
        let mut moved = 0;
        for _ in 0..20_000 {
            let (mut s, mut d) = (split.clone(), distilled_bytes.clone());
            for _ in 0..=chance(3) {
                let blob = if chance(2) == 0 { &mut s } else { &mut d };
                let at = chance(blob.len());
                blob[at] = [0, 1, 4, 255, chance(256) as u8][chance(5)];
            }
            if let Ok(out) = relocate(&s, &d, &base) {
                moved += 1;
                Btf::parse_split(&out, &base).unwrap();
            }
        }
        assert!(moved > 100, "{moved}");
    }
}
