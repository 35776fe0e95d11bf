//! Which types are equal: partition refinement over types that share a name.
//!
//! Two types are equal if nothing reachable from them tells them apart. That is the coarsest partition in
//! which equal types look alike and refer, place by place, to equal types. It is found by starting from
//! "all that look alike are equal" and splitting until nothing splits. Only types that share a name, and
//! the unnamed types between them, need it: a name that occurs once stands for itself.
//!
//! Whenever a class splits, its largest part keeps its label, so that a type changes its label at most
//! log n times, and only those who refer to it look again. Every choice depends on contents, never on type
//! ids, so that labels order types by content too.

use super::hash::{Hash, color, edge};
use crate::btf::{Btf, Kind, Type, TypeId};
use std::collections::HashMap;

/// The namespace-and-kind of a definition; a forward declaration has that of what it declares.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Class {
    Struct,
    Union,
    Enum,
    Typedef,
}

/// What a named type declares or defines: `(class, whether it only declares)`.
#[inline]
pub(super) fn class_of(ty: &Type<'_>) -> Option<(Class, bool)> {
    match ty.kind() {
        Kind::Struct => Some((Class::Struct, false)),
        Kind::Union => Some((Class::Union, false)),
        // An enum without enumerators is how BTF says `enum foo;`.
        Kind::Enum | Kind::Enum64 => Some((Class::Enum, ty.vlen() == 0)),
        Kind::Fwd if ty.kind_flag() => Some((Class::Union, true)),
        Kind::Fwd => Some((Class::Struct, true)),
        Kind::Typedef => Some((Class::Typedef, false)),
        _ => None,
    }
}

/// Which of the types that were looked at are equal.
pub(super) struct Partition {
    node_of: HashMap<TypeId, u32>,
    label: Vec<u32>,
    /// Some type of each class.
    some: HashMap<u32, TypeId>,
}

impl Partition {
    /// The label of a type's class, if the type was looked at. Labels order classes by content.
    pub fn label(&self, id: TypeId) -> Option<u32> {
        self.node_of.get(&id).map(|n| self.label[*n as usize])
    }

    /// The one type that stands for all that are equal to this one; itself, if it was not looked at.
    pub fn canon(&self, id: TypeId) -> TypeId {
        let some = self.label(id).and_then(|label| self.some.get(&label));
        some.copied().unwrap_or(id)
    }
}

struct Node {
    /// What the type itself says and who it refers to outside the partition.
    signature: u128,
    class: u32,
    /// Its place among its class' members.
    place: u32,
    dirty: bool,
}

#[derive(Default)]
struct ClassState {
    members: Vec<u32>,
    /// The signature of those members that are not dirty.
    signature: u128,
}

/// Forward declarations of one name and class, and how many definitions they have to choose from.
struct Forward {
    nodes: Vec<u32>,
    /// The class of all definitions, while it is one.
    target: Option<u32>,
    own_class: u32,
}

/// Finds which types are equal. `groups`: types of one name and namespace each. `canon` maps a type to the
/// one that stands for it, `leaf` names a type that stands for itself by a value of its content.
pub(super) fn refine(
    btf: &Btf<'_>,
    groups: &[Vec<TypeId>],
    canon: impl Fn(TypeId) -> TypeId,
    leaf: impl Fn(TypeId) -> Option<u128>,
) -> Partition {
    // Nodes and edges: everything reachable from the groups up to leaves.
    let mut node_of: HashMap<TypeId, u32> = HashMap::new();
    let mut ids: Vec<TypeId> = Vec::new();
    for id in groups.iter().flatten() {
        node_of.entry(*id).or_insert_with(|| {
            ids.push(*id);
            ids.len() as u32 - 1
        });
    }
    let mut nodes: Vec<Node> = Vec::new();
    let mut locals: Vec<u128> = Vec::new();
    let mut edges: Vec<(u32, u32, u32)> = Vec::new();
    while nodes.len() < ids.len() {
        let me = nodes.len() as u32;
        let ty = btf.ty(ids[nodes.len()]);
        let local = local_hash(btf, &ty);
        let mut signature = local;
        let mut position = 0;
        for_children(&ty, |child| {
            position += 1;
            let child = canon(child);
            if let Some(known) = leaf(child) {
                signature = signature.wrapping_add(edge(position, known));
                return;
            }
            let next = ids.len() as u32;
            let node = *node_of.entry(child).or_insert(next);
            if node == next {
                ids.push(child);
            }
            edges.push((node, me, position));
        });
        locals.push(local);
        nodes.push(Node {
            signature,
            class: 0,
            place: 0,
            dirty: true,
        });
    }
    edges.sort_unstable();
    let mut starts = vec![0u32; nodes.len() + 1];
    for (child, _, _) in &edges {
        starts[*child as usize + 1] += 1;
    }
    for i in 1..starts.len() {
        starts[i] += starts[i - 1];
    }

    // The first classes: what looks alike, numbered by content.
    let mut looks = locals.clone();
    looks.sort_unstable();
    looks.dedup();
    let mut classes: Vec<ClassState> = looks.iter().map(|_| ClassState::default()).collect();
    for (n, local) in locals.iter().enumerate() {
        let class = looks.binary_search(local).unwrap_or(0);
        nodes[n].class = class as u32;
        nodes[n].place = classes[class].members.len() as u32;
        classes[class].members.push(n as u32);
    }
    let (mut forwards, forward_of) = forwards(btf, groups, &node_of, &nodes);

    // What each node sees of its children at the start.
    let mut seen: Vec<u32> = nodes.iter().map(|n| n.class).collect();
    for forward in &forwards {
        if let Some(target) = forward.target {
            for n in &forward.nodes {
                seen[*n as usize] = target;
            }
        }
    }
    for (child, parent, position) in &edges {
        let add = edge(*position, color(seen[*child as usize]));
        let parent = &mut nodes[*parent as usize];
        parent.signature = parent.signature.wrapping_add(add);
    }

    let mut dirty: Vec<u32> = (0..nodes.len() as u32).collect();
    while !dirty.is_empty() {
        dirty.sort_unstable_by_key(|n| {
            let node = &nodes[*n as usize];
            (node.class, node.signature)
        });
        let mut changed: Vec<(u32, u32)> = Vec::new();
        let mut rest = &dirty[..];
        while let Some(first) = rest.first() {
            let class = nodes[*first as usize].class;
            let len = rest.partition_point(|n| nodes[*n as usize].class <= class);
            let (mine, others) = rest.split_at(len);
            rest = others;
            split(&mut nodes, &mut classes, class, mine, &mut changed);
        }
        for n in &dirty {
            nodes[*n as usize].dirty = false;
        }
        // A name whose definitions have fallen apart: its forward declarations stand for themselves.
        for i in 0..changed.len() {
            let Some(f) = forward_of.get(&changed[i].0) else {
                continue;
            };
            let forward = &mut forwards[*f as usize];
            if forward.target.take().is_some() {
                changed.extend(forward.nodes.iter().map(|n| (*n, forward.own_class)));
            }
        }
        dirty.clear();
        for (n, label) in changed {
            // A forward declaration that stands for another is not seen under its own class.
            if matches!(forward_of.get(&n), Some(f) if forwards[*f as usize].target.is_some()) {
                continue;
            }
            let before = std::mem::replace(&mut seen[n as usize], label);
            if before == label {
                continue;
            }
            let own = starts[n as usize] as usize..starts[n as usize + 1] as usize;
            for (_, parent, position) in &edges[own] {
                let node = &mut nodes[*parent as usize];
                node.signature = node
                    .signature
                    .wrapping_sub(edge(*position, color(before)))
                    .wrapping_add(edge(*position, color(label)));
                if !node.dirty {
                    node.dirty = true;
                    dirty.push(*parent);
                }
            }
        }
    }
    let mut some: HashMap<u32, TypeId> = HashMap::new();
    for (n, id) in ids.iter().enumerate() {
        // What defines stands before what only declares.
        match class_of(&btf.ty(*id)) {
            Some((_, true)) => some.entry(seen[n]).or_insert(*id),
            _ => &mut *some.entry(seen[n]).insert_entry(*id).into_mut(),
        };
    }
    Partition {
        node_of,
        label: seen,
        some,
    }
}

/// Splits a class by what its dirty members (sorted by signature) have come to see.
fn split(
    nodes: &mut [Node],
    classes: &mut Vec<ClassState>,
    class: u32,
    dirty: &[u32],
    changed: &mut Vec<(u32, u32)>,
) {
    let size = classes[class as usize].members.len();
    let clean = size - dirty.len();
    let clean_signature = classes[class as usize].signature;
    // Parts: (signature, members that are dirty, how many in all).
    let mut parts: Vec<(u128, &[u32], usize)> = Vec::new();
    let mut rest = dirty;
    while let Some(first) = rest.first() {
        let signature = nodes[*first as usize].signature;
        let len = rest.partition_point(|n| nodes[*n as usize].signature <= signature);
        let (mine, others) = rest.split_at(len);
        let more = if clean > 0 && signature == clean_signature {
            clean
        } else {
            0
        };
        parts.push((signature, mine, mine.len() + more));
        rest = others;
    }
    if clean > 0 && parts.iter().all(|(s, ..)| *s != clean_signature) {
        parts.push((clean_signature, &[], clean));
        parts.sort_unstable_by_key(|(s, ..)| *s);
    }
    // The largest keeps the label; of two, the one whose signature is less.
    let Some(stays) = (0..parts.len()).min_by_key(|i| (usize::MAX - parts[*i].2, *i)) else {
        return;
    };
    for (i, (signature, mine, all)) in parts.iter().enumerate() {
        if i == stays {
            continue;
        }
        let label = classes.len() as u32;
        let moved: Vec<u32> = if mine.len() == *all {
            mine.to_vec()
        } else {
            let members = &classes[class as usize].members;
            let here = |n: &&u32| {
                let node = &nodes[**n as usize];
                if node.dirty {
                    node.signature == *signature
                } else {
                    *signature == clean_signature
                }
            };
            members.iter().filter(here).copied().collect()
        };
        for n in &moved {
            let place = nodes[*n as usize].place as usize;
            let members = &mut classes[class as usize].members;
            members.swap_remove(place);
            if let Some(other) = members.get(place) {
                nodes[*other as usize].place = place as u32;
            }
        }
        for (place, n) in moved.iter().enumerate() {
            let node = &mut nodes[*n as usize];
            (node.class, node.place) = (label, place as u32);
            changed.push((*n, label));
        }
        classes.push(ClassState {
            members: moved,
            signature: *signature,
        });
    }
    classes[class as usize].signature = parts[stays].0;
}

/// The forward declarations among the groups, and for each node that belongs to such a name, which.
fn forwards(
    btf: &Btf<'_>,
    groups: &[Vec<TypeId>],
    node_of: &HashMap<TypeId, u32>,
    nodes: &[Node],
) -> (Vec<Forward>, HashMap<u32, u32>) {
    let mut list: Vec<Forward> = Vec::new();
    let mut of: HashMap<u32, u32> = HashMap::new();
    for group in groups {
        for class in [Class::Struct, Class::Union, Class::Enum] {
            let members = |declares: bool| {
                let is = move |id: &&TypeId| class_of(&btf.ty(**id)) == Some((class, declares));
                group.iter().filter(is).map(|id| node_of[id])
            };
            let declared: Vec<u32> = members(true).collect();
            let Some(first) = declared.first() else {
                continue;
            };
            let own_class = nodes[*first as usize].class;
            let mut labels = members(false).map(|n| nodes[n as usize].class);
            let target = labels
                .next()
                .filter(|one| labels.all(|other| other == *one));
            for n in declared.iter().copied().chain(members(false)) {
                of.insert(n, list.len() as u32);
            }
            list.push(Forward {
                nodes: declared,
                target,
                own_class,
            });
        }
    }
    (list, of)
}

/// Calls `child` with each type that this one refers to, in order. Array index types and parameter names
/// are left out: C has no word for them.
fn for_children(ty: &Type<'_>, mut child: impl FnMut(TypeId)) {
    match ty.kind() {
        Kind::Array => {
            if let Some(array) = ty.array() {
                child(array.element);
            }
        }
        Kind::Struct | Kind::Union => ty.members().for_each(|m| child(m.ty)),
        Kind::FuncProto => {
            child(ty.target());
            ty.params().for_each(|p| child(p.ty));
        }
        kind if kind == Kind::Ptr || kind == Kind::Typedef || kind.is_modifier() => {
            child(ty.target());
        }
        _ => {}
    }
}

/// What a type says by itself, without those that it refers to.
pub(super) fn local_hash(btf: &Btf<'_>, ty: &Type<'_>) -> u128 {
    let mut h = Hash::new();
    let declared = class_of(ty);
    // ENUM and ENUM64 of the same content are one; so are all ways to declare and not define.
    match declared {
        Some((class, declares)) => h.word(0x100 + class as u64 * 2 + u64::from(declares)),
        None => h.word(ty.kind() as u64),
    }
    h.bytes(btf.name(ty.name()));
    if matches!(declared, Some((_, true))) {
        return h.finish();
    }
    h.word(u64::from(ty.size()));
    if let Some(int) = ty.int() {
        h.word(u64::from(int.bits()) | u64::from(int.bit_offset()) << 8);
        h.word(
            u64::from(int.is_signed())
                | u64::from(int.is_char()) << 1
                | u64::from(int.is_bool()) << 2,
        );
    }
    if let Some(array) = ty.array() {
        h.word(u64::from(array.count));
    }
    let signed = (ty.kind().is_enum() || ty.kind() == Kind::TypeTag) && ty.kind_flag();
    h.word(u64::from(ty.vlen()) << 1 | u64::from(signed));
    for m in ty.members() {
        h.bytes(btf.name(m.name));
        h.word(u64::from(m.bit_offset) | u64::from(m.width) << 32);
    }
    for e in ty.enumerators() {
        h.bytes(btf.name(e.name));
        h.word(e.value as u64);
    }
    h.finish()
}
