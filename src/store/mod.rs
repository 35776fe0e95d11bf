//! Where things are published: keys and bytes, with the layout of [`crate::artifact::Object`].
//!
//! A [`Store`] knows keys and bytes and nothing of what they mean. [`read`] checks what it gives; [`publish()`]
//! writes a [`Kernel`] in an order that survives being cut short, and [`look`] says whether all of one is there.

mod chance;
mod error;
mod folder;
mod fs;
mod kernel;
mod open;
mod plan;
mod publish;
pub mod read;
mod run;
#[cfg(feature = "s3")]
mod s3;

use crate::artifact::Key;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use std::fmt;
use std::time::{Duration, SystemTime};

pub use error::Error;
pub use fs::FsStore;
pub use kernel::{Kernel, KernelError, Made};
pub use open::{S3Counts, S3Options, open};
pub use publish::{Contents, Done, Manner, PublishError, Step, look, objects, publish_and_look};
pub use read::ReadError;
pub use run::publish;
#[cfg(feature = "s3")]
pub use s3::S3Store;

/// Objects under keys, as an S3 bucket or a local folder holds them.
///
/// Every call may be dropped at any await point: an object is whole or absent all the same, though a write
/// that was under way may still take effect.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The place as `--store` takes it: `s3://BUCKET/PREFIX`, or a folder.
    fn place(&self) -> &str;

    /// Reads an object of at most `limit` bytes; `None` if there is none.
    ///
    /// # Errors
    /// It is larger, or cannot be read.
    async fn get(&self, key: &Key, limit: u64) -> Result<Option<Bytes>, Error>;

    /// What is known of an object without reading it; `None` if there is none.
    ///
    /// # Errors
    /// The store's.
    async fn head(&self, key: &Key) -> Result<Option<Entry>, Error>;

    /// Writes an object if there is none. Of many that try at once one is told [`Put::Created`], or none,
    /// where an answer was lost. A store that knows no conditional writes looks first, and then more
    /// than one may write: harmless where the key says what the bytes are.
    ///
    /// # Errors
    /// The store's; nothing half written is visible then.
    async fn put_if_absent(&self, key: &Key, body: Bytes) -> Result<Put, Error>;

    /// Writes an object, in place of what may be there.
    ///
    /// # Errors
    /// The store's; what was there is there still, or the new bytes are, whole.
    async fn put(&self, key: &Key, body: Bytes) -> Result<(), Error>;

    /// Removes an object. One that is not there is no error.
    ///
    /// # Errors
    /// The store's.
    async fn delete(&self, key: &Key) -> Result<(), Error>;

    /// All objects in a folder (a key that ends in `/`, or `None` for the whole store) and below, by key,
    /// fetched page by page as they are asked for. What is no key of ours is not shown. A folder that is
    /// not there has no objects. The stream ends after an error.
    fn list<'a>(&'a self, folder: Option<&Key>) -> BoxStream<'a, Result<Entry, Error>>;

    /// Removes what killed writers left behind and no reader sees, where a store has such things and they are
    /// older than `age`.
    ///
    /// # Errors
    /// The store's.
    async fn tidy(&self, age: Duration) -> Result<(), Error> {
        let _ = age;
        Ok(())
    }
}

/// What became of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It was written.
    Created,
    /// It was there already, and was left as it was.
    Existed,
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: Key,
    /// Its size in bytes, as stored.
    pub size: u64,
    /// When it was written last, where the store tells.
    pub modified: Option<SystemTime>,
}
