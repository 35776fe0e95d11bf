//! What the one who leads does: watches, writes statuses, tells Events. Verification is in `verifying`, references and
//! collection in `keeping`. All of it is one future, dropped when this process leads no longer.

use super::api::{Api, KERNEL_HEADERS, NODES, POLICIES};
use super::event::{About, Event, Reason, Recorder};
use super::inventory::{Inventory, Notice, Survey};
use super::metrics::Metrics;
use super::run::Settings;
use super::status::{GAP, Verdict, want};
use crate::artifact::{BtfDigest, Owner};
use crate::cluster::client::{Answer, Refusal};
use crate::cluster::event::Sending;
use crate::cluster::lease::Fence;
use crate::cluster::watch::{Change, watch};
use crate::cluster::{KernelHeader, KernelHeaderStatus, Node};
use crate::ops::Backoff;
use crate::store::{self, Store};
use k8s_openapi::jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::sleep;

/// How often it is looked whether there is something to do.
pub(super) const TICK: Duration = Duration::from_millis(500);
/// How often refused claims are looked at again.
const READMIT: Duration = Duration::from_secs(30);
/// How often it is looked whether the admission policies are there.
const POLICY_EVERY: Duration = Duration::from_secs(600);
/// So many Events wait to be sent; more than these say nothing new.
const WAITING: usize = 100;
/// A status that is refused for good is tried again after this.
const REFUSED: Duration = Duration::from_secs(60);

/// The leader of one term.
pub(super) struct Leader<'a> {
    pub settings: &'a Settings,
    pub api: &'a Api,
    pub store: &'a dyn Store,
    pub metrics: &'a Metrics,
    pub fence: Fence,
    inventory: Mutex<Inventory>,
    /// What was verified in this term.
    verdicts: Mutex<BTreeMap<BtfDigest, Verdict>>,
    /// Rises with each verdict.
    judged: Mutex<u64>,
    /// Kernels of which something is missing in the store.
    suspects: Mutex<BTreeSet<BtfDigest>>,
    /// References of ours that nobody uses, as the last listing had them.
    pub strays: Mutex<Vec<(BtfDigest, std::time::SystemTime)>>,
    events: Mutex<VecDeque<Event>>,
    told: Notify,
    objects_listed: Notify,
    /// Whoever writes to the store holds it: verification, references, collection, one at a time.
    pub at_work: tokio::sync::Mutex<()>,
}

/// Nothing that holds one of these locks panics or waits.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Leader<'a> {
    pub fn new(
        settings: &'a Settings,
        api: &'a Api,
        store: &'a dyn Store,
        metrics: &'a Metrics,
        fence: Fence,
    ) -> Leader<'a> {
        Leader {
            settings,
            api,
            store,
            metrics,
            fence,
            inventory: Mutex::default(),
            verdicts: Mutex::default(),
            judged: Mutex::default(),
            suspects: Mutex::default(),
            strays: Mutex::default(),
            events: Mutex::default(),
            told: Notify::new(),
            objects_listed: Notify::new(),
            at_work: tokio::sync::Mutex::new(()),
        }
    }

    /// For ever. `whole` is called when all Nodes and KernelHeaders are known.
    pub async fn lead(&self, whole: &(dyn Fn() + Sync)) -> Infallible {
        tokio::join!(
            self.watch_objects(),
            self.watch_nodes(),
            self.write_statuses(whole),
            self.send_events(),
            self.look_at_policies(),
            self.verify_kernels(),
            async {
                let me = self.own_id().await;
                tokio::join!(self.keep_refs(&me), self.collect(&me));
            },
        );
        // None of them ends.
        std::future::pending().await
    }

    pub fn inventory(&self) -> MutexGuard<'_, Inventory> {
        lock(&self.inventory)
    }

    /// Whether a write may be sent.
    pub fn leads(&self) -> bool {
        self.fence.holds(Instant::now())
    }

    pub fn backoff(&self, salt: u64) -> Backoff {
        let seed = self.settings.seed ^ salt;
        Backoff::new(Duration::from_millis(500), Duration::from_secs(30), seed)
    }

    async fn own_id(&self) -> Owner {
        if let Some(id) = &self.settings.cluster_id {
            return id.clone();
        }
        let mut pause = self.backoff(1);
        loop {
            match self.api.id().await {
                Ok(id) => return id,
                Err(e) => tracing::warn!("the cluster's id is not known: {e}"),
            }
            sleep(pause.pause()).await;
        }
    }

    async fn watch_objects(&self) {
        watch::<KernelHeader>(
            self.api.client(),
            KERNEL_HEADERS,
            self.backoff(2),
            |change| {
                match &change {
                    Change::Trouble(e) => self.watch_failed("kernelheaders", e),
                    // Digests that have one are not new: Nodes are looked at after that.
                    Change::Listed => self.objects_listed.notify_one(),
                    _ => {}
                }
                self.inventory().object(change);
            },
        )
        .await;
    }

    async fn watch_nodes(&self) {
        self.objects_listed.notified().await;
        watch::<Node>(self.api.client(), NODES, self.backoff(3), |change| {
            if let Change::Trouble(e) = &change {
                self.watch_failed("nodes", e);
            }
            self.inventory().node(change, self.settings.clock.now());
        })
        .await;
    }

    fn watch_failed(&self, resource: &str, e: &str) {
        self.metrics.watch_failed(resource);
        tracing::warn!("watching {resource}: {e}");
    }

    /// The store failed; says so, and gives the time that it asks to be left alone.
    pub fn store_failed(&self, what: &str, e: &store::Error) -> Option<Duration> {
        self.metrics.store_failed(e);
        tracing::warn!("{what}: {e}");
        match e {
            store::Error::Away { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// A kernel was judged.
    pub fn judge(&self, kernel: BtfDigest, verdict: Verdict) {
        lock(&self.verdicts).insert(kernel, verdict);
        *lock(&self.judged) += 1;
    }

    /// Something of a kernel is missing in the store.
    pub fn suspect(&self, kernel: BtfDigest) {
        lock(&self.suspects).insert(kernel);
    }

    pub fn suspects(&self) -> BTreeSet<BtfDigest> {
        std::mem::take(&mut *lock(&self.suspects))
    }

    /// Says it, soon.
    pub fn tell(&self, reason: Reason, about: About, what: impl Into<String>) {
        self.metrics.told(reason);
        let what = what.into();
        tracing::warn!(reason = reason.word(), ?about, "{what}");
        let mut events = lock(&self.events);
        if events.len() < WAITING {
            events.push_back(Event {
                reason,
                about,
                what,
            });
            self.told.notify_one();
        }
    }

    /// A kernel's KernelHeader, for an Event.
    pub fn about(&self, kernel: &BtfDigest) -> About {
        let uid = self
            .inventory()
            .get(kernel)
            .map(|object| object.uid.clone());
        About::KernelHeader(kernel.kernel_id().to_string(), uid.unwrap_or_default())
    }

    async fn send_events(&self) {
        let mut recorder = Recorder::default();
        loop {
            let next = lock(&self.events).pop_front();
            let Some(event) = next else {
                self.told.notified().await;
                continue;
            };
            let stamp = Timestamp::try_from(std::time::SystemTime::now())
                .map_or_else(|_| String::new(), |t| format!("{t:.6}"));
            let me = &self.settings.identity;
            let Some(sending) = recorder.tell(&event, Instant::now(), &stamp, me) else {
                continue;
            };
            if let Err(e) = self.api.tell(&sending).await {
                tracing::warn!("an Event was not taken: {e}");
                // Its last one expired, or nothing is wrong with it: as a new one, then.
                let expired = matches!(sending, Sending::Again(..)) && e.answer == Answer::Absent;
                if expired || e.answer == Answer::Away {
                    recorder.forget(&event);
                    lock(&self.events).push_front(event);
                }
                sleep(pause(&e)).await;
            }
        }
    }

    async fn look_at_policies(&self) {
        if self.settings.policies.is_empty() {
            return;
        }
        loop {
            for end in POLICIES {
                let name = &format!("{}-{end}", self.settings.policies);
                match self.api.has_policy(name).await {
                    Ok(present) => self.metrics.policy(name, present),
                    Err(e) => tracing::warn!("is admission policy {name} there? {e}"),
                }
            }
            sleep(POLICY_EVERY).await;
        }
    }

    /// Writes what is due, at most once in [`GAP`] of each KernelHeader.
    async fn write_statuses(&self, whole: &(dyn Fn() + Sync)) {
        let mut not_before: BTreeMap<BtfDigest, Instant> = BTreeMap::new();
        let mut seen = None;
        let mut readmit = Instant::now();
        let mut was_whole = false;
        loop {
            sleep(TICK).await;
            if !self.inventory().is_whole() {
                continue;
            }
            if !was_whole {
                was_whole = true;
                whole();
                let nodes = self.inventory().len();
                tracing::info!(nodes, "all Nodes and KernelHeaders are known");
            }
            if readmit.elapsed() > READMIT {
                readmit = Instant::now();
                self.inventory().readmit(self.settings.clock.now());
            }
            let notices = self.inventory().notices();
            notices.into_iter().for_each(|notice| self.note(notice));
            let now_seen = Some((self.inventory().changes(), *lock(&self.judged)));
            if seen == now_seen {
                continue;
            }
            let survey = self.count();
            let wanted = self.wanted(&survey);
            let mut later = false;
            let clock = &self.settings.clock;
            for (kernel, version, status) in wanted {
                let now = clock.now();
                if not_before.get(&kernel).is_some_and(|at| now < *at) {
                    later = true;
                    continue;
                }
                if !self.leads() {
                    break;
                }
                not_before.insert(kernel, now + GAP);
                if let Err((again, rest)) = self.write_status(&kernel, &version, status).await {
                    later = true;
                    not_before.insert(kernel, clock.now() + again.max(GAP));
                    sleep(rest).await;
                }
            }
            let inventory = self.inventory();
            not_before.retain(|kernel, _| inventory.get(kernel).is_some());
            // A KernelHeader that is made again is judged again.
            lock(&self.verdicts).retain(|kernel, _| inventory.get(kernel).is_some());
            // What was written comes back by the watch and is looked at once more.
            seen = if later { None } else { now_seen };
        }
    }

    fn count(&self) -> Survey {
        let inventory = self.inventory();
        let survey = inventory.survey();
        let kernels = inventory.objects().count();
        self.metrics
            .survey(&survey, kernels, inventory.claims().len());
        survey
    }

    /// The statuses that are not as they should be.
    fn wanted(&self, survey: &Survey) -> Vec<(BtfDigest, String, KernelHeaderStatus)> {
        let inventory = self.inventory();
        let verdicts = lock(&self.verdicts);
        let wall = self.settings.clock.wall();
        let mut wanted = Vec::new();
        for (kernel, object) in inventory.objects() {
            let Some(count) = survey.kernels.get(kernel) else {
                continue;
            };
            let status = want(object, count, verdicts.get(kernel), wall);
            if status != object.status && !object.going {
                wanted.push((*kernel, object.version.clone(), status));
            }
        }
        wanted
    }

    /// On an error: when this one is worth another try, and how long to leave the API server alone.
    async fn write_status(
        &self,
        kernel: &BtfDigest,
        version: &str,
        status: KernelHeaderStatus,
    ) -> Result<(), (Duration, Duration)> {
        match self.api.write_status(kernel, version, status).await {
            Ok(written) => {
                self.metrics.wrote_status();
                self.inventory().wrote(written);
                Ok(())
            }
            // Somebody wrote since it was told, or removed it: the watch tells, or this does.
            Err(e) if matches!(e.answer, Answer::Conflict | Answer::Absent) => {
                if let Ok(Some(object)) = self.api.get(kernel).await {
                    self.inventory().wrote(object);
                }
                Err((GAP, Duration::ZERO))
            }
            Err(e) => {
                tracing::warn!("the status of {} was not written: {e}", kernel.kernel_id());
                match e.answer {
                    Answer::Away => Err((GAP, pause(&e))),
                    _ => Err((REFUSED, Duration::ZERO)),
                }
            }
        }
    }

    fn note(&self, notice: Notice) {
        match notice {
            Notice::TooMany { node, digest } => {
                self.metrics.refused("too_many");
                let what = format!(
                    "This node named more than 3 kernels within an hour that no other node has; {digest} is not looked at now"
                );
                self.tell(Reason::TooManyDigests, About::Node(node), what);
            }
            Notice::SameId {
                node,
                digest,
                known,
            } => {
                self.metrics.refused("same_id");
                let what = format!(
                    "This node names {digest}, which has the kernel id of {known} and is another digest"
                );
                self.tell(Reason::SameKernelId, About::Node(node), what);
            }
        }
    }
}

/// How long an API server that refused is left alone.
pub(super) fn pause(e: &Refusal) -> Duration {
    let least = match e.answer {
        Answer::Away => Duration::from_secs(1),
        _ => Duration::ZERO,
    };
    e.retry_after.unwrap_or_default().max(least)
}
