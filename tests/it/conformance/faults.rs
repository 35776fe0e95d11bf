//! Publishing while calls fail, answers are lost, publishers die and objects vanish.

use super::Bed;
use super::kernels::{
    assert_no_half, assert_whole, cluster, hasty, keys, large, persist, put, small, until_death,
    wanted,
};
use crate::support::stores::Fault;
use btfleet::artifact::Object;
use btfleet::store::{Manner, PublishError, Store, look};

/// Everything out of the store.
pub async fn wipe(store: &dyn Store) {
    for key in keys(store, None).await {
        let key = btfleet::artifact::Key::new(&key).unwrap();
        store.delete(&key).await.unwrap();
    }
}

pub async fn a_crash_between_any_two_steps_is_healed_by_the_next_run(bed: &Bed) {
    let owner = cluster("c1");
    let mut crashes = 0;
    for (who, manner) in [("person", Manner::Thorough), ("agent", hasty(1))] {
        for how in [Fault::DieBefore, Fault::DieAfter] {
            for step in 0.. {
                let kernel = small(&format!("{who}{how:?}{step}"));
                bed.store.plan(move |n, _| (n == step).then_some(how));
                let died = until_death(&bed.store, &kernel, &owner, manner).await;
                bed.store.heal();
                if !died {
                    break;
                }
                crashes += 1;
                assert_no_half(&*bed.plain, &kernel, std::slice::from_ref(&owner)).await;
                put(&*bed.store, &kernel, &owner, hasty(2)).await.unwrap();
                assert_whole(&*bed.plain, &kernel, &owner).await;
            }
        }
    }
    // Five objects written and looked at, by two kinds of publishers, before and after.
    assert!(crashes >= 4 * 13, "{crashes}");
    println!("{crashes} crashes, each healed by the next run");
}

pub async fn a_lost_reply_to_any_call_does_no_harm(bed: &Bed) {
    let (kernel, owner) = (small("task"), cluster("c1"));
    let mut lost = 0;
    for step in 0.. {
        wipe(&*bed.plain).await;
        bed.store
            .plan(move |n, _| (n == step).then_some(Fault::LostReply));
        match put(&*bed.store, &kernel, &owner, hasty(1)).await {
            Ok(_) if bed.store.counts().all() <= step => break,
            Ok(_) => panic!("step {step}: the error was swallowed"),
            Err(e) => assert!(e.is_transient(), "step {step}: {e}"),
        }
        lost += 1;
        put(&*bed.store, &kernel, &owner, hasty(2)).await.unwrap();
        assert_whole(&*bed.plain, &kernel, &owner).await;
        assert_eq!(keys(&*bed.plain, None).await.len(), 5);
    }
    assert!(lost >= 12, "{lost}");
    println!("{lost} replies lost");
}

pub async fn errors_and_time_outs_are_outlasted(bed: &Bed) {
    let owner = cluster("c1");
    // One call in three goes wrong, in an order without a pattern.
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let paused = bed.paused;
    let mut chance = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    bed.store.plan(move |_, _| match chance() % 12 {
        0 | 1 => Some(Fault::Error),
        2 => Some(Fault::LostReply),
        3 if paused => Some(Fault::TimeOut),
        _ => None,
    });
    for n in 0..20 {
        let kernel = small(&format!("k{n}"));
        persist(&*bed.store, &kernel, &owner, n).await;
        assert_whole(&*bed.plain, &kernel, &owner).await;
    }
    println!("{:?}", bed.store.counts().requests);
    assert_eq!(keys(&*bed.plain, Some(Object::REFS)).await.len(), 20);
}

pub async fn stale_listings_do_not_touch_publishing(bed: &Bed) {
    let (kernel, owner) = (small("task"), cluster("c1"));
    bed.store.freeze_lists().await;
    put(&*bed.store, &kernel, &owner, hasty(1)).await.unwrap();
    assert_eq!(keys(&*bed.store, None).await, [] as [&str; 0], "stale");
    put(&*bed.store, &kernel, &owner, Manner::Thorough)
        .await
        .unwrap();
    assert_whole(&*bed.plain, &kernel, &owner).await;
    assert_eq!(bed.store.counts().of("list"), 1, "the test's own");
}

pub async fn what_vanishes_while_publishing_is_put_back(bed: &Bed) {
    let (kernel, owner) = (small("task"), cluster("c1"));
    put(&*bed.store, &kernel, &owner, hasty(1)).await.unwrap();
    let all = bed.store.counts().all();
    // Before anything that comes after the object was written, and the last look is all that can notice.
    for (n, object) in (0..).zip(wanted(&kernel, &owner)) {
        for call in all - 7 + u64::from(n == 4)..all - 5 {
            wipe(&*bed.plain).await;
            bed.store.heal();
            bed.store.vanish(call, object.key());
            put(&*bed.store, &kernel, &owner, hasty(1)).await.unwrap();
            assert_whole(&*bed.plain, &kernel, &owner).await;
        }
    }
}

pub async fn a_store_that_loses_what_it_is_given_is_told(bed: &Bed) {
    let (kernel, owner) = (large(), cluster("c1"));
    bed.store.plan(|_, _| Some(Fault::Swallow));
    let e = put(&*bed.store, &kernel, &owner, hasty(1)).await;
    let e = e.unwrap_err();
    assert!(matches!(e, PublishError::Gone(_)), "{e}");
    assert!(
        e.to_string().contains("is something else removing objects"),
        "{e}"
    );
    assert_eq!(keys(&*bed.plain, None).await, [] as [&str; 0]);
}

pub async fn a_look_asks_for_the_reference_and_for_nothing_before_it_is_seen(bed: &Bed) {
    let (kernel, owner) = (small("task"), cluster("c1"));
    put(&*bed.plain, &kernel, &owner, hasty(1)).await.unwrap();
    let objects = wanted(&kernel, &owner);
    assert!(matches!(objects[0], Object::Ref(..)), "{objects:?}");
    bed.store.plan(|n, _| (n == 0).then_some(Fault::DieBefore));
    tokio::select! {
        _ = look(&*bed.store, &objects) => panic!("nobody answered"),
        () = bed.store.died() => {}
    }
    // Without the first answer none of the others was asked for.
    assert_eq!(bed.store.counts().all(), 1, "{:?}", bed.store.counts());
}
