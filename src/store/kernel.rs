//! A kernel as it is published: its BTF, the header made of it, and what is said of both.

use crate::artifact::{BtfDigest, HeaderDigest, Manifest};
use crate::btf::{self, Btf};
use crate::dump;
use bytes::Bytes;
use std::thread;

/// A kernel, ready to be published.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// The BTF as the kernel gave it.
    pub btf: Bytes,
    /// The BTF's digest.
    pub digest: BtfDigest,
    /// The header made of it; `None` where the BTF cannot be read and is stored as it is.
    pub made: Option<Made>,
}

/// What is made of a kernel's BTF.
#[derive(Debug, Clone)]
pub struct Made {
    /// `vmlinux.h`.
    pub header: Bytes,
    /// What is said of BTF and header.
    pub manifest: Manifest,
}

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The BTF cannot be read.
    #[error(transparent)]
    Btf(#[from] btf::Error),
    /// It has a type that C cannot express.
    #[error(transparent)]
    Dump(#[from] dump::Error),
}

impl Kernel {
    /// Parses the BTF, makes its header and hashes both, on this thread and one more: not for a thread that
    /// others wait for. Nothing is written.
    ///
    /// # Errors
    /// The BTF does not parse, or has a type that C cannot express. [`Kernel::raw`] takes it all the same.
    pub fn new(blob: Bytes) -> Result<Kernel, KernelError> {
        let (digest, made) = thread::scope(|s| {
            let digest = s.spawn(|| BtfDigest::of(&blob));
            let btf = Btf::parse(&blob)?;
            let header = dump::header(&btf)?;
            let header_digest = HeaderDigest::of(&header);
            // The thread only hashes: it does not panic.
            let digest = digest.join().expect("hashing does not fail");
            let manifest = Manifest::new(
                &btf,
                (digest, blob.len() as u64),
                (header_digest, header.len() as u64),
            );
            let header = header.into();
            Ok::<_, KernelError>((digest, Made { header, manifest }))
        })?;
        Ok(Kernel {
            btf: blob,
            digest,
            made: Some(made),
        })
    }

    /// A kernel whose BTF cannot be read: it is published without a header and a manifest, for others to look into.
    pub fn raw(btf: Bytes) -> Kernel {
        Kernel {
            digest: BtfDigest::of(&btf),
            btf,
            made: None,
        }
    }
}
