//! The exact `vmlinux.h` of a kernel, made from its BTF.
#![deny(unsafe_code)]

pub mod btf;
pub mod dump;
