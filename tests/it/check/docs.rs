//! docs/check.md does as it says.

use crate::support::{cc, kernels};
use crate::tool::{file, succeed, text};
use btfleet::btf::Btf;
use std::process::Command;

/// What stands between fences of this kind.
fn blocks(kind: &str) -> Vec<&'static str> {
    let docs = include_str!("../../../docs/check.md");
    let fence = format!("\n```{kind}\n");
    docs.split(&fence)
        .skip(1)
        .map(|rest| rest.split("\n```\n").next().unwrap())
        .collect()
}

#[test]
fn the_example_prints_what_the_page_says() {
    let folder = cc::scratch();
    let dir = folder.path();
    let all = kernels::all();
    for (name, release) in [
        ("x86_64-6.18", "6.18.0"),
        ("amd64-7.2.13+deb14-amd64", "7.2.13+deb14-amd64"),
    ] {
        let kernel = all.iter().find(|k| k.name == name).unwrap().btf();
        file(dir, "kernel.btf", &kernel);
        let header = btfleet::dump::header(&Btf::parse(&kernel).unwrap()).unwrap();
        file(dir, "vmlinux.h", &header);
        let at = [
            "--arch",
            "amd64",
            "--release",
            release,
            "--store",
            "kernels",
        ];
        succeed(dir, ["publish", "kernel.btf"].iter().chain(&at));
    }
    let [program] = blocks("c")[..] else {
        panic!("one program")
    };
    file(dir, "probe.bpf.c", program.as_bytes());
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_btfleet"))
        .parent()
        .unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let shell = |script: &str| {
        Command::new("bash")
            .args(["-c", script])
            .current_dir(dir)
            .env("PATH", format!("{}:{path}", binary.display()))
            .env("HOME", dir)
            .env_remove("KUBECONFIG")
            .env_remove("KUBERNETES_SERVICE_HOST")
            .output()
            .unwrap()
    };
    let [check, junit, minimize] = blocks("bash")[..] else {
        panic!("three commands")
    };
    let out = shell(&format!("set -e\n{check}"));
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    let trimmed = |text: &str| {
        text.lines()
            .map(str::trim_end)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let said = text(&out.stdout);
    let shown = blocks("").into_iter().find(|b| b.starts_with("VERDICT"));
    assert_eq!(
        trimmed(&said),
        trimmed(shown.expect("the table")),
        "{}",
        text(&out.stderr)
    );

    let out = shell(junit);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    let xml = std::fs::read_to_string(dir.join("check.xml")).unwrap();
    assert_eq!(xml.matches("<testcase ").count(), 4, "{xml}");
    assert_eq!(xml.matches("<failure ").count(), 2, "{xml}");

    let out = shell(minimize);
    assert!(out.status.success(), "{}", text(&out.stderr));
    for release in ["6.18.0", "7.2.13+deb14-amd64"] {
        let small = dir.join(format!("min_core_btf/x86_64/{release}.btf"));
        let small = std::fs::read(&small).unwrap_or_else(|e| panic!("{}: {e}", small.display()));
        assert!(Btf::parse(&small).unwrap().types().len() < 20);
    }
}
