//! What the allocator keeps of memory that was freed.

use std::ffi::c_int;

/// glibc's name for where a piece becomes large (malloc.h).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const M_MMAP_THRESHOLD: c_int = -3;
/// Where glibc begins with it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: c_int = 128 << 10;

/// For a process that lives on: large pieces, such as a BTF and all that its header is made with, go back to the system
/// as they are freed. By itself glibc takes the first that is freed as a sign that more will come, keeps all that are no
/// larger from then on, and each thread's for that thread alone. A run that makes one header and ends is quicker so.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn give_back_large_pieces() {
    // SAFETY: this is the function's declaration in malloc.h, and it may be called at any time and from any thread.
    #[allow(unsafe_code)]
    unsafe extern "C" {
        safe fn mallopt(what: c_int, value: c_int) -> c_int;
    }
    // Refused, it is as it was.
    mallopt(M_MMAP_THRESHOLD, LARGE);
}

/// Other allocators do so by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back_large_pieces() {}
