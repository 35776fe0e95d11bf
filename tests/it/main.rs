//! The integration tests: one binary, a module per subject.

mod canonical;
mod generated;
mod golden;
mod hostile;
mod programs;
mod roundtrip;
mod roundtrip_faults;
mod seeds;
mod support;
