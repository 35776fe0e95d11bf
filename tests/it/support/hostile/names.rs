//! Names from outside: what a careless printer would let end a line, a comment or a string.

use super::super::btfgen::{Graph, Kind, Member, Record};
use super::{Case, INT, Want};

const BAD: &[(&str, &[u8])] = &[
    ("newline", b"a\nint b"),
    ("carriage-return", b"a\rb"),
    ("quote", b"a\"b"),
    ("apostrophe", b"a'b"),
    ("comment-end", b"a*/b"),
    ("comment-start", b"a/*b"),
    ("line-comment", b"a//b"),
    ("trigraph", b"a?\x3f/b"),
    ("backslash", b"a\\"),
    ("backslash-newline", b"a\\\nb"),
    ("directive", b"\n#include \"/etc/passwd\"\n"),
    ("semicolon", b"a; int b"),
    ("brace", b"a }; struct x {"),
    ("space", b" "),
    ("dash", b"a-b"),
    ("digit", b"1a"),
    ("dollar", b"a$b"),
    ("dot", b"core::fmt.0"),
    ("at", b"@"),
    ("rust-generic", b"Option<core::ptr::NonNull<u8>>"),
    ("rust-slice", b"&[u8]"),
    ("utf8", "größe".as_bytes()),
    ("broken-utf8", b"a\xff\xfe\x80"),
    ("overlong-utf8", b"a\xc0\xaf"),
    ("bidi", "a\u{202e}b".as_bytes()),
    ("escape-sequence", b"\x1b[31m"),
    (
        "all-controls",
        b"\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x7f",
    ),
    ("keyword", b"while"),
    ("keyword-int", b"int"),
    ("keyword-static-assert", b"_Static_assert"),
    ("keyword-c23", b"typeof"),
    ("keyword-bool", b"bool"),
    ("keyword-true", b"true"),
    ("keyword-nullptr", b"nullptr"),
    ("keyword-gnu", b"asm"),
    ("keyword-underscored", b"__attribute__"),
    ("macro", b"linux"),
    ("macro-unix", b"unix"),
    ("macro-line", b"__LINE__"),
    ("macro-bpf", b"__bpf__"),
    ("builtin", b"__builtin_va_list"),
    ("builtin-offsetof", b"__builtin_offsetof"),
    ("builtin-type", b"__int128"),
    ("builtin-typedef", b"__int128_t"),
    ("guard", b"__VMLINUX_H__"),
    ("own-macro", b"BPF_NO_PRESERVE_ACCESS_INDEX"),
    ("ksym", b"__ksym"),
    ("weak", b"__weak"),
    ("memcpy", b"memcpy"),
    ("printf", b"printf"),
    ("abort", b"abort"),
    ("main", b"main"),
    ("suffix", b"a___2"),
    ("suffix-alone", b"___2"),
    ("underscores", b"_________"),
];

type Place = fn(&mut Graph, &[u8]);

const PLACES: &[(&str, Place)] = &[
    ("struct", |g, n| _ = g.add(n, one_member(b"m", false))),
    ("union", |g, n| _ = g.add(n, one_member(b"m", true))),
    ("member", |g, n| _ = g.add("s", one_member(n, false))),
    ("enum", |g, n| _ = g.add(n, values(b"A"))),
    ("enumerator", |g, n| _ = g.add("e", values(n))),
    ("unnamed-enumerator", |g, n| _ = g.add("", values(n))),
    ("typedef", |g, n| _ = g.add(n, Kind::Typedef(INT))),
    ("forward", |g, n| _ = g.add(n, Kind::Fwd { union: false })),
    ("int", |g, n| {
        let int = g.add(
            n,
            Kind::Int {
                size: 4,
                encoding: 0,
                offset: 0,
                bits: 32,
            },
        );
        g.record("s", 4, &[("m", int, 0)]);
    }),
    ("float", |g, n| {
        let float = g.add(n, Kind::Float { size: 8 });
        g.record("s", 8, &[("m", float, 0)]);
    }),
    ("kfunc", |g, n| kfunc(g, n, b"a", b"bpf_kfunc")),
    ("parameter", |g, n| kfunc(g, b"kfunc", n, b"bpf_kfunc")),
    ("decl-tag", |g, n| {
        g.add("s", one_member(b"m", false));
        g.add(
            n,
            Kind::DeclTag {
                ty: 2,
                component: u32::MAX,
                attribute: true,
            },
        );
        g.add(
            n,
            Kind::DeclTag {
                ty: 2,
                component: 0,
                attribute: false,
            },
        );
    }),
    ("decl-tag-on-kfunc", |g, n| {
        kfunc(g, b"kfunc", b"a", b"bpf_kfunc");
        g.add(
            n,
            Kind::DeclTag {
                ty: 3,
                component: u32::MAX,
                attribute: true,
            },
        );
        g.add(
            n,
            Kind::DeclTag {
                ty: 3,
                component: 0,
                attribute: false,
            },
        );
    }),
    ("type-tag", |g, n| {
        let tag = g.add(
            n,
            Kind::TypeTag {
                ty: INT,
                attribute: false,
            },
        );
        let p = g.ptr(tag);
        let attribute = g.add(
            n,
            Kind::TypeTag {
                ty: INT,
                attribute: true,
            },
        );
        let q = g.ptr(attribute);
        g.record("s", 16, &[("p", p, 0), ("q", q, 64)]);
    }),
    ("datasec", |g, n| {
        let ty = g.add(
            n,
            Kind::Var {
                ty: INT,
                linkage: 1,
            },
        );
        g.add(
            n,
            Kind::Datasec {
                size: 4,
                vars: vec![(ty, 0, 4)],
            },
        );
    }),
    // Each thing that may have it, has it.
    ("everything", |g, n| {
        g.add(n, one_member(n, false));
        g.add(n, one_member(n, true));
        g.add(n, values(n));
        g.add(n, Kind::Typedef(2));
        g.add(n, Kind::Fwd { union: false });
        g.add(n, Kind::Fwd { union: true });
        kfunc(g, n, n, b"bpf_kfunc");
    }),
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, name) in BAD {
        for (place, put) in PLACES {
            let want = Want::Either;
            cases.push(Case::of(&format!("name-{what}-of-{place}"), want, |g| {
                put(g, name)
            }));
        }
    }
    for (place, put) in PLACES {
        let long = vec![b'n'; 1 << 20];
        let wild = vec![b'\xff'; 1 << 20];
        cases.push(Case::of(
            &format!("name-1-MB-of-{place}"),
            Want::Either,
            |g| put(g, &long),
        ));
        cases.push(Case::of(
            &format!("name-1-MB-wild-of-{place}"),
            Want::Either,
            |g| put(g, &wild),
        ));
    }
    cases.extend(repeated());
    cases.extend(clashing());
    cases
}

/// One name twice among the members of a record, unnamed ones' members included.
fn repeated() -> Vec<Case> {
    use Want::TypeFault;
    vec![
        Case::of("member-repeated", TypeFault, |g| {
            g.record("s", 8, &[("m", INT, 0), ("m", INT, 32)]);
        }),
        Case::of("member-repeated-in-union", TypeFault, |g| {
            g.union("s", 4, &[("m", INT, 0), ("m", INT, 0)]);
        }),
        Case::of("member-repeated-in-unnamed", TypeFault, |g| {
            let inner = g.union("", 4, &[("m", INT, 0)]);
            g.record("s", 8, &[("m", INT, 0), ("", inner, 32)]);
        }),
        Case::of("member-repeated-in-two-unnamed", TypeFault, |g| {
            let one = g.union("", 4, &[("m", INT, 0)]);
            let two = g.record("", 4, &[("m", INT, 0)]);
            g.record("s", 8, &[("", one, 0), ("", two, 32)]);
        }),
        Case::of("member-repeated-by-one-unnamed-twice", TypeFault, |g| {
            let inner = g.union("", 4, &[("m", INT, 0)]);
            g.record("s", 8, &[("", inner, 0), ("", inner, 32)]);
        }),
        Case::of("member-repeated-far-below", TypeFault, |g| {
            let mut inner = g.union("", 4, &[("m", INT, 0)]);
            for i in 0..50 {
                inner = g.record(
                    "",
                    4 + 4 * (i + 1),
                    &[("", inner, 0), (&format!("m{i}"), INT, 32 + i * 32)],
                );
            }
            g.record("s", 208, &[("", inner, 0), ("m", INT, 204 * 8)]);
        }),
        Case::of("member-repeated-by-named-as-unnamed", TypeFault, |g| {
            let inner = g.record("inner", 4, &[("m", INT, 0)]);
            g.record("s", 8, &[("", inner, 0), ("m", INT, 32)]);
        }),
        Case::of("member-repeated-in-a-const-unnamed", TypeFault, |g| {
            let inner = g.union("", 4, &[("m", INT, 0)]);
            let inner = g.add("", Kind::Const(inner));
            g.record("s", 8, &[("", inner, 0), ("m", INT, 32)]);
        }),
        Case::of("member-repeated-as-bit-field", TypeFault, |g| {
            let m = |offset| Member {
                name: b"m".to_vec(),
                ty: INT,
                offset,
                bits: 3,
            };
            let members = vec![m(0), m(3)];
            g.add(
                "s",
                Kind::Record(Record {
                    union: false,
                    size: 4,
                    widths: true,
                    members,
                }),
            );
        }),
        Case::of("member-repeated-60000-times", TypeFault, |g| {
            let members = vec![("m", INT, 0); 60_000];
            g.union("s", 4, &members);
        }),
        Case::of("enumerator-repeated-in-one-enum", Want::Either, |g| {
            g.enumeration("e", 4, &[("A", 0), ("A", 1), ("A", 0)]);
        }),
    ]
}

/// Names that our own words could meet.
fn clashing() -> Vec<Case> {
    vec![
        Case::of("name-of-member-is-a-typedef", Want::Header, |g| {
            let t = g.typedef("t", INT);
            g.record("s", 8, &[("t", t, 0), ("u", t, 32)]);
        }),
        Case::of("name-of-parameter-is-a-typedef", Want::Header, |g| {
            let t = g.typedef("t", INT);
            let proto = g.proto(t, &[("t", t), ("u", t)]);
            let p = g.ptr(proto);
            g.record("s", 8, &[("f", p, 0)]);
            let f = g.add("kfunc", Kind::Func { proto, linkage: 1 });
            g.add(
                "bpf_kfunc",
                Kind::DeclTag {
                    ty: f,
                    component: u32::MAX,
                    attribute: false,
                },
            );
        }),
        Case::of("name-of-parameter-repeated", Want::Either, |g| {
            let proto = g.proto(INT, &[("a", INT), ("a", INT)]);
            let f = g.add("kfunc", Kind::Func { proto, linkage: 1 });
            g.add(
                "bpf_kfunc",
                Kind::DeclTag {
                    ty: f,
                    component: u32::MAX,
                    attribute: false,
                },
            );
        }),
        Case::of("name-of-enumerator-is-a-typedef", Want::Header, |g| {
            g.typedef("A", INT);
            g.enumeration("e", 4, &[("A", 7)]);
        }),
        Case::of("name-of-kfunc-is-an-enumerator", Want::Header, |g| {
            g.enumeration("e", 4, &[("f", 7)]);
            let proto = g.proto(INT, &[]);
            let f = g.add("f", Kind::Func { proto, linkage: 1 });
            g.add(
                "bpf_kfunc",
                Kind::DeclTag {
                    ty: f,
                    component: u32::MAX,
                    attribute: false,
                },
            );
        }),
    ]
}

fn one_member(name: &[u8], union: bool) -> Kind {
    let members = vec![Member {
        name: name.to_vec(),
        ty: INT,
        offset: 0,
        bits: 0,
    }];
    Kind::Record(Record {
        union,
        size: 4,
        widths: false,
        members,
    })
}

fn values(name: &[u8]) -> Kind {
    Kind::Enum {
        size: 4,
        signed: false,
        values: vec![(name.to_vec(), 1)],
    }
}

fn kfunc(g: &mut Graph, name: &[u8], param: &[u8], tag: &[u8]) {
    let proto = g.add(
        "",
        Kind::Proto {
            ret: INT,
            params: vec![(param.to_vec(), INT)],
        },
    );
    let ty = g.add(name, Kind::Func { proto, linkage: 1 });
    g.add(
        tag,
        Kind::DeclTag {
            ty,
            component: u32::MAX,
            attribute: false,
        },
    );
}
