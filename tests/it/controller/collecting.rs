//! References and collection, within the test on a clock that runs faster, on real API servers and a real store.

use super::bed::{Bed, kernel, keys};
use super::inside::Inside;
use crate::agent::bed::wait_until;
use crate::support::servers::api::runtime;
use crate::support::servers::kubernetes::Version;
use btfleet::artifact::{Object, Owner};
use btfleet::cluster::Keys;
use btfleet::cluster::lease::Fence;
use btfleet::controller::collect::{Collection, Mode, Outcome, Resume};
use btfleet::controller::{Api, Clock, Hands, Metrics};
use btfleet::store::{Contents, Kernel, Manner, PublishError, Store, publish_and_look, read};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An hour of a controller's clock is a third of a second, and a day nine.
const RATE: u32 = 10_000;

fn objects(kernel: &Kernel) -> [Object; 3] {
    let manifest = &kernel.made.as_ref().unwrap().manifest;
    [
        Object::Btf(kernel.digest),
        Object::Header(manifest.header_digest),
        manifest.object(),
    ]
}

fn whole(bed: &Bed, kernel: &Kernel) -> bool {
    objects(kernel).iter().all(|object| bed.has(object))
}

#[test]
fn a_kernel_that_no_node_names_goes_and_one_that_is_named_pinned_or_shared_stays() {
    let bed = Bed::new(Version::Newest);
    let all = ["used", "unused", "pinned", "shared"].map(kernel);
    let [used, unused, pinned, shared] = &all;
    for (n, kernel) in all.iter().enumerate() {
        bed.publish(kernel);
        bed.node_with(&format!("n{n}"), kernel);
    }
    let other: Owner = "another-cluster".parse().unwrap();
    bed.poison(&Object::Ref(shared.digest, other.clone()), b"");
    let inside = Inside::start(&bed, RATE, Mode::On, Duration::ZERO);
    for kernel in &all {
        bed.wait_until_verified(&kernel.digest);
    }
    bed.annotate(&pinned.digest, json!({"btfleet.dev/pin": "mine"}));
    for n in 1..4 {
        bed.delete_node(&format!("n{n}"));
    }
    wait_until("the unused one is collected", || {
        bed.kh(&unused.digest).is_null() && !bed.has(&Object::Btf(unused.digest))
    });
    let me = bed.id();
    wait_until("the shared one loses this cluster's reference", || {
        !bed.has(&Object::Ref(shared.digest, me.clone()))
    });
    // Nothing of it is left, but for the header, which goes in a sweep.
    wait_until("its header is swept", || {
        let header = &objects(unused)[1];
        !bed.has(header)
    });
    // What was set aside goes after what it is a copy of.
    wait_until("nothing is set aside", || {
        !bed.keys().iter().any(|key| key.starts_with("aside/"))
    });
    let left = bed.keys();
    let of_it = left.iter().filter(|key| key.contains(&unused.digest.hex()));
    assert_eq!(of_it.count(), 0, "{left:?}");
    for kernel in [used, pinned, shared] {
        assert!(whole(&bed, kernel));
        assert!(!bed.kh(&kernel.digest).is_null());
    }
    assert!(bed.has(&Object::Ref(used.digest, me.clone())));
    assert!(bed.has(&Object::Ref(shared.digest, other)));
    let id = unused.digest.kernel_id().to_string();
    wait_until("it is told", || bed.has_event(&id, "Collected"));
    // A node that runs it brings it back.
    bed.publish(unused);
    bed.node_with("again", unused);
    bed.wait_until_verified(&unused.digest);
    inside.end();
}

#[test]
fn a_dry_run_says_what_would_go_and_removes_nothing() {
    let bed = Bed::new(Version::Newest);
    let kernel = kernel("unused");
    bed.publish(&kernel);
    bed.node_with("a", &kernel);
    let inside = Inside::start(&bed, RATE, Mode::DryRun, Duration::ZERO);
    bed.wait_until_verified(&kernel.digest);
    bed.delete_node("a");
    let before = bed.keys();
    let id = kernel.digest.kernel_id().to_string();
    wait_until("it is told", || bed.has_event(&id, "Collected"));
    assert!(inside.counted("btfleet_controller_collections_total", "would") >= 1.0);
    assert_eq!(bed.keys(), before);
    assert!(!bed.kh(&kernel.digest).is_null());
    inside.end();
}

#[test]
fn a_wall_clock_that_jumps_ahead_collects_nothing_that_a_node_names() {
    let bed = Bed::new(Version::Newest);
    let [used, unused] = ["used", "unused"].map(kernel);
    for (name, kernel) in [("a", &used), ("b", &unused)] {
        bed.publish(kernel);
        bed.node_with(name, kernel);
    }
    let month = Duration::from_secs(30 * 86_400);
    let inside = Inside::start(&bed, RATE, Mode::On, month);
    bed.wait_until_verified(&used.digest);
    bed.wait_until_verified(&unused.digest);
    bed.delete_node("b");
    wait_until("it is unused", || {
        bed.kh(&unused.digest)["status"]["unusedSince"].is_string()
    });
    // Hours of its clock: nothing is due.
    std::thread::sleep(Duration::from_secs(3));
    assert!(whole(&bed, &unused));
    inside.clock.jump(60 * 86_400);
    wait_until("the unused one goes", || {
        !bed.has(&Object::Btf(unused.digest))
    });
    assert!(whole(&bed, &used));
    // Back again: what is unused from now on is not kept for as long as it had jumped.
    inside.clock.jump(-86_400);
    std::thread::sleep(Duration::from_secs(2));
    assert!(whole(&bed, &used));
    inside.end();
}

#[test]
fn a_wiped_store_gets_its_references_back_and_what_is_missing_is_said_and_made() {
    let bed = Bed::new(Version::Newest);
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    bed.node_with("a", &kernel);
    let inside = Inside::start(&bed, RATE, Mode::On, Duration::from_secs(86_400));
    bed.wait_until_verified(&kernel.digest);
    let reference = Object::Ref(kernel.digest, bed.id());
    let [btf, header, manifest] = objects(&kernel);
    // In part: what can be made is made.
    for object in [&reference, &header, &manifest] {
        bed.remove(object);
    }
    wait_until("it is whole", || {
        whole(&bed, &kernel) && bed.has(&reference)
    });
    // Whole.
    for object in [&reference, &btf, &header, &manifest] {
        bed.remove(object);
    }
    wait_until("it is said", || {
        bed.condition(&kernel.digest, "Stored").0 == "False"
    });
    wait_until("the reference is back", || bed.has(&reference));
    // The agent's look.
    bed.publish(&kernel);
    bed.wait_until_verified(&kernel.digest);
    assert!(whole(&bed, &kernel));
    inside.end();
}

#[test]
fn a_reference_that_is_older_than_a_week_is_written_anew() {
    let bed = Bed::new(Version::Newest);
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    bed.node_with("a", &kernel);
    let key = Object::Ref(kernel.digest, bed.id()).key();
    let file = bed.dir.path().join("store").join(key.as_str());
    let week = Duration::from_secs(8 * 86_400);
    let old = std::time::SystemTime::now() - week;
    let open = std::fs::File::options().write(true).open(&file).unwrap();
    open.set_modified(old).unwrap();
    let inside = Inside::start(&bed, RATE, Mode::On, Duration::from_secs(86_400));
    wait_until("it is new", || {
        let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
        modified > old + week - Duration::from_secs(3600)
    });
    inside.end();
}

/// Agents that publish and go while collectors collect, again and again: what a Node names at the end is there.
#[test]
fn invariant_3_nothing_that_a_node_names_is_lost_however_collectors_and_agents_meet() {
    let bed = Bed::new(Version::Newest);
    let me = bed.id();
    let kernels: Vec<Kernel> = (0..2).map(|n| kernel(&format!("task{n}"))).collect();
    bed.node("a");
    bed.node("b");
    let api = Api::new(bed.client(), Metrics::new().unwrap());
    let until = Instant::now() + Duration::from_secs(15);
    let mut ended: Vec<Outcome> = Vec::new();
    let mut chance = fastrand::Rng::with_seed(7);
    let mut rounds = 0;
    while Instant::now() < until {
        rounds += 1;
        // One collector, and two agents of which each begins at some time during it.
        let (fence, clock) = (Fence::new(Instant::now()), Clock::default());
        let kernel = &kernels[chance.usize(..2)];
        let hands = Hands {
            store: &*bed.store,
            api: &api,
            me: &me,
            fence: &fence,
            clock: &clock,
        };
        let mut plan = Collection::new(kernel.digest, me.clone(), false);
        let pauses = [chance.u64(..60), chance.u64(..60)];
        let which = [chance.usize(..3), chance.usize(..3)];
        let agent = async |node: &'static str, pause: u64, which: usize| {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            match kernels.get(which) {
                // DESIGN: publish, patch the Node, look again.
                Some(kernel) => {
                    publish(&bed.store, kernel, &me).await;
                    say(&bed, node, &keys(kernel)).await;
                    publish(&bed.store, kernel, &me).await;
                }
                None => say(&bed, node, &Keys::default()).await,
            }
        };
        let (outcome, (), ()) = runtime().block_on(async {
            tokio::join!(
                hands.carry_out(&mut plan),
                agent("a", pauses[0], which[0]),
                agent("b", pauses[1], which[1]),
            )
        });
        ended.push(outcome.unwrap());
        let resumed = runtime()
            .block_on(hands.carry_out(&mut Resume::new(me.clone())))
            .unwrap();
        assert_eq!(resumed, Outcome::Resumed(0));
        for kernel in which.into_iter().filter_map(|which| kernels.get(which)) {
            // Invariants 1, 2 and 3; the reference is put back by the controller if an agent did not.
            let manifest = kernel.made.as_ref().unwrap().manifest.clone();
            runtime().block_on(async {
                read::btf(&*bed.store, &kernel.digest, None).await.unwrap();
                read::header(&*bed.store, &manifest.header_digest, None)
                    .await
                    .unwrap();
                let found = read::manifest(&*bed.store, &kernel.digest, manifest.generator).await;
                assert_eq!(found.unwrap(), manifest);
            });
            assert!(bed.has(&Object::Ref(kernel.digest, me.clone())));
        }
    }
    println!("{rounds} rounds");
    // It was no idle run.
    for outcome in [Outcome::Kept, Outcome::Collected] {
        assert!(ended.contains(&outcome), "{outcome:?} in {rounds} rounds");
    }
}

async fn publish(store: &Arc<dyn Store>, kernel: &Kernel, me: &Owner) {
    let names = [("amd64".parse().unwrap(), "6.1".parse().unwrap())];
    let manner = Manner::Agent {
        patience: Duration::ZERO,
        seed: 1,
    };
    // Whoever meets removals three times in one run is told to run again, which an agent does.
    loop {
        let published = publish_and_look(&**store, Contents::Kernel(kernel), me, &names, manner);
        match published.await {
            Ok(_) => return,
            Err(PublishError::Gone(_)) => {}
            Err(e) => panic!("{e}"),
        }
    }
}

/// As an agent says it; on another thread, since the test's client blocks.
async fn say(bed: &Bed, node: &'static str, said: &Keys) {
    let patch = json!({"metadata": {"annotations": said.annotations, "labels": said.labels}});
    let request = kube::core::Request::new("/api/v1/nodes").patch(
        node,
        &kube::api::PatchParams::default(),
        &kube::api::Patch::Merge(patch),
    );
    let client = bed.admin.client();
    let asked = btfleet::cluster::client::ask::<serde::de::IgnoredAny>(&client, request);
    asked.await.unwrap();
}

#[test]
fn a_collector_that_may_lead_no_longer_removes_nothing() {
    let bed = Bed::new(Version::Newest);
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    let before = bed.keys();
    let api = Api::new(bed.client(), Metrics::new().unwrap());
    let me = bed.id();
    let fence = Fence::new(Instant::now() - Duration::from_secs(11));
    let clock = Clock::default();
    let hands = Hands {
        store: &*bed.store,
        api: &api,
        me: &me,
        fence: &fence,
        clock: &clock,
    };
    let mut plan = Collection::new(kernel.digest, me.clone(), false);
    let outcome = runtime().block_on(hands.carry_out(&mut plan)).unwrap();
    assert!(matches!(outcome, Outcome::CutShort(_)), "{outcome:?}");
    assert_eq!(bed.keys(), before);
}
