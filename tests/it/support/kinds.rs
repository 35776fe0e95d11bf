//! What the comparison asks of a type: its class and name, its qualifiers and tags, its words.

use super::refbtf::{Btf, Kind, Member};
use std::collections::{BTreeMap, HashMap};

/// What shares a name in C's eyes and ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    Struct,
    Union,
    Enum,
    Typedef,
}

impl Class {
    pub fn keyword(self) -> &'static str {
        match self {
            Class::Struct => "struct",
            Class::Union => "union",
            Class::Enum => "enum",
            Class::Typedef => "typedef",
        }
    }
}

/// The class of a type, and whether it is a forward declaration.
pub fn class(kind: &Kind) -> Option<(Class, bool)> {
    Some(match kind {
        Kind::Struct { .. } => (Class::Struct, false),
        Kind::Union { .. } => (Class::Union, false),
        Kind::Fwd { union_: false } => (Class::Struct, true),
        Kind::Fwd { union_: true } => (Class::Union, true),
        // BTF has no other way to say `enum name;`.
        Kind::Enum { values, .. } => (Class::Enum, values.is_empty()),
        Kind::Typedef(_) => (Class::Typedef, false),
        _ => return None,
    })
}

/// A name without the `___2` of a twin.
pub fn without_suffix(name: &str) -> &str {
    match name.rsplit_once("___") {
        Some((base, n))
            if !base.is_empty() && !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) =>
        {
            base
        }
        _ => name,
    }
}

/// Named types by class and name.
pub fn by_name(btf: &Btf) -> BTreeMap<(Class, String), Vec<u32>> {
    let mut index: BTreeMap<(Class, String), Vec<u32>> = BTreeMap::new();
    for (id, ty) in btf
        .types
        .iter()
        .enumerate()
        .filter(|(_, ty)| !ty.name.is_empty())
    {
        if let Some((class, _)) = class(&ty.kind) {
            index
                .entry((class, ty.name.clone()))
                .or_default()
                .push(id as u32);
        }
    }
    index
}

/// The same of types that one header made in several objects: a definition, if there is one, comes first.
pub fn canonical_by_name(btf: &Btf) -> BTreeMap<(Class, String), Vec<u32>> {
    let mut index = by_name(btf);
    for ids in index.values_mut() {
        ids.sort_by_key(|&id| class(btf.kind(id)).is_some_and(|(_, forward)| forward));
    }
    index
}

/// const, volatile and restrict, in whatever order they were written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Qualifiers {
    const_: bool,
    volatile: bool,
    restrict: bool,
}

impl Qualifiers {
    /// Those around a type added to these, and the type inside. Tags are passed over: pointers look at them.
    pub fn of(mut self, btf: &Btf, mut id: u32) -> (u32, Qualifiers) {
        loop {
            id = match btf.kind(id) {
                Kind::Const(inner) => {
                    self.const_ = true;
                    *inner
                }
                Kind::Volatile(inner) => {
                    self.volatile = true;
                    *inner
                }
                Kind::Restrict(inner) => {
                    self.restrict = true;
                    *inner
                }
                Kind::TypeTag { target, .. } => *target,
                _ => return (id, self),
            }
        }
    }

    pub fn spell(self) -> String {
        let words = [
            (self.const_, "const "),
            (self.volatile, "volatile "),
            (self.restrict, "restrict "),
        ];
        words
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, word)| *word)
            .collect()
    }
}

/// The tags of what a pointer points at. Clang carries them nowhere else, and attributes not at all.
pub fn type_tags(btf: &Btf, mut id: u32) -> Vec<&str> {
    let mut tags = Vec::new();
    loop {
        id = match btf.kind(id) {
            Kind::TypeTag { target, attribute } => {
                if !attribute {
                    tags.push(btf.get(id).name.as_str());
                }
                *target
            }
            Kind::Const(inner) | Kind::Volatile(inner) | Kind::Restrict(inner) => *inner,
            _ => return tags,
        }
    }
}

/// An integer by what it is, not by how it is spelled. Plain `char` is a type of its own whose sign is the
/// target's: x86 and arm64 kernels are built with it signed or unsigned, the BPF target has it signed.
pub fn integer(btf: &Btf, id: u32) -> (u32, bool, bool, bool) {
    match *btf.kind(id) {
        Kind::Int { size, .. } if btf.get(id).name == "char" => (size, false, false, true),
        Kind::Int {
            size,
            signed,
            bool_,
        } => (size, signed, bool_, false),
        _ => unreachable!("asked only of integers"),
    }
}

/// The size of a type in bytes, where it can be told without the target's pointer size.
pub fn size(btf: &Btf, id: u32) -> Option<u32> {
    match btf.kind(id) {
        Kind::Int { size, .. } | Kind::Float(size) | Kind::Enum { size, .. } => Some(*size),
        Kind::Struct { size, .. } | Kind::Union { size, .. } => Some(*size),
        Kind::Array { elem, len } => Some(size(btf, *elem)? * len),
        Kind::Typedef(inner) | Kind::Const(inner) | Kind::Volatile(inner) => size(btf, *inner),
        _ => None,
    }
}

/// Members that a program can see: unnamed bit-fields leave no trace, and an unnamed record with nothing to name
/// in it is padding too.
pub fn visible<'m>(btf: &Btf, members: &'m [Member]) -> Vec<&'m Member> {
    fn holds_names(btf: &Btf, id: u32) -> bool {
        let (inner, _) = Qualifiers::default().of(btf, id);
        match btf.kind(inner) {
            Kind::Struct { members, .. } | Kind::Union { members, .. } => members
                .iter()
                .any(|m| !m.name.is_empty() || holds_names(btf, m.ty)),
            _ => false,
        }
    }
    members
        .iter()
        .filter(|m| !m.name.is_empty() || holds_names(btf, m.ty))
        .collect()
}

/// For each forward declaration the definition that it stands for: the only one of its kind and name, or any of
/// several that are `equal`.
pub fn forwards(btf: &Btf, equal: impl Fn(u32, u32) -> bool) -> HashMap<u32, u32> {
    let mut found = HashMap::new();
    for ids in by_name(btf).into_values() {
        let (declared, defined): (Vec<u32>, Vec<u32>) = ids
            .into_iter()
            .partition(|&id| matches!(class(btf.kind(id)), Some((_, true))));
        if let Some((&first, rest)) = defined.split_first()
            && rest.iter().all(|&other| equal(first, other))
        {
            found.extend(declared.into_iter().map(|id| (id, first)));
        }
    }
    found
}

/// A type in words, short enough for a line.
pub fn spell(btf: &Btf, id: u32) -> String {
    let ty = btf.get(id);
    let name = if ty.name.is_empty() {
        "(unnamed)"
    } else {
        &ty.name
    };
    match &ty.kind {
        Kind::Void => "void".to_owned(),
        Kind::Ptr(inner) => {
            let tags: String = type_tags(btf, *inner)
                .iter()
                .map(|tag| format!("tag({tag}) "))
                .collect();
            format!("*{tags}{}", spell(btf, *inner))
        }
        Kind::Array { elem, len } => format!("[{len}]{}", spell(btf, *elem)),
        Kind::Const(inner) => format!("const {}", spell(btf, *inner)),
        Kind::Volatile(inner) => format!("volatile {}", spell(btf, *inner)),
        Kind::Restrict(inner) => format!("restrict {}", spell(btf, *inner)),
        Kind::TypeTag { target, .. } => spell(btf, *target),
        Kind::FuncProto { ret, params } => {
            let params: Vec<String> = params.iter().map(|(_, id)| spell(btf, *id)).collect();
            format!("func({}) {}", params.join(", "), spell(btf, *ret))
        }
        kind => match class(kind) {
            Some((Class::Typedef, _)) | None => name.to_owned(),
            Some((class, true)) => format!("forward {} {name}", class.keyword()),
            Some((class, false)) => format!("{} {name}", class.keyword()),
        },
    }
}
