//! What the tests share.

pub mod cc;
pub mod compare;
pub mod core;
pub mod fixtures;
pub mod header;
pub mod kinds;
pub mod layout;
pub mod refbtf;
pub mod roundtrip;
