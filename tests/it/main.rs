//! The integration tests: one binary, a module per subject.

mod tool;

mod cli;
mod diff;
mod store;
