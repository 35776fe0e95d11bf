//! The same from the outside: `bpf_object__load` with `btf_custom_path`, and what it logs.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use libbpf_sys::bpf_object_open_opts;
use serde::Serialize;

use crate::log;

/// What libbpf logged of one relocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Logged {
    pub function: String,
    /// Its number among the section's relocations.
    pub number: usize,
    /// Its own words for what was done: `patched insn #3 (ALU/ALU64) imm 8 -> 16`, `substituting insn #3 w/
    /// invalid insn`, `failed to relocate: -EINVAL`.
    pub done: String,
}

impl Load {
    /// Whether the kernel met an instruction that libbpf had made invalid, which libbpf then says.
    pub fn met_poison(&self) -> bool {
        let told = |line: &String| line.contains("failed to resolve CO-RE relocation");
        self.log.iter().any(told)
    }
}

impl Logged {
    /// Whether the instruction was made an invalid one.
    pub fn poisoned(&self) -> bool {
        self.done.starts_with("substituting insn")
    }

    /// What stands in the instruction now.
    pub fn new_val(&self) -> Option<u64> {
        let (_, new) = self.done.rsplit_once(" -> ")?;
        new.parse().ok()
    }
}

/// How a load went.
pub struct Load {
    pub relocations: Vec<Logged>,
    /// Whether the kernel takes the programs; otherwise `errno`.
    pub result: std::result::Result<(), i32>,
    pub log: Vec<String>,
}

/// Whether this process may load programs at all: a program that does nothing but return.
pub fn permitted() -> Result<(), String> {
    // r0 = 0; exit
    let code: [u64; 2] = [0xb7, 0x95].map(u64::from_le);
    let license = c"GPL";
    // SAFETY: two instructions at `code`, a string that ends in NUL, no options.
    let fd = unsafe {
        libbpf_sys::bpf_prog_load(
            libbpf_sys::BPF_PROG_TYPE_SOCKET_FILTER,
            std::ptr::null(),
            license.as_ptr(),
            code.as_ptr().cast(),
            2,
            std::ptr::null_mut(),
        )
    };
    if fd < 0 {
        return Err(std::io::Error::from_raw_os_error(-fd).to_string());
    }
    // SAFETY: a descriptor that nobody else has.
    drop(unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd) });
    Ok(())
}

/// Loads the object for the kernel that the BTF at `btf` describes: the programs that are loaded by default, or `only`
/// this one. Nothing is attached, and all is gone again when this returns.
pub fn load(object: &Path, btf: &Path, only: Option<&str>) -> Result<Load> {
    let path = |path: &Path| CString::new(path.as_os_str().as_bytes());
    let (object_path, btf_path) = (path(object)?, path(btf)?);
    let options = bpf_object_open_opts {
        sz: size_of::<bpf_object_open_opts>() as _,
        btf_custom_path: btf_path.as_ptr(),
        ..bpf_object_open_opts::default()
    };
    let (result, log) = log::listen(true, || {
        // SAFETY: both paths and the options outlive the object, which is closed once.
        unsafe {
            let object =
                libbpf_sys::bpf_object__open_file(object_path.as_ptr(), &raw const options);
            if object.is_null() {
                return None;
            }
            let mut program = std::ptr::null_mut();
            while let Some(only) = only {
                program = libbpf_sys::bpf_object__next_program(object, program);
                if program.is_null() {
                    break;
                }
                let name = CStr::from_ptr(libbpf_sys::bpf_program__name(program));
                libbpf_sys::bpf_program__set_autoload(program, name.to_bytes() == only.as_bytes());
            }
            let code = libbpf_sys::bpf_object__load(object);
            libbpf_sys::bpf_object__close(object);
            Some(if code == 0 { Ok(()) } else { Err(-code) })
        }
    });
    let why = log.join("\n");
    let result = result.with_context(|| format!("{}: {why}", object.display()))?;
    ensure!(!log.is_empty(), "libbpf logged nothing");
    Ok(Load {
        relocations: log.iter().filter_map(|line| logged(line)).collect(),
        result,
        log,
    })
}

/// `libbpf: prog 'NAME': relo #N: …`, where it says what was done.
fn logged(line: &str) -> Option<Logged> {
    let (_, rest) = line.split_once("prog '")?;
    let (function, rest) = rest.split_once("': relo #")?;
    let (number, done) = rest.split_once(": ")?;
    let told = ["patched insn", "substituting insn", "failed to"];
    told.iter()
        .any(|start| done.starts_with(start))
        .then(|| Logged {
            function: function.to_owned(),
            number: number.parse().unwrap_or_default(),
            done: done.to_owned(),
        })
}
