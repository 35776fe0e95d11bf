//! Memory that is free goes back to the system.

/// Gives back what the allocator keeps of freed memory. A process that needs tens of megabytes for a moment
/// a day would otherwise hold them for good: glibc's allocator returns only the end of each of its heaps,
/// and the larger what was freed, the less of that.
#[allow(unsafe_code)]
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        // SAFETY: malloc_trim(3) may be called by any thread at any time; it takes no pointer, and only
        // returns pages that hold no allocation.
        unsafe {
            malloc_trim(0);
        }
    }
}
