//! Long chains: of everything that refers to one other thing. Whoever recurses overflows the stack.

use super::super::btfgen::{Graph, Id, Kind};
use super::{Case, INT, Want, typedef, user};

/// One more level: adds a type that stands over `below`, and gives its id.
type Level = fn(&mut Graph, Id, u32) -> Id;

const LEVELS: &[(&str, Level)] = &[
    ("pointers", |g, below, _| g.ptr(below)),
    ("typedefs", |g, below, i| {
        g.add(format!("t{i}"), typedef(below))
    }),
    ("unnamed-typedefs-twins", |g, below, _| {
        g.typedef("t", below)
    }),
    ("consts", |g, below, _| g.add("", Kind::Const(below))),
    ("const-volatile", |g, below, i| {
        g.add(
            "",
            if i % 2 == 0 {
                Kind::Const(below)
            } else {
                Kind::Volatile(below)
            },
        )
    }),
    ("const-pointers", |g, below, i| match i % 2 {
        0 => g.ptr(below),
        _ => g.add("", Kind::Const(below)),
    }),
    ("type-tags", |g, below, _| {
        g.add(
            "user",
            Kind::TypeTag {
                ty: below,
                attribute: false,
            },
        )
    }),
    ("tagged-pointers", |g, below, i| match i % 2 {
        0 => g.ptr(below),
        _ => g.add(
            "rcu",
            Kind::TypeTag {
                ty: below,
                attribute: false,
            },
        ),
    }),
    ("arrays-of-one", |g, below, _| g.array(below, INT, 1)),
    ("arrays-of-none", |g, below, _| g.array(below, INT, 0)),
    ("typedef-arrays", |g, below, i| match i % 2 {
        0 => g.array(below, INT, 1),
        _ => g.add(format!("t{i}"), typedef(below)),
    }),
    ("unnamed-structs", |g, below, _| {
        g.record("", 4, &[("", below, 0)])
    }),
    ("unnamed-structs-named-members", |g, below, _| {
        g.record("", 4, &[("m", below, 0)])
    }),
    ("unnamed-unions", |g, below, _| {
        g.union("", 4, &[("", below, 0)])
    }),
    ("unnamed-structs-in-arrays", |g, below, i| match i % 2 {
        0 => g.record("", 4, &[("m", below, 0)]),
        _ => g.array(below, INT, 1),
    }),
    ("unnamed-structs-over-pointers", |g, below, i| match i % 2 {
        0 => g.ptr(below),
        _ => g.record("", 8, &[("m", below, 0)]),
    }),
    ("structs-by-value", |g, below, i| {
        g.record(&format!("s{i}"), 4, &[("m", below, 0)])
    }),
    ("named-structs-as-unnamed-members", |g, below, i| {
        g.record(&format!("s{i}"), 4, &[("", below, 0)])
    }),
    ("structs-by-pointer", |g, below, i| match i % 2 {
        0 => g.ptr(below),
        _ => g.record(&format!("s{i}"), 8, &[("m", below, 0)]),
    }),
    ("prototypes-returning", |g, below, i| match i % 2 {
        0 => g.proto(below, &[]),
        _ => g.ptr(below),
    }),
    ("prototypes-taking", |g, below, i| match i % 2 {
        0 => g.proto(0, &[("f", below)]),
        _ => g.ptr(below),
    }),
    ("bare-prototypes-returning", |g, below, _| {
        g.proto(below, &[])
    }),
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &(name, level) in LEVELS {
        // Around what compilers nest (256 brackets, 127 declarators) and far beyond it.
        for depth in [200, 300, 5_000, 100_000] {
            cases.push(Case::of(
                &format!("deep-{name}-{depth}"),
                Want::Either,
                |g| {
                    let top = (0..depth).fold(first(g, name), |below, i| level(g, below, i));
                    user(g, top);
                },
            ));
        }
        // The same from the top down: ids that grow with depth.
        cases.push(Case::of(
            &format!("deep-{name}-downwards"),
            Want::Either,
            |g| {
                let top = (0..100_000).fold(first(g, name), |below, i| level(g, below, i));
                user(g, top);
                let order: Vec<usize> = (0..g.types.len()).rev().collect();
                *g = g.reordered(&order);
            },
        ));
    }
    cases
}

/// What lies at the bottom: where unnamed members lead there, a record, as only records may be one.
fn first(g: &mut Graph, name: &str) -> Id {
    match name {
        "unnamed-structs" | "unnamed-unions" | "named-structs-as-unnamed-members" => {
            g.record("", 4, &[("bottom", INT, 0)])
        }
        _ => INT,
    }
}
