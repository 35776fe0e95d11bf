//! What the allocator takes of the system, and what it keeps of memory that was freed.
//!
//! Other C libraries than glibc are left as they are: all is the same, only slower or larger.

/// For a process that lives on: large pieces, such as a BTF and all that its header is made with, go back to the system
/// as they are freed. By itself glibc takes the first that is freed as a sign that more will come, keeps all that are no
/// larger from then on, and each thread's for that thread alone.
#[cfg(feature = "cluster")]
pub fn give_back_large_pieces() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::mallopt(glibc::M_MMAP_THRESHOLD, 128 << 10);
}

/// For a run that makes one header and ends: one heap for all threads, in large pages where the kernel has them, of which
/// nothing goes back. A fault for each 4 KiB takes longer than what is done with them, and each piece that is given back
/// interrupts the other processors.
pub fn keep_all() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::keep_all();
}

/// Has the calling thread take the first so many bytes of that heap.
///
/// Linux keeps the large pages that a process leaves behind with the processor on which it ended, which is that of its
/// first thread. Another thread takes them of the machine's free memory, and where that is a virtual machine's, the host
/// may have had it back meanwhile (free page reporting): then a page takes 5 ms rather than 0.06.
pub fn take(bytes: usize) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::take(bytes);
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = bytes;
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use rustix::mm::{Advice, madvise};
    use std::ffi::c_int;
    use std::hint::black_box;
    use std::mem;

    // SAFETY: this is the function's declaration in malloc.h, and it may be called at any time and from any thread.
    #[allow(unsafe_code)]
    unsafe extern "C" {
        /// Refused, all is as it was.
        pub safe fn mallopt(what: c_int, value: c_int) -> c_int;
    }

    const M_TRIM_THRESHOLD: c_int = -1;
    /// From where on a piece is large. To say it keeps it where it begins.
    pub const M_MMAP_THRESHOLD: c_int = -3;
    const M_ARENA_MAX: c_int = -8;

    /// A large page of most machines.
    const LARGE: usize = 2 << 20;
    /// A small page: of other machines than these, of those that have the largest.
    const SMALL: usize = match cfg!(target_arch = "x86_64") {
        true => 4 << 10,
        false => 64 << 10,
    };
    /// More than the header of any kernel known takes. It is only reserved: pages are taken as they are used.
    const HEAP: usize = 16 << 20;

    pub fn keep_all() {
        mallopt(M_MMAP_THRESHOLD, 32 << 20);
        mallopt(M_TRIM_THRESHOLD, c_int::MAX);
        mallopt(M_ARENA_MAX, 1);
        // The heap grows by what it has no room for, and keeps it.
        let whole = black_box(Vec::<u8>::with_capacity(HEAP + LARGE));
        let before = whole.as_ptr().addr().wrapping_neg() % LARGE;
        let start = whole.as_ptr().wrapping_add(before).cast_mut();
        drop(whole);
        // What lies before the first large page is never used; it ends early, since the allocator writes behind it, and
        // where a small page is in use there is no large one.
        mem::forget(black_box(Vec::<u8>::with_capacity(
            before.saturating_sub(SMALL),
        )));
        // SAFETY: advice of this kind changes no byte of memory, whosever it is.
        #[allow(unsafe_code)]
        let _ = unsafe { madvise(start.cast(), HEAP, Advice::LinuxHugepage) };
    }

    pub fn take(bytes: usize) {
        // It begins before the first large page.
        let mut room = Vec::<u8>::with_capacity(bytes.min(HEAP) + LARGE);
        for byte in room.spare_capacity_mut().iter_mut().step_by(LARGE) {
            byte.write(0);
        }
        black_box(room);
    }
}
