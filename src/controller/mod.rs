//! The inventory's side: what a cluster's one controller decides, and does.
//!
//! `collect`, `inventory` and `status` decide, and are pure; `verify`, `steps` and `collector` work on the store; `run` stands
//! for election, and `leader` is what the one who leads does.

pub mod collect;
mod steps;

pub use steps::{StepError, undo};

#[cfg(feature = "cluster")]
mod api;
#[cfg(feature = "cluster")]
mod clock;
#[cfg(feature = "cluster")]
mod collector;
#[cfg(feature = "cluster")]
mod event;
#[cfg(feature = "cluster")]
pub mod inventory;
#[cfg(feature = "cluster")]
mod keeping;
#[cfg(feature = "cluster")]
mod leader;
#[cfg(feature = "cluster")]
mod metrics;
#[cfg(feature = "cluster")]
mod run;
#[cfg(feature = "cluster")]
pub mod status;
#[cfg(feature = "cluster")]
mod verify;
#[cfg(feature = "cluster")]
mod verifying;

#[cfg(feature = "cluster")]
pub use self::{
    api::{Api, POLICIES},
    clock::Clock,
    collector::Hands,
    event::{About, Event, Reason, Recorder},
    metrics::Metrics,
    run::{Parts, Settings, run},
    verify::{Repair, Verification, VerifyError, verify},
};
