//! Stores to test with.

mod faulty;
mod memory;
pub mod s3;

pub use faulty::{Fault, Faulty};
pub use memory::MemoryStore;
