//! Credentials that no file or variable holds: a cloud hands them out for an identity. The givers are small
//! servers here, speaking as AWS documents it; the S3 server lets in only what they gave.

use super::btfleet;
use crate::support::servers::faulty_s3::{Answer, FaultyS3, Request};
use crate::tool::text;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const ACCESS: &str = "AKGIVEN";
const SECRET: &str = "given-secret";
const TOKEN: &str = "given-token";

/// An S3 server with an empty bucket, for whoever has the given keys and session.
fn bucket() -> FaultyS3 {
    FaultyS3::start(|request| {
        let signature = request.header("authorization").unwrap_or_default();
        if !signature.contains(&format!("Credential={ACCESS}/")) {
            return Answer::error(403, "InvalidAccessKeyId");
        }
        if request.header("x-amz-security-token") != Some(TOKEN) {
            return Answer::error(403, "InvalidToken");
        }
        if request.path.contains("list-type=2") {
            let list = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
            return Answer::Plain(200, vec![], list.to_vec());
        }
        Answer::Good
    })
}

/// Credentials as a container's or an instance's agent writes them.
fn given(token: &str) -> Answer {
    let keys = json!({
        "Code": "Success",
        "AccessKeyId": ACCESS,
        "SecretAccessKey": SECRET,
        token: TOKEN,
        "Expiration": "2099-01-01T00:00:00Z",
    });
    Answer::Plain(200, vec![], keys.to_string().into_bytes())
}

/// Reads the store, and says who gave the credentials.
fn reads(mut command: Command, s3: &FaultyS3) -> String {
    command.args([
        "store",
        "doctor",
        "--store",
        "s3://bucket/p",
        "--role=reader",
    ]);
    command.args([
        "-o",
        "json",
        "--s3-region=eu-west-1",
        "--s3-endpoint",
        &s3.url(),
    ]);
    let out = command.output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", text(&out.stderr)));
    let checks = told["checks"].as_array().unwrap();
    let found = checks.iter().find(|c| c["check"] == "credentials").unwrap();
    assert_eq!(found["outcome"], "ok", "{told:#}");
    for said in [text(&out.stdout), text(&out.stderr)] {
        assert!(!said.contains(SECRET) && !said.contains(TOKEN), "{said}");
    }
    found["detail"].as_str().unwrap().to_owned()
}

fn only(giver: &FaultyS3) -> Request {
    let requests = giver.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests.into_iter().next().unwrap()
}

fn write(dir: &Path, name: &str, contents: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, contents).unwrap();
    path.display().to_string()
}

#[test]
fn irsa_changes_the_pods_token_for_keys() {
    let (s3, dir) = (bucket(), tempfile::tempdir().unwrap());
    let sts = FaultyS3::start(|_| {
        let body = format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{ACCESS}</AccessKeyId>\
             <SecretAccessKey>{SECRET}</SecretAccessKey><SessionToken>{TOKEN}</SessionToken>\
             <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        );
        Answer::Plain(200, vec![("Content-Type", "text/xml".into())], body.into())
    });
    let mut command = btfleet(dir.path());
    command.env(
        "AWS_ROLE_ARN",
        "arn:aws:iam::123456789012:role/btfleet-agent",
    );
    let token = write(dir.path(), "token", "jwt.of.the-pod");
    command.env("AWS_WEB_IDENTITY_TOKEN_FILE", token);
    command.env("AWS_ENDPOINT_URL_STS", sts.url());
    assert_eq!(reads(command, &s3), "from web identity (IRSA)");
    let request = only(&sts);
    let body = text(&request.body);
    for part in [
        "Action=AssumeRoleWithWebIdentity",
        "WebIdentityToken=jwt.of.the-pod",
        "role%2Fbtfleet-agent",
    ] {
        assert!(body.contains(part), "{body}");
    }
    // The token is what proves who asks.
    assert_eq!(request.header("authorization"), None);
}

#[test]
fn eks_pod_identity_is_asked_with_the_pods_token() {
    let (s3, dir) = (bucket(), tempfile::tempdir().unwrap());
    let agent = FaultyS3::start(|_| given("Token"));
    let mut command = btfleet(dir.path());
    let url = format!("{}/v1/credentials", agent.url());
    command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
    let token = write(dir.path(), "token", "jwt.of.the-pod");
    command.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token);
    assert_eq!(reads(command, &s3), "from pod identity or container");
    let request = only(&agent);
    assert_eq!(request.path, "/v1/credentials");
    assert_eq!(request.header("authorization"), Some("jwt.of.the-pod"));
}

#[test]
fn an_ecs_container_is_asked_with_the_token_in_its_environment() {
    let (s3, dir) = (bucket(), tempfile::tempdir().unwrap());
    let agent = FaultyS3::start(|_| given("Token"));
    let mut command = btfleet(dir.path());
    command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url() + "/role");
    command.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc");
    assert_eq!(reads(command, &s3), "from pod identity or container");
    assert_eq!(only(&agent).header("authorization"), Some("Basic abc"));
}

#[test]
fn an_instance_is_asked_in_a_session() {
    let (s3, dir) = (bucket(), tempfile::tempdir().unwrap());
    let role = "/latest/meta-data/iam/security-credentials";
    let metadata = FaultyS3::start(move |request| {
        let path = request.path.trim_end_matches('/');
        if (&*request.method, path) == ("PUT", "/latest/api/token") {
            let lasts = ("x-aws-ec2-metadata-token-ttl-seconds", "21600".into());
            return Answer::Plain(200, vec![lasts], b"session".to_vec());
        }
        if request.header("x-aws-ec2-metadata-token") != Some("session") {
            return Answer::Plain(401, vec![], vec![]);
        }
        // The older of its two paths; the newer one is absent on many instances.
        match path.strip_prefix(role) {
            Some("") => Answer::Plain(200, vec![], b"node-role".to_vec()),
            Some("/node-role") => given("Token"),
            _ => Answer::Plain(404, vec![], vec![]),
        }
    });
    let mut command = btfleet(dir.path());
    command.env_remove("AWS_EC2_METADATA_DISABLED");
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url());
    assert_eq!(reads(command, &s3), "from instance metadata");
    assert!(metadata.count("PUT") > 0);
}

#[test]
fn a_credential_process_is_run() {
    let (s3, dir) = (bucket(), tempfile::tempdir().unwrap());
    let keys = json!({
        "Version": 1,
        "AccessKeyId": ACCESS,
        "SecretAccessKey": SECRET,
        "SessionToken": TOKEN,
        "Expiration": "2099-01-01T00:00:00Z",
    });
    let program = write(dir.path(), "give", &format!("#!/bin/sh\necho '{keys}'\n"));
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let profile = format!("[profile fleet]\ncredential_process = {program}\n");
    let mut command = btfleet(dir.path());
    command.env("AWS_CONFIG_FILE", write(dir.path(), "config", &profile));
    command.env("AWS_PROFILE", "fleet");
    assert_eq!(reads(command, &s3), "from profile files");
}

#[test]
fn variables_come_before_files_and_files_before_identities() {
    let (s3, dir) = (bucket(), tempfile::tempdir().unwrap());
    let agent = FaultyS3::start(|_| Answer::Plain(500, vec![], vec![]));
    let file = |access: &str| {
        format!(
            "[default]\naws_access_key_id = {access}\naws_secret_access_key = {SECRET}\n\
             aws_session_token = {TOKEN}\n"
        )
    };
    let command = |access: &str| {
        let mut command = btfleet(dir.path());
        command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url());
        let keys = write(dir.path(), access, &file(access));
        command.env("AWS_SHARED_CREDENTIALS_FILE", keys);
        command
    };
    assert_eq!(reads(command(ACCESS), &s3), "from profile files");
    let mut with_variables = command("AKOTHER");
    with_variables.env("AWS_ACCESS_KEY_ID", ACCESS);
    with_variables.env("AWS_SECRET_ACCESS_KEY", SECRET);
    with_variables.env("AWS_SESSION_TOKEN", TOKEN);
    assert_eq!(reads(with_variables, &s3), "from environment variables");
    assert_eq!(agent.requests().len(), 0);
}

#[test]
fn a_proxy_stands_before_the_store_and_not_before_what_gives_the_keys() {
    let (proxy, agent) = (bucket(), FaultyS3::start(|_| given("Token")));
    let dir = tempfile::tempdir().unwrap();
    let run = |endpoint: &str, variables: &[(&str, &str)]| {
        let mut command = btfleet(dir.path());
        let url = format!("{}/v1/credentials", agent.url());
        command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
        command.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "x");
        command.env("HTTP_PROXY", proxy.url());
        command.envs(variables.iter().copied());
        command.args([
            "store",
            "doctor",
            "--store",
            "s3://bucket/p",
            "--role=reader",
        ]);
        command.args(["--s3-region=eu-west-1", "--s3-endpoint", endpoint]);
        text(&command.output().unwrap().stdout)
    };
    // Nobody but the proxy knows this host.
    let said = run("http://s3.example.invalid:9000", &[]);
    assert!(said.contains("from pod identity or container"), "{said}");
    let asked = proxy.requests();
    assert!(!asked.is_empty());
    for request in &asked {
        let path = &request.path;
        assert!(
            path.starts_with("http://s3.example.invalid:9000/bucket/"),
            "{path}"
        );
    }
    assert_eq!(only(&agent).path, "/v1/credentials");

    let direct = bucket();
    let said = run(&direct.url(), &[("NO_PROXY", "127.0.0.1")]);
    assert!(said.contains("from pod identity or container"), "{said}");
    assert!(!direct.requests().is_empty());
    assert_eq!(proxy.requests().len(), asked.len());
}

#[test]
fn an_instance_is_asked_for_the_region_past_any_proxy() {
    let dir = tempfile::tempdir().unwrap();
    let metadata = FaultyS3::start(|request| match request.path.as_str() {
        "/latest/api/token" => {
            let lasts = ("x-aws-ec2-metadata-token-ttl-seconds", "21600".into());
            Answer::Plain(200, vec![lasts], b"session".to_vec())
        }
        "/latest/meta-data/placement/region" => Answer::Plain(200, vec![], b"eu-moon-7".to_vec()),
        _ => Answer::Plain(404, vec![], vec![]),
    });
    let (http, https) = (
        FaultyS3::start(|_| Answer::Plain(502, vec![], vec![])),
        FaultyS3::start(|_| Answer::Plain(403, vec![], vec![])),
    );
    let mut command = btfleet(dir.path());
    command
        .env_remove("AWS_EC2_METADATA_DISABLED")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url())
        .env("AWS_ACCESS_KEY_ID", ACCESS)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("HTTP_PROXY", http.url())
        .env("HTTPS_PROXY", https.url())
        .args(["kernels", "--store", "s3://bucket/p"]);
    let out = command.output().unwrap();
    assert!(!out.status.success());
    let paths: Vec<String> = metadata.requests().into_iter().map(|r| r.path).collect();
    let region = "/latest/meta-data/placement/region".to_owned();
    assert!(paths.contains(&region), "{paths:?}: {}", text(&out.stderr));
    let asked = http.requests();
    assert!(asked.is_empty(), "{asked:?}");
    // The bucket in that region is what the other proxy is asked for.
    let asked = https.requests();
    assert!(!asked.is_empty(), "{}", text(&out.stderr));
    for request in asked {
        assert_eq!(request.method, "CONNECT");
        assert_eq!(request.path, "bucket.s3.eu-moon-7.amazonaws.com:443");
    }
}
