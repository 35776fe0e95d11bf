//! Kernels to publish, and how to see that they are.

use crate::support::stores::Faulty;
use crate::tool::{Tiny, large_kernel, small_kernel};
use btfleet::artifact::{Arch, Generator, HeaderDigest, Key, Manifest, Object, Owner, Release};
use btfleet::store::{
    Contents, Done, Kernel, Manner, PublishError, Step, Store, look, objects, publish_and_look,
    read,
};
use futures::stream::TryStreamExt;
use std::time::Duration;

pub fn small(name: &str) -> Kernel {
    Kernel::new(small_kernel(name).into()).unwrap()
}

/// One whose blobs are a few hundred kilobytes.
pub fn large() -> Kernel {
    Kernel::new(large_kernel(10_000).into()).unwrap()
}

/// Two kernels of different BTF and one header.
pub fn twins(name: &str) -> [Kernel; 2] {
    let twin = |noise: &str| {
        let mut tiny = Tiny::kernel();
        tiny.string(noise);
        tiny.record(name, &["one", "two"]);
        Kernel::new(tiny.bytes().into()).unwrap()
    };
    [twin("noise"), twin("other noise")]
}

pub fn cluster(name: &str) -> Owner {
    name.parse().unwrap()
}

pub fn names() -> Vec<(Arch, Release)> {
    vec![("amd64".parse().unwrap(), "6.1+x~1".parse().unwrap())]
}

pub fn manifest(kernel: &Kernel) -> &Manifest {
    &kernel.made.as_ref().unwrap().manifest
}

/// An agent that waits for others no longer than a test can.
pub fn hasty(seed: u64) -> Manner {
    Manner::Agent {
        patience: Duration::from_millis(50),
        seed,
    }
}

/// All objects that a published kernel has.
pub fn wanted(kernel: &Kernel, owner: &Owner) -> Vec<Object> {
    let header = kernel.made.as_ref().map(|made| &made.manifest);
    let header = header.map(|m| (m.header_digest, m.generator));
    objects(owner, kernel.digest, header, &names())
}

pub async fn put(
    store: &dyn Store,
    kernel: &Kernel,
    owner: &Owner,
    manner: Manner,
) -> Result<Vec<Step>, PublishError> {
    publish_and_look(store, Contents::Kernel(kernel), owner, &names(), manner).await
}

/// Publishes as an agent does: what is transient is tried again, for as long as it takes.
pub async fn persist(store: &dyn Store, kernel: &Kernel, owner: &Owner, seed: u64) -> Vec<Step> {
    for n in 0..1000 {
        match put(store, kernel, owner, hasty(seed + n)).await {
            Ok(steps) => return steps,
            Err(e) => assert!(e.is_transient(), "{e}"),
        }
    }
    panic!("a thousand tries were not enough");
}

/// What became of each object, in order.
pub fn done(steps: &[Step]) -> Vec<Done> {
    steps.iter().map(|step| step.done).collect()
}

/// Everything is there, and is what it should be.
pub async fn assert_whole(store: &dyn Store, kernel: &Kernel, owner: &Owner) {
    let wanted = wanted(kernel, owner);
    let there = look(store, &wanted).await.unwrap();
    for (object, there) in wanted.iter().zip(there) {
        assert!(there.is_some(), "{} is missing", object.key());
    }
    let btf = read::btf(store, &kernel.digest, None).await.unwrap();
    assert!(btf == kernel.btf);
    let Some(made) = &kernel.made else { return };
    let m = &made.manifest;
    let header = read::header(store, &m.header_digest, Some(m.header_size)).await;
    assert!(header.unwrap() == made.header);
    assert_eq!(HeaderDigest::of(&made.header), m.header_digest);
    let there = read::manifest(store, &kernel.digest, Generator::OWN).await;
    assert_eq!(there.unwrap(), *m);
}

/// All keys, in the order in which they are listed.
pub async fn keys(store: &dyn Store, folder: Option<&str>) -> Vec<String> {
    let folder = folder.map(|folder| Key::new(folder).unwrap());
    let entries = store.list(folder.as_ref());
    let entries: Vec<_> = entries.try_collect().await.unwrap();
    entries.iter().map(|entry| entry.key.to_string()).collect()
}

/// Publishes until it is done, fails or dies; gives whether it died.
pub async fn until_death(store: &Faulty, kernel: &Kernel, owner: &Owner, manner: Manner) -> bool {
    tokio::select! {
        biased;
        _ = put(store, kernel, owner, manner) => false,
        () = store.died() => true,
    }
}

/// If there is a manifest, its blobs are there too; and if anything is there, a reference is.
pub async fn assert_no_half(store: &dyn Store, kernel: &Kernel, owners: &[Owner]) {
    let m = manifest(kernel);
    if let Ok(there) = read::manifest(store, &m.btf_digest, m.generator).await {
        assert_eq!(there, *m);
        read::btf(store, &m.btf_digest, Some(m.btf_size))
            .await
            .unwrap();
        let header = read::header(store, &m.header_digest, Some(m.header_size)).await;
        header.unwrap();
    }
    let refs: Vec<Object> = owners
        .iter()
        .map(|owner| Object::Ref(kernel.digest, owner.clone()))
        .collect();
    let refs = look(store, &refs).await.unwrap();
    let btf = look(store, &[Object::Btf(kernel.digest)]).await.unwrap();
    assert!(
        btf == [None] || refs.iter().any(Option::is_some),
        "no reference"
    );
}
