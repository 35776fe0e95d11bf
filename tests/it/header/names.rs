//! Names that C does not take as they are.

use super::text::{kfunc, tag};
use super::*;
use crate::support::btfgen::{Id, Kind, SIGNED};
use crate::support::header::escape;

/// Names that some compiler keeps for itself, or that are no identifiers.
const ODD: [&str; 14] = [
    "core::option::Option<u8>",
    "{closure_env#0}",
    "*/ int evil; /*",
    "a\nint evil;",
    "a\\\nb",
    "a\"b",
    "a//b",
    "??/",
    "0x10",
    "ünïcode",
    "linux",
    "unix",
    "while",
    "__LINE__",
];

/// The same name in every place that a name can have.
fn everywhere(name: &str) -> Graph {
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    let s = g.record(name, 8, &[(name, int, 0), ("b", int, 32)]);
    let e = g.enumeration("e", 4, &[(name, 1)]);
    let p = g.ptr(s);
    kfunc(&mut g, "takes", int, &[(name, p), ("e", e)]);
    g
}

/// And in those places that share a namespace with the former.
fn elsewhere(name: &str) -> Graph {
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    let t = g.typedef(name, int);
    let u = g.union(name, 4, &[("a", t, 0)]);
    let f = g.add("later", Kind::Fwd { union: false });
    let (u, f) = (g.ptr(u), g.ptr(f));
    let func = kfunc(&mut g, "kfunc", int, &[("u", u), ("f", f)]);
    tag(&mut g, name, func);
    g.add(
        name,
        Kind::TypeTag {
            ty: int,
            attribute: false,
        },
    );
    g
}

#[test]
fn names_that_c_does_not_take_are_escaped_wherever_they_stand() {
    for name in ODD {
        for graph in [everywhere(name), elsewhere(name)] {
            let text = comes_back(&graph);
            assert!(count(&text, &escape(name)) > 0, "{name:?} in\n{text}");
            assert!(!text.contains("evil;"), "{name:?} in\n{text}");
            assert!(text.is_ascii(), "{name:?}");
        }
    }
}

#[test]
fn no_escape_meets_another_name() {
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    let names = [
        "a-b",
        "a_2db",
        "__btfleet_a_2db",
        "a b",
        "__btfleet_a_5f2db",
    ];
    for name in names {
        g.record(name, 4, &[(name, int, 0)]);
    }
    let members: Vec<(&str, Id, u32)> = names
        .iter()
        .enumerate()
        .map(|(i, name)| (*name, int, 32 * i as u32))
        .collect();
    g.record("all", 20, &members);
    comes_back(&g);
}

#[test]
fn a_member_name_that_is_repeated_in_one_record_is_an_error() {
    for through_unnamed in [false, true] {
        let mut g = Graph::new();
        let int = g.int("int", 4, SIGNED);
        let inner = g.record("", 4, &[("twice", int, 0)]);
        match through_unnamed {
            true => g.record("s", 8, &[("twice", int, 0), ("", inner, 32)]),
            false => g.record("s", 8, &[("twice", int, 0), ("twice", int, 32)]),
        };
        let why = refused(&g);
        for word in ["twice", "type id ", "byte offset "] {
            assert!(why.contains(word), "{word} in {why}");
        }
    }
    // The same name one level deeper is another record's.
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    let inner = g.record("", 4, &[("twice", int, 0)]);
    g.record("s", 8, &[("twice", int, 0), ("named", inner, 32)]);
    comes_back(&g);
}
