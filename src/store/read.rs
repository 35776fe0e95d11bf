//! Typed reading: no byte is handed on whose digest was not checked.

use super::{Error, Folder};
use crate::artifact::{
    BlobError, BtfDigest, Generator, HeaderDigest, Key, MAX_BLOB, Manifest, ManifestError, Object,
    compressed_limit, decompress,
};

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
}

/// The BTF of this digest, uncompressed and checked. `size` is what a manifest says of it, if one was
/// read: it can only lower what is taken.
///
/// # Errors
/// [`ReadError`].
pub fn btf(store: &Folder, digest: &BtfDigest, size: Option<u64>) -> Result<Vec<u8>, ReadError> {
    blob(store, &Object::Btf(*digest), digest.as_bytes(), size)
}

/// The header of this digest, likewise.
///
/// # Errors
/// [`ReadError`].
pub fn header(
    store: &Folder,
    digest: &HeaderDigest,
    size: Option<u64>,
) -> Result<Vec<u8>, ReadError> {
    blob(store, &Object::Header(*digest), digest.as_bytes(), size)
}

fn blob(
    store: &Folder,
    object: &Object,
    digest: &[u8; 32],
    size: Option<u64>,
) -> Result<Vec<u8>, ReadError> {
    let key = object.key();
    let limit = size.unwrap_or(MAX_BLOB).min(MAX_BLOB);
    let Some(stored) = store.get(&key, compressed_limit(limit))? else {
        return Err(ReadError::Missing { key });
    };
    decompress(&stored, digest, limit).map_err(|source| ReadError::Blob { key, source })
}

/// A kernel's manifest for one generator.
///
/// # Errors
/// [`ReadError`].
pub fn manifest(
    store: &Folder,
    btf: &BtfDigest,
    generator: Generator,
) -> Result<Manifest, ReadError> {
    let key = Object::Manifest(*btf, generator).key();
    let Some(json) = store.get(&key, Manifest::MAX_LEN)? else {
        return Err(ReadError::Missing { key });
    };
    Manifest::parse(&json, *btf, generator).map_err(|source| ReadError::Manifest { key, source })
}
