//! Real servers on loopback: etcd with kube-apiserver, and versitygw for S3. `hack/gotools.sh` builds them.
//!
//! Nothing of theirs outlives the test binary, whatever ends it: the kernel kills each server with its parent
//! (`process`), and a shell that waits on a pipe then removes their folder (`folder`).

pub mod api;
pub mod certs;
pub mod faulty_s3;
pub mod folder;
pub mod kubernetes;
pub mod manifests;
pub mod port;
pub mod process;
pub mod proxy;
pub mod s3;
pub mod s3s;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The path of a tool, by the name that `hack/gotools.sh` knows it by.
pub fn tool(name: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/gotools.sh");
    // What it says while it builds goes through to whoever waits.
    let out = Command::new(&script)
        .arg(name)
        .stderr(std::process::Stdio::inherit())
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}", script.display()));
    assert!(out.status.success(), "hack/gotools.sh {name}: see above");
    PathBuf::from(String::from_utf8(out.stdout).unwrap().trim_end())
}
