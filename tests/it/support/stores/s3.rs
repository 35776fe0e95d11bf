//! Stores over S3 servers, opened as the program does it.

use crate::support::servers::folder::Folder;
use crate::support::servers::s3::{ACCESS_KEY, BUCKET, S3Server, SECRET_KEY, Scheme};
use crate::support::servers::s3s::S3s;
use btfleet::store::{S3Options, S3Store};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The versitygw that this run's tests share; each test takes a prefix of its own.
pub fn versitygw() -> &'static S3Server {
    static SERVER: OnceLock<S3Server> = OnceLock::new();
    SERVER.get_or_init(|| S3Server::start(Scheme::Http))
}

/// Likewise, s3s-fs.
pub fn s3s() -> &'static S3s {
    static SERVER: OnceLock<S3s> = OnceLock::new();
    SERVER.get_or_init(S3s::start)
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
    static FOLDER: OnceLock<Folder> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| Folder::new("keys"));
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    folder.write(&format!("keys-{n}"), &keys(access, secret))
}

/// What such a file says.
pub fn keys(access: &str, secret: &str) -> String {
    format!("[default]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n")
}

/// Options for a server on loopback, with the servers' keys and little patience.
pub fn options(url: &str) -> S3Options {
    S3Options {
        endpoint: Some(url.to_owned()),
        region: Some("us-east-1".to_owned()),
        credentials_file: Some(keys_file(ACCESS_KEY, SECRET_KEY)),
        read_timeout: Duration::from_secs(20),
        call_timeout: Duration::from_secs(60),
        ..S3Options::default()
    }
}

/// A new store at a server.
pub async fn store(url: &str) -> S3Store {
    S3Store::open(&new_place(), &options(url)).await.unwrap()
}
