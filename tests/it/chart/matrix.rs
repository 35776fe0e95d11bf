//! Values in many combinations, judged by kubeconform and by real API servers.

use super::render::MATRIX;
use super::schemas;
use crate::agent::bed::wait_until;
use crate::support::chart::{objects, pod, render};
use crate::support::servers::api::{APPLY, Api, path};
use crate::support::servers::kubernetes::{ControlPlane, Version};
use crate::support::servers::tool;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The Prometheus operator's: kubeconform has no schema of them, and the API servers are given its definitions.
const OPERATORS: [&str; 2] = ["ServiceMonitor", "PrometheusRule"];

/// From here on the API server knows the operator's kinds.
fn define_operators_kinds(admin: &Api) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/operator-crds.sh");
    let out = Command::new(script).stderr(Stdio::inherit()).output();
    let out = out.unwrap();
    assert!(out.status.success(), "hack/operator-crds.sh: see above");
    let folder = String::from_utf8(out.stdout).unwrap();
    for kind in OPERATORS {
        let plural = format!("{}s", kind.to_lowercase());
        let file = format!("monitoring.coreos.com_{plural}.yaml");
        let yaml = std::fs::read_to_string(Path::new(folder.trim_end()).join(file)).unwrap();
        admin.apply(&yaml);
        let at = format!("/apis/monitoring.coreos.com/v1/{plural}");
        wait_until("the API server serves it", || admin.get(&at).status == 200);
    }
}

fn is_valid_everywhere(version: Version) {
    let plane = ControlPlane::start(version);
    let folder = tempfile::tempdir().unwrap();
    schemas::write(&plane, version, folder.path());
    let conform = |yaml: &str| {
        let place = folder
            .path()
            .join("{{ .ResourceKind }}{{ .KindSuffix }}.json");
        let mut child = Command::new(tool("kubeconform"))
            .args(["-strict", "-summary", "-skip", &OPERATORS.join(",")])
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
    define_operators_kinds(&admin);
    let mut operators = 0;
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
        assert!(rendered.len() > 20, "{}", rendered.len());
        for object in &rendered {
            is_taken(&admin, &namespace, object, flags);
            if OPERATORS.contains(&object["kind"].as_str().unwrap()) {
                operators += 1;
                would_be_refused(&admin, object);
            }
        }
    }
    assert_eq!(operators, 3);
}

/// With a mistake in it, of each sort that one could make.
fn would_be_refused(admin: &Api, object: &Value) {
    let at = format!(
        "{}?fieldManager=test&force=true&fieldValidation=Strict&dryRun=All",
        path(object)
    );
    let mistakes = match object["kind"].as_str().unwrap() {
        "ServiceMonitor" => [
            ("/spec/endpoints/0", "intervall", json!("60s")),
            ("/spec/endpoints/0", "interval", json!("often")),
        ],
        _ => [
            ("/spec/groups/0/rules/0", "experience", json!("1")),
            ("/spec/groups/0/rules/0", "for", json!("5 minutes")),
        ],
    };
    for (place, key, value) in mistakes {
        let mut wrong = object.clone();
        wrong.pointer_mut(place).unwrap()[key] = value;
        let answer = admin.patch(&at, APPLY, &wrong);
        assert!(answer.status >= 400, "{place}/{key} was taken");
        assert!(answer.message().contains(key), "{}", answer.message());
    }
}

/// By dry run; and its pod as kubelet would be given it, under Pod Security `restricted`.
fn is_taken(admin: &Api, namespace: &str, object: &Value, flags: &[&str]) {
    let kind = object["kind"].as_str().unwrap();
    // Pods need their accounts to be there.
    let dry = if kind == "ServiceAccount" {
        ""
    } else {
        "&dryRun=All"
    };
    let how = "fieldManager=test&force=true&fieldValidation=Strict";
    let at = format!("{}?{how}{dry}", path(object));
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
}

#[test]
fn every_combination_of_values_is_valid_on_the_oldest_kubernetes() {
    is_valid_everywhere(Version::Oldest);
}

#[test]
fn every_combination_of_values_is_valid_on_the_newest_kubernetes() {
    is_valid_everywhere(Version::Newest);
}
