//! Typed reading: no byte is handed on whose digest was not checked.

use super::{Error, Store};
use crate::artifact::{
    BlobError, BtfDigest, Generator, HeaderDigest, Key, MAX_BLOB, Manifest, ManifestError, Object,
    check, compressed_limit, decompress,
};
use bytes::Bytes;

/// Why an object of a store could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is not there.
    #[error("{key}: there is no such object in the store")]
    Missing {
        /// The key.
        key: Key,
    },
    /// It is there, but its contents are not what its key says.
    #[error("{key}: {source}")]
    Blob {
        /// The key.
        key: Key,
        /// What is wrong.
        source: BlobError,
    },
    /// The manifest is there, but cannot be used.
    #[error("{key}: {source}")]
    Manifest {
        /// The key.
        key: Key,
        /// What is wrong.
        source: ManifestError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl ReadError {
    /// The object is absent, as opposed to wrong or out of reach.
    pub fn is_missing(&self) -> bool {
        matches!(self, ReadError::Missing { .. })
    }

    /// Whether the same may work later: the store is away, or somebody may mend the object meanwhile.
    pub fn is_transient(&self) -> bool {
        match self {
            ReadError::Store(e) => e.is_transient(),
            ReadError::Missing { .. } => false,
            ReadError::Blob { .. } | ReadError::Manifest { .. } => true,
        }
    }
}

/// The BTF of this digest, uncompressed and checked. `size` is what a manifest says of it, if one was
/// read: it can only lower what is taken.
///
/// # Errors
/// [`ReadError`].
pub async fn btf(
    store: &dyn Store,
    digest: &BtfDigest,
    size: Option<u64>,
) -> Result<Bytes, ReadError> {
    let digest = *digest;
    blob(store, Object::Btf(digest), size, move |stored, limit| {
        decompress(&stored, digest.as_bytes(), limit).map(Bytes::from)
    })
    .await
}

/// The header of this digest, likewise.
///
/// # Errors
/// [`ReadError`].
pub async fn header(
    store: &dyn Store,
    digest: &HeaderDigest,
    size: Option<u64>,
) -> Result<Bytes, ReadError> {
    let digest = *digest;
    blob(store, Object::Header(digest), size, move |stored, limit| {
        decompress(&stored, digest.as_bytes(), limit).map(Bytes::from)
    })
    .await
}

/// A BTF or a header as it is stored, compressed, its contents checked.
pub(super) async fn stored(
    store: &dyn Store,
    object: &Object,
    size: Option<u64>,
) -> Result<Bytes, ReadError> {
    let digest = match object {
        Object::Btf(btf) => *btf.as_bytes(),
        Object::Header(header) => *header.as_bytes(),
        // The others' names say nothing of their contents.
        _ => return Err(ReadError::Missing { key: object.key() }),
    };
    blob(store, object.clone(), size, move |stored, limit| {
        check(&stored, &digest, limit).map(|_| stored)
    })
    .await
}

/// Gets a blob and lets `work` check it, where nothing waits for the processor.
async fn blob(
    store: &dyn Store,
    object: Object,
    size: Option<u64>,
    work: impl FnOnce(Bytes, u64) -> Result<Bytes, BlobError> + Send + 'static,
) -> Result<Bytes, ReadError> {
    let key = object.key();
    let limit = size.unwrap_or(MAX_BLOB).min(MAX_BLOB);
    let Some(stored) = store.get(&key, compressed_limit(limit)).await? else {
        return Err(ReadError::Missing { key });
    };
    let checked = tokio::task::spawn_blocking(move || work(stored, limit)).await;
    let checked = checked.expect("decompressing does not panic");
    checked.map_err(|source| ReadError::Blob { key, source })
}

/// A kernel's manifest for one generator.
///
/// # Errors
/// [`ReadError`].
pub async fn manifest(
    store: &dyn Store,
    btf: &BtfDigest,
    generator: Generator,
) -> Result<Manifest, ReadError> {
    let key = Object::Manifest(*btf, generator).key();
    let Some(json) = store.get(&key, Manifest::MAX_LEN).await? else {
        return Err(ReadError::Missing { key });
    };
    Manifest::parse(&json, *btf, generator).map_err(|source| ReadError::Manifest { key, source })
}
