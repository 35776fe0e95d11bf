//! The integration tests: one binary, a module per subject.

mod programs;
mod roundtrip;
mod roundtrip_faults;
mod support;
