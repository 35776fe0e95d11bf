//! A controller within the test, on a clock that runs faster.

use super::bed::Bed;
use crate::support::servers::api::runtime;
use btfleet::controller::collect::{Mode, Schedule};
use btfleet::controller::{Clock, Metrics, Parts, Settings, run};
use btfleet::ops::{Probe, Pulse, Shutdown, Trigger};
use std::time::Duration;
use tokio::task::JoinHandle;

pub struct Inside {
    trigger: Trigger,
    task: JoinHandle<()>,
    pub clock: Clock,
    metrics: Metrics,
}

impl Inside {
    /// One that collects, `rate` seconds of whose clock pass in one.
    pub fn start(bed: &Bed, rate: u32, mode: Mode, retention: Duration) -> Inside {
        let (trigger, shutdown): (Trigger, Shutdown) = Trigger::new();
        let clock = Clock::at_rate(rate);
        let metrics = Metrics::new().unwrap();
        let settings = Settings {
            namespace: "btfleet".to_owned(),
            lease: "btfleet-controller".to_owned(),
            identity: "inside".to_owned(),
            cluster_id: None,
            schedule: Schedule { mode, retention },
            verify_every: Duration::from_secs(86_400),
            policies: "btfleet".to_owned(),
            clock: clock.clone(),
            seed: 1,
        };
        let parts = Parts {
            client: bed.client(),
            store: bed.store.clone(),
            metrics: metrics.clone(),
            ready: Probe::failing("starting"),
            live: Pulse::new(Duration::from_secs(60)),
        };
        let task = runtime().spawn(async move { run(&settings, parts, &shutdown).await });
        Inside {
            trigger,
            task,
            clock,
            metrics,
        }
    }

    pub fn end(self) {
        self.trigger.pull();
        runtime().block_on(self.task).unwrap();
    }

    /// A counter, of all series that have a label of this value.
    pub fn counted(&self, name: &str, label: &str) -> f64 {
        let families = self.metrics.registry().gather();
        let family = families.iter().find(|f| f.name() == name).unwrap();
        let metrics = family.get_metric().iter();
        metrics
            .filter(|m| m.get_label().iter().any(|l| l.value() == label))
            .map(|m| m.get_counter().get_value())
            .sum()
    }
}
