//! This cluster's references, and collection: what is kept in the store, and what goes.

use super::clock::Clock;
use super::collect::{
    Collection, Mode, Outcome, OwnRefs, Plan, RefWrite, Resume, Schedule, Sweep, TAKEOVER,
    Unclaimed, Unused,
};
use super::collector::Hands;
use super::event::Reason;
use super::leader::{Leader, lock};
use super::status::time;
use crate::artifact::{BtfDigest, Generator, HeaderDigest, Object, Owner};
use crate::store::{self, look};
use bytes::Bytes;
use futures::TryStreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};
use tokio::time::sleep;

/// How often it is looked whether a collection is due.
const EVERY: Duration = Duration::from_secs(30);
/// A store that failed is looked at again after this.
const AWAY: Duration = Duration::from_secs(30);

impl Leader<'_> {
    /// For ever: puts missing references back, renews old ones, and sees what is missing of the kernels in use.
    pub(super) async fn keep_refs(&self, me: &Owner) {
        let clock = &self.settings.clock;
        loop {
            if !self.inventory().is_whole() {
                sleep(Duration::from_secs(1)).await;
                continue;
            }
            let kept = {
                let _alone = self.at_work.lock().await;
                self.keep_refs_once(me).await
            };
            match kept {
                Ok(()) => clock.sleep(OwnRefs::EVERY).await,
                Err(e) => {
                    let rest = self.store_failed("keeping references", &e);
                    sleep(AWAY.max(rest.unwrap_or_default())).await;
                }
            }
        }
    }

    async fn keep_refs_once(&self, me: &Owner) -> Result<(), store::Error> {
        let mut refs: BTreeMap<BtfDigest, Option<SystemTime>> = BTreeMap::new();
        let mut entries = self.store.list(Some(&Object::refs()));
        while let Some(entry) = entries.try_next().await? {
            match Object::parse(&entry.key) {
                Some(Object::Ref(kernel, owner)) if owner == *me => {
                    refs.insert(kernel, entry.modified);
                }
                _ => {}
            }
        }
        drop(entries);
        let (named, known) = {
            let inventory = self.inventory();
            let known: BTreeSet<BtfDigest> = inventory.objects().map(|(k, _)| *k).collect();
            (inventory.named(), known)
        };
        let own = OwnRefs {
            refs: &refs,
            named: &named,
            known: &known,
            busy: None,
        };
        for write in own.due(self.settings.clock.wall()) {
            let (kernel, why) = match write {
                // A claim that is not verified holds nothing.
                RefWrite::PutBack(kernel) if !known.contains(&kernel) => continue,
                RefWrite::PutBack(kernel) => (kernel, "put_back"),
                RefWrite::Renew(kernel) => (kernel, "renewed"),
            };
            if !self.leads() {
                return Ok(());
            }
            let key = Object::Ref(kernel, me.clone()).key();
            match write {
                RefWrite::PutBack(_) => {
                    self.store.put_if_absent(&key, Bytes::new()).await?;
                    tracing::warn!(%key, "put a missing reference back");
                }
                RefWrite::Renew(_) => self.store.put(&key, Bytes::new()).await?,
            }
            self.metrics.wrote_ref(why);
        }
        *lock(&self.strays) = own.strays();
        for kernel in named.intersection(&known) {
            if !self.is_stored(kernel).await? {
                self.suspect(*kernel);
            }
        }
        Ok(())
    }

    /// Whether BTF, header and manifest of a kernel are there, as its status has them.
    async fn is_stored(&self, kernel: &BtfDigest) -> Result<bool, store::Error> {
        let own = i64::from(u32::from(Generator::OWN));
        let header = {
            let inventory = self.inventory();
            let headers = inventory.get(kernel).map(|o| o.status.headers.as_slice());
            let found = headers
                .unwrap_or_default()
                .iter()
                .find(|h| h.generator == own);
            found.and_then(|h| h.digest.parse().ok())
        };
        let mut objects = vec![Object::Btf(*kernel)];
        if let Some(header) = header {
            objects.push(Object::Header(header));
            objects.push(Object::Manifest(*kernel, Generator::OWN));
        }
        let found = look(self.store, &objects).await?;
        Ok(found.iter().all(Option::is_some))
    }

    /// For ever: collects what is due, and sweeps headers once a day.
    pub(super) async fn collect(&self, me: &Owner) {
        let clock = &self.settings.clock;
        let dry_run = self.settings.schedule.mode == Mode::DryRun;
        let mut watch = Watch::default();
        let mut unnamed: Unclaimed<HeaderDigest> = Unclaimed::default();
        let mut unclaimed: Unclaimed<BtfDigest> = Unclaimed::default();
        let real = Clock::default();
        let mut swept: Option<Instant> = None;
        // What the last leader sent has settled by then.
        let mut resumed = false;
        loop {
            if !resumed {
                clock.sleep(TAKEOVER).await;
                let mut plan = Resume::new(me.clone());
                resumed = self.carry_out(me, &mut plan, None, &real).await;
                continue;
            }
            clock.sleep(EVERY).await;
            if !self.inventory().is_whole() {
                continue;
            }
            let now = clock.now();
            self.note_unused(&mut watch, now);
            let schedule = &self.settings.schedule;
            let next = schedule.next(&watch.unused, watch.last, clock.wall(), now);
            if let Some(kernel) = next {
                watch.last = Some(now);
                watch.tried.insert(kernel, now);
                let mut plan = Collection::new(kernel, me.clone(), dry_run);
                resumed = self.carry_out(me, &mut plan, Some(&kernel), &real).await;
                continue;
            }
            let is_due =
                |at: Instant| now.saturating_duration_since(at) >= Unclaimed::<BtfDigest>::PATIENCE;
            if schedule.mode != Mode::Off && swept.is_none_or(is_due) {
                swept = Some(now);
                match self.kernels_without_refs().await {
                    Ok(found) => {
                        let due = unclaimed.note(found.keys().copied(), now);
                        let since = |kernel| (kernel, found.get(&kernel).copied().flatten());
                        let due = due.into_iter().map(since);
                        watch.unclaimed = due.filter_map(|(k, at)| Some((k, at?))).collect();
                    }
                    Err(e) => {
                        self.store_failed("listing kernels", &e);
                    }
                }
                let mut plan = Sweep::new(me.clone(), unnamed.clone(), dry_run);
                resumed = self.carry_out(me, &mut plan, None, clock).await;
                unnamed = plan.into_unnamed();
            }
        }
    }

    /// Brings up to date which kernels nobody uses, and since when.
    fn note_unused(&self, watch: &mut Watch, now: Instant) {
        let inventory = self.inventory();
        let named = inventory.named();
        let mut found: Vec<(BtfDigest, SystemTime, bool)> = Vec::new();
        for (kernel, object) in inventory.objects() {
            let since = object.status.unused_since.as_deref().and_then(time);
            if let Some(since) = since
                && !named.contains(kernel)
            {
                found.push((*kernel, since, object.pinned));
            }
        }
        let strays = lock(&self.strays).clone();
        for (kernel, since) in strays.iter().chain(&watch.unclaimed) {
            let is_new = found.iter().all(|(known, ..)| known != kernel);
            if is_new && !named.contains(kernel) && inventory.get(kernel).is_none() {
                found.push((*kernel, *since, false));
            }
        }
        drop(inventory);
        let seen: BTreeMap<BtfDigest, Instant> =
            watch.unused.iter().map(|u| (u.kernel, u.seen)).collect();
        watch
            .tried
            .retain(|_, at| now.saturating_duration_since(*at) < Schedule::RETRY);
        let unused = |(kernel, since, pinned)| Unused {
            kernel,
            since,
            seen: seen.get(&kernel).copied().unwrap_or(now),
            pinned,
            tried: watch.tried.get(&kernel).copied(),
        };
        watch.unused = found.into_iter().map(unused).collect();
    }

    /// Kernels of which there is something and that nobody has a reference to, and when their BTF was written: what a
    /// publisher left that died, or what was unpinned.
    async fn kernels_without_refs(
        &self,
    ) -> Result<BTreeMap<BtfDigest, Option<SystemTime>>, store::Error> {
        let mut found: BTreeMap<BtfDigest, Option<SystemTime>> = BTreeMap::new();
        for folder in [Object::btf(), Object::kernels()] {
            let mut entries = self.store.list(Some(&folder));
            while let Some(entry) = entries.try_next().await? {
                if let Some(Object::Btf(kernel) | Object::Manifest(kernel, _)) =
                    Object::parse(&entry.key)
                {
                    found.entry(kernel).or_insert(entry.modified);
                }
            }
        }
        let mut entries = self.store.list(Some(&Object::refs()));
        while let Some(entry) = entries.try_next().await? {
            if let Some(Object::Ref(kernel, _)) = Object::parse(&entry.key) {
                found.remove(&kernel);
            }
        }
        Ok(found)
    }

    /// Whether it came to an end; if not, a [`Resume`] must be next.
    async fn carry_out(
        &self,
        me: &Owner,
        plan: &mut (dyn Plan + Send),
        of: Option<&BtfDigest>,
        clock: &Clock,
    ) -> bool {
        let hands = Hands {
            store: self.store,
            api: self.api,
            me,
            fence: &self.fence,
            clock,
        };
        let about = of.map(|kernel| self.about(kernel));
        let done = {
            let _alone = self.at_work.lock().await;
            hands.carry_out(plan).await
        };
        let outcome = match done {
            Ok(outcome) => outcome,
            Err(e) => {
                self.metrics.collected(None);
                if let Some(e) = e.of_store() {
                    self.metrics.store_failed(e);
                }
                tracing::warn!("a collection broke off, and will be undone: {e}");
                return false;
            }
        };
        // Every day, and mostly nothing.
        let quiet = matches!(
            outcome,
            Outcome::Resumed(0) | Outcome::Swept(0) | Outcome::WouldSweep(0)
        );
        if !quiet {
            self.metrics.collected(Some(outcome));
            tracing::info!(
                ?outcome,
                kernel = of.map(tracing::field::display),
                "collection"
            );
        }
        if let (Some(about), Some(kernel)) = (about, of) {
            match outcome {
                Outcome::Collected => {
                    let what = format!(
                        "{kernel} was not used by any node for long and was removed from the store"
                    );
                    self.tell(Reason::Collected, about, what);
                }
                Outcome::Would => {
                    let what = format!(
                        "{kernel} was not used by any node for long and would have been removed, but for the dry run"
                    );
                    self.tell(Reason::Collected, about, what);
                }
                Outcome::PutBack => {
                    let what =
                        format!("{kernel} was claimed while it was removed, and was put back");
                    self.tell(Reason::PutBack, about, what);
                }
                _ => {}
            }
        }
        !matches!(outcome, Outcome::CutShort(_))
    }
}

/// What the collecting leader remembers.
#[derive(Default)]
struct Watch {
    unused: Vec<Unused>,
    /// Of which nobody has a reference, for a day.
    unclaimed: Vec<(BtfDigest, SystemTime)>,
    tried: BTreeMap<BtfDigest, Instant>,
    last: Option<Instant>,
}
