//! Counts, sizes and offsets at and beyond their limits.

use super::super::btfgen::{BOOL, Graph, Kind, Member, Record, SIGNED};
use super::super::btfwrite::{Form, write};
use super::{Case, INT, Want, user, with_int};

const MAX: u32 = u32::MAX;

pub fn cases() -> Vec<Case> {
    use Want::{Either, Header};
    let mut cases = vec![
        Case::of("array-of-max", Either, |g| {
            let a = g.array(INT, INT, MAX);
            user(g, a);
        }),
        Case::of("array-of-arrays-of-max", Either, |g| {
            let mut a = INT;
            for _ in 0..8 {
                a = g.array(a, INT, MAX);
            }
            user(g, a);
        }),
        Case::of("array-of-arrays-of-max-as-member", Either, |g| {
            let mut a = INT;
            for _ in 0..8 {
                a = g.array(a, INT, MAX);
            }
            g.record("s", MAX, &[("m", a, 0)]);
        }),
        Case::of("array-of-max-as-member", Either, |g| {
            let a = g.array(INT, INT, MAX);
            g.record("s", MAX, &[("m", a, 0)]);
        }),
        Case::of("array-that-wraps-to-its-size", Either, |g| {
            let a = g.array(INT, INT, 0x4000_0001);
            g.record("s", 4, &[("m", a, 0)]);
        }),
        Case::of("array-of-2^31-structs-of-none", Either, |g| {
            let none = g.record("none", 0, &[]);
            let a = g.array(none, INT, 1 << 31);
            g.record("s", 4, &[("a", a, 0), ("i", INT, 0)]);
        }),
        Case::of("array-larger-than-its-struct", Either, |g| {
            let a = g.array(INT, INT, 4);
            g.record("s", 8, &[("a", a, 0), ("i", INT, 32)]);
        }),
        Case::of("array-as-typedef-of-max", Either, |g| {
            let a = g.array(INT, INT, MAX);
            g.typedef("t", a);
        }),
        Case::of("struct-of-max-without-members", Either, |g| {
            _ = g.record("s", MAX, &[])
        }),
        Case::of("struct-of-2^31-without-members", Either, |g| {
            _ = g.record("s", 1 << 31, &[])
        }),
        Case::of("struct-without-members-of-1", Header, |g| {
            _ = g.record("s", 1, &[])
        }),
        Case::of("struct-without-members-of-0", Header, |g| {
            _ = g.record("s", 0, &[])
        }),
        Case::of("union-of-max-without-members", Either, |g| {
            _ = g.union("s", MAX, &[])
        }),
        Case::of("union-of-7-without-members", Header, |g| {
            _ = g.union("s", 7, &[])
        }),
        Case::of("struct-of-max-with-a-hole", Either, |g| {
            _ = g.record("s", MAX, &[("m", INT, 0)])
        }),
        Case::of("struct-with-a-huge-hole", Either, |g| {
            g.record(
                "s",
                1 << 28,
                &[
                    ("a", INT, 0),
                    ("b", INT, ((1u32 << 28) - 4).wrapping_mul(8)),
                ],
            );
        }),
        Case::of("structs-60000-with-huge-holes", Either, |g| {
            for i in 0..60_000 {
                g.record(
                    &format!("s{i}"),
                    1 << 28,
                    &[("a", INT, 0), ("b", INT, 1 << 30)],
                );
            }
        }),
        Case::of("struct-smaller-than-its-member", Either, |g| {
            _ = g.record("s", 2, &[("m", INT, 0)])
        }),
        Case::of("struct-of-0-with-a-member", Either, |g| {
            _ = g.record("s", 0, &[("m", INT, 0)])
        }),
        Case::of("union-smaller-than-its-member", Either, |g| {
            _ = g.union("s", 2, &[("m", INT, 0)])
        }),
        Case::of("union-member-not-at-0", Either, |g| {
            _ = g.union("s", 8, &[("m", INT, 32)])
        }),
        Case::of("member-beyond-its-struct", Either, |g| {
            _ = g.record("s", 4, &[("m", INT, 64)])
        }),
        Case::of("member-at-max", Either, |g| {
            _ = g.record("s", 4, &[("m", INT, MAX)])
        }),
        Case::of("member-at-max-in-struct-of-max", Either, |g| {
            g.record("s", MAX, &[("m", INT, MAX - 7)]);
        }),
        Case::of("member-not-at-a-byte", Either, |g| {
            _ = g.record("s", 8, &[("m", INT, 3)])
        }),
        Case::of("members-that-overlap", Either, |g| {
            g.record("s", 8, &[("a", INT, 0), ("b", INT, 16)]);
        }),
        Case::of("members-in-reverse", Either, |g| {
            g.record("s", 8, &[("a", INT, 32), ("b", INT, 0)]);
        }),
        Case::of("members-60000-all-at-0-of-a-struct", Either, |g| {
            let names: Vec<String> = (0..60_000).map(|i| format!("m{i}")).collect();
            let members: Vec<_> = names.iter().map(|n| (n.as_str(), INT, 0)).collect();
            g.record("s", 4, &members);
        }),
        Case::of("unnamed-member-that-is-an-int", Either, |g| {
            _ = g.record("s", 4, &[("", INT, 0)])
        }),
        Case::of("unnamed-member-that-is-a-pointer", Either, |g| {
            let p = g.ptr(INT);
            g.record("s", 8, &[("", p, 0)]);
        }),
        Case::of("unnamed-member-that-is-a-typedef", Either, |g| {
            let inner = g.record("", 4, &[("m", INT, 0)]);
            let t = g.typedef("t", inner);
            g.record("s", 4, &[("", t, 0)]);
        }),
        Case::of("unnamed-member-that-is-an-array", Either, |g| {
            let inner = g.record("", 4, &[("m", INT, 0)]);
            let a = g.array(inner, INT, 2);
            g.record("s", 8, &[("", a, 0)]);
        }),
        Case::of("unnamed-member-that-is-an-enum", Either, |g| {
            let e = g.enumeration("", 4, &[("A", 1)]);
            g.record("s", 4, &[("", e, 0)]);
        }),
    ];
    for bits in [1, 31, 32, 33, 64, 128, 255] {
        for offset in [0, 1, 31, 100, 0xff_ffff] {
            let name = format!("bit-field-of-{bits}-at-{offset}");
            cases.push(Case::of(&name, Either, |g| bit_field(g, INT, bits, offset)));
        }
    }
    cases.extend(odd_bit_fields());
    for size in [0, 1, 2, 3, 4, 5, 8, 16, 255, MAX] {
        let values = || vec![(b"A".to_vec(), 1), (b"B".to_vec(), MAX)];
        for signed in [false, true] {
            let name = format!("enum-of-size-{size}-signed-{signed}");
            cases.push(Case::of(&name, Either, |g| {
                let e = g.add(
                    "e",
                    Kind::Enum {
                        size,
                        signed,
                        values: values(),
                    },
                );
                g.record("s", 16, &[("e", e, 0)]);
            }));
            cases.push(Case::of(
                &format!("enum64-of-size-{size}-signed-{signed}"),
                Either,
                |g| {
                    let values = values()
                        .into_iter()
                        .map(|(n, v)| (n, u64::from(v) << 31))
                        .collect();
                    let e = g.add(
                        "e",
                        Kind::Enum64 {
                            size,
                            signed,
                            values,
                        },
                    );
                    g.record("s", 16, &[("e", e, 0)]);
                },
            ));
        }
        cases.push(Case::of(&format!("float-of-size-{size}"), Either, |g| {
            let f = g.add("f", Kind::Float { size });
            g.record("s", 16, &[("f", f, 0)]);
        }));
    }
    for size in [0, 1, 3, 4, 8, 16, 32, 255, MAX] {
        for bits in [0, 1, 8, 32, 64, 128, 255] {
            let name = format!("int-of-size-{size}-bits-{bits}");
            cases.push(Case::of(&name, Either, |g| int(g, size, 0, 0, bits)));
        }
    }
    for (encoding, offset) in [
        (SIGNED, 8),
        (SIGNED, 255),
        (BOOL, 0),
        (7, 0),
        (8, 0),
        (255, 0),
    ] {
        let name = format!("int-of-encoding-{encoding}-offset-{offset}");
        cases.push(Case::of(&name, Either, |g| int(g, 4, encoding, offset, 32)));
    }
    cases.push(many_members());
    cases
}

fn int(g: &mut Graph, size: u32, encoding: u8, offset: u8, bits: u8) {
    let odd = g.add(
        "odd",
        Kind::Int {
            size,
            encoding,
            offset,
            bits,
        },
    );
    g.record("s", 32, &[("m", odd, 0)]);
    let a = g.array(odd, INT, 2);
    g.record("a", 64, &[("m", a, 0)]);
}

fn bit_field(g: &mut Graph, ty: u32, bits: u8, offset: u32) {
    let m = Member {
        name: b"m".to_vec(),
        ty,
        offset,
        bits,
    };
    let size = 0x20_0004;
    g.add(
        "s",
        Kind::Record(Record {
            union: false,
            size,
            widths: true,
            members: vec![m],
        }),
    );
}

/// Bit-fields of what cannot be one.
fn odd_bit_fields() -> Vec<Case> {
    type Build = fn(&mut Graph) -> u32;
    let kinds: [(&str, Build); 9] = [
        ("void", |_| 0),
        ("pointer", |g| g.ptr(INT)),
        ("struct", |g| g.record("inner", 4, &[("i", INT, 0)])),
        ("array", |g| g.array(INT, INT, 1)),
        ("float", |g| g.add("float", Kind::Float { size: 4 })),
        ("enum", |g| g.enumeration("e", 4, &[("A", 1)])),
        ("bool", |g| g.int("_Bool", 1, BOOL)),
        ("int128", |g| g.int("__int128", 16, SIGNED)),
        ("forward", |g| g.add("f", Kind::Fwd { union: false })),
    ];
    let mut cases = Vec::new();
    for (what, build) in kinds {
        for bits in [1, 7, 9, 33, 255] {
            cases.push(Case::of(
                &format!("bit-field-of-{what}-{bits}"),
                Want::Either,
                |g| {
                    let ty = build(g);
                    bit_field(g, ty, bits, 0);
                },
            ));
        }
    }
    // One byte holds sixty thousand bit-fields that overlap.
    cases.push(Case::of("bit-fields-60000-at-0", Want::Either, |g| {
        let m = |i| Member {
            name: format!("m{i}").into_bytes(),
            ty: INT,
            offset: 0,
            bits: 1,
        };
        let members = (0..60_000).map(m).collect();
        g.add(
            "s",
            Kind::Record(Record {
                union: false,
                size: 4,
                widths: true,
                members,
            }),
        );
    }));
    cases
}

/// A vlen of 65,535 where the section ends much sooner.
fn many_members() -> Case {
    let mut g = with_int();
    g.record("s", 4, &[("m", INT, 0)]);
    let mut written = write(&g, &Form::default(), b"");
    let info = written.types[1] + 4;
    written.set(info, 4 << 24 | 0xffff, false);
    Case::bytes("vlen-beyond-the-section", written.bytes, Want::TypeFault)
}
