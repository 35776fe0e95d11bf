//! Printing C: types in, `vmlinux.h` out.

use crate::btf::Btf;

/// The generator's number: raised whenever any input's header text would change.
pub const GENERATOR: u32 = 1;

/// Why no header could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    message: String,
}

/// `vmlinux.h` of a kernel, or of a module over its base.
///
/// # Errors
/// A type that C cannot express.
pub fn header(_btf: &Btf<'_>) -> Result<Vec<u8>, Error> {
    Err(Error {
        message: "not yet".into(),
    })
}

/// The smallest header that holds the named types.
///
/// # Errors
/// As [`header`], and a name that is not there.
pub fn header_for(_btf: &Btf<'_>, _names: &[&str]) -> Result<Vec<u8>, Error> {
    header(_btf)
}
