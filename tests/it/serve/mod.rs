//! `btfleet serve`, as its users meet it: the real binary on loopback, over real stores and API servers.

pub mod bed;
mod clients;
pub mod cluster;
mod described;
mod http;
mod stores;
mod tls;
