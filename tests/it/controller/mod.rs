//! The controller: its verification over a store in memory; and as a process, or within the test on a clock that runs
//! faster, against real API servers with the shipped RBAC and policies.

mod bed;
mod cleanup;
mod collecting;
mod election;
mod faults;
mod inside;
mod invariants;
mod inventory;
mod operations;
mod verification;
