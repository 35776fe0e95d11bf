//! Publishing a kernel: the effects. What to do next is decided in `plan`.

use super::chance::Chance;
use super::plan::{self, Act, Found, Habits, Seen};
use super::{Error, Kernel, Put, ReadError, Store, read};
use crate::artifact::{
    Arch, BtfDigest, Generator, HeaderDigest, Key, Manifest, Object, Owner, Release, compress,
};
use bytes::Bytes;
use futures::future::{self, try_join_all};
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
    /// A person. It reads what is there and replaces what is wrong: what the kernel says of itself is the truth.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Looks which of these objects are there, all at once, one request each and no body; gives the size of each.
///
/// # Errors
/// The store's.
pub async fn look(store: &dyn Store, objects: &[Object]) -> Result<Vec<Option<u64>>, Error> {
    let heads = objects.iter().map(|object| async {
        let there = store.head(&object.key()).await?;
        Ok(there.map(|entry| entry.size))
    });
    try_join_all(heads).await
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

/// Writes whatever of a kernel is absent, once through, and gives what was done, in order: if that is
/// [`Done::Present`] throughout, nothing was written. Whoever must be sure that all of it is there at the end looks
/// once more: [`look`].
///
/// Time is tokio's.
///
/// # Errors
/// The store's. What was written until then is whole, and the next run goes on from there.
pub async fn publish(
    store: &dyn Store,
    what: Contents<'_>,
    owner: &Owner,
    names: &[(Arch, Release)],
    manner: Manner,
) -> Result<Vec<Step>, PublishError> {
    let (patience, seed) = match manner {
        Manner::Agent { patience, seed } => (patience, seed),
        Manner::Thorough => (Duration::ZERO, 0),
    };
    let mut chance = Chance::new(seed);
    let habits = Habits {
        replaces: manner == Manner::Thorough,
        patience: plan::patience(patience, chance.next()),
        has_manifest: what.manifest().is_some(),
    };
    let run = Run {
        store,
        what,
        thorough: manner == Manner::Thorough,
        blobs: what.blobs(),
    };
    let mut steps = Steps::default();
    let mut seen = Seen::default();
    let mut pauses = 0;
    loop {
        let act = plan::next(&seen, habits);
        match act {
            Act::Reference => {
                let step = run.empty(Object::Ref(what.btf(), owner.clone())).await?;
                seen.reference = Some(step.done);
                steps.reference.push(step);
            }
            Act::LookForSign => seen.sign = Some(run.sign().await?),
            Act::Wait => {
                let pause = plan::pause(pauses, chance.next());
                pauses += 1;
                let left = habits.patience.saturating_sub(seen.waited);
                tokio::time::sleep(pause.min(left)).await;
                seen.waited += pause;
                seen.sign = None;
            }
            Act::LookAtBlobs => {
                let (found, sizes) = run.look_at_blobs().await?;
                steps.sizes = sizes;
                seen.blobs = Some(found);
            }
            Act::WriteBlobs => {
                let found = seen.blobs.clone().unwrap_or_default();
                let written = run.write_blobs(&found, &steps.sizes).await?;
                seen.blobs_done = Some(written.iter().map(|step| step.done).collect());
                steps.blobs = written;
            }
            Act::WriteManifest | Act::ReplaceManifest | Act::LeaveManifest(_) => {
                match run.manifest(act).await? {
                    // Somebody was faster: what did they write?
                    None => {
                        seen.sign = None;
                        seen.overtaken += 1;
                    }
                    Some(step) => {
                        seen.manifest = Some(step.done);
                        steps.manifest.push(step);
                    }
                }
            }
            Act::Index => {
                for (arch, release) in names {
                    let entry = Object::Index(arch.clone(), release.clone(), what.btf());
                    steps.index.push(run.empty(entry).await?);
                }
                seen.indexed = true;
            }
            Act::Finished => break,
        }
    }
    Ok(steps.in_order())
}

/// What was done, by kind, in the order of keys that people know.
#[derive(Default)]
struct Steps {
    reference: Vec<Step>,
    blobs: Vec<Step>,
    sizes: Vec<u64>,
    manifest: Vec<Step>,
    index: Vec<Step>,
}

impl Steps {
    fn in_order(self) -> Vec<Step> {
        [self.reference, self.blobs, self.manifest, self.index].concat()
    }
}

impl<'a> Contents<'a> {
    fn btf(&self) -> BtfDigest {
        match self {
            Contents::Kernel(kernel) => kernel.digest,
            Contents::Copy { btf, .. } => *btf,
        }
    }

    fn manifest(&self) -> Option<&'a Manifest> {
        match self {
            Contents::Kernel(kernel) => kernel.made.as_ref().map(|made| &made.manifest),
            Contents::Copy { manifest, .. } => *manifest,
        }
    }

    /// The blobs and their uncompressed sizes, where these are known.
    fn blobs(&self) -> Vec<(Object, Option<u64>)> {
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
    async fn body(&self, object: &Object, size: Option<u64>) -> Result<Bytes, PublishError> {
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

/// One pass of a publisher.
struct Run<'a> {
    store: &'a dyn Store,
    what: Contents<'a>,
    thorough: bool,
    blobs: Vec<(Object, Option<u64>)>,
}

impl Run<'_> {
    /// An object whose name says it all.
    async fn empty(&self, object: Object) -> Result<Step, PublishError> {
        let key = object.key();
        let mut done = match self.store.put_if_absent(&key, Bytes::new()).await? {
            Put::Created => Done::Wrote,
            Put::Existed => Done::Present,
        };
        if self.thorough && done == Done::Present {
            let there = self.store.head(&key).await?;
            if there.is_some_and(|entry| entry.size != 0) {
                self.store.put(&key, Bytes::new()).await?;
                done = Done::Replaced;
            }
        }
        let size = 0;
        Ok(Step { object, done, size })
    }

    async fn sign(&self) -> Result<Found, PublishError> {
        let Some(own) = self.what.manifest() else {
            let there = self.store.head(&Object::Btf(self.what.btf()).key()).await?;
            return Ok(match there {
                Some(_) => Found::Same,
                None => Found::Absent,
            });
        };
        match read::manifest(self.store, &own.btf_digest, own.generator).await {
            Ok(there) if there == *own => Ok(Found::Same),
            Ok(_) => Ok(Found::Other),
            Err(e) => found(e),
        }
    }

    async fn look_at_blobs(&self) -> Result<(Vec<Found>, Vec<u64>), PublishError> {
        let looks = self.blobs.iter().map(|(object, size)| async {
            if self.thorough {
                return match read::stored(self.store, object, *size).await {
                    Ok(stored) => Ok::<_, PublishError>((Found::Same, stored.len() as u64)),
                    Err(e) => Ok((found(e)?, 0)),
                };
            }
            Ok(match self.store.head(&object.key()).await? {
                Some(entry) => (Found::Same, entry.size),
                None => (Found::Absent, 0),
            })
        });
        let looked: Vec<(Found, u64)> = try_join_all(looks).await?;
        Ok(looked.into_iter().unzip())
    }

    /// Compresses and sends what is not there, both at the same time.
    async fn write_blobs(&self, found: &[Found], sizes: &[u64]) -> Result<Vec<Step>, PublishError> {
        let there = found.iter().zip(sizes);
        let writes = self.blobs.iter().zip(there).map(|(blob, (found, size))| {
            let (object, plain) = blob.clone();
            async move {
                let key = object.key();
                let (done, size) = match found {
                    Found::Same => (Done::Present, *size),
                    Found::Absent => {
                        let body = self.what.body(&object, plain).await?;
                        let size = body.len() as u64;
                        match self.store.put_if_absent(&key, body).await? {
                            Put::Created => (Done::Wrote, size),
                            Put::Existed => (Done::Present, size),
                        }
                    }
                    Found::Other => {
                        let body = self.what.body(&object, plain).await?;
                        let size = body.len() as u64;
                        self.store.put(&key, body).await?;
                        (Done::Replaced, size)
                    }
                };
                Ok::<_, PublishError>(Step { object, done, size })
            }
        });
        // All to their ends before an error is told: nothing is under way when the caller tries again.
        let written = future::join_all(writes).await;
        written.into_iter().collect()
    }

    /// `None`: it was to be written where there was none, and now there is one.
    async fn manifest(&self, act: Act) -> Result<Option<Step>, PublishError> {
        let Some(own) = self.what.manifest() else {
            return Ok(None);
        };
        let object = own.object();
        let json = Bytes::from(own.to_json());
        let mut size = json.len() as u64;
        let done = match act {
            Act::ReplaceManifest => {
                self.store.put(&object.key(), json).await?;
                Done::Replaced
            }
            Act::LeaveManifest(done) => {
                size = 0;
                done
            }
            _ => match self.store.put_if_absent(&object.key(), json).await? {
                Put::Created => Done::Wrote,
                Put::Existed => return Ok(None),
            },
        };
        Ok(Some(Step { object, done, size }))
    }
}

/// What an object is that could not be read: absent or wrong, if it is not the store that failed.
fn found(e: ReadError) -> Result<Found, PublishError> {
    match e {
        ReadError::Store(Error::TooLarge { .. }) => Ok(Found::Other),
        ReadError::Store(e) => Err(e.into()),
        e if e.is_missing() => Ok(Found::Absent),
        _ => Ok(Found::Other),
    }
}
