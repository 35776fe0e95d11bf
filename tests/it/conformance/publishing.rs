//! Publishing with nothing in the way.

use super::Bed;
use super::kernels::{
    assert_whole, cluster, done, keys, large, manifest, names, put, small, twins, wanted,
};
use btfleet::artifact::{HeaderDigest, Object, Owner};
use btfleet::store::{Contents, Done, Kernel, Manner, look, publish, read};
use bytes::Bytes;
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;

pub async fn a_new_kernel_is_whole_and_a_second_run_writes_nothing(bed: &Bed) {
    for manner in [Manner::Thorough, Manner::agent(1)] {
        let kernel = small(&format!("{manner:?}").replace([' ', ':', '{', '}', ','], "_"));
        let owner = cluster("c1");
        let steps = put(&*bed.store, &kernel, &owner, manner).await.unwrap();
        assert_eq!(done(&steps), [Done::Wrote; 5], "{steps:?}");
        let order: Vec<Object> = steps.iter().map(|step| step.object.clone()).collect();
        assert_eq!(order, wanted(&kernel, &owner));
        assert_whole(&*bed.plain, &kernel, &owner).await;
        bed.store.heal();
        let steps = put(&*bed.store, &kernel, &owner, manner).await.unwrap();
        assert_eq!(done(&steps), [Done::Present; 5], "{steps:?}");
        assert_eq!(
            (bed.store.counts().sent, bed.store.counts().of("put")),
            (0, 0)
        );
        let sizes: Vec<u64> = steps.iter().map(|step| step.size).collect();
        let there = look(&*bed.plain, &order).await.unwrap();
        assert_eq!(
            sizes,
            there.iter().map(|size| size.unwrap()).collect::<Vec<_>>()
        );
    }
}

pub async fn two_kernels_share_a_header(bed: &Bed) {
    let [a, b] = twins("task");
    assert_ne!(a.digest, b.digest);
    assert_eq!(manifest(&a).header_digest, manifest(&b).header_digest);
    let owner = cluster("c1");
    put(&*bed.store, &a, &owner, Manner::agent(1))
        .await
        .unwrap();
    let steps = put(&*bed.store, &b, &owner, Manner::agent(2))
        .await
        .unwrap();
    let want = [
        Done::Wrote,
        Done::Wrote,
        Done::Present,
        Done::Wrote,
        Done::Wrote,
    ];
    assert_eq!(done(&steps), want);
    assert_eq!(keys(&*bed.plain, Some(Object::HEADERS)).await.len(), 1);
    assert_whole(&*bed.plain, &a, &owner).await;
    assert_whole(&*bed.plain, &b, &owner).await;
}

pub async fn btf_that_cannot_be_read_is_stored_as_it_is(bed: &Bed) {
    let kernel = Kernel::raw(Bytes::from("\u{9f}no BTF that anybody can read"));
    let owner = cluster("c1");
    for (manner, want) in [
        (Manner::agent(1), Done::Wrote),
        (Manner::agent(2), Done::Present),
        (Manner::Thorough, Done::Present),
    ] {
        let steps = put(&*bed.store, &kernel, &owner, manner).await.unwrap();
        assert_eq!(done(&steps), [want; 3], "{manner:?}");
        assert_whole(&*bed.plain, &kernel, &owner).await;
    }
    assert_eq!(keys(&*bed.plain, None).await.len(), 3);
    // Others' agents wait for whoever made the reference here too.
    bed.plain
        .delete(&Object::Btf(kernel.digest).key())
        .await
        .unwrap();
    let waiting = put(&*bed.store, &kernel, &owner, Manner::agent(3));
    let publish = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let other = cluster("c2");
        put(&*bed.plain, &kernel, &other, Manner::agent(4))
            .await
            .unwrap()
    };
    let (waited, published) = tokio::join!(waiting, publish);
    assert_eq!(done(&waited.unwrap()), [Done::Present; 3]);
    assert_eq!(done(&published), [Done::Wrote, Done::Wrote, Done::Present]);
}

pub async fn a_person_repairs_what_an_agent_leaves(bed: &Bed) {
    let kernel = small("task");
    let m = manifest(&kernel).clone();
    let owner = Owner::pin("local").unwrap();
    let objects = wanted(&kernel, &owner);
    let other = Bytes::from(btfleet::artifact::compress(b"something else").unwrap());
    let mut lie = m.clone();
    lie.header_digest = HeaderDigest::of(b"another");
    let damage: [(&str, usize, Bytes); 9] = [
        ("an empty BTF", 1, Bytes::new()),
        ("no zstd", 1, Bytes::from("text")),
        ("another BTF", 1, other.clone()),
        ("a BTF that is too large", 1, vec![0; 9 << 20].into()),
        ("another header", 2, other.clone()),
        ("a manifest of another header", 3, lie.to_json().into()),
        ("no manifest", 3, Bytes::from("{")),
        (
            "a manifest that is too large",
            3,
            vec![b' '; 1 << 20].into(),
        ),
        ("an index entry with contents", 4, Bytes::from("x")),
    ];
    put(&*bed.plain, &kernel, &owner, Manner::Thorough)
        .await
        .unwrap();
    for (what, at, bytes) in damage {
        let key = objects[at].key();
        bed.plain.put(&key, bytes.clone()).await.unwrap();
        let agents = put(&*bed.store, &kernel, &owner, Manner::agent(1)).await;
        let mut want = [Done::Present; 5];
        if at == 3 {
            want[at] = Done::Disagrees;
        }
        assert_eq!(done(&agents.unwrap()), want, "{what}");
        let left = bed.plain.get(&key, 16 << 20).await.unwrap().unwrap();
        assert!(left == bytes, "{what}: an agent changed it");
        let steps = put(&*bed.store, &kernel, &owner, Manner::Thorough).await;
        let mut want = [Done::Present; 5];
        want[at] = Done::Replaced;
        assert_eq!(done(&steps.unwrap()), want, "{what}");
        assert_whole(&*bed.plain, &kernel, &owner).await;
    }
}

pub async fn a_manifest_that_disagrees_is_left_by_agents_and_told(bed: &Bed) {
    let kernel = small("task");
    let (other, owner) = (small("other"), cluster("c1"));
    let mut lie = manifest(&other).clone();
    lie.btf_digest = kernel.digest;
    let key = lie.object().key();
    bed.plain.put(&key, lie.to_json().into()).await.unwrap();
    let steps = put(&*bed.store, &kernel, &owner, Manner::agent(1))
        .await
        .unwrap();
    let want = [
        Done::Wrote,
        Done::Wrote,
        Done::Wrote,
        Done::Disagrees,
        Done::Wrote,
    ];
    assert_eq!(done(&steps), want);
    let left = bed.plain.get(&key, 1 << 16).await.unwrap().unwrap();
    assert_eq!(left, lie.to_json());
    // Its own blobs are there for whoever knows their digests: its Node does.
    let m = manifest(&kernel);
    let header = read::header(&*bed.plain, &m.header_digest, None).await;
    assert!(header.unwrap() == kernel.made.as_ref().unwrap().header);
}

pub async fn a_kernel_of_another_cluster_needs_no_bytes(bed: &Bed) {
    let kernel = small("task");
    put(&*bed.plain, &kernel, &cluster("c1"), Manner::agent(1))
        .await
        .unwrap();
    let other = cluster("c2");
    let steps = put(&*bed.store, &kernel, &other, Manner::agent(2))
        .await
        .unwrap();
    let mut want = [Done::Present; 5];
    want[0] = Done::Wrote;
    assert_eq!(done(&steps), want);
    assert_eq!(bed.store.counts().sent, 0);
    let refs = keys(&*bed.plain, Some(Object::REFS)).await;
    assert_eq!(refs.len(), 2, "{refs:?}");
}

/// Publishes as that many agents at once, each for itself.
async fn storm(bed: &Bed, kernel: &Arc<Kernel>, agents: u64) {
    let storm = (0..agents).map(|seed| {
        let (store, kernel) = (bed.store.clone(), kernel.clone());
        tokio::spawn(async move {
            let owner = cluster("c1");
            let steps = put(&*store, &kernel, &owner, Manner::agent(seed))
                .await
                .unwrap();
            assert_eq!(steps.len(), 5);
        })
    });
    for agent in join_all(storm).await {
        agent.unwrap();
    }
    assert_whole(&*bed.plain, kernel, &cluster("c1")).await;
    assert_eq!(keys(&*bed.plain, None).await.len(), 5, "one object each");
}

pub async fn two_hundred_publishers_send_each_blob_once(bed: &Bed) {
    let kernel = Arc::new(large());
    bed.store.slow_down(Duration::from_secs(1));
    let start = tokio::time::Instant::now();
    storm(bed, &kernel, 200).await;
    let counts = bed.store.counts();
    println!("200 publishers: {counts:?} in {:?}", start.elapsed());
    for folder in ["btf", "headers", "kernels"] {
        let sent = counts.bodies[folder];
        // Whoever is told to have made the reference uploads. A server that tells it to all of them, its
        // conditional write being two steps, gets it from all of them.
        assert!(sent == 1 || (sent <= 200 && bed.lax), "{counts:?}");
    }
    assert!(counts.all() <= 200 * 14, "{counts:?}");
}

pub async fn when_the_first_publisher_dies_a_few_take_over(bed: &Bed) {
    let kernel = Arc::new(large());
    // It made the reference, and is gone.
    let object = Object::Ref(kernel.digest, cluster("c1"));
    bed.plain.put(&object.key(), Bytes::new()).await.unwrap();
    bed.store.slow_down(Duration::from_millis(500));
    let start = tokio::time::Instant::now();
    storm(bed, &kernel, 200).await;
    let counts = bed.store.counts();
    println!(
        "200 publishers, the first dead: {counts:?} in {:?}",
        start.elapsed()
    );
    assert!(counts.bodies["btf"] <= 10, "{counts:?}");
    assert!(start.elapsed() < Duration::from_secs(25));
}

#[test]
fn what_is_not_transient_ends_publishing() {
    // A folder that is a file: no use in trying again.
    let dir = tempfile::tempdir().unwrap();
    let store = btfleet::store::FsStore::open(dir.path().join("s").to_str().unwrap()).unwrap();
    std::fs::create_dir(dir.path().join("s")).unwrap();
    std::fs::write(dir.path().join("s/refs"), b"").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let kernel = small("task");
    let e = runtime.block_on(async {
        let (what, owner) = (Contents::Kernel(&kernel), cluster("c1"));
        publish(&store, what, &owner, &names(), Manner::Thorough).await
    });
    let e = e.unwrap_err();
    assert!(!e.is_transient(), "{e}");
}
