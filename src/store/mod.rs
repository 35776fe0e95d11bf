//! Where things are published: one folder, with the layout of [`crate::artifact::Object`].
//!
//! A store knows keys and bytes and nothing of what they mean. Whoever reads from one checks digests.

mod error;
mod fs;

pub use error::Error;
pub use fs::{Entry, FsStore, Put};
