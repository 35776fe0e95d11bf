//! What is published, by whom, and what becomes of it.

use super::{Error, Kernel, ReadError, Store, publish, read};
use crate::artifact::{
    Arch, BtfDigest, Generator, HeaderDigest, Key, Manifest, Object, Owner, Release, compress,
};
use bytes::Bytes;
use futures::future::try_join_all;
use std::io;
use std::time::Duration;

/// What is published, and where its bytes come from.
#[derive(Debug, Clone, Copy)]
pub enum Contents<'a> {
    /// A kernel that is at hand.
    Kernel(&'a Kernel),
    /// One that another store has: its objects are taken from there as they are, once their digests are checked.
    Copy {
        /// The store that has it.
        from: &'a dyn Store,
        /// The kernel.
        btf: BtfDigest,
        /// Its manifest there; `None` where the BTF cannot be read and has none.
        manifest: Option<&'a Manifest>,
    },
}

/// How a publisher goes about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Manner {
    /// One of very many. It looks whether objects are there and leaves their contents to a judge. While
    /// somebody else, who made the same reference, seems to be at work, it waits for the manifest.
    Agent {
        /// How long it waits at most.
        patience: Duration,
        /// Pauses follow from it: another number for each publisher.
        seed: u64,
    },
    /// A person. It reads what is there and replaces what is wrong: what a kernel at hand says of itself is the truth.
    /// (A copy's manifest is no better than the one that is there: that is left, and told.)
    Thorough,
}

impl Manner {
    /// An agent, with the patience that agents have: 15 s.
    pub fn agent(seed: u64) -> Manner {
        Manner::Agent {
            patience: Duration::from_secs(15),
            seed,
        }
    }
}

/// Why a kernel was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// A blob could not be compressed.
    #[error("cannot compress: {0}")]
    Compress(io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Error),
    /// What was to be copied cannot be used.
    #[error("in the store {place}: {source}")]
    Source {
        /// The store it was to come from.
        place: String,
        /// What is wrong.
        source: ReadError,
    },
    /// What was written is not there: somebody removes things, or the store lies.
    #[error("{0} was written and is gone: is something else removing objects from this store?")]
    Gone(Key),
}

impl PublishError {
    /// Whether the same may work later with nothing changed here.
    pub fn is_transient(&self) -> bool {
        match self {
            PublishError::Compress(_) => false,
            PublishError::Store(e) => e.is_transient(),
            PublishError::Source { source, .. } => source.is_transient(),
            PublishError::Gone(_) => true,
        }
    }
}

/// One thing that publishing looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which object.
    pub object: Object,
    /// What became of it.
    pub done: Done,
    /// Its size in the store, as far as that was seen: after [`publish_and_look`] it always was.
    pub size: u64,
}

/// What publishing did to one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Done {
    /// It was absent and was written.
    Wrote,
    /// It was there, and right as far as it was looked at.
    Present,
    /// It was there and wrong, and was replaced.
    Replaced,
    /// A manifest that says something else was there, and was left: whoever can judge will.
    Disagrees,
}

/// How often publishing starts over when what it wrote is gone.
const TRIES: usize = 3;

/// The objects that a published kernel has, in the order in which they are written: what [`look`] takes. `header` is
/// `None` where the BTF cannot be read.
pub fn objects(
    owner: &Owner,
    btf: BtfDigest,
    header: Option<(HeaderDigest, Generator)>,
    names: &[(Arch, Release)],
) -> Vec<Object> {
    let mut objects = vec![Object::Ref(btf, owner.clone()), Object::Btf(btf)];
    if let Some((header, generator)) = header {
        objects.extend([Object::Header(header), Object::Manifest(btf, generator)]);
    }
    let index =
        |(arch, release): &(Arch, Release)| Object::Index(arch.clone(), release.clone(), btf);
    objects.extend(names.iter().map(index));
    objects
}

/// Looks which of these objects are there, one request each and no body; gives the size of each. The first of
/// them, the reference in what [`objects`] gives, is looked at before all else, the others at once: a collection that
/// puts back what it removed puts back the reference first, so whoever sees it and then the objects sees them stay.
///
/// # Errors
/// The store's.
pub async fn look(store: &dyn Store, objects: &[Object]) -> Result<Vec<Option<u64>>, Error> {
    let head = async |object: &Object| {
        let there = store.head(&object.key()).await?;
        Ok::<_, Error>(there.map(|entry| entry.size))
    };
    let Some((first, rest)) = objects.split_first() else {
        return Ok(Vec::new());
    };
    return try_join_all(objects.iter().map(head)).await;
    #[allow(unreachable_code)]
    let mut sizes = vec![head(first).await?];
    sizes.extend(try_join_all(rest.iter().map(head)).await?);
    Ok(sizes)
}

/// Publishes, looks, and if something is gone (by a collection that came in between) starts over, a few times.
///
/// # Errors
/// The store's. What was written until then is whole, and the next run goes on from there.
pub async fn publish_and_look(
    store: &dyn Store,
    what: Contents<'_>,
    owner: &Owner,
    names: &[(Arch, Release)],
    manner: Manner,
) -> Result<Vec<Step>, PublishError> {
    let mut all: Vec<Step> = Vec::new();
    let mut gone = None;
    for _ in 0..TRIES {
        for step in publish(store, what, owner, names, manner).await? {
            match all.iter_mut().find(|have| have.object == step.object) {
                Some(have) if step.done != Done::Present => *have = step,
                Some(_) => {}
                None => all.push(step),
            }
        }
        let objects: Vec<Object> = all.iter().map(|step| step.object.clone()).collect();
        gone = None;
        for (step, there) in all.iter_mut().zip(look(store, &objects).await?) {
            match there {
                Some(size) => step.size = size,
                None => gone = Some(step.object.key()),
            }
        }
        if gone.is_none() {
            break;
        }
    }
    gone.map_or(Ok(all), |key| Err(PublishError::Gone(key)))
}

impl<'a> Contents<'a> {
    pub(super) fn btf(&self) -> BtfDigest {
        match self {
            Contents::Kernel(kernel) => kernel.digest,
            Contents::Copy { btf, .. } => *btf,
        }
    }

    pub(super) fn manifest(&self) -> Option<&'a Manifest> {
        match self {
            Contents::Kernel(kernel) => kernel.made.as_ref().map(|made| &made.manifest),
            Contents::Copy { manifest, .. } => *manifest,
        }
    }

    /// The blobs and their uncompressed sizes, where these are known.
    pub(super) fn blobs(&self) -> Vec<(Object, Option<u64>)> {
        match (self.manifest(), self) {
            (Some(m), _) => vec![
                (Object::Btf(m.btf_digest), Some(m.btf_size)),
                (Object::Header(m.header_digest), Some(m.header_size)),
            ],
            (None, Contents::Kernel(kernel)) => {
                vec![(Object::Btf(kernel.digest), Some(kernel.btf.len() as u64))]
            }
            (None, Contents::Copy { btf, .. }) => vec![(Object::Btf(*btf), None)],
        }
    }

    /// The bytes of a blob as they are stored.
    pub(super) async fn body(
        &self,
        object: &Object,
        size: Option<u64>,
    ) -> Result<Bytes, PublishError> {
        let plain = match (self, object) {
            (Contents::Copy { from, .. }, _) => {
                let stored = read::stored(*from, object, size).await;
                return stored.map_err(|source| PublishError::Source {
                    place: from.place().to_owned(),
                    source,
                });
            }
            (Contents::Kernel(kernel), Object::Header(_)) => {
                kernel.made.as_ref().map(|made| made.header.clone())
            }
            (Contents::Kernel(kernel), _) => Some(kernel.btf.clone()),
        };
        let plain = plain.unwrap_or_default();
        let packed = tokio::task::spawn_blocking(move || compress(&plain)).await;
        let packed = packed.expect("compressing does not panic");
        Ok(packed.map_err(PublishError::Compress)?.into())
    }
}
