//! libbpf's own answers on a compiled eBPF object and a kernel's BTF: each CO-RE relocation as
//! `bpf_core_calc_relo_insn` computes it and `bpf_core_patch_insn` writes it.
//!
//! Both are hidden functions of the libbpf that crate `libbpf-sys` brings, which a static link still finds.

mod btf;
mod hidden;
pub mod load;
mod log;
mod object;
mod resolve;

pub use btf::{Btf, Kernel};
pub use object::{Object, Relocation};
pub use resolve::{Outcome, Patched, Value, resolve};

/// Which libbpf this is.
pub fn version() -> String {
    // SAFETY: takes nothing and gives a string that lives as long as the program.
    let text = unsafe { std::ffi::CStr::from_ptr(libbpf_sys::libbpf_version_string()) };
    text.to_string_lossy().into_owned()
}
