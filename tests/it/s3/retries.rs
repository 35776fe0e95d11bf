//! What is sent again, and when a server wants to be left alone.

use super::{at, failing_first, key, s3, wait, with};
use crate::support::servers::faulty_s3::{Answer, FaultyS3};
use btfleet::store::{Error, Store};
use bytes::Bytes;
use std::time::{Duration, Instant};

fn broken() -> Answer {
    Answer::error(500, "InternalError")
}

fn dropped() -> Answer {
    Answer::Raw(Vec::new())
}

#[test]
fn a_passing_fault_is_sent_again_and_counted() {
    let server = failing_first("PUT", [broken, dropped]);
    let options = s3::options(&server.url());
    wait(async {
        let store = with(options.clone()).await;
        store.put(&key("a"), Bytes::from("one")).await.unwrap();
    });
    assert_eq!(
        (options.counts.requests(), options.counts.retries()),
        (3, 2)
    );
    // The whole body went up each time.
    assert!(server.requests().iter().all(|r| r.body == b"one"));
}

#[test]
fn a_lasting_fault_is_given_up_and_said() {
    let server = FaultyS3::start(|_| Answer::error(503, "SlowDown"));
    wait(async {
        let e = at(&server)
            .await
            .put(&key("a"), Bytes::new())
            .await
            .unwrap_err();
        assert!(
            e.is_transient() && e.to_string().contains("SlowDown"),
            "{e}"
        );
    });
    assert_eq!(server.count("PUT"), 4);
}

#[test]
fn a_short_retry_after_is_waited_for() {
    let server = failing_first(
        "GET",
        [|| Answer::error(429, "TooManyRequests").with("Retry-After", "2")],
    );
    let began = Instant::now();
    wait(async {
        let got = at(&server).await.get(&key("a"), 9).await;
        assert_eq!(got.unwrap(), None);
    });
    assert!(began.elapsed() >= Duration::from_secs(2));
    assert_eq!(server.count("GET"), 2);
}

#[test]
fn a_long_retry_after_is_the_callers_to_wait_for() {
    for (status, code) in [(503, "SlowDown"), (429, "TooManyRequests")] {
        let server =
            FaultyS3::start(move |_| Answer::error(status, code).with("Retry-After", "120"));
        wait(async {
            let e = at(&server).await.head(&key("a")).await.unwrap_err();
            let Error::Away { retry_after, .. } = e else {
                panic!("{e}")
            };
            assert_eq!(retry_after, Some(Duration::from_secs(120)));
        });
        assert_eq!(server.count("HEAD"), 1, "it was to be left alone");
    }
}

#[test]
fn a_proxys_excuse_is_not_taken_for_a_wrong_endpoint() {
    let server = FaultyS3::start(|_| {
        let kind = ("Content-Type", "text/html".to_owned());
        Answer::Plain(502, vec![kind], b"<html>Bad Gateway</html>".to_vec())
    });
    wait(async {
        let e = at(&server).await.get(&key("a"), 9).await.unwrap_err();
        assert!(e.is_transient(), "{e}");
    });
}
