//! What `btfleet check` prints, and how it ends.

use super::{HEAD, compile, kernel};
use crate::support::cc;
use crate::tool::{file, run, succeed, text};
use serde_json::Value;
use std::path::Path;

/// Fine everywhere, guarded on the old kernel, missing there, and unknown.
const SOURCE: &str = r#"
struct task { int pid; int news; } CORE;
SEC("kprobe") int fine(struct task *t) { out = t->pid; return 0; }
SEC("kprobe") int guards(struct task *t) { if (exists(t->news)) out = t->news; return 0; }
SEC("kprobe") int asks(struct task *t) { out = t->news; return 0; }
SEC("fentry/vfs_read") int attaches(void *c) { return 0; }
SEC("?kprobe") int may(struct task *t) { out = t->news; return 0; }
"#;

/// An object and two kernels, in files and in a store.
fn site() -> tempfile::TempDir {
    let folder = cc::scratch();
    let dir = folder.path();
    let object = compile(
        "clang-19",
        dir,
        "program",
        &format!("{HEAD}{SOURCE}"),
        false,
    );
    file(dir, "program.o", &object);
    let old = "struct task { int pid; int nexs; } t;";
    let new = "struct task { int pid; int news; } t; int vfs_read(void *f) { return 0; }";
    for (name, source, release) in [("old", old, "5.10.0"), ("new", new, "6.12.0")] {
        let name = format!("{name}.btf");
        file(dir, &name, &kernel(dir, source));
        let at = ["--arch", "amd64", "--release", release, "--store", "store"];
        succeed(dir, ["publish", &name].iter().chain(&at));
    }
    folder
}

fn json(dir: &Path, args: &[&str], code: i32) -> Value {
    let out = run(dir, [&["check", "-o", "json"], args].concat());
    assert_eq!(
        out.status.code(),
        Some(code),
        "{args:?}: {}",
        text(&out.stderr)
    );
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&out.stderr)))
}

/// Verdicts on a kernel by program.
fn verdicts(json: &Value, kernel: usize) -> Vec<(String, String, bool)> {
    let programs = json["kernels"][kernel]["objects"][0]["programs"]
        .as_array()
        .unwrap();
    let word = |v: &Value| v.as_str().unwrap().to_owned();
    programs
        .iter()
        .map(|p| (word(&p["name"]), word(&p["verdict"]), p["selected"] == true))
        .collect()
}

#[test]
fn json_says_all_and_exit_codes_what_counts() {
    let site = site();
    let dir = site.path();
    let all = json(dir, &["program.o", "old.btf", "new.btf"], 1);
    assert_eq!(all["schema"], 1);
    assert_eq!(all["verdict"], "fails");
    let want = |list: [(&str, &str, bool); 5]| {
        list.map(|(n, v, s)| (n.to_owned(), v.to_owned(), s))
            .to_vec()
    };
    let mut old = verdicts(&all, 0);
    old.sort();
    assert_eq!(
        old,
        want([
            ("asks", "fails", true),
            ("attaches", "unknown", true),
            ("fine", "resolves", true),
            ("guards", "guarded", true),
            ("may", "fails", false),
        ])
    );
    assert!(
        verdicts(&all, 1)
            .iter()
            .all(|(_, verdict, _)| verdict == "resolves")
    );
    let counts = &all["counts"];
    assert_eq!(
        (
            &counts["resolves"],
            &counts["guarded"],
            &counts["unknown"],
            &counts["fails"]
        ),
        (&5.into(), &1.into(), &1.into(), &1.into()),
        "{counts}"
    );
    let programs = all["kernels"][0]["objects"][0]["programs"]
        .as_array()
        .unwrap();
    let asks = programs.iter().find(|p| p["name"] == "asks").unwrap();
    let finding = &asks["findings"][0];
    for (field, value) in [
        ("subject", "field"),
        ("name", "task.news"),
        ("reason", "task has no news"),
        ("instead", "nexs"),
        ("function", "asks"),
    ] {
        assert_eq!(finding[field], value, "{finding}");
    }
    assert!(
        finding["line"].is_number() && finding["insn"].is_number(),
        "{finding}"
    );

    json(dir, &["program.o", "new.btf"], 0);
    json(
        dir,
        &[
            "program.o",
            "old.btf",
            "--program",
            "fine",
            "--program",
            "guards",
        ],
        0,
    );
    json(dir, &["program.o", "old.btf", "--program", "attaches"], 0);
    json(
        dir,
        &["program.o", "old.btf", "--program", "attaches", "--strict"],
        1,
    );
    json(dir, &["program.o", "old.btf", "--program", "may"], 1);
}

#[test]
fn kernels_come_from_a_store_by_name_or_all() {
    let site = site();
    let dir = site.path();
    let all = json(dir, &["program.o", "--store", "store"], 1);
    let kernels = all["kernels"].as_array().unwrap();
    let mut releases: Vec<&str> = kernels
        .iter()
        .map(|k| k["name"].as_str().unwrap())
        .collect();
    releases.sort_unstable();
    assert_eq!(releases, ["5.10.0", "6.12.0"]);
    assert!(
        kernels
            .iter()
            .all(|k| k["arch"] == "amd64" && k["kernelId"].is_string())
    );
    let one = json(
        dir,
        &["program.o", "release/amd64/6.12.0", "--store", "store"],
        0,
    );
    assert_eq!(one["kernels"].as_array().unwrap().len(), 1);
}

#[test]
fn the_table_has_failures_first_and_the_summary_says_compatible() {
    let site = site();
    let out = run(site.path(), ["check", "program.o", "old.btf", "new.btf"]);
    assert_eq!(out.status.code(), Some(1));
    let table = text(&out.stdout);
    let first: Vec<&str> = table
        .lines()
        .filter_map(|l| l.split_whitespace().next())
        .collect();
    assert_eq!(
        first,
        [
            "VERDICT",
            "fails",
            "unknown",
            "guarded",
            "resolves",
            "resolves",
            "resolves",
            "resolves",
            "resolves",
            "(fails)",
            "(resolves)"
        ],
        "{table}"
    );
    let row = table.lines().nth(1).unwrap();
    for word in [
        "old.btf",
        "program.o",
        "asks",
        "field task.news: task has no news",
        "program.bpf.c:",
        "nexs",
    ] {
        assert!(row.contains(word), "{word}: {row}");
    }
    let summary = text(&out.stderr);
    assert!(
        summary.contains("CO-RE compatible with 1 of 2 kernels; fails on 1:"),
        "{summary}"
    );
    assert!(!summary.contains("will load"), "{summary}");
}

#[test]
fn junit_is_xml_with_a_case_for_each_program_on_each_kernel() {
    let site = site();
    let dir = site.path();
    let xml = |args: &[&str]| {
        let out = run(
            dir,
            [
                &["check", "-o", "junit", "program.o", "old.btf", "new.btf"],
                args,
            ]
            .concat(),
        );
        std::fs::write(dir.join("junit.xml"), &out.stdout).unwrap();
        let count = "import sys,xml.etree.ElementTree as e\nr=e.parse('junit.xml').getroot()\nprint(len(r), *[len(r.findall('.//'+t)) for t in ('testcase','failure','skipped')], r[0].get('failures'), r[0].get('skipped'))";
        text(&cc::must("python3", &["-c", count], dir))
            .trim()
            .to_owned()
    };
    assert_eq!(xml(&[]), "2 10 1 2 1 2");
    assert_eq!(xml(&["--strict"]), "2 10 2 1 2 1");
}

#[test]
fn trouble_is_2_and_says_what() {
    let site = site();
    let dir = site.path();
    file(dir, "text", b"not an object");
    let object = std::fs::read(dir.join("program.o")).unwrap();
    file(dir, "cut.o", &object[..object.len() / 2]);
    for (args, what) in [
        (&["gone.o"][..], "cannot read gone.o"),
        (&["old.btf"], "no eBPF object among old.btf"),
        (&["cut.o", "old.btf"], "cut.o: not a usable ELF file"),
        (
            &["program.o", "old.btf", "--program", "nobody"],
            "no program \"nobody\"",
        ),
        (
            &["program.o", "--store", "empty"],
            "no kernels in the store empty",
        ),
        (
            &["program.o", "1.2.3", "--store", "store"],
            "neither a file nor a kernel",
        ),
    ] {
        let out = run(dir, [&["check"], args].concat());
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(what), "{args:?}: {said}");
        assert!(out.stdout.is_empty());
    }
}

#[test]
fn a_kernel_that_cannot_be_read_is_told_and_the_others_are_looked_at() {
    let site = site();
    let dir = site.path();
    file(dir, "text", b"not a kernel");
    let all = json(dir, &["program.o", "text", "new.btf"], 2);
    assert!(
        all["kernels"][0]["error"]
            .as_str()
            .unwrap()
            .contains("text"),
        "{all}"
    );
    assert!(
        verdicts(&all, 1)
            .iter()
            .all(|(_, verdict, _)| verdict == "resolves")
    );
    // What fails elsewhere counts more.
    json(dir, &["program.o", "text", "old.btf"], 1);
}
