//! Real users with real permissions: each role of docs/store.md has what it needs, and no other.

use super::wait;
use crate::support::servers::s3::{BUCKET, S3Server, Scheme};
use crate::tool::{btfleet, file, small_kernel, text};
use aws_sdk_s3::config::{Credentials, Region};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

const SECRET: &str = "the-users-secret";
const PREFIX: &str = "fleet";

/// A server with a user for each role, named after it.
fn server() -> S3Server {
    let server = S3Server::start(Scheme::Http);
    let all = format!("arn:aws:s3:::{BUCKET}/{PREFIX}/*");
    let bucket = format!("arn:aws:s3:::{BUCKET}");
    let mut statements = Vec::new();
    for (role, actions) in [
        ("agent", json!(["s3:GetObject", "s3:PutObject"])),
        (
            "controller",
            json!(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]),
        ),
        ("reader", json!(["s3:GetObject"])),
    ] {
        server.add_user(role, SECRET);
        let mut allow = |action: Value, resource: &str| {
            statements.push(json!({
                "Effect": "Allow",
                "Principal": {"AWS": [role]},
                "Action": action,
                "Resource": resource,
            }));
        };
        allow(actions, &all);
        allow(json!("s3:ListBucket"), &bucket);
    }
    let policy = json!({"Version": "2012-10-17", "Statement": statements});
    use crate::support::servers::s3::{ACCESS_KEY, SECRET_KEY};
    let root = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "root");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version_latest()
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .credentials_provider(root)
        .region(Region::new("us-east-1"))
        .endpoint_url(server.url())
        .force_path_style(true)
        .build();
    wait(async {
        let client = aws_sdk_s3::Client::from_conf(config);
        let put = client.put_bucket_policy().bucket(BUCKET);
        put.policy(policy.to_string()).send().await.unwrap();
    });
    server
}

fn run(server: &S3Server, dir: &Path, user: &str, args: &[&str]) -> Output {
    let mut command: Command = btfleet(dir);
    command.env("AWS_ACCESS_KEY_ID", user);
    command.env("AWS_SECRET_ACCESS_KEY", SECRET);
    command.args(args);
    command.args(["--s3-endpoint", &server.url(), "--store"]);
    command.arg(format!("s3://{BUCKET}/{PREFIX}"));
    command.output().unwrap()
}

#[test]
fn each_roles_permissions_are_all_it_needs_and_the_doctor_sees_what_they_lack() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    for (user, may) in [
        ("agent", ["agent", "reader"].as_slice()),
        ("controller", &["agent", "controller", "reader"]),
        ("reader", &["reader"]),
    ] {
        let out = run(
            &server,
            dir.path(),
            user,
            &["store", "doctor", "-o", "json"],
        );
        let told: Value = serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|e| panic!("{user}: {e}: {}", text(&out.stderr)));
        let roles = told["roles"].as_array().unwrap();
        let well = roles.iter().filter(|r| r["ok"] == true);
        let well: Vec<_> = well.map(|r| r["role"].as_str().unwrap()).collect();
        assert_eq!(well, may, "{user}: {told:#}");
        assert_eq!(out.status.success(), may.len() == 3, "{user}");
    }
}

#[test]
fn a_reader_reads_what_another_published_and_writes_nothing() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    file(dir.path(), "k.btf", &small_kernel("task"));
    let publish = ["publish", "k.btf", "--arch=x86_64", "--release=6.18.0"];
    let denied = run(&server, dir.path(), "reader", &publish);
    assert_eq!(denied.status.code(), Some(1));
    let said = text(&denied.stderr);
    assert!(said.contains("s3:PutObject"), "{said}");
    assert!(
        run(&server, dir.path(), "controller", &publish)
            .status
            .success()
    );
    for args in [&["kernels"][..], &["verify"], &["get", "6.18.0"]] {
        let out = run(&server, dir.path(), "reader", args);
        assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    }
    // Its folder is the prefix; the bucket's other objects are not its.
    let elsewhere = btfleet(dir.path())
        .env("AWS_ACCESS_KEY_ID", "controller")
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .args(publish)
        .args([
            "--s3-endpoint",
            &server.url(),
            "--store",
            "s3://btfleet/other",
        ])
        .output()
        .unwrap();
    assert_eq!(elsewhere.status.code(), Some(1));
}
