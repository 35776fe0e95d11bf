//! The test bed itself: real servers start, answer, come back, and leave nothing behind.

use crate::support::servers::api::{MERGE, runtime};
use crate::support::servers::kubernetes::{ControlPlane, Version, shared};
use crate::support::servers::s3::{ACCESS_KEY, BUCKET, REGION, S3Server, SECRET_KEY, Scheme};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn runs(pid: u32) -> bool {
    // A zombie has ended; only its parent has not looked yet.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|s| !s.rsplit(')').next().unwrap().starts_with(" Z"))
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(20), "never {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One request to versitygw by curl, which signs it; the status code.
fn curl(server: &S3Server, args: &[&str], path: &str) -> String {
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
        ])
        .arg("--user")
        .arg(format!("{ACCESS_KEY}:{SECRET_KEY}"))
        .args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
        .arg("--aws-sigv4")
        .arg(format!("aws:amz:{REGION}:s3"));
    if let Some(ca) = server.ca_file() {
        command.arg("--cacert").arg(ca);
    }
    let out = command
        .args(args)
        .arg(format!("{}/{BUCKET}/{path}", server.url()))
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn both_api_servers_are_of_the_version_asked_for() {
    for version in Version::ALL {
        let client = shared(version).admin().client();
        let answer = runtime().block_on(client.apiserver_version()).unwrap();
        let said = answer.git_version;
        let minor = version.minor();
        assert!(said.starts_with(&format!("v{minor}.")), "{said}");
        assert_eq!(answer.minor, minor.trim_start_matches("1."));
    }
}

#[test]
fn who_proves_nothing_may_nothing() {
    let plane = shared(Version::Newest);
    let nobody = plane.user("nobody-in-particular", None);
    assert_eq!(nobody.get("/api/v1/nodes").status, 403);
    assert_eq!(
        plane.with_token("not-a-token").get("/api/v1/nodes").status,
        401
    );
    assert_eq!(plane.admin().get("/api/v1/nodes").status, 200);
}

#[test]
fn a_killed_api_server_comes_back_with_what_it_knew() {
    let plane = ControlPlane::start(Version::Newest);
    let node = serde_json::json!({"metadata": {"name": "a"}});
    plane.admin().post("/api/v1/nodes", &node).success();
    plane.kill_api_server();
    let gone = plane
        .admin()
        .try_send("GET", "/api/v1/nodes/a", "application/json", Vec::new());
    assert!(gone.is_err(), "{gone:?}");
    plane.start_api_server();
    let known = plane.admin().get("/api/v1/nodes/a").success();
    assert_eq!(known["metadata"]["name"], "a");
}

#[test]
fn after_a_compaction_and_a_restart_an_old_watch_is_told_gone() {
    let plane = ControlPlane::start(Version::Newest);
    let node = serde_json::json!({"metadata": {"name": "a"}});
    let made = plane.admin().post("/api/v1/nodes", &node).success();
    let version = made["metadata"]["resourceVersion"].as_str().unwrap();
    let label = serde_json::json!({"metadata": {"labels": {"x": "1"}}});
    plane
        .admin()
        .patch("/api/v1/nodes/a", MERGE, &label)
        .success();
    let watch = format!("/api/v1/nodes?watch=1&resourceVersion={version}&timeoutSeconds=1");
    let still_known = plane.admin().get(&watch).success();
    assert_eq!(still_known["type"], "MODIFIED", "{still_known}");
    plane.kill_api_server();
    plane.compact_etcd();
    plane.start_api_server();
    let gone = plane.admin().get(&watch);
    let code = if gone.status == 200 {
        &gone.body["object"]["code"]
    } else {
        &gone.body["code"]
    };
    assert_eq!(code, 410, "{gone:?}");
}

#[test]
fn an_s3_server_keeps_what_was_put_over_http_and_https_and_a_kill() {
    for scheme in [Scheme::Http, Scheme::Https] {
        let server = S3Server::start(scheme);
        let put = [
            "--request",
            "PUT",
            "--data-binary",
            "one",
            "--header",
            "If-None-Match: *",
        ];
        assert_eq!(curl(&server, &put, "a/b"), "200", "{scheme:?}");
        assert_eq!(curl(&server, &put, "a/b"), "412", "{scheme:?}");
        server.kill();
        server.start_again();
        assert_eq!(curl(&server, &[], "a/b"), "200", "{scheme:?}");
        assert_eq!(curl(&server, &[], "a/c"), "404", "{scheme:?}");
        let file = server.bucket_folder().join("a/b");
        assert_eq!(std::fs::read(file).unwrap(), b"one");
    }
}

#[test]
fn nothing_outlives_a_test_that_panics() {
    let panicked = std::thread::spawn(|| {
        let server = S3Server::start(Scheme::Http);
        std::panic::panic_any((server.pid().unwrap(), server.bucket_folder()));
    });
    let said = panicked.join().unwrap_err();
    let (pid, folder) = said
        .downcast::<(u32, std::path::PathBuf)>()
        .unwrap()
        .as_ref()
        .clone();
    assert!(!runs(pid));
    assert!(!folder.exists());
}

/// This test again, in a process of its own: starts servers, reports them, and never ends by itself.
fn be_the_binary_that_is_killed(report: &Path) -> ! {
    let plane = shared(Version::Newest);
    let s3 = S3Server::start(Scheme::Http);
    let mut pids = plane.pids();
    pids.extend(s3.pid());
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    let text = format!("{}\n{}", pids.join(" "), plane.ca_file().display());
    std::fs::write(report.with_extension("part"), text).unwrap();
    std::fs::rename(report.with_extension("part"), report).unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn nothing_outlives_a_test_binary_that_is_killed() {
    if let Some(report) = std::env::var_os("BTFLEET_TEST_REPORT") {
        be_the_binary_that_is_killed(Path::new(&report));
    }
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    let mut binary = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "servers::nothing_outlives_a_test_binary_that_is_killed",
        ])
        .env("BTFLEET_TEST_REPORT", &report)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while !report.exists() {
        assert!(binary.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(began.elapsed() < Duration::from_secs(180), "it never began");
        std::thread::sleep(Duration::from_millis(50));
    }
    let text = std::fs::read_to_string(&report).unwrap();
    let (pids, data) = text.split_once('\n').unwrap();
    let pids: Vec<u32> = pids.split(' ').map(|p| p.parse().unwrap()).collect();
    assert_eq!(pids.len(), 3);
    assert!(pids.iter().all(|pid| runs(*pid)));
    assert!(Path::new(data).exists());
    binary.kill().unwrap();
    binary.wait().unwrap();
    wait_until("gone", || !pids.iter().any(|pid| runs(*pid)));
    wait_until("removed", || !Path::new(data).parent().unwrap().exists());
}
