//! Bodies that are cut, too long, slow or lied about; lists that do not end.

use super::{at, failing_first, key, s3, wait, with};
use crate::support::servers::faulty_s3::{Answer, FaultyS3, Request};
use btfleet::store::{Error, S3Options, Store};
use bytes::Bytes;
use futures::stream::TryStreamExt;
use std::time::{Duration, Instant};

fn cut() -> Answer {
    Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec())
}

/// Chunks without end, and no word on how many.
fn endless() -> Answer {
    let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..1000 {
        bytes.extend(b"1000\r\n");
        bytes.extend([b'x'; 0x1000]);
        bytes.extend(b"\r\n");
    }
    Answer::Raw(bytes)
}

#[test]
fn a_body_that_is_cut_is_asked_for_again() {
    let server = failing_first("GET", [cut, cut]);
    wait(async {
        let store = at(&server).await;
        store.put(&key("a"), Bytes::from("whole")).await.unwrap();
        assert_eq!(store.get(&key("a"), 100).await.unwrap().unwrap(), "whole");
    });
    assert_eq!(server.count("GET"), 3);
}

#[test]
fn a_body_that_is_always_cut_is_an_error_and_no_bytes() {
    let server = FaultyS3::start(|_| cut());
    wait(async {
        let e = at(&server).await.get(&key("a"), 100).await.unwrap_err();
        assert!(e.is_transient() && e.to_string().contains("cut off"), "{e}");
    });
    assert_eq!(server.count("GET"), 4);
}

#[test]
fn the_limit_counts_the_bytes_that_come_not_those_that_are_told() {
    let server = FaultyS3::start(|_| endless());
    wait(async {
        let store = at(&server).await;
        let e = store.get(&key("a"), 10_000).await.unwrap_err();
        let Error::TooLarge { size, limit, .. } = e else {
            panic!("{e}")
        };
        // It stopped at the limit, 4 MB before the end.
        assert!(limit == 10_000 && size < 200_000, "{size}");
    });
    assert_eq!(server.count("GET"), 1);
}

#[test]
fn a_body_that_is_told_to_be_too_long_is_not_read() {
    for url in [s3::versitygw().url(), s3::s3s().url()] {
        wait(async {
            let store = s3::store(&url).await;
            store.put(&key("a"), Bytes::from("12345")).await.unwrap();
            assert_eq!(store.get(&key("a"), 5).await.unwrap().unwrap(), "12345");
            let e = store.get(&key("a"), 4).await.unwrap_err();
            assert!(matches!(e, Error::TooLarge { size: 5, .. }), "{e}");
        });
    }
}

#[test]
fn a_server_that_falls_silent_is_waited_for_within_limits() {
    let begun = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx".to_vec();
    for (name, bytes) in [("before the answer", vec![]), ("in the body", begun)] {
        let server = FaultyS3::start(move |_| Answer::Stall(bytes.clone()));
        let mut options = s3::options(&server.url());
        options.read_timeout = Duration::from_millis(300);
        options.call_timeout = Duration::from_secs(2);
        let began = Instant::now();
        wait(async {
            let e = with(options).await.get(&key("a"), 100).await.unwrap_err();
            assert!(e.is_transient(), "{name}: {e}");
            assert!(
                e.to_string().contains("did not answer in time"),
                "{name}: {e}"
            );
        });
        assert!(
            began.elapsed() < Duration::from_secs(6),
            "{name}: {:?}",
            began.elapsed()
        );
    }
}

fn page(keys: &[&str], more: &str) -> Answer {
    let mut body = "<ListBucketResult>".to_owned();
    body += more;
    for key in keys {
        body += &format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>");
    }
    body += "</ListBucketResult>";
    let kind = ("Content-Type", "application/xml".to_owned());
    Answer::Plain(200, vec![kind], body.into_bytes())
}

#[test]
fn a_list_whose_pages_lead_nowhere_is_an_error() {
    let again = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>";
    for (more, requests) in [("<IsTruncated>true</IsTruncated>", 1), (again, 2)] {
        let server = FaultyS3::start(move |_: &Request| page(&["x"], more));
        wait(async {
            let listed = at(&server).await.list(None).try_collect::<Vec<_>>().await;
            let e = listed.unwrap_err().to_string();
            assert!(e.contains("no telling where"), "{e}");
        });
        assert_eq!(server.count("GET"), requests, "{more}");
    }
}

#[test]
fn what_is_no_object_of_ours_is_not_listed() {
    let server = FaultyS3::start(|_| {
        let keys = [
            "p/refs/x",
            "p/refs/",
            "p/refs/a//b",
            "p/refs/../x",
            "p/refs/a b",
            "p/other/x",
            "refs/x",
            "q/refs/x",
        ];
        page(&keys, "<IsTruncated>false</IsTruncated>")
    });
    wait(async {
        let options: S3Options = s3::options(&server.url());
        let store = btfleet::store::S3Store::open("s3://bucket/p/", &options).await;
        let store = store.unwrap();
        let listed: Vec<_> = store.list(Some(&key("refs/"))).try_collect().await.unwrap();
        let listed: Vec<_> = listed.iter().map(|e| e.key.as_str()).collect();
        assert_eq!(listed, ["refs/x"]);
    });
    let path = &server.requests()[0].path;
    assert!(path.contains("prefix=p%2Frefs%2F"), "{path}");
}

#[test]
fn a_404_for_anything_but_the_object_is_an_error() {
    for code in ["NoSuchBucket", "XAdminUserNotFound"] {
        let server = FaultyS3::start(move |_| Answer::error(404, code));
        wait(async {
            let e = at(&server).await.get(&key("a"), 9).await.unwrap_err();
            assert!(matches!(e, Error::Refused { .. }), "{code}: {e}");
        });
    }
    let server = FaultyS3::start(|_| Answer::error(404, "NoSuchKey"));
    wait(async {
        assert_eq!(at(&server).await.get(&key("a"), 9).await.unwrap(), None);
    });
}
