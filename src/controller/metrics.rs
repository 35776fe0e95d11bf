//! What the controller counts.

use super::collect::Outcome;
use super::event::Reason;
use super::inventory::Survey;
use super::verify::Repair;
use crate::artifact::Generator;
use crate::ops::Registrar;
use crate::store;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

/// So many kernels have a series of their own; the rest are counted as `other`.
const KERNELS: usize = 20;

/// The controller's metrics, in a registry of their own.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    leader: IntGauge,
    nodes: IntGaugeVec,
    kernel_nodes: IntGaugeVec,
    kernels: IntGauge,
    unverified: IntGauge,
    verifications: IntCounterVec,
    failures: IntCounterVec,
    collections: IntCounterVec,
    refs: IntCounterVec,
    status_writes: IntCounter,
    refused: IntCounterVec,
    policies: IntGaugeVec,
    events: IntCounterVec,
    api_requests: IntCounterVec,
    watch_errors: IntCounterVec,
    store_errors: IntCounterVec,
}

/// How collections end.
const OUTCOMES: [&str; 11] = [
    "kept",
    "rival",
    "shared",
    "would",
    "put_back",
    "collected",
    "swept",
    "would_sweep",
    "resumed",
    "cut_short",
    "failed",
];

impl Metrics {
    /// All of them, at zero.
    ///
    /// # Errors
    /// Two of the same name: no build has that.
    pub fn new() -> Result<Metrics, prometheus::Error> {
        let make = Registrar::new(Generator::OWN)?;
        let metrics = Metrics {
            leader: make.gauge("btfleet_controller_leader", "1 while this process leads")?,
            nodes: make.gauges(
                "btfleet_controller_nodes",
                "Nodes by what they say of their kernel; of the leader only",
                &["status"],
            )?,
            kernel_nodes: make.gauges(
                "btfleet_controller_kernel_nodes",
                "Nodes that run a kernel, for the kernels that most of them run; the rest as other",
                &["kernel"],
            )?,
            kernels: make.gauge(
                "btfleet_controller_kernels",
                "Distinct kernels that have a KernelHeader",
            )?,
            unverified: make.gauge(
                "btfleet_controller_unverified_kernels",
                "Digests that Nodes name and whose BTF was not found yet",
            )?,
            verifications: make.counters(
                "btfleet_controller_verifications_total",
                "Verifications of kernels, by result: verified, missing, wrong, failed",
                &["result"],
            )?,
            failures: make.counters(
                "btfleet_controller_verification_failures_total",
                "Objects in the store that were not what they should be, by kind",
                &["object"],
            )?,
            collections: make.counters(
                "btfleet_controller_collections_total",
                "Collections and header sweeps, by how they ended",
                &["result"],
            )?,
            refs: make.counters(
                "btfleet_controller_refs_written_total",
                "References of this cluster that were put back, or written anew",
                &["why"],
            )?,
            refused: make.counters(
                "btfleet_controller_refused_claims_total",
                "Digests of Nodes that were not looked at, by reason: too_many, same_id",
                &["reason"],
            )?,
            policies: make.gauges(
                "btfleet_controller_admission_policy_present",
                "1 if the admission policy and its binding are there",
                &["policy"],
            )?,
            events: make.counters(
                "btfleet_controller_events_total",
                "What was worth an Event, by reason, those gathered into one included",
                &["reason"],
            )?,
            api_requests: make.counters(
                "btfleet_controller_api_requests_total",
                "Requests to the API server, by verb, resource and HTTP status (none: no answer)",
                &["verb", "resource", "code"],
            )?,
            watch_errors: make.counters(
                "btfleet_controller_watch_errors_total",
                "Watches that were not answered as they should be, by resource",
                &["resource"],
            )?,
            store_errors: make.counters(
                "btfleet_controller_store_errors_total",
                "Calls of the store that failed, by kind: away, refused, full, other",
                &["kind"],
            )?,
            status_writes: make.counter(
                "btfleet_controller_status_writes_total",
                "Status writes of KernelHeaders",
            )?,
            registry: make.registry(),
        };
        metrics.zero();
        Ok(metrics)
    }

    /// A rate needs a zero to rise from.
    fn zero(&self) {
        for result in ["verified", "missing", "wrong", "failed"] {
            self.verifications.with_label_values(&[result]);
        }
        for object in Repair::OBJECTS {
            self.failures.with_label_values(&[object]);
        }
        for outcome in OUTCOMES {
            self.collections.with_label_values(&[outcome]);
        }
        for why in ["put_back", "renewed"] {
            self.refs.with_label_values(&[why]);
        }
        for reason in ["too_many", "same_id"] {
            self.refused.with_label_values(&[reason]);
        }
        for reason in Reason::ALL {
            self.events.with_label_values(&[reason.word()]);
        }
        for resource in ["nodes", "kernelheaders"] {
            self.watch_errors.with_label_values(&[resource]);
        }
        for kind in store::Error::KINDS {
            self.store_errors.with_label_values(&[kind]);
        }
    }

    /// What `/metrics` shows.
    pub fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// This process leads, or does not: then it knows nothing of the cluster.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
        if !leads {
            self.nodes.reset();
            self.kernel_nodes.reset();
            self.kernels.set(0);
            self.unverified.set(0);
        }
    }

    /// What the inventory adds up to.
    pub fn survey(&self, survey: &Survey, kernels: usize, unverified: usize) {
        let int = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        for (state, count) in &survey.states {
            self.nodes.with_label_values(&[state]).set(int(*count));
        }
        let mut by_count: Vec<(usize, String)> = survey
            .kernels
            .iter()
            .map(|(digest, count)| (count.runs, digest.kernel_id().to_string()))
            .collect();
        by_count.sort_by(|a, b| b.cmp(a));
        let rest = by_count.iter().skip(KERNELS).map(|(n, _)| n).sum();
        // A kernel that is not among the first any more must not keep its series.
        self.kernel_nodes.reset();
        for (count, kernel) in by_count.iter().take(KERNELS) {
            self.kernel_nodes
                .with_label_values(&[kernel])
                .set(int(*count));
        }
        self.kernel_nodes
            .with_label_values(&["other"])
            .set(int(rest));
        self.kernels.set(int(kernels));
        self.unverified.set(int(unverified));
    }

    /// A verification ended.
    pub fn verified(&self, result: &str) {
        self.verifications.with_label_values(&[result]).inc();
    }

    /// Something in the store was wrong.
    pub fn repaired(&self, repair: &Repair) {
        self.failures.with_label_values(&[repair.object()]).inc();
    }

    /// A collection ended; `None` if a step failed.
    pub fn collected(&self, outcome: Option<Outcome>) {
        let word = match outcome {
            Some(Outcome::Kept) => "kept",
            Some(Outcome::Shared) => "shared",
            Some(Outcome::Rival) => "rival",
            Some(Outcome::Would) => "would",
            Some(Outcome::PutBack) => "put_back",
            Some(Outcome::Collected) => "collected",
            Some(Outcome::Swept(_)) => "swept",
            Some(Outcome::WouldSweep(_)) => "would_sweep",
            Some(Outcome::Resumed(_)) => "resumed",
            Some(Outcome::CutShort(_)) => "cut_short",
            None => "failed",
        };
        self.collections.with_label_values(&[word]).inc();
    }

    /// A reference was written.
    pub fn wrote_ref(&self, why: &str) {
        self.refs.with_label_values(&[why]).inc();
    }

    /// A KernelHeader's status was written.
    pub fn wrote_status(&self) {
        self.status_writes.inc();
    }

    /// A claim was not looked at.
    pub fn refused(&self, reason: &str) {
        self.refused.with_label_values(&[reason]).inc();
    }

    /// An admission policy is there, or not.
    pub fn policy(&self, name: &str, present: bool) {
        self.policies
            .with_label_values(&[name])
            .set(i64::from(present));
    }

    /// Something was worth an Event.
    pub fn told(&self, reason: Reason) {
        self.events.with_label_values(&[reason.word()]).inc();
    }

    /// A request to the API server was answered, or not.
    pub fn asked(&self, verb: &str, resource: &str, code: Option<u16>) {
        let code = code.map_or_else(|| "none".to_owned(), |c| c.to_string());
        self.api_requests
            .with_label_values(&[verb, resource, &code])
            .inc();
    }

    /// A watch was not answered as it should be.
    pub fn watch_failed(&self, resource: &str) {
        self.watch_errors.with_label_values(&[resource]).inc();
    }

    /// The store failed.
    pub fn store_failed(&self, error: &store::Error) {
        self.store_errors.with_label_values(&[error.kind()]).inc();
    }
}
