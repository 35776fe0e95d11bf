//! The integration tests: one binary, a module per subject.

mod admission;
#[cfg(feature = "cluster")]
mod agent;
mod canonical;
mod chart;
mod check;
mod cli;
#[cfg(feature = "cluster")]
mod clients;
mod collection;
mod conformance;
#[cfg(feature = "cluster")]
mod controller;
mod diff;
#[cfg(feature = "cluster")]
mod examples;
#[cfg(feature = "cluster")]
mod fetch;
mod generated;
mod golden;
mod header;
mod hostile;
mod import;
mod layout_check;
mod mirror;
#[cfg(feature = "cluster")]
mod page;
mod programs;
mod roundtrip;
mod roundtrip_faults;
mod s3;
mod seeds;
#[cfg(feature = "cluster")]
mod serve;
mod servers;
mod site;
mod store;
mod store_refs;
mod support;
mod tool;
mod view;
