//! The effects of collection: does what a [`Plan`] asks for, and tells it what was seen.

use super::api::Api;
use super::clock::Clock;
use super::collect::{Claims, DEADLINE, Moment, Outcome, Plan, Seen, Step};
use super::inventory::PIN;
use crate::artifact::{BtfDigest, Key, MAX_BLOB, Object, Owner, compressed_limit};
use crate::cluster::client::Refusal;
use crate::cluster::lease::Fence;
use crate::store::{self, Put, ReadError, Store, read};
use bytes::Bytes;
use futures::TryStreamExt;
use std::collections::BTreeSet;
use std::future::Future;
use tokio::time::timeout;

/// Why a plan broke off.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A manifest could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The API server failed.
    #[error(transparent)]
    Api(#[from] Refusal),
    /// A write took too long.
    #[error("{0} did not take effect within {seconds} s", seconds = DEADLINE.as_secs())]
    TooLong(String),
}

impl StepError {
    /// The store's error, if it is one.
    pub fn of_store(&self) -> Option<&store::Error> {
        match self {
            StepError::Store(e) | StepError::Read(ReadError::Store(e)) => Some(e),
            _ => None,
        }
    }
}

/// Where plans are carried out.
#[derive(Debug)]
pub struct Hands<'a> {
    /// The store.
    pub store: &'a dyn Store,
    /// The API server.
    pub api: &'a Api,
    /// This cluster.
    pub me: &'a Owner,
    /// Whether this process leads.
    pub fence: &'a Fence,
    /// By which the plan's time goes.
    pub clock: &'a Clock,
}

impl Hands<'_> {
    /// Carries out a plan to its end.
    ///
    /// # Errors
    /// A step failed; its write may still take effect. [`super::collect::Resume`] must come next.
    pub async fn carry_out(&self, plan: &mut (dyn Plan + Send)) -> Result<Outcome, StepError> {
        let mut seen = Seen::Nothing;
        loop {
            // The Lease's age is the machine's, on whichever clock.
            let now = self.clock.now();
            let age = self.fence.renewed().elapsed();
            let at = Moment {
                now,
                lease: now.checked_sub(age).unwrap_or(now),
            };
            let step = plan.next(seen, at);
            tracing::debug!(?step, "collection");
            seen = match step {
                Step::End(outcome) => return Ok(outcome),
                step => self.step(step).await?,
            };
        }
    }

    async fn step(&self, step: Step) -> Result<Seen, StepError> {
        match step {
            Step::Look(kernel) => Ok(Seen::Claims(self.look(&kernel).await?)),
            Step::List(folder) => Ok(Seen::Objects(self.list(&folder).await?)),
            Step::Read(_, Object::Manifest(btf, generator)) => {
                match read::manifest(self.store, &btf, generator).await {
                    Ok(manifest) => Ok(Seen::Names(Some(manifest.header_digest))),
                    Err(ReadError::Missing { .. } | ReadError::Manifest { .. }) => {
                        Ok(Seen::Names(None))
                    }
                    Err(e) => Err(e.into()),
                }
            }
            // No other object names a header.
            Step::Read(..) => Ok(Seen::Names(None)),
            Step::ReadAll => Ok(Seen::Named(self.read_all().await?)),
            Step::Put(object) => {
                let key = object.key();
                let put = self.store.put_if_absent(&key, Bytes::new());
                bounded(&key, put).await?;
                Ok(Seen::Done)
            }
            Step::Copy { from, to } => {
                let limit = compressed_limit(MAX_BLOB);
                let key = to.key();
                let copy = async {
                    match self.store.get(&from.key(), limit).await? {
                        Some(body) => self.store.put_if_absent(&key, body).await.map(Some),
                        None => Ok(None),
                    }
                };
                let copied: Option<Put> = bounded(&key, copy).await?;
                Ok(copied.map_or(Seen::Absent, |_| Seen::Done))
            }
            Step::Remove(object) => {
                let key = object.key();
                bounded(&key, self.store.delete(&key)).await?;
                Ok(Seen::Done)
            }
            Step::RemoveKernelHeader(kernel) => {
                let remove = self.api.remove(&kernel);
                let removed = timeout(DEADLINE, remove).await;
                let what =
                    || StepError::TooLong(format!("removing KernelHeader {}", kernel.kernel_id()));
                removed.map_err(|_| what())??;
                Ok(Seen::Done)
            }
            Step::End(_) => Ok(Seen::Nothing),
        }
    }

    /// Who wants a kernel, as it is now.
    async fn look(&self, kernel: &BtfDigest) -> Result<Claims, StepError> {
        let mut claims = Claims::default();
        for object in self.list(&Object::refs_of(kernel)).await? {
            match object {
                Object::Ref(btf, owner) if btf == *kernel && owner == *self.me => claims.own = true,
                Object::Ref(btf, _) if btf == *kernel => claims.others = true,
                _ => {}
            }
        }
        let manifests = self.list(&Object::manifests_of(kernel)).await?;
        let of_it = |o: &Object| matches!(o, Object::Manifest(btf, _) if btf == kernel);
        claims.published = manifests.iter().any(of_it);
        claims.rival = self.list(&Object::all_aside()).await?.iter().any(|object| {
            let Object::Aside(owner, copied) = object else {
                return false;
            };
            owner != self.me && matches!(**copied, Object::Ref(btf, _) if btf == *kernel)
        });
        let object = self.api.get(kernel).await?;
        let annotations = object.and_then(|object| object.metadata.annotations);
        claims.pinned = annotations.is_some_and(|a| a.contains_key(PIN));
        claims.named = self.api.is_named(kernel).await?;
        Ok(claims)
    }

    async fn list(&self, folder: &Key) -> Result<Vec<Object>, StepError> {
        let mut objects = Vec::new();
        let mut entries = self.store.list(Some(folder));
        while let Some(entry) = entries.try_next().await? {
            objects.extend(Object::parse(&entry.key));
        }
        Ok(objects)
    }

    async fn read_all(&self) -> Result<BTreeSet<crate::artifact::HeaderDigest>, StepError> {
        let mut named = BTreeSet::new();
        for object in self.list(&Object::kernels()).await? {
            let Object::Manifest(btf, generator) = object else {
                continue;
            };
            match read::manifest(self.store, &btf, generator).await {
                Ok(manifest) => {
                    named.insert(manifest.header_digest);
                }
                // Removed since it was listed.
                Err(ReadError::Missing { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(named)
    }
}

/// A write that is given up after [`DEADLINE`].
async fn bounded<T>(
    key: &Key,
    write: impl Future<Output = Result<T, store::Error>>,
) -> Result<T, StepError> {
    match timeout(DEADLINE, write).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(StepError::TooLong(key.to_string())),
    }
}
