//! Reading BTF, the BPF Type Format: bytes in, types out.
//!
//! The reference is Linux' `Documentation/bpf/btf.rst` and `include/uapi/linux/btf.h`. This room does no
//! I/O: give it bytes. [`Btf::parse`] checks every type id and every string offset once, so that whoever
//! walks the types afterwards meets no bad reference; what the types *mean* (a record that holds itself,
//! a member outside its record) is for the reader to judge.
//!
//! ```
//! # fn demo(bytes: &[u8]) -> Result<(), btfleet::btf::Error> {
//! use btfleet::btf::{Btf, Kind};
//!
//! let btf = Btf::parse(bytes)?;
//! for ty in btf.types().filter(|ty| ty.kind() == Kind::Struct) {
//!     let name = String::from_utf8_lossy(btf.name(ty.name()));
//!     println!("struct {name}: {} bytes, {} members", ty.size(), ty.members().len());
//! }
//! # Ok(())
//! # }
//! ```
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

mod ahead;
pub mod elf;
mod error;
mod parse;
mod reach;
pub mod relocate;
mod types;
mod walk;
mod wire;

pub(crate) use ahead::soon;
pub use error::{Error, ErrorKind};
pub use parse::Btf;
pub(crate) use parse::is_long;
pub(crate) use types::KindSet;
pub use types::{
    Array, ByteOrder, Enumerator, Int, Kind, Member, Param, SectionVar, StrOffset, Type, TypeId,
};

/// Whether `bytes` begin as raw BTF does, in either byte order.
pub fn is_raw(bytes: &[u8]) -> bool {
    matches!(bytes, [0x9f, 0xeb, ..] | [0xeb, 0x9f, ..])
}
