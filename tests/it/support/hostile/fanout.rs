//! Little input that is much output when written out.

use super::super::btfgen::{Graph, Kind, record};
use super::super::btfwrite::{Form, write};
use super::{Case, INT, Want, user, with_int};

pub fn cases() -> Vec<Case> {
    use Want::{Either, Header};
    vec![
        Case::of("doubling-unnamed-unions", Either, |g| {
            doubling(g, 40, "a", "b")
        }),
        Case::of("doubling-unnamed-unions-100000", Either, |g| {
            doubling(g, 100_000, "a", "b")
        }),
        Case::of("doubling-unnamed-members", Either, |g| {
            doubling(g, 40, "", "")
        }),
        Case::of("doubling-unnamed-unions-20", Either, |g| {
            doubling(g, 20, "a", "b")
        }),
        Case::of("doubling-unnamed-unions-8", Header, |g| {
            doubling(g, 8, "a", "b")
        }),
        Case::of("doubling-unnamed-structs", Either, |g| {
            // Sizes double too, so the top one is of 2^31 bytes.
            let mut below = g.record("", 1, &[]);
            for i in 0..31 {
                let size: u32 = 2 << i;
                // Offsets in bits do not reach half of it: they wrap, as a hostile writer may have them.
                let half = size.wrapping_mul(4);
                below = g.record("", size, &[("a", below, 0), ("b", below, half)]);
            }
            user(g, below);
        }),
        Case::of("doubling-empty-structs", Either, |g| {
            let mut below = g.record("", 0, &[]);
            for _ in 0..40 {
                below = g.record("", 0, &[("a", below, 0), ("b", below, 0)]);
            }
            user(g, below);
        }),
        Case::of("doubling-unnamed-pointed-at", Either, |g| {
            let mut below = INT;
            for _ in 0..40 {
                let p = g.ptr(below);
                below = g.record("", 16, &[("a", p, 0), ("b", p, 64)]);
            }
            user(g, below);
        }),
        Case::of("doubling-prototypes", Either, |g| {
            let mut below = INT;
            for _ in 0..40 {
                let proto = g.proto(below, &[("a", below), ("b", below)]);
                below = g.ptr(proto);
            }
            user(g, below);
        }),
        Case::of("doubling-kfunc", Either, |g| {
            let mut below = INT;
            for _ in 0..40 {
                let proto = g.proto(INT, &[("a", below), ("b", below)]);
                below = g.ptr(proto);
            }
            let proto = g.proto(INT, &[("a", below)]);
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
        Case::of("doubling-arrays-in-unnamed-unions", Either, |g| {
            let mut below = INT;
            for _ in 0..40 {
                let array = g.array(below, INT, 1);
                below = g.union("", 4, &[("a", array, 0), ("b", array, 0)]);
            }
            user(g, below);
        }),
        // 60,000 users of an unnamed union of 60,000 members: 3.6 * 10^9 lines from 1.5 MB.
        Case::of("unnamed-union-of-60000-used-60000-times", Either, |g| {
            let names: Vec<String> = (0..60_000).map(|i| format!("m{i}")).collect();
            let members: Vec<_> = names.iter().map(|n| (n.as_str(), INT, 0)).collect();
            let inner = g.add("", record(true, 4, &members));
            for i in 0..60_000 {
                g.record(&format!("s{i}"), 4, &[("", inner, 0)]);
            }
        }),
        Case::of("unnamed-enum-of-60000-used-60000-times", Either, |g| {
            let values = (0..60_000)
                .map(|i| (format!("E{i}").into_bytes(), i))
                .collect();
            let inner = g.add(
                "",
                Kind::Enum {
                    size: 4,
                    signed: false,
                    values,
                },
            );
            for i in 0..60_000 {
                g.record(&format!("s{i}"), 4, &[("e", inner, 0)]);
            }
        }),
        Case::of("prototype-of-60000-used-60000-times", Either, |g| {
            let params = (0..60_000).map(|_| (b"argument".to_vec(), INT)).collect();
            let proto = g.add("", Kind::Proto { ret: INT, params });
            let p = g.ptr(proto);
            for i in 0..60_000 {
                g.record(&format!("s{i}"), 8, &[("f", p, 0)]);
            }
        }),
        // One string of 1 MB, used 60,000 times: 60 GB.
        long_name("name-of-1-MB-used-60000-times", 1 << 20, |_| 0),
        // Every suffix of one string a name of its own: 2 GB from 0.7 MB.
        long_name("names-60000-that-are-suffixes-of-one", 60_000, |i| i),
        Case::of("typedef-name-of-1-MB-in-60000-members", Either, |g| {
            let long = g.add(vec![b'n'; 1 << 20], Kind::Typedef(INT));
            let names: Vec<String> = (0..60_000).map(|i| format!("m{i}")).collect();
            let members: Vec<_> = names.iter().map(|n| (n.as_str(), long, 0)).collect();
            g.union("u", 4, &members);
        }),
        Case::of("members-60000-of-one-struct", Header, |g| {
            let names: Vec<String> = (0..60_000).map(|i| format!("m{i}")).collect();
            let members: Vec<_> = names
                .iter()
                .zip(0..)
                .map(|(n, i)| (n.as_str(), INT, i * 32))
                .collect();
            g.record("wide", 240_000, &members);
        }),
        Case::of("members-60000-unnamed-unions", Either, |g| {
            let mut members = Vec::new();
            let names: Vec<String> = (0..60_000).map(|i| format!("m{i}")).collect();
            for (name, i) in names.iter().zip(0..) {
                let inner = g.union("", 4, &[(name, INT, 0)]);
                members.push(("", inner, i * 32));
            }
            g.record("wide", 240_000, &members);
        }),
        // The unnamed records nest, and each level has a name that must be looked for in all the others.
        Case::of("unnamed-levels-200-of-300-members", Either, |g| {
            let mut below = INT;
            for level in 0..200 {
                let names: Vec<String> = (0..300).map(|i| format!("m{level}_{i}")).collect();
                let mut members: Vec<_> = names.iter().map(|n| (n.as_str(), INT, 0)).collect();
                if level > 0 {
                    members.push(("", below, 0));
                }
                below = g.union("", 4, &members);
            }
            g.record("s", 4, &[("", below, 0)]);
        }),
        Case::of("tags-60000-on-one-struct", Either, |g| {
            let s = g.record("s", 4, &[("m", INT, 0)]);
            for i in 0..60_000 {
                g.add(
                    format!("tag{i}"),
                    Kind::DeclTag {
                        ty: s,
                        component: i % 2,
                        attribute: false,
                    },
                );
            }
        }),
        Case::of("kfunc-tags-60000-on-one-func", Either, |g| {
            let proto = g.proto(INT, &[("a", INT)]);
            let f = g.add("f", Kind::Func { proto, linkage: 1 });
            for _ in 0..60_000 {
                g.add(
                    "bpf_kfunc",
                    Kind::DeclTag {
                        ty: f,
                        component: u32::MAX,
                        attribute: false,
                    },
                );
            }
        }),
    ]
}

/// Unnamed unions, each with two members of the one below.
fn doubling(g: &mut Graph, levels: u32, a: &str, b: &str) {
    let mut below = g.union("", 4, &[("i", INT, 0)]);
    for _ in 0..levels {
        below = g.union("", 4, &[(a, below, 0), (b, below, 0)]);
    }
    user(g, below);
}

/// 60,000 structs whose one member is named by what `skip` leaves of one long string.
fn long_name(name: &str, length: usize, skip: fn(u32) -> u32) -> Case {
    let mut g = with_int();
    g.add(vec![b'n'; length], Kind::Typedef(INT));
    for i in 0..60_000 {
        g.record(&format!("s{i}"), 4, &[("", INT, 0)]);
    }
    let mut written = write(&g, &Form::default(), b"");
    let of_typedef = written.types[1];
    let word = written.bytes[of_typedef..of_typedef + 4]
        .try_into()
        .expect("four bytes");
    let long = u32::from_le_bytes(word);
    for (i, at) in written.types.clone().into_iter().skip(2).enumerate() {
        written.set(at + 12, long + skip(i as u32), false);
    }
    Case::bytes(name, written.bytes, Want::Either)
}
