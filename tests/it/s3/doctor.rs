//! `btfleet store doctor`: says what a store lacks, what that costs, and leaves nothing behind.

use super::{btfleet, s3, signed};
use crate::support::servers::faulty_s3::{Answer, FaultyS3, Request};
use crate::tool::text;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn doctor(mut command: Command, store: &str, more: &[&str]) -> Output {
    let args = ["store", "doctor", "-o", "json", "--store", store];
    command.args(args).args(more).output().unwrap()
}

fn report(out: &Output) -> Value {
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&out.stderr)))
}

/// The checks that did not come out well, with how they did.
fn troubles(report: &Value) -> Vec<(String, String)> {
    let checks = report["checks"].as_array().unwrap().iter();
    let checks = checks.filter(|c| c["outcome"] != "ok");
    let word = |v: &Value| v.as_str().unwrap().to_owned();
    let mut found: Vec<_> = checks
        .map(|c| (word(&c["check"]), word(&c["outcome"])))
        .collect();
    found.dedup();
    found
}

fn roles(report: &Value) -> Vec<(&str, bool)> {
    let roles = report["roles"].as_array().unwrap().iter();
    roles
        .map(|r| (r["role"].as_str().unwrap(), r["ok"].as_bool().unwrap()))
        .collect()
}

fn pairs(found: &[(String, String)]) -> Vec<(&str, &str)> {
    found.iter().map(|(a, b)| (&**a, &**b)).collect()
}

const ALL_WELL: [(&str, bool); 3] = [("agent", true), ("controller", true), ("reader", true)];

#[test]
fn servers_that_do_all_are_well_and_left_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    for url in [s3::versitygw().url(), s3::s3s().url()] {
        let place = s3::new_place();
        let out = doctor(signed(dir.path()), &place, &["--s3-endpoint", &url]);
        assert_eq!(
            out.status.code(),
            Some(0),
            "{}{}",
            text(&out.stdout),
            text(&out.stderr)
        );
        let report = report(&out);
        assert_eq!(roles(&report), ALL_WELL);
        assert_eq!(
            pairs(&troubles(&report)),
            [("tls", "doubtful")],
            "{report:#}"
        );
        let checks = report["checks"].as_array().unwrap();
        let detail = |name| {
            let check = checks.iter().find(|c| c["check"] == name).unwrap();
            check["detail"].as_str().unwrap().to_owned()
        };
        assert_eq!(detail("credentials"), "from environment variables");
        assert!(report["requests"].as_u64().unwrap() > 10);
        let left = super::wait(async {
            use btfleet::store::Store;
            use futures::stream::TryStreamExt;
            let options = s3::options(&url);
            let store = btfleet::store::S3Store::open(&place, &options)
                .await
                .unwrap();
            store.list(None).try_collect::<Vec<_>>().await.unwrap()
        });
        assert_eq!(left, []);
    }
}

/// A server in which nothing can be listed or found; writes as told.
fn refusing(refuses: fn(&Request) -> bool) -> FaultyS3 {
    FaultyS3::start(move |request| {
        if refuses(request) {
            return Answer::error(403, "AccessDenied");
        }
        if request.method == "GET" && request.path.contains("list-type=2") {
            let body = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
            return Answer::Plain(200, vec![], body.to_vec());
        }
        Answer::Good
    })
}

#[test]
fn what_a_role_lacks_is_named_with_its_cost_and_its_mend() {
    let dir = tempfile::tempdir().unwrap();
    // An agent's policy: no delete, and writes only under the condition.
    let agent = refusing(|r| {
        r.method == "DELETE" || (r.method == "PUT" && r.header("if-none-match").is_none())
    });
    let out = doctor(
        signed(dir.path()),
        "s3://bucket/p",
        &["--s3-endpoint", &agent.url()],
    );
    let told = report(&out);
    let lacking: Vec<_> = troubles(&told);
    assert!(
        lacking.contains(&("put".into(), "lacking".into())),
        "{told:#}"
    );
    assert!(
        lacking.contains(&("delete".into(), "lacking".into())),
        "{told:#}"
    );
    assert!(
        !lacking
            .iter()
            .any(|(c, _)| c == "putIfAbsent" || c == "read"),
        "{told:#}"
    );
    let delete = told["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["check"] == "delete");
    let delete = delete.unwrap();
    assert!(delete["mend"].as_str().unwrap().contains("s3:DeleteObject"));
    assert!(
        delete["costs"]
            .as_str()
            .unwrap()
            .contains("never collected")
    );
    assert!(
        told["leftovers"]
            .as_array()
            .unwrap()
            .iter()
            .any(|k| { k.as_str().unwrap().starts_with("doctor/") })
    );
    assert_eq!(out.status.code(), Some(1));

    // A reader's: no writes at all.
    let reader = refusing(|r| matches!(&*r.method, "PUT" | "DELETE"));
    let args = ["--s3-endpoint", &reader.url()];
    let out = doctor(signed(dir.path()), "s3://bucket/p", &args);
    let told = report(&out);
    let lacking = troubles(&told);
    let want = ("putIfAbsent".to_owned(), "lacking".to_owned());
    assert!(lacking.contains(&want), "{told:#}");
    assert_eq!(told.get("leftovers"), None, "nothing was written: {told:#}");

    // Without the permission to list, an absent object is a forbidden one.
    let blind = FaultyS3::start(|r| match &*r.method {
        "GET" | "HEAD" => Answer::error(403, "AccessDenied"),
        _ => Answer::Good,
    });
    let args = ["--s3-endpoint", &blind.url(), "--role", "agent"];
    let out = doctor(signed(dir.path()), "s3://bucket/p", &args);
    let told = report(&out);
    let absent = told["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["check"] == "absent");
    let absent = absent.unwrap();
    assert_eq!(absent["outcome"], "lacking");
    assert!(absent["mend"].as_str().unwrap().contains("s3:ListBucket"));
    assert_eq!(out.status.code(), Some(1));
}

#[test]
fn servers_without_conditions_are_said_to_cost_requests() {
    let dir = tempfile::tempdir().unwrap();
    let ignoring = FaultyS3::start(|_| Answer::Good);
    let refusing = FaultyS3::start(|r| match r.header("if-none-match") {
        Some(_) => Answer::error(501, "NotImplemented"),
        None => Answer::Good,
    });
    for (server, says) in [(ignoring, "ignored"), (refusing, "not implemented")] {
        // It cannot list; that is another matter.
        let args = ["--s3-endpoint", &server.url()];
        let out = doctor(signed(dir.path()), "s3://bucket/p", &args);
        let told = report(&out);
        let mut found = told["checks"].as_array().unwrap().iter();
        let found = found.rfind(|c| c["check"] == "conditions").unwrap();
        assert_eq!(found["outcome"], "doubtful", "{told:#}");
        assert!(found["detail"].as_str().unwrap().contains(says), "{told:#}");
        assert!(
            found["costs"]
                .as_str()
                .unwrap()
                .contains("look before they write")
        );
    }
}

#[test]
fn a_clock_that_is_off_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let server = FaultyS3::start(|r| {
        let answer = match &*r.method {
            "PUT" | "DELETE" => Answer::Plain(200, vec![], vec![]),
            _ => Answer::error(404, "NoSuchKey"),
        };
        answer.with("Date", "Mon, 01 Jan 2024 00:00:00 GMT")
    });
    let args = ["--s3-endpoint", &server.url()];
    let out = doctor(signed(dir.path()), "s3://bucket/p", &args);
    let told = report(&out);
    let clock = told["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["check"] == "clock");
    let clock = clock.unwrap();
    assert_eq!(clock["outcome"], "doubtful");
    assert!(
        clock["detail"].as_str().unwrap().contains(" s ahead"),
        "{clock}"
    );
}

#[test]
fn a_store_that_cannot_be_used_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let url = s3::versitygw().url();
    let mut command = signed(dir.path());
    command.env("AWS_SECRET_ACCESS_KEY", "wrong");
    for (command, store) in [
        (command, "s3://btfleet"),
        (signed(dir.path()), "s3://no-such-bucket"),
    ] {
        let out = doctor(command, store, &["--s3-endpoint", &url]);
        assert_eq!(out.status.code(), Some(1));
        assert_eq!(
            text(&out.stderr).lines().count(),
            1,
            "{}",
            text(&out.stderr)
        );
        assert!(out.stdout.is_empty());
    }
}

#[test]
fn a_folder_is_tried_and_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    for (store, is_there) in [("new", false), ("old", true)] {
        let path = dir.path().join(store);
        if is_there {
            std::fs::create_dir(&path).unwrap();
        }
        let out = doctor(btfleet(dir.path()), store, &[]);
        let told = report(&out);
        assert_eq!(out.status.code(), Some(0), "{told:#}");
        assert_eq!((roles(&told), troubles(&told)), (ALL_WELL.into(), vec![]));
        assert_eq!(path.exists(), is_there);
        assert!(!is_there || std::fs::read_dir(&path).unwrap().next().is_none());
    }
}

#[test]
fn a_folder_that_cannot_be_written_serves_readers_alone() {
    // /proc takes no files from anybody, root included.
    let folder = Path::new("/proc/self/task");
    let dir = tempfile::tempdir().unwrap();
    let out = doctor(
        btfleet(dir.path()),
        folder.to_str().unwrap(),
        &["--role", "agent"],
    );
    let told = report(&out);
    assert_eq!(out.status.code(), Some(1), "{told:#}");
    assert!(!troubles(&told).is_empty());
    assert_eq!(roles(&told)[0], ("agent", false));
}
