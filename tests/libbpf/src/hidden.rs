//! The hidden functions of libbpf 1.7.0 that are called, and their types: `relo_core.h` of its sources.

use libbpf_sys::{bpf_core_relo, bpf_insn, btf};
use std::ffi::{c_char, c_int};

/// `BPF_CORE_SPEC_MAX_LEN`
const MAX_SPEC: usize = 64;

/// `struct bpf_core_cand`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Candidate {
    pub btf: *const btf,
    pub id: u32,
}

/// `struct bpf_core_cand_list`
#[repr(C)]
pub struct CandidateList {
    pub first: *mut Candidate,
    pub len: c_int,
}

/// `struct bpf_core_accessor`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Accessor {
    pub type_id: u32,
    pub index: u32,
    pub name: *const c_char,
}

/// `struct bpf_core_spec`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Spec {
    pub btf: *const btf,
    pub accessors: [Accessor; MAX_SPEC],
    pub root_type_id: u32,
    pub kind: u32,
    pub len: c_int,
    pub raw: [c_int; MAX_SPEC],
    pub raw_len: c_int,
    pub bit_offset: u32,
}

impl Spec {
    pub fn empty() -> Spec {
        // SAFETY: integers and pointers, for which zero is a value.
        unsafe { std::mem::zeroed() }
    }
}

/// `struct bpf_core_relo_res`
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Result {
    pub orig_val: u64,
    pub new_val: u64,
    pub poison: bool,
    pub validate: bool,
    pub fail_memsz_adjust: bool,
    pub orig_sz: u32,
    pub orig_type_id: u32,
    pub new_sz: u32,
    pub new_type_id: u32,
}

unsafe extern "C" {
    pub fn bpf_core_essential_name_len(name: *const c_char) -> usize;

    pub fn bpf_core_calc_relo_insn(
        prog_name: *const c_char,
        relo: *const bpf_core_relo,
        relo_idx: c_int,
        local_btf: *const btf,
        cands: *mut CandidateList,
        specs_scratch: *mut Spec,
        targ_res: *mut Result,
    ) -> c_int;

    pub fn bpf_core_patch_insn(
        prog_name: *const c_char,
        insn: *mut bpf_insn,
        insn_idx: c_int,
        relo: *const bpf_core_relo,
        relo_idx: c_int,
        res: *const Result,
    ) -> c_int;

    pub fn bpf_core_format_spec(buf: *mut c_char, buf_sz: usize, spec: *const Spec) -> c_int;
}
