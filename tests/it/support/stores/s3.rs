//! Stores over S3 servers, opened as the program does it.

use crate::support::servers::s3::{ACCESS_KEY, BUCKET, S3Server, SECRET_KEY, Scheme};
use btfleet::store::S3Options;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The versitygw that this run's tests share; each test takes a prefix of its own.
pub fn versitygw() -> &'static S3Server {
    static SERVER: OnceLock<S3Server> = OnceLock::new();
    SERVER.get_or_init(|| S3Server::start(Scheme::Http))
}

/// A place in the servers' bucket that no other test has.
pub fn new_place() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("s3://{BUCKET}/test/{n}")
}

/// A shared credentials file with one key pair, in a folder that lasts as long as the run.
pub fn keys_file(access: &str, secret: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().unwrap());
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = folder.path().join(format!("keys-{n}"));
    let text =
        format!("[default]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n");
    std::fs::write(&path, text).unwrap();
    path
}

/// Options for a server on loopback, with the servers' keys.
pub fn options(url: &str) -> S3Options {
    S3Options {
        endpoint: Some(url.to_owned()),
        region: Some("us-east-1".to_owned()),
        credentials_file: Some(keys_file(ACCESS_KEY, SECRET_KEY)),
        ..S3Options::default()
    }
}
