//! What publishing costs at a real S3 server: requests as they were sent, and every byte of them.

use super::kernels::{cluster, large, put, wanted};
use crate::support::stores::{Wire, new_place, options, versitygw};
use btfleet::store::{Manner, S3Options, look, open};
use futures::future::join_all;
use std::sync::Arc;

#[test]
fn requests_and_bytes_on_the_wire_stay_within_their_limits() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let wire = Wire::to(&versitygw().url());
        let options: S3Options = options(&wire.url());
        let store = open(&new_place(), &options).await.unwrap();
        let (kernel, owner) = (large(), cluster("c1"));
        let mut before = 0;
        let mut show = |what: &str| {
            let requests = options.counts.requests()
                - std::mem::replace(&mut before, options.counts.requests());
            let (up, down) = wire.take();
            println!("{what:32} {requests:3} requests, {up:7} bytes up, {down:6} down");
            (requests, up, down)
        };
        let steps = put(&*store, &kernel, &owner, Manner::agent(1))
            .await
            .unwrap();
        let stored: u64 = steps.iter().map(|step| step.size).sum();
        let (requests, up, down) = show("a new kernel");
        assert!(requests <= 14, "{requests}");
        // Its compressed bytes once, and what requests take.
        assert!(
            (stored..stored + (14 << 10)).contains(&up) && down < 8 << 10,
            "{stored}: {up} {down}"
        );
        put(&*store, &kernel, &owner, Manner::agent(2))
            .await
            .unwrap();
        let (requests, up, down) = show("a node whose kernel is known");
        assert!(
            requests <= 10 && up + down <= 12_000,
            "{requests}: {up} {down}"
        );
        put(&*store, &kernel, &cluster("c2"), Manner::agent(3))
            .await
            .unwrap();
        let (requests, up, down) = show("a cluster's first such node");
        assert!(
            requests <= 10 && up + down <= 12_000,
            "{requests}: {up} {down}"
        );
        look(&*store, &wanted(&kernel, &owner)).await.unwrap();
        let (requests, up, down) = show("an unchanged restart");
        assert!(
            requests <= 5 && up + down <= 7_000,
            "{requests}: {up} {down}"
        );

        let new = Arc::new(super::kernels::small("another"));
        let storm = (0..200u64).map(|seed| {
            let (store, kernel) = (store.clone(), new.clone());
            tokio::spawn(async move {
                let steps = put(&*store, &kernel, &cluster("c1"), Manner::agent(seed)).await;
                assert_eq!(steps.unwrap().len(), 5);
            })
        });
        for agent in join_all(storm).await {
            agent.unwrap();
        }
        let (requests, ..) = show("200 nodes of a new kernel");
        assert!(requests <= 200 * 14, "{requests}");
    });
}
