//! The inventory's side: what a cluster's one controller decides.

pub mod collect;
