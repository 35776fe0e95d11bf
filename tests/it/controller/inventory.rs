//! The inventory on real API servers: right, and still right after everything that can happen to a watch.

use super::bed::{BOOT, Bed, RELEASE, kernel, keys};
use crate::agent::bed::wait_until;
use crate::support::servers::api::MERGE;
use crate::support::servers::kubernetes::Version;
use btfleet::artifact::{BtfDigest, Generator, Object};
use btfleet::cluster::Keys;
use btfleet::cluster::node::{Said, Status};
use btfleet::store::Kernel;
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn every_distinct_kernel_has_one_kernel_header_that_is_right() {
    for version in Version::ALL {
        let bed = Bed::new(version);
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
fn a_restart_that_changes_nothing_writes_nothing_but_the_lease() {
    let bed = Bed::new(Version::Newest);
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    bed.node_with("a", &kernel);
    let first = bed.controller("one", &[]);
    bed.wait_until_verified(&kernel.digest);
    bed.wait_for_nodes(&kernel.digest, 1);
    std::thread::sleep(Duration::from_secs(7));
    let before = (bed.versions(), bed.keys());
    let objects = crate::tool::snapshot(bed.dir.path().join("store").as_path());
    first.end();
    let second = bed.controller("two", &[]);
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!((bed.versions(), bed.keys()), before);
    let after = crate::tool::snapshot(bed.dir.path().join("store").as_path());
    assert_eq!(after, objects);
    assert_eq!(bed.holder(), "two");
    second.end();
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
    std::thread::sleep(Duration::from_secs(12));
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
fn a_node_that_claims_a_new_digest_all_the_time_gets_nothing_and_harms_nobody() {
    let bed = Bed::new(Version::Newest);
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    bed.node_with("good", &kernel);
    bed.node("bad");
    let controller = bed.controller("one", &[]);
    bed.wait_until_verified(&kernel.digest);
    let before = bed.keys();
    for n in 0..20u32 {
        let lie = Kernel::raw(n.to_le_bytes().to_vec().into());
        let mut claim = keys(&kernel);
        claim.annotations.btf_digest = Some(lie.digest.to_string());
        claim.labels.kernel = Some(lie.digest.kernel_id().to_string());
        bed.say("bad", &claim);
        std::thread::sleep(Duration::from_millis(200));
    }
    wait_until("it is told", || bed.has_event("bad", "TooManyDigests"));
    let refused = "btfleet_controller_refused_claims_total{reason=\"too_many\"}";
    assert!(controller.metric(refused) >= Some(10.0));
    // A new kernel of an honest node is there at once all the same.
    let beta = super::bed::kernel("beta");
    bed.publish(&beta);
    bed.node_with("other", &beta);
    bed.wait_until_verified(&beta.digest);
    assert_eq!(bed.versions().len(), 2);
    assert!(bed.events("bad").len() <= 4, "{:?}", bed.events("bad"));
    let new: Vec<String> = bed.keys();
    let foreign = new.iter().filter(|key| !before.contains(key));
    let of_beta = foreign.clone().filter(|key| {
        let header = beta.made.as_ref().unwrap().manifest.header_digest.hex();
        key.contains(&beta.digest.hex()) || key.contains(&header)
    });
    assert_eq!(foreign.count(), of_beta.count());
    // The same 32 digits with another digest.
    let hex = kernel.digest.hex();
    let last = if hex.ends_with('0') { "1" } else { "0" };
    let fake = BtfDigest::from_hex(&format!("{}{last}", &hex[..63])).unwrap();
    let mut claim = keys(&kernel);
    claim.annotations.btf_digest = Some(fake.to_string());
    bed.node("twin");
    bed.say("twin", &claim);
    wait_until("it is told", || bed.has_event("twin", "SameKernelID"));
    assert_eq!(bed.kh(&kernel.digest)["status"]["nodes"], 1);
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
fn what_is_poisoned_in_the_store_is_put_right_or_taken_away() {
    let bed = Bed::new(Version::Newest);
    let kernel = kernel("alpha");
    let manifest = kernel.made.as_ref().unwrap().manifest.clone();
    let header = Object::Header(manifest.header_digest);
    bed.publish(&kernel);
    bed.node_with("a", &kernel);
    let controller = bed.controller("one", &["--verify-every=2s"]);
    bed.wait_until_verified(&kernel.digest);
    let right = bed.get(&header.key());
    bed.poison(&header, b"int evil;");
    wait_until("the header is right again", || {
        bed.get(&header.key()) == right
    });
    bed.poison(&manifest.object(), b"{}");
    wait_until("the manifest is right again", || {
        bed.get(&manifest.object().key()) == manifest.to_json()
    });
    let id = kernel.digest.kernel_id().to_string();
    wait_until("it is told", || bed.has_event(&id, "Repaired"));
    for object in ["header", "manifest"] {
        let name = format!("btfleet_controller_verification_failures_total{{object=\"{object}\"}}");
        assert!(controller.metric(&name) >= Some(1.0), "{name}");
    }
    let btf = Object::Btf(kernel.digest);
    bed.poison(&btf, b"evil");
    wait_until("the BTF is taken away", || !bed.has(&btf));
    assert!(!bed.has(&manifest.object()));
    wait_until("its KernelHeader says so", || {
        bed.condition(&kernel.digest, "Verified").0 == "False"
    });
    // An index entry is a hint: one that points nowhere makes no kernel.
    let lie = Object::Index(
        "amd64".parse().unwrap(),
        RELEASE.parse().unwrap(),
        BtfDigest::of(b"nothing"),
    );
    bed.poison(&lie, b"");
    // The agent's next look.
    bed.publish(&kernel);
    let began = Instant::now();
    bed.wait_until_verified(&kernel.digest);
    assert!(began.elapsed() < Duration::from_secs(75));
    assert_eq!(bed.versions().len(), 1);
}

#[test]
fn a_claim_whose_btf_is_not_stored_gets_its_kernel_header_once_it_is() {
    let bed = Bed::new(Version::Newest);
    let kernel = kernel("alpha");
    bed.node_with("a", &kernel);
    let controller = bed.controller("one", &[]);
    wait_until("it is told", || bed.has_event("a", "Unverified"));
    assert_eq!(bed.versions(), []);
    assert_eq!(bed.keys(), Vec::<String>::new());
    bed.publish(&kernel);
    bed.wait_until_verified(&kernel.digest);
    drop(controller);
}

#[test]
fn a_kernel_header_that_somebody_removed_or_edited_is_as_it_was() {
    let bed = Bed::new(Version::Newest);
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    bed.node_with("a", &kernel);
    let controller = bed.controller("one", &[]);
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
    drop(controller);
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
