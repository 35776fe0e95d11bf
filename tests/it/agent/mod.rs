//! The agent: on a clock of the test's own with a store in memory, and as a process against real API
//! servers and a real S3 server.

pub mod bed;
mod boots;
mod clock;
mod fake;
mod faults;
mod kills;
mod listing;
mod memory;
mod mends;
mod people;
