//! The integration tests: one binary, a module per subject.

mod admission;
#[cfg(feature = "cluster")]
mod agent;
mod canonical;
mod cli;
mod collection;
mod conformance;
#[cfg(feature = "cluster")]
mod controller;
mod diff;
mod generated;
mod golden;
mod header;
mod hostile;
mod layout_check;
mod programs;
mod roundtrip;
mod roundtrip_faults;
mod seeds;
mod servers;
mod store;
mod support;
mod tool;
