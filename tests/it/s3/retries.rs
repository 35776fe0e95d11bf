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

#[test]
fn a_server_that_takes_no_connection_is_given_up_in_time() {
    wait(async {
        // Its queue of connections is full: what comes now is not answered.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        let short = Duration::from_millis(300);
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, short) {
            queued.push(stream);
            assert!(queued.len() < 100, "the queue has no end");
        }
        let mut options = s3::options(&format!("http://{address}"));
        options.connect_timeout = short;
        options.attempts = 1;
        let began = Instant::now();
        let e = with(options).await.get(&key("a"), 9).await.unwrap_err();
        let took = began.elapsed();
        assert!(e.is_transient(), "{e}");
        assert!(
            took >= short && took < Duration::from_secs(5),
            "{took:?}: {e}"
        );
    });
}

#[test]
fn no_checksum_is_added_that_other_servers_refuse() {
    let server = FaultyS3::start(|_| Answer::Good);
    wait(async {
        let store = at(&server).await;
        let body = || Bytes::from("one");
        store.put(&key("a"), body()).await.unwrap();
        store.put_if_absent(&key("b"), body()).await.unwrap();
        store.get(&key("a"), 9).await.unwrap();
        store.delete(&key("a")).await.unwrap();
    });
    let requests = server.requests();
    assert!(
        requests
            .iter()
            .any(|r| r.method == "PUT" && r.body == b"one")
    );
    for request in requests {
        let mut names = request.headers.keys();
        let added = names.find(|name| {
            name.contains("checksum") || ["content-md5", "x-amz-trailer"].contains(&name.as_str())
        });
        assert_eq!(added, None, "{request:?}");
        assert_ne!(request.header("content-encoding"), Some("aws-chunked"));
    }
}
