//! Nodes that boot, agents that are late, servers and stores that are away.

use super::{Pod, told};
use crate::agent::bed::{BEFORE, BOOT, Host, RELEASE, wait_until};
use crate::serve::bed::Serving;
use crate::serve::cluster::serving;
use crate::support::servers::kubernetes::{Credentials, Version};
use crate::support::servers::port;
use crate::support::servers::s3::{ACCESS_KEY, BUCKET, REGION, S3Server, SECRET_KEY, Scheme};
use crate::tool::small_kernel;
use btfleet::artifact::{BtfDigest, HeaderDigest, Object, compress};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

const SHORT: [&str; 2] = ["--timeout", "1"];

/// With these flags and little patience.
fn short<'a>(flags: &[&'a str]) -> Vec<&'a str> {
    flags.iter().copied().chain(SHORT).collect()
}

#[test]
fn a_kernels_own_btf_needs_nobody() {
    let pod = Pod::new(Host::new(Version::Newest, "alone"));
    let (code, said) = pod.fetch(true, &[]);
    assert_eq!(code, 0, "{said}");
    pod.assert_has(&small_kernel("alone"), "kernel");
    let said = pod.manifest();
    assert_eq!(
        said["btfDigest"],
        BtfDigest::of(&small_kernel("alone")).to_string()
    );
    assert_eq!(
        (&said["bootId"], &said["kernelRelease"]),
        (&json!(BOOT), &json!(RELEASE))
    );
    for name in ["vmlinux.h", "vmlinux.btf", "manifest.json", "."] {
        let mode = std::fs::metadata(pod.folder().join(name))
            .unwrap()
            .permissions()
            .mode();
        let want = if name == "." { 0o755 } else { 0o644 };
        assert_eq!(mode & 0o777, want, "{name}");
    }
    // A server or a store that is not there does not matter.
    let nobody = format!("http://{}", port::free());
    for flags in [["--server", &nobody], ["--store", "s3://nowhere/x"]] {
        let flags = [&flags[..], &["--s3-endpoint", &nobody, "--s3-region", "x"]].concat();
        let (code, said) = pod.fetch(true, &flags);
        assert_eq!(code, 0, "{said}");
    }
}

#[test]
fn without_it_what_the_node_names_is_got_from_a_server_or_a_store() {
    for version in Version::ALL {
        let pod = Pod::new(Host::new(version, "named"));
        pod.host.succeed();
        let server = serving(&pod.host);
        let (code, said) = pod.fetch(false, &["--server", &server.url()]);
        assert_eq!(code, 0, "{said}");
        pod.assert_has(&small_kernel("named"), "node");
        assert_eq!(pod.manifest()["source"], server.url());
        assert_eq!(pod.manifest()["node"], "named");
        // Its own account may read its Node: then a store will do.
        let token = pod.host.plane.token("btfleet", "btfleet-server", None);
        let kubeconfig = pod.host.plane.kubeconfig(&Credentials::Token(&token));
        let store = format!("file://{}", pod.host.store_folder().display());
        std::fs::remove_dir_all(pod.folder()).unwrap();
        let mut command = pod.command(false, &["--store", &store]);
        let (code, said) = told(command.env("KUBECONFIG", &kubeconfig).output().unwrap());
        assert_eq!(code, 0, "{said}");
        pod.assert_has(&small_kernel("named"), "node");
        // Asked by the Node alone, its own is not looked at.
        let flags = ["--source", "node", "--server", &server.url()];
        assert_eq!(pod.fetch(true, &flags).0, 0);
        pod.assert_has(&small_kernel("named"), "node");
    }
}

#[test]
fn another_generators_header_is_got_as_it_is() {
    let pod = Pod::new(Host::new(Version::Newest, "later"));
    pod.host.succeed();
    let (header, folder) = (b"/* generator 7 */\n", pod.host.store_folder());
    let digest = HeaderDigest::of(header);
    let blob = folder.join(Object::Header(digest).key().as_str());
    std::fs::write(blob, compress(header).unwrap()).unwrap();
    pod.host.edit(json!({"annotations": {
        "btfleet.dev/header-digest": digest.to_string(), "btfleet.dev/generator": "7"}}));
    let server = serving(&pod.host);
    let (code, said) = pod.fetch(false, &["--server", &server.url()]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(pod.read("vmlinux.h").unwrap(), header);
    assert_eq!(pod.manifest()["generator"], 7);
    // With its own BTF it makes its own, and the Node's is no contradiction.
    let (code, said) = pod.fetch(true, &["--server", &server.url()]);
    assert_eq!(code, 0, "{said}");
    pod.assert_has(&small_kernel("later"), "kernel");
}

#[test]
fn a_rebooted_nodes_stale_words_are_never_taken() {
    for version in Version::ALL {
        let pod = Pod::new(Host::new(version, "rebooted"));
        pod.host.succeed();
        let server = serving(&pod.host);
        let url = server.url();
        let flags = short(&["--server", &url]);
        // It boots, into another kernel. The kubelet has not reported it: Node and server still say Ready.
        let proc = pod.host.dir.path().join("proc/sys/kernel/random/boot_id");
        std::fs::write(&proc, format!("{BEFORE}\n")).unwrap();
        std::fs::write(pod.host.dir.path().join("vmlinux"), small_kernel("new")).unwrap();
        let (code, said) = pod.fetch(false, &flags);
        assert_eq!(code, 5, "{said}");
        assert!(said.contains("another boot"), "{said}");
        pod.assert_empty();
        // The kubelet has; the agent has not.
        pod.host.kubelet_says(BEFORE, RELEASE);
        wait_until("stale", || {
            server.get("/v1/nodes/rebooted/manifest").status == 503
        });
        let (code, said) = pod.fetch(false, &flags);
        assert_eq!(code, 5, "{said}");
        pod.assert_empty();
        // Its own BTF it may use all the while.
        assert_eq!(pod.fetch(true, &flags).0, 0);
        pod.assert_has(&small_kernel("new"), "kernel");
        std::fs::remove_dir_all(pod.folder()).unwrap();
        // Whoever waits gets it once the agent has spoken.
        let waits = pod
            .command(false, &["--server", &url, "--timeout", "60"])
            .spawn();
        let mut waits = waits.unwrap();
        std::thread::sleep(Duration::from_secs(1));
        pod.assert_empty();
        pod.host.succeed();
        assert!(waits.wait().unwrap().success());
        pod.assert_has(&small_kernel("new"), "node");
    }
}

#[test]
fn a_node_that_has_not_reported_is_waited_for_and_said() {
    for version in Version::ALL {
        let pod = Pod::new(Host::new(version, "unreported"));
        let server = serving(&pod.host);
        let url = server.url();
        let began = Instant::now();
        let (code, said) = pod.fetch(false, &short(&["--server", &url]));
        assert_eq!(code, 5, "{said}");
        assert!(began.elapsed() < Duration::from_secs(10));
        assert!(
            said.contains("waiting: the node's agent has not reported"),
            "{said}"
        );
        pod.host
            .edit(json!({"annotations": {"btfleet.dev/status": "Error: no room"}}));
        wait_until("the error is seen", || {
            server.get("/v1/nodes/unreported/manifest").problem() == "node-error"
        });
        let (code, said) = pod.fetch(false, &short(&["--server", &url]));
        assert!(code == 5 && said.contains("no room"), "{code} {said}");
        pod.host.delete_node();
        wait_until("it is gone", || {
            server.get("/v1/nodes/unreported/manifest").problem() == "unknown-node"
        });
        let (code, said) = pod.fetch(false, &short(&["--server", &url]));
        assert!(code == 5 && said.contains("no such Node"), "{code} {said}");
        pod.assert_empty();
    }
}

#[test]
fn a_server_or_a_store_that_is_away_is_waited_for_and_said() {
    let mut host = Host::new(Version::Newest, "away");
    let s3 = S3Server::start(Scheme::Http);
    let flags = [
        format!("--store=s3://{BUCKET}/away"),
        format!("--s3-endpoint={}", s3.url()),
        format!("--s3-region={REGION}"),
    ];
    let keys = [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ];
    host.store = flags.to_vec();
    host.env = keys.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
    host.succeed();
    let pod = Pod::new(host);
    let nobody = format!("http://{}", port::free());
    let (code, said) = pod.fetch(false, &short(&["--server", &nobody]));
    assert!(
        code == 6 && said.contains("waiting: nobody answers"),
        "{code} {said}"
    );
    let token = pod.host.plane.token("btfleet", "btfleet-server", None);
    let kubeconfig = pod.host.plane.kubeconfig(&Credentials::Token(&token));
    let kubeconfig = kubeconfig.display().to_string();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let env = [&keys[..], &[("KUBECONFIG", &kubeconfig)]].concat();
    let server = Serving::start(&flags, &env);
    server.wait_ready();
    let url = server.url();
    s3.kill();
    let (code, said) = pod.fetch(false, &["--server", &url, "--timeout", "3"]);
    // On a slow machine the one try lasts as long as the patience, and nothing is waited for.
    assert_eq!(code, 6, "{said}");
    pod.assert_empty();
    let waits = pod
        .command(false, &["--server", &url, "--timeout", "90"])
        .spawn();
    let mut waits = waits.unwrap();
    std::thread::sleep(Duration::from_secs(1));
    s3.start_again();
    assert!(waits.wait().unwrap().success());
    pod.assert_has(&small_kernel("away"), "node");
}

#[test]
fn what_cannot_be_done_is_said_at_once() {
    let pod = Pod::new(Host::new(Version::Newest, "wrong"));
    let (code, said) = pod.fetch(false, &["--timeout", "60"]);
    assert!(code == 4 && said.contains("no BTF"), "{code} {said}");
    let (code, said) = pod.fetch(false, &["--source", "node"]);
    assert!(code == 1 && said.contains("--server"), "{code} {said}");
    for flags in [["--server", "btfleet:80"], ["--node-name", "../x"]] {
        let mut command = crate::tool::btfleet(pod.host.dir.path());
        let out = command
            .args(["fetch", "-o", "x"])
            .args(flags)
            .output()
            .unwrap();
        assert_eq!(told(out).0, 1, "{flags:?}");
    }
    assert_eq!(pod.fetch(true, &["--source", "cloud"]).0, 2);
    std::fs::write(pod.host.dir.path().join("vmlinux"), b"no BTF at all").unwrap();
    let (code, said) = pod.fetch(true, &[]);
    assert!(
        code == 1 && said.contains("no header can be made"),
        "{code} {said}"
    );
    pod.assert_empty();
    // Somebody's own file is not replaced.
    std::fs::write(pod.host.dir.path().join("vmlinux"), small_kernel("wrong")).unwrap();
    std::fs::create_dir_all(pod.folder()).unwrap();
    std::fs::write(pod.folder().join("vmlinux.h"), "mine").unwrap();
    let (code, said) = pod.fetch(true, &[]);
    assert!(
        code == 1 && said.contains("not put there by fetch"),
        "{code} {said}"
    );
    assert_eq!(pod.read("vmlinux.h").unwrap(), b"mine");
    assert_eq!(pod.read("vmlinux.btf"), None);
}
