//! What is made of something else is as that would be made now.

use crate::support::chart::folder;
use crate::support::servers::tool;
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn the_charts_definition_of_kernel_header_is_the_programs() {
    let out = Command::new(env!("CARGO_BIN_EXE_btfleet"))
        .arg("crd")
        .output()
        .unwrap();
    let file = fs::read(folder().join("files/kernelheaders.yaml")).unwrap();
    assert!(
        out.stdout == file,
        "btfleet crd > charts/btfleet/files/kernelheaders.yaml"
    );
}

#[test]
fn the_plain_manifests_are_the_charts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = Command::new(root.join("hack/manifests.sh"))
        .env("HELM", tool("helm"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    let file = fs::read(root.join("manifests/install.yaml")).unwrap();
    assert!(
        out.stdout == file,
        "hack/manifests.sh > manifests/install.yaml"
    );
}
