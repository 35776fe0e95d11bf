//! Sizes, offsets, alignment, bit-fields, enums: as the kernel has them, on every target.

use super::*;
use crate::support::btfgen::{Kind, Member, Record, SIGNED};

/// A record of `(name, type, bit offset, width)`, with bit-fields where the width is not 0.
fn fields(g: &mut Graph, name: &str, size: u32, members: &[(&str, u32, u32, u8)]) -> u32 {
    let members = members
        .iter()
        .map(|&(name, ty, offset, bits)| Member {
            name: name.as_bytes().to_vec(),
            ty,
            offset,
            bits,
        })
        .collect();
    g.add(
        name,
        Kind::Record(Record {
            union: false,
            size,
            widths: true,
            members,
        }),
    )
}

#[test]
fn a_union_smaller_than_its_members_alignment_asks_is_packed() {
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    let byte = g.int("unsigned char", 1, 0);
    let bytes = g.array(byte, int, 5);
    // Like `ec_response_get_next_data_v3`: an int among 5 bytes, in 5 bytes.
    let u = g.union("u", 5, &[("bytes", bytes, 0), ("word", int, 0)]);
    g.record("holds", 6, &[("a", byte, 0), ("u", u, 8)]);
    comes_back(&g);
}

#[test]
fn a_union_that_lies_where_its_alignment_forbids_is_packed() {
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    let byte = g.int("unsigned char", 1, 0);
    // Like s390x' `pgid`: its size would do for an aligned one, its place does not.
    let u = g.union("u", 4, &[("word", int, 0), ("byte", byte, 0)]);
    g.record("holds", 5, &[("a", byte, 0), ("u", u, 8)]);
    comes_back(&g);
}

#[test]
fn a_record_with_a_size_and_no_members_has_that_size() {
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    g.record("empty_struct", 8, &[]);
    g.union("empty_union", 12, &[]);
    g.record("nothing", 0, &[]);
    let unnamed = g.union("", 8, &[]);
    g.typedef("release_pages_arg", unnamed);
    let inner = g.record("", 4, &[]);
    g.record("holds", 8, &[("e", inner, 0), ("n", int, 32)]);
    let text = comes_back(&g);
    let sizes = "_Static_assert(sizeof(struct empty_struct) == 8, \"\");\n\
        _Static_assert(sizeof(union empty_union) == 12, \"\");\n\
        _Static_assert(sizeof(struct nothing) == 0, \"\");\n\
        _Static_assert(sizeof(release_pages_arg) == 8, \"\");\n\
        _Static_assert(__builtin_offsetof(struct holds, n) == 4, \"\");";
    must_compile(&every_way(), &[&text], sizes);
}

#[test]
fn padding_changes_no_alignment_on_any_target() {
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    let byte = g.int("unsigned char", 1, 0);
    let short = g.int("short unsigned int", 2, 0);
    let long = g.int("long long int", 8, SIGNED);
    // Holes of every width before and behind members; unnamed bit-fields would raise the alignment of arm's.
    g.record("bytes", 8, &[("a", byte, 0), ("b", byte, 56)]);
    g.record(
        "shorts",
        16,
        &[("a", short, 0), ("b", short, 64), ("c", byte, 88)],
    );
    g.record("ints", 24, &[("a", int, 0), ("b", int, 128)]);
    g.record("tail", 12, &[("a", byte, 0)]);
    g.record("longs", 32, &[("a", long, 0), ("b", long, 192)]);
    fields(
        &mut g,
        "bits",
        8,
        &[("a", byte, 0, 3), ("b", byte, 9, 2), ("c", byte, 50, 1)],
    );
    let text = printed(&g);
    let mut claims = String::new();
    for (name, size, align) in [
        ("bytes", 8, 1),
        ("shorts", 16, 2),
        ("ints", 24, 4),
        ("tail", 12, 1),
        ("longs", 32, 8),
        ("bits", 8, 1),
    ] {
        claims += &format!("_Static_assert(sizeof(struct {name}) == {size}, \"\");\n");
        claims += &format!("_Static_assert(_Alignof(struct {name}) == {align}, \"\");\n");
    }
    claims += "_Static_assert(__builtin_offsetof(struct bytes, b) == 7, \"\");\n\
        _Static_assert(__builtin_offsetof(struct shorts, b) == 8, \"\");\n\
        _Static_assert(__builtin_offsetof(struct ints, b) == 16, \"\");\n\
        _Static_assert(__builtin_offsetof(struct longs, b) == 24, \"\");";
    let mut ways = every_way();
    for target in ["aarch64-linux-gnu", "armv7a-linux-gnueabihf"] {
        ways.extend(CLANGS.map(|clang| vec![clang, "-target", target, "-std=gnu11"]));
    }
    ways.push(vec!["arm-linux-gnueabihf-gcc", "-std=gnu11"]);
    must_compile(&ways, &[&text], &claims);
    comes_back(&g);
}

#[test]
fn bit_fields_stand_where_the_kernel_has_them() {
    let mut g = Graph::new();
    let int = g.int("unsigned int", 4, 0);
    let signed = g.int("int", 4, SIGNED);
    let byte = g.int("unsigned char", 1, 0);
    let long = g.int("long long unsigned int", 8, 0);
    fields(
        &mut g,
        "dense",
        4,
        &[("a", int, 0, 1), ("b", int, 1, 30), ("c", signed, 31, 1)],
    );
    fields(
        &mut g,
        "gaps",
        8,
        &[("a", int, 3, 5), ("c", byte, 17, 4), ("b", int, 32, 0)],
    );
    fields(
        &mut g,
        "wide",
        16,
        &[("a", long, 0, 40), ("b", long, 64, 64)],
    );
    // Packed: a field that no aligned unit holds.
    fields(&mut g, "across", 5, &[("a", byte, 0, 7), ("b", int, 7, 30)]);
    let unnamed = fields(&mut g, "", 4, &[("x", int, 0, 3), ("y", int, 8, 8)]);
    g.record("holds", 8, &[("", unnamed, 0), ("n", int, 32)]);
    comes_back(&g);
}

#[test]
fn bit_fields_of_the_form_before_kernel_5_0_are_read_too() {
    let mut g = Graph::new();
    let three = g.add(
        "unsigned int",
        Kind::Int {
            size: 4,
            encoding: 0,
            offset: 0,
            bits: 3,
        },
    );
    let int = g.int("unsigned int", 4, 0);
    g.record(
        "old",
        8,
        &[("a", three, 0), ("b", three, 5), ("c", int, 32)],
    );
    let text = printed(&g);
    let words: Vec<&str> = part(&text, "struct old {", "};")
        .split_whitespace()
        .collect();
    assert_eq!(words.iter().filter(|w| **w == "3;").count(), 2, "{text}");
    must_compile(
        &every_way(),
        &[&text],
        "_Static_assert(sizeof(struct old) == 8, \"\");",
    );
}

#[test]
fn const_and_volatile_stay_where_they_stood_on_unnamed_members_too() {
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    let volatile = g.add("", Kind::Volatile(int));
    let both = g.add("", Kind::Const(volatile));
    let pointer = g.ptr(both);
    let fixed = g.add("", Kind::Const(pointer));
    // Like `vm_fault`: const, around a struct without a name.
    let inner = g.record("", 8, &[("vma", int, 0), ("flags", int, 32)]);
    let const_inner = g.add("", Kind::Const(inner));
    g.record(
        "vm_fault",
        24,
        &[("", const_inner, 0), ("p", fixed, 64), ("v", volatile, 128)],
    );
    let text = comes_back(&g);
    let is_const = "void f(struct vm_fault *f) { f->vma = 1; }";
    let mut gcc = vec![vec!["gcc-12", "-std=gnu11"]];
    accepted(&gcc, &[&text], is_const).expect_err("the member is const");
    let without = text.replace("const struct {", "struct {");
    assert_ne!(without, text);
    gcc.extend(bpf());
    must_compile(&gcc, &[&without], is_const);
}

#[test]
fn const_of_a_function_type_is_left_out() {
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    let proto = g.proto(int, &[("a", int)]);
    let pure_ = g.add("", Kind::Const(proto));
    let noreturn = g.add("", Kind::Volatile(proto));
    let (pure_, noreturn) = (g.ptr(pure_), g.ptr(noreturn));
    g.record(
        "calls",
        16,
        &[("pure_", pure_, 0), ("noreturn", noreturn, 64)],
    );
    let text = printed(&g);
    must_compile(&every_way(), &[&text], "");
    let body = part(&text, "struct calls {", "};");
    assert!(
        !body.contains("const") && !body.contains("volatile"),
        "{body}"
    );
}

#[test]
fn an_unnamed_member_of_a_named_record_keeps_its_members() {
    // -fms-extensions: `struct { struct ns_common; int own; }`.
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    let byte = g.int("unsigned char", 1, 0);
    let kinds = g.enumeration("", 4, &[("INLINED_A", 1), ("INLINED_B", 2)]);
    let common = g.record(
        "ns_common",
        12,
        &[("kind", kinds, 0), ("inum", int, 32), ("n", int, 64)],
    );
    g.record("mnt_namespace", 16, &[("", common, 0), ("own", int, 96)]);
    g.record("net", 16, &[("first", int, 0), ("", common, 32)]);
    // Its packing comes along: an int at an odd place.
    let packed = g.record("packed", 5, &[("b", byte, 0), ("i", int, 8)]);
    g.record("holds_packed", 8, &[("", packed, 0), ("end", byte, 56)]);
    let either = g.union("either", 4, &[("as_int", int, 0), ("as_byte", byte, 0)]);
    g.record("holds_union", 8, &[("before", int, 0), ("", either, 32)]);
    let text = printed(&g);
    let claims = "_Static_assert(__builtin_offsetof(struct mnt_namespace, inum) == 4, \"\");\n\
        _Static_assert(__builtin_offsetof(struct mnt_namespace, own) == 12, \"\");\n\
        _Static_assert(__builtin_offsetof(struct net, kind) == 4, \"\");\n\
        _Static_assert(__builtin_offsetof(struct net, n) == 12, \"\");\n\
        _Static_assert(__builtin_offsetof(struct holds_packed, i) == 1, \"\");\n\
        _Static_assert(__builtin_offsetof(struct holds_packed, end) == 7, \"\");\n\
        _Static_assert(__builtin_offsetof(struct holds_union, as_byte) == 4, \"\");\n\
        _Static_assert(sizeof(struct holds_packed) == 8, \"\");\n\
        _Static_assert(sizeof(struct packed) == 5, \"\");\n\
        _Static_assert(INLINED_A == 1, \"\");\n\
        _Static_assert(INLINED_B == 2, \"\");";
    must_compile(&every_way(), &[&text], claims);
    assert_eq!(count(&text, "INLINED_A"), 1, "{text}");
    comes_back(&g);
}

#[test]
fn flexible_arrays_stand_last_and_in_unions() {
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    let byte = g.int("unsigned char", 1, 0);
    let tail = g.array(int, int, 0);
    let bytes = g.array(byte, int, 0);
    g.record("flexible", 4, &[("n", int, 0), ("tail", tail, 32)]);
    g.record("alone", 0, &[("tail", tail, 0)]);
    let both = g.union("", 0, &[("ints", tail, 0), ("bytes", bytes, 0)]);
    g.record("holds", 4, &[("n", int, 0), ("", both, 32)]);
    g.record(
        "in_the_midst",
        8,
        &[("n", int, 0), ("none", tail, 32), ("m", int, 32)],
    );
    let text = comes_back(&g);
    must_compile(
        &every_way(),
        &[&text],
        "int f(struct flexible *f) { return f->tail[7]; }",
    );
}

#[test]
fn enums_of_one_byte_have_one_byte_and_their_sign() {
    let mut g = Graph::new();
    let byte = g.int("unsigned char", 1, 0);
    let mut small = |name: &str, size: u32, signed: bool, values: &[(&str, i32)]| {
        let values = values
            .iter()
            .map(|(n, v)| (n.as_bytes().to_vec(), *v as u32))
            .collect();
        g.add(
            name,
            Kind::Enum {
                size,
                signed,
                values,
            },
        )
    };
    let unsigned = small("rw_hint", 1, false, &[("HINT_NONE", 0), ("HINT_MOST", 200)]);
    let signed = small("below", 1, true, &[("LEAST", -128), ("MOST", 127)]);
    let two = small("of_two", 2, false, &[("TWO_NONE", 0), ("TWO_MOST", 60000)]);
    let few = small("few", 2, true, &[("FEW", 1)]);
    g.record(
        "inode",
        8,
        &[
            ("h", unsigned, 0),
            ("b", signed, 8),
            ("t", two, 16),
            ("f", few, 32),
            ("n", byte, 48),
        ],
    );
    let text = comes_back(&g);
    let claims = "_Static_assert(sizeof(enum rw_hint) == 1, \"\");\n\
        _Static_assert(sizeof(enum below) == 1, \"\");\n\
        _Static_assert(sizeof(enum of_two) == 2, \"\");\n\
        _Static_assert(sizeof(enum few) == 2, \"\");\n\
        _Static_assert((enum rw_hint)-1 > 0, \"\");\n\
        _Static_assert((enum below)-1 < 0, \"\");\n\
        _Static_assert(HINT_MOST == 200, \"\");\n\
        _Static_assert(LEAST == -128, \"\");\n\
        _Static_assert(sizeof(struct inode) == 8, \"\");\n\
        _Static_assert(__builtin_offsetof(struct inode, n) == 6, \"\");";
    must_compile(&every_way(), &[&text], claims);
    // `mode(byte)` would make them signed in clang.
    for mode in ["mode(byte)", "mode(QI)", "mode(__QI__)"] {
        assert!(!text.contains(mode), "{text}");
    }
}

#[test]
fn enums_of_eight_bytes_have_their_size_values_and_sign() {
    let mut g = Graph::new();
    for (name, size, signed, values) in [
        ("large", 8, false, vec![("LARGEST", u64::MAX), ("ZERO", 0)]),
        (
            "deep",
            8,
            true,
            vec![("DEEPEST", i64::MIN as u64), ("HIGH", i64::MAX as u64)],
        ),
        ("unneeded", 8, true, vec![("ONE_OF_EIGHT", 1)]),
    ] {
        let values = values
            .into_iter()
            .map(|(n, v)| (n.as_bytes().to_vec(), v))
            .collect();
        g.add(
            name,
            Kind::Enum64 {
                size,
                signed,
                values,
            },
        );
    }
    let text = comes_back(&g);
    let claims = "_Static_assert(sizeof(enum large) == 8, \"\");\n\
        _Static_assert(sizeof(enum deep) == 8, \"\");\n\
        _Static_assert(sizeof(enum unneeded) == 8, \"\");\n\
        _Static_assert(LARGEST == 18446744073709551615ULL, \"\");\n\
        _Static_assert(DEEPEST < 0, \"\");";
    must_compile(&every_way(), &[&text], claims);
}

#[test]
fn a_kernel_that_does_not_say_the_sign_of_enums_has_a_header_that_says_so() {
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    let e = g.enumeration("before_6_0", 4, &[("MINUS_ONE", u32::MAX), ("NONE", 0)]);
    g.record("s", 8, &[("e", e, 0), ("n", int, 32)]);
    let text = comes_back(&g);
    assert!(text.contains("all their values are unsigned"), "{text}");
    let claim = "_Static_assert(MINUS_ONE == 4294967295U, \"\");\n\
        _Static_assert(MINUS_ONE > 0, \"\");";
    must_compile(&every_way(), &[&text], claim);
    // One that is signed shows that the kernel does say.
    g.add(
        "signed",
        Kind::Enum {
            size: 4,
            signed: true,
            values: vec![(b"BELOW".to_vec(), u32::MAX)],
        },
    );
    let text = printed(&g);
    assert!(!text.contains("unsigned. */"), "{text}");
}

#[test]
fn kernels_of_32_bit_align_members_of_64_bit_as_they_do() {
    // arm: pointers of 4 bytes, long long aligned to 8.
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    g.int("long int", 4, SIGNED);
    let long_long = g.int("long long int", 8, SIGNED);
    let byte = g.int("unsigned char", 1, 0);
    let p = g.ptr(int);
    g.record(
        "natural",
        24,
        &[("p", p, 0), ("l", long_long, 64), ("b", byte, 128)],
    );
    g.record("packed", 12, &[("p", p, 0), ("l", long_long, 32)]);
    g.record(
        "no_hole",
        16,
        &[("p", p, 0), ("i", int, 32), ("l", long_long, 64)],
    );
    let text = printed(&g);
    let claims = "_Static_assert(sizeof(struct natural) == 24, \"\");\n\
        _Static_assert(_Alignof(struct natural) == 8, \"\");\n\
        _Static_assert(__builtin_offsetof(struct natural, l) == 8, \"\");\n\
        _Static_assert(sizeof(struct packed) == 12, \"\");\n\
        _Static_assert(__builtin_offsetof(struct packed, l) == 4, \"\");\n\
        _Static_assert(sizeof(struct no_hole) == 16, \"\");\n\
        _Static_assert(__builtin_offsetof(struct no_hole, l) == 8, \"\");";
    let mut ways: Vec<Way> = CLANGS
        .map(|clang| vec![clang, "-target", "armv7a-linux-gnueabihf", "-std=gnu11"])
        .into();
    ways.push(vec!["arm-linux-gnueabihf-gcc", "-std=gnu11"]);
    must_compile(&ways, &[&text], claims);
    // i386, where a compiler leaves no such holes by itself.
    let offsets: String = claims
        .lines()
        .filter(|claim| !claim.contains("_Alignof"))
        .collect();
    let mut ways: Vec<Way> = CLANGS
        .map(|clang| vec![clang, "-target", "i686-linux-gnu", "-std=gnu11"])
        .into();
    ways.push(vec!["gcc-12", "-m32", "-std=gnu11"]);
    must_compile(&ways, &[&text], &offsets);
    // On the BPF target it is not the kernel's layout, but it compiles in silence.
    must_compile(&every_way(), &[&text], "");
}

#[test]
fn a_member_whose_name_is_the_end_of_another_one_is_an_error_not_a_wrong_layout() {
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    g.record("s", 8, &[("gone", int, 0), ("x", int, 32)]);
    let mut blob = encode(&g, &Form::default());
    let strings = blob.windows(6).position(|w| w == b"\0gone\0").unwrap();
    let first = blob.windows(5).position(|w| w == b"\0int\0").unwrap();
    // Where it begins, and the NUL at its end.
    let offset = |at: usize| u32::try_from(at - first).unwrap().to_le_bytes();
    let (name, end) = (offset(strings + 1), offset(strings + 5));
    let row = blob.windows(4).position(|w| w == name).unwrap();
    blob[row..row + 4].copy_from_slice(&end);
    let error = header(&blob, None).unwrap_err();
    assert!(
        error.contains("struct s has a member whose name, at string offset 11, is empty"),
        "{error}"
    );
}
