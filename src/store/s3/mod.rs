//! Object storage: AWS S3 and the servers that speak as it does.

mod client;
mod credentials;
mod error;
mod ops;
mod place;
mod trust;
mod watch;

use super::{Error, S3Options};
use crate::artifact::Key;
use aws_sdk_s3::Client;
use client::Connection;
use place::Place;
use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A store in a bucket.
///
/// What the server can do is learned from its answers: one that knows no conditional writes, or ignores
/// the condition, is looked at before each of them.
pub struct S3Store {
    place: Place,
    client: Client,
    credentials: credentials::Credentials,
    watch: watch::Watch,
    endpoint: Option<String>,
    read_timeout: Duration,
    call_timeout: Duration,
    attempts: u32,
    /// The server has refused or ignored `If-None-Match: *`.
    unconditional: AtomicBool,
    present: Present,
}

impl S3Store {
    /// The store at `s3://BUCKET/PREFIX`. Nothing is sent yet, except to find the region and credentials.
    ///
    /// # Errors
    /// The place or an option cannot be used.
    pub async fn open(place: &str, options: &S3Options) -> Result<S3Store, Error> {
        let place = Place::parse(place)?;
        let Connection {
            client,
            credentials,
            watch,
            endpoint,
        } = client::connect(&place, options).await?;
        Ok(S3Store {
            place,
            client,
            credentials,
            watch,
            endpoint,
            read_timeout: options.read_timeout,
            call_timeout: options.call_timeout,
            attempts: options.attempts.max(1),
            unconditional: AtomicBool::new(false),
            present: Present::default(),
        })
    }

    /// Whether the server was found not to know conditional writes, or to ignore the condition.
    pub fn is_unconditional(&self) -> bool {
        self.unconditional.load(Ordering::Relaxed)
    }

    /// Who gave the credentials, once a request was sent.
    pub fn credentials_source(&self) -> Option<&'static str> {
        self.credentials.source()
    }

    /// How many seconds the server's clock is ahead of this machine's, as its last answer told.
    pub fn clock_ahead(&self) -> Option<i64> {
        self.watch.clock_ahead()
    }

    /// What the server calls itself, in its last answer.
    pub fn server(&self) -> Option<String> {
        self.watch.server()
    }

    /// The server's URL; `None` is AWS' own for the region.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }
}

/// Its place alone: neither credentials nor anything that could hold them.
impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("S3Store").field(&self.place.text).finish()
    }
}

/// Some of the objects that were seen: what a condition ought to stop a write over.
#[derive(Debug, Default)]
struct Present(Mutex<HashSet<Key>>);

impl Present {
    const MOST: usize = 1024;

    fn keys(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, key: &Key) {
        let mut keys = self.keys();
        if keys.len() >= Present::MOST {
            keys.clear();
        }
        keys.insert(key.clone());
    }

    fn has(&self, key: &Key) -> bool {
        self.keys().contains(key)
    }

    fn remove(&self, key: &Key) {
        self.keys().remove(key);
    }
}
