//! What the server counts.

use crate::artifact::Generator;
use crate::cluster::State;
use crate::ops::Registrar;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};
use std::time::Duration;

/// The server's metrics, in a registry of their own.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: Histogram,
    sent: IntCounter,
    cache: IntCounterVec,
    held: IntGauge,
    store_reads: IntCounterVec,
    connections: IntGauge,
    cut: IntCounterVec,
    nodes: IntGaugeVec,
    watch_troubles: IntCounter,
    tls_reloads: IntCounterVec,
}

impl Metrics {
    /// All of them, at zero.
    ///
    /// # Errors
    /// Two of the same name: no build has that.
    pub fn new() -> Result<Metrics, prometheus::Error> {
        let make = Registrar::new(Generator::OWN)?;
        let metrics = Metrics {
            requests: make.counters(
                "btfleet_serve_requests_total",
                "Requests by route and status",
                &["route", "code"],
            )?,
            sent: make.counter(
                "btfleet_serve_body_bytes_total",
                "Bytes of bodies handed to connections",
            )?,
            cache: make.counters(
                "btfleet_serve_cache_total",
                "What became of look-ups in the cache: hit, shared (with a load under way), load, refused",
                &["result"],
            )?,
            held: make.gauge(
                "btfleet_serve_held_bytes",
                "Bytes of blobs in memory: the cache and what is being sent",
            )?,
            store_reads: make.counters(
                "btfleet_serve_store_reads_total",
                "Objects and listings asked of the store",
                &["object", "result"],
            )?,
            connections: make.gauge("btfleet_serve_connections", "Open connections")?,
            cut: make.counters(
                "btfleet_serve_connections_cut_total",
                "Connections that ended with an error, by what kind",
                &["reason"],
            )?,
            watch_troubles: make.counter(
                "btfleet_serve_watch_troubles_total",
                "Times that the API server did not answer a watch as it should",
            )?,
            tls_reloads: make.counters(
                "btfleet_serve_tls_reloads_total",
                "Certificates that changed and were taken, or could not be",
                &["result"],
            )?,
            seconds: make.histogram(
                "btfleet_serve_request_seconds",
                "Time from a request's head to the answer's head",
                &[0.0005, 0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0],
            )?,
            nodes: make.gauges(
                "btfleet_serve_nodes",
                "Nodes as the server sees them",
                &["state"],
            )?,
            registry: make.registry(),
        };
        for state in State::WORDS {
            metrics.nodes.with_label_values(&[state]).set(0);
        }
        for result in ["hit", "shared", "load", "refused"] {
            metrics.cache.with_label_values(&[result]);
        }
        for object in ["btf", "header", "list"] {
            for result in ["ok", "failed"] {
                metrics.store_reads.with_label_values(&[object, result]);
            }
        }
        Ok(metrics)
    }

    /// For `/metrics`.
    pub fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// A request was answered.
    pub fn answered(&self, route: &str, code: u16, took: Duration, body: u64) {
        let code = code.to_string();
        self.requests.with_label_values(&[route, &code]).inc();
        self.seconds.observe(took.as_secs_f64());
        self.sent.inc_by(body);
    }

    pub(super) fn cache(&self, result: &str) {
        self.cache.with_label_values(&[result]).inc();
    }

    pub(super) fn held(&self, bytes: u64) {
        self.held.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn read(&self, object: &str, is_ok: bool) {
        let result = if is_ok { "ok" } else { "failed" };
        self.store_reads.with_label_values(&[object, result]).inc();
    }

    pub(super) fn connected(&self, change: i64) {
        self.connections.add(change);
    }

    pub(super) fn cut(&self, reason: &str) {
        self.cut.with_label_values(&[reason]).inc();
    }

    pub(super) fn nodes(&self, state: &str, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.nodes.with_label_values(&[state]).set(count);
    }

    pub(super) fn watch_trouble(&self) {
        self.watch_troubles.inc();
    }

    pub(super) fn tls_reload(&self, is_ok: bool) {
        let result = if is_ok { "ok" } else { "failed" };
        self.tls_reloads.with_label_values(&[result]).inc();
    }
}
