//! `libbpf-relo`: libbpf's own answers, on the command line.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use libbpf_relo::{Btf, Kernel, Object, Outcome, load, resolve, version};
use serde_json::json;

const USAGE: &str = "usage: libbpf-relo OBJECT BTF [--base BTF]
       libbpf-relo --load OBJECT BTF
       libbpf-relo --min BTF… [--object OBJECT --full BTF]
    One line of JSON for each CO-RE relocation of OBJECT, as libbpf resolves it against BTF.
    --base    BTF is a module's, split from this one
    --load    by bpf_object__load with btf_custom_path, from what it logs
    --min     reads each BTF and counts its types; with --object and --full, every relocation of OBJECT
              must come out the same against it as against the full BTF";

fn main() -> Result<()> {
    let mut words = Vec::new();
    let mut flags: HashMap<String, String> = HashMap::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(word) = arguments.next() {
        match word.as_str() {
            "--load" | "--min" => drop(flags.insert(word, String::new())),
            "--base" | "--object" | "--full" => {
                let value = arguments.next().context(USAGE)?;
                flags.insert(word, value);
            }
            "--version" => {
                println!("libbpf {}", version());
                return Ok(());
            }
            _ if word.starts_with('-') => bail!(USAGE),
            _ => words.push(PathBuf::from(word)),
        }
    }
    let file = |name: &str| flags.get(name).map(PathBuf::from);
    if flags.contains_key("--min") {
        ensure!(!words.is_empty(), USAGE);
        return minimized(&words, file("--object"), file("--full"));
    }
    let [object, btf] = words.as_slice() else {
        bail!(USAGE)
    };
    if flags.contains_key("--load") {
        return loaded(object, btf);
    }
    let base = file("--base").map(|base| read(&base)).transpose()?;
    let base = base.map(|base| Btf::new(&base, None)).transpose()?;
    let btf = Btf::new(&read(btf)?, base.as_ref())?;
    for outcome in resolve(&Object::read(&read(object)?)?, &Kernel::new(&btf)) {
        println!("{}", serde_json::to_string(&outcome)?);
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

fn loaded(object: &Path, btf: &Path) -> Result<()> {
    if let Err(why) = load::permitted() {
        println!(
            "{}",
            json!({ "skipped": format!("this kernel loads no program for us: {why}") })
        );
        return Ok(());
    }
    let load = load::load(object, btf, None)?;
    for logged in &load.relocations {
        let mut line = serde_json::to_value(logged)?;
        line["poison"] = logged.poisoned().into();
        line["new_val"] = logged.new_val().into();
        println!("{line}");
    }
    match load.result {
        Ok(()) => println!("{}", json!({ "loaded": true })),
        Err(errno) => {
            println!("{}", json!({ "loaded": false, "errno": errno }));
            for line in &load.log {
                eprintln!("{line}");
            }
        }
    }
    Ok(())
}

fn minimized(small: &[PathBuf], object: Option<PathBuf>, full: Option<PathBuf>) -> Result<()> {
    for path in small {
        let btf = Btf::new(&read(path)?, None).with_context(|| path.display().to_string())?;
        let mut line = json!({ "btf": path, "types": btf.types() });
        if let (Some(object), Some(full)) = (&object, &full) {
            let object = Object::read(&read(object)?)?;
            let full = Btf::new(&read(full)?, None)?;
            let (ours, whole) = (
                resolve(&object, &Kernel::new(&btf)),
                resolve(&object, &Kernel::new(&full)),
            );
            let differing = ours.iter().zip(&whole);
            let differing: Vec<_> = differing
                .filter(|(ours, whole)| !same(ours, whole))
                .collect();
            for (ours, whole) in &differing {
                println!("{}", json!({ "minimized": ours, "full": whole }));
            }
            ensure!(
                differing.is_empty(),
                "{} of {} relocations differ",
                differing.len(),
                ours.len()
            );
            line["same"] = ours.len().into();
        }
        println!("{line}");
    }
    Ok(())
}

/// Whether a program could not tell the two apart. Type ids are each BTF's own, so of those it only counts whether
/// there is one.
fn same(left: &Outcome, right: &Outcome) -> bool {
    if left.kind == "target_type_id" {
        let found = |outcome: &Outcome| outcome.value.map(|value| value.new_val != 0);
        return left.errno == right.errno && found(left) == found(right);
    }
    left.errno == right.errno && left.value == right.value && left.patched == right.patched
}
