//! What is published about a kernel, and under which names: digests, keys, the manifest, compression.
//!
//! Nothing here does I/O; a store ([`crate::store`]) keeps bytes under [`Key`]s and knows no more.

mod compress;
mod digest;
mod key;
mod manifest;
mod names;
mod report;

pub use compress::{BlobError, MAX_BLOB, check, compress, compressed_limit, decompress};
pub use digest::{BtfDigest, Generator, HeaderDigest, KernelId, NameError, Parts};
pub use key::{Key, Object};
pub use manifest::{Manifest, ManifestError, Order};
pub use names::{Arch, Owner, Release};
pub use report::{CheckReport, Counts, FindingReport, KernelReport, ObjectReport, ProgramReport};
