//! Stores to test with.

mod faulty;
mod memory;
pub mod s3;
mod wire;

pub use faulty::{Fault, Faulty};
pub use memory::MemoryStore;
pub use s3::{keys_file, new_place, options, s3s, versitygw};
pub use wire::Wire;
