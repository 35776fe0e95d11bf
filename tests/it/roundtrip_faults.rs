//! The round trip itself: it finds each kind of fault that a header can have, and passes what C forces on one.
//!
//! The kernel is a small C file, its BTF is clang's, and its header is the same text with one thing changed.

use crate::support::cc;
use crate::support::header::Header;
use crate::support::refbtf::elf_section;
use crate::support::roundtrip::{Report, Trip, check};

/// What the kernel and its header have in common. `twin_b` is called `twin_a` in the kernel's BTF, so that there
/// are two of that name.
const TYPES: &str = r#"
typedef unsigned int u32;
typedef signed char s8;
struct later;
struct twin_a { int a; };
struct twin_b { struct twin_b *next; };
struct of_twins { struct twin_a *first; struct twin_b *second; };
enum colour { RED, GREEN = 5 };
enum small { ONE = 1 } __attribute__((packed));
enum below { LESS = -1, MORE };
struct inner { u32 a; enum { X, Y } e; };
struct fields {
	u32 whole;
	u32 three : 3;
	s8 four : 4;
	const char *name;
	char *const fixed;
	volatile int ready;
	int matrix[2][3];
	struct later *later;
	struct { int in_unnamed; union { u32 u; s8 s; }; };
	int (*call)(struct fields *self, const void *data, ...);
	enum colour colour;
	struct inner inner;
	void *tail[];
};
struct packed { char c; int i; } __attribute__((packed));
union either { long l; char c; };
typedef int (*callback)(union either *, enum small);
"#;

const KERNEL_END: &str = r#"
struct fields *g1; struct packed *g2; callback *g3; enum below *g4; struct of_twins *g5; struct twin_b *g6; struct twin_a *g7;
__attribute__((btf_decl_tag("bpf_kfunc"))) int kfunc(struct fields *f, const void *p, u32 n) { return n; }
"#;

const HEADER_END: &str = r#"
extern int kfunc(struct fields *f, const void *p, u32 n) __attribute__((weak, section(".ksyms")));
"#;

fn kernel() -> Vec<u8> {
    let dir = cc::scratch();
    std::fs::write(dir.path().join("kernel.c"), format!("{TYPES}{KERNEL_END}")).unwrap();
    cc::must(
        "clang-19",
        &[
            "-target", "bpf", "-g", "-O2", "-w", "-c", "kernel.c", "-o", "kernel.o",
        ],
        dir.path(),
    );
    let mut btf = elf_section(&std::fs::read(dir.path().join("kernel.o")).unwrap(), ".BTF");
    let at = btf
        .windows(8)
        .position(|bytes| bytes == b"\0twin_b\0")
        .expect("the name is in the BTF");
    btf[at + 6] = b'a';
    btf
}

/// The round trip of the header with `from` replaced by `to`.
fn trip(kernel: &[u8], from: &str, to: &str) -> Report {
    let text = format!("{TYPES}{HEADER_END}");
    assert!(text.contains(from), "{from}");
    let text = text.replacen(from, to, 1).replace("twin_b", "twin_a___2");
    let header = Header::new(text, None);
    check(&Trip {
        kernel,
        base: None,
        header: &header,
        clang: "clang-19",
        target: None,
    })
    .unwrap()
}

#[test]
fn a_true_header_is_right_in_every_definition() {
    let report = trip(&kernel(), "u32", "u32");
    assert_eq!((report.checked, report.right), (13, 13), "{report}");
    assert_eq!(
        (report.kfuncs_checked, report.kfuncs_right),
        (1, 1),
        "{report}"
    );
}

#[test]
fn every_kind_of_fault_is_found_and_laid_to_the_definition_that_has_it() {
    let cases = [
        (
            "u32 three : 3",
            "u32 three : 5",
            "struct fields: member `three`: bit-field width 3",
        ),
        (
            "u32 three : 3;\n\ts8 four : 4;",
            "s8 four : 4;\n\tu32 three : 3;",
            "struct fields: member `three`, header",
        ),
        (
            "const char *name",
            "char *name",
            "struct fields: member `name`: type",
        ),
        (
            "char *const fixed",
            "char *fixed",
            "struct fields: member `fixed`: type",
        ),
        (
            "volatile int ready",
            "int ready",
            "struct fields: member `ready`: type",
        ),
        (
            "matrix[2][3]",
            "matrix[3][2]",
            "struct fields: member `matrix`: type",
        ),
        (
            "struct later *later",
            "void *later",
            "struct fields: member `later`: type",
        ),
        (
            "int in_unnamed; union",
            "int in_unnamed; struct",
            "struct fields: unnamed member",
        ),
        (
            "int in_unnamed",
            "u32 in_unnamed",
            "struct fields: unnamed member",
        ),
        (
            "const void *data, ...",
            "const void *data",
            "struct fields: member `call`: type",
        ),
        (
            "const void *data, ...",
            "void *data, ...",
            "struct fields: member `call`: type",
        ),
        (
            "\tenum colour colour",
            "\tu32 colour",
            "struct fields: member `colour`: type",
        ),
        (
            "struct inner inner",
            "struct { u32 a; int e; } inner",
            "struct fields: member `inner`: type",
        ),
        (
            "void *tail[]",
            "void *tail[1]",
            "struct fields: member `tail`: type",
        ),
        ("\tvoid *tail[];", "", "struct fields: member `tail` is not"),
        (
            "void *tail[]",
            "int more; void *tail[]",
            "struct fields: member `tail`, header has `more`",
        ),
        (
            "u32 a; enum { X, Y } e",
            "u32 a; enum { X, Z } e",
            "struct inner: member `e`",
        ),
        (
            "} __attribute__((packed));\nunion",
            "};\nunion",
            "struct packed: member `i`: bit offset 8",
        ),
        (
            "union either { long l",
            "union either { int l",
            "union either: member `l`: type",
        ),
        (
            "union either { long l; char c; }",
            "union either { long l; }",
            "union either: member `c` is not",
        ),
        (
            "GREEN = 5",
            "GREEN = 6",
            "enum colour: enumerator `GREEN` 5",
        ),
        (
            "RED, GREEN",
            "ROT, GREEN",
            "enum colour: enumerator `RED`, header has `ROT`",
        ),
        (
            "{ ONE = 1 } __attribute__((packed))",
            "{ ONE = 1 }",
            "enum small: size 1",
        ),
        (
            "LESS = -1, MORE",
            "LESS = 0xffffffff, MORE = 0",
            "enum below:",
        ),
        (
            "typedef signed char s8",
            "typedef unsigned char s8",
            "typedef s8: type",
        ),
        (
            "typedef signed char s8",
            "typedef char s8",
            "typedef s8: type",
        ),
        (
            "typedef int (*callback)(union either *,",
            "typedef int (*callback)(void *,",
            "typedef callback: type",
        ),
        (
            "struct of_twins { struct twin_a *first; struct twin_b",
            "struct of_twins { struct twin_b *first; struct twin_a",
            "struct of_twins: member `first`: type",
        ),
        (
            "struct twin_a { int a; }",
            "struct twin_a { long a; }",
            "struct twin_a: member",
        ),
        (
            "const void *p, u32 n) __",
            "void *p, u32 n) __",
            "kfunc kfunc: parameter 2",
        ),
        (
            "const void *p, u32 n) __",
            "const void *p) __",
            "kfunc kfunc: type",
        ),
        (
            "extern int kfunc",
            "extern long kfunc",
            "kfunc kfunc: return type",
        ),
        (
            "extern int kfunc",
            "extern int other",
            "kfunc kfunc: is not in the header",
        ),
        (
            "typedef int (*callback)",
            "typedef int (*recall)",
            "typedef callback: is not in the header",
        ),
    ];
    let kernel = kernel();
    let reports = cc::in_parallel(&cases, |(from, to, _)| trip(&kernel, from, to));
    for ((from, to, expected), report) in std::iter::zip(cases, reports) {
        let found: Vec<&String> = report.wrong.iter().chain(&report.kfuncs_wrong).collect();
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{from} → {to}: {report}"
        );
        assert!(!report.is_perfect());
    }
}

#[test]
fn what_c_forces_on_a_header_is_no_fault() {
    let cases = [
        // Padding leaves no trace.
        ("u32 whole;", "u32 whole; char : 0;"),
        (
            "union either { long l;",
            "union either { struct { long : 64; }; long l;",
        ),
        // A forward declaration where the definition comes later anyway; an integer by another name.
        (
            "typedef unsigned int u32",
            "struct fields; typedef unsigned u32",
        ),
        ("int matrix[2][3]", "signed matrix[2][3]"),
    ];
    let kernel = kernel();
    let reports = cc::in_parallel(&cases, |(from, to)| trip(&kernel, from, to));
    for ((from, to), report) in std::iter::zip(cases, reports) {
        assert!(report.is_perfect(), "{from} → {to}: {report}");
    }
}
