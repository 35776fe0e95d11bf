//! The order in which a kernel is published, so that whoever looks in between finds nothing half done:
//! reference, blobs, manifest, index, and a last look.

use super::{Error, Folder, Put, ReadError, read};
use crate::artifact::{
    Arch, BtfDigest, HeaderDigest, Key, Manifest, Object, Owner, Release, compress,
};
use crate::btf::{self, Btf};
use crate::dump;
use std::io;
use std::thread;

/// A kernel, ready to be published: its BTF, the header made of it, and both digests.
#[derive(Debug)]
pub struct Kernel<'d> {
    /// The BTF as the kernel gave it.
    pub btf: &'d [u8],
    /// Its `vmlinux.h`.
    pub header: Vec<u8>,
    /// What is said of both.
    pub manifest: Manifest,
}

/// Why a kernel was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Its BTF cannot be read.
    #[error(transparent)]
    Btf(#[from] btf::Error),
    /// No header can be made of it.
    #[error(transparent)]
    Dump(#[from] dump::Error),
    /// A blob could not be compressed.
    #[error("cannot compress: {0}")]
    Compress(io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Error),
    /// What was written is not there: somebody removes things, or the file system lies.
    #[error("{0} was written and is gone: is something else removing objects from this store?")]
    Gone(Key),
}

/// One thing that publishing looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which object.
    pub object: Object,
    /// What became of it.
    pub done: Done,
    /// Bytes written, or there already.
    pub size: u64,
}

/// How often publishing starts over when what it wrote is gone.
const TRIES: usize = 3;

/// What publishing did to one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was absent and was written.
    Wrote,
    /// It was there and right.
    Present,
    /// It was there and wrong, and was replaced.
    Replaced,
}

impl<'d> Kernel<'d> {
    /// Parses the BTF, makes its header and hashes both. Nothing is written.
    ///
    /// # Errors
    /// The BTF does not parse, or has a type that C cannot express.
    pub fn new(blob: &'d [u8]) -> Result<Kernel<'d>, PublishError> {
        thread::scope(|s| {
            let digest = s.spawn(|| BtfDigest::of(blob));
            let btf = Btf::parse(blob)?;
            let header = dump::header(&btf)?;
            let header_digest = HeaderDigest::of(&header);
            // The thread only hashes: it does not panic.
            let btf_digest = digest.join().expect("hashing does not fail");
            let manifest = Manifest::new(
                &btf,
                (btf_digest, blob.len() as u64),
                (header_digest, header.len() as u64),
            );
            Ok(Kernel {
                btf: blob,
                header,
                manifest,
            })
        })
    }

    /// Writes whatever is absent. A blob or manifest that is there and wrong is replaced: what this kernel
    /// says of itself is the truth. Gives what was done, in order; if that is [`Done::Present`] throughout,
    /// nothing was written.
    ///
    /// # Errors
    /// The store's. What was written until then is whole, and the next run goes on from there.
    pub fn publish(
        &self,
        store: &Folder,
        owner: &Owner,
        name: Option<(&Arch, &Release)>,
    ) -> Result<Vec<Step>, PublishError> {
        let mut done: Vec<Step> = Vec::new();
        let mut gone = None;
        // If something was removed meanwhile, by a collection, it is put back, from the reference on.
        for _ in 0..TRIES {
            for step in self.once(store, owner, name)? {
                match done.iter_mut().find(|have| have.object == step.object) {
                    Some(have) if step.done != Done::Present => *have = step,
                    Some(_) => {}
                    None => done.push(step),
                }
            }
            gone = look(store, &mut done)?;
            if gone.is_none() {
                break;
            }
        }
        gone.map_or(Ok(done), |key| Err(PublishError::Gone(key)))
    }

    fn once(
        &self,
        store: &Folder,
        owner: &Owner,
        name: Option<(&Arch, &Release)>,
    ) -> Result<Vec<Step>, PublishError> {
        let m = &self.manifest;
        let mut steps = vec![empty(store, Object::Ref(m.btf_digest, owner.clone()))?];
        // Both are looked at, and compressed where they are absent, at the same time.
        let (btf, header) = thread::scope(|s| {
            let btf = s.spawn(|| {
                let there = read::btf(store, &m.btf_digest, Some(m.btf_size));
                blob(store, Object::Btf(m.btf_digest), there, self.btf)
            });
            let there = read::header(store, &m.header_digest, Some(m.header_size));
            let object = Object::Header(m.header_digest);
            let header = blob(store, object, there, &self.header);
            (btf.join().expect("compressing does not panic"), header)
        });
        steps.extend([btf?, header?]);
        steps.push(self.manifest_step(store)?);
        if let Some((arch, release)) = name {
            let entry = Object::Index(arch.clone(), release.clone(), m.btf_digest);
            steps.push(empty(store, entry)?);
        }
        Ok(steps)
    }

    fn manifest_step(&self, store: &Folder) -> Result<Step, PublishError> {
        let m = &self.manifest;
        let object = m.object();
        let done = match read::manifest(store, &m.btf_digest, m.generator) {
            Ok(there) if there == *m => Done::Present,
            Ok(_) | Err(ReadError::Manifest { .. }) => Done::Replaced,
            Err(ReadError::Store(e @ Error::Io { .. })) => return Err(e.into()),
            Err(e) if e.is_missing() => Done::Wrote,
            Err(_) => Done::Replaced,
        };
        write(store, object, done, &m.to_json())
    }
}

/// A last look: what is there, and how large; gives what is not there after all.
fn look(store: &Folder, steps: &mut [Step]) -> Result<Option<Key>, PublishError> {
    for step in steps {
        let key = step.object.key();
        match store.head(&key)? {
            Some(there) => step.size = there.size,
            None => return Ok(Some(key)),
        }
    }
    Ok(None)
}

/// An object whose name says it all.
fn empty(store: &Folder, object: Object) -> Result<Step, PublishError> {
    let done = match store.head(&object.key())? {
        Some(there) if there.size == 0 => Done::Present,
        Some(_) => Done::Replaced,
        None => Done::Wrote,
    };
    write(store, object, done, b"")
}

fn blob(
    store: &Folder,
    object: Object,
    there: Result<Vec<u8>, ReadError>,
    bytes: &[u8],
) -> Result<Step, PublishError> {
    let done = match there {
        Ok(_) => Done::Present,
        Err(e) if e.is_missing() => Done::Wrote,
        Err(ReadError::Store(e @ Error::Io { .. })) => return Err(e.into()),
        Err(_) => Done::Replaced,
    };
    if done == Done::Present {
        return write(store, object, done, b"");
    }
    let compressed = compress(bytes).map_err(PublishError::Compress)?;
    write(store, object, done, &compressed)
}

fn write(store: &Folder, object: Object, done: Done, bytes: &[u8]) -> Result<Step, PublishError> {
    let key = object.key();
    let done = match done {
        Done::Present => Done::Present,
        Done::Replaced => {
            store.put(&key, bytes)?;
            Done::Replaced
        }
        Done::Wrote => match store.put_if_absent(&key, bytes)? {
            Put::Created => Done::Wrote,
            // Another publisher of the same kernel was faster.
            Put::Existed => Done::Present,
        },
    };
    Ok(Step {
        object,
        done,
        size: 0,
    })
}
