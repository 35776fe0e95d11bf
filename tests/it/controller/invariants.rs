//! The invariants that agents and controllers keep together, by their numbers; real agents, a real API server.

use super::bed::{Bed, Controller, RELEASE, kernel, keys};
use super::inside::Inside;
use crate::agent::bed::{Agent, Host, assert_stored, wait_until};
use crate::support::servers::kubernetes::Version;
use crate::support::stores::versitygw;
use crate::tool::snapshot;
use btfleet::artifact::{BtfDigest, Key, Object};
use btfleet::controller::collect::Mode;
use btfleet::store::Kernel;
use serde_json::Value;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(86_400);

/// The digests in the names of objects under a folder.
fn named(keys: &[String], folder: &str) -> Vec<String> {
    let names = keys.iter().filter_map(|key| key.strip_prefix(folder));
    let hex = |name: &str| name.split(['/', '.']).next().unwrap().to_owned();
    names.map(hex).collect()
}

/// Invariant 1: of each manifest that is there, both blobs are.
fn assert_manifests_have_their_blobs(bed: &Bed) {
    let manifests = bed.keys();
    let manifests = manifests.iter().filter(|key| key.starts_with("kernels/"));
    for manifest in manifests {
        let text = bed.get(&Key::new(manifest).unwrap());
        let says: Value = serde_json::from_slice(&text).unwrap();
        let keys = bed.keys();
        for (folder, field) in [
            ("btf/sha256/", "btfDigest"),
            ("headers/sha256/", "headerDigest"),
        ] {
            let hex = says[field].as_str().unwrap().replace("sha256:", "");
            assert!(
                named(&keys, folder).contains(&hex),
                "{manifest} {field}: {keys:?}"
            );
        }
    }
}

/// Nothing is ever removed here, so both hold at every moment, whoever is killed and when.
#[test]
fn invariants_1_and_2_hold_at_every_moment_whoever_is_killed() {
    let bed = Bed::new(Version::Newest);
    let hosts: Vec<Host> = (0..3)
        .map(|n| bed.host(&format!("h{n}"), ["alpha", "alpha", "beta"][n]))
        .collect();
    let mut chance = fastrand::Rng::with_seed(11);
    let mut agents: Vec<Option<Agent>> = hosts.iter().map(|_| None).collect();
    let mut controller: Option<Controller> = None;
    let until = Instant::now() + Duration::from_secs(8);
    let mut kills = 0;
    while Instant::now() < until {
        // Whoever it meets is killed, or begins.
        match chance.usize(..4) {
            3 => match controller.take() {
                Some(running) => {
                    running.process.kill();
                    bed.free_the_lease();
                }
                None => controller = Some(bed.start(&format!("c{kills}"), &[])),
            },
            n => match agents[n].take() {
                Some(agent) => agent.process.kill(),
                None => agents[n] = Some(hosts[n].start()),
            },
        }
        kills += 1;
        std::thread::sleep(Duration::from_millis(chance.u64(..60)));
        assert_manifests_have_their_blobs(&bed);
        let nodes: Vec<Value> = hosts.iter().map(Host::node).collect();
        let keys = bed.keys();
        nodes.iter().for_each(|node| assert_stored(node, &keys));
        // Somebody wipes a Node now and then, or nothing would be written any more.
        hosts[chance.usize(..3)].edit(serde_json::json!({"annotations": null, "labels": null}));
    }
    assert!(kills > 10, "{kills}");
    // And whoever is left makes all of it right.
    drop((agents, controller));
    bed.free_the_lease();
    let _agents: Vec<Agent> = hosts.iter().map(Host::start).collect();
    let _controller = bed.controller("last", &[]);
    for (kernel, nodes) in [(kernel("alpha"), 2), (kernel("beta"), 1)] {
        bed.wait_for_nodes(&kernel.digest, nodes);
        bed.wait_until_verified(&kernel.digest);
    }
    for host in &hosts {
        assert_eq!(host.status(), "Ready");
        assert_stored(&host.node(), &bed.keys());
    }
    assert_manifests_have_their_blobs(&bed);
}

#[test]
fn invariants_5_and_7_one_blob_per_digest_also_where_a_wiped_store_and_wiped_nodes_are_made_whole()
{
    let bed = Bed::new(Version::Newest).in_object_storage(versitygw());
    let names = ["alpha", "beta"];
    let hosts: Vec<Host> = (0..6)
        .map(|n| bed.host(&format!("h{n}"), names[n % 2]))
        .collect();
    // A minute of its clock is six tenths of a second.
    let inside = Inside::start(&bed, 100, Mode::On, LONG);
    // All at once.
    let agents: Vec<Agent> = hosts.iter().map(Host::start).collect();
    let kernels = names.map(kernel);
    let whole = || {
        for kernel in &kernels {
            bed.wait_for_nodes(&kernel.digest, 3);
            bed.wait_until_verified(&kernel.digest);
        }
        let mut keys = bed.keys();
        keys.sort();
        keys
    };
    let good = whole();
    let blobs = |folder: &str| {
        let mut found = named(&good, folder);
        found.sort();
        found
    };
    let mut digests: Vec<String> = kernels.iter().map(|k| k.digest.hex()).collect();
    digests.sort();
    assert_eq!(blobs("btf/sha256/"), digests);
    let header = |k: &Kernel| k.made.as_ref().unwrap().manifest.header_digest.hex();
    let mut headers: Vec<String> = kernels.iter().map(header).collect();
    headers.sort();
    assert_eq!(blobs("headers/sha256/"), headers);
    // Of each kernel's bytes one agent sent each once.
    let sent = |object: &str| -> f64 {
        let name = format!("btfleet_agent_uploaded_bytes_total{{object=\"{object}\"}}");
        agents.iter().map(|agent| agent.metric(&name)).sum()
    };
    for (object, folder) in [("btf", "btf/"), ("header", "headers/")] {
        let stored = good.iter().filter(|key| key.starts_with(folder));
        let bytes: usize = stored
            .map(|key| bed.get(&Key::new(key).unwrap()).len())
            .sum();
        assert_eq!(sent(object), bytes as f64, "{object}");
    }
    // Everything goes, in the store and on the Nodes.
    for key in &good {
        bed.remove_key(key);
    }
    for host in &hosts {
        host.edit(serde_json::json!({"annotations": null, "labels": null}));
    }
    wait_until("all of it is back", || {
        let mut keys = bed.keys();
        keys.sort();
        keys == good && hosts.iter().all(|host| host.status() == "Ready")
    });
    assert_eq!(whole(), good);
    inside.end();
}

#[test]
fn invariant_6_a_restart_that_changes_nothing_writes_nothing_but_the_lease() {
    let bed = Bed::new(Version::Newest);
    let host = bed.host("a", "alpha");
    let kernel = kernel("alpha");
    let agent = host.start();
    let first = bed.controller("one", &[]);
    bed.wait_for_nodes(&kernel.digest, 1);
    bed.wait_until_verified(&kernel.digest);
    let all = || {
        let node = host.node()["metadata"]["resourceVersion"].clone();
        let events = bed.events("a").len();
        (
            bed.versions(),
            node,
            events,
            snapshot(&bed.dir.path().join("store")),
        )
    };
    let before = all();
    first.end();
    drop(agent);
    let agent = host.start();
    let second = bed.controller("two", &[]);
    wait_until("the agent has looked", || {
        agent.metric("btfleet_agent_store_looks_total{result=\"whole\"}") >= 2.0
    });
    // It was ready, and has counted, when it leads and knows all; a status is written half a second later.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(bed.holder(), "two");
    assert_eq!(all(), before);
    second.end();
}

#[test]
fn invariant_4_what_is_poisoned_in_the_store_is_never_believed_and_is_put_right_or_taken_away() {
    let bed = Bed::new(Version::Newest);
    let kernel = kernel("alpha");
    let manifest = kernel.made.as_ref().unwrap().manifest.clone();
    let header = Object::Header(manifest.header_digest);
    bed.publish(&kernel);
    bed.node_with("a", &kernel);
    // A day is some three seconds.
    let inside = Inside::start(&bed, 30_000, Mode::Off, LONG);
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
        let failures = "btfleet_controller_verification_failures_total";
        assert!(inside.counted(failures, object) >= 1.0, "{object}");
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
    bed.wait_until_verified(&kernel.digest);
    assert_eq!(bed.versions().len(), 1);
    inside.end();
}

#[test]
fn invariant_8_a_node_that_claims_new_digests_all_the_time_gets_nothing_and_harms_nobody() {
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
