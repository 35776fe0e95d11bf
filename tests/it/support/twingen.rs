//! Small graphs crowded with twins: what a canonical order is hard for.

use super::btfgen::{Graph, Id, Kind, Member, Record, Rng};

/// A graph of few names and many types, each of which points anywhere and contains only what came before it.
///
/// Member names are unlike in one record, and nothing contains itself: a header must come of it.
pub fn twins(seed: u64) -> Graph {
    let mut rng = Rng(seed);
    let mut g = Graph::new();
    let int = g.int("int", 4, super::btfgen::SIGNED);
    let count = 4 + rng.below(40);
    let names = ["t", "u", "t___2", "v"];
    let names = &names[..1 + rng.below(names.len())];
    // Every record is followed by its pointer, so that references forward are known.
    let at = |i: usize| int + 1 + 2 * i as Id;
    for i in 0..count {
        let mut target = |rng: &mut Rng| match rng.below(8) {
            0 => int,
            _ => at(rng.below(count)) + 1,
        };
        let earlier = |rng: &mut Rng, i: usize| if i == 0 { int } else { at(rng.below(i)) + 1 };
        let name = names[rng.below(names.len())];
        let kind = match rng.below(12) {
            0..=5 => record(&mut rng, &mut target),
            // These have no name to break a circle with, or must not be in one: only what came before.
            6 => Kind::Typedef(earlier(&mut rng, i)),
            7 => Kind::Fwd {
                union: rng.below(3) == 0,
            },
            8 => {
                let params = (0..rng.below(2))
                    .map(|_| (b"p".to_vec(), earlier(&mut rng, i)))
                    .collect();
                g.add(
                    "",
                    Kind::Proto {
                        ret: earlier(&mut rng, i),
                        params,
                    },
                );
                g.ptr(at(i));
                continue;
            }
            9 => {
                let prefix = ["A", "B"][rng.below(2)];
                let values = vec![(
                    format!("{prefix}{}", rng.below(2)).into_bytes(),
                    rng.below(3) as u32,
                )];
                let name = if rng.below(2) == 0 { "" } else { name };
                g.add(
                    name,
                    Kind::Enum {
                        size: 4,
                        signed: false,
                        values,
                    },
                );
                g.ptr(at(i));
                continue;
            }
            // By value: an earlier record, or an unnamed one of its own.
            _ => nested(&mut rng, &mut g, i, &mut target),
        };
        g.add(name, kind);
        g.ptr(at(i));
    }
    for _ in 0..rng.below(4) {
        let params = vec![(b"p".to_vec(), at(rng.below(count)) + 1)];
        let proto = g.add("", Kind::Proto { ret: int, params });
        let ty = g.add(
            names[rng.below(names.len())],
            Kind::Func { proto, linkage: 1 },
        );
        g.add(
            "bpf_kfunc",
            Kind::DeclTag {
                ty,
                component: u32::MAX,
                attribute: false,
            },
        );
        if rng.below(2) == 0 {
            g.add(
                "bpf_fastcall",
                Kind::DeclTag {
                    ty,
                    component: u32::MAX,
                    attribute: false,
                },
            );
        }
    }
    unnamed_under_typedefs(&mut rng, &mut g, int);
    g
}

fn record(rng: &mut Rng, target: &mut impl FnMut(&mut Rng) -> Id) -> Kind {
    let members: Vec<Member> = (0..rng.below(4))
        .map(|k| member(&format!("m{k}"), target(rng), 64 * k as u32))
        .collect();
    let size = 8 * members.len() as u32 + 8 * (rng.below(6) == 0) as u32;
    Kind::Record(Record {
        union: false,
        size,
        widths: false,
        members,
    })
}

fn nested(rng: &mut Rng, g: &mut Graph, i: usize, target: &mut impl FnMut(&mut Rng) -> Id) -> Kind {
    let earlier = (0..i).map(|k| 2 + 2 * k as Id).filter(|&id| {
        matches!(&g.get(id), Some(ty) if matches!(ty.kind, Kind::Record(_)) && !ty.name.is_empty())
    });
    let earlier: Vec<Id> = earlier.collect();
    if earlier.is_empty() {
        return record(rng, target);
    }
    let inner = earlier[rng.below(earlier.len())];
    let Some(Kind::Record(r)) = g.get(inner).map(|ty| &ty.kind) else {
        unreachable!("only records")
    };
    let size = r.size;
    let members = vec![
        member("by_value", inner, 0),
        member("p", target(rng), size * 8),
    ];
    Kind::Record(Record {
        union: false,
        size: size + 8,
        widths: false,
        members,
    })
}

/// typedef struct { … } t; and the like, where only the typedef has a name.
fn unnamed_under_typedefs(rng: &mut Rng, g: &mut Graph, int: Id) {
    let end = g.end() as usize;
    for _ in 0..rng.below(5) {
        let pointer = g.ptr(1 + rng.below(end - 1) as Id);
        let pointer = if is_decl(g, pointer) { int } else { pointer };
        let size = if pointer == int { 4 } else { 8 };
        let members = vec![member(["a", "b"][rng.below(2)], pointer, 0)];
        let inner = match rng.below(3) {
            0 => g.enumeration("", 4, &[("C", rng.below(2) as u32)]),
            k => g.add(
                "",
                Kind::Record(Record {
                    union: k == 1,
                    size,
                    widths: false,
                    members,
                }),
            ),
        };
        g.typedef(["w", "t"][rng.below(2)], inner);
        let members = vec![member("", inner, 0)];
        if matches!(g.get(inner), Some(ty) if matches!(ty.kind, Kind::Record(_))) {
            g.add(
                "x",
                Kind::Record(Record {
                    union: false,
                    size,
                    widths: false,
                    members,
                }),
            );
        }
    }
}

/// Whether this pointer leads to a function or a tag, which no pointer in C does.
fn is_decl(g: &Graph, pointer: Id) -> bool {
    let Some(Kind::Ptr(to)) = g.get(pointer).map(|ty| &ty.kind) else {
        return false;
    };
    matches!(g.get(*to), Some(ty) if matches!(ty.kind, Kind::Func { .. } | Kind::DeclTag { .. }))
}

fn member(name: &str, ty: Id, offset: u32) -> Member {
    Member {
        name: name.as_bytes().to_vec(),
        ty,
        offset,
        bits: 0,
    }
}

/// The graph with an exact copy of all of it behind it.
pub fn doubled(g: &Graph) -> Graph {
    let mut double = g.clone();
    let shift = g.types.len() as Id;
    for ty in &g.types {
        let mut ty = ty.clone();
        ty.kind
            .for_each_id(|id| *id += if *id > g.base { shift } else { 0 });
        double.types.push(ty);
    }
    double
}
