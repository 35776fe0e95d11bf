//! What the allocator keeps of memory that was freed.

/// For a process that lives on: large pieces, such as a BTF and all that its header is made with, go back to the system
/// as they are freed. By itself glibc takes the first that is freed as a sign that more will come, keeps all that are no
/// larger from then on, and each thread's for that thread alone. A run that makes one header and ends is quicker so.
pub fn give_back_large_pieces() {
    // Other allocators do so by themselves.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::ffi::c_int;

        // SAFETY: this is the function's declaration in malloc.h, and it may be called at any time and from any thread.
        #[allow(unsafe_code)]
        unsafe extern "C" {
            safe fn mallopt(what: c_int, value: c_int) -> c_int;
        }
        // From where on a piece is large; to say it keeps it where it begins. Refused, it is as it was.
        const M_MMAP_THRESHOLD: c_int = -3;
        mallopt(M_MMAP_THRESHOLD, 128 << 10);
    }
}
