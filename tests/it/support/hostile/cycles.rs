//! Types that contain themselves where nothing can.

use super::super::btfgen::{Graph, Kind};
use super::{Case, INT, Want, typedef, user};

pub fn cases() -> Vec<Case> {
    use Want::{Either, Header, TypeFault};
    // In each, `int` is 1, so the first type added is 2.
    vec![
        Case::of("cycle-typedef-self", TypeFault, |g| {
            g.typedef("t", 2);
        }),
        Case::of("cycle-typedef-two", TypeFault, |g| {
            g.typedef("a", 3);
            g.typedef("b", 2);
        }),
        Case::of("cycle-typedef-const-volatile", TypeFault, |g| {
            g.typedef("a", 3);
            g.add("", Kind::Const(4));
            g.add("", Kind::Volatile(2));
        }),
        Case::of("cycle-typedef-array", TypeFault, |g| {
            g.typedef("a", 3);
            g.array(2, INT, 2);
        }),
        Case::of("cycle-typedef-pointer", TypeFault, |g| {
            g.typedef("a", 3);
            g.ptr(2);
        }),
        // typedef void (*f)(f): C has no such thing.
        Case::of("cycle-typedef-own-parameter", TypeFault, |g| {
            g.typedef("f", 3);
            g.ptr(4);
            g.proto(0, &[("self", 2)]);
        }),
        Case::of("cycle-typedef-used-by-struct", TypeFault, |g| {
            g.typedef("a", 3);
            g.typedef("b", 2);
            g.record("s", 4, &[("m", 2, 0)]);
        }),
        Case::of("cycle-typedef-unnamed-struct-by-value", TypeFault, |g| {
            g.typedef("a", 3);
            g.record("", 4, &[("m", 2, 0)]);
        }),
        // typedef struct { a *next; } a: not C, but plain to say.
        Case::of("cycle-typedef-unnamed-struct-pointer", Either, |g| {
            g.typedef("a", 3);
            g.record("", 8, &[("next", 4, 0)]);
            g.ptr(2);
        }),
        Case::of("cycle-pointer-self", TypeFault, |g| {
            g.ptr(2);
            user(g, 2);
        }),
        Case::of("cycle-pointer-self-unused", Either, |g| {
            g.ptr(2);
        }),
        Case::of("cycle-const-self", TypeFault, |g| {
            g.add("", Kind::Const(2));
            user(g, 2);
        }),
        Case::of("cycle-const-volatile-restrict", TypeFault, |g| {
            g.add("", Kind::Const(3));
            g.add("", Kind::Volatile(4));
            g.add("", Kind::Restrict(2));
            g.record("s", 4, &[("m", 3, 0)]);
        }),
        Case::of("cycle-type-tag-self", TypeFault, |g| {
            g.add(
                "user",
                Kind::TypeTag {
                    ty: 2,
                    attribute: false,
                },
            );
            user(g, 2);
        }),
        Case::of("cycle-array-self", TypeFault, |g| {
            g.array(2, INT, 1);
            user(g, 2);
        }),
        Case::of("cycle-array-index-self", Either, |g| {
            g.array(INT, 2, 1);
            user(g, 2);
        }),
        Case::of("cycle-prototype-returns-itself", TypeFault, |g| {
            g.proto(3, &[]);
            g.ptr(2);
            user(g, 3);
        }),
        Case::of("cycle-prototype-takes-itself", TypeFault, |g| {
            g.proto(INT, &[("f", 3)]);
            g.ptr(2);
            user(g, 3);
        }),
        Case::of("cycle-unnamed-struct-pointer", TypeFault, |g| {
            g.record("", 8, &[("p", 3, 0)]);
            g.ptr(2);
            user(g, 2);
        }),
        Case::of("cycle-struct-self", TypeFault, |g| {
            g.record("s", 4, &[("m", 2, 0)]);
        }),
        Case::of("cycle-struct-two", TypeFault, |g| {
            g.record("a", 4, &[("b", 3, 0)]);
            g.record("b", 4, &[("a", 2, 0)]);
        }),
        Case::of("cycle-struct-array", TypeFault, |g| {
            g.record("s", 4, &[("m", 3, 0)]);
            g.array(2, INT, 1);
        }),
        Case::of("cycle-struct-array-of-none", TypeFault, |g| {
            g.record("s", 4, &[("m", INT, 0), ("tail", 3, 32)]);
            g.array(2, INT, 0);
        }),
        Case::of("cycle-struct-typedef-const", TypeFault, |g| {
            g.record("s", 4, &[("m", 3, 0)]);
            g.typedef("s_t", 4);
            g.add("", Kind::Const(2));
        }),
        Case::of("cycle-struct-unnamed-member", TypeFault, |g| {
            g.record("s", 4, &[("", 3, 0)]);
            g.union("", 4, &[("s", 2, 0), ("i", INT, 0)]);
        }),
        Case::of("cycle-unnamed-struct-by-value", TypeFault, |g| {
            g.record("s", 4, &[("", 3, 0)]);
            g.record("", 4, &[("", 3, 0)]);
        }),
        Case::of("cycle-unnamed-struct-two", TypeFault, |g| {
            g.record("", 4, &[("", 3, 0)]);
            g.union("", 4, &[("x", 2, 0)]);
            user(g, 2);
        }),
        Case::of("cycle-struct-named-as-unnamed-member", TypeFault, |g| {
            g.record("s", 4, &[("", 2, 0)]);
        }),
        Case::of("cycle-struct-twins-by-value", TypeFault, |g| {
            g.record("s", 4, &[("m", 3, 0)]);
            g.record("s", 4, &[("m", 2, 0)]);
        }),
        Case::of("cycle-struct-through-forward", TypeFault, |g| {
            g.record("s", 4, &[("m", 3, 0)]);
            g.add("s", Kind::Fwd { union: false });
        }),
        // A prototype may take and give a struct that is not yet complete.
        Case::of("cycle-struct-through-prototype", Header, |g| {
            g.record("s", 8, &[("f", 3, 0)]);
            g.ptr(4);
            g.proto(2, &[("by_value", 2)]);
        }),
        Case::of("cycle-tag-on-itself", Either, |g| {
            g.add(
                "bpf_kfunc",
                Kind::DeclTag {
                    ty: 2,
                    component: u32::MAX,
                    attribute: false,
                },
            );
        }),
        Case::of("cycle-func-on-itself", Either, |g| {
            g.add(
                "f",
                Kind::Func {
                    proto: 2,
                    linkage: 0,
                },
            );
        }),
        Case::of("cycle-of-60000-typedefs", TypeFault, long_typedef_ring),
        Case::of("cycle-of-60000-structs", TypeFault, long_struct_ring),
    ]
}

fn long_typedef_ring(g: &mut Graph) {
    let n = 60_000;
    for i in 0..n {
        g.add(format!("t{i}"), typedef(2 + (i + 1) % n));
    }
}

fn long_struct_ring(g: &mut Graph) {
    let n = 60_000;
    for i in 0..n {
        g.record(&format!("s{i}"), 4, &[("m", 2 + (i + 1) % n, 0)]);
    }
}
