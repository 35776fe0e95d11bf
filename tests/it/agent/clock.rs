//! What happens over minutes and days, on a clock that jumps.

use super::fake::{BEFORE, BOOT, Bed, LOST_REPLY, MINUTE, RELEASE, index_of};
use crate::support::stores::Fault;
use crate::tool::small_kernel;
use btfleet::artifact::Key;
use btfleet::cluster::event::Sending;
use btfleet::cluster::{Keys, State};
use btfleet::store::Store;
use std::time::Duration;
use tokio::time::{Instant, sleep};

fn second(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn reasons(events: &[Sending]) -> Vec<String> {
    let reason = |event: &Sending| match event {
        Sending::New(body) => body["reason"].as_str().unwrap().to_owned(),
        Sending::Again(name, _) => format!("again {name}"),
    };
    events.iter().map(reason).collect()
}

#[tokio::test(start_paused = true)]
async fn a_boot_costs_one_get_of_kube_system_and_one_get_and_one_patch_of_the_node() {
    let bed = Bed::new();
    bed.run_for(second(60)).await;
    let kinds: Vec<&str> = bed.server.lock().asked.iter().map(|(_, k)| *k).collect();
    assert_eq!(kinds, ["get", "id", "patch"]);
    assert!(matches!(bed.server.state(), State::Ready { .. }));
    assert_eq!(bed.ready.get(), Ok(()));
    bed.assert_ready_means_stored().await;
    let objects = bed.objects().await;
    assert_eq!(objects.len(), 5, "{objects:?}");
    assert!(
        objects
            .iter()
            .any(|key| key.starts_with(&index_of(RELEASE)))
    );
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_changes_nothing_writes_nothing_and_asks_the_store_five_times() {
    let bed = Bed::new();
    bed.once().await.unwrap();
    bed.store.heal();
    let patches = bed.server.count("patch");
    bed.run_for(second(60)).await;
    assert_eq!(bed.server.count("patch"), patches);
    let counts = bed.store.counts();
    assert_eq!((counts.of("head"), counts.all()), (5, 5), "{counts:?}");
    assert_eq!(bed.server.lock().events, []);
}

#[tokio::test(start_paused = true)]
async fn a_day_of_rest_is_a_few_looks_and_no_write() {
    let bed = Bed::new();
    bed.run_for(second(60)).await;
    bed.store.heal();
    let before = bed.server.lock().asked.len();
    bed.run_for(24 * 60 * MINUTE).await;
    let asked = bed.server.lock().asked[before..].to_vec();
    let gets = asked.iter().filter(|(_, k)| *k == "get").count();
    assert_eq!(asked.iter().filter(|(_, k)| *k == "patch").count(), 0);
    // Every 7.5 to 9.5 minutes, and once more where the store is due.
    assert!((150..=230).contains(&gets), "{gets}");
    let counts = bed.store.counts();
    assert_eq!(counts.all(), counts.of("head"), "{counts:?}");
    assert!((5 * 25..=5 * 33).contains(&counts.all()), "{counts:?}");
    assert_eq!(bed.live.get(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn first_looks_are_spread_over_30_seconds() {
    let bed = Bed::new();
    let began = Instant::now();
    bed.run_for(second(31)).await;
    let first = bed.server.lock().asked[0].0 - began;
    assert!(first < second(30), "{first:?}");
    // Another start of the same node comes at the same time: nothing is left to chance.
    bed.server.lock().asked.clear();
    let began = Instant::now();
    bed.run_for(second(31)).await;
    assert_eq!(bed.server.lock().asked[0].0 - began, first);
}

#[tokio::test(start_paused = true)]
async fn a_wiped_or_edited_node_is_whole_within_one_look() {
    let bed = Bed::new();
    bed.beside(async {
        sleep(second(60)).await;
        let good = bed.server.lock().node.keys();
        let edits: [fn(&mut Keys); 3] = [
            |keys| *keys = Keys::default(),
            |keys| keys.annotations.header_digest = None,
            |keys| keys.labels.kernel = Some("x".to_owned()),
        ];
        for edit in edits {
            let mut keys = good.clone();
            edit(&mut keys);
            bed.server.say(keys);
            sleep(10 * MINUTE).await;
            assert_eq!(bed.server.lock().node.keys(), good);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_wiped_store_is_whole_within_one_resync() {
    let bed = Bed::new();
    bed.beside(async {
        sleep(second(60)).await;
        let good = bed.objects().await;
        let patches = bed.server.count("patch");
        // Each alone, then all.
        let mut losses: Vec<Vec<String>> = good.iter().map(|key| vec![key.clone()]).collect();
        losses.push(good.clone());
        for lost in losses {
            for key in &lost {
                bed.store.delete(&Key::new(key).unwrap()).await.unwrap();
            }
            sleep(60 * MINUTE).await;
            assert_eq!(bed.objects().await, good, "without {lost:?}");
        }
        // The Node said so all the while.
        assert_eq!(bed.server.count("patch"), patches);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_late_node_info_is_waited_for_and_nothing_published_meanwhile() {
    let bed = Bed::new();
    bed.server.lock().node.status.node_info.boot_id = BEFORE.to_owned();
    bed.beside(async {
        sleep(second(30 + 38)).await;
        assert!(bed.objects().await.is_empty());
        assert_eq!(bed.server.count("patch"), 0);
        assert!(bed.ready.get().unwrap_err().contains("another boot"));
        let gets: Vec<Instant> = bed.server.lock().asked.iter().map(|(at, _)| *at).collect();
        let pauses: Vec<u64> = gets.windows(2).map(|w| (w[1] - w[0]).as_secs()).collect();
        assert_eq!(pauses[..3], [2, 5, 10]);
        // The kubelet speaks.
        bed.server.lock().node.status.node_info.boot_id = BOOT.to_owned();
        sleep(second(31)).await;
        assert!(matches!(bed.server.state(), State::Ready { .. }));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_is_an_error_after_five_minutes_and_goes_when_it_goes() {
    let bed = Bed::new();
    {
        let mut server = bed.server.lock();
        server.node.status.node_info.boot_id = BEFORE.to_owned();
        server.node.status.node_info.kernel_version = "5.10".to_owned();
    }
    bed.beside(async {
        sleep(5 * MINUTE).await;
        assert_eq!(bed.server.status(), "");
        sleep(second(61)).await;
        assert!(bed.server.status().starts_with("Error: a sandbox"));
        assert_eq!(bed.server.state().word(), "Error");
        assert_eq!(reasons(&bed.server.lock().events), ["BootMismatch"]);
        assert!(bed.objects().await.is_empty());
        let patches = bed.server.count("patch");
        sleep(60 * MINUTE).await;
        assert_eq!(bed.server.count("patch"), patches);
        let mut node = bed.server.lock().node.clone();
        node.status.node_info.boot_id = BOOT.to_owned();
        node.status.node_info.kernel_version = RELEASE.to_owned();
        bed.server.lock().node = node;
        sleep(10 * MINUTE).await;
        assert!(matches!(bed.server.state(), State::Ready { .. }));
        bed.assert_ready_means_stored().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_for_ten_minutes_costs_no_restart_and_no_update() {
    let bed = Bed::new();
    bed.server.plan(|_, _| Some((0, None)));
    bed.beside(async {
        sleep(10 * MINUTE).await;
        assert_eq!(bed.live.get(), Ok(()));
        let asked = bed.server.lock().asked.len();
        assert!((10..60).contains(&asked), "{asked} tries in ten minutes");
        bed.server.heal();
        sleep(second(61)).await;
        assert!(matches!(bed.server.state(), State::Ready { .. }));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_said_after_five_minutes_and_forgotten_when_it_is_back() {
    let bed = Bed::new();
    bed.store.plan(|_, _| Some(Fault::Error));
    bed.beside(async {
        sleep(5 * MINUTE).await;
        assert_eq!(
            (bed.server.status(), bed.server.count("event")),
            ("".into(), 0)
        );
        sleep(5 * MINUTE).await;
        let status = bed.server.status();
        assert!(status.starts_with("Error: store: "), "{status}");
        assert!(bed.ready.get().is_err());
        assert_eq!(bed.server.count("patch"), 1);
        assert_eq!(reasons(&bed.server.lock().events), ["StoreAway"]);
        bed.store.heal();
        sleep(second(61)).await;
        assert!(matches!(bed.server.state(), State::Ready { .. }));
        assert_eq!(bed.ready.get(), Ok(()));
        // A Node that is Ready stays so while the store is away, and the agent goes on.
        bed.store.plan(|_, _| Some(Fault::Error));
        sleep(180 * MINUTE).await;
        assert!(matches!(bed.server.state(), State::Ready { .. }));
        assert_eq!(bed.ready.get(), Ok(()));
        assert_eq!(bed.live.get(), Ok(()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_obeyed_on_every_request() {
    for kind in ["get", "patch", "id"] {
        for code in [429, 503] {
            let bed = Bed::new();
            let mut first = true;
            bed.server.plan(move |asked, _| {
                let fails = asked == kind && std::mem::take(&mut first);
                fails.then_some((code, Some(77)))
            });
            bed.run_for(second(180)).await;
            let asked = bed.server.lock().asked.clone();
            let failed = asked.iter().position(|(_, k)| *k == kind).unwrap();
            let pause = asked[failed + 1].0 - asked[failed].0;
            assert!(
                (77..80).contains(&pause.as_secs()),
                "{kind} {code}: {pause:?}"
            );
            assert!(matches!(bed.server.state(), State::Ready { .. }));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_patch_is_told_and_tried_again_seldom() {
    for code in [403, 422] {
        let bed = Bed::new();
        bed.server
            .plan(move |kind, _| (kind == "patch").then_some((code, None)));
        bed.run_for(60 * MINUTE).await;
        assert_eq!(reasons(&bed.server.lock().events)[0], "NodeRefused");
        let (patches, events) = (bed.server.count("patch"), bed.server.count("event"));
        assert!((5..15).contains(&patches), "{code}: {patches} patches");
        assert!(events <= 7, "{code}: {events} events");
        bed.server.heal();
        bed.run_for(11 * MINUTE).await;
        assert!(matches!(bed.server.state(), State::Ready { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_made_anew_under_its_name_is_not_patched_by_mistake() {
    let bed = Bed::new();
    let server = bed.server.clone();
    let mut first = true;
    bed.server.plan(move |kind, _| {
        // Between the agent's look and its patch; a 409 is what an API server says then.
        (kind == "patch" && std::mem::take(&mut first)).then_some((409, None))
    });
    bed.run_for(second(60)).await;
    let kinds: Vec<&str> = server.lock().asked.iter().map(|(_, k)| *k).collect();
    assert_eq!(kinds, ["get", "id", "patch", "get", "patch"]);
    assert!(matches!(server.state(), State::Ready { .. }));
    // And one that appears between two looks is a new one.
    bed.beside(async {
        sleep(second(60)).await;
        server.lock().node.metadata.uid = "uid-2".to_owned();
        server.say(Keys::default());
        sleep(10 * MINUTE).await;
        assert!(matches!(server.state(), State::Ready { .. }));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_patch_whose_answer_is_lost_is_found_done() {
    let bed = Bed::new();
    let mut first = true;
    bed.server.plan(move |kind, _| {
        (kind == "patch" && std::mem::take(&mut first)).then_some((LOST_REPLY, None))
    });
    bed.run_for(second(60)).await;
    assert_eq!(bed.server.count("patch"), 1);
    assert_eq!(bed.ready.get(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_kernel_without_btf_is_said_once_and_lived_with() {
    let bed = Bed::new();
    std::fs::remove_file(bed.dir.path().join("vmlinux")).unwrap();
    bed.run_for(180 * MINUTE).await;
    assert_eq!(bed.server.state(), State::NoBtf);
    assert_eq!(bed.ready.get(), Ok(()));
    assert_eq!(bed.server.count("patch"), 1);
    assert_eq!(reasons(&bed.server.lock().events), ["NoBTF"]);
    assert_eq!(bed.store.counts().all(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_btf_that_does_not_parse_is_stored_raw_and_its_fault_said() {
    let bed = Bed::new();
    let mut blob = small_kernel("task");
    let cut = blob.len() - 7;
    blob.truncate(cut);
    bed.btf(&blob);
    bed.run_for(180 * MINUTE).await;
    let status = bed.server.status();
    assert!(
        status.starts_with("Error: ") && status.contains("offset"),
        "{status}"
    );
    assert_eq!(bed.server.count("patch"), 1);
    assert_eq!(reasons(&bed.server.lock().events), ["UnreadableBTF"]);
    let objects = bed.objects().await;
    assert_eq!(objects.len(), 3, "{objects:?}"); // btf, index, ref
    let digest = bed
        .server
        .lock()
        .node
        .metadata
        .annotations
        .btf_digest
        .clone();
    let hex = digest.unwrap().replace("sha256:", "");
    assert!(objects.contains(&format!("btf/sha256/{hex}.btf.zst")));
    assert!(bed.ready.get().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_manifest_that_disagrees_is_told_and_the_node_names_its_own_digests() {
    let bed = Bed::new();
    bed.once().await.unwrap();
    let truth = bed.server.lock().node.keys();
    let objects = bed.objects().await;
    let manifest = objects.iter().find(|key| key.ends_with("v1.json")).unwrap();
    let manifest = Key::new(manifest).unwrap();
    let json = bed.store.get(&manifest, 10_000).await.unwrap().unwrap();
    let json = String::from_utf8(json.to_vec()).unwrap();
    let own = truth.annotations.header_digest.clone().unwrap();
    let other = format!("sha256:{}", "0".repeat(64));
    bed.store
        .put(&manifest, json.replace(&own, &other).into())
        .await
        .unwrap();
    bed.server.say(Keys::default());
    bed.once().await.unwrap();
    assert_eq!(bed.server.lock().node.keys(), truth);
    assert_eq!(reasons(&bed.server.lock().events), ["ManifestDisagrees"]);
    let metrics = prometheus::TextEncoder::new()
        .encode_to_string(&bed.metrics.registry().gather())
        .unwrap();
    assert!(
        metrics.contains("btfleet_agent_manifest_disagreements_total 1"),
        "{metrics}"
    );
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_call_of_the_store_the_next_run_completes_it() {
    let whole = Bed::new();
    whole.once().await.unwrap();
    let calls = whole.store.counts().all();
    assert!((8..=14).contains(&calls), "{calls} calls of the store");
    let good = whole.objects().await;
    for fault in [Fault::DieBefore, Fault::DieAfter] {
        for step in 0..calls {
            let bed = Bed::new();
            bed.store.plan(move |n, _| (n == step).then_some(fault));
            let dead = tokio::time::timeout(10 * MINUTE, bed.once()).await;
            assert!(dead.is_err(), "{step} {fault:?}: {dead:?}");
            bed.assert_ready_means_stored().await;
            bed.store.heal();
            bed.once().await.unwrap();
            assert!(matches!(bed.server.state(), State::Ready { .. }));
            assert_eq!(bed.objects().await, good, "{step} {fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_fault_at_any_call_is_waited_out() {
    for fault in [Fault::Error, Fault::LostReply, Fault::TimeOut] {
        for step in 0..10 {
            let bed = Bed::new();
            bed.store.plan(move |n, _| (n == step).then_some(fault));
            bed.run_for(5 * MINUTE).await;
            assert!(
                matches!(bed.server.state(), State::Ready { .. }),
                "{step} {fault:?}"
            );
            bed.assert_ready_means_stored().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_collection_takes_before_the_last_look_is_put_back() {
    let whole = Bed::new();
    whole.once().await.unwrap();
    let calls = whole.store.counts().all();
    let good = whole.objects().await;
    for key in &good {
        for call in 0..calls {
            let bed = Bed::new();
            bed.store.vanish(call, Key::new(key).unwrap());
            bed.beside(async {
                sleep(second(60)).await;
                // The last five calls are the last look.
                if call <= calls - 5 {
                    assert_eq!(bed.objects().await, good, "{key} at {call}");
                }
                sleep(60 * MINUTE).await;
                assert_eq!(bed.objects().await, good, "{key} at {call}");
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_runs_once_fails_at_the_first_trouble() {
    let bed = Bed::new();
    bed.server
        .plan(|kind, _| (kind == "patch").then_some((503, None)));
    assert!(bed.once().await.is_err());
    bed.server.heal();
    bed.store.plan(|_, _| Some(Fault::Error));
    assert!(bed.once().await.is_err());
    bed.store.heal();
    assert!(matches!(bed.once().await, Ok(State::Ready { .. })));
}
