//! What a person at a terminal asks: `btfleet doctor`, `btfleet events`, and both as kubectl's plugin.

use super::bed::{BEFORE, Host, RELEASE};
use crate::support::servers::api::MERGE;
use crate::support::servers::kubernetes::{Credentials, Version};
use crate::support::servers::manifests;
use crate::support::servers::proxy::{Fate, Proxy};
use crate::tool::btfleet;
use serde_json::{Value, json};
use std::path::Path;
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
    let admin = host.plane.admin();
    admin.apply(&manifests::kernel_header());
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

/// `btfleet serve` of a host's store, and a kubeconfig by which its Service is reached as through an API server.
struct Served {
    _serve: crate::support::servers::process::Process,
    _proxy: Proxy,
    kubeconfig: std::path::PathBuf,
}

fn served(host: &Host) -> Served {
    use crate::support::servers::{port, process::Process};
    let address = port::free();
    let args = [
        format!("KUBECONFIG={}", host.plane.admin_kubeconfig().display()),
        env!("CARGO_BIN_EXE_btfleet").to_owned(),
        "serve".to_owned(),
        format!("--listen={address}"),
        format!("--store=file://{}", host.store_folder().display()),
    ];
    let log = host.dir.path().join("serve.log");
    let serve = Process::new(std::path::Path::new("env"), args, log);
    let listens = || std::net::TcpStream::connect(address).is_ok();
    serve
        .start(std::time::Duration::from_secs(30), listens)
        .unwrap();
    let service = json!({"metadata": {"name": "btfleet", "labels": {
            "app.kubernetes.io/name": "btfleet", "app.kubernetes.io/component": "server"}},
        "spec": {"ports": [{"name": "http", "port": 80}]}});
    let services = "/api/v1/namespaces/btfleet/services";
    let answer = host.plane.admin().post(services, &service);
    assert!(answer.status == 201 || answer.status == 409, "{answer:?}");
    let proxy = Proxy::new(&host.plane.admin());
    proxy.plan(
        move |asked| match asked.contains("/services/http:btfleet:http/proxy/") {
            true => Fate::ToServer(address),
            false => Fate::Through,
        },
    );
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": proxy.url()}}],
        "users": [{"name": "person", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "person"}}],
    });
    let kubeconfig = host.dir.path().join("person.kubeconfig");
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    Served {
        _serve: serve,
        _proxy: proxy,
        kubeconfig,
    }
}

#[test]
fn a_nodes_header_and_btf_are_read_without_a_port_forward_and_checked() {
    let host = Host::new(Version::Newest, "get-node");
    complete(&host);
    host.succeed();
    let other = Host::new(Version::Newest, "get-other");
    other.succeed();
    let served = served(&host);
    let ask = |args: &[&str]| {
        let mut command = btfleet(host.dir.path());
        command
            .env("KUBECONFIG", &served.kubeconfig)
            .args(args)
            .output()
            .unwrap()
    };
    let digest = |bytes: &[u8]| btfleet::artifact::HeaderDigest::of(bytes).to_string();
    let header = ask(&["get", "node/get-node"]);
    let said = String::from_utf8_lossy(&header.stderr);
    assert!(header.status.success(), "{said}");
    assert!(said.contains("from the server btfleet/btfleet"), "{said}");
    assert_eq!(
        Some(digest(&header.stdout)),
        host.annotation("header-digest")
    );
    let btf = ask(&["get", "node/get-node", "--btf"]);
    assert_eq!(Some(digest(&btf.stdout)), host.annotation("btf-digest"));
    let manifest = ask(&["get", "node/get-node", "--manifest"]);
    let manifest: Value = serde_json::from_slice(&manifest.stdout).unwrap();
    assert_eq!(
        Some(manifest["btfDigest"].as_str().unwrap()),
        host.annotation("btf-digest").as_deref()
    );

    // By the inventory's names, which the controller writes.
    let id = host.node()["metadata"]["labels"]["btfleet.dev/kernel"].clone();
    let id = id.as_str().unwrap();
    let kernels = "/apis/btfleet.dev/v1alpha1/kernelheaders";
    let kernel = json!({"apiVersion": "btfleet.dev/v1alpha1", "kind": "KernelHeader",
        "metadata": {"name": id}, "spec": {"btfDigest": host.annotation("btf-digest")}});
    let admin = host.plane.admin();
    admin.post(kernels, &kernel).success();
    let status = json!({"status": {"nodes": 1, "arch": "amd64", "releases": ["6.1-get-node"],
        "headers": [{"generator": 1, "digest": host.annotation("header-digest"), "size": 1}]}});
    admin
        .patch(&format!("{kernels}/{id}/status"), MERGE, &status)
        .success();
    for name in [
        id,
        &id[..12],
        "6.1-get-node",
        "release/x86_64/6.1-get-node",
        &host.annotation("header-digest").unwrap(),
    ] {
        let got = ask(&["get", name]);
        assert!(
            got.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&got.stderr)
        );
        assert_eq!(got.stdout, header.stdout, "{name}");
    }
    let none = ask(&["get", "6.1-nobody"]);
    assert!(
        String::from_utf8_lossy(&none.stderr).contains("no kernel \"6.1-nobody\" in the cluster")
    );

    // The other node's kernel is in its own store: the server's says that it lacks it.
    let absent = ask(&["get", "node/get-other"]);
    assert_eq!(absent.status.code(), Some(1));
    let said = String::from_utf8_lossy(&absent.stderr);
    assert!(
        said.contains("the server btfleet/btfleet answered"),
        "{said}"
    );
    // From the store that has it, by the digest on the Node.
    let from_store = ask(&[
        "get",
        "node/get-other",
        "--store",
        &other.store_folder().display().to_string(),
    ]);
    assert_eq!(
        Some(digest(&from_store.stdout)),
        other.annotation("header-digest")
    );

    let differ = ask(&["diff", "node/get-node", "node/get-node"]);
    assert_eq!(
        differ.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&differ.stderr)
    );
    let file = host.dir.path().join("other.btf");
    std::fs::copy(other.dir.path().join("vmlinux"), &file).unwrap();
    let differ = ask(&["diff", "node/get-node", "./other.btf"]);
    assert_eq!(differ.status.code(), Some(1));
    assert!(out(&differ).contains("get-other"), "{}", out(&differ));

    // Every kernel of the inventory, with how many nodes run it; or the one that a node runs.
    let source = "__attribute__((section(\"kprobe\"))) int probe(void *c) { return 0; }";
    let object = crate::tool::compile_bpf(host.dir.path(), "probe", source);
    let object = object.display().to_string();
    // (Other tests' kernels are in the inventory too, and their BTF nowhere: that is told, and no more.)
    let own = host.annotation("btf-digest").unwrap();
    for (kernels, nodes, code) in [
        (&[][..], json!(1), None),
        (&["node/get-node"], Value::Null, Some(0)),
    ] {
        let checked = ask(&[&["check", "-o", "json", &object], kernels].concat());
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(
            code.is_none_or(|code| checked.status.code() == Some(code)),
            "{said}"
        );
        let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
        let mut all = checked["kernels"].as_array().unwrap().iter();
        let kernel = all.find(|k| k["btfDigest"] == own.as_str()).unwrap();
        assert_eq!(kernel["nodes"], nodes, "{kernel}");
        assert_eq!(
            kernel["objects"][0]["programs"][0]["verdict"], "resolves",
            "{kernel}"
        );
    }

    // A server that lies is found out, and nothing is written.
    host.edit(
        json!({"annotations": {"btfleet.dev/header-digest": format!("sha256:{}", "0".repeat(64))}}),
    );
    let lie = ask(&["get", "node/get-node", "-o", "vmlinux.h"]);
    assert_eq!(lie.status.code(), Some(1));
    assert!(!host.dir.path().join("vmlinux.h").exists());
    host.kubelet_says(BEFORE, RELEASE);
    let stale = ask(&["get", "node/get-node"]);
    let said = String::from_utf8_lossy(&stale.stderr);
    assert!(
        said.contains("node get-node is Stale: ") && said.contains("btfleet doctor"),
        "{said}"
    );
}

#[test]
fn get_of_a_node_without_a_header_says_why_since_when_and_what_to_do() {
    let get = |host: &Host, words: &[&str]| {
        let name = format!("node/{}", host.name);
        let output = run(host, &["get", &name, "-o", "vmlinux.h"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(!host.dir.path().join("vmlinux.h").exists());
        for word in words {
            assert!(said.contains(word), "{word:?}: {said}");
        }
        assert!(!said.contains("for sure"), "{said}");
    };
    // As the API server has it, to the second.
    let time = |host: &Host| {
        let node = host.node();
        let all = node["metadata"]["managedFields"].as_array().unwrap();
        let ours = all.iter().find(|e| e["manager"] == "btfleet-agent");
        ours.unwrap()["time"].as_str().unwrap().to_owned()
    };

    let silent = Host::new(Version::Newest, "why-silent");
    let words = [
        "the agent of node why-silent has not reported",
        "btfleet doctor why-silent",
    ];
    get(&silent, &words);

    let bare = Host::new(Version::Newest, "why-bare");
    std::fs::remove_file(bare.dir.path().join("vmlinux")).unwrap();
    bare.succeed();
    let since = format!("said NoBTF since {}", time(&bare));
    let words = [
        &*format!("node why-bare runs a kernel without BTF (amd64/{RELEASE})"),
        &since,
        "CONFIG_DEBUG_INFO_BTF=y",
        "btfleet import",
    ];
    get(&bare, &words);

    let broken = Host::new(Version::Newest, "why-broken");
    std::fs::write(broken.dir.path().join("vmlinux"), b"no BTF at all").unwrap();
    assert!(!broken.once().status.success());
    let since = format!("said so since {}", time(&broken));
    let words = [
        "the agent of node why-broken could not publish its kernel: ",
        &since,
        "docs/operations.md",
        "btfleet doctor why-broken",
    ];
    get(&broken, &words);

    let stale = Host::new(Version::Newest, "why-stale");
    stale.succeed();
    let at = format!(", at {},", time(&stale));
    stale.kubelet_says(BEFORE, RELEASE);
    let words = [
        "node why-stale is Stale: it was booted after its agent spoke",
        &at,
        "btfleet doctor why-stale",
    ];
    get(&stale, &words);

    let edited = Host::new(Version::Newest, "why-edited");
    edited.succeed();
    edited.edit(json!({"annotations": {"btfleet.dev/btf-digest": "sha256:x"}}));
    get(
        &edited,
        &["btf-digest is not what an agent writes", "10 minutes"],
    );
}

/// What `helm test` runs.
#[test]
fn an_agents_account_tries_what_it_must_not_and_tells_whether_it_was_refused() {
    let host = Host::new(Version::Newest, "doctor-tries");
    let tries = |kubeconfig: &std::path::Path| {
        let mut command = btfleet(host.dir.path());
        command.env("KUBECONFIG", kubeconfig);
        command.env("NODE_NAME", &host.name);
        command.args(["doctor", "--try-policies"]).output().unwrap()
    };
    let own = host.plane.kubeconfig(&Credentials::Token(&host.token));
    let output = tries(&own);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        out(&output).contains("that is not btfleet's is refused"),
        "{}",
        out(&output)
    );
    // It was a dry run.
    assert_eq!(host.annotation("status"), None);
    // Whom no policy holds: as if there were none.
    let output = tries(host.plane.admin_kubeconfig());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("the admission policies are absent"), "{said}");
}

#[test]
fn krew_installs_the_plugin_and_the_real_kubectl_runs_it() {
    use crate::support::servers::tool;
    let host = Host::new(Version::Newest, "krew-node");
    complete(&host);
    pod_is(&host, running());
    host.succeed();
    let served = served(&host);
    let dir = host.dir.path();
    let pack = dir.join("pack");
    let made = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/krew.sh"))
        .arg(&pack)
        .arg(env!("CARGO_BIN_EXE_btfleet"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let manifest = std::fs::read_to_string(pack.join("btfleet.yaml")).unwrap();
    let archive = manifest
        .lines()
        .find_map(|l| l.trim().strip_prefix("uri: "))
        .and_then(|uri| uri.rsplit('/').next())
        .unwrap();
    let root = dir.join("krew");
    let kubectl = tool("kubectl");
    let path = format!(
        "{}:{}:{}:/usr/bin:/bin",
        root.join("bin").display(),
        dir.display(),
        kubectl.parent().unwrap().display()
    );
    let ask = |program: &Path, args: &[&str]| {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", dir).env("PATH", &path);
        command.env("KREW_ROOT", &root).args(args);
        command.env("KUBECONFIG", &served.kubeconfig);
        command.output().unwrap()
    };
    let run = |program: &Path, args: &[&str]| {
        let output = ask(program, args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        output
    };
    // The manifest is krew's own idea of one, and its sha256 that of the archive.
    let krew = tool("krew");
    let manifest = format!("--manifest={}", pack.join("btfleet.yaml").display());
    let archive = format!("--archive={}", pack.join(archive).display());
    run(&krew, &["install", &manifest, &archive]);
    let listed = out(&run(&kubectl, &["plugin", "list"]));
    assert!(listed.contains("kubectl-btfleet"), "{listed}");

    let nodes = out(&run(&kubectl, &["btfleet", "nodes"]));
    assert!(nodes.contains("krew-node"), "{nodes}");
    // No controller has seen it: that is told, and kubectl hands the exit code on.
    let doctor = ask(&kubectl, &["btfleet", "doctor", "krew-node"]);
    let told = out(&doctor);
    assert!(told.contains("krew-node: Ready"), "{told}");
    assert!(told.contains("no KernelHeader yet"), "{told}");
    assert_eq!(doctor.status.code(), Some(1));
    let header = run(&kubectl, &["btfleet", "get", "node/krew-node"]).stdout;
    let digest = btfleet::artifact::HeaderDigest::of(&header).to_string();
    assert_eq!(Some(digest), host.annotation("header-digest"));
    // As the caveat of the manifest has it.
    std::os::unix::fs::symlink(
        root.join("bin/kubectl-btfleet"),
        dir.join("kubectl_complete-btfleet"),
    )
    .unwrap();
    let asked = ["__complete", "btfleet", "get", "node/krew-"];
    let completed = out(&run(&kubectl, &asked));
    assert!(completed.starts_with("node/krew-node\t"), "{completed}");
}
