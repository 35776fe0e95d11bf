//! When kernels are verified, and what comes of it.

use super::event::{About, Reason};
use super::leader::{Leader, TICK};
use super::status::{Because, due};
use super::verify::{Verification, VerifyError, verify};
use crate::artifact::BtfDigest;
use crate::cluster::client::Answer;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// A digest without a KernelHeader is tried again after 5, 10, 20, … s, at most this.
const CLAIM: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// A kernel that is not in order is looked at again after 1, 2, 4, … min, at most this.
const BAD: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(600));
/// A store or API server that failed is tried again after 1, 2, 4, … s, at most this.
const AWAY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// When a kernel is verified next.
#[derive(Debug, Clone, Copy)]
struct Due {
    at: Instant,
    /// How often in a row it was not in order.
    tries: u32,
    /// It had its KernelHeader when this was decided.
    known: bool,
}

fn doubled((first, most): (Duration, Duration), tries: u32) -> Duration {
    first.saturating_mul(1 << tries.min(10)).min(most)
}

impl Leader<'_> {
    /// For ever, one kernel at a time: those that fail wait longer and longer, and never keep a new one waiting.
    pub(super) async fn verify_kernels(&self) {
        let mut dues: BTreeMap<BtfDigest, Due> = BTreeMap::new();
        let mut random = fastrand::Rng::with_seed(self.settings.seed);
        let mut away = 0;
        loop {
            self.schedule(&mut dues);
            let now = self.settings.clock.now();
            let next = dues
                .iter()
                .filter(|(_, due)| due.at <= now)
                .min_by_key(|(_, due)| (due.tries, due.at))
                .map(|(kernel, due)| (*kernel, due.tries));
            let Some((kernel, tries)) = next else {
                sleep(TICK).await;
                continue;
            };
            let pause = match self.verify_one(kernel, tries).await {
                Ok(in_order) => {
                    away = 0;
                    let known = self.inventory().get(&kernel).is_some();
                    let every = self.settings.verify_every;
                    let (pause, tries) = match (known, in_order) {
                        (true, true) => (every.mul_f64(0.9 + random.f64() / 10.0), 0),
                        (true, false) => (doubled(BAD, tries), tries + 1),
                        // Nothing to be made of, or somebody removed what was made of it meanwhile.
                        (false, _) => (doubled(CLAIM, tries), tries + 1),
                    };
                    let at = self.settings.clock.now() + pause;
                    dues.insert(kernel, Due { at, tries, known });
                    continue;
                }
                Err(least) => least.max(doubled(AWAY, away)),
            };
            away += 1;
            sleep(pause).await;
        }
    }

    /// What is new is due now; what is known, when its status says.
    fn schedule(&self, dues: &mut BTreeMap<BtfDigest, Due>) {
        let inventory = self.inventory();
        if !inventory.is_whole() {
            return;
        }
        let clock = &self.settings.clock;
        let (now, wall) = (clock.now(), clock.wall());
        let claims = inventory.claims();
        dues.retain(|kernel, _| inventory.get(kernel).is_some() || claims.contains(kernel));
        let claim = Due {
            at: now,
            tries: 0,
            known: false,
        };
        for kernel in claims {
            let due = dues.entry(kernel).or_insert(claim);
            // Its KernelHeader was removed: it is as good as new.
            if due.known {
                *due = claim;
            }
        }
        for (kernel, object) in inventory.objects() {
            dues.entry(*kernel).or_insert_with(|| Due {
                at: now + due(&object.status, self.settings.verify_every, wall),
                tries: 0,
                known: true,
            });
        }
        drop(inventory);
        for kernel in self.suspects() {
            if let Some(due) = dues.get_mut(&kernel) {
                due.at = due.at.min(now);
            }
        }
    }

    /// Whether it is in order. An error: nothing is known, and the store or the API server wants to be left alone for
    /// so long.
    async fn verify_one(&self, kernel: BtfDigest, tries: u32) -> Result<bool, Duration> {
        let wall = self.settings.clock.wall();
        let done = {
            let _alone = self.at_work.lock().await;
            verify(self.store, kernel, wall, &|| self.leads()).await
        };
        let found = match done {
            Ok(found) => found,
            Err(e) => {
                self.metrics.verified("failed");
                return Err(match &e {
                    VerifyError::Store(e) => {
                        let what = format!("verifying {kernel}");
                        self.store_failed(&what, e).unwrap_or_default()
                    }
                    e => {
                        tracing::warn!("verifying {kernel}: {e}");
                        Duration::ZERO
                    }
                });
            }
        };
        let result = match (found.verdict.verified.holds, found.verdict.verified.reason) {
            (true, _) => "verified",
            (false, Because::BtfMissing) => "missing",
            (false, _) => "wrong",
        };
        self.metrics.verified(result);
        found
            .repairs
            .iter()
            .for_each(|repair| self.metrics.repaired(repair));
        let in_order = found.verdict.verified.holds && found.verdict.stored.holds;
        let is_known = self.inventory().get(&kernel).is_some();
        match (is_known, in_order) {
            (false, false) => self.unverified(&kernel, tries, &found),
            (false, true) => self.make(&kernel).await?,
            (true, _) => {}
        }
        if self.inventory().get(&kernel).is_some() {
            self.say(&kernel, &found, in_order);
            self.judge(kernel, found.verdict);
        }
        Ok(in_order)
    }

    /// A claim that does not hold: nothing is made of it.
    fn unverified(&self, kernel: &BtfDigest, tries: u32, found: &Verification) {
        // An agent stores before it names; once may still be a store that is slow to show it.
        if tries == 0 {
            return;
        }
        let survey = self.inventory().survey();
        let witness = survey.kernels.get(kernel).and_then(|c| c.witness.clone());
        if let Some(node) = witness {
            let what = format!(
                "{kernel} cannot be verified: {}",
                found.verdict.verified.message
            );
            self.tell(Reason::Unverified, About::Node(node), what);
        }
    }

    /// Makes a kernel's KernelHeader.
    async fn make(&self, kernel: &BtfDigest) -> Result<(), Duration> {
        if !self.leads() {
            return Err(Duration::ZERO);
        }
        let made = match self.api.create(kernel).await {
            // There is one: made by hand, or by an earlier try whose answer was lost.
            Err(e) if e.answer == Answer::Conflict => self.api.get(kernel).await,
            made => made.map(Some),
        };
        match made {
            Ok(Some(object)) => {
                self.inventory().wrote(object);
                tracing::info!(kernel = %kernel.kernel_id(), "a new kernel");
                Ok(())
            }
            Ok(None) => {
                tracing::warn!(
                    "the KernelHeader of {kernel} was not made: a conflict, and there is none"
                );
                Err(Duration::ZERO)
            }
            Err(e) => {
                tracing::warn!("the KernelHeader of {kernel} was not made: {e}");
                Err(super::leader::pause(&e))
            }
        }
    }

    fn say(&self, kernel: &BtfDigest, found: &Verification, in_order: bool) {
        for repair in &found.repairs {
            self.tell(Reason::Repaired, self.about(kernel), repair.to_string());
        }
        for object in &found.made {
            tracing::info!(kernel = %kernel.kernel_id(), key = %object.key(), "made what was missing");
        }
        if !in_order {
            let message = found.verdict.stored.message.clone();
            self.tell(Reason::NotStored, self.about(kernel), message);
        }
    }
}
