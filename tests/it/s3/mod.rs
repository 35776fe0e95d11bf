//! Object storage: what the servers' answers make of a store, over two real servers and one with faults.

mod conditions;
mod doctor;
mod errors;
mod identities;
mod keys;
mod permissions;
mod reading;
mod retries;
mod secrecy;
mod tls;

use crate::support::servers::faulty_s3::{Answer, FaultyS3, Request};
use crate::support::stores::s3;
use crate::tool;
use btfleet::artifact::Key;
use btfleet::store::{S3Options, S3Store};
use std::path::Path;
use std::process::Command;

/// Runs what waits for a store.
fn wait<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work)
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// A store at a server with faults.
async fn at(server: &FaultyS3) -> S3Store {
    with(s3::options(&server.url())).await
}

async fn with(options: S3Options) -> S3Store {
    S3Store::open(&s3::new_place(), &options).await.unwrap()
}

/// The program, with no credentials and no settings but those that a test gives it.
fn btfleet(folder: &Path) -> Command {
    let mut command = tool::btfleet(folder);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("AWS_") || text.starts_with("BTFLEET_") {
            command.env_remove(name);
        }
    }
    // No profile of whoever runs this, and nobody to ask at 169.254.169.254.
    command.env("HOME", folder);
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// Likewise, with the servers' keys.
fn signed(folder: &Path) -> Command {
    use crate::support::servers::s3::{ACCESS_KEY, SECRET_KEY};
    let mut command = btfleet(folder);
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY);
    command.env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    command
}

/// A server that answers each request of a method in turn by what `faults` says, and then as it should.
fn failing_first<const N: usize>(method: &'static str, faults: [fn() -> Answer; N]) -> FaultyS3 {
    let left = std::sync::Mutex::new(faults.into_iter());
    FaultyS3::start(move |request: &Request| match request.method == method {
        true => left.lock().unwrap().next().map_or(Answer::Good, |f| f()),
        false => Answer::Good,
    })
}
