//! The loop around [`plan::next`](super::plan): looks, does what it says, waits.

use super::api::Cluster;
use super::event::{About, Event, Reason, Recorder};
use super::metrics::{Metrics, Published};
use super::plan::{self, Act, Finding, Host, InStore, Seen};
use super::source::Source;
use super::trouble::Trouble;
use crate::artifact::{Arch, Object, Owner, Release};
use crate::cluster::client::Answer;
use crate::cluster::event::Sending;
use crate::cluster::node::{Keys, Node, State, may_be_written};
use crate::ops::{Backoff, Probe, Pulse};
use crate::store::{Contents, Done, Kernel, Manner, Store, look, objects, publish};
use k8s_openapi::jiff::Timestamp;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How an agent goes about it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The Node that it runs on.
    pub node: String,
    /// Whose reference it makes, if not that of the uid of kube-system.
    pub cluster_id: Option<Owner>,
    /// The machine; without it there is no index entry.
    pub arch: Option<Arch>,
    /// The first look of a fleet's agents is spread over this time.
    pub spread: Duration,
    /// The Node is looked at this often at least; most often a little sooner.
    pub look_every: Duration,
    /// The store is looked at this often at least, likewise.
    pub resync_every: Duration,
    /// End after one look that needed nothing more, or failed.
    pub once: bool,
}

/// What an agent works with.
#[derive(Debug)]
pub struct Parts<C> {
    /// Where the host describes itself.
    pub source: Source,
    /// Where to publish.
    pub store: Arc<dyn Store>,
    /// The API server.
    pub cluster: C,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether this node's kernel is published, or knowingly has no BTF.
    pub ready: Probe,
    /// Whether the loop turns.
    pub live: Pulse,
}

/// Longer than one act takes on the slowest line that still works.
const GRACE: Duration = Duration::from_secs(900);
/// A store may be away for so long before a Node that is not ready says so.
const AWAY: Duration = Duration::from_secs(300);
/// Acts of one look: some six are usual.
const ACTS: usize = 24;
/// How often the Node may change under one look.
const CONFLICTS: u32 = 3;
/// How often objects may vanish during one look.
const PUBLISHES: u32 = 3;

/// Publishes, and sees that it stays so, for ever; drop it to end it. With `once`, until all is as it
/// should be: then it gives what the Node says.
///
/// # Errors
/// With `once` only: why it is not.
pub async fn run<C: Cluster>(settings: &Settings, parts: Parts<C>) -> Result<State, Trouble> {
    let mut hash = DefaultHasher::new();
    settings.node.hash(&mut hash);
    let seed = hash.finish();
    let mut random = fastrand::Rng::with_seed(seed);
    let first = settings.spread.mul_f64(random.f64());
    if !settings.once && !first.is_zero() {
        tracing::info!(seconds = first.as_secs_f64(), "the first look is put off");
        parts.live.beat(first + GRACE);
        sleep(first).await;
    }
    let (short, long) = (Duration::from_secs(1), Duration::from_secs(60));
    let mut away = Backoff::new(short, long, random.u64(..));
    let mut refused = Backoff::new(15 * short, 10 * long, random.u64(..));
    let live = parts.live.clone();
    let mut agent = Agent::new(settings, parts, seed);
    loop {
        let looked = agent.look_once().await;
        // Megabytes that the next look hardly needs.
        if agent.examined {
            agent.kernel = None;
            agent.examined = false;
        }
        let pause = match looked {
            Ok(Looked::Settled(state)) if settings.once => return Ok(state),
            Ok(Looked::Settled(_)) => {
                away.reset();
                refused.reset();
                let next = settings.look_every.mul_f64(0.75 + 0.2 * random.f64());
                let due = agent.resync.saturating_duration_since(Instant::now());
                next.min(due)
            }
            Ok(Looked::Late(pause)) => pause,
            Err(trouble) => {
                let pause = match trouble.lasts {
                    true => refused.pause(),
                    false => away.pause(),
                };
                agent.tell_trouble(&trouble).await;
                if settings.once {
                    return Err(trouble);
                }
                // All who were told the same time come back spread a little.
                let pause = pause + trouble.retry_after.unwrap_or_default();
                tracing::warn!(retry_seconds = pause.as_secs_f64(), "{trouble}");
                pause
            }
        };
        live.beat(pause + GRACE);
        sleep(pause).await;
    }
}

/// How a look at the Node ended.
enum Looked {
    /// All is as it should be, or cannot be better.
    Settled(State),
    /// `nodeInfo` is late.
    Late(Duration),
}

struct Agent<'a, C> {
    settings: &'a Settings,
    parts: Parts<C>,
    seed: u64,
    host: Host,
    owner: Option<Owner>,
    finding: Option<Finding>,
    /// At hand during one look.
    kernel: Option<Kernel>,
    /// The BTF was read during this look.
    examined: bool,
    /// Since when, and in how many looks, `nodeInfo` did not fit.
    unlike: Option<(Instant, u32)>,
    /// When the store is to be looked at.
    resync: Instant,
    /// Since when the store fails.
    failing: Option<Instant>,
    recorder: Recorder,
    uid: String,
}

impl<'a, C: Cluster> Agent<'a, C> {
    fn new(settings: &'a Settings, parts: Parts<C>, seed: u64) -> Self {
        let host = parts.source.host();
        tracing::info!(
            node = settings.node,
            boot_id = host.boot_id.as_deref().unwrap_or("none"),
            release = host.release.as_deref().unwrap_or("none"),
            store = parts.store.place(),
            "agent of this node"
        );
        Agent {
            settings,
            parts,
            seed,
            host,
            owner: settings.cluster_id.clone(),
            finding: None,
            kernel: None,
            examined: false,
            unlike: None,
            resync: Instant::now(),
            failing: None,
            recorder: Recorder::default(),
            uid: String::new(),
        }
    }

    /// Looks at the Node, and does what is to be done.
    async fn look_once(&mut self) -> Result<Looked, Trouble> {
        let mut node = self.node().await?;
        let mut store = match self.resync <= Instant::now() {
            true => InStore::Due,
            false => InStore::Settled,
        };
        let mut failed: Option<Trouble> = None;
        let (mut conflicts, mut publishes) = (0, 0);
        for _ in 0..ACTS {
            self.parts.live.beat(GRACE);
            let unlike = self.unlike.map_or((Duration::ZERO, 0), |(since, looks)| {
                (since.elapsed(), looks)
            });
            let said = failed.as_ref().map(|trouble| trouble.what.as_str());
            let act = plan::next(Seen {
                host: &self.host,
                finding: self.finding.as_ref(),
                node: &node,
                unlike,
                store,
                trouble: said,
            });
            tracing::debug!(?act, ?store);
            let done = match act {
                Act::Wait(pause, why) => return Ok(self.late(pause, why)),
                Act::Examine => {
                    self.examine().await;
                    Ok(())
                }
                Act::Publish if publishes == PUBLISHES => {
                    return Err(Trouble::vanishing(&*self.parts.store));
                }
                Act::Publish => {
                    publishes += 1;
                    let published = self.publish().await;
                    published.map(|()| store = InStore::Published)
                }
                Act::Look => self.look().await.map(|found| store = found),
                Act::Say(keys) => match self.say(&node, &keys, failed.is_some()).await {
                    Ok(now) => {
                        node = now;
                        Ok(())
                    }
                    Err(e) if e.is_conflict && conflicts < CONFLICTS => {
                        conflicts += 1;
                        node = self.node().await?;
                        Ok(())
                    }
                    Err(e) => return Err(e),
                },
                Act::Rest => match failed {
                    Some(trouble) => return Err(trouble),
                    None => return Ok(self.settled(&node, store)),
                },
            };
            if let Err(trouble) = done {
                if !trouble.of_store || !self.is_worth_saying(&trouble) {
                    return Err(trouble);
                }
                failed = Some(trouble);
            }
        }
        Err(Trouble::restless(&self.settings.node))
    }

    async fn node(&mut self) -> Result<Node, Trouble> {
        let node = self.parts.cluster.node().await;
        let node = node.map_err(|e| Trouble::of_node(&self.settings.node, e))?;
        self.uid.clone_from(&node.metadata.uid);
        match plan::fits(&self.host, &node.status.node_info) {
            true => self.unlike = None,
            false => {
                self.unlike.get_or_insert((Instant::now(), 0));
            }
        }
        Ok(node)
    }

    fn late(&mut self, pause: Duration, why: String) -> Looked {
        if let Some((_, looks)) = &mut self.unlike {
            *looks += 1;
        }
        tracing::info!(pause_seconds = pause.as_secs(), "{why}: waiting");
        self.parts.metrics.waiting();
        self.parts.ready.set(Err(why));
        Looked::Late(pause)
    }

    /// All is done that can be done.
    fn settled(&mut self, node: &Node, store: InStore) -> Looked {
        if store == InStore::Whole {
            let random = (self.seed % 1000) as f64 / 1000.0;
            let pause = self.settings.resync_every.mul_f64(0.75 + 0.2 * random);
            self.resync = Instant::now() + pause;
        } else if store == InStore::Due {
            // There is nothing in the store to look at.
            self.resync = Instant::now() + self.settings.resync_every;
        }
        let state = node.state();
        self.parts.metrics.state(&state);
        self.parts.ready.set(match &state {
            State::Ready { .. } | State::NoBtf => Ok(()),
            State::Error(why) => Err(why.clone()),
            state => Err(format!("the Node is {}", state.word())),
        });
        Looked::Settled(state)
    }

    async fn examine(&mut self) {
        let source = self.parts.source.clone();
        let examined = tokio::task::spawn_blocking(move || source.examine()).await;
        let (finding, kernel) = examined.expect("reading BTF does not panic");
        match &finding {
            Finding::Kernel { said, why } => tracing::info!(
                btf_digest = %said.btf,
                header_digest = said.header.map(|(digest, _)| digest.to_string()),
                error = why.as_deref(),
                "read the kernel's BTF"
            ),
            Finding::NoBtf => tracing::warn!("this kernel has no BTF"),
            Finding::Unreadable(why) => tracing::error!("{why}"),
        }
        self.finding = Some(finding);
        self.kernel = kernel;
        self.examined = true;
    }

    /// Whose reference is made.
    async fn owner(&mut self) -> Result<Owner, Trouble> {
        if let Some(owner) = &self.owner {
            return Ok(owner.clone());
        }
        let owner = self.parts.cluster.id().await.map_err(Trouble::of_id)?;
        tracing::info!(cluster = %owner, "the cluster's id");
        Ok(self.owner.insert(owner).clone())
    }

    /// The names under which the kernel is indexed.
    fn names(&self) -> Vec<(Arch, Release)> {
        let release = self.host.release.as_deref().filter(|r| may_be_written(r));
        let release = release.and_then(|r| r.parse().ok());
        self.settings
            .arch
            .clone()
            .zip(release)
            .into_iter()
            .collect()
    }

    async fn publish(&mut self) -> Result<(), Trouble> {
        let owner = self.owner().await?;
        if self.kernel.is_none() {
            // It was let go of after an earlier look.
            self.examine().await;
        }
        let Some(kernel) = &self.kernel else {
            return Ok(());
        };
        let began = Instant::now();
        let names = self.names();
        let manner = Manner::agent(self.seed);
        let store = &*self.parts.store;
        let done = publish(store, Contents::Kernel(kernel), &owner, &names, manner).await;
        let steps = match done {
            Ok(steps) => steps,
            Err(e) => {
                let result = Published::Failed;
                self.parts.metrics.published(result, began.elapsed());
                if let crate::store::PublishError::Store(e) = &e {
                    self.parts.metrics.store_failed(e);
                }
                return Err(Trouble::of_publishing(e));
            }
        };
        self.failing = None;
        let wrote = steps.iter().any(|step| step.done == Done::Wrote);
        let result = match wrote {
            true => Published::Wrote,
            false => Published::Unchanged,
        };
        self.parts.metrics.published(result, began.elapsed());
        for step in &steps {
            self.parts.metrics.step(step);
            tracing::info!(key = %step.object.key(), done = ?step.done, bytes = step.size);
        }
        if let Some(step) = steps.iter().find(|step| step.done == Done::Disagrees) {
            let what = format!(
                "{} in the store does not say what this node's kernel gives; the Node names its own digests",
                step.object.key()
            );
            tracing::warn!("{what}");
            let reason = Reason::ManifestDisagrees;
            self.tell(Event { reason, what }).await;
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<InStore, Trouble> {
        let owner = self.owner().await?;
        let Some(Finding::Kernel { said, .. }) = &self.finding else {
            return Ok(InStore::Whole);
        };
        let objects: Vec<Object> = objects(&owner, said.btf, said.header, &self.names());
        match look(&*self.parts.store, &objects).await {
            Err(e) => {
                self.parts.metrics.store_failed(&e);
                Err(Trouble::of_store(e))
            }
            Ok(sizes) => {
                self.failing = None;
                let absent = objects.iter().zip(sizes).filter(|(_, size)| size.is_none());
                let absent: Vec<String> = absent.map(|(o, _)| o.key().to_string()).collect();
                self.parts.metrics.looked(absent.is_empty());
                if absent.is_empty() {
                    return Ok(InStore::Whole);
                }
                tracing::warn!(?absent, "the store lacks what this node's kernel has");
                Ok(InStore::Lacking)
            }
        }
    }

    async fn say(&mut self, node: &Node, keys: &Keys, of_store: bool) -> Result<Node, Trouble> {
        let patched = self.parts.cluster.patch(&node.metadata.uid, keys).await;
        let now = patched.map_err(|e| Trouble::of_node(&self.settings.node, e))?;
        let status = keys.annotations.status.clone().unwrap_or_default();
        tracing::info!(status, kernel = keys.labels.kernel, "the Node says so now");
        // What the store's trouble is about is told where it is met.
        if !of_store && let Some(reason) = self.about(keys) {
            let release = self.host.release.as_deref().unwrap_or("?");
            let what = match reason {
                Reason::NoBtf => format!("kernel {release} has no BTF"),
                _ => format!("kernel {release}: {}", status.trim_start_matches("Error: ")),
            };
            self.tell(Event { reason, what }).await;
        }
        Ok(now)
    }

    /// Why a Node is told something else than that it is ready.
    fn about(&self, keys: &Keys) -> Option<Reason> {
        match &self.finding {
            // Said without one: boot ids cannot agree.
            _ if keys.annotations.boot_id.is_none() => Some(Reason::BootMismatch),
            Some(Finding::NoBtf) => Some(Reason::NoBtf),
            Some(Finding::Unreadable(_) | Finding::Kernel { why: Some(_), .. }) => {
                Some(Reason::UnreadableBtf)
            }
            _ => None,
        }
    }

    /// Whether a Node that is not ready should say it: at once if waiting does not help.
    fn is_worth_saying(&mut self, trouble: &Trouble) -> bool {
        let since = *self.failing.get_or_insert_with(Instant::now);
        trouble.lasts || since.elapsed() >= AWAY
    }

    async fn tell_trouble(&mut self, trouble: &Trouble) {
        let Some(reason) = trouble.reason else {
            return;
        };
        let is_new = self.failing.is_none_or(|since| since.elapsed() < AWAY);
        // Every store is away for a moment now and then.
        if reason == Reason::StoreAway && is_new {
            return;
        }
        let what = trouble.what.clone();
        self.tell(Event { reason, what }).await;
    }

    /// Tells an Event. It is a help, and no more: that it fails stops nothing.
    async fn tell(&mut self, event: Event) {
        self.parts.metrics.told(event.reason);
        let about = About {
            node: self.settings.node.clone(),
            uid: self.uid.clone(),
        };
        let stamp = format!("{:.6}", Timestamp::now());
        let sending = self.recorder.tell(&event, &about, Instant::now(), &stamp);
        let Some(sending) = sending else { return };
        if let Err(e) = self.parts.cluster.event(&sending).await {
            let is_gone = matches!(sending, Sending::Again(..)) && e.answer == Answer::Absent;
            self.recorder.forget(event.reason);
            if !is_gone {
                tracing::warn!("the Event was not sent: {e}");
            }
        }
    }
}
