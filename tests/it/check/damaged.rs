//! Objects that mean harm, and damaged ones: an error that says what is wrong, or an answer; soon, and no more.

use super::{HEAD, compile};
use crate::seeds;
use crate::support::btfgen::Rng;
use crate::support::cc;
use crate::support::{kept, kernels};
use btfleet::btf::Btf;
use btfleet::relo::check::{Object, ObjectError, Target, check};
use object::{Object as _, ObjectSection as _};
use std::time::{Duration, Instant};

const SOURCE: &str = r#"
struct inner { int a; long b; int list[4]; } CORE;
struct task { int pid; struct inner in; struct { int deep; }; int bits : 3; } CORE;
struct task___none { int gone; } CORE;
enum mode { ONE, TWO };
extern int kfunc(int) __weak __ksym;
struct ops { int (*init)(void *); int flags; };
static noinline u64 use(struct task *t) { return t->in.list[2] + t->deep; }
SEC("?fentry/optional") int optional(struct task *t) { out = t->in.b; return 0; }
SEC("struct_ops/init") int init(void *c) { return 0; }
SEC(".struct_ops.link") struct ops mine = { .init = (void *)init, .flags = 1 };
SEC("tp_btf/first") int first(struct task *t)
{
    struct task___none *none = (void *)t;
    if (exists(none->gone)) out = none->gone;
    out += __builtin_preserve_field_info(t->bits, 4) + __builtin_preserve_enum_value(*(enum mode *)TWO, 1);
    out += __builtin_preserve_type_info(*(struct inner *)0, 1) + __builtin_btf_type_id(*(struct task *)0, 1);
    if (kfunc) kfunc(1);
    return use(t);
}
"#;

const KERNEL: &str = r#"
struct inner { long b; int a; int list[4]; };
struct task { struct inner in; int pid; struct { int deep; }; int bits : 3; } t;
enum mode { ONE = 4, TWO = 7 } m;
typedef int (*btf_trace_first)(void); btf_trace_first f;
struct ops { int (*init)(void *); int flags; };
struct bpf_struct_ops_ops { struct ops data; } o;
"#;

fn made() -> (Vec<u8>, Vec<u8>) {
    let folder = cc::scratch();
    let source = format!("{HEAD}{SOURCE}");
    let object = compile("clang-19", folder.path(), "program", &source, false);
    (object, super::kernel(folder.path(), KERNEL))
}

/// Where a section lies in the file.
fn range(elf: &[u8], name: &str) -> std::ops::Range<usize> {
    let file = object::File::parse(elf).unwrap();
    let section = file
        .section_by_name(name)
        .unwrap_or_else(|| panic!("no {name}"));
    let (at, len) = section.file_range().unwrap();
    at as usize..(at + len) as usize
}

/// Whatever comes of it, it comes soon.
fn tried(bytes: &[u8], target: &Target<'_>, what: &str) -> Result<(), ObjectError> {
    let start = Instant::now();
    let parsed = Object::parse(bytes);
    if let Ok(object) = &parsed {
        kept::is_as_good_as_the_whole(object, target, what);
    }
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "{what} took {took:?}");
    parsed.map(drop)
}

#[test]
fn every_truncation_of_btf_ext_is_an_error_or_an_answer() {
    let (object, kernel) = made();
    let kernel = Btf::parse(&kernel).unwrap();
    let target = Target::new(&kernel);
    tried(&object, &target, "the whole").unwrap();
    let ext = range(&object, ".BTF.ext");
    // The section's header in the table tells its length.
    let table = u64::from_le_bytes(object[40..48].try_into().unwrap()) as usize;
    let header = (table..object.len())
        .step_by(64)
        .find(|at| object[at + 24..at + 32] == (ext.start as u64).to_le_bytes())
        .unwrap();
    let (mut errors, mut answers) = (0, 0);
    for len in 0..ext.len() {
        let mut cut = object.clone();
        cut[header + 32..header + 40].copy_from_slice(&(len as u64).to_le_bytes());
        match tried(&cut, &target, &format!("cut at {len}")) {
            Err(ObjectError::Ext { at, .. }) => {
                assert!(at <= ext.len());
                errors += 1;
            }
            Err(other) => panic!("cut at {len}: {other}"),
            Ok(()) => answers += 1,
        }
    }
    // Its parts are in its header, and all of them are looked at.
    assert_eq!((errors, answers), (ext.len(), 0));
}

#[test]
fn every_changed_word_of_btf_ext_and_of_the_tables_is_an_error_or_an_answer() {
    let (object, kernel) = made();
    let kernel = Btf::parse(&kernel).unwrap();
    let target = Target::new(&kernel);
    let mut errors = 0;
    for name in [
        ".BTF.ext",
        ".symtab",
        ".reltp_btf/first",
        ".rel.struct_ops.link",
    ] {
        for at in range(&object, name).step_by(4) {
            for value in [0u32, 1, 7, 0x7fff_ffff, u32::MAX] {
                let mut changed = object.clone();
                changed[at..at + 4].copy_from_slice(&value.to_le_bytes());
                let what = format!("{name}+{at:#x} = {value:#x}");
                errors += usize::from(tried(&changed, &target, &what).is_err());
            }
        }
    }
    assert!(errors > 100, "{errors}");
}

#[test]
fn random_bytes_anywhere_are_an_error_or_an_answer() {
    let (object, kernel) = made();
    let kernel = Btf::parse(&kernel).unwrap();
    let target = Target::new(&kernel);
    let mut rng = Rng(0x5eed);
    for round in 0..4000 {
        let mut changed = object.clone();
        for _ in 0..1 + rng.below(4) {
            let at = rng.below(changed.len());
            changed[at] = rng.below(256) as u8;
        }
        let _ = tried(&changed, &target, &format!("round {round}"));
    }
}

#[test]
fn the_fuzzer_s_seeds_and_finds_end_soon_and_what_is_kept_for_them_is_as_good_as_the_whole() {
    for (name, bytes) in seeds::objects() {
        let (object, kernel) = seeds::split(&bytes);
        let own = Object::parse(object).unwrap();
        match Btf::parse(kernel) {
            Ok(kernel) => tried(object, &Target::new(&kernel), &name),
            Err(_) => tried(object, &Target::new(&own.btf), &name),
        }
        .unwrap();
    }
}

#[test]
fn an_object_that_misses_thousands_of_types_and_members_is_answered_soon() {
    let folder = cc::scratch();
    let mut source = HEAD.to_owned();
    let mut body = String::new();
    for n in 0..1500 {
        source.push_str(&format!(
            "struct thing_{n} {{ int a; }} CORE; struct task___{n} {{ int absent_{n}; }} CORE;\n"
        ));
        body.push_str(&format!(
            "if (now() == {n}) out = ((struct thing_{n} *)p)->a + ((struct task___{n} *)p)->absent_{n};\n"
        ));
    }
    source.push_str(&format!(
        "SEC(\"kprobe\") int probe(void *p) {{ {body} return 0; }}"
    ));
    let object = compile("clang-19", folder.path(), "program", &source, false);
    let object = Object::parse(&object).unwrap();
    let kernel = kernels::all();
    let kernel = kernel.iter().find(|k| k.name == "x86_64-6.18").unwrap();
    let blob = kernel.btf();
    let kernel = Btf::parse(&blob).unwrap();
    let target = Target::new(&kernel);
    let start = Instant::now();
    let programs = check(&object, &target).unwrap();
    let took = start.elapsed();
    let findings = &programs[0].findings;
    let hints = findings.iter().filter(|f| f.instead.is_some()).count();
    assert!(findings.len() > 1000, "{}", findings.len());
    assert!((1..=64).contains(&hints), "{hints}");
    assert!(took < Duration::from_secs(5), "it took {took:?}");
}

#[test]
fn access_strings_of_any_kind_are_refused_as_libbpf_does() {
    let (object, kernel) = made();
    let kernel = Btf::parse(&kernel).unwrap();
    let target = Target::new(&kernel);
    let btf = range(&object, ".BTF");
    let access = b"0:1:2:2\0";
    let at = btf.clone().find(|at| object[*at..].starts_with(access));
    let at = at.expect("the way to in.list[2]");
    let tried = |text: &[u8; 7]| {
        let mut changed = object.clone();
        changed[at..at + 7].copy_from_slice(text);
        let object = Object::parse(&changed).unwrap();
        let all = check(&object, &target).unwrap();
        let first = all.into_iter().find(|p| p.name == "first").unwrap();
        first.findings.into_iter().next().map(|f| f.reason)
    };
    // It is guarded by nothing: what is wrong is told first.
    for text in [
        b":1:2:2\0",
        b"0::2:2\0",
        b"0:1:2:\0",
        b"0:1:2:x",
        b"0:-1:2\0",
        b"0:9:2:2",
        b"0:1:2:9",
        b"\0\0\0\0\0\0\0",
        b"0:0:0:0",
        b"9999999",
    ] {
        let reason = tried(text).unwrap_or_default();
        let is_refused = ["access string", "instruction holds", "no element"];
        assert!(
            is_refused.iter().any(|word| reason.contains(word)),
            "{}: {reason:?}",
            String::from_utf8_lossy(text)
        );
    }
}

#[test]
fn what_is_no_object_is_said_to_be_none() {
    let folder = cc::scratch();
    std::fs::write(folder.path().join("x.c"), "int x(void) { return 0; }").unwrap();
    let of = |args: &[&str]| {
        let all = [args, &["-c", "x.c", "-o", "x.o"]].concat();
        cc::must("clang-19", &all, folder.path());
        let bytes = std::fs::read(folder.path().join("x.o")).unwrap();
        Object::parse(&bytes).map(drop)
    };
    assert_eq!(of(&["-g", "-target", "bpf"]), Ok(()));
    assert_eq!(of(&["-target", "bpf"]), Err(ObjectError::NoBtf));
    assert_eq!(of(&["-g", "-target", "x86_64"]), Err(ObjectError::NotBpf));
    assert!(matches!(
        Object::parse(b"\x7fELF"),
        Err(ObjectError::Elf(_))
    ));
    std::fs::write(folder.path().join("x.c"), "int x;").unwrap();
    assert_eq!(of(&["-g", "-target", "bpf"]), Err(ObjectError::NoProgram));
}
