//! eBPF programs as people write them build unchanged against the header, and ask the kernel for the right fields.
//!
//! A program says in its first lines what it is about: `kernel:` the fixture (x86_64 6.18 unless said),
//! `relocates:` some of the fields that it has to ask for, `enumerates:` enumerators, `absent:` fields of other
//! kernels that this one lacks, `needs:` the first clang that can do what it does, and why.

use crate::support::cc::{self, CLANGS};
use crate::support::core::{Relocation, relocations};
use crate::support::fixtures::{X86_64, fixture};
use crate::support::header::{Header, bpftool, header_under_test};
use crate::support::refbtf::Btf;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A program, and what it says of itself.
struct Program {
    name: String,
    file: PathBuf,
    kernel: String,
    relocates: Vec<String>,
    absent: Vec<String>,
    needs: Option<String>,
}

fn programs() -> Vec<Program> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/programs");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files.into_iter().map(program).collect()
}

fn program(file: PathBuf) -> Program {
    let text = std::fs::read_to_string(&file).unwrap();
    let said = |key: &str| {
        text.lines().find_map(|line| {
            line.strip_prefix("// ")?
                .strip_prefix(key)?
                .strip_prefix(':')
        })
    };
    let list = |key: &str| -> Vec<String> {
        let words = said(key)
            .unwrap_or_default()
            .split(',')
            .map(|word| word.trim().to_owned());
        words.filter(|word| !word.is_empty()).collect()
    };
    Program {
        name: file.file_name().unwrap().to_string_lossy().into_owned(),
        kernel: said("kernel").map_or(X86_64, str::trim).to_owned(),
        relocates: [list("relocates"), list("enumerates")].concat(),
        absent: list("absent"),
        needs: said("needs").map(|why| why.trim().to_owned()),
        file,
    }
}

impl Program {
    /// Whether this clang is too old for it.
    fn is_beyond(&self, clang: &str) -> bool {
        let version = |clang: &str| clang.trim_start_matches("clang-").parse::<u32>().unwrap();
        let first = self
            .needs
            .as_ref()
            .map(|needs| needs.split(':').next().unwrap());
        first.is_some_and(|first| version(clang) < version(first))
    }

    /// Compiles it as its users do; `more` are flags of the test's own.
    fn compile(&self, clang: &str, headers: &Path, more: &[&str]) -> Result<Vec<u8>, String> {
        let object = headers.join(format!("{}.{clang}.o", self.name));
        let (include, file) = (
            format!("-I{}", headers.display()),
            self.file.display().to_string(),
        );
        let object_name = object.display().to_string();
        let args = [
            "-g",
            "-O2",
            "-target",
            "bpf",
            "-D__TARGET_ARCH_x86",
            "-Wall",
            "-Werror",
            &include,
        ];
        // Where a Debian system has <asm/…>, which libbpf's usdt.bpf.h asks for.
        let system = format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH);
        let args = [
            &args[..],
            &["-idirafter", &system],
            more,
            &["-c", &file, "-o", &object_name],
        ]
        .concat();
        let out = cc::run(clang, &args, headers);
        if !out.status.success() {
            return Err(format!(
                "{} with {clang}:\n{}",
                self.name,
                cc::head(&cc::text(&out.stderr), 12)
            ));
        }
        Ok(std::fs::read(object).unwrap())
    }
}

/// Relocations by program and clang.
type Built = BTreeMap<(String, &'static str), BTreeSet<Relocation>>;

/// Compiles every program with every one of these clangs; the relocations of each that compiled, and the faults.
fn build(
    header: impl Fn(&str) -> Header,
    clangs: &[&'static str],
    more: &[&str],
) -> (Built, Vec<String>) {
    cc::need_file("/usr/include/bpf/bpf_helpers.h", "libbpf-dev");
    cc::need_file("/usr/include/linux/errno.h", "linux-libc-dev");
    let programs = programs();
    let mut folders = BTreeMap::new();
    for program in &programs {
        folders.entry(program.kernel.as_str()).or_insert_with(|| {
            let dir = cc::scratch();
            header(&program.kernel).write(dir.path());
            dir
        });
    }
    let jobs: Vec<(&Program, &'static str)> = programs
        .iter()
        .flat_map(|program| clangs.iter().map(move |&clang| (program, clang)))
        .filter(|(program, clang)| !program.is_beyond(clang))
        .collect();
    let objects = cc::in_parallel(&jobs, |(program, clang)| {
        program
            .compile(clang, folders[program.kernel.as_str()].path(), more)
            .map(|object| relocations(&object))
    });
    let (mut built, mut faults) = (BTreeMap::new(), Vec::new());
    for ((program, clang), result) in std::iter::zip(jobs, objects) {
        match result {
            Ok(relocations) => _ = built.insert((program.name.clone(), clang), relocations),
            Err(why) => faults.push(why),
        }
    }
    (built, faults)
}

#[test]
fn programs_compile_unchanged_and_relocate_the_right_fields() {
    let (built, mut faults) = build(|kernel| header_under_test(&fixture(kernel)), &CLANGS, &[]);
    let mut kernels: BTreeMap<String, Btf> = BTreeMap::new();
    for program in programs() {
        let kernel = kernels
            .entry(program.kernel.clone())
            .or_insert_with(|| Btf::parse(&fixture(&program.kernel).btf, None));
        let mut row = Vec::new();
        for clang in CLANGS {
            let Some(found) = built.get(&(program.name.clone(), clang)) else {
                row.push("-".to_owned());
                continue;
            };
            row.push(found.len().to_string());
            let spelled: BTreeSet<String> = found.iter().map(|r| flavourless(&r.spell())).collect();
            for expected in program
                .relocates
                .iter()
                .filter(|expected| !spelled.contains(*expected))
            {
                faults.push(format!(
                    "{} with {clang}: no relocation of {expected}, only of {spelled:?}",
                    program.name
                ));
            }
            for relocation in found {
                let absent = program.absent.contains(&flavourless(&relocation.spell()));
                if relocation.exists_in(kernel) == absent {
                    let says = if absent { "has" } else { "lacks" };
                    faults.push(format!(
                        "{} with {clang}: the kernel {says} {}",
                        program.name,
                        relocation.spell()
                    ));
                }
            }
        }
        let needs = program.needs.unwrap_or_default();
        println!(
            "| {} | {} | {} | {needs} |",
            program.name,
            program.kernel,
            row.join(" | ")
        );
    }
    assert!(built.len() > 60, "only {} programs were built", built.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_programs_are_such_as_fit_bpftools_header() {
    // Its headers of kernels built with -fms-extensions warn by themselves.
    let (_, faults) = build(
        |kernel| bpftool(&fixture(kernel)),
        &["clang-19"],
        &["-Wno-missing-declarations"],
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A path without what each name has after `___`.
fn flavourless(path: &str) -> String {
    path.split('.')
        .map(|name| name.split_once("___").map_or(name, |(name, _)| name))
        .collect::<Vec<_>>()
        .join(".")
}
