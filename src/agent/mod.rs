//! One node's work: publish the running kernel, and say so on the node's own Node.
//!
//! What to do next is decided in [`plan`], from what the host is, what the Node says and what the store was
//! seen to hold; [`run`](run::run) does it. Nothing is watched, and between two looks nothing is held.

mod api;
mod event;
mod metrics;
pub mod plan;
pub mod run;
mod source;
mod trouble;

pub use api::{Cluster, KubeCluster};
pub use event::{Event, Reason, Recorder};
pub use metrics::Metrics;
pub use run::{Parts, Settings, run};
pub use source::{Source, SourceError};
pub use trouble::Trouble;
