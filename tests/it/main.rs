//! The integration tests: one binary, a module per subject.

mod support;

mod canonical;
mod generated;
mod golden;
mod hostile;
mod seeds;
