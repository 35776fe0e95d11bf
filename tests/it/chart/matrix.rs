//! Values in many combinations, judged by kubeconform and by real API servers.

use super::render::MATRIX;
use super::schemas;
use crate::support::chart::{objects, pod, render};
use crate::support::servers::api::{APPLY, Api, path};
use crate::support::servers::kubernetes::{ControlPlane, Version};
use crate::support::servers::tool;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// Of another project; neither API server knows them.
const FOREIGN: [&str; 2] = ["ServiceMonitor", "PrometheusRule"];

fn is_valid_everywhere(version: Version) {
    let plane = ControlPlane::start(version);
    let folder = tempfile::tempdir().unwrap();
    schemas::write(&plane, version, folder.path());
    let conform = |yaml: &str| {
        let place = folder
            .path()
            .join("{{ .ResourceKind }}{{ .KindSuffix }}.json");
        let mut child = Command::new(tool("kubeconform"))
            .args(["-strict", "-summary", "-skip", &FOREIGN.join(",")])
            .arg("-schema-location")
            .arg(place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(yaml.as_bytes()).unwrap();
        drop(input);
        let out = child.wait_with_output().unwrap();
        (out.status.success(), String::from_utf8(out.stdout).unwrap())
    };
    // It would say so.
    let typo = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {port: []}\n";
    let (valid, said) = conform(typo);
    assert!(!valid && said.contains("port"), "{said}");

    let admin = plane.admin();
    for (n, flags) in MATRIX.iter().enumerate() {
        let namespace = format!("matrix-{n}");
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let made = json!({"metadata": {"name": namespace, "labels": labels}});
        admin.post("/api/v1/namespaces", &made).success();
        // A controller's work, elsewhere.
        let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        let default = json!({"metadata": {"name": "default"}});
        admin.post(&accounts, &default).success();
        let yaml = render("btfleet", &namespace, flags);
        let (valid, said) = conform(&yaml);
        assert!(valid, "{version:?} {flags:?}: {said}");
        let rendered = objects(&yaml);
        let taken = rendered
            .iter()
            .filter(|object| is_taken(&admin, &namespace, object, flags))
            .count();
        assert!(taken > 20, "{taken}");
    }
}

/// By dry run; and its pod as kubelet would be given it, under Pod Security `restricted`.
fn is_taken(admin: &Api, namespace: &str, object: &Value, flags: &[&str]) -> bool {
    let kind = object["kind"].as_str().unwrap();
    if FOREIGN.contains(&kind) {
        return false;
    }
    // Pods need their accounts to be there.
    let dry = if kind == "ServiceAccount" {
        ""
    } else {
        "&dryRun=All"
    };
    let at = format!("{}?fieldManager=test&force=true{dry}", path(object));
    let answer = admin.patch(&at, APPLY, object);
    assert!(answer.status < 300, "{flags:?} {at}: {}", answer.message());
    if let Some(pod) = pod(object) {
        let mut pod = pod.clone();
        pod["apiVersion"] = json!("v1");
        pod["kind"] = json!("Pod");
        pod["metadata"]["name"] = json!("one");
        let at = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
        let answer = admin.post(&at, &pod);
        assert!(
            answer.status < 300,
            "{flags:?} {kind}: {}",
            answer.message()
        );
    }
    true
}

#[test]
fn every_combination_of_values_is_valid_on_the_oldest_kubernetes() {
    is_valid_everywhere(Version::Oldest);
}

#[test]
fn every_combination_of_values_is_valid_on_the_newest_kubernetes() {
    is_valid_everywhere(Version::Newest);
}
