//! References to what is not there, or is of the wrong kind.

use super::super::btfgen::{Graph, Id, Kind};
use super::super::btfwrite::{Form, encode, write};
use super::{Case, INT, Want, with_int};

/// Each puts a reference to `to` into one place.
type Place = fn(&mut Graph, Id);

const PLACES: &[(&str, Place)] = &[
    ("pointer", |g, to| {
        let p = g.ptr(to);
        g.record("s", 8, &[("p", p, 0)]);
    }),
    ("typedef", |g, to| _ = g.typedef("t", to)),
    ("const", |g, to| {
        let c = g.add("", Kind::Const(to));
        let p = g.ptr(c);
        g.record("s", 8, &[("p", p, 0)]);
    }),
    ("volatile-member", |g, to| {
        let v = g.add("", Kind::Volatile(to));
        g.record("s", 8, &[("v", v, 0)]);
    }),
    ("restrict", |g, to| {
        let r = g.add("", Kind::Restrict(to));
        g.record("s", 8, &[("r", r, 0)]);
    }),
    ("type-tag", |g, to| {
        let t = g.add(
            "user",
            Kind::TypeTag {
                ty: to,
                attribute: false,
            },
        );
        let p = g.ptr(t);
        g.record("s", 8, &[("p", p, 0)]);
    }),
    ("element", |g, to| {
        let a = g.array(to, INT, 2);
        g.record("s", 8, &[("a", a, 0)]);
    }),
    ("index", |g, to| {
        let a = g.array(INT, to, 2);
        g.record("s", 8, &[("a", a, 0)]);
    }),
    ("member", |g, to| _ = g.record("s", 8, &[("m", to, 0)])),
    ("unnamed-member", |g, to| {
        _ = g.record("s", 8, &[("", to, 0)])
    }),
    ("union-member", |g, to| _ = g.union("s", 8, &[("m", to, 0)])),
    ("return", |g, to| {
        let f = g.proto(to, &[]);
        let p = g.ptr(f);
        g.record("s", 8, &[("f", p, 0)]);
    }),
    ("parameter", |g, to| {
        let f = g.proto(INT, &[("a", to)]);
        let p = g.ptr(f);
        g.record("s", 8, &[("f", p, 0)]);
    }),
    ("parameter-in-the-midst", |g, to| {
        let f = g.proto(INT, &[("a", INT), ("", to), ("b", INT)]);
        let p = g.ptr(f);
        g.record("s", 8, &[("f", p, 0)]);
    }),
    ("function", |g, to| {
        let f = g.add(
            "f",
            Kind::Func {
                proto: to,
                linkage: 1,
            },
        );
        g.add(
            "bpf_kfunc",
            Kind::DeclTag {
                ty: f,
                component: u32::MAX,
                attribute: false,
            },
        );
    }),
    ("kfunc-tag", |g, to| {
        g.add(
            "bpf_kfunc",
            Kind::DeclTag {
                ty: to,
                component: u32::MAX,
                attribute: false,
            },
        );
    }),
    ("tag-of-component", |g, to| {
        g.add(
            "tag",
            Kind::DeclTag {
                ty: to,
                component: 60_000,
                attribute: true,
            },
        );
    }),
    ("variable", |g, to| {
        _ = g.add("v", Kind::Var { ty: to, linkage: 1 })
    }),
    ("data-section", |g, to| {
        _ = g.add(
            ".data",
            Kind::Datasec {
                size: 4,
                vars: vec![(to, 0, 4)],
            },
        )
    }),
];

/// One of each kind, to be pointed at from where it does not belong.
type Target = fn(&mut Graph) -> Id;

const TARGETS: &[(&str, Target)] = &[
    ("void", |_| 0),
    ("int", |_| INT),
    ("pointer", |g| g.ptr(0)),
    ("array", |g| g.array(INT, INT, 2)),
    ("flexible-array", |g| g.array(INT, INT, 0)),
    ("struct", |g| g.record("target", 4, &[("i", INT, 0)])),
    ("empty-struct", |g| g.record("target", 0, &[])),
    ("unnamed-struct", |g| g.record("", 4, &[("i", INT, 0)])),
    ("enum", |g| g.enumeration("target", 4, &[("A", 0)])),
    ("empty-enum", |g| g.enumeration("target", 4, &[])),
    ("unnamed-enum", |g| g.enumeration("", 4, &[("A", 0)])),
    ("unnamed-empty-enum", |g| g.enumeration("", 4, &[])),
    ("forward", |g| g.add("target", Kind::Fwd { union: false })),
    ("unnamed-forward", |g| g.add("", Kind::Fwd { union: true })),
    ("typedef", |g| g.typedef("target", INT)),
    ("typedef-of-void", |g| g.typedef("target", 0)),
    ("unnamed-typedef", |g| g.typedef("", INT)),
    ("const-void", |g| g.add("", Kind::Const(0))),
    ("restrict-int", |g| g.add("", Kind::Restrict(INT))),
    ("prototype", |g| g.proto(INT, &[])),
    ("const-prototype", |g| {
        let f = g.proto(INT, &[]);
        g.add("", Kind::Const(f))
    }),
    ("typedef-of-prototype", |g| {
        let f = g.proto(INT, &[]);
        g.typedef("target", f)
    }),
    ("variadic-prototype", |g| {
        g.proto(INT, &[("a", INT), ("", 0)])
    }),
    ("variadic-only-prototype", |g| g.proto(INT, &[("", 0)])),
    ("array-of-prototypes", |g| {
        let f = g.proto(INT, &[]);
        g.array(f, INT, 2)
    }),
    ("array-of-void", |g| g.array(0, INT, 2)),
    ("array-of-forward", |g| {
        let f = g.add("target", Kind::Fwd { union: false });
        g.array(f, INT, 2)
    }),
    ("array-of-flexible-arrays", |g| {
        let a = g.array(INT, INT, 0);
        g.array(a, INT, 2)
    }),
    ("function", |g| {
        let f = g.proto(INT, &[]);
        g.add(
            "target",
            Kind::Func {
                proto: f,
                linkage: 1,
            },
        )
    }),
    ("variable", |g| {
        g.add(
            "target",
            Kind::Var {
                ty: INT,
                linkage: 1,
            },
        )
    }),
    ("data-section", |g| {
        g.add(
            ".target",
            Kind::Datasec {
                size: 0,
                vars: vec![],
            },
        )
    }),
    ("decl-tag", |g| {
        g.add(
            "target",
            Kind::DeclTag {
                ty: INT,
                component: u32::MAX,
                attribute: false,
            },
        )
    }),
    ("type-tag", |g| {
        g.add(
            "target",
            Kind::TypeTag {
                ty: INT,
                attribute: false,
            },
        )
    }),
    ("float", |g| g.add("target", Kind::Float { size: 4 })),
    ("out-of-range", |_| 1000),
    ("far-out-of-range", |_| 0x7fff_ffff),
    ("max", |_| u32::MAX),
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (to, target) in TARGETS {
        for (at, place) in PLACES {
            let outside = to.contains("range") || *to == "max";
            let want = if outside {
                Want::TypeFault
            } else {
                Want::Either
            };
            cases.push(Case::of(&format!("{at}-of-{to}"), want, |g| {
                let id = target(g);
                place(g, id);
            }));
        }
    }
    // One past the last: the commonest slip.
    for (at, place) in PLACES {
        let name = format!("{at}-of-one-past-the-last");
        cases.push(Case::of(&name, Want::TypeFault, |g| {
            let mut probe = g.clone();
            place(&mut probe, 0);
            place(g, probe.end());
        }));
    }
    cases.extend(strings());
    cases.extend(split());
    cases
}

/// String offsets that lead outside, and sections that do not end in NUL.
fn strings() -> Vec<Case> {
    let mut g = with_int();
    g.record("s", 4, &[("m", INT, 0)]);
    let plain = || write(&g, &Form::default(), b"");
    let length = plain().strings.len() as u32;
    let mut cases = Vec::new();
    for offset in [length, length + 1, 0x7fff_ffff, u32::MAX] {
        for (what, shift) in [("type", 0), ("member", 12)] {
            let mut written = plain();
            let at = written.types[1] + shift;
            written.set(at, offset, false);
            let name = format!("string-of-{what}-at-{offset:#x}");
            cases.push(Case::bytes(&name, written.bytes, Want::TypeFault));
        }
    }
    let mut unterminated = plain();
    unterminated.bytes.pop();
    unterminated.set(20, length - 1, false);
    cases.push(Case::bytes(
        "strings-unterminated",
        unterminated.bytes,
        Want::Fault,
    ));
    let mut no_empty = plain();
    no_empty.bytes[no_empty.strings.start] = b'x';
    cases.push(Case::bytes(
        "strings-that-do-not-begin-with-the-empty-one",
        no_empty.bytes,
        Want::Fault,
    ));
    let mut none = plain();
    none.set(20, 0, false);
    cases.push(Case::bytes("strings-none", none.bytes, Want::Fault));
    cases
}

/// Bases that do not belong to the split BTF over them.
fn split() -> Vec<Case> {
    let mut base = with_int();
    base.record("in_base", 4, &[("m", INT, 0)]);
    let mut own = Graph::over(&base);
    own.record("own", 4, &[("b", 2, 0)]);
    let strings = |g: &Graph, form: &Form| {
        let w = write(g, form, b"");
        w.bytes[w.strings].to_vec()
    };
    let (little, big) = (Form::default(), Form::big());
    let over = |form: &Form| write(&own, form, &strings(&base, form)).bytes;
    let case = |name: &str, base: Vec<u8>, input: Vec<u8>, want| Case {
        name: format!("split-{name}"),
        input,
        base: Some(base),
        want,
    };
    let small = Graph::new();
    let mut other = Graph::new();
    (0..10).for_each(|i| _ = other.record(&format!("other{i}"), 4 * i, &[]));
    let mut wide = with_int();
    (0..60_000).for_each(|i| _ = wide.record(&format!("in_base_{i}"), 4, &[("m", INT, 0)]));
    vec![
        case(
            "that-belongs",
            encode(&base, &little),
            over(&little),
            Want::Header,
        ),
        case(
            "that-belongs-big-endian",
            encode(&base, &big),
            over(&big),
            Want::Header,
        ),
        case(
            "little-over-big",
            encode(&base, &big),
            over(&little),
            Want::Refusal,
        ),
        case(
            "big-over-little",
            encode(&base, &little),
            over(&big),
            Want::Refusal,
        ),
        case(
            "over-nothing",
            encode(&small, &little),
            over(&little),
            Want::TypeFault,
        ),
        case(
            "over-another",
            encode(&other, &little),
            over(&little),
            Want::Either,
        ),
        case(
            "over-a-longer",
            encode(&wide, &little),
            over(&little),
            Want::Either,
        ),
        case("over-itself", over(&little), over(&little), Want::Refusal),
        case(
            "whole-over-whole",
            encode(&base, &little),
            encode(&base, &little),
            Want::Either,
        ),
        case(
            "over-no-btf",
            b"not BTF at all".to_vec(),
            over(&little),
            Want::Refusal,
        ),
        Case::bytes("split-without-base", over(&little), Want::Fault),
    ]
}
