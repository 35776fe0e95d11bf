//! The exact `vmlinux.h` of a kernel, made from its BTF.
#![deny(unsafe_code)]

#[cfg(feature = "artifact")]
pub mod artifact;
pub mod btf;
pub mod dump;
pub mod relo;
#[cfg(feature = "artifact")]
pub mod store;
