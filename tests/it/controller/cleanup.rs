//! The end of an installation.

use super::bed::{Bed, kernel};
use crate::agent::bed::wait_until;
use crate::support::servers::api::MERGE;
use crate::support::servers::kubernetes::{Credentials, Version};
use crate::tool::btfleet;
use btfleet::artifact::{Object, Owner};
use serde_json::json;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn cleanup_removes_our_keys_and_references_and_nothing_else() {
    let bed = Bed::new(Version::Newest);
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    let other: Owner = "another-cluster".parse().unwrap();
    bed.poison(&Object::Ref(kernel.digest, other.clone()), b"");
    // More than a page of them.
    for n in 0..60 {
        bed.node_with(&format!("n{n:02}"), &kernel);
    }
    bed.node("bare");
    let theirs = serde_json::json!({"metadata": {"annotations": {"example.com/note": "keep"},
        "labels": {"example.com/pool": "blue"}}});
    bed.admin
        .patch("/api/v1/nodes/n07", MERGE, &theirs)
        .success();
    let token = bed.plane.token("btfleet", "btfleet-cleanup", None);
    let kubeconfig = bed.plane.kubeconfig(&Credentials::Token(&token));
    let run = |flags: &[&str]| {
        let mut command = btfleet(bed.dir.path());
        command
            .arg("cleanup")
            .args(flags)
            .env("KUBECONFIG", &kubeconfig);
        let out = command.output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        (
            out.status.success(),
            String::from_utf8_lossy(&out.stdout).into_owned(),
            said,
        )
    };
    // It says what it lacks before it removes anything.
    let (done, _, said) = run(&[]);
    assert!(!done && said.contains("--keep-refs"), "{said}");
    let (done, printed, said) = run(&[&bed.store_flags[0]]);
    assert!(done, "{said}");
    assert!(
        printed.contains("from 60 nodes") && printed.contains("1 references"),
        "{printed}"
    );
    let nodes = bed.admin.get("/api/v1/nodes").success();
    for node in nodes["items"].as_array().unwrap() {
        let text =
            node["metadata"]["annotations"].to_string() + &node["metadata"]["labels"].to_string();
        assert!(!text.contains("btfleet.dev/"), "{node}");
    }
    let n07 = bed.admin.get("/api/v1/nodes/n07").success();
    assert_eq!(n07["metadata"]["annotations"]["example.com/note"], "keep");
    assert_eq!(n07["metadata"]["labels"]["example.com/pool"], "blue");
    assert!(!bed.has(&Object::Ref(kernel.digest, bed.id())));
    assert!(bed.has(&Object::Ref(kernel.digest, other)));
    assert!(bed.has(&Object::Btf(kernel.digest)));
    // Once more finds nothing to do.
    let (done, printed, said) = run(&["--keep-refs"]);
    assert!(done && printed.contains("from 0 nodes"), "{printed}{said}");
}

#[test]
fn cleanup_removes_the_agents_first_and_waits_until_their_pods_are_gone() {
    let bed = Bed::new(Version::Newest);
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    bed.node_with("n", &kernel);
    let sets = "/apis/apps/v1/namespaces/btfleet/daemonsets";
    let pod = json!({"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "agent", "image": "btfleet"}]}});
    let set = json!({"metadata": {"name": "btfleet-agent"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": pod}});
    bed.admin.post(sets, &set).success();
    let secrets = "/api/v1/namespaces/btfleet/secrets";
    for name in ["btfleet-store-controller", "another"] {
        bed.admin
            .post(secrets, &json!({"metadata": {"name": name}}))
            .success();
    }
    let token = bed.plane.token("btfleet", "btfleet-cleanup", None);
    let kubeconfig = bed.plane.kubeconfig(&Credentials::Token(&token));
    let start = |flags: &[&str]| {
        let mut command = btfleet(bed.dir.path());
        command
            .args(["cleanup", "--keep-refs", "--namespace=btfleet"])
            .args(flags)
            .env("KUBECONFIG", &kubeconfig)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let running = start(&[
        "--daemonset=btfleet-agent",
        "--secret=btfleet-store-controller",
    ]);
    let one = format!("{sets}/btfleet-agent");
    wait_until("the DaemonSet is asked to go", || {
        bed.admin.get(&one).body["metadata"]["deletionTimestamp"].is_string()
    });
    // It stays while it has pods: nothing else is touched yet.
    std::thread::sleep(Duration::from_millis(1500));
    let node = |name: &str| bed.admin.get(&format!("/api/v1/nodes/{name}")).success();
    assert!(node("n").to_string().contains("btfleet.dev/btf-digest"));
    // What the garbage collector does once they are gone.
    let none = json!({"metadata": {"finalizers": null}});
    bed.admin.patch(&one, MERGE, &none).success();
    let out = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        out.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&out.stderr)
    );
    assert!(
        said.contains("removed DaemonSet btfleet/btfleet-agent"),
        "{said}"
    );
    assert!(!node("n").to_string().contains("btfleet.dev/"));
    assert_eq!(
        bed.admin
            .get(&format!("{secrets}/btfleet-store-controller"))
            .status,
        404
    );
    // Again: all is gone already. And its account removes no other Secret, nor another DaemonSet.
    let again = start(&[
        "--daemonset=btfleet-agent",
        "--secret=btfleet-store-controller",
    ]);
    assert!(again.wait_with_output().unwrap().status.success());
    for flag in ["--secret=another", "--daemonset=another"] {
        assert!(
            !start(&[flag]).wait_with_output().unwrap().status.success(),
            "{flag}"
        );
    }
    assert_eq!(bed.admin.delete(&format!("{secrets}/another")).status, 200);
}
