//! Put-if-absent, by servers that know conditional writes, refuse them, ignore them, or are busy.

use super::{at, failing_first, key, s3, wait, with};
use crate::support::servers::faulty_s3::{Answer, FaultyS3};
use btfleet::store::{Error, Put, Store};
use bytes::Bytes;
use futures::future::join_all;

#[test]
fn one_request_creates_or_finds_the_object() {
    for url in [s3::versitygw().url(), s3::s3s().url()] {
        wait(async {
            let options = s3::options(&url);
            let store = with(options.clone()).await;
            let k = key("a/b");
            let put = store.put_if_absent(&k, Bytes::from("one")).await;
            assert_eq!(put.unwrap(), Put::Created);
            let put = store.put_if_absent(&k, Bytes::from("two")).await;
            assert_eq!(put.unwrap(), Put::Existed);
            assert_eq!(options.counts.requests(), 2, "{url}");
            assert_eq!(store.get(&k, 9).await.unwrap().unwrap(), "one");
            assert!(!store.is_unconditional());
        });
    }
}

#[test]
fn of_many_writers_one_creates() {
    // s3s-fs looks before it writes, but not as one step: there several may be told so, and no harm is done.
    for (url, most) in [(s3::versitygw().url(), 1), (s3::s3s().url(), 16)] {
        wait(async {
            let store = s3::store(&url).await;
            let k = key("a/b");
            let puts = (0..16u8).map(|n| store.put_if_absent(&k, vec![n; 100_000].into()));
            let puts: Vec<Put> = join_all(puts)
                .await
                .into_iter()
                .map(Result::unwrap)
                .collect();
            let created = puts.iter().filter(|p| **p == Put::Created).count();
            assert!((1..=most).contains(&created), "{url}: {created}");
            let got = store.get(&k, 100_000).await.unwrap().unwrap();
            assert!(got.len() == 100_000 && got.iter().all(|b| *b == got[0]));
        });
    }
}

#[test]
fn a_server_that_refuses_conditions_is_looked_at_first() {
    let server = FaultyS3::start(|request| match request.header("if-none-match") {
        Some(_) => Answer::error(501, "NotImplemented"),
        None => Answer::Good,
    });
    wait(async {
        let store = at(&server).await;
        let put = store.put_if_absent(&key("a"), Bytes::from("one")).await;
        assert_eq!(put.unwrap(), Put::Created);
        assert!(store.is_unconditional());
        let put = store.put_if_absent(&key("a"), Bytes::from("two")).await;
        assert_eq!(put.unwrap(), Put::Existed);
        let put = store.put_if_absent(&key("b"), Bytes::new()).await;
        assert_eq!(put.unwrap(), Put::Created);
    });
    let sent: Vec<(String, bool)> = server
        .requests()
        .iter()
        .map(|r| (r.method.clone(), r.header("if-none-match").is_some()))
        .collect();
    let sent: Vec<(&str, bool)> = sent.iter().map(|(m, c)| (&**m, *c)).collect();
    // Once refused, the condition is not sent again.
    let want = [
        ("PUT", true),
        ("HEAD", false),
        ("PUT", false),
        ("HEAD", false),
        ("HEAD", false),
        ("PUT", false),
    ];
    assert_eq!(sent, want);
    assert!(server.objects().values().any(|body| body == b"one"));
}

#[test]
fn a_server_that_ignores_conditions_is_found_out_by_its_answers() {
    let server = FaultyS3::start(|_| Answer::Good);
    wait(async {
        let store = at(&server).await;
        let (k, body) = (key("a"), Bytes::from("one"));
        let put = store.put_if_absent(&k, body.clone()).await;
        assert_eq!(put.unwrap(), Put::Created);
        assert!(!store.is_unconditional());
        // Said to be written, though it was there: one more write tells for certain.
        let put = store.put_if_absent(&k, body.clone()).await;
        assert_eq!(put.unwrap(), Put::Existed);
        assert!(store.is_unconditional());
        let puts = server.count("PUT");
        assert_eq!(store.put_if_absent(&k, body).await.unwrap(), Put::Existed);
        assert_eq!(server.count("PUT"), puts);
    });
}

#[test]
fn an_object_that_somebody_removed_is_no_ignored_condition() {
    wait(async {
        let url = s3::versitygw().url();
        let options = s3::options(&url);
        let place = s3::new_place();
        let open = || btfleet::store::S3Store::open(&place, &options);
        let (ours, theirs) = (open().await.unwrap(), open().await.unwrap());
        let k = key("a");
        ours.put_if_absent(&k, Bytes::from("one")).await.unwrap();
        theirs.delete(&k).await.unwrap();
        let put = ours.put_if_absent(&k, Bytes::from("one")).await;
        assert_eq!(put.unwrap(), Put::Created);
        assert!(!ours.is_unconditional());
        // And one that we removed ourselves is not even suspected.
        ours.delete(&k).await.unwrap();
        let before = options.counts.requests();
        let put = ours.put_if_absent(&k, Bytes::from("one")).await;
        assert_eq!(put.unwrap(), Put::Created);
        assert_eq!(options.counts.requests(), before + 1);
    });
}

#[test]
fn a_conflict_is_tried_again_after_a_look() {
    let conflict = || Answer::error(409, "ConditionalRequestConflict");
    let server = failing_first("PUT", [conflict, conflict]);
    wait(async {
        let store = at(&server).await;
        let put = store.put_if_absent(&key("a"), Bytes::from("one")).await;
        assert_eq!(put.unwrap(), Put::Created);
    });
    assert_eq!((server.count("PUT"), server.count("HEAD")), (3, 2));
}

#[test]
fn a_conflict_that_another_won_is_no_error() {
    let server = FaultyS3::start(|request| match request.method.as_str() {
        "PUT" => Answer::error(409, "ConditionalRequestConflict"),
        _ => Answer::Plain(200, vec![], vec![]),
    });
    wait(async {
        let put = at(&server)
            .await
            .put_if_absent(&key("a"), Bytes::new())
            .await;
        assert_eq!(put.unwrap(), Put::Existed);
    });
    assert_eq!((server.count("PUT"), server.count("HEAD")), (1, 1));
}

#[test]
fn conflicts_without_end_are_given_up() {
    let server = FaultyS3::start(|request| match request.method.as_str() {
        "PUT" => Answer::error(409, "ConditionalRequestConflict"),
        _ => Answer::error(404, ""),
    });
    wait(async {
        let e = at(&server)
            .await
            .put_if_absent(&key("a"), Bytes::new())
            .await;
        let e = e.unwrap_err();
        assert!(matches!(e, Error::Away { .. }), "{e}");
    });
    assert_eq!(server.count("PUT"), 5);
}
