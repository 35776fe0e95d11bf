//! `btfleet check` and `btfleet minimize`: verdicts on small kernels made for them and on real ones, what the commands
//! print, and objects that mean harm. (That relocations come to what libbpf makes of them is tests/libbpf's.)

mod commands;
mod damaged;
mod docs;
mod minimized;
mod reach;
mod resolve;
mod too_much;

use crate::support::cc;
use crate::support::refbtf::elf_section;
use btfleet::btf::Btf;
use btfleet::relo::check::{Object, Program, Target, Verdict, check};
use std::collections::BTreeMap;
use std::path::Path;

/// What programs of these tests begin with.
const HEAD: &str = r#"
typedef unsigned long long u64;
typedef unsigned int u32;
#define SEC(name) __attribute__((section(name), used))
#define CORE __attribute__((preserve_access_index))
#define exists(field) __builtin_preserve_field_info(field, 2)
#define type_exists(type) __builtin_preserve_type_info(*(type *)0, 0)
#define __weak __attribute__((weak))
#define __ksym __attribute__((section(".ksyms")))
#define noinline __attribute__((noinline))
static u64 (*const now)(void) = (void *)5;
static long (*const print)(const char *, u32, ...) = (void *)6;
u64 out;
"#;

/// Compiles for the BPF machine, of this byte order.
pub fn compile(clang: &str, folder: &Path, name: &str, source: &str, big_endian: bool) -> Vec<u8> {
    let file = format!("{name}.bpf.c");
    std::fs::write(folder.join(&file), source).unwrap();
    let object = format!("{name}.{clang}.o");
    let target = cc::bpf_target(big_endian);
    let args = ["-g", "-O2", "-target", target, "-c", &file, "-o", &object];
    cc::must(clang, &args, folder);
    std::fs::read(folder.join(object)).unwrap()
}

/// A kernel whose types are those of a C source.
pub fn kernel(folder: &Path, source: &str) -> Vec<u8> {
    elf_section(
        &compile("clang-19", folder, "kernel", source, false),
        ".BTF",
    )
}

/// What is said of the programs of a source on a kernel, by each clang. It must be the same.
pub fn programs(kernel_source: &str, source: &str) -> BTreeMap<String, Program> {
    let folder = cc::scratch();
    let kernel = kernel(folder.path(), kernel_source);
    let kernel = Btf::parse(&kernel).unwrap();
    let target = Target::new(&kernel);
    let by_clang = cc::CLANGS.map(|clang| {
        let object = compile(
            clang,
            folder.path(),
            "program",
            &format!("{HEAD}{source}"),
            false,
        );
        let object = Object::parse(&object).unwrap_or_else(|e| panic!("{clang}: {e}"));
        let said = check(&object, &target).unwrap().into_iter();
        said.map(|p| (p.name.clone(), p))
            .collect::<BTreeMap<_, _>>()
    });
    let verdicts = |all: &BTreeMap<String, Program>| -> Vec<(String, Verdict)> {
        all.iter()
            .map(|(name, p)| (name.clone(), p.verdict))
            .collect()
    };
    let [first, rest @ ..] = by_clang;
    for (other, clang) in rest.iter().zip(&cc::CLANGS[1..]) {
        assert_eq!(
            verdicts(&first),
            verdicts(other),
            "{clang} and {}",
            cc::CLANGS[0]
        );
    }
    first
}

/// Each program's verdict is its name's first word.
pub fn as_named(kernel_source: &str, source: &str) {
    let all = programs(kernel_source, source);
    assert!(!all.is_empty());
    for (name, program) in all {
        let want = name.split('_').next().unwrap();
        let got = program.verdict.name();
        assert_eq!(got, want, "{name}: {:#?}", program.findings);
    }
}
