//! What libbpf says, thread by thread.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int};
use std::sync::Once;

thread_local! {
    static DEBUG: Cell<bool> = const { Cell::new(false) };
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

unsafe extern "C" {
    /// Its last parameter is a `va_list`, so it is never called from here: only libbpf gets its address.
    fn oracle_print();
}

#[unsafe(no_mangle)]
extern "C" fn oracle_wants(level: c_int) -> c_int {
    c_int::from(DEBUG.get() || level.cast_unsigned() < libbpf_sys::LIBBPF_DEBUG)
}

/// # Safety
/// `line` ends in NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn oracle_line(line: *const c_char) {
    // SAFETY: as the caller promises.
    let line = unsafe { CStr::from_ptr(line) }.to_string_lossy();
    LINES.with_borrow_mut(|lines| lines.push(line.trim_end().to_owned()));
}

/// Does `job`, and says what libbpf said of it on this thread: all of it, or what it does not call debugging.
pub fn listen<T>(debug: bool, job: impl FnOnce() -> T) -> (T, Vec<String>) {
    static SET: Once = Once::new();
    SET.call_once(|| {
        // SAFETY: the signature is that of libbpf_print_fn_t (log.c), which bindings spell differently on each
        // architecture because of the va_list.
        unsafe {
            libbpf_sys::libbpf_set_print(std::mem::transmute::<
                unsafe extern "C" fn(),
                libbpf_sys::libbpf_print_fn_t,
            >(oracle_print));
        }
    });
    DEBUG.set(debug);
    LINES.take();
    let result = job();
    (result, LINES.take())
}
