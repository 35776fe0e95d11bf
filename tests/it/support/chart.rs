//! The chart, rendered by the real helm.

use super::servers::tool;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/btfleet")
}

/// `helm template RELEASE charts/btfleet -n NAMESPACE FLAGS…`
pub fn helm_template(release: &str, namespace: &str, flags: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    Command::new(tool("helm"))
        .args(["template", release])
        .arg(folder())
        .args(["--namespace", namespace])
        .args(flags)
        .env("HOME", home.path())
        .env_remove("KUBECONFIG")
        .output()
        .unwrap()
}

/// What it renders to.
#[track_caller]
pub fn render(release: &str, namespace: &str, flags: &[&str]) -> String {
    let out = helm_template(release, namespace, flags);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{flags:?}: {said}");
    String::from_utf8(out.stdout).unwrap()
}

/// The objects of a YAML text.
pub fn objects(yaml: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    all.into_iter().filter(|object| !object.is_null()).collect()
}

/// The pod of an object that makes pods, or is one.
pub fn pod(object: &Value) -> Option<&Value> {
    match object["kind"].as_str()? {
        "Pod" => Some(object),
        "DaemonSet" | "Deployment" | "Job" => object.pointer("/spec/template"),
        _ => None,
    }
}
