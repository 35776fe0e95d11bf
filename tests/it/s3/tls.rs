//! TLS, by certificate authorities that are the system's, given, or neither.

use super::{key, s3, signed, wait, with};
use crate::support::servers::s3::{BUCKET, S3Server, Scheme};
use crate::tool::{file, small_kernel, text};
use btfleet::store::{Error, Store};
use bytes::Bytes;

#[test]
fn a_server_is_trusted_by_the_given_authority_and_not_without() {
    let server = S3Server::start(Scheme::Https);
    let mut options = s3::options(&server.url());
    wait(async {
        let e = with(options.clone())
            .await
            .get(&key("a"), 9)
            .await
            .unwrap_err();
        assert!(matches!(e, Error::Refused { .. }), "{e}");
        assert!(e.to_string().contains("--s3-ca-file"), "{e}");
        options.ca_file = server.ca_file();
        let store = with(options).await;
        store.put(&key("a"), Bytes::from("one")).await.unwrap();
        assert_eq!(store.get(&key("a"), 9).await.unwrap().unwrap(), "one");
    });
}

#[test]
fn the_systems_bundle_is_used_and_the_given_authority_comes_on_top() {
    let server = S3Server::start(Scheme::Https);
    let other = S3Server::start(Scheme::Https);
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "k.btf", &small_kernel("task"));
    let publish = |server: &S3Server, given: Option<&S3Server>| {
        let mut command = signed(dir.path());
        command.env("SSL_CERT_FILE", server.ca_file().unwrap());
        if let Some(given) = given {
            command
                .arg("publish")
                .arg("--s3-ca-file")
                .arg(given.ca_file().unwrap());
        } else {
            command.arg("publish");
        }
        command
    };
    // The bundle alone; an authority of another server beside it does not take its place.
    for given in [None, Some(&other)] {
        let out = publish(&server, given)
            .args(["k.btf", "--s3-endpoint", &server.url(), "--store"])
            .arg(format!("s3://{BUCKET}/a"))
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", text(&out.stderr));
    }
    // The given one counts where the bundle has another.
    let out = publish(&server, Some(&other))
        .args(["k.btf", "--s3-endpoint", &other.url(), "--store"])
        .arg(format!("s3://{BUCKET}/a"))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
}
