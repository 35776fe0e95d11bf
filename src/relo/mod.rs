//! Types against types: what changed between two kernels.

mod content;
pub mod diff;
mod text;
