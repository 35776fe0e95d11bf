//! The inventory's side: what a cluster's one controller decides. So far that is collection, as pure plans.

pub mod collect;
