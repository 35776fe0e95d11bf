//! libbpf's own C dump, in this process.

use std::ffi::{CStr, c_char, c_void};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// As `struct text` in append.c.
#[repr(C)]
struct Text {
    bytes: *mut c_char,
    used: usize,
    room: usize,
}

unsafe extern "C" {
    /// Its last parameter is a `va_list`, so it is never called from here: only libbpf gets its address.
    fn bench_append();
}

/// Which libbpf this is.
pub fn version() -> String {
    // SAFETY: takes nothing and gives a string that lives as long as the program.
    let text = unsafe { CStr::from_ptr(libbpf_sys::libbpf_version_string()) };
    text.to_string_lossy().into_owned()
}

/// Parses `btf` and prints every type into `buffer`: how long the parse took, and the print.
/// The length that was printed comes third. `buffer` must have room for the whole text: it is
/// handed in so that libbpf does not pay for growing it.
pub fn dump(btf: &[u8], buffer: &mut [u8]) -> Result<(Duration, Duration, usize)> {
    let mut text = Text {
        bytes: buffer.as_mut_ptr().cast(),
        used: 0,
        room: buffer.len(),
    };
    // SAFETY: the signature is that of btf_dump_printf_fn_t (append.c), which bindings spell
    // differently on each architecture because of the va_list.
    let append: libbpf_sys::btf_dump_printf_fn_t =
        unsafe { std::mem::transmute(bench_append as unsafe extern "C" fn()) };

    let began = Instant::now();
    let size = u32::try_from(btf.len())?;
    // SAFETY: libbpf copies `size` bytes from a slice that is at least that long.
    let parsed = unsafe { libbpf_sys::btf__new(btf.as_ptr().cast::<c_void>(), size) };
    ensure!(!parsed.is_null(), "libbpf does not read this BTF");
    let parse = began.elapsed();

    let began = Instant::now();
    // SAFETY: `parsed` is alive until btf__free; `text` outlives the dumper; null opts are allowed.
    let (dumper, fault) = unsafe {
        let dumper = libbpf_sys::btf_dump__new(
            parsed,
            append,
            (&raw mut text).cast::<c_void>(),
            std::ptr::null(),
        );
        let mut fault = dumper.is_null().then_some((0, -1));
        let count = libbpf_sys::btf__type_cnt(parsed);
        let mut id = 1;
        while fault.is_none() && id < count {
            let code = libbpf_sys::btf_dump__dump_type(dumper, id);
            if code != 0 {
                fault = Some((id, code));
            }
            id += 1;
        }
        (dumper, fault)
    };
    let print = began.elapsed();

    // SAFETY: each is freed once; both functions take null too.
    unsafe {
        libbpf_sys::btf_dump__free(dumper);
        libbpf_sys::btf__free(parsed);
    }
    if let Some((id, code)) = fault {
        anyhow::bail!("libbpf's btf_dump stopped at type {id} with {code}");
    }
    ensure!(
        text.used < text.room,
        "libbpf printed more than there is room for"
    );
    Ok((parse, print, text.used))
}
