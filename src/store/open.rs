//! From what `--store` says to a [`Store`].

use super::{Error, FsStore, Store};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How an `s3://` store is reached. A folder needs none of it.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// The server's URL; AWS's own for the region if there is none here nor in the environment.
    pub endpoint: Option<String>,
    /// The region; otherwise the environment's, the profile's, or the instance's.
    pub region: Option<String>,
    /// Whether the bucket is named in the path (`https://HOST/BUCKET/KEY`) or in the host name. By
    /// default in the path where an endpoint is given, as few servers elsewhere have a name for each bucket.
    pub path_style: Option<bool>,
    /// A PEM file of further certificate authorities to trust, beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Static keys in this shared credentials file, instead of where AWS' own tools look.
    pub credentials_file: Option<PathBuf>,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long to wait for an answer, and for each piece of a body.
    pub read_timeout: Duration,
    /// How long one call of the store may take, with all its retries.
    pub call_timeout: Duration,
    /// How often one request is sent at most.
    pub attempts: u32,
    /// How soon static keys in a shared credentials file are read again.
    pub reread_keys: Duration,
    /// Counts what is sent; to be shared with whoever reports it.
    pub counts: Arc<S3Counts>,
}

impl Default for S3Options {
    fn default() -> S3Options {
        S3Options {
            endpoint: None,
            region: None,
            path_style: None,
            ca_file: None,
            credentials_file: None,
            connect_timeout: Duration::from_secs(5),
            // Some megabytes have to go up a slow line within it.
            read_timeout: Duration::from_secs(60),
            call_timeout: Duration::from_secs(180),
            attempts: 4,
            reread_keys: Duration::from_secs(45),
            counts: Arc::default(),
        }
    }
}

/// What was sent to an object storage.
#[derive(Debug, Default)]
pub struct S3Counts {
    requests: AtomicU64,
    retries: AtomicU64,
}

impl S3Counts {
    /// Requests sent, retries among them.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests that were sent again.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    #[cfg(feature = "s3")]
    pub(super) fn count(&self, is_retry: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.retries
            .fetch_add(u64::from(is_retry), Ordering::Relaxed);
    }
}

/// The store at `s3://BUCKET/PREFIX`, `file://DIR` or plain `DIR`. Nothing is sent and nothing created yet.
///
/// # Errors
/// The place or an option cannot be used: an unknown scheme, a bucket's name that none can have, …
pub async fn open(place: &str, options: &S3Options) -> Result<Arc<dyn Store>, Error> {
    let refuse = |problem: String| {
        let place = place.to_owned();
        Err(Error::Place { place, problem })
    };
    match place.split_once("://") {
        None | Some(("file", _)) => Ok(Arc::new(FsStore::open(place)?)),
        #[cfg(feature = "s3")]
        Some(("s3", _)) => Ok(Arc::new(super::S3Store::open(place, options).await?)),
        #[cfg(not(feature = "s3"))]
        Some(("s3", _)) => {
            let _ = options;
            refuse("this build has no object storage (it was built without the feature s3)".into())
        }
        Some((scheme, _)) => refuse(format!(
            "{scheme}:// is no kind of store; known are s3://BUCKET/PREFIX, file://DIR and a plain DIR"
        )),
    }
}
