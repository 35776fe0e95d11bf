//! The text of every known kernel's header, as a digest: it changes only together with GENERATOR.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::support::dump::{GENERATOR, header};
use crate::support::kernels;

/// The last generator that a release carried: the text of a later one may still change.
const RELEASED: u32 = 0;

const HOW: &str = "if the new text is meant, raise GENERATOR in src/dump (unless no release carried it yet) and \
    run this test with BTFLEET_BLESS=1 (with the whole corpus beside the checkout, or named by BTFLEET_CORPUS)";

fn path() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/it/golden.txt"]
        .iter()
        .collect()
}

/// `generator N`, then a line `<hex>  <kernel>` for each.
fn stored() -> (u32, BTreeMap<String, String>) {
    let text = fs::read_to_string(path()).unwrap_or_default();
    let mut generator = 0;
    let mut digests = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line
            .split_once(char::is_whitespace)
            .expect("two words a line")
        {
            ("generator", n) => generator = n.trim().parse().expect("a number"),
            (hex, name) => _ = digests.insert(name.trim().to_string(), hex.to_string()),
        }
    }
    (generator, digests)
}

#[test]
fn no_text_changes_without_a_new_generator() {
    let (generator, mut known) = stored();
    let bless = std::env::var_os("BTFLEET_BLESS").is_some();
    let mut changed = Vec::new();
    for kernel in kernels::all() {
        let text = header(&kernel.btf(), kernel.base().as_deref())
            .unwrap_or_else(|e| panic!("{}: {e}", kernel.name));
        let digest: String = Sha256::digest(&text)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        match known.insert(kernel.name.clone(), digest.clone()) {
            Some(before) if before == digest => {}
            None if bless => {}
            _ => changed.push(kernel.name),
        }
    }
    if bless {
        assert!(
            changed.is_empty() || generator != GENERATOR || GENERATOR > RELEASED,
            "the text of {changed:?} changed: raise GENERATOR (it is {GENERATOR}) before blessing it"
        );
        let mut out = String::from(
            "# sha256 of each kernel's header. Made by BTFLEET_BLESS=1 (see golden.rs).\n",
        );
        writeln!(out, "generator {GENERATOR}").unwrap();
        for (name, hex) in &known {
            writeln!(out, "{hex}  {name}").unwrap();
        }
        fs::write(path(), out).unwrap();
        return;
    }
    assert_eq!(
        generator, GENERATOR,
        "tests/it/golden.txt is of another generator: {HOW}"
    );
    assert!(changed.is_empty(), "the text changed: {changed:?}; {HOW}");
}
