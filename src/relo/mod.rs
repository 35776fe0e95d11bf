//! Types against types: what changed between two kernels; and types for other programs.

mod content;
pub mod diff;
mod enumerators;
pub mod json;
mod members;
mod text;
pub mod view;
