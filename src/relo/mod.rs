//! Types against types: what changed between two kernels; and types for other programs.

pub mod check;
mod content;
pub mod diff;
mod enumerators;
pub mod json;
mod members;
pub mod minimize;
mod text;
pub mod view;
