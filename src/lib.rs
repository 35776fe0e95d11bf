//! The exact `vmlinux.h` of a kernel, made from its BTF; what is published of it, and where.
//!
//! A kernel that runs eBPF describes its own types in `/sys/kernel/btf/vmlinux`. [`btf`] reads that,
//! [`dump`] prints it as C, [`relo`] compares two of them. None of these does I/O, and
//! `default-features = false` gives just them, with no async runtime, no Kubernetes and no S3 crate:
//!
//! ```
//! use btfleet::btf::Btf;
//!
//! // As `std::fs::read("/sys/kernel/btf/vmlinux")` gives them: here, a kernel of one INT.
//! let mut blob = vec![0x9f, 0xeb, 1, 0, 24, 0, 0, 0];
//! for word in [0u32, 16, 16, 5] {
//!     blob.extend(word.to_le_bytes()); // offsets and lengths of the types and of the strings
//! }
//! for word in [1u32, 1 << 24, 4, 1 << 24 | 32] {
//!     blob.extend(word.to_le_bytes()); // INT "int", 4 bytes, signed, 32 bits
//! }
//! blob.extend(b"\0int\0");
//!
//! let btf = Btf::parse(&blob)?;
//! let header = String::from_utf8(btfleet::dump::header(&btf)?)?;
//! assert!(header.starts_with("#ifndef __VMLINUX_H__\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/header.rs` prints the running kernel's. The `artifact` feature adds `artifact` (digests,
//! keys, manifests, compression), `store` the places they are kept in; `cli` and `s3`, on by default, the program.
#![deny(unsafe_code)]

#[cfg(feature = "cluster")]
pub mod agent;
#[cfg(feature = "artifact")]
pub mod artifact;
pub mod btf;
#[cfg(feature = "cluster")]
pub mod cluster;
#[cfg(feature = "cluster")]
pub mod consumer;
#[cfg(feature = "store")]
pub mod controller;
pub mod dump;
#[cfg(feature = "cluster")]
pub mod ops;
pub mod relo;
#[cfg(feature = "cluster")]
pub mod serve;
#[cfg(feature = "store")]
pub mod store;
