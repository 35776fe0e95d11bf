//! What a person at a terminal asks: `btfleet doctor`, `btfleet events`, and both as kubectl's plugin.

use super::bed::{BEFORE, Host, RELEASE};
use crate::support::servers::api::MERGE;
use crate::support::servers::kubernetes::{Credentials, Version};
use crate::tool::btfleet;
use serde_json::{Value, json};
use std::process::{Command, Output};

fn run(host: &Host, args: &[&str]) -> Output {
    let mut command = btfleet(host.dir.path());
    command.env("KUBECONFIG", host.plane.admin_kubeconfig());
    command.args(args).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What the kubelet says of its agent's pod.
fn pod_is(host: &Host, status: Value) {
    let path = format!("/api/v1/namespaces/btfleet/pods/agent-{}/status", host.name);
    let patch = json!({ "status": status });
    host.plane.admin().patch(&path, MERGE, &patch).success();
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({"phase": "Pending", "containerStatuses": [{"name": "agent", "ready": false,
        "restartCount": 0, "image": "btfleet", "imageID": "",
        "state": {"waiting": {"reason": reason, "message": message}}}]})
}

fn running() -> Value {
    json!({"phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "agent", "ready": true, "restartCount": 0,
            "image": "btfleet", "imageID": "", "state": {"running": {}}}]})
}

/// The CRD, and a controller that is ready.
fn complete(host: &Host) {
    let crd = btfleet(host.dir.path()).arg("crd").output().unwrap();
    let crd: Value = serde_saphyr::from_str(&out(&crd)).unwrap();
    let admin = host.plane.admin();
    let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let answer = admin.post(crds, &crd);
    assert!(answer.status == 201 || answer.status == 409, "{answer:?}");
    let pods = "/api/v1/namespaces/btfleet/pods";
    let pod = json!({"metadata": {"name": "controller", "labels": {
            "app.kubernetes.io/name": "btfleet", "app.kubernetes.io/component": "controller"}},
        "spec": {"serviceAccountName": "btfleet-controller", "containers": [{"name": "controller", "image": "btfleet"}]}});
    let answer = admin.post(pods, &pod);
    assert!(answer.status == 201 || answer.status == 409, "{answer:?}");
    let status = json!({ "status": running() });
    let path = format!("{pods}/controller/status");
    admin.patch(&path, MERGE, &status).success();
}

#[test]
fn the_doctor_says_in_words_why_a_node_is_not_ready() {
    let ready = Host::new(Version::Newest, "doctor-ready");
    complete(&ready);
    let ask = |host: &Host| run(host, &["doctor", &host.name]);
    let says = |host: &Host, words: &[&str]| {
        let output = ask(host);
        let text = out(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        for word in words {
            assert!(text.contains(word), "{word:?}: {text}");
        }
    };
    pod_is(&ready, running());
    says(
        &ready,
        &[
            "NotReported",
            "has not spoken yet, though its pod btfleet/agent-doctor-ready runs",
        ],
    );
    ready.succeed();
    says(&ready, &["no KernelHeader yet", "btfleet events"]);
    // As the controller makes it.
    let id = ready.node()["metadata"]["labels"]["btfleet.dev/kernel"].clone();
    let kernels = "/apis/btfleet.dev/v1alpha1/kernelheaders";
    let kernel = json!({"apiVersion": "btfleet.dev/v1alpha1", "kind": "KernelHeader",
        "metadata": {"name": id}, "spec": {"btfDigest": ready.annotation("btf-digest")}});
    let admin = ready.plane.admin();
    admin.post(kernels, &kernel).success();
    let output = ask(&ready);
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    let verified = json!({"status": {"nodes": 1, "conditions": [{"type": "Verified",
        "status": "False", "reason": "WrongHeader", "message": "the header is another",
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    let path = format!("{kernels}/{}/status", id.as_str().unwrap());
    admin.patch(&path, MERGE, &verified).success();
    says(&ready, &["Verified: WrongHeader: the header is another"]);

    let stale = Host::new(Version::Newest, "doctor-stale");
    stale.succeed();
    stale.kubelet_says(BEFORE, RELEASE);
    pod_is(&stale, waiting("ImagePullBackOff", "no such image"));
    says(
        &stale,
        &[
            "doctor-stale: Stale",
            "waits: ImagePullBackOff: no such image",
            "kubectl describe pod -n btfleet agent-doctor-stale",
        ],
    );
    let lonely = Host::new(Version::Newest, "doctor-lonely");
    let pod = "/api/v1/namespaces/btfleet/pods/agent-doctor-lonely?gracePeriodSeconds=0";
    lonely.plane.admin().delete(pod).success();
    says(
        &lonely,
        &["NotReported", "no agent's pod", "kubectl get daemonset"],
    );
    let edited = Host::new(Version::Newest, "doctor-edited");
    pod_is(&edited, running());
    edited.succeed();
    edited.edit(json!({"annotations": {"btfleet.dev/btf-digest": "sha256:x"}}));
    says(&edited, &["btf-digest is not what an agent writes"]);
    let bare = Host::new(Version::Newest, "doctor-bare");
    std::fs::remove_file(bare.dir.path().join("vmlinux")).unwrap();
    bare.succeed();
    says(
        &bare,
        &["NoBTF", "CONFIG_DEBUG_INFO_BTF", "The last Event: NoBTF"],
    );

    let all = out(&run(&ready, &["doctor"]));
    assert!(all.contains(" nodes are Ready\n"), "{all}");
    assert!(all.contains("doctor-stale: Stale"), "{all}");
    let none = run(&ready, &["doctor", "node/doctor-absent"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("there is no node \"doctor-absent\""));
}

#[test]
fn the_doctor_tells_what_an_account_cannot_see_from_what_is_wrong() {
    let host = Host::new(Version::Newest, "doctor-hidden");
    complete(&host);
    host.succeed();
    let role = json!({"metadata": {"name": "see-nodes"},
        "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]});
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let admin = host.plane.admin();
    admin.post(&format!("{rbac}/clusterroles"), &role).success();
    let binding = json!({"metadata": {"name": "see-nodes"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "see-nodes"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "btfleet", "name": "default"}]});
    admin
        .post(&format!("{rbac}/clusterrolebindings"), &binding)
        .success();
    let account = json!({"metadata": {"name": "default"}});
    admin.post("/api/v1/namespaces/btfleet/serviceaccounts", &account);
    let token = host.plane.token("btfleet", "default", None);
    let kubeconfig = host.plane.kubeconfig(&Credentials::Token(&token));
    super::bed::wait_until("the account may see nodes", || {
        let ask = host.plane.with_token(&token);
        ask.get("/api/v1/nodes/doctor-hidden").status == 200
    });
    let output = btfleet(host.dir.path())
        .env("KUBECONFIG", &kubeconfig)
        .args(["doctor", "doctor-hidden"])
        .output()
        .unwrap();
    let text = out(&output);
    // Its node is Ready: that other things are hidden is told and is no trouble.
    assert_eq!(output.status.code(), Some(0), "{text}");
    for what in [
        "whether the admission policies are there",
        "whether a controller runs",
    ] {
        assert!(
            text.contains(&format!("{what} cannot be seen with this account")),
            "{text}"
        );
    }
    assert!(text.contains("doctor-hidden: Ready"), "{text}");
}

#[test]
fn events_of_agents_are_listed_by_node() {
    let host = Host::new(Version::Newest, "events-bare");
    std::fs::remove_file(host.dir.path().join("vmlinux")).unwrap();
    host.succeed();
    let output = run(&host, &["events", "node/events-bare"]);
    let text = out(&output);
    assert!(output.status.success());
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("LAST SEEN   TYPE"), "{text}");
    assert_eq!(lines.len(), 2, "{text}");
    for word in [
        "Warning",
        "NoBTF",
        "node/events-bare",
        "CONFIG_DEBUG_INFO_BTF",
    ] {
        assert!(lines[1].contains(word), "{word}: {text}");
    }
    let all = out(&run(&host, &["events"]));
    assert!(all.contains("node/events-bare"), "{all}");
    let none = run(&host, &["events", "events-nobody"]);
    assert!(none.status.success() && none.stdout.is_empty());
    let wrong = run(&host, &["events", "a,type=Normal"]);
    assert_eq!(wrong.status.code(), Some(1));
}

#[test]
fn as_kubectls_plugin_it_is_called_so_and_completes_names() {
    let host = Host::new(Version::Newest, "plugin-node");
    complete(&host);
    host.succeed();
    let called = |name: &str, args: &[&str]| {
        let link = host.dir.path().join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_btfleet"), &link).unwrap();
        }
        let mut command = Command::new(link);
        command.env("KUBECONFIG", host.plane.admin_kubeconfig());
        let output = command.args(args).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        out(&output)
    };
    let help = called("kubectl-btfleet", &["nodes", "--help"]);
    assert!(help.contains("Usage: kubectl btfleet nodes"), "{help}");
    assert!(called("kubectl-btfleet", &["nodes"]).contains("plugin-node"));
    let complete = |words: &[&str]| called("kubectl_complete-btfleet", words);
    let commands = complete(&["no"]);
    assert!(commands.starts_with("nodes\tList the nodes"), "{commands}");
    assert!(commands.ends_with("\n:4\n"), "{commands}");
    let node = complete(&["doctor", "plugin-"]);
    assert_eq!(node, format!("plugin-node\tReady, {RELEASE}\n:4\n"));
    let named = complete(&["get", "node/plugin-"]);
    assert_eq!(named, format!("node/plugin-node\tReady, {RELEASE}\n:4\n"));
    assert!(complete(&["nodes", "--se"]).starts_with("--selector\t"));
    assert_eq!(complete(&["nodes", "-o", ""]), ":4\n");
    // Nobody there: no names, and no trouble.
    let mut alone = Command::new(host.dir.path().join("kubectl_complete-btfleet"));
    alone.env("KUBECONFIG", "/nonexistent").args(["doctor", ""]);
    assert_eq!(out(&alone.output().unwrap()), ":4\n");
}
