//! Types by what they say and not by their ids: hashes and sizes, each computed once.

use crate::btf::{Btf, Kind, StrOffset, Type, TypeId};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// Longest name that is told apart from another, in bytes. The kernel takes none of more than 512.
const NAME: usize = 1024;

/// A name, cut at [`NAME`] bytes: a hostile BTF can have half a million names of megabytes each, all of
/// them in one string.
pub(super) fn name_of<'b>(btf: &Btf<'b>, at: StrOffset) -> &'b [u8] {
    name_within(btf, at, NAME)
}

/// A name, cut at so many bytes.
pub(super) fn name_within<'b>(btf: &Btf<'b>, at: StrOffset, most: usize) -> &'b [u8] {
    let tail = btf.name_tail(at);
    let tail = tail.get(..most).unwrap_or(tail);
    let len = tail.iter().position(|b| *b == 0).unwrap_or(tail.len());
    tail.get(..len).unwrap_or_default()
}

/// A BTF whose types can be compared with another's.
///
/// Work is linear in the BTF, whatever it holds: every hash and size is kept, and every walk has its own
/// stack.
pub(super) struct Side<'b> {
    pub btf: &'b Btf<'b>,
    references: Vec<Known>,
    sizes: Vec<Known>,
}

#[derive(Clone, Copy)]
enum Known {
    No,
    /// Being computed: whoever meets this has gone in a circle.
    Started,
    Yes(u64),
}

impl<'b> Side<'b> {
    pub fn new(btf: &'b Btf<'b>) -> Side<'b> {
        let len = btf.end_id() as usize;
        Side {
            btf,
            references: vec![Known::No; len],
            sizes: vec![Known::No; len],
        }
    }

    /// What a reference to a type means: a named type by its name, an unnamed one by all it holds.
    pub fn reference(&mut self, id: TypeId) -> u64 {
        let mut stack = vec![id];
        while let Some(&id) = stack.last() {
            let Some(slot) = self.references.get_mut(id.0 as usize) else {
                return 0;
            };
            match slot {
                Known::Yes(_) => {
                    stack.pop();
                    continue;
                }
                Known::No => {
                    *slot = Known::Started;
                    let ty = self.btf.ty(id);
                    if !self.by_name(&ty) {
                        let unknown = |to: &TypeId| {
                            matches!(self.references.get(to.0 as usize), Some(Known::No))
                        };
                        stack.extend(ty.references().filter(unknown));
                    }
                }
                // All that it refers to is known now, or goes in a circle.
                Known::Started => {
                    let hash = self.hash_reference(id);
                    if let Some(slot) = self.references.get_mut(id.0 as usize) {
                        *slot = Known::Yes(hash);
                    }
                    stack.pop();
                }
            }
        }
        self.known_reference(id)
    }

    fn known_reference(&self, id: TypeId) -> u64 {
        match self.references.get(id.0 as usize) {
            Some(Known::Yes(hash)) => *hash,
            _ => 0,
        }
    }

    /// Whether a reference to the type is told by its name alone.
    fn by_name(&self, ty: &Type<'_>) -> bool {
        match ty.kind() {
            Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Fwd | Kind::Typedef => {
                !name_of(self.btf, ty.name()).is_empty()
            }
            _ => false,
        }
    }

    fn hash_reference(&mut self, id: TypeId) -> u64 {
        let ty = self.btf.ty(id);
        let mut hash = DefaultHasher::new();
        if self.by_name(&ty) {
            // A forward declaration means the same as the definition, an ENUM64 as an ENUM.
            let class = match ty.kind() {
                Kind::Fwd if ty.kind_flag() => Kind::Union,
                Kind::Fwd => Kind::Struct,
                Kind::Enum64 => Kind::Enum,
                kind => kind,
            };
            (class, name_of(self.btf, ty.name())).hash(&mut hash);
            return hash.finish();
        }
        ty.kind().hash(&mut hash);
        match ty.kind() {
            Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 => {
                self.content(id).hash(&mut hash);
            }
            // The name says the sign; what the encoding says of `char` depends on the tool that made it.
            Kind::Int => {
                let bits = ty.int().map(|i| i.bits());
                (name_of(self.btf, ty.name()), ty.size(), bits).hash(&mut hash);
            }
            Kind::Float => (name_of(self.btf, ty.name()), ty.size()).hash(&mut hash),
            Kind::Array => {
                let array = ty.array();
                let element = array.map(|a| self.known_reference(a.element));
                (element, array.map(|a| a.count)).hash(&mut hash);
            }
            Kind::FuncProto => {
                // What parameters are called is no part of a prototype.
                self.known_reference(ty.target()).hash(&mut hash);
                for param in ty.params() {
                    self.known_reference(param.ty).hash(&mut hash);
                }
                ty.params().len().hash(&mut hash);
            }
            _ => {
                let name = name_of(self.btf, ty.name());
                (name, ty.kind_flag(), self.known_reference(ty.target())).hash(&mut hash);
            }
        }
        hash.finish()
    }

    /// What a definition holds, down to the names that it refers to. Whatever it refers to must be known
    /// already, or is looked up: see [`Side::reference`].
    fn content(&mut self, id: TypeId) -> u64 {
        let ty = self.btf.ty(id);
        let mut hash = DefaultHasher::new();
        ty.size().hash(&mut hash);
        for member in ty.members() {
            let to = self.known_reference(member.ty);
            let name = name_of(self.btf, member.name);
            (name, to, member.bit_offset, member.width).hash(&mut hash);
            self.size(member.ty).hash(&mut hash);
        }
        if ty.kind().is_enum() {
            ty.kind_flag().hash(&mut hash);
            for e in ty.enumerators() {
                (name_of(self.btf, e.name), e.value).hash(&mut hash);
            }
        }
        hash.finish()
    }

    /// What a struct, union, enum, typedef or function is, its name left out.
    pub fn definition(&mut self, id: TypeId) -> u64 {
        let ty = self.btf.ty(id);
        match ty.kind() {
            Kind::Typedef | Kind::Func => self.reference(ty.target()),
            _ => {
                for to in ty.references() {
                    self.reference(to);
                }
                self.content(id)
            }
        }
    }

    /// Size of a type in bytes; 0 for what has none, and for what goes in a circle.
    pub fn size(&mut self, id: TypeId) -> u64 {
        let mut path = Vec::new();
        let mut at = id;
        let mut size = loop {
            let Some(slot) = self.sizes.get_mut(at.0 as usize) else {
                break 0;
            };
            match slot {
                Known::Yes(size) => break *size,
                Known::Started => break 0,
                Known::No => *slot = Known::Started,
            }
            let ty = self.btf.ty(at);
            let times = ty.array().map_or(1, |a| u64::from(a.count));
            path.push((at, times));
            at = match ty.kind() {
                Kind::Array => ty.array().map_or(TypeId::VOID, |a| a.element),
                Kind::Typedef => ty.target(),
                kind if kind.is_modifier() => ty.target(),
                Kind::Ptr => break u64::from(self.btf.pointer_size()),
                _ => break u64::from(ty.size()),
            };
        };
        for (id, times) in path.into_iter().rev() {
            size = size.saturating_mul(times);
            if let Some(slot) = self.sizes.get_mut(id.0 as usize) {
                *slot = Known::Yes(size);
            }
        }
        size
    }
}
