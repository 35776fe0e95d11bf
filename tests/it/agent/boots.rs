//! An agent's process on real API servers: boots, restarts, kernels without BTF or with a broken one.

use super::bed::{BEFORE, BOOT, Host, RELEASE, objects_in, wait_until};
use crate::support::servers::kubernetes::Version;
use crate::support::servers::s3::{S3Server, SECRET_KEY, Scheme};
use crate::tool::{file, small_kernel, snapshot};
use btfleet::artifact::BtfDigest;
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn a_first_boot_is_published_and_said_and_a_restart_writes_nothing() {
    for version in Version::ALL {
        let host = Host::new(version, "first").through_a_proxy();
        host.succeed();
        // Invariant 6's other half: this is all that a boot costs.
        assert_eq!(
            host.proxy().asked(),
            [
                "GET /api/v1/nodes/first",
                "GET /api/v1/namespaces/kube-system",
                "PATCH /api/v1/nodes/first"
            ]
        );
        let node = host.node();
        let digest = BtfDigest::of(&small_kernel("first"));
        let says = &node["metadata"]["annotations"];
        assert_eq!(says["btfleet.dev/status"], "Ready");
        assert_eq!(says["btfleet.dev/btf-digest"], digest.to_string());
        assert_eq!(says["btfleet.dev/boot-id"], BOOT);
        assert_eq!(says["btfleet.dev/kernel-release"], RELEASE);
        assert_eq!(says["btfleet.dev/generator"], "1");
        let id = digest.kernel_id().to_string();
        assert_eq!(node["metadata"]["labels"]["btfleet.dev/kernel"], id);
        // What is not ours is as it was.
        assert_eq!(says["example.com/note"], "keep");
        assert_eq!(node["metadata"]["labels"]["example.com/pool"], "blue");
        host.assert_ready_means_stored();
        let cluster = host.plane.admin().get("/api/v1/namespaces/kube-system");
        let cluster = cluster.success()["metadata"]["uid"]
            .as_str()
            .unwrap()
            .to_owned();
        let objects = host.objects();
        assert!(
            objects.contains(&format!("refs/{}/{cluster}", digest.hex())),
            "{objects:?}"
        );
        assert_eq!(objects.len(), 5, "{objects:?}");

        let store = snapshot(&host.store_folder());
        host.proxy().heal();
        host.succeed();
        assert_eq!(
            host.proxy().asked(),
            [
                "GET /api/v1/nodes/first",
                "GET /api/v1/namespaces/kube-system"
            ]
        );
        let version = |node: &serde_json::Value| node["metadata"]["resourceVersion"].clone();
        assert_eq!(version(&host.node()), version(&node));
        assert_eq!(snapshot(&host.store_folder()), store);
        assert_eq!(host.events(), Vec::<serde_json::Value>::new());
    }
}

#[test]
fn a_kernel_is_published_in_a_real_object_storage() {
    let server = S3Server::start(Scheme::Https);
    let mut host = Host::new(Version::Newest, "storage");
    host.publish_to(&server);
    host.succeed();
    assert_eq!(host.status(), "Ready");
    let objects = objects_in(&server.bucket_folder().join("fleet"));
    assert_eq!(objects.len(), 5, "{objects:?}");

    // A store that is away for a while, and comes back empty.
    let agent = host.start();
    wait_until("the agent is ready", || agent.page("/readyz").0 == 200);
    server.kill();
    std::thread::sleep(Duration::from_secs(1));
    server.wipe("fleet");
    assert_eq!(host.status(), "Ready");
    server.start_again();
    wait_until("the store is whole", || {
        objects_in(&server.bucket_folder().join("fleet")).len() == 5
    });
    assert!(agent.process.pid().is_some() && agent.page("/livez").0 == 200);
    assert!(!agent.log().contains(SECRET_KEY));
}

#[test]
fn after_a_reboot_the_agent_waits_for_the_kubelet_and_then_says_the_new_boot() {
    for version in Version::ALL {
        let host = Host::new(version, "reboot");
        host.succeed();
        let earlier = host.annotation("btf-digest");
        // The host booted another kernel; its kubelet has not spoken yet.
        file(host.dir.path(), "vmlinux", &small_kernel("reboot2"));
        let random = host.dir.path().join("proc/sys/kernel/random");
        file(&random, "boot_id", format!("{BEFORE}\n").as_bytes());
        let began = Instant::now();
        let agent = host.start();
        std::thread::sleep(Duration::from_millis(700));
        assert_eq!(host.annotation("btf-digest"), earlier);
        assert_eq!(host.objects().len(), 5);
        let (code, why) = agent.page("/readyz");
        assert!(code == 503 && why.contains("another boot"), "{code} {why}");
        assert_eq!(
            agent.metric("btfleet_agent_node_state{state=\"Waiting\"}"),
            1.0
        );
        host.kubelet_says(BEFORE, RELEASE);
        wait_until("the new boot is said", || {
            host.annotation("boot-id").as_deref() == Some(BEFORE) && host.status() == "Ready"
        });
        assert!(
            began.elapsed() >= Duration::from_secs(2),
            "it waits 2 s at first"
        );
        assert_ne!(host.annotation("btf-digest"), earlier);
        assert_eq!(host.objects().len(), 10);
        host.assert_ready_means_stored();
        wait_until("ready", || agent.page("/readyz").0 == 200);
    }
}

#[test]
fn a_kernel_without_btf_is_said_with_an_event_and_the_agent_lives_on() {
    for version in Version::ALL {
        let host = Host::new(version, "nobtf");
        host.succeed();
        std::fs::remove_file(host.dir.path().join("vmlinux")).unwrap();
        let agent = host.start();
        wait_until("NoBTF", || host.status() == "NoBTF");
        assert_eq!(host.annotation("btf-digest"), None);
        assert_eq!(
            host.node()["metadata"]["labels"]["btfleet.dev/kernel"],
            json!(null)
        );
        wait_until("ready", || agent.page("/readyz").0 == 200);
        assert_eq!(
            agent.metric("btfleet_agent_node_state{state=\"NoBTF\"}"),
            1.0
        );
        wait_until("an Event", || host.has_event("NoBTF"));
        let events = host.events();
        let note = events[0]["note"].as_str().unwrap();
        assert!(note.contains("CONFIG_DEBUG_INFO_BTF"), "{note}");
        assert_eq!(
            events[0]["regarding"]["uid"],
            host.node()["metadata"]["uid"]
        );
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(agent.page("/livez").0, 200);
        assert_eq!(host.events().len(), 1);
    }
}

#[test]
fn a_poisoned_btf_is_stored_raw_and_its_fault_and_offset_said() {
    for version in Version::ALL {
        let host = Host::new(version, "poisoned");
        let mut blob = small_kernel("poisoned");
        let cut = blob.len() - 9;
        blob.truncate(cut);
        file(host.dir.path(), "vmlinux", &blob);
        let out = host.once();
        assert_eq!(out.status.code(), Some(1));
        let status = host.status();
        assert!(
            status.starts_with("Error: ") && status.contains("offset"),
            "{status}"
        );
        let digest = BtfDigest::of(&blob);
        assert_eq!(host.annotation("btf-digest"), Some(digest.to_string()));
        assert_eq!(host.annotation("header-digest"), None);
        let stored = host
            .store_folder()
            .join(format!("btf/sha256/{}.btf.zst", digest.hex()));
        let stored = std::fs::read(stored).unwrap();
        let back = btfleet::artifact::decompress(&stored, digest.as_bytes(), 1 << 20).unwrap();
        assert_eq!(back, blob);
        assert!(host.has_event("UnreadableBTF"));
        // A header that disagrees is nobody's: there is none.
        assert!(!host.objects().iter().any(|key| key.starts_with("headers/")));
    }
}

#[test]
fn an_agent_cannot_speak_for_another_node() {
    for version in Version::ALL {
        // Invariant 8.
        let (host, other) = (Host::new(version, "own"), Host::new(version, "other"));
        let before = other.node();
        let out = host.command_for("other").arg("--once").output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(said.contains("this token is for node own"), "{said}");
        assert_eq!(other.node(), before);
    }
}
