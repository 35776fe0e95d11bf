//! How much publishing asks of a store: requests and bytes, counted.

use super::Bed;
use super::kernels::{cluster, large, put, wanted};
use btfleet::store::{Manner, look};

pub async fn requests_and_bytes_stay_within_their_limits(bed: &Bed) {
    let (kernel, owner) = (large(), cluster("c1"));
    let show = |what: &str| {
        let counts = bed.store.counts();
        println!(
            "{what:32} {:3} requests, {:8} bytes sent, {:6} received  {:?}",
            counts.all(),
            counts.sent,
            counts.received,
            counts.requests
        );
        counts
    };
    let steps = put(&*bed.store, &kernel, &owner, Manner::agent(1))
        .await
        .unwrap();
    let new = show("a new kernel");
    let stored: u64 = steps.iter().map(|step| step.size).sum();
    assert!(new.all() <= 14, "{new:?}");
    assert_eq!((new.sent, new.received), (stored, 0), "its bytes once");

    bed.store.heal();
    put(&*bed.store, &kernel, &owner, Manner::agent(2))
        .await
        .unwrap();
    let known = show("a node whose kernel is known");
    assert!(known.all() <= 10, "{known:?}");
    assert!(known.sent == 0 && known.received < 1000, "{known:?}");

    bed.store.heal();
    put(&*bed.store, &kernel, &cluster("c2"), Manner::agent(3))
        .await
        .unwrap();
    let other = show("a cluster's first such node");
    assert!(other.all() <= 10 && other.sent == 0, "{other:?}");

    bed.store.heal();
    look(&*bed.store, &wanted(&kernel, &owner)).await.unwrap();
    let restart = show("an unchanged restart");
    assert!(restart.all() <= 5, "{restart:?}");
    assert_eq!((restart.sent, restart.received), (0, 0));
}
