//! `btfleet nodes`, `btfleet kernels` of a cluster, `btfleet crd`.

use super::bed::{BEFORE, Host, RELEASE, plane};
use crate::support::servers::kubernetes::Version;
use crate::tool::btfleet;
use serde_json::{Value, json};
use std::process::Output;

fn run(host: &Host, args: &[&str]) -> Output {
    let mut command = btfleet(host.dir.path());
    command.env("KUBECONFIG", host.plane.admin_kubeconfig());
    command.args(args).output().unwrap()
}

fn printed(host: &Host, args: &[&str]) -> String {
    let out = run(host, args);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    assert!(said.starts_with("reading cluster "), "{said}");
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn nodes_are_listed_with_those_that_are_not_ready_first_and_why() {
    for version in Version::ALL {
        let ready = Host::new(version, "listed-a-ready");
        let stale = Host::new(version, "listed-b-stale");
        let silent = Host::new(version, "listed-c-silent");
        for host in [&ready, &stale, &silent] {
            host.edit(json!({"labels": {"example.com/test": "listing"}}));
        }
        ready.succeed();
        stale.succeed();
        stale.kubelet_says(BEFORE, RELEASE);
        let args = ["nodes", "-l", "example.com/test=listing"];
        let table = printed(&ready, &args);
        let lines: Vec<&str> = table.lines().collect();
        let begins = [
            "NAME",
            "listed-b-stale",
            "listed-c-silent",
            "listed-a-ready",
        ];
        assert_eq!(lines.len(), 4, "{table}");
        for (line, begin) in lines.iter().zip(begins) {
            assert!(line.starts_with(begin), "{table}");
        }
        assert!(lines[1].contains("Stale") && lines[1].contains("its last boot"));
        assert!(lines[2].contains("NotReported") && lines[2].contains("is its pod running"));
        let id = ready.node()["metadata"]["labels"]["btfleet.dev/kernel"].clone();
        let id = id.as_str().unwrap();
        assert!(
            lines[3].contains("Ready") && lines[3].contains(&id[..12]),
            "{table}"
        );
        // The digests of another boot are not shown as this one's.
        assert!(!lines[1].contains(&stale.annotation("btf-digest").unwrap()[7..15]));

        let with = |format: &str| printed(&ready, &[&args[..], &["-o", format]].concat());
        assert_eq!(with("name").lines().next(), Some("node/listed-b-stale"));
        assert!(with("wide").contains(&ready.annotation("header-digest").unwrap()));
        let json: Value = serde_json::from_str(&with("json")).unwrap();
        assert_eq!(json["nodes"][2]["status"], "Ready");
        assert!(
            json["nodes"][0]["reason"]
                .as_str()
                .unwrap()
                .contains("boot")
        );
        let yaml: Value = serde_saphyr::from_str(&with("yaml")).unwrap();
        assert_eq!(yaml, json);
        assert_eq!(
            printed(&ready, &["nodes", "-l", "example.com/test=none"]),
            ""
        );
    }
}

#[test]
fn watching_prints_each_node_that_changes_and_no_heartbeat() {
    use std::io::{BufRead, BufReader};
    let host = Host::new(Version::Newest, "watched");
    host.edit(json!({"labels": {"example.com/test": "watching"}}));
    let mut command = btfleet(host.dir.path());
    command.env("KUBECONFIG", host.plane.admin_kubeconfig());
    command.args(["nodes", "-l", "example.com/test=watching", "--watch"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert!(next().starts_with("NAME"));
    assert!(next().contains("NotReported"));
    host.edit(json!({"annotations": {"example.com/beat": "1"}}));
    host.succeed();
    let line = next();
    assert!(
        line.contains("Ready") && !line.contains("NotReported"),
        "{line}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_crd_is_taken_by_api_servers_and_kernels_are_listed_as_kubectl_lists_them() {
    for version in Version::ALL {
        let plane = plane(version);
        let host = Host::new(version, "crd");
        let out = btfleet(host.dir.path()).arg("crd").output().unwrap();
        let crd = String::from_utf8(out.stdout).unwrap();
        let parsed: Value = serde_saphyr::from_str(&crd).unwrap();
        let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let answer = plane.admin().post(crds, &parsed);
        assert!(answer.status == 201 || answer.status == 409, "{answer:?}");
        let digest = format!("sha256:{}", "ab".repeat(32));
        let name = &digest[7..39];
        let path = "/apis/btfleet.dev/v1alpha1/kernelheaders";
        let kh = json!({"apiVersion": "btfleet.dev/v1alpha1", "kind": "KernelHeader",
            "metadata": {"name": name}, "spec": {"btfDigest": digest}});
        super::bed::wait_until("the API server serves it", || {
            [201, 409].contains(&plane.admin().post(path, &kh).status)
        });
        let status = json!({"status": {"nodes": 7, "arch": "amd64",
            "display": {"releases": "6.1-x", "header": "cdcdcdcdcdcd", "size": "2.8 MB"},
            "conditions": [{"type": "Verified", "status": "True", "reason": "R", "message": "m",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        let merge = crate::support::servers::api::MERGE;
        plane
            .admin()
            .patch(&format!("{path}/{name}/status"), merge, &status)
            .success();

        let table = printed(&host, &["kernels"]);
        let mut lines = table.lines();
        let words = |line: Option<&str>| -> Vec<String> {
            line.unwrap()
                .split_whitespace()
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(
            words(lines.next()),
            [
                "NAME", "ARCH", "RELEASES", "NODES", "HEADER", "SIZE", "VERIFIED", "AGE"
            ]
        );
        // Other tests have theirs on these API servers too.
        let cells = words(lines.find(|line| line.starts_with(name)));
        let want = [
            name,
            "amd64",
            "6.1-x",
            "7",
            "cdcdcdcdcdcd",
            "2.8",
            "MB",
            "True",
        ];
        assert_eq!(cells[..8], want);
        let named = printed(&host, &["kernels", "-o", "name"]);
        let own = format!("kernelheader/{name}");
        assert!(named.lines().any(|line| line == own), "{named}");
        let json: Value =
            serde_json::from_str(&printed(&host, &["kernels", "-o", "json"])).unwrap();
        let mut all = json["kernels"].as_array().unwrap().iter();
        assert!(all.any(|k| k["spec"]["btfDigest"] == digest), "{json}");
        // A store that is named is read instead.
        let out = run(&host, &["kernels", "--store", "./somewhere"]);
        assert!(String::from_utf8_lossy(&out.stderr).starts_with("reading store "));
    }
}

#[test]
fn a_cluster_that_cannot_be_used_is_an_error_and_not_another_place() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str], kubeconfig: &str| {
        let mut command = btfleet(dir.path());
        let out = command
            .env("KUBECONFIG", kubeconfig)
            .args(args)
            .output()
            .unwrap();
        (
            out.status.code(),
            String::from_utf8_lossy(&out.stderr).into_owned(),
        )
    };
    for args in [["kernels"], ["nodes"]] {
        let (code, said) = run(&args, "/nowhere/kubeconfig");
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("no cluster is known here"), "{said}");
    }
    let (code, said) = run(&["nodes"], "");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("KUBECONFIG"), "{said}");
}
