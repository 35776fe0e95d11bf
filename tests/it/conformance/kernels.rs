//! Kernels to publish, and how to see that they are.

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
pub fn twins() -> [Kernel; 2] {
    let twin = |noise: &str| {
        let mut tiny = Tiny::kernel();
        tiny.string(noise);
        tiny.record("task", &["one", "two"]);
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

/// Whatever manifests there are, their blobs are there too.
pub async fn assert_no_manifest_without_blobs(store: &dyn Store) {
    for key in keys(store, Some(Object::KERNELS)).await {
        let Some(Object::Manifest(btf, generator)) = Object::parse(&Key::new(&key).unwrap()) else {
            panic!("{key} is no manifest's");
        };
        let m = read::manifest(store, &btf, generator).await.unwrap();
        read::btf(store, &btf, Some(m.btf_size)).await.unwrap();
        let header = read::header(store, &m.header_digest, Some(m.header_size)).await;
        header.unwrap();
    }
}
