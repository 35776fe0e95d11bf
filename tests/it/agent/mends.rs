//! What is wiped, edited or made anew is mended; what is away is waited for.

use super::bed::{BOOT, Host, installed, wait_until};
use crate::support::servers::kubernetes::Version;
use crate::tool::snapshot;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn a_node_that_is_wiped_edited_or_made_anew_is_whole_within_one_look() {
    for version in Version::ALL {
        let host = Host::new(version, "wiped");
        let agent = host.start();
        wait_until("Ready", || host.status() == "Ready");
        let good = |node: &Value| {
            let ours = |of: &Value| {
                let all = of.as_object().unwrap().iter();
                let own = all.filter(|(key, _)| key.starts_with("btfleet.dev/"));
                own.map(|(k, v)| (k.clone(), v.clone())).collect::<Vec<_>>()
            };
            let metadata = &node["metadata"];
            (ours(&metadata["annotations"]), ours(&metadata["labels"]))
        };
        let before = host.node();
        let edits = [
            json!({"annotations": {"btfleet.dev/status": null}}),
            json!({"annotations": {"btfleet.dev/btf-digest": "sha256:0"}}),
            json!({"labels": {"btfleet.dev/kernel": "x"}}),
            json!({"annotations": {"btfleet.dev/header-digest": null, "btfleet.dev/boot-id": "x"}}),
            json!({"annotations": null, "labels": null}),
        ];
        for edit in edits {
            host.edit(edit.clone());
            assert_ne!(
                good_or_none(&host.node(), &good),
                Some(good(&before)),
                "{edit}"
            );
            wait_until("it is mended", || {
                good_or_none(&host.node(), &good) == Some(good(&before))
            });
        }
        host.delete_node();
        std::thread::sleep(Duration::from_millis(600));
        host.make_node(BOOT);
        wait_until("the new Node says it", || host.status() == "Ready");
        assert_ne!(host.node()["metadata"]["uid"], before["metadata"]["uid"]);
        assert_eq!(good(&host.node()), good(&before));
        assert_eq!(agent.page("/livez").0, 200);
    }
}

type Ours = (Vec<(String, Value)>, Vec<(String, Value)>);

/// Annotations or labels may all be gone.
fn good_or_none(node: &Value, good: &impl Fn(&Value) -> Ours) -> Option<Ours> {
    let metadata = &node["metadata"];
    let there = metadata["annotations"].is_object() && metadata["labels"].is_object();
    there.then(|| good(node))
}

#[test]
fn a_store_wiped_whole_or_in_part_is_whole_within_one_resync_and_the_node_untouched() {
    let host = Host::new(Version::Newest, "store");
    let agent = host.start();
    wait_until("ready", || agent.page("/readyz").0 == 200);
    let (good, node) = (host.objects(), host.node());
    let mut losses: Vec<Vec<&String>> = good.iter().map(|key| vec![key]).collect();
    losses.push(good.iter().collect());
    for lost in losses {
        for key in &lost {
            std::fs::remove_file(host.store_folder().join(key)).unwrap();
        }
        wait_until("the store is whole", || host.objects() == good);
    }
    // All at once: an agent mends what goes one by one before the last of it is gone.
    let gone = host.store_folder().with_extension("gone");
    std::fs::rename(host.store_folder(), gone).unwrap();
    wait_until("the store is whole", || host.objects() == good);
    let version = |node: &Value| node["metadata"]["resourceVersion"].clone();
    assert_eq!(version(&host.node()), version(&node));
    // And then it rests.
    std::thread::sleep(Duration::from_millis(500));
    let rest = snapshot(&host.store_folder());
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(snapshot(&host.store_folder()), rest);
    assert!(agent.metric("btfleet_agent_store_looks_total{result=\"whole\"}") > 2.0);
    assert!(agent.metric("btfleet_agent_store_looks_total{result=\"lacking\"}") > 2.0);
    assert!(agent.metric("btfleet_agent_uploaded_bytes_total{object=\"btf\"}") > 0.0);
}

#[test]
fn an_api_server_that_was_killed_is_waited_for() {
    let plane = installed(Version::Newest);
    let host = Host::new_on(&plane, "outage");
    host.kubelet_says("99999999-1111-4222-8333-444455556666", super::bed::RELEASE);
    let agent = host.start();
    wait_until("it waits", || {
        agent.page("/readyz").1.contains("another boot")
    });
    plane.kill_api_server();
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(agent.page("/livez").0, 200);
    plane.start_api_server();
    host.kubelet_says(BOOT, super::bed::RELEASE);
    wait_until("Ready", || host.status() == "Ready");
    assert!(agent.log().contains("retry_seconds"), "{}", agent.log());
    assert_eq!(agent.page("/livez").0, 200);
}
