//! Generated type graphs, such as C can express: each has a header, which compiles without a warning for its
//! target and lays out every type as the graph says. Those of 64 bits go round too: what clang for the BPF
//! target saw in the header is compared with the graph, whole types, bit-fields, qualifiers and kfuncs.
//!
//! `BTFLEET_GRAPHS` is how many are tried of each kind of kernel.

use std::fs;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::support::btfgen::Graph;
use crate::support::btfwrite::{Form, write};
use crate::support::compile::{Target, check, check_on};
use crate::support::dump::header;
use crate::support::header::Header;
use crate::support::roundtrip::{self, Trip};
use crate::support::typegen::{Fact, World, graph};

fn cases() -> u32 {
    std::env::var("BTFLEET_GRAPHS").map_or(60, |n| n.parse().expect("BTFLEET_GRAPHS is a number"))
}

/// The same cases in every run, so that what fails is what changed; others each time when their number is
/// given.
pub fn seed(variable: &str) -> RngSeed {
    match std::env::var_os(variable) {
        Some(_) => RngSeed::Random,
        None => RngSeed::Fixed(1),
    }
}

fn config() -> ProptestConfig {
    // Each step of shrinking compiles: half a minute gets small enough.
    let max_shrink_time = 30_000;
    ProptestConfig {
        cases: cases(),
        max_shrink_time,
        failure_persistence: None,
        rng_seed: seed("BTFLEET_GRAPHS"),
        ..ProptestConfig::default()
    }
}

/// Compiles the header of what `bytes` make, whole and cut in two, with all that must hold of it.
fn judge(bytes: &[u8], world: World) -> Result<(), String> {
    let made = graph(bytes, world);
    let target = Target {
        big: world.big,
        wide: world.wide,
    };
    let form = Form {
        big: world.big,
        ..Form::default()
    };
    let facts: String = made.facts.iter().map(|fact| fact.assertion()).collect();
    let dir = tempfile::tempdir().unwrap();

    let whole = write(&made.graph, &form, b"");
    let path = dir.path().join("vmlinux.h");
    let text = header(&whole.bytes, None)?;
    crate::hostile::plain(&text)?;
    fs::write(&path, &text).unwrap();
    keep("whole", &whole.bytes, None, &facts);
    check(target, &[&path], &facts)?;
    if world.wide {
        comes_back(&whole.bytes, text, None)?;
    } else {
        // i386 aligns types of 64 bits to 4 bytes. BTF does not tell it from arm, so one header fits both.
        let placed: String = made
            .facts
            .iter()
            .filter(|fact| !matches!(fact, Fact::Align { .. }))
            .map(|fact| fact.assertion())
            .collect();
        check_on("i686-linux-gnu", &["-w"], &[&path], &placed)
            .map_err(|e| format!("where 64 bits align to 4 bytes: {e}"))?;
    }

    let Some(&cut) = made.cuts.get(made.cuts.len() / 2) else {
        return Ok(());
    };
    let (first, second) = made.graph.types.split_at(cut);
    let base = Graph {
        base: 0,
        types: first.to_vec(),
    };
    let own = Graph {
        base: cut as u32,
        types: second.to_vec(),
    };
    let base = write(&base, &form, b"");
    let strings = base.bytes[base.strings.clone()].to_vec();
    let own = write(&own, &form, &strings);
    let base_path = dir.path().join("base.h");
    let base_text = header(&base.bytes, None)?;
    let text = header(&own.bytes, Some(&base.bytes))?;
    fs::write(&base_path, &base_text).unwrap();
    fs::write(&path, &text).unwrap();
    keep("split", &own.bytes, Some(&base.bytes), &facts);
    check(target, &[&base_path, &path], &facts).map_err(|e| format!("split: {e}"))?;
    if world.wide {
        comes_back(&own.bytes, text, Some((&base.bytes, base_text)))
            .map_err(|e| format!("split: {e}"))?;
    }
    Ok(())
}

/// The round trip of a header, or of a module's beside its base's.
fn comes_back(btf: &[u8], text: Vec<u8>, base: Option<(&[u8], Vec<u8>)>) -> Result<(), String> {
    let utf8 = |text| String::from_utf8(text).expect("a header is ASCII");
    let (base, base_text) = base.unzip();
    let report = roundtrip::check(&Trip {
        kernel: btf,
        base,
        header: &Header::new(utf8(text), base_text.map(utf8)),
        clang: "clang-19",
        target: None,
    })?;
    match report.is_perfect() {
        true => Ok(()),
        false => Err(report.to_string()),
    }
}

/// The last graph tried is the smallest that fails: `BTFLEET_KEEP` names a folder to leave it in.
fn keep(name: &str, btf: &[u8], base: Option<&[u8]>, facts: &str) {
    if let Ok(dir) = std::env::var("BTFLEET_KEEP") {
        fs::create_dir_all(&dir).unwrap();
        fs::write(format!("{dir}/{name}.btf"), btf).unwrap();
        fs::write(format!("{dir}/{name}.c"), facts).unwrap();
        if let Some(base) = base {
            fs::write(format!("{dir}/{name}.base.btf"), base).unwrap();
        }
    }
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..1500)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn little_endian_64_bit(bytes in any_bytes()) {
        judge(&bytes, World { big: false, wide: true }).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn big_endian_64_bit(bytes in any_bytes()) {
        judge(&bytes, World { big: true, wide: true }).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn little_endian_32_bit(bytes in any_bytes()) {
        judge(&bytes, World { big: false, wide: false }).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn big_endian_32_bit(bytes in any_bytes()) {
        judge(&bytes, World { big: true, wide: false }).map_err(TestCaseError::fail)?;
    }
}
