//! What is computed beside what happens: the suite's programs, loaded into the kernel that this runs on. Where that
//! lets us load none, it is said, and nothing is compared.

use std::collections::BTreeMap;
use std::path::Path;

use btfleet::relo::check::{self, Subject, Verdict};
use libbpf_relo::{Btf, Kernel, Object, Patched, load, resolve};

use crate::cc;
use crate::compile::{self, Built};
use crate::kernels;

const RUNNING: &str = "/sys/kernel/btf/vmlinux";
/// How an instruction begins that libbpf has made invalid: a call.
const POISON: &str = "850000";
/// Programs that user space lets reach what a kernel lacks or not, by a constant that it sets before it loads them:
/// that is no guard that we could see, and libbpf loads them with the constant as it is compiled.
const BY_SETTING: [&str; 1] = ["by_setting"];

/// This kernel's BTF, unless it lets us load no program.
fn running(claim: &str) -> Option<Vec<u8>> {
    let btf = std::fs::read(RUNNING).map_err(|e| format!("{RUNNING}: {e}"));
    match load::permitted().and(btf) {
        Ok(btf) => Some(btf),
        Err(why) => {
            // As a test that was left out: .ci/run counts these.
            println!("test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
            println!("skipped: {claim}: this kernel loads no program for us: {why}");
            None
        }
    }
}

/// The suite's objects for machines of this byte order.
fn suite() -> impl Iterator<Item = &'static Built> {
    let big_endian = cfg!(target_endian = "big");
    let suite = compile::suite(kernels::all()).iter();
    suite.filter(move |built| built.big_endian == big_endian)
}

fn with_file<T>(built: &Built, job: impl FnOnce(&Path) -> T) -> T {
    let dir = cc::scratch();
    let path = dir.path().join("object.o");
    std::fs::write(&path, &built.elf).unwrap();
    job(&path)
}

/// `resolve` calls libbpf's hidden functions in an order of its own making; this is libbpf doing all of it by itself.
#[test]
fn bpf_object_load_makes_of_each_relocation_what_the_oracle_says() {
    let Some(running) = running("relocations by bpf_object__load") else {
        return;
    };
    // Who compiled it makes no difference to libbpf.
    let objects: Vec<_> = suite()
        .filter(|built| built.name.contains("clang-19"))
        .collect();
    // Against another kernel's BTF programs are relocated just as well, and then refused.
    let other = kernels::all()
        .iter()
        .find(|k| k.name == compile::USUAL)
        .unwrap();
    let dir = cc::scratch();
    let other_path = dir.path().join("other.btf");
    std::fs::write(&other_path, &other.btf).unwrap();
    let mut compared = 0;
    for (bytes, path) in [(&running, Path::new(RUNNING)), (&other.btf, &other_path)] {
        let btf = Btf::new(bytes, None).unwrap();
        let kernel = Kernel::new(&btf);
        let counts = cc::in_parallel(&objects, |built| {
            let load = with_file(built, |file| load::load(file, path, None)).unwrap();
            let mut logged: BTreeMap<_, Vec<_>> = BTreeMap::new();
            for line in load.relocations {
                let key = (line.function.clone(), line.number);
                logged.entry(key).or_default().push(line);
            }
            let mut count = 0;
            for outcome in resolve(&Object::read(&built.elf).unwrap(), &kernel) {
                let key = (outcome.function.clone().unwrap_or_default(), outcome.number);
                let (false, Some(lines)) = (outcome.optional, logged.get(&key)) else {
                    continue;
                };
                let at = format!("{}: {outcome:?} {lines:?}", built.name);
                match &outcome.patched {
                    Some(Patched::Code(code)) if code.starts_with(POISON) => {
                        assert!(lines.iter().any(load::Logged::poisoned), "{at}");
                    }
                    Some(Patched::Code(_)) => {
                        let new = lines.iter().find_map(load::Logged::new_val);
                        assert_eq!(new, outcome.value.map(|value| value.new_val), "{at}");
                    }
                    Some(Patched::Errno(_)) | None => {
                        let failed = |line: &load::Logged| line.done.starts_with("failed to");
                        assert!(lines.iter().any(failed), "{at}");
                    }
                }
                count += 1;
            }
            count
        });
        compared += counts.iter().sum::<usize>();
    }
    println!("{compared} relocations as bpf_object__load logs them");
    assert!(compared > 500, "too few were logged: {compared}");
}

/// The kernel meets what libbpf poisoned in a program that `fails`, and never in one that `resolves` or is `guarded`.
#[test]
fn the_kernel_meets_poison_in_programs_that_fail_and_in_no_others() {
    let Some(running) = running("verdicts on programs") else {
        return;
    };
    let btf = btfleet::btf::Btf::parse(&running).unwrap();
    let target = check::Target::new(&btf);
    let seen = cc::in_parallel(&suite().collect::<Vec<_>>(), |built| {
        let object = check::Object::parse(&built.elf).unwrap();
        let mut seen = Vec::new();
        for program in check::check(&object, &target).unwrap() {
            let load = with_file(built, |file| {
                load::load(file, Path::new(RUNNING), Some(&program.name))
            });
            let load = load.unwrap();
            let (name, verdict) = (
                format!("{} of {}", program.name, built.name),
                program.verdict,
            );
            let lacks_types = program.findings.iter().any(|finding| {
                let of_types = [Subject::Field, Subject::Type, Subject::Enumerator];
                finding.verdict == Verdict::Fails && of_types.contains(&finding.subject)
            });
            let log = load.log.join("\n");
            assert!(
                !load.met_poison() || lacks_types,
                "{name} is said to be {verdict:?}, and the kernel meets poison:\n{log}"
            );
            assert!(
                load.result.is_err()
                    || verdict != Verdict::Fails
                    || BY_SETTING.contains(&&*program.name),
                "{name} is said to fail, and loads: {:?}",
                program.findings
            );
            seen.push((verdict.name(), load.result.is_ok(), load.met_poison()));
        }
        seen
    });
    let mut counts = BTreeMap::new();
    for one in seen.into_iter().flatten() {
        *counts.entry(one).or_insert(0) += 1;
    }
    for ((verdict, loads, poison), count) in &counts {
        let loads = if *loads { "loads" } else { "is refused" };
        let poison = if *poison {
            ", for what libbpf poisoned"
        } else {
            ""
        };
        println!("{count:>5} programs: {verdict}, {loads}{poison}");
    }
    // Otherwise nothing was shown.
    for shown in [
        ("guarded", true, false),
        ("fails", false, true),
        ("resolves", true, false),
    ] {
        assert!(counts.contains_key(&shown), "no program: {shown:?}");
    }
}
