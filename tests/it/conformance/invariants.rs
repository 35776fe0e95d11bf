//! The invariants that a store has a part in, by their numbers.

use super::Bed;
use super::kernels::{
    assert_no_half, assert_whole, cluster, done, hasty, keys, manifest, persist, put, small, twins,
    until_death, wanted,
};
use crate::support::stores::Fault;
use btfleet::artifact::{BtfDigest, Key, Object, compress};
use btfleet::store::{Done, Manner, look, read};
use bytes::Bytes;
use futures::future::join_all;
use std::sync::Arc;

/// At every moment: looked at after each single call of publishers that die, are answered with errors, or lose
/// replies.
pub async fn invariant_1_a_manifest_exists_only_if_both_blobs_do(bed: &Bed) {
    let owner = cluster("c1");
    for how in [Fault::DieAfter, Fault::LostReply, Fault::Error] {
        for step in 0..13 {
            // The second publisher comes when the first was stopped, of a kernel with the same header.
            for kernel in twins(&format!("{how:?}{step}")) {
                bed.store.plan(move |n, _| (n == step).then_some(how));
                until_death(&bed.store, &kernel, &owner, hasty(step)).await;
                assert_no_half(&*bed.plain, &kernel, std::slice::from_ref(&owner)).await;
            }
        }
    }
}

pub async fn invariant_3_what_a_reference_names_is_whole_whoever_dies(bed: &Bed) {
    let (dead, other) = (cluster("c1"), cluster("c2"));
    for step in 0..13 {
        let kernel = small(&format!("k{step}"));
        bed.store
            .plan(move |n, _| (n == step).then_some(Fault::DieAfter));
        assert!(until_death(&bed.store, &kernel, &dead, hasty(1)).await);
        bed.store.heal();
        // Nothing is without a reference, so that a collection spares it, and whoever is left makes it whole.
        assert_no_half(&*bed.plain, &kernel, std::slice::from_ref(&dead)).await;
        put(&*bed.store, &kernel, &other, hasty(2)).await.unwrap();
        assert_whole(&*bed.plain, &kernel, &other).await;
    }
}

pub async fn invariant_4_no_reader_hands_on_a_byte_it_has_not_checked(bed: &Bed) {
    let (kernel, owner) = (small("task"), cluster("c1"));
    let m = manifest(&kernel);
    put(&*bed.plain, &kernel, &owner, Manner::Thorough)
        .await
        .unwrap();
    for (at, object) in [
        (0, Object::Btf(kernel.digest)),
        (1, Object::Header(m.header_digest)),
    ] {
        let key = object.key();
        let right = bed.plain.get(&key, 1 << 20).await.unwrap().unwrap();
        let mut wrong: Vec<Bytes> = vec![
            Bytes::new(),
            Bytes::from("text"),
            compress(b"something else").unwrap().into(),
            [&right[..], &compress(b"and more").unwrap()]
                .concat()
                .into(),
        ];
        for n in 0..right.len() {
            let mut bytes = right.to_vec();
            bytes[n] ^= 1 << (n % 8);
            wrong.extend([bytes.into(), right.slice(..n)]);
        }
        let mut harmless = 0;
        for bytes in wrong {
            bed.plain.put(&key, bytes).await.unwrap();
            let read = match at {
                0 => read::btf(&*bed.plain, &kernel.digest, Some(m.btf_size)).await,
                _ => read::header(&*bed.plain, &m.header_digest, Some(m.header_size)).await,
            };
            match read {
                Err(e) => assert!(e.is_transient() && !e.is_missing(), "{e}"),
                // A bit that means nothing, in a frame's header: the contents are right all the same.
                Ok(bytes) if at == 0 => {
                    assert_eq!(BtfDigest::of(&bytes), kernel.digest);
                    harmless += 1;
                }
                Ok(bytes) => {
                    assert!(bytes == kernel.made.as_ref().unwrap().header);
                    harmless += 1;
                }
            }
        }
        assert!(harmless <= 8, "{harmless}");
        bed.plain.put(&key, right).await.unwrap();
    }
    assert_whole(&*bed.plain, &kernel, &owner).await;
}

pub async fn invariant_5_one_blob_per_digest_however_many_publish(bed: &Bed) {
    let kernels = Arc::new(twins("task"));
    let storm = (0..60u64).map(|n| {
        let (store, kernels) = (bed.store.clone(), kernels.clone());
        tokio::spawn(async move {
            let owner = cluster(["c1", "c2", "c3"][n as usize % 3]);
            let kernel = &kernels[n as usize % 2];
            match n % 5 {
                0 => put(&*store, kernel, &owner, Manner::Thorough)
                    .await
                    .unwrap(),
                _ => persist(&*store, kernel, &owner, n).await,
            };
        })
    });
    for publisher in join_all(storm).await {
        publisher.unwrap();
    }
    let count = async |folder| keys(&*bed.plain, Some(folder)).await.len();
    let counts = [
        count("btf/").await,
        count("headers/").await,
        count("kernels/").await,
    ];
    assert_eq!(counts, [2, 1, 2]);
    assert_eq!((count("refs/").await, count("index/").await), (6, 2));
}

pub async fn invariant_6_a_look_at_what_is_there_writes_nothing(bed: &Bed) {
    let (kernel, owner) = (small("task"), cluster("c1"));
    put(&*bed.plain, &kernel, &owner, Manner::agent(1))
        .await
        .unwrap();
    bed.store.heal();
    let there = look(&*bed.store, &wanted(&kernel, &owner)).await.unwrap();
    assert!(there.iter().all(Option::is_some));
    let counts = bed.store.counts();
    assert_eq!((counts.of("head"), counts.all()), (5, 5));
}

pub async fn invariant_7_a_store_wiped_in_any_part_is_whole_after_one_run(bed: &Bed) {
    let (kernel, owner) = (small("task"), cluster("c1"));
    let objects: Vec<Key> = wanted(&kernel, &owner).iter().map(Object::key).collect();
    for gone in 0..32u32 {
        persist(&*bed.plain, &kernel, &owner, 1).await;
        for (n, key) in objects.iter().enumerate() {
            if gone & (1 << n) != 0 {
                bed.plain.delete(key).await.unwrap();
            }
        }
        // What an agent's hourly look sees, and what it then does.
        let there = look(&*bed.store, &wanted(&kernel, &owner)).await.unwrap();
        let missing = there.iter().filter(|size| size.is_none()).count();
        assert_eq!(missing as u32, gone.count_ones());
        let steps = put(&*bed.store, &kernel, &owner, hasty(1)).await.unwrap();
        let wrote = done(&steps).iter().filter(|d| **d == Done::Wrote).count();
        assert_eq!(wrote, missing, "{gone:05b}");
        assert_whole(&*bed.plain, &kernel, &owner).await;
    }
}
