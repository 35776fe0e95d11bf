//! Where things are published: one folder, with the layout of [`crate::artifact::Object`].
//!
//! [`FsStore`] knows keys and bytes and nothing of what they mean. [`read`] checks what it gives;
//! [`Kernel`] is published in an order that survives being cut short.

mod error;
mod fs;
mod publish;
pub mod read;

pub use error::Error;
pub use fs::{Entry, FsStore, Put};
pub use publish::{Done, Kernel, PublishError, Step};
pub use read::ReadError;
