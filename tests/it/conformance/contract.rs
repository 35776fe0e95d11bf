//! What every call of a store promises.

use super::Bed;
use super::kernels::keys;
use btfleet::artifact::{Arch, BtfDigest, Key, Object, Release};
use btfleet::store::{Error, Put};
use bytes::Bytes;
use futures::future::join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::time::Duration;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

pub async fn an_object_is_read_as_it_was_written(bed: &Bed) {
    let store = &*bed.plain;
    let k = key("a/b/c");
    assert_eq!(store.get(&k, 9).await.unwrap(), None);
    assert_eq!(store.head(&k).await.unwrap(), None);
    assert_eq!(keys(store, None).await, [] as [&str; 0]);
    store.delete(&k).await.unwrap();
    let put = store.put_if_absent(&k, Bytes::from("one")).await;
    assert_eq!(put.unwrap(), Put::Created);
    let put = store.put_if_absent(&k, Bytes::from("two")).await;
    assert_eq!(put.unwrap(), Put::Existed);
    assert_eq!(store.get(&k, 9).await.unwrap().unwrap(), "one");
    store.put(&k, Bytes::from("three")).await.unwrap();
    assert_eq!(store.get(&k, 9).await.unwrap().unwrap(), "three");
    let entry = store.head(&k).await.unwrap().unwrap();
    assert_eq!((&entry.key, entry.size), (&k, 5));
    let age = entry.modified.unwrap().elapsed().unwrap_or_default();
    assert!(age < Duration::from_secs(600), "{age:?}");
    let empty = key("a/empty");
    store.put(&empty, Bytes::new()).await.unwrap();
    assert_eq!(store.get(&empty, 0).await.unwrap().unwrap(), "");
    assert_eq!(store.head(&empty).await.unwrap().unwrap().size, 0);
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    let listed: Vec<_> = listed.iter().map(|e| (e.key.as_str(), e.size)).collect();
    assert_eq!(listed, [("a/b/c", 5), ("a/empty", 0)]);
    store.delete(&k).await.unwrap();
    store.delete(&k).await.unwrap();
    assert_eq!(store.get(&k, 9).await.unwrap(), None);
    assert_eq!(store.head(&k).await.unwrap(), None);
    let put = store.put_if_absent(&k, Bytes::from("four")).await;
    assert_eq!(put.unwrap(), Put::Created);
}

pub async fn a_limit_is_kept_to_the_byte(bed: &Bed) {
    let k = key("a/thousand");
    bed.plain.put(&k, vec![7; 1000].into()).await.unwrap();
    assert_eq!(bed.plain.get(&k, 1000).await.unwrap().unwrap().len(), 1000);
    for limit in [999, 1, 0] {
        let e = bed.plain.get(&k, limit).await.unwrap_err();
        assert!(matches!(e, Error::TooLarge { .. }), "{limit}: {e}");
        assert!(
            !e.is_transient() && e.to_string().contains("a/thousand"),
            "{e}"
        );
    }
}

pub async fn large_objects_come_back_whole(bed: &Bed) {
    let bytes: Bytes = (0..9 << 20u32).map(|n: u32| (n ^ (n >> 9)) as u8).collect();
    let k = key("large");
    bed.plain.put(&k, bytes.clone()).await.unwrap();
    let size = bytes.len() as u64;
    assert_eq!(bed.plain.head(&k).await.unwrap().unwrap().size, size);
    assert!(bed.plain.get(&k, size).await.unwrap().unwrap() == bytes);
    let put = bed.plain.put_if_absent(&k, Bytes::from("small")).await;
    assert_eq!(put.unwrap(), Put::Existed);
    assert_eq!(bed.plain.head(&k).await.unwrap().unwrap().size, size);
}

pub async fn a_listing_of_more_than_a_page_is_whole_and_in_order(bed: &Bed) {
    // S3 lists 1,000 a page.
    let mut want: Vec<String> = (0..1101).map(|n| format!("many/{}/{n}", n % 3)).collect();
    let puts = want
        .iter()
        .map(async |k| bed.plain.put(&key(k), Bytes::new()).await);
    let puts: Vec<_> = stream::iter(puts).buffer_unordered(16).collect().await;
    assert!(puts.into_iter().all(|put| put.is_ok()));
    bed.plain.put(&key("other"), Bytes::new()).await.unwrap();
    want.sort();
    assert_eq!(keys(&*bed.plain, Some("many/")).await, want);
    want.push("other".to_owned());
    assert_eq!(keys(&*bed.plain, None).await, want);
    // Whoever stops reading early has read what comes first.
    let first: Vec<_> = bed.plain.list(None).take(3).try_collect().await.unwrap();
    let first: Vec<&str> = first.iter().map(|e| e.key.as_str()).collect();
    assert_eq!(first, want[..3]);
}

pub async fn a_folder_is_not_its_neighbours(bed: &Bed) {
    for k in ["a/1", "a/b/2", "ab/3", "a.x", "a-/4", "b/5"] {
        bed.plain.put(&key(k), Bytes::new()).await.unwrap();
    }
    assert_eq!(keys(&*bed.plain, Some("a/")).await, ["a/1", "a/b/2"]);
    assert_eq!(keys(&*bed.plain, Some("none/")).await, [] as [&str; 0]);
    let all = ["a-/4", "a.x", "a/1", "a/b/2", "ab/3", "b/5"];
    assert_eq!(keys(&*bed.plain, None).await, all);
    let no_folder = bed.plain.list(Some(&key("a"))).try_next().await;
    assert!(no_folder.is_err(), "{no_folder:?}");
}

pub async fn keys_are_listed_back_as_written(bed: &Bed) {
    // Some stores fold these, or take `+` for a space: none of them is a key.
    for refused in [
        "a+b", "a~b", "a b", "a//b", "a/../b", "..", "/a", "a/.", "é",
    ] {
        assert!(Key::new(refused).is_err(), "{refused:?}");
    }
    // A release may hold all of them, and comes back.
    let arch: Arch = "amd64".parse().unwrap();
    let btf = BtfDigest::of(b"k");
    let releases = [
        "6.1+deb~rc 1",
        "a//b",
        "a/../b",
        "%2B",
        "%2b",
        "%",
        "+",
        "~",
        " ",
        "..x",
        "...",
        "é",
        "a\nb",
    ];
    let mut want = Vec::new();
    for release in releases {
        let release: Release = release.parse().unwrap();
        let object = Object::Index(arch.clone(), release, btf);
        bed.plain.put(&object.key(), Bytes::new()).await.unwrap();
        let there = bed.plain.head(&object.key()).await.unwrap();
        assert!(there.is_some(), "{}", object.key());
        want.push(object);
    }
    for k in ["odd/%2B", "odd/%252B", "odd/%20", "odd/-._%"] {
        bed.plain.put(&key(k), Bytes::new()).await.unwrap();
    }
    let odd = keys(&*bed.plain, Some("odd/")).await;
    assert_eq!(odd, ["odd/%20", "odd/%252B", "odd/%2B", "odd/-._%"]);
    let mut found: Vec<Object> = Vec::new();
    for k in keys(&*bed.plain, Some(Object::INDEX)).await {
        found.push(Object::parse(&key(&k)).unwrap());
    }
    want.sort();
    found.sort();
    assert_eq!(found, want);
}

pub async fn of_sixteen_writers_at_once_one_creates(bed: &Bed) {
    let k = key("a/b/c");
    let writers = (0..16u8).map(|n| {
        let (store, k) = (bed.plain.clone(), k.clone());
        let body = Bytes::from(vec![n; 100_000]);
        tokio::spawn(async move { store.put_if_absent(&k, body).await.unwrap() })
    });
    let done = join_all(writers).await;
    let created = done
        .iter()
        .filter(|put| *put.as_ref().unwrap() == Put::Created);
    // s3s-fs looks first and then writes: more than one of those who come at once may be told so.
    let created = created.count();
    assert!(created == 1 || (created > 1 && bed.lax), "{created}");
    let bytes = bed.plain.get(&k, 1 << 20).await.unwrap().unwrap();
    assert!(bytes.len() == 100_000 && bytes.iter().all(|b| *b == bytes[0]));
    assert_eq!(keys(&*bed.plain, None).await, ["a/b/c"]);
}

pub async fn a_write_that_nobody_waits_for_is_whole_or_absent(bed: &Bed) {
    let body = Bytes::from(vec![7; 3 << 20]);
    let mut whole = 0;
    for n in 0..12u32 {
        let k = key(&format!("dropped/{n}"));
        let (store, k2, body2) = (bed.plain.clone(), k.clone(), body.clone());
        let write = tokio::spawn(async move { store.put_if_absent(&k2, body2).await });
        for _ in 0..n * n {
            tokio::task::yield_now().await;
        }
        std::thread::sleep(Duration::from_millis(u64::from(n % 4) * 3));
        write.abort();
        let _ = write.await;
        if let Some(found) = bed.plain.get(&k, 4 << 20).await.unwrap() {
            assert!(found == body, "{k}: {} bytes", found.len());
            whole += 1;
        }
        bed.plain.put_if_absent(&k, body.clone()).await.unwrap();
        let found = bed.plain.get(&k, 4 << 20).await.unwrap();
        assert!(found.is_some_and(|found| found == body), "{k}");
    }
    println!("{whole} of 12 writes were over before they were dropped");
}
