//! Kubernetes words: what a Node says of its kernel, the `KernelHeader` resource, the client.
//!
//! What is decided here is pure; [`client`] and [`watch`] do the talking.

pub mod client;
pub mod event;
mod kernel_header;
pub mod lease;
pub mod node;
pub mod watch;

pub use kernel_header::{
    Condition, Display, HeaderStatus, KernelHeader, KernelHeaderSpec, KernelHeaderStatus, Verified,
};
pub use node::{Keys, Node, NodeInfo, Said, State, Status};
