//! Answers that go wrong, on the way to a real API server.

use super::bed::{Host, wait_until};
use crate::support::servers::kubernetes::Version;
use crate::support::servers::proxy::Fate;
use std::time::{Duration, Instant};

/// The first request of this method and kind gets this fate.
fn first(of: &'static str, fate: Fate) -> impl FnMut(&str) -> Fate + Send {
    let mut done = false;
    move |asked| {
        let is_it = !done && asked.starts_with(of);
        done |= is_it;
        if is_it { fate } else { Fate::Through }
    }
}

#[test]
fn every_answer_that_passes_is_waited_out() {
    for version in Version::ALL {
        let cases = [
            ("GET /api/v1/nodes", Fate::Status(503, 1), 1.0),
            ("GET /api/v1/nodes", Fate::Status(429, 2), 2.0),
            ("GET /api/v1/nodes", Fate::Status(404, 0), 0.5),
            ("GET /api/v1/namespaces", Fate::Status(500, 0), 0.5),
            ("PATCH /api/v1/nodes", Fate::Status(409, 0), 0.0),
            ("PATCH /api/v1/nodes", Fate::Status(429, 1), 1.0),
            ("PATCH /api/v1/nodes", Fate::Status(503, 2), 2.0),
            ("PATCH /api/v1/nodes", Fate::Status(504, 0), 0.5),
        ];
        for (n, (of, fate, least)) in cases.into_iter().enumerate() {
            let host = Host::new(version, &format!("passes{n}")).through_a_proxy();
            host.proxy().plan(first(of, fate));
            let began = Instant::now();
            let agent = host.start();
            wait_until("Ready", || agent.page("/readyz").0 == 200);
            assert!(began.elapsed().as_secs_f64() >= least, "{of} {fate:?}");
            assert_eq!(host.status(), "Ready", "{of} {fate:?}");
            let asked = host.proxy().asked();
            let again = asked.iter().filter(|a| a.starts_with(of)).count();
            assert!(again >= 2, "{of} {fate:?}: {asked:?}");
            if matches!(fate, Fate::Status(409, _)) {
                // Read again at once, and patched again.
                let patch = asked.iter().position(|a| a.starts_with("PATCH")).unwrap();
                assert!(
                    asked[patch + 1].starts_with("GET /api/v1/nodes"),
                    "{asked:?}"
                );
                assert!(asked[patch + 2].starts_with("PATCH"), "{asked:?}");
            }
        }
    }
}

#[test]
fn a_patch_that_is_refused_is_told_by_an_event_and_not_repeated_at_once() {
    for code in [403, 422] {
        let host = Host::new(Version::Newest, &format!("refused{code}")).through_a_proxy();
        host.proxy().plan(
            move |asked| match asked.starts_with("PATCH /api/v1/nodes") {
                true => Fate::Status(code, 0),
                false => Fate::Through,
            },
        );
        let agent = host.start();
        wait_until("an Event", || host.has_event("NodeRefused"));
        std::thread::sleep(Duration::from_secs(2));
        let asked = host.proxy().asked();
        let patches = asked
            .iter()
            .filter(|a| a.starts_with("PATCH /api/v1/nodes"))
            .count();
        assert_eq!(patches, 1, "{asked:?}");
        assert_eq!(agent.page("/readyz").0, 503);
        assert_eq!(agent.page("/livez").0, 200);
        assert_eq!(host.status(), "");
        let name = format!(
            "btfleet_agent_api_requests_total{{code=\"{code}\",resource=\"nodes\",verb=\"patch\"}}"
        );
        assert_eq!(agent.metric(&name), 1.0);
    }
}

#[test]
fn a_store_that_refuses_is_said_on_the_node_and_in_an_event() {
    let host = Host::new(Version::Newest, "nostore");
    // A file where a folder is meant.
    std::fs::create_dir(host.store_folder()).unwrap();
    crate::tool::file(&host.store_folder(), "refs", b"x");
    let _agent = host.start();
    wait_until("an Event", || host.has_event("StoreRefused"));
    let status = host.status();
    assert!(status.starts_with("Error: store: "), "{status}");
}

#[test]
fn sigterm_ends_it_within_two_seconds_at_any_moment() {
    let host = Host::new(Version::Newest, "sigterm").through_a_proxy();
    let hangs = [
        "GET /api/v1/nodes",
        "GET /api/v1/namespaces",
        "PATCH",
        "nothing",
    ];
    for hang in hangs {
        host.edit(serde_json::json!({"annotations": null, "labels": null}));
        for pause in [0, 30, 150, 400] {
            host.proxy()
                .plan(move |asked| match asked.starts_with(hang) {
                    true => Fate::Hang,
                    false => Fate::Through,
                });
            let agent = host.start();
            std::thread::sleep(Duration::from_millis(pause));
            let pid = agent.process.pid().unwrap();
            agent.signal("TERM");
            let began = Instant::now();
            while runs(pid) {
                assert!(
                    began.elapsed() < Duration::from_secs(2),
                    "{hang} after {pause} ms"
                );
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|s| !s.rsplit(')').next().unwrap().starts_with(" Z"))
}

#[test]
fn an_agent_that_cannot_listen_or_does_not_know_its_node_ends_at_once_and_says_why() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let store = format!("file://{}", dir.path().display());
    let cases: [(&[&str], &str); 4] = [
        (
            &["--node-name", "a", "--store", &store, "--listen", &address],
            "cannot listen",
        ),
        (&["--store", &store], "which Node is this?"),
        (&["--node-name", "a"], "where to publish?"),
        (
            &[
                "--node-name",
                "a",
                "--store",
                &store,
                "--cluster-id",
                "pin-x",
            ],
            "--cluster-id pin-x",
        ),
    ];
    for (args, word) in cases {
        let mut command = crate::tool::btfleet(dir.path());
        let out = command
            .arg("agent")
            .args(args)
            .env_remove("NODE_NAME")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(said.contains(word), "{said}");
    }
}
