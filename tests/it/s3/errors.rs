//! Bad settings and bad servers, as a person meets them: one line that names the cause and what to change.

use super::{btfleet, s3, signed};
use crate::support::servers::faulty_s3::{Answer, FaultyS3};
use crate::support::servers::port;
use crate::support::servers::s3::{ACCESS_KEY, BUCKET, S3Server, SECRET_KEY, Scheme};
use crate::tool::text;
use std::process::Command;
use std::time::{Duration, Instant};

/// One case: what is run, and what its error line must name.
struct Case {
    name: &'static str,
    command: Command,
    says: Vec<String>,
}

#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn add(&mut self, name: &'static str, mut command: Command, args: &[&str], says: &[&str]) {
        command.args(args);
        let says = says.iter().map(|s| (*s).to_owned()).collect();
        self.0.push(Case {
            name,
            command,
            says,
        });
    }

    /// All at once: some wait between their retries.
    fn run(self) {
        let results: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = self.0.into_iter().map(|case| scope.spawn(|| case.fails()));
            let running: Vec<_> = running.collect();
            running.into_iter().map(|r| r.join().unwrap()).collect()
        });
        let wrong: Vec<String> = results.into_iter().filter_map(Result::err).collect();
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }
}

impl Case {
    fn fails(mut self) -> Result<(), String> {
        let began = Instant::now();
        let out = self.command.output().unwrap();
        let stderr = text(&out.stderr);
        // Which store is read is said first.
        let lines: Vec<&str> = stderr
            .lines()
            .filter(|l| !l.starts_with("reading store"))
            .collect();
        let wrong = |what: &str| Err(format!("{}: {what}: {stderr}", self.name));
        if out.status.code() != Some(1) || !out.stdout.is_empty() {
            return wrong("no failure, or something on stdout");
        }
        let [line] = lines.as_slice() else {
            return wrong("not one line");
        };
        if let Some(missing) = self.says.iter().find(|s| !line.contains(s.as_str())) {
            return wrong(&format!("does not say {missing:?}"));
        }
        if line.contains(SECRET_KEY) || line.len() > 700 {
            return wrong("a secret, or too long");
        }
        if began.elapsed() > Duration::from_secs(60) {
            return wrong("took too long");
        }
        println!("{:<28}{line}", self.name);
        Ok(())
    }
}

fn xml_error(status: u16, code: &'static str) -> FaultyS3 {
    FaultyS3::start(move |_| Answer::error(status, code))
}

fn html(status: u16) -> FaultyS3 {
    FaultyS3::start(move |_| {
        let kind = ("Content-Type", "text/html; charset=utf-8".to_owned());
        Answer::Plain(
            status,
            vec![kind],
            b"<!doctype html><title>Console</title>".to_vec(),
        )
    })
}

#[test]
fn places_and_settings_that_cannot_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("not.pem"), "no certificate").unwrap();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(dir.join("broken.pem"), broken).unwrap();
    let mut cases = Cases::default();
    let mut case = |name, args: &[&str], says: &[&str]| {
        let args = [&["kernels", "--store"], args].concat();
        cases.add(name, signed(dir), &args, says);
    };
    let known = "s3://BUCKET/PREFIX";
    case(
        "unknown scheme",
        &["gs://bucket"],
        &["gs://", known, "file://DIR"],
    );
    case("no bucket", &["s3://"], &["no bucket", known]);
    case(
        "impossible bucket",
        &["s3://My_Bucket"],
        &["My_Bucket", "lower-case"],
    );
    case(
        "impossible prefix",
        &["s3://bucket/a//b"],
        &["a//b", "single slashes"],
    );
    case(
        "no region",
        &["s3://bucket"],
        &["--s3-region", "AWS_REGION"],
    );
    let endpoint = |e| ["s3://bucket", "--s3-endpoint", e];
    case(
        "endpoint without scheme",
        &endpoint("minio:9000"),
        &["--s3-endpoint", "http://HOST:PORT"],
    );
    case(
        "endpoint without host",
        &endpoint("https://"),
        &["--s3-endpoint", "http://HOST:PORT"],
    );
    let ca = |file| {
        [
            "s3://bucket",
            "--s3-endpoint",
            "https://x",
            "--s3-ca-file",
            file,
        ]
    };
    case(
        "no CA file",
        &ca("absent.pem"),
        &["--s3-ca-file absent.pem", "No such file"],
    );
    case(
        "no PEM in the CA file",
        &ca("not.pem"),
        &["--s3-ca-file not.pem", "no PEM certificate"],
    );
    case(
        "bad PEM in the CA file",
        &ca("broken.pem"),
        &["--s3-ca-file broken.pem", "not a certificate"],
    );
    cases.run();
}

#[test]
fn real_servers_that_refuse() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut cases = Cases::default();
    for url in [s3::versitygw().url(), s3::s3s().url()] {
        let at = |bucket| ["kernels", "--s3-endpoint", &*url, "--store", bucket].map(str::to_owned);
        let mut case = |name, command, bucket, says: &[&str]| {
            let args = at(bucket);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            cases.add(name, command, &args, says);
        };
        let bucket = "s3://btfleet";
        let says = ["there is no bucket no-such-bucket", "--store"];
        case("missing bucket", signed(dir), "s3://no-such-bucket", &says);
        let mut command = signed(dir);
        command.env("AWS_ACCESS_KEY_ID", "AKNOBODY");
        case(
            "wrong access key",
            command,
            bucket,
            &["access key is not known", "AWS_ACCESS_KEY_ID"],
        );
        let mut command = signed(dir);
        command.env("AWS_SECRET_ACCESS_KEY", "wrong");
        case(
            "wrong secret key",
            command,
            bucket,
            &["secret key", "AWS_SECRET_ACCESS_KEY"],
        );
        let says = ["there are no credentials", "AWS_ACCESS_KEY_ID", "IRSA"];
        case("no credentials", btfleet(dir), bucket, &says);
    }
    let url = s3::versitygw().url();
    let args = ["kernels", "--store", "s3://btfleet", "--s3-endpoint", &url];
    let args = [&args[..], &["--s3-region", "eu-nowhere-1"]].concat();
    cases.add("wrong region", signed(dir), &args, &["--s3-region"]);
    let tls = S3Server::start(Scheme::Https);
    let args = ["kernels", "--store", "s3://btfleet", "--s3-endpoint"];
    let secure = tls.url();
    cases.add(
        "TLS not trusted",
        signed(dir),
        &[&args[..], &[&secure]].concat(),
        &["TLS", "UnknownIssuer", "--s3-ca-file"],
    );
    let plain = secure.replace("https://", "http://");
    cases.add(
        "http:// to a TLS server",
        signed(dir),
        &[&args[..], &[&plain]].concat(),
        &["https://", "--s3-endpoint"],
    );
    let wrong = url.replace("http://", "https://");
    cases.add(
        "https:// to a plain server",
        signed(dir),
        &[&args[..], &[&wrong]].concat(),
        &["no TLS", "http://"],
    );
    cases.run();
    drop(tls);
    assert_eq!(BUCKET, "btfleet");
}

#[test]
fn servers_that_are_away_or_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let nobody = format!("http://{}", port::free());
    let servers = [
        ("HTML", html(200), vec!["web page", "--s3-endpoint"]),
        ("HTML, 404", html(404), vec!["web page", "--s3-endpoint"]),
        ("HTML, 403", html(403), vec!["web page", "--s3-endpoint"]),
        (
            "JSON",
            FaultyS3::start(|_| Answer::Plain(200, vec![], b"{\"hello\": 1}".to_vec())),
            vec!["not S3's", "--s3-endpoint"],
        ),
        (
            "clock skew",
            xml_error(403, "RequestTimeTooSkewed"),
            vec!["RequestTimeTooSkewed", "clock", "NTP"],
        ),
        (
            "access denied",
            xml_error(403, "AccessDenied"),
            vec!["AccessDenied", "s3:ListBucket"],
        ),
        (
            "expired token",
            xml_error(400, "ExpiredToken"),
            vec!["run out", "token"],
        ),
        (
            "another region",
            FaultyS3::start(|_| {
                let error = Answer::error(301, "PermanentRedirect");
                error.with("x-amz-bucket-region", "eu-west-7")
            }),
            vec!["--s3-region eu-west-7"],
        ),
        (
            "overloaded",
            FaultyS3::start(|_| Answer::error(503, "SlowDown").with("Retry-After", "60")),
            vec!["SlowDown"],
        ),
    ];
    let mut cases = Cases::default();
    let args = ["kernels", "--store", "s3://btfleet", "--s3-endpoint"];
    for (name, server, says) in &servers {
        let args = [&args[..], &[&server.url()]].concat();
        cases.add(name, signed(dir), &args, says);
    }
    let refused = [&args[..], &[&nobody]].concat();
    let says = ["refuses connections", "--s3-endpoint", &nobody];
    cases.add("connection refused", signed(dir), &refused, &says);
    let unknown = [&args[..], &["http://no-such-host.invalid"]].concat();
    let says = [
        "cannot be resolved",
        "no-such-host.invalid",
        "--s3-endpoint",
    ];
    cases.add("DNS", signed(dir), &unknown, &says);
    let url = s3::versitygw().url();
    let profiles = [&args[..], &[&url]].concat();
    let mut command = btfleet(dir);
    command.env("AWS_PROFILE", "absent");
    cases.add(
        "missing profile",
        command,
        &profiles,
        &["credentials", "AWS_PROFILE"],
    );
    let mut command = btfleet(dir);
    std::fs::write(dir.join("garbage"), "[default\naws_access_key_id\n").unwrap();
    command.env("AWS_SHARED_CREDENTIALS_FILE", dir.join("garbage"));
    cases.add(
        "broken profile file",
        command,
        &profiles,
        &["credentials", "AWS_PROFILE"],
    );
    let mut command = btfleet(dir);
    command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &nobody);
    cases.add(
        "pod identity away",
        command,
        &profiles,
        &["credentials could not be had"],
    );
    assert!(!ACCESS_KEY.is_empty());
    cases.run();
}

#[test]
fn a_403_for_what_may_be_absent_names_the_permission_to_list() {
    use super::{at, key, wait};
    use btfleet::store::{Error, Store};
    let server = xml_error(403, "AccessDenied");
    wait(async {
        let store = at(&server).await;
        let head = store.head(&key("a")).await.unwrap_err();
        let get = store.get(&key("a"), 9).await.unwrap_err();
        for e in [head, get] {
            assert!(matches!(e, Error::Denied { .. }), "{e}");
            let e = e.to_string();
            assert!(
                e.contains("s3:ListBucket") && e.contains("s3:GetObject"),
                "{e}"
            );
        }
        let put = store.put(&key("a"), Default::default()).await.unwrap_err();
        assert!(put.to_string().contains("s3:PutObject"), "{put}");
        let delete = store.delete(&key("a")).await.unwrap_err();
        assert!(delete.to_string().contains("s3:DeleteObject"), "{delete}");
    });
}

#[test]
fn a_head_that_says_nothing_is_explained_by_a_get() {
    use super::{at, key, wait};
    use btfleet::store::Store;
    let server = xml_error(403, "RequestTimeTooSkewed");
    wait(async {
        let e = at(&server)
            .await
            .head(&key("a"))
            .await
            .unwrap_err()
            .to_string();
        assert!(e.contains("NTP"), "{e}");
    });
}
