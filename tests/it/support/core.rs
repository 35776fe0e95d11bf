//! CO-RE relocations of an eBPF object, read from its `.BTF.ext` and put into words.

use super::refbtf::{Btf, Kind, Member, Reader, elf_section, is_big_endian};
use std::collections::BTreeSet;

/// What a program asks the loader to look up in the running kernel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relocation {
    /// A field, as the type's name and the names on the way to it.
    Field {
        type_name: String,
        path: Vec<Step>,
    },
    Type(String),
    Enumerator {
        type_name: String,
        name: String,
    },
    /// The object's own type.
    Local,
}

/// One step from a type to a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Member(String),
    Index(u32),
}

impl Relocation {
    /// As people write it: `task_struct.se.sum_exec_runtime`, `pt_regs.di`, `enum.NAME`.
    pub fn spell(&self) -> String {
        match self {
            Relocation::Field { type_name, path } => {
                let step = |step: &Step| match step {
                    Step::Member(name) => format!(".{name}"),
                    Step::Index(at) => format!("[{at}]"),
                };
                type_name.clone() + &path.iter().map(step).collect::<String>()
            }
            Relocation::Type(name) => name.clone(),
            Relocation::Enumerator { type_name, name } => format!("{type_name}.{name}"),
            Relocation::Local => "(local)".to_owned(),
        }
    }

    /// Whether a kernel has what is asked for. Of a name what follows `___` is the program's own.
    pub fn exists_in(&self, kernel: &Btf) -> bool {
        let named = |name: &str| {
            let name = flavourless(name).to_owned();
            kernel.types.iter().filter(move |ty| ty.name == name)
        };
        match self {
            Relocation::Local => true,
            Relocation::Type(name) => named(name).any(|ty| !matches!(ty.kind, Kind::Fwd { .. })),
            Relocation::Enumerator { type_name, name } => {
                named(type_name).any(|ty| match &ty.kind {
                    Kind::Enum { values, .. } => {
                        values.iter().any(|(value, _)| value == flavourless(name))
                    }
                    _ => false,
                })
            }
            Relocation::Field { type_name, path } => {
                named(type_name).any(|ty| follow(kernel, &ty.kind, path).is_some())
            }
        }
    }
}

/// The relocations of an object. Panics if one names nothing in the object's own BTF.
pub fn relocations(elf: &[u8]) -> BTreeSet<Relocation> {
    let btf = Btf::parse(&elf_section(elf, ".BTF"), None);
    let ext = elf_section(elf, ".BTF.ext");
    let mut r = Reader {
        bytes: &ext,
        at: 4,
        big_endian: is_big_endian(&ext),
    };
    let header_len = r.u32() as usize;
    if header_len < 32 {
        return BTreeSet::new();
    }
    r.at = 24;
    let (start, len) = (r.u32() as usize, r.u32() as usize);
    r.at = header_len + start;
    let end = r.at + len;
    let mut found = BTreeSet::new();
    if len == 0 {
        return found;
    }
    assert_eq!(r.u32(), 16, "size of a relocation record");
    while r.at < end {
        let _section = r.u32();
        for _ in 0..r.u32() {
            let [_instruction, id, access, kind] = std::array::from_fn(|_| r.u32());
            found.insert(describe(&btf, id, &btf.string(access), kind));
        }
    }
    found
}

/// `kind` is `enum bpf_core_relo_kind` of `include/uapi/linux/bpf.h`.
fn describe(btf: &Btf, id: u32, access: &str, kind: u32) -> Relocation {
    let steps: Vec<u32> = access
        .split(':')
        .map(|n| n.parse().expect("an access string is numbers"))
        .collect();
    let type_name = btf.get(id).name.clone();
    match kind {
        0..=5 => {
            let mut at = id;
            let mut path = Vec::new();
            // The first step counts whole types from the pointer.
            if steps[0] != 0 {
                path.push(Step::Index(steps[0]));
            }
            for &step in &steps[1..] {
                at = strip(btf, at);
                at = match btf.kind(at) {
                    Kind::Struct { members, .. } | Kind::Union { members, .. } => {
                        let member = &members[step as usize];
                        if !member.name.is_empty() {
                            path.push(Step::Member(member.name.clone()));
                        }
                        member.ty
                    }
                    Kind::Array { elem, .. } => {
                        path.push(Step::Index(step));
                        *elem
                    }
                    other => panic!("{access} of {type_name} leads into {other:?}"),
                };
            }
            Relocation::Field { type_name, path }
        }
        6 => Relocation::Local,
        7..=9 | 12 => Relocation::Type(type_name),
        10 | 11 => match btf.kind(id) {
            Kind::Enum { values, .. } => Relocation::Enumerator {
                type_name,
                name: values[steps[0] as usize].0.clone(),
            },
            other => panic!("an enumerator of {other:?}"),
        },
        other => panic!("relocation kind {other} is not known to the tests"),
    }
}

/// A name without the part that libbpf ignores.
fn flavourless(name: &str) -> &str {
    name.split_once("___").map_or(name, |(name, _)| name)
}

fn strip(btf: &Btf, mut id: u32) -> u32 {
    loop {
        id = match btf.kind(id) {
            Kind::Typedef(inner)
            | Kind::Const(inner)
            | Kind::Volatile(inner)
            | Kind::Restrict(inner) => *inner,
            Kind::TypeTag { target, .. } => *target,
            _ => return id,
        }
    }
}

/// The type at the end of a path of names.
fn follow(btf: &Btf, from: &Kind, path: &[Step]) -> Option<u32> {
    fn find(btf: &Btf, members: &[Member], name: &str) -> Option<u32> {
        members
            .iter()
            .find_map(|m| match (m.name.as_str(), btf.kind(strip(btf, m.ty))) {
                ("", Kind::Struct { members, .. } | Kind::Union { members, .. }) => {
                    find(btf, members, name)
                }
                (own, _) => (own == name).then_some(m.ty),
            })
    }
    let mut kind = from;
    let mut at = None;
    for step in path {
        let next = match (kind, step) {
            (Kind::Struct { members, .. } | Kind::Union { members, .. }, Step::Member(name)) => {
                find(btf, members, name)?
            }
            (Kind::Array { elem, .. }, Step::Index(_)) => *elem,
            _ => return None,
        };
        at = Some(next);
        kind = btf.kind(strip(btf, next));
    }
    at
}
