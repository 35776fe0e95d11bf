//! What verification finds in a store, and what it does about it.

use crate::support::stores::{Fault, Faulty, MemoryStore};
use crate::tool::small_kernel;
use btfleet::artifact::{BtfDigest, Generator, HeaderDigest, Manifest, Object, compress};
use btfleet::controller::status::Because;
use btfleet::controller::{Repair, Verification, VerifyError, verify};
use btfleet::store::{Contents, Kernel, Manner, Store, publish_and_look, read};
use futures::TryStreamExt;
use std::sync::Arc;
use std::time::SystemTime;

fn kernel() -> Kernel {
    Kernel::new(small_kernel("task").into()).unwrap()
}

fn manifest(kernel: &Kernel) -> Manifest {
    kernel.made.as_ref().unwrap().manifest.clone()
}

async fn published(kernel: &Kernel) -> MemoryStore {
    let store = MemoryStore::default();
    let me = "c1".parse().unwrap();
    publish_and_look(&store, Contents::Kernel(kernel), &me, &[], Manner::agent(1))
        .await
        .unwrap();
    store
}

async fn put(store: &dyn Store, object: &Object, bytes: &[u8]) {
    let body = bytes.to_vec().into();
    store.put(&object.key(), body).await.unwrap();
}

async fn has(store: &dyn Store, object: &Object) -> bool {
    store.head(&object.key()).await.unwrap().is_some()
}

async fn verified(store: &dyn Store, kernel: &BtfDigest) -> Verification {
    let now = SystemTime::now();
    verify(store, *kernel, now, &|| true).await.unwrap()
}

/// Everything in the store, by key.
async fn all(store: &dyn Store) -> Vec<(String, Vec<u8>)> {
    let entries: Vec<_> = store.list(None).try_collect().await.unwrap();
    let mut all = Vec::new();
    for entry in entries {
        let bytes = store.get(&entry.key, 1 << 20).await.unwrap().unwrap();
        all.push((entry.key.to_string(), bytes.to_vec()));
    }
    all
}

/// Invariants 1 and 4, at rest.
async fn is_sound(store: &dyn Store) {
    for (key, _) in all(store).await {
        let key = btfleet::artifact::Key::new(&key).unwrap();
        match Object::parse(&key) {
            Some(Object::Manifest(btf, generator)) => {
                let manifest = read::manifest(store, &btf, generator).await.unwrap();
                read::btf(store, &btf, None).await.unwrap();
                read::header(store, &manifest.header_digest, None)
                    .await
                    .unwrap();
            }
            Some(Object::Btf(btf)) => {
                read::btf(store, &btf, None).await.unwrap();
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_kernel_that_is_in_order_is_verified_and_nothing_is_written() {
    let kernel = kernel();
    let store = Faulty::new(Arc::new(published(&kernel).await));
    let found = verified(&store, &kernel.digest).await;
    assert!(found.verdict.stored.holds && found.verdict.verified.holds);
    assert_eq!((found.repairs.len(), found.made.len()), (0, 0));
    assert_eq!(found.verdict.btf_size, Some(kernel.btf.len() as u64));
    let headers = found.verdict.headers.unwrap();
    assert_eq!(headers.len(), 1);
    assert_eq!(
        headers[0].digest,
        manifest(&kernel).header_digest.to_string()
    );
    let counts = store.counts();
    let writes = ["put", "put-if-absent", "delete"].map(|kind| counts.of(kind));
    assert_eq!(writes, [0, 0, 0]);
}

#[tokio::test]
async fn whatever_is_wrong_or_missing_beside_a_right_btf_is_made_anew() {
    let kernel = kernel();
    let m = manifest(&kernel);
    let other = Kernel::new(small_kernel("other").into()).unwrap();
    let own = m.object();
    let header = Object::Header(m.header_digest);
    let lies = |change: &dyn Fn(&mut Manifest)| {
        let mut lie = m.clone();
        change(&mut lie);
        Some(lie.to_json())
    };
    let cases: Vec<(&str, Object, Option<Vec<u8>>)> = vec![
        ("no manifest", own.clone(), None),
        ("no header", header.clone(), None),
        ("garbage for a manifest", own.clone(), Some(b"{".to_vec())),
        ("an empty manifest", own.clone(), Some(vec![])),
        ("a huge manifest", own.clone(), Some(vec![b' '; 1 << 17])),
        (
            "a manifest of another header",
            own.clone(),
            lies(&|m| m.header_digest = manifest(&other).header_digest),
        ),
        (
            "a manifest with another size",
            own.clone(),
            lies(&|m| m.btf_size += 1),
        ),
        (
            "a manifest whose header is tiny",
            own.clone(),
            lies(&|m| m.header_size = 1),
        ),
        (
            "a manifest of 4-byte pointers",
            own.clone(),
            lies(&|m| m.pointer_size = 4),
        ),
        (
            "another header",
            header.clone(),
            Some(compress(b"int evil;").unwrap()),
        ),
        ("garbage for a header", header.clone(), Some(vec![7; 100])),
        (
            "a bomb for a header",
            header.clone(),
            Some(compress(&vec![0; 64 << 20]).unwrap()),
        ),
    ];
    let right = all(&published(&kernel).await).await;
    for (name, object, bytes) in cases {
        let store = published(&kernel).await;
        match &bytes {
            Some(bytes) => put(&store, &object, bytes).await,
            None => store.delete(&object.key()).await.unwrap(),
        }
        let found = verified(&store, &kernel.digest).await;
        assert!(found.verdict.verified.holds, "{name}");
        // What was absent is no failure; what was wrong is one.
        let expected = (usize::from(bytes.is_some()), usize::from(bytes.is_none()));
        assert_eq!((found.repairs.len(), found.made.len()), expected, "{name}");
        assert_eq!(all(&store).await, right, "{name}");
        let again = verified(&store, &kernel.digest).await;
        assert_eq!((again.repairs.len(), again.made.len()), (0, 0), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_btf_loses_its_manifests_and_then_itself() {
    let kernel = kernel();
    for bytes in [
        compress(b"other bytes").unwrap(),
        b"garbage".to_vec(),
        vec![],
        compress(&vec![0; 300 << 20]).unwrap(),
    ] {
        let store = Arc::new(published(&kernel).await);
        put(&*store, &Object::Btf(kernel.digest), &bytes).await;
        let faulty = Faulty::new(store.clone());
        let found = verified(&faulty, &kernel.digest).await;
        assert!(!found.verdict.verified.holds && !found.verdict.stored.holds);
        assert_eq!(found.verdict.verified.reason, Because::BtfWrong);
        assert!(
            matches!(found.repairs[..], [Repair::RemovedBtf(_)]),
            "{:?}",
            found.repairs
        );
        assert!(!has(&*store, &Object::Btf(kernel.digest)).await);
        assert!(!has(&*store, &manifest(&kernel).object()).await);
        is_sound(&*store).await;
        // If it dies after the first removal, it is the manifest that is gone.
        let store = Arc::new(published(&kernel).await);
        put(&*store, &Object::Btf(kernel.digest), &bytes).await;
        let faulty = Faulty::new(store.clone());
        let mut deletes = 0;
        faulty.plan(move |_, kind| {
            deletes += u32::from(kind == "delete");
            (kind == "delete" && deletes == 2).then_some(Fault::Error)
        });
        let cut = verify(&faulty, kernel.digest, SystemTime::now(), &|| true).await;
        assert!(matches!(cut, Err(VerifyError::Store(_))));
        assert!(!has(&*store, &manifest(&kernel).object()).await);
        // The agents' next look: BTF and manifest come back.
        let found = verified(&*store, &kernel.digest).await;
        assert_eq!(found.verdict.verified.reason, Because::BtfWrong);
        let me = "c1".parse().unwrap();
        let back = Contents::Kernel(&kernel);
        publish_and_look(&*store, back, &me, &[], Manner::agent(1))
            .await
            .unwrap();
        assert!(
            verified(&*store, &kernel.digest)
                .await
                .verdict
                .verified
                .holds
        );
    }
}

#[tokio::test]
async fn without_its_btf_a_manifest_is_removed() {
    let kernel = kernel();
    let store = published(&kernel).await;
    store
        .delete(&Object::Btf(kernel.digest).key())
        .await
        .unwrap();
    let found = verified(&store, &kernel.digest).await;
    assert_eq!(found.verdict.stored.reason, Because::BtfMissing);
    assert!(!has(&store, &manifest(&kernel).object()).await);
    is_sound(&store).await;
}

#[tokio::test]
async fn btf_that_cannot_be_read_is_kept_and_has_no_manifest() {
    let mut blob = small_kernel("task");
    blob.truncate(blob.len() - 3);
    let kernel = Kernel::raw(blob.into());
    let store = MemoryStore::default();
    let me = "c1".parse().unwrap();
    publish_and_look(
        &store,
        Contents::Kernel(&kernel),
        &me,
        &[],
        Manner::agent(1),
    )
    .await
    .unwrap();
    let found = verified(&store, &kernel.digest).await;
    assert_eq!(found.verdict.verified.reason, Because::Unreadable);
    assert!(found.verdict.verified.holds && found.verdict.stored.holds);
    assert_eq!((found.repairs.len(), found.made.len()), (0, 0));
    // Somebody writes one all the same.
    let mut lie = manifest(&self::kernel());
    lie.btf_digest = kernel.digest;
    put(&store, &lie.object(), &lie.to_json()).await;
    let found = verified(&store, &kernel.digest).await;
    assert_eq!(found.repairs.len(), 1);
    assert!(!has(&store, &lie.object()).await);
    assert!(has(&store, &Object::Btf(kernel.digest)).await);
}

#[tokio::test]
async fn other_generators_headers_are_checked_by_their_digests() {
    let kernel = kernel();
    let newer = Generator::new(u32::from(Generator::OWN) + 7).unwrap();
    let text = b"/* a header of another generator */\n";
    let mut foreign = manifest(&kernel);
    foreign.generator = newer;
    foreign.header_digest = HeaderDigest::of(text);
    foreign.header_size = text.len() as u64;
    let blob = Object::Header(foreign.header_digest);
    let good = async || {
        let store = published(&kernel).await;
        put(&store, &blob, &compress(text).unwrap()).await;
        put(&store, &foreign.object(), &foreign.to_json()).await;
        store
    };
    let store = good().await;
    let found = verified(&store, &kernel.digest).await;
    assert_eq!(found.repairs, []);
    let generators = |found: &Verification| {
        let headers = found.verdict.headers.clone().unwrap();
        headers.iter().map(|h| h.generator).collect::<Vec<_>>()
    };
    let own = i64::from(u32::from(Generator::OWN));
    assert_eq!(generators(&found), [own + 7, own]);

    // A wrong blob, none, and a manifest that lies.
    let store = good().await;
    put(&store, &blob, &compress(b"int evil;").unwrap()).await;
    let found = verified(&store, &kernel.digest).await;
    assert_eq!(generators(&found), [own]);
    assert!(!has(&store, &blob).await && !has(&store, &foreign.object()).await);
    is_sound(&store).await;
    let store = good().await;
    store.delete(&blob.key()).await.unwrap();
    assert_eq!(generators(&verified(&store, &kernel.digest).await), [own]);
    assert!(!has(&store, &foreign.object()).await);
    let store = good().await;
    let mut lie = foreign.clone();
    lie.header_size = 1;
    put(&store, &lie.object(), &lie.to_json()).await;
    assert_eq!(generators(&verified(&store, &kernel.digest).await), [own]);
    // The right header was not taken for a wrong one on the manifest's word.
    assert!(has(&store, &blob).await && !has(&store, &foreign.object()).await);
    assert!(has(&store, &manifest(&kernel).object()).await);
}

#[tokio::test]
async fn nothing_is_written_by_who_may_lead_no_longer() {
    let kernel = kernel();
    let wrong = compress(b"other bytes").unwrap();
    for (object, bytes) in [
        (Object::Btf(kernel.digest), Some(&wrong)),
        (manifest(&kernel).object(), None),
        (Object::Header(manifest(&kernel).header_digest), None),
    ] {
        let store = published(&kernel).await;
        match bytes {
            Some(bytes) => put(&store, &object, bytes).await,
            None => store.delete(&object.key()).await.unwrap(),
        }
        let before = all(&store).await;
        let done = verify(&store, kernel.digest, SystemTime::now(), &|| false).await;
        assert!(matches!(done, Err(VerifyError::NotLeading)), "{object:?}");
        assert_eq!(all(&store).await, before);
    }
}

#[tokio::test]
async fn a_store_that_fails_anywhere_is_tried_again_and_ends_right() {
    let kernel = kernel();
    let right = all(&published(&kernel).await).await;
    for call in 0..12 {
        for fault in [Fault::Error, Fault::LostReply] {
            let store = Arc::new(published(&kernel).await);
            put(&*store, &manifest(&kernel).object(), b"{").await;
            let header = Object::Header(manifest(&kernel).header_digest);
            store.delete(&header.key()).await.unwrap();
            let faulty = Faulty::new(store.clone());
            faulty.plan(move |n, _| (n == call).then_some(fault));
            let first = verify(&faulty, kernel.digest, SystemTime::now(), &|| true).await;
            faulty.heal();
            if first.is_err() {
                assert!(
                    verified(&faulty, &kernel.digest)
                        .await
                        .verdict
                        .verified
                        .holds
                );
            }
            assert_eq!(all(&*store).await, right, "{call} {fault:?}");
        }
    }
}
