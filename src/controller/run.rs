//! The controller: stands for election, and does the leader's work while it leads.

use super::api::Api;
use super::clock::Clock;
use super::collect::Schedule;
use super::leader::Leader;
use super::metrics::Metrics;
use crate::artifact::Owner;
use crate::cluster::client::Refusal;
use crate::cluster::lease::{Election, Ended, Telling};
use crate::ops::{Probe, Pulse, Shutdown};
use crate::store::Store;
use kube::Client;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How a controller goes about it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where its Lease lies.
    pub namespace: String,
    /// The Lease's name.
    pub lease: String,
    /// What no other process is called.
    pub identity: String,
    /// Whose references it keeps, if not those of the uid of kube-system.
    pub cluster_id: Option<Owner>,
    /// When kernels are collected.
    pub schedule: Schedule,
    /// From one verification of a kernel to the next.
    pub verify_every: Duration,
    /// How the admission policies' names begin; empty if there are none to look for.
    pub policies: String,
    /// By which the long times go.
    pub clock: Clock,
    /// Decides what is spread.
    pub seed: u64,
}

/// What a controller works with.
pub struct Parts {
    /// The API server.
    pub client: Client,
    /// The store.
    pub store: Arc<dyn Store>,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether it stands for election, or leads and knows its cluster.
    pub ready: Probe,
    /// Whether its loop turns.
    pub live: Pulse,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// A look at the Lease is bounded to a few seconds: a loop that is silent for longer hangs.
const ALIVE: Duration = Duration::from_secs(60);
/// An API server may be silent for so long before this controller says that it is not ready.
const SILENT: Duration = Duration::from_secs(30);

/// Works until the end is asked for.
pub async fn run(settings: &Settings, parts: Parts, shutdown: &Shutdown) {
    let telling = State {
        metrics: parts.metrics.clone(),
        ready: parts.ready.clone(),
        live: parts.live.clone(),
        inner: Mutex::new(Inner {
            leads: false,
            whole: false,
            answered: Instant::now(),
            error: None,
        }),
    };
    let mut election = Election::new(
        parts.client.clone(),
        &settings.namespace,
        &settings.lease,
        &settings.identity,
    );
    let api = Api::new(parts.client, parts.metrics.clone());
    let work = |fence| {
        let leader = Leader::new(settings, &api, &*parts.store, &parts.metrics, fence);
        let telling = &telling;
        async move { leader.lead(&|| telling.whole()).await }
    };
    match election.run(shutdown, &telling, work).await {
        Ended::Shutdown => tracing::info!("ending"),
        Ended::Work(never) => match never {},
    }
}

/// What `/readyz`, `/livez` and the metrics show of the candidacy.
struct State {
    metrics: Metrics,
    ready: Probe,
    live: Pulse,
    inner: Mutex<Inner>,
}

struct Inner {
    leads: bool,
    whole: bool,
    answered: Instant,
    error: Option<String>,
}

impl State {
    fn set(&self, change: impl FnOnce(&mut Inner)) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut inner);
        self.ready
            .set(match (&inner.error, inner.leads, inner.whole) {
                (Some(e), ..) if inner.answered.elapsed() > SILENT => {
                    Err(format!("the Lease cannot be looked at: {e}"))
                }
                (_, true, false) => Err("leading; the Nodes are not all known yet".to_owned()),
                _ => Ok(()),
            });
    }

    /// The leader knows all Nodes and KernelHeaders.
    fn whole(&self) {
        self.set(|inner| inner.whole = true);
    }
}

impl Telling for State {
    fn leads(&self, leads: bool) {
        self.metrics.leads(leads);
        self.set(|inner| {
            inner.leads = leads;
            inner.whole = false;
        });
    }

    fn looked(&self, result: Result<(), &Refusal>) {
        self.live.beat(ALIVE);
        self.set(|inner| match result {
            Ok(()) => {
                inner.answered = Instant::now();
                inner.error = None;
            }
            Err(e) => inner.error = Some(e.to_string()),
        });
    }
}
