//! A kernel, indexed: which types have a name.

use super::compat::{essential, same_kind};
use crate::btf::{Btf, Kind, TypeId};
use std::collections::{HashMap, HashSet};

/// A kernel's types, found by name: its own, and its modules'.
pub struct Target<'b> {
    parts: Vec<Part<'b>>,
    is_whole: bool,
}

/// The types of one BTF.
struct Part<'b> {
    btf: &'b Btf<'b>,
    /// A module's name; empty for the kernel itself.
    name: &'b str,
    /// The first type of each essential name; the next is in `next`.
    first: HashMap<&'b [u8], u32>,
    /// By own id: the next type of the same essential name, 0 for none.
    next: Vec<u32>,
    /// Functions that bear the tag `bpf_kfunc`.
    kfuncs: HashSet<TypeId>,
}

/// A type that a program's could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    part: usize,
    /// Its id.
    pub id: TypeId,
}

impl<'b> Part<'b> {
    fn new(btf: &'b Btf<'b>, name: &'b str) -> Part<'b> {
        let (start, end) = (btf.first_id().0, btf.end_id());
        let mut part = Part {
            btf,
            name,
            first: HashMap::with_capacity((end - start) as usize),
            next: vec![0; (end - start) as usize],
            kfuncs: HashSet::new(),
        };
        // From the end, so that the chains rise.
        for id in (start..end).rev() {
            let ty = btf.ty(TypeId(id));
            let name = btf.name(ty.name());
            if ty.kind() == Kind::DeclTag {
                if name == b"bpf_kfunc" && ty.component().is_none() {
                    part.kfuncs.insert(ty.target());
                }
                continue;
            }
            if name.is_empty() || ty.kind() == Kind::TypeTag {
                continue;
            }
            if let Some(next) = part.first.insert(essential(name), id)
                && let Some(slot) = part.next.get_mut((id - start) as usize)
            {
                *slot = next;
            }
        }
        part
    }

    /// Types of an essential name, by rising id.
    fn named(&self, name: &[u8]) -> impl Iterator<Item = TypeId> + '_ {
        let start = self.btf.first_id().0;
        let next = move |id: &u32| {
            let next = self.next.get((id - start) as usize);
            next.copied().filter(|next| *next != 0)
        };
        let first = self.first.get(name).copied();
        std::iter::successors(first, next).map(TypeId)
    }
}

impl<'b> Target<'b> {
    /// A kernel of which only its own types are known, not its modules'.
    pub fn new(kernel: &'b Btf<'b>) -> Target<'b> {
        Target {
            parts: vec![Part::new(kernel, "")],
            is_whole: false,
        }
    }

    /// A kernel and all its modules: what is in none of them is nowhere. Each module's BTF is split from the kernel's.
    pub fn with_modules(
        kernel: &'b Btf<'b>,
        modules: impl IntoIterator<Item = (&'b str, &'b Btf<'b>)>,
    ) -> Target<'b> {
        let mut target = Target::new(kernel);
        target.is_whole = true;
        let modules = modules.into_iter();
        target
            .parts
            .extend(modules.map(|(name, btf)| Part::new(btf, name)));
        target
    }

    /// Whether all modules are known.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The kernel's own types.
    pub fn kernel(&self) -> &'b Btf<'b> {
        self.parts[0].btf
    }

    /// The BTF that a candidate is from.
    pub fn btf(&self, candidate: Candidate) -> &'b Btf<'b> {
        self.parts[candidate.part].btf
    }

    /// `bpf_core_find_cands`: what a type of the program could be. A module's types count only where the kernel
    /// itself has none.
    pub fn candidates(&self, local: &Btf<'_>, id: TypeId) -> Vec<Candidate> {
        let ty = local.ty(id);
        let name = essential(local.name(ty.name()));
        let mut found = Vec::new();
        for (at, part) in self.parts.iter().enumerate() {
            if at == 1 && !found.is_empty() {
                break;
            }
            let fits = part
                .named(name)
                .filter(|id| same_kind(part.btf.kind(*id), ty.kind()));
            found.extend(fits.map(|id| Candidate { part: at, id }));
        }
        found
    }

    /// The first type of exactly this name and kind.
    pub fn find(&self, name: &[u8], kind: Kind) -> Option<Candidate> {
        self.find_in(name, kind, |_| true)
    }

    /// Likewise, in the kernel (`vmlinux`) or module of this name.
    pub(super) fn find_of(&self, module: &str, name: &[u8], kind: Kind) -> Option<Candidate> {
        let is = |of: &str| of == module || (of.is_empty() && module == "vmlinux");
        self.find_in(name, kind, is)
    }

    fn find_in(&self, name: &[u8], kind: Kind, of: impl Fn(&str) -> bool) -> Option<Candidate> {
        let parts = self.parts.iter().enumerate();
        parts
            .filter(|(_, part)| of(part.name))
            .find_map(|(at, part)| {
                let is = |id: &TypeId| {
                    let ty = part.btf.ty(*id);
                    ty.kind() == kind && part.btf.name(ty.name()) == name
                };
                let id = part.named(essential(name)).find(is)?;
                Some(Candidate { part: at, id })
            })
    }

    /// Any type of this essential name, whatever its kind.
    pub(super) fn any(&self, name: &[u8]) -> Option<Candidate> {
        let mut parts = self.parts.iter().enumerate();
        parts.find_map(|(at, part)| {
            let id = part.named(name).next()?;
            Some(Candidate { part: at, id })
        })
    }

    /// Whether this function is marked as a kfunc; `None` where this kernel marks none.
    pub(super) fn is_kfunc(&self, function: Candidate) -> Option<bool> {
        let part = &self.parts[function.part];
        let marks = !part.kfuncs.is_empty();
        marks.then(|| part.kfuncs.contains(&function.id))
    }

    /// All names of types of a kind, for what to say where one is missing.
    pub(super) fn names(&self, is: impl Fn(Kind) -> bool) -> impl Iterator<Item = &'b [u8]> {
        self.parts.iter().flat_map(move |part| {
            let ids = part
                .btf
                .own_ids()
                .filter(|id| is(part.btf.kind(*id)))
                .collect::<Vec<_>>();
            ids.into_iter()
                .map(|id| part.btf.name(part.btf.ty(id).name()))
        })
    }
}
