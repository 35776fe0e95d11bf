//! The integration tests: one binary, a module per subject.

mod support;
mod tool;

mod cli;
mod diff;
mod programs;
mod roundtrip;
mod roundtrip_faults;
mod store;
