//! The independent check of layouts that lies beside the checkout, over every kernel there is: sizes, offsets
//! and values, as it reads them from the BTF by itself. (`roundtrip` needs nothing beside the checkout.)

use crate::support::dump::header;
use crate::support::kernels;
use std::path::Path;
use std::process::Command;

#[test]
fn every_assertion_of_the_independent_check_holds() {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/tools/layout_check.py");
    if !tool.is_file() {
        // The same is asserted by `roundtrip::` with the project's own means.
        println!("{} is not there: nothing to run", tool.display());
        return;
    }
    let mut failures = Vec::new();
    for kernel in kernels::all() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let (btf, base) = (kernel.btf(), kernel.base());
        std::fs::write(path("btf"), &btf).unwrap();
        std::fs::write(path("own.h"), header(&btf, base.as_deref()).unwrap()).unwrap();
        let mut all = format!("#include \"{}\"\n", path("own.h").display());
        let target = match btf[0] {
            0xeb => "clang-19 -target bpfeb",
            _ => "clang-19 -target bpf",
        };
        let mut check = Command::new("python3");
        check.arg(&tool).arg(path("btf")).arg(path("all.h"));
        check.args(["--cc", target]);
        if let Some(base) = base {
            std::fs::write(path("base"), &base).unwrap();
            std::fs::write(path("base.h"), header(&base, None).unwrap()).unwrap();
            all = format!("#include \"{}\"\n{all}", path("base.h").display());
            check.arg("--base").arg(path("base"));
        }
        std::fs::write(path("all.h"), all).unwrap();
        let out = check.output().expect("python3 runs (package python3)");
        let said = String::from_utf8_lossy(&out.stdout);
        // It tries every twin against every name, so that its compiler always finds something to complain of:
        // the count tells, not the exit code.
        let verdict = said.lines().last().unwrap_or_default();
        println!("{}: {verdict}", kernel.name);
        let all_hold = verdict
            .split_once(" assertions hold; header errors 0")
            .and_then(|(counts, _)| counts.split_once(" of "))
            .is_some_and(|(hold, all)| hold == all && hold != "0");
        if !all_hold {
            let trouble = String::from_utf8_lossy(&out.stderr);
            failures.push(format!("{}: {said}{trouble}", kernel.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
