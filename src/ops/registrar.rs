//! Metrics as they are made: each is registered, and `btfleet_build_info` is always there.

use prometheus::core::Collector;
use prometheus::{
    Error, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};
use std::fmt;

/// Makes metrics in a registry of their own.
#[derive(Debug)]
pub struct Registrar(Registry);

impl Registrar {
    /// One that has `btfleet_build_info` alone.
    ///
    /// # Errors
    /// None that a build has: as of all of these, a name that is taken or not Prometheus'.
    pub fn new(generator: impl fmt::Display) -> Result<Registrar, Error> {
        let registrar = Registrar(Registry::new());
        let build = registrar.gauges(
            "btfleet_build_info",
            "1, with what this build is",
            &["version", "generator"],
        )?;
        build
            .with_label_values(&[env!("CARGO_PKG_VERSION"), &generator.to_string()])
            .set(1);
        Ok(registrar)
    }

    /// What `/metrics` shows.
    pub fn registry(self) -> Registry {
        self.0
    }

    fn register<T: Collector + Clone + 'static>(
        &self,
        metric: Result<T, Error>,
    ) -> Result<T, Error> {
        let metric = metric?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    /// A counter.
    ///
    /// # Errors
    /// See [`Registrar::new`].
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        self.register(IntCounter::new(name, help))
    }

    /// A counter for each of these labels' values.
    ///
    /// # Errors
    /// See [`Registrar::new`].
    pub fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, Error> {
        self.register(IntCounterVec::new(Opts::new(name, help), labels))
    }

    /// A gauge.
    ///
    /// # Errors
    /// See [`Registrar::new`].
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, Error> {
        self.register(IntGauge::new(name, help))
    }

    /// A gauge for each of these labels' values.
    ///
    /// # Errors
    /// See [`Registrar::new`].
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    /// A histogram with these bounds.
    ///
    /// # Errors
    /// See [`Registrar::new`].
    pub fn histogram(&self, name: &str, help: &str, bounds: &[f64]) -> Result<Histogram, Error> {
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        self.register(Histogram::with_opts(options))
    }
}
