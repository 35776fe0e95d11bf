//! Crowds of types with one name: to tell them apart, or to see that they are one, must not take all day.

use super::super::btfgen::{Graph, Id, Kind, Rng, record};
use super::{Case, INT, Want, user};

const CROWD: u32 = 60_000;

pub fn cases() -> Vec<Case> {
    use Want::Either;
    let mut cases = vec![
        Case::of("twins-equal", Either, |g| {
            (0..CROWD).for_each(|_| _ = g.record("t", 4, &[("m", INT, 0)]));
        }),
        Case::of("twins-different-in-size", Either, |g| {
            (0..CROWD).for_each(|i| _ = g.record("t", 4 + 4 * i, &[("m", INT, 0)]));
        }),
        Case::of("twins-different-in-member-name", Either, |g| {
            (0..CROWD).for_each(|i| _ = g.record("t", 4, &[(&format!("m{i}"), INT, 0)]));
        }),
        Case::of("twins-structs-and-unions", Either, |g| {
            (0..CROWD).for_each(|i| _ = g.add("t", record(i % 2 == 0, 4, &[("m", INT, 0)])));
        }),
        Case::of("twins-of-every-tag-kind", Either, |g| {
            for i in 0..CROWD {
                match i % 4 {
                    0 => g.record("t", 4 + i, &[("m", INT, 0)]),
                    1 => g.union("t", 4 + i, &[("m", INT, 0)]),
                    2 => g.enumeration("t", 4, &[(&format!("E{i}"), i)]),
                    _ => g.add("t", Kind::Fwd { union: i % 8 == 7 }),
                };
            }
        }),
        Case::of("twins-each-points-at-itself", Either, |g| {
            for _ in 0..CROWD {
                let own = g.end();
                g.record("t", 8, &[("self", own + 1, 0)]);
                g.ptr(own);
            }
        }),
        Case::of("twins-in-a-ring", Either, |g| {
            links(g, |i| Some((i + 1) % CROWD))
        }),
        Case::of("twins-in-a-ring-of-pairs", Either, |g| {
            links(g, |i| Some(i ^ 1))
        }),
        // The ring's one odd member is what tells each other one apart, by its distance.
        Case::of("twins-in-a-ring-with-one-odd", Either, |g| {
            links(g, |i| Some((i + 1) % CROWD));
            g.types[1].kind = record(false, 16, &[("next", 3, 0), ("odd", INT, 64)]);
        }),
        Case::of("twins-in-a-chain", Either, |g| {
            links(g, |i| (i + 1 < CROWD).then_some(i + 1))
        }),
        Case::of("twins-in-a-chain-backwards", Either, |g| {
            links(g, |i| i.checked_sub(1))
        }),
        Case::of("twins-in-a-chain-in-disorder", Either, |g| {
            links(g, |i| i.checked_sub(1));
            *g = g.shuffled(7);
        }),
        Case::of("twins-in-a-tree", Either, |g| {
            links(g, |i| (i > 0).then_some(i / 2))
        }),
        Case::of("twins-in-a-comb", Either, |g| {
            links(g, |i| if i % 300 == 0 { None } else { Some(i - 1) })
        }),
        Case::of("twins-that-point-at-two-at-random", Either, |g| {
            let (mut rng, mut pick) = (Rng(1), Vec::new());
            pick.resize_with(2 * CROWD as usize, || rng.below(CROWD as usize) as u32);
            for pair in pick.chunks(2) {
                let own = g.end();
                let at = |i: u32| 2 + 3 * i;
                g.record("t", 16, &[("a", own + 1, 0), ("b", own + 2, 64)]);
                g.ptr(at(pair[0]));
                g.ptr(at(pair[1]));
            }
            // One of another size, or all are equal.
            g.types[1].kind = record(false, 24, &[("a", 3, 0), ("b", 4, 64)]);
        }),
        Case::of("twins-by-value-in-a-chain", Either, |g| {
            let mut below = INT;
            for _ in 0..CROWD {
                below = g.record("t", 4, &[("m", below, 0)]);
            }
        }),
        Case::of("twins-different-1000-levels-down", Either, |g| {
            far_apart(g, |g, below, level| {
                g.record(&format!("level{level}"), 8, &[("p", below, 0)])
            })
        }),
        Case::of("twins-different-1000-unnamed-levels-down", Either, |g| {
            far_apart(g, |g, below, level| match level % 100 {
                0 => g.record(&format!("level{level}"), 8, &[("p", below, 0)]),
                _ => g.record("", 8, &[("p", below, 0)]),
            })
        }),
        Case::of("twins-different-1000-typedefs-down", Either, |g| {
            far_apart(g, |g, below, level| {
                g.typedef(&format!("level{level}"), below)
            })
        }),
        Case::of("twins-different-1000-pointers-down", Either, |g| {
            far_apart(g, |_, below, _| below)
        }),
        Case::of("twins-with-a-thousand-members", Either, |g| {
            let names: Vec<String> = (0..1000).map(|i| format!("m{i}")).collect();
            for i in 0..100 {
                let mut members: Vec<_> = names
                    .iter()
                    .zip(0..)
                    .map(|(n, k)| (n.as_str(), INT, k * 32))
                    .collect();
                members[999].0 = if i % 2 == 0 { "even" } else { "odd" };
                g.record("t", 4000 + i * 4, &members);
            }
        }),
        Case::of("struct-of-65535-over-a-chain-of-twins", Either, |g| {
            let tops = chain(g, 65_535);
            wide(g, &tops, 8);
        }),
        Case::of("struct-of-65535-over-a-chain-of-values", Either, |g| {
            let mut below = INT;
            let links: Vec<Id> = (0..65_535)
                .map(|_| {
                    below = g.record("t", 4, &[("m", below, 0)]);
                    below
                })
                .collect();
            wide(g, &links, 4);
        }),
        Case::of("twins-of-a-struct-of-30000-over-a-chain", Either, |g| {
            let tops = chain(g, 30_000);
            wide(g, &tops, 8);
            wide(g, &tops[1..], 8);
        }),
        Case::of("typedef-twins-equal", Either, |g| {
            (0..CROWD).for_each(|_| _ = g.typedef("t", INT));
        }),
        Case::of("typedef-twins-different", Either, |g| {
            for i in 0..CROWD {
                let s = g.record(&format!("s{i}"), 4, &[("m", INT, 0)]);
                g.typedef("t", s);
            }
        }),
        Case::of("typedef-twins-of-unnamed-structs", Either, |g| {
            for i in 0..CROWD {
                let s = g.record("", 4, &[(&format!("m{i}"), INT, 0)]);
                g.typedef("t", s);
            }
        }),
        Case::of("enum-twins-equal", Either, |g| {
            (0..CROWD).for_each(|_| _ = g.enumeration("e", 4, &[("A", 0), ("B", 1)]));
        }),
        Case::of("enum-twins-different-values", Either, |g| {
            (0..CROWD).for_each(|i| _ = g.enumeration("e", 4, &[("A", i), ("B", 1)]));
        }),
        Case::of("enum-unnamed-twins-different-values", Either, |g| {
            (0..CROWD).for_each(|i| _ = g.enumeration("", 4, &[("A", i)]));
        }),
        // Each of one name is given a suffix, which somebody bears already.
        Case::of(
            "enumerators-of-one-name-and-all-its-suffixes",
            Either,
            |g| {
                for i in 2..CROWD {
                    g.enumeration(&format!("a{i}"), 4, &[("E", 1)]);
                    g.enumeration(&format!("b{i}"), 4, &[(&format!("E___{i}"), 1)]);
                }
            },
        ),
        Case::of("enumerator-and-typedef-of-one-name", Either, |g| {
            for i in 0..CROWD / 2 {
                g.enumeration(&format!("e{i}"), 4, &[("A", i)]);
                let s = g.record(&format!("s{i}"), 4, &[("m", INT, 0)]);
                g.typedef("A", s);
            }
        }),
        Case::of("forward-twins-without-definition", Either, |g| {
            (0..CROWD).for_each(|i| _ = g.add("t", Kind::Fwd { union: i % 2 == 0 }));
        }),
        Case::of("forward-twins-with-one-definition", Either, |g| {
            (0..CROWD).for_each(|_| _ = g.add("t", Kind::Fwd { union: false }));
            g.record("t", 4, &[("m", INT, 0)]);
        }),
        Case::of("forward-twins-with-30000-definitions", Either, |g| {
            for i in 0..CROWD / 2 {
                let fwd = g.add("t", Kind::Fwd { union: false });
                let p = g.ptr(fwd);
                g.record("t", 8 + 8 * i, &[("p", p, 0)]);
            }
        }),
        Case::of("twins-of-30000-names-in-pairs", Either, |g| {
            for i in 0..CROWD / 2 {
                g.record(&format!("s{i}"), 4, &[("m", INT, 0)]);
                g.record(&format!("s{i}"), 8, &[("m", INT, 0)]);
            }
        }),
        Case::of("twins-whose-suffixes-are-taken", Either, |g| {
            for i in 0..CROWD / 2 {
                g.record("t", 4 + 4 * i, &[("m", INT, 0)]);
                g.record(&format!("t___{}", i + 2), 4, &[("m", INT, 0)]);
            }
        }),
        Case::of("twins-whose-suffixes-are-twins", Either, |g| {
            for i in 0..CROWD / 3 {
                g.record("t", 4 + 4 * i, &[("m", INT, 0)]);
                g.record("t___2", 4 + 4 * i, &[("m", INT, 0)]);
                g.record("t___2___2", 4 + 4 * i, &[("m", INT, 0)]);
            }
        }),
        Case::of("kfunc-twins", Either, |g| {
            for i in 0..CROWD / 3 {
                let s = g.record(&format!("s{i}"), 4, &[("m", INT, 0)]);
                let proto = g.proto(INT, &[("a", s)]);
                let ty = g.add("f", Kind::Func { proto, linkage: 1 });
                g.add(
                    "bpf_kfunc",
                    Kind::DeclTag {
                        ty,
                        component: u32::MAX,
                        attribute: false,
                    },
                );
            }
        }),
    ];
    for n in [2, 3, 100, 2000] {
        cases.push(Case::of(
            &format!("twins-in-a-chain-{n}"),
            Want::Header,
            |g| _ = chain(g, n),
        ));
    }
    cases
}

/// `CROWD` structs `t { struct t *next; }`, where the i-th points at the `to(i)`-th, or at an int.
fn links(g: &mut Graph, to: impl Fn(u32) -> Option<u32>) {
    for i in 0..CROWD {
        let own = g.end();
        g.record("t", 8, &[("next", own + 1, 0)]);
        g.ptr(to(i).map_or(INT, |i| 2 + 2 * i));
    }
}

/// A chain of `n` structs of one name, each pointing at the one before; gives pointers to each.
fn chain(g: &mut Graph, n: u32) -> Vec<Id> {
    let mut below = g.ptr(INT);
    (0..n)
        .map(|_| {
            let link = g.record("t", 8, &[("next", below, 0)]);
            below = g.ptr(link);
            below
        })
        .collect()
}

/// A struct with a member of each of these types.
fn wide(g: &mut Graph, types: &[Id], size: u32) {
    let names: Vec<String> = (0..types.len()).map(|i| format!("m{i}")).collect();
    let members: Vec<_> = names
        .iter()
        .zip(types)
        .zip(0..)
        .map(|((n, &t), i)| (n.as_str(), t, i * size * 8))
        .collect();
    g.record("wide", size * types.len() as u32, &members);
}

/// Two crowds of twins, told apart only at the ends of two chains of 1,000 levels that look the same.
fn far_apart(g: &mut Graph, level: fn(&mut Graph, Id, u32) -> Id) {
    let ends = [("a", 4), ("b", 8)].map(|(m, size)| g.record("end", size, &[(m, INT, 0)]));
    let tops = ends.map(|end| {
        (0..1000).fold(end, |below, i| {
            let p = g.ptr(below);
            level(g, p, i)
        })
    });
    let tops = tops.map(|top| g.ptr(top));
    for i in 0..CROWD {
        g.record("t", 8, &[("p", tops[i as usize % 2], 0)]);
    }
    user(g, 2);
}
