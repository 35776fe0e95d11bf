//! The inventory on real API servers: right, and still right after everything that can happen to a watch.

use super::bed::{BOOT, Bed, RELEASE, kernel, keys};
use super::inside::Inside;
use crate::agent::bed::wait_until;
use crate::support::servers::api::MERGE;
use crate::support::servers::kubernetes::Version;
use crate::support::servers::s3::{S3Server, Scheme};
use crate::support::stores::versitygw;
use btfleet::artifact::{BtfDigest, Generator};
use btfleet::cluster::Keys;
use btfleet::cluster::node::{Said, Status};
use btfleet::controller::collect::Mode;
use serde_json::json;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(86_400);

#[test]
fn every_distinct_kernel_has_one_kernel_header_that_is_right() {
    for version in Version::ALL {
        let bed = Bed::new(version).in_object_storage(versitygw());
        let kernels = ["alpha", "beta"].map(kernel);
        for kernel in &kernels {
            bed.publish(kernel);
        }
        for n in 0..12 {
            bed.node_with(&format!("a{n:02}"), &kernels[0]);
        }
        let controller = bed.controller("one", &[]);
        bed.wait_for_nodes(&kernels[0].digest, 12);
        bed.wait_until_verified(&kernels[0].digest);
        // One that comes later, and Nodes in every state.
        bed.node_with("b", &kernels[1]);
        bed.node("new");
        bed.node("none");
        let none = Said {
            status: Status::NoBtf,
            kernel: None,
            release: None,
            boot_id: Some(BOOT.to_owned()),
        };
        bed.say("none", &none.keys());
        bed.node("stale");
        let mut stale = keys(&kernels[1]);
        stale.annotations.boot_id = Some(BOOT.replace('0', "1"));
        bed.say("stale", &stale);
        bed.wait_until_verified(&kernels[1].digest);
        bed.wait_for_nodes(&kernels[1].digest, 1);
        let kh = bed.kh(&kernels[0].digest);
        assert_eq!(kh["spec"]["btfDigest"], kernels[0].digest.to_string());
        let status = &kh["status"];
        assert_eq!(status["nodeNames"].as_array().unwrap().len(), 10);
        assert_eq!(status["releases"], json!([RELEASE]));
        assert_eq!(status["arch"], "amd64");
        assert_eq!(status["btfSize"], kernels[0].btf.len());
        let header = &kernels[0].made.as_ref().unwrap().manifest;
        let listed = json!([{"generator": u32::from(Generator::OWN),
            "digest": header.header_digest.to_string(), "size": header.header_size}]);
        assert_eq!(status["headers"], listed);
        assert_eq!(status["unusedSince"], serde_json::Value::Null);
        for (state, count) in [
            ("Ready", 13.0),
            ("NotReported", 1.0),
            ("NoBTF", 1.0),
            ("Stale", 1.0),
            ("Error", 0.0),
        ] {
            let name = format!("btfleet_controller_nodes{{status=\"{state}\"}}");
            wait_until(&name, || controller.metric(&name) == Some(count));
        }
        assert_eq!(controller.metric("btfleet_controller_kernels"), Some(2.0));
        assert_eq!(controller.metric("btfleet_controller_leader"), Some(1.0));
        let policy = "btfleet_controller_admission_policy_present{policy=\"btfleet-keys\"}";
        wait_until("policies are seen", || {
            controller.metric(policy) == Some(1.0)
        });
        // A node that goes, and one that reboots into the other kernel.
        bed.delete_node("a00");
        bed.say("a01", &keys(&kernels[1]));
        bed.wait_for_nodes(&kernels[0].digest, 10);
        bed.wait_for_nodes(&kernels[1].digest, 2);
        let names = bed.kh(&kernels[0].digest)["status"]["nodeNames"].clone();
        assert_eq!(names[0], "a02");
        // The last one goes: it is unused from now on.
        bed.delete_node("b");
        bed.delete_node("stale");
        bed.delete_node("a01");
        bed.wait_for_nodes(&kernels[1].digest, 0);
        wait_until("it is unused", || {
            bed.kh(&kernels[1].digest)["status"]["unusedSince"].is_string()
        });
        assert!(controller.end() < Duration::from_secs(2));
    }
}

#[test]
fn an_outage_and_a_compaction_cost_no_restart_and_no_lost_update() {
    let bed = Bed::new(Version::Newest);
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    for name in ["a", "b", "c"] {
        bed.node_with(name, &kernel);
    }
    let controller = bed.controller("one", &[]);
    bed.wait_for_nodes(&kernel.digest, 3);
    let pid = controller.process.pid();
    // Paused, it misses what happens; and then nobody knows that far back.
    controller.signal("STOP");
    bed.delete_node("a");
    bed.delete_node("b");
    bed.node_with("b", &kernel);
    bed.node_with("d", &kernel);
    bed.plane.kill_api_server();
    bed.plane.compact_etcd();
    controller.signal("CONT");
    std::thread::sleep(Duration::from_secs(4));
    bed.plane.start_api_server();
    bed.delete_node("c");
    bed.wait_for_nodes(&kernel.digest, 2);
    assert_eq!(
        bed.kh(&kernel.digest)["status"]["nodeNames"],
        json!(["b", "d"])
    );
    assert_eq!(controller.process.pid(), pid);
    assert!(super::bed::runs(pid.unwrap()));
    assert!(
        controller
            .page("/livez")
            .is_some_and(|(code, _)| code == 200)
    );
}

#[test]
fn a_store_that_is_away_is_waited_for_and_its_errors_are_counted() {
    let server = S3Server::start(Scheme::Http);
    let bed = Bed::new(Version::Newest).in_object_storage(&server);
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    let controller = bed.controller("one", &[]);
    let pid = controller.process.pid().unwrap();
    server.kill();
    bed.node_with("a", &kernel);
    let errors = "btfleet_controller_store_errors_total{kind=\"away\"}";
    wait_until("errors are counted", || {
        controller.metric(errors) >= Some(1.0)
    });
    assert_eq!(bed.versions(), []);
    server.start_again();
    bed.wait_until_verified(&kernel.digest);
    bed.wait_for_nodes(&kernel.digest, 1);
    assert!(super::bed::runs(pid) && controller.process.pid() == Some(pid));
}

#[test]
fn a_watch_that_is_cut_again_and_again_loses_nothing() {
    let bed = Bed::new(Version::Newest).through_a_proxy();
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    let controller = bed.controller("one", &[]);
    for n in 0..10 {
        bed.node_with(&format!("n{n}"), &kernel);
        bed.proxy().cut();
        if n % 3 == 0 {
            bed.delete_node(&format!("n{n}"));
            bed.proxy().cut();
        }
    }
    bed.wait_for_nodes(&kernel.digest, 6);
    drop(controller);
}

#[test]
fn a_rollout_writes_a_status_at_most_once_in_five_seconds() {
    let bed = Bed::new(Version::Newest).through_a_proxy();
    let kernels = ["alpha", "beta"].map(kernel);
    for kernel in &kernels {
        bed.publish(kernel);
    }
    for n in 0..30 {
        bed.node_with(&format!("n{n:02}"), &kernels[0]);
    }
    let controller = bed.controller("one", &[]);
    bed.wait_for_nodes(&kernels[0].digest, 30);
    bed.proxy().heal();
    let began = Instant::now();
    for n in 0..30 {
        bed.say(&format!("n{n:02}"), &keys(&kernels[1]));
        std::thread::sleep(Duration::from_millis(300));
    }
    let last = Instant::now();
    bed.wait_for_nodes(&kernels[1].digest, 30);
    bed.wait_for_nodes(&kernels[0].digest, 0);
    assert!(
        last.elapsed() < Duration::from_secs(10),
        "{:?}",
        last.elapsed()
    );
    let most = 2 + usize::try_from(began.elapsed().as_secs() / 5).unwrap();
    for kernel in &kernels {
        let path = format!("kernelheaders/{}/status", kernel.digest.kernel_id());
        let asked = bed.proxy().asked();
        let writes = asked
            .iter()
            .filter(|a| a.starts_with("PUT") && a.ends_with(&path));
        assert!(
            writes.clone().count() <= most,
            "{} of {most}",
            writes.count()
        );
    }
    drop(controller);
}

#[test]
fn a_claim_whose_btf_is_not_stored_gets_its_kernel_header_once_it_is() {
    let bed = Bed::new(Version::Newest);
    let kernel = kernel("alpha");
    bed.node_with("a", &kernel);
    let inside = Inside::start(&bed, 100, Mode::Off, LONG);
    wait_until("it is told", || bed.has_event("a", "Unverified"));
    assert_eq!(bed.versions(), []);
    assert_eq!(bed.keys(), Vec::<String>::new());
    bed.publish(&kernel);
    bed.wait_until_verified(&kernel.digest);
    inside.end();
}

#[test]
fn a_kernel_header_that_somebody_removed_or_edited_is_as_it_was() {
    let bed = Bed::new(Version::Newest);
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    bed.node_with("a", &kernel);
    let inside = Inside::start(&bed, 20, Mode::Off, LONG);
    bed.wait_until_verified(&kernel.digest);
    bed.wait_for_nodes(&kernel.digest, 1);
    let path = format!("{}/{}", super::bed::HEADERS, kernel.digest.kernel_id());
    let lie = json!({"status": {"nodes": 77, "unusedSince": "2001-01-01T00:00:00Z"}});
    let status = format!("{path}/status");
    bed.admin.patch(&status, MERGE, &lie).success();
    bed.wait_for_nodes(&kernel.digest, 1);
    assert!(bed.kh(&kernel.digest)["status"]["unusedSince"].is_null());
    let uid = bed.kh(&kernel.digest)["metadata"]["uid"].clone();
    bed.admin.delete(&path).success();
    wait_until("it is made anew", || {
        let kh = bed.kh(&kernel.digest);
        !kh.is_null() && kh["metadata"]["uid"] != uid
    });
    bed.wait_until_verified(&kernel.digest);
    bed.wait_for_nodes(&kernel.digest, 1);
    // Its digest never changes.
    let other = json!({"spec": {"btfDigest": BtfDigest::of(b"x").to_string()}});
    assert_eq!(bed.admin.patch(&path, MERGE, &other).status, 422);
    inside.end();
}

#[test]
fn nodes_without_any_key_of_ours_are_counted_and_cost_nothing() {
    let bed = Bed::new(Version::Newest);
    bed.node("a");
    bed.say("a", &Keys::default());
    let controller = bed.controller("one", &[]);
    let name = "btfleet_controller_nodes{status=\"NotReported\"}";
    wait_until("it is counted", || controller.metric(name) == Some(1.0));
    assert_eq!(bed.versions(), []);
}
