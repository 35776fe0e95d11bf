//! The effects of collection: does what a [`Plan`] asks for, and tells it what was seen.

use super::api::Api;
use super::clock::Clock;
use super::collect::{Claims, DEADLINE, Moment, Outcome, Plan, Seen, Step};
use super::inventory::PIN;
use super::steps::{self, StepError};
use crate::artifact::{BtfDigest, Object, Owner};
use crate::cluster::lease::Fence;
use crate::store::{ReadError, Store, read};
use std::collections::BTreeSet;
use tokio::time::timeout;

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
            Step::RemoveKernelHeader(kernel) => {
                let remove = self.api.remove(&kernel);
                let removed = timeout(DEADLINE, remove).await;
                let what =
                    || StepError::TooLong(format!("removing KernelHeader {}", kernel.kernel_id()));
                removed.map_err(|_| what())??;
                Ok(Seen::Done)
            }
            step => steps::on_store(self.store, step).await,
        }
    }

    /// Who wants a kernel, as it is now.
    async fn look(&self, kernel: &BtfDigest) -> Result<Claims, StepError> {
        let mut claims = Claims::default();
        for object in steps::list(self.store, &Object::refs_of(kernel)).await? {
            match object {
                Object::Ref(btf, owner) if btf == *kernel && owner == *self.me => claims.own = true,
                Object::Ref(btf, _) if btf == *kernel => claims.others = true,
                _ => {}
            }
        }
        let manifests = steps::list(self.store, &Object::manifests_of(kernel)).await?;
        let of_it = |o: &Object| matches!(o, Object::Manifest(btf, _) if btf == kernel);
        claims.published = manifests.iter().any(of_it);
        claims.rival = steps::list(self.store, &Object::all_aside())
            .await?
            .iter()
            .any(|object| {
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

    async fn read_all(&self) -> Result<BTreeSet<crate::artifact::HeaderDigest>, StepError> {
        let mut named = BTreeSet::new();
        for object in steps::list(self.store, &Object::kernels()).await? {
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
