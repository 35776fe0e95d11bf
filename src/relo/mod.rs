//! Types against types: what changed between two kernels; and types for other programs.

mod content;
pub mod diff;
pub mod json;
mod text;
