//! `/openapi.json`, held against the server by schemathesis.

use super::bed::Serving;
use super::http::small;
use std::path::Path;
use std::process::Command;

#[test]
fn the_server_does_what_its_description_says() {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/schemathesis.sh");
    let dir = tempfile::tempdir().unwrap();
    let (store, digest) = small(&dir);
    let server = Serving::of_folder(&store, &[]);
    let described = server.get("/openapi.json").json();
    assert_eq!(described["openapi"], "3.1.0");
    // Half of the examples are of a kernel that is there: what is random finds only 404.
    std::fs::write(
        dir.path().join("schemathesis.toml"),
        format!("[parameters]\n\"path.kernel\" = \"{digest}\"\n"),
    )
    .unwrap();
    // What is random is no eBPF object.
    let check = [
        "--include-path=/v1/check",
        "--exclude-checks=positive_data_acceptance",
    ];
    let others = ["--exclude-path=/v1/check"];
    for (known, paths) in [
        (true, &others[..]),
        (false, &others[..]),
        (false, &check[..]),
    ] {
        let mut run = Command::new(&tool);
        run.current_dir(dir.path());
        if known {
            run.arg("--config-file=schemathesis.toml");
        }
        let out = run
            .args(["run", "--seed=1", "--max-examples=40", "--no-color"])
            .args([
                "--phases=examples,coverage,fuzzing",
                "--mode=all",
                "--checks=all",
            ])
            .args(["--exclude-checks=unsupported_method"])
            .args(["--generation-database=none", "--max-failures=5"])
            .args(paths)
            .arg(format!("{}/openapi.json", server.url()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        let why = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{said}\n{why}");
        println!("{said}");
    }
    assert_eq!(server.get("/livez").status, 200);
}
