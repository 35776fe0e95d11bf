//! Types of one name. (That numbering and order change nothing is in `canonical`.)

use super::text::kfunc;
use super::*;
use crate::support::btfgen::{Id, Kind, SIGNED};

/// `struct t` with one member of this name.
fn t(g: &mut Graph, member: &str) -> Id {
    g.record("t", 4, &[(member, 1, 0)])
}

fn with_int() -> Graph {
    let mut g = Graph::new();
    g.int("int", 4, SIGNED);
    g
}

/// A struct that points at `to` in so many members.
fn uses(g: &mut Graph, name: &str, to: Id, times: u32) {
    let p = g.ptr(to);
    let names: Vec<String> = (0..times).map(|i| format!("m{i}")).collect();
    let members: Vec<(&str, Id, u32)> = names
        .iter()
        .enumerate()
        .map(|(i, name)| (name.as_str(), p, 64 * i as u32))
        .collect();
    g.record(name, 8 * times, &members);
}

#[test]
fn equal_types_of_one_name_are_one() {
    let mut g = with_int();
    let (first, second) = (t(&mut g, "a"), t(&mut g, "a"));
    uses(&mut g, "u", first, 1);
    uses(&mut g, "v", second, 1);
    let text = comes_back(&g);
    assert_eq!(text.matches("\nstruct t {").count(), 1, "{text}");
    assert!(!text.contains("___2"), "{text}");
}

#[test]
fn different_types_of_one_name_get_suffixes_the_most_used_none() {
    for swapped in [false, true] {
        let mut g = with_int();
        let (rare, common) = match swapped {
            false => (t(&mut g, "rare"), t(&mut g, "common")),
            true => {
                let common = t(&mut g, "common");
                (t(&mut g, "rare"), common)
            }
        };
        uses(&mut g, "u", rare, 1);
        uses(&mut g, "v", common, 2);
        let text = comes_back(&g);
        assert!(
            part(&text, "\nstruct t {", "}").contains("common"),
            "{text}"
        );
        assert!(
            part(&text, "\nstruct t___2 {", "}").contains("rare"),
            "{text}"
        );
    }
}

#[test]
fn uses_are_counted_after_merging() {
    let mut g = with_int();
    let often = t(&mut g, "often");
    // Written down three times, but it is one type, used by one struct.
    for _ in 0..3 {
        let one = t(&mut g, "copied");
        uses(&mut g, "u", one, 1);
    }
    uses(&mut g, "v", often, 2);
    let text = comes_back(&g);
    assert!(part(&text, "\nstruct t {", "}").contains("often"), "{text}");
    assert!(
        part(&text, "\nstruct t___2 {", "}").contains("copied"),
        "{text}"
    );
}

#[test]
fn a_suffix_that_is_taken_is_skipped() {
    let mut g = with_int();
    let (a, b) = (t(&mut g, "a"), t(&mut g, "b"));
    g.record("t___2", 4, &[("taken", 1, 0)]);
    uses(&mut g, "u", a, 2);
    uses(&mut g, "v", b, 1);
    let text = printed(&g);
    must_compile(&every_way(), &[&text], "");
    assert!(
        part(&text, "\nstruct t___2 {", "}").contains("taken"),
        "{text}"
    );
    assert!(part(&text, "\nstruct t___3 {", "}").contains('b'), "{text}");
}

#[test]
fn tags_share_one_namespace_and_typedefs_enumerators_and_kfuncs_another() {
    let mut g = with_int();
    // Tags among themselves.
    g.record("tag", 4, &[("a", 1, 0)]);
    g.union("tag", 4, &[("a", 1, 0)]);
    g.enumeration("tag", 4, &[("TAG", 0)]);
    // The others among themselves, and beside a tag of the same name.
    g.record("word", 4, &[("a", 1, 0)]);
    g.typedef("word", 1);
    g.enumeration("words", 4, &[("word", 3)]);
    kfunc(&mut g, "word", 1, &[("a", 1)]);
    let text = printed(&g);
    must_compile(&every_way(), &[&text], "struct word w;");
    let tags = ["tag", "tag___2", "tag___3"].map(|name| count(&text, name));
    assert_eq!(tags, [1, 1, 1], "{text}");
    let words = ["word", "word___2", "word___3"].map(|name| count(&text, name));
    // Beside the struct.
    assert_eq!(words, [2, 1, 1], "{text}");
}

#[test]
fn a_forward_declaration_is_the_one_definition_of_its_kind_and_name() {
    let mut g = with_int();
    let forward = g.add("t", Kind::Fwd { union: false });
    uses(&mut g, "u", forward, 2);
    t(&mut g, "a");
    // A union of that name is another kind.
    let other = g.add("t", Kind::Fwd { union: true });
    uses(&mut g, "v", other, 1);
    let text = printed(&g);
    must_compile(
        &every_way(),
        &[&text],
        "int f(struct u *u) { return u->m0->a; }",
    );
    assert!(text.contains("union t___2 *m0"), "{text}");
}

#[test]
fn twins_that_point_at_one_another_are_told_apart_by_what_is_reachable() {
    let mut g = with_int();
    // Two rings of two; one ends in another member, two steps away.
    for end in ["odd", "even"] {
        let first = g.end();
        g.record("ring", 8, &[("next", first + 1, 0)]);
        g.ptr(first + 2);
        g.record("ring", 16, &[("next", first + 3, 0), (end, 1, 64)]);
        g.ptr(first);
    }
    let text = comes_back(&g);
    let rings = ["ring", "ring___2", "ring___3", "ring___4"];
    for name in rings {
        assert!(
            text.contains(&format!("struct {name} {{")),
            "{name} in\n{text}"
        );
    }
}

fn base_of_twins() -> Graph {
    let mut base = with_int();
    let (a, b) = (t(&mut base, "a"), t(&mut base, "b"));
    uses(&mut base, "u", a, 2);
    uses(&mut base, "v", b, 1);
    base
}

#[test]
fn a_modules_twins_go_on_after_those_of_its_base() {
    let base = base_of_twins();
    let mut own = Graph::over(&base);
    own.record("t", 4, &[("of_module", 1, 0)]);
    let (base_text, text) = printed_split(&base, &own);
    must_compile(&every_way(), &[&base_text, &text], "");
    assert!(text.contains("struct t___3 {"), "{text}");
    assert!(
        !text.contains("struct t {") && !text.contains("struct t___2 {"),
        "{text}"
    );
}

#[test]
fn a_module_is_refused_without_its_base_and_guarded_by_a_name_of_its_own() {
    let base = base_of_twins();
    let mut own = Graph::over(&base);
    own.record("of_module", 4, &[("a", 1, 0)]);
    let mut other = Graph::over(&base);
    other.record("of_other", 4, &[("a", 1, 0)]);
    let (base_text, text) = printed_split(&base, &own);
    let (_, other) = printed_split(&base, &other);
    let all = [&base_text[..], &text, &text, &other];
    must_compile(&every_way(), &all, "struct of_module m; struct of_other o;");
    let said = accepted(&bpf(), &[&text], "").expect_err("no base");
    assert!(said.contains("#error"), "{said}");
    let guard = |text: &str| text.lines().next().unwrap().to_owned();
    assert_ne!(guard(&text), guard(&other));
    assert!(
        guard(&text).starts_with("#ifndef __VMLINUX_MODULE_"),
        "{text}"
    );
}
