//! One pass of publishing: the effects. What to do next is decided in `plan`.

use super::chance::Chance;
use super::plan::{self, Act, Found, Habits, Seen};
use super::{Contents, Done, Error, Manner, PublishError, Put, ReadError, Step, Store, read};
use crate::artifact::{Arch, Object, Owner, Release};
use bytes::Bytes;
use futures::future::{join_all, try_join_all};
use std::time::Duration;

/// Writes whatever of a kernel is absent, once through, and gives what was done, in order: if that is
/// [`Done::Present`] throughout, nothing was written. Whoever must be sure that all of it is there at the end looks
/// once more: [`look`](super::look).
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
        // Another store's word against this one's: whoever can judge will.
        replaces: manner == Manner::Thorough && matches!(what, Contents::Kernel(_)),
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
        let written = join_all(writes).await;
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
