//! The Go client. Its own tests lie in clients/go; here are the servers that they ask.

use crate::agent::bed::{BEFORE, Host, RELEASE, wait_until};
use crate::serve::cluster::serving;
use crate::support::servers::kubernetes::Version;
use crate::tool::{btfleet, file, small_kernel, text};
use btfleet::artifact::{BtfDigest, HeaderDigest, Object};
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// A command of Go's in a folder of this repository, from the Go that `hack/gotools.sh` finds too.
pub fn go(folder: &str, words: &[&str]) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("env");
    command.arg(format!("PATH={path}:/usr/local/go/bin"));
    command.args(["GOTOOLCHAIN=local", "GOFLAGS=-mod=readonly"]);
    command.args(words);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    command
}

/// Formatted, and nothing in it that `go vet` finds.
#[track_caller]
pub fn assert_tidy(folder: &str) {
    for words in [&["gofmt", "-l", "."][..], &["go", "vet", "./..."]] {
        let out = go(folder, words).output().unwrap();
        let said = text(&out.stdout) + &text(&out.stderr);
        // On a machine that has not seen these modules Go says which it fetches.
        let found = said.lines().find(|l| !l.starts_with("go: downloading "));
        assert!(out.status.success() && found.is_none(), "{words:?}: {said}");
    }
}

#[test]
fn the_go_client_does_as_fetch_does_and_takes_no_wrong_byte() {
    assert_tidy("clients/go");
    let ready = Host::new(Version::Newest, "go-ready");
    let others = ["silent", "stale", "no-btf", "error", "lost", "damaged"];
    let others = others.map(|name| {
        let mut host = Host::new(Version::Newest, &format!("go-{name}"));
        host.store = ready.store.clone();
        host
    });
    let [silent, stale, no_btf, error, lost, damaged] = &others;
    std::fs::remove_file(no_btf.dir.path().join("vmlinux")).unwrap();
    for host in [&ready, stale, no_btf, error, lost, damaged] {
        host.succeed();
    }
    assert_eq!(silent.status(), "");
    stale.kubelet_says(BEFORE, RELEASE);
    error.edit(json!({"annotations": {"btfleet.dev/status": "Error: for a test"}}));
    let in_store = |object: Object| ready.store_folder().join(object.key().as_str());
    let header: HeaderDigest = lost.annotation("header-digest").unwrap().parse().unwrap();
    std::fs::remove_file(in_store(Object::Header(header))).unwrap();
    let wrong = BtfDigest::of(&small_kernel("go-damaged"));
    std::fs::write(in_store(Object::Btf(wrong)), "not BTF").unwrap();
    for (release, kernel) in [("go-one", "a"), ("go-two", "b"), ("go-two", "c")] {
        let path = file(ready.dir.path(), "imported.btf", &small_kernel(kernel));
        let mut command = btfleet(ready.dir.path());
        command.args(["publish", "--arch", std::env::consts::ARCH, "--release"]);
        let done = command.arg(release).args(&ready.store).arg(&path).output();
        assert!(done.unwrap().status.success());
    }
    let server = serving(&ready);
    wait_until("the reboot is seen", || {
        server.get("/v1/nodes/go-stale/manifest").status == 503
    });
    let out = go("clients/go", &["go", "test", "-count=1", "./..."])
        .env("BTFLEET", env!("CARGO_BIN_EXE_btfleet"))
        .env("BTFLEET_TEST_SERVER", server.url())
        .env("BTFLEET_TEST_HOST", ready.dir.path())
        .output()
        .unwrap();
    let said = text(&out.stdout) + &text(&out.stderr);
    assert!(out.status.success(), "{said}{}", server.log());
}
