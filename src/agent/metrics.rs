//! What the agent counts.

use super::event::Reason;
use crate::artifact::{Generator, Object};
use crate::cluster::State;
use crate::cluster::client::Refusal;
use crate::ops::Registrar;
use crate::store::{self, Done, Step};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGaugeVec, Registry};
use std::time::Duration;

/// The agent's metrics, in a registry of their own.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    state: IntGaugeVec,
    publishes: IntCounterVec,
    seconds: Histogram,
    uploaded: IntCounterVec,
    saved: IntCounterVec,
    looks: IntCounterVec,
    disagreements: IntCounter,
    api_requests: IntCounterVec,
    store_errors: IntCounterVec,
    events: IntCounterVec,
}

/// The states that a Node is in, and that of an agent that waits for its `nodeInfo`.
const WAITING: &str = "Waiting";

/// What became of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// Something was absent and was written.
    Wrote,
    /// All of it was there.
    Unchanged,
    /// It could not be finished.
    Failed,
}

impl Metrics {
    /// All of them, at zero.
    ///
    /// # Errors
    /// Two of the same name: no build has that.
    pub fn new() -> Result<Metrics, prometheus::Error> {
        let make = Registrar::new(Generator::OWN)?;
        let metrics = Metrics {
            state: make.gauges(
                "btfleet_agent_node_state",
                "1 for the state that this agent's Node is in, 0 for the others",
                &["state"],
            )?,
            seconds: make.histogram(
                "btfleet_agent_publish_duration_seconds",
                "Time from the first request of a publication to its last, waiting for others included",
                &[0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0],
            )?,
            disagreements: make.counter(
                "btfleet_agent_manifest_disagreements_total",
                "Publications that found a manifest that says something else than this node's kernel",
            )?,
            publishes: make.counters(
                "btfleet_agent_publish_total",
                "Publications of this node's kernel, by result: wrote, unchanged, failed",
                &["result"],
            )?,
            uploaded: make.counters(
                "btfleet_agent_uploaded_bytes_total",
                "Bytes written to the store, compressed, by kind of object",
                &["object"],
            )?,
            saved: make.counters(
                "btfleet_agent_deduplicated_bytes_total",
                "Bytes not written because the store had them, compressed, by kind of object",
                &["object"],
            )?,
            looks: make.counters(
                "btfleet_agent_store_looks_total",
                "Looks whether the store holds this node's kernel, by result: whole, lacking",
                &["result"],
            )?,
            api_requests: make.counters(
                "btfleet_agent_api_requests_total",
                "Requests to the API server, by verb, resource and HTTP status (none: no answer)",
                &["verb", "resource", "code"],
            )?,
            store_errors: make.counters(
                "btfleet_agent_store_errors_total",
                "Calls of the store that failed, by kind: away, refused, full, other",
                &["kind"],
            )?,
            events: make.counters(
                "btfleet_agent_events_total",
                "What was worth an Event, by reason, those gathered into one included",
                &["reason"],
            )?,
            registry: make.registry(),
        };
        // A rate needs a zero to rise from.
        for result in ["wrote", "unchanged", "failed"] {
            metrics.publishes.with_label_values(&[result]);
        }
        for object in ["btf", "header"] {
            metrics.uploaded.with_label_values(&[object]);
            metrics.saved.with_label_values(&[object]);
        }
        for result in ["whole", "lacking"] {
            metrics.looks.with_label_values(&[result]);
        }
        for kind in store::Error::KINDS {
            metrics.store_errors.with_label_values(&[kind]);
        }
        for reason in Reason::ALL {
            metrics.events.with_label_values(&[reason.word()]);
        }
        metrics.waiting();
        Ok(metrics)
    }

    /// What `/metrics` shows.
    pub fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// The Node is in this state.
    pub fn state(&self, state: &State) {
        self.set(state.word());
    }

    /// The agent does not know yet, or the Node still speaks of another boot.
    pub fn waiting(&self) {
        self.set(WAITING);
    }

    fn set(&self, now: &str) {
        for word in State::WORDS.iter().chain([&WAITING]) {
            let gauge = self.state.with_label_values(&[word]);
            gauge.set(i64::from(*word == now));
        }
    }

    /// A publication ended.
    pub fn published(&self, result: Published, took: Duration) {
        let result = match result {
            Published::Wrote => "wrote",
            Published::Unchanged => "unchanged",
            Published::Failed => "failed",
        };
        self.publishes.with_label_values(&[result]).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// What a publication did.
    pub fn step(&self, step: &Step) {
        if step.done == Done::Disagrees {
            self.disagreements.inc();
        }
        let object = match step.object {
            Object::Btf(_) => "btf",
            Object::Header(_) => "header",
            // A few bytes.
            _ => return,
        };
        let bytes = match step.done {
            Done::Wrote | Done::Replaced => &self.uploaded,
            Done::Present | Done::Disagrees => &self.saved,
        };
        bytes.with_label_values(&[object]).inc_by(step.size);
    }

    /// A look at the store ended.
    pub fn looked(&self, whole: bool) {
        let result = if whole { "whole" } else { "lacking" };
        self.looks.with_label_values(&[result]).inc();
    }

    /// A request to the API server was answered, or not.
    pub fn asked<T>(&self, verb: &str, resource: &str, answer: &Result<T, Refusal>) {
        let code = match answer {
            Ok(_) => "200".to_owned(),
            Err(e) => e.code.map_or_else(|| "none".to_owned(), |c| c.to_string()),
        };
        self.api_requests
            .with_label_values(&[verb, resource, &code])
            .inc();
    }

    /// The store failed.
    pub fn store_failed(&self, error: &store::Error) {
        self.store_errors.with_label_values(&[error.kind()]).inc();
    }

    /// Something was worth an Event.
    pub fn told(&self, reason: Reason) {
        self.events.with_label_values(&[reason.word()]).inc();
    }
}
