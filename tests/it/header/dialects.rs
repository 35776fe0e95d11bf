//! What differs between C's standards, compilers and targets.

use super::*;
use crate::support::btfgen::{BOOL, Id, Kind, SIGNED};

#[test]
fn bool_true_and_false_are_there_in_every_standard() {
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    let bool_ = g.int("_Bool", 1, BOOL);
    let typedef = g.typedef("bool", bool_);
    g.enumeration("", 4, &[("false", 0), ("true", 1)]);
    g.record("s", 8, &[("yes", typedef, 0), ("n", int, 32)]);
    let text = printed(&g);
    let uses = "_Static_assert(true == 1, \"\");\n\
        _Static_assert(false == 0, \"\");\n\
        _Static_assert(sizeof(bool) == 1, \"\");\n\
        bool f(struct s *s) { return s->yes == true; }";
    must_compile(&every_way(), &[&text], uses);
    assert!(text.contains("\n#if !true\n"), "{text}");
}

#[test]
fn bool_true_and_false_of_the_header_stand_beside_stdbool() {
    let mut g = Graph::new();
    let bool_ = g.int("_Bool", 1, BOOL);
    g.typedef("bool", bool_);
    let text = printed(&g);
    must_compile(
        &every_way(),
        &["#include <stdbool.h>\n", &text],
        "bool b = true;",
    );
}

#[test]
fn a_member_named_like_a_keyword_of_c23_keeps_its_name_before_it() {
    let mut g = Graph::new();
    let int = g.int("unsigned int", 4, 0);
    let words = [
        "bool",
        "true",
        "false",
        "nullptr",
        "constexpr",
        "thread_local",
        "static_assert",
        "alignas",
        "alignof",
        "typeof_unqual",
    ];
    let members: Vec<(&str, Id, u32)> = words
        .iter()
        .enumerate()
        .map(|(i, word)| (*word, int, 32 * i as u32))
        .collect();
    g.record("cond_expr_node", 4 * words.len() as u32, &members);
    let text = printed(&g);
    must_compile(&every_way(), &[&text], "");
    let before: Vec<Way> = every_way()
        .into_iter()
        .filter(|way| !way.contains(&"-std=gnu2x"))
        .collect();
    let mut claims = String::new();
    for (i, word) in words.iter().enumerate() {
        claims += &format!(
            "_Static_assert(__builtin_offsetof(struct cond_expr_node, {word}) == {}, \"\");\n",
            4 * i
        );
    }
    // `bool` and its like as macros would be the header's fault.
    must_compile(&before, &[&text], &claims);
    let after: Vec<Way> = vec![
        vec!["clang-19", "-target", "bpf", "-std=gnu2x"],
        vec!["clang-19", "-target", "x86_64-linux-gnu", "-std=gnu2x"],
    ];
    let claim =
        "_Static_assert(__builtin_offsetof(struct cond_expr_node, __btfleet_bool) == 0, \"\");";
    must_compile(&after, &[&text], claim);
}

#[test]
fn arithmetic_types_that_a_target_lacks_are_typedefs_of_their_size() {
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    let poly = g.int("__Poly128_t", 16, 0);
    let mfp8 = g.int("__mfp8", 1, 0);
    let bf16 = g.add("__bf16", Kind::Float { size: 2 });
    let half = g.add("_Float16", Kind::Float { size: 2 });
    let unknown = g.int("__newer_t", 8, 0);
    g.record(
        "user_fpsimd",
        48,
        &[
            ("poly", poly, 0),
            ("mfp8", mfp8, 128),
            ("bf16", bf16, 144),
            ("half", half, 160),
            ("unknown", unknown, 192),
            ("end", int, 256),
        ],
    );
    let text = printed(&g);
    let claims = "_Static_assert(sizeof(((struct user_fpsimd *)0)->poly) == 16, \"\");\n\
        _Static_assert(__builtin_offsetof(struct user_fpsimd, mfp8) == 16, \"\");\n\
        _Static_assert(sizeof(((struct user_fpsimd *)0)->bf16) == 2, \"\");\n\
        _Static_assert(sizeof(((struct user_fpsimd *)0)->half) == 2, \"\");\n\
        _Static_assert(sizeof(__newer_t) == 8, \"\");\n\
        _Static_assert(__builtin_offsetof(struct user_fpsimd, end) == 32, \"\");\n\
        _Static_assert(sizeof(struct user_fpsimd) == 48, \"\");";
    let mut ways = every_way();
    ways.extend(CLANGS.map(|clang| vec![clang, "-target", "aarch64-linux-gnu"]));
    must_compile(&ways, &[&text], claims);
}

/// x86_64's `va_list`, and who uses it.
fn with_va_list(g: &mut Graph) -> Id {
    let int = g.int("unsigned int", 4, 0);
    let p = g.ptr(0);
    let tag = g.record(
        "__va_list_tag",
        24,
        &[
            ("gp_offset", int, 0),
            ("fp_offset", int, 32),
            ("overflow_arg_area", p, 64),
            ("reg_save_area", p, 128),
        ],
    );
    let array = g.array(tag, int, 1);
    g.typedef("__builtin_va_list", array)
}

#[test]
fn users_of_va_list_have_the_kernels_size_on_every_target() {
    let mut g = Graph::new();
    let builtin = with_va_list(&mut g);
    let va_list = g.typedef("va_list", builtin);
    let char_ = g.int("char", 1, SIGNED);
    let fmt = g.ptr(char_);
    g.record("warn_args", 32, &[("fmt", fmt, 0), ("args", va_list, 64)]);
    let text = printed(&g);
    let claim = "_Static_assert(sizeof(struct warn_args) == 32, \"\");\n\
        _Static_assert(sizeof(va_list) == 24, \"\");";
    must_compile(&every_way(), &[&text], claim);
    // The compiler's own one is as it was.
    must_compile(&bpf(), &[&text], "__builtin_va_list own;");
}

#[test]
fn a_module_with_a_va_list_of_its_own_compiles() {
    let mut base = Graph::new();
    with_va_list(&mut base);
    let mut own = Graph::over(&base);
    // Another of that name, as in 7.2 with xfs.
    let p = own.ptr(0);
    let again = own.typedef("__builtin_va_list", p);
    let va_list = own.typedef("va_list", again);
    own.record("xfs_args", 16, &[("p", p, 0), ("args", va_list, 64)]);
    let (base, text) = printed_split(&base, &own);
    let claim = "_Static_assert(sizeof(struct xfs_args) == 16, \"\");";
    must_compile(&every_way(), &[&base, &text], claim);
    assert!(!text.contains("__builtin_va_list"), "{text}");
}

#[test]
fn twins_of_va_list_in_one_kernel_compile() {
    let mut g = Graph::new();
    with_va_list(&mut g);
    let p = g.ptr(0);
    let other = g.typedef("__builtin_va_list", p);
    g.record("holds", 8, &[("args", other, 0)]);
    let text = printed(&g);
    let claim = "_Static_assert(sizeof(struct holds) == 8, \"\");";
    must_compile(&every_way(), &[&text], claim);
}
