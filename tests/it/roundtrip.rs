//! Headers of real kernels, compiled and read back: what the compiler saw is what the kernel said.

use crate::support::cc::{self, CLANGS};
use crate::support::fixtures::{self, Fixture, X86_64, fixture};
use crate::support::header::{Header, bpftool, header_under_test};
use crate::support::layout;
use crate::support::refbtf::{Btf, is_big_endian};
use crate::support::roundtrip::{Report, Trip, check};
use std::path::Path;
use std::sync::OnceLock;

fn trip(fixture: &Fixture, header: &Header) -> Result<Report, String> {
    let base = fixture.base.as_deref();
    check(&Trip {
        kernel: &fixture.btf,
        base,
        header,
        clang: "clang-19",
        target: None,
    })
}

/// bpftool on the kernel of HEADER.md's figures, which two tests ask for.
fn bpftool_on_x86_64() -> &'static Result<Report, String> {
    static REPORT: OnceLock<Result<Report, String>> = OnceLock::new();
    REPORT.get_or_init(|| {
        let fixture = fixture(X86_64);
        trip(&fixture, &bpftool(&fixture))
    })
}

/// Kernels for which bpftool is measured too: a round trip takes its time, and these two show its faults.
const BESIDE_BPFTOOL: [&str; 2] = [X86_64, "amd64-7.2.13+deb14-amd64"];

/// Every definition and kfunc of these kernels, ours beside bpftool's, as a table to paste.
fn compare_with_bpftool(fixtures: &[Fixture]) {
    println!(
        "| kernel | definitions | right: btfleet | right: bpftool | kfuncs | right: btfleet | right: bpftool |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut faults = Vec::new();
    for fixture in fixtures {
        let ours = trip(fixture, &header_under_test(fixture))
            .unwrap_or_else(|e| panic!("{}: {e}", fixture.name));
        let measured;
        let theirs = if fixture.name == X86_64 {
            Some(bpftool_on_x86_64())
        } else if BESIDE_BPFTOOL.contains(&fixture.name.as_str()) {
            measured = trip(fixture, &bpftool(fixture));
            Some(&measured)
        } else {
            None
        };
        let their = |right: fn(&Report) -> usize| match theirs {
            None => "not measured".to_owned(),
            Some(Err(_)) => "does not compile".to_owned(),
            Some(Ok(report)) => right(report).to_string(),
        };
        println!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            fixture.name,
            ours.checked,
            ours.right,
            their(|r| r.right),
            ours.kfuncs_checked,
            ours.kfuncs_right,
            their(|r| r.kfuncs_right),
        );
        assert!(
            ours.checked > 50,
            "{}: hardly anything was compared",
            fixture.name
        );
        if !ours.is_perfect() {
            faults.push(format!("{}: {ours}", fixture.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_definition_and_kfunc_of_committed_kernels_comes_back() {
    compare_with_bpftool(&fixtures::fixtures());
}

#[test]
fn every_definition_and_kfunc_of_the_corpus_comes_back() {
    let corpus = fixtures::corpus();
    if corpus.is_empty() {
        println!(
            "no ../shared/corpus beside the checkout: the committed kernels are all there is to compare"
        );
    }
    compare_with_bpftool(&corpus);
}

#[test]
fn the_round_trip_finds_bpftools_faults_and_no_others() {
    let report = bpftool_on_x86_64().as_ref().unwrap();
    println!("bpftool on {X86_64}: {report}");
    for fault in [
        "struct warn_args: size 32",
        "typedef release_pages_arg: size 8",
    ] {
        assert!(
            report.wrong.iter().any(|wrong| wrong.starts_with(fault)),
            "{fault} is not found"
        );
    }
    for right in ["struct task_struct:", "struct vm_fault:"] {
        assert!(!report.wrong.iter().any(|wrong| wrong.starts_with(right)));
    }
    // HEADER.md's figures are about this one. They leave out `__builtin_va_list`, which C cannot define, and
    // count `vm_fault` as wrong because clang, not bpftool, forgets that its unnamed member is const.
    let version = cc::text(&cc::must("bpftool", &["version"], Path::new(".")));
    if version.starts_with("bpftool v7.1.") {
        assert_eq!((report.right, report.checked), (14_315, 14_360));
        assert_eq!((report.kfuncs_right, report.kfuncs_checked), (0, 203));
    }
}

#[test]
fn gcc_lays_the_x86_64_header_out_as_the_kernel() {
    let fixture = fixture(X86_64);
    let kernel = Btf::parse(&fixture.btf, None);
    let result = layout::check(
        &["gcc-12", "-fmax-errors=0"],
        &header_under_test(&fixture),
        &kernel,
    );
    println!(
        "gcc 12, {}: {} of {} assertions hold",
        fixture.name,
        result.checked - result.wrong.len(),
        result.checked
    );
    assert!(result.checked > 80_000);
    assert!(
        result.wrong.is_empty(),
        "{}",
        cc::head(&result.wrong.join("\n"), 30)
    );
}

/// Compilers and what they compile for, by the byte order of the BTF.
fn compilers(big_endian: bool) -> Vec<Vec<&'static str>> {
    let bpf = CLANGS.map(|clang| vec![clang, "-target", cc::bpf_target(big_endian)]);
    let native = CLANGS.map(|clang| vec![clang, "-target", "x86_64-linux-gnu"]);
    bpf.into_iter()
        .chain(native)
        .chain([vec!["gcc-12"]])
        .collect()
}

#[test]
fn headers_compile_without_a_warning_in_every_compiler_and_standard() {
    let mut faults = Vec::new();
    for fixture in fixtures::fixtures() {
        let header = header_under_test(&fixture);
        let dir = cc::scratch();
        header.write(dir.path());
        std::fs::write(dir.path().join("use.c"), header.includes()).unwrap();
        let mut runs = Vec::new();
        for compiler in compilers(is_big_endian(&fixture.btf)) {
            runs.extend(
                ["-std=gnu11", "-std=gnu17", "-std=gnu2x"]
                    .map(|std| [&compiler[..], &[std]].concat()),
            );
        }
        let failed = cc::in_parallel(&runs, |run| {
            let args = [
                &run[1..],
                &["-Wall", "-Wextra", "-Werror", "-fsyntax-only", "use.c"],
            ]
            .concat();
            let out = cc::run(run[0], &args, dir.path());
            (!out.status.success()).then(|| cc::head(&cc::text(&out.stderr), 6))
        });
        let failed: Vec<String> = std::iter::zip(&runs, failed)
            .filter_map(|(run, why)| Some(format!("{} {}:\n{}", fixture.name, run.join(" "), why?)))
            .collect();
        println!(
            "{}: {} of {} ways to compile",
            fixture.name,
            runs.len() - failed.len(),
            runs.len()
        );
        faults.extend(failed);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
