//! Stores to test with.

mod faulty;
mod memory;

pub use faulty::{Fault, Faulty};
pub use memory::MemoryStore;
