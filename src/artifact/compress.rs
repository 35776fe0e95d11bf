//! Compression of blobs, and the one way back: capped and checked against a digest.

use sha2::{Digest as _, Sha256};
use std::io::{self, Read};
use zstd::stream::raw::{CParameter, DParameter};

/// Largest blob, uncompressed, in bytes.
pub const MAX_BLOB: u64 = 256 << 20;
/// Both sides keep to a window of 8 MiB (2^23): what a reader must hold besides the blob itself.
const WINDOW_LOG: u32 = 23;
/// Chosen by measurement, on a BTF of 5.5 MB and its header of 2.8 MB: level 3 takes 37 + 17 ms and gives
/// 1.75 + 0.65 MB, this one 73 + 51 ms and 1.64 + 0.58 MB, level 12 361 + 182 ms and 1.61 + 0.55 MB.
const LEVEL: i32 = 6;

/// Largest compressed object that can hold a blob of `size` bytes: zstd's own bound and room for headers.
pub fn compressed_limit(size: u64) -> u64 {
    size.saturating_add(size >> 7).saturating_add(4096)
}

/// Compresses a blob for a store. The same bytes give the same result with the same zstd.
///
/// # Errors
/// Out of memory.
pub fn compress(blob: &[u8]) -> io::Result<Vec<u8>> {
    let mut to = zstd::bulk::Compressor::new(LEVEL)?;
    to.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
    to.compress(blob)
}

/// Why a blob was not handed on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The bytes are not those that were asked for.
    #[error("its contents are wrong: expected {expected}, found {found}")]
    Digest {
        /// The digest it is named by.
        expected: String,
        /// The digest of what it holds.
        found: String,
    },
    /// It holds more than it may.
    #[error("it holds more than {limit} bytes")]
    TooLarge {
        /// How much it may hold.
        limit: u64,
    },
    /// It is no zstd stream, or one with a larger window than is accepted.
    #[error("it cannot be decompressed: {0}")]
    Zstd(io::Error),
}

/// Decompresses a stored blob and hands it on only if its SHA-256 is `expected`.
///
/// No more than `limit` bytes (and never more than [`MAX_BLOB`]) are taken from it, however small it is.
/// It is decompressed twice: first by [`check`], and only if it is what was asked for into memory of its size.
/// So what is not costs a window and a piece, not what it pretends to be.
///
/// # Errors
/// [`BlobError`]; no byte has been handed on then.
pub fn decompress(
    compressed: &[u8],
    expected: &[u8; 32],
    limit: u64,
) -> Result<Vec<u8>, BlobError> {
    let size = check(compressed, expected, limit)?;
    // At most MAX_BLOB, as was just counted.
    let mut blob = Vec::with_capacity(size as usize);
    pieces(compressed, size, |piece| blob.extend_from_slice(piece))?;
    Ok(blob)
}

/// Whether a stored blob is what it should be, under the same limits; gives its size, uncompressed.
///
/// # Errors
/// [`BlobError`]: it is not.
pub fn check(compressed: &[u8], expected: &[u8; 32], limit: u64) -> Result<u64, BlobError> {
    let mut hash = Sha256::new();
    let size = pieces(compressed, limit.min(MAX_BLOB), |piece| hash.update(piece))?;
    let found: [u8; 32] = hash.finalize().into();
    if &found != expected {
        let name = |d: &[u8; 32]| {
            let hex: String = d.iter().map(|b| format!("{b:02x}")).collect();
            format!("sha256:{hex}")
        };
        return Err(BlobError::Digest {
            expected: name(expected),
            found: name(&found),
        });
    }
    Ok(size)
}

/// Hands every piece of what `compressed` holds to `each`, and gives the size of all of them. What says of
/// itself that it is larger than `limit` is not begun with.
fn pieces(compressed: &[u8], limit: u64, mut each: impl FnMut(&[u8])) -> Result<u64, BlobError> {
    if let Ok(Some(said)) = zstd::zstd_safe::get_frame_content_size(compressed)
        && said > limit
    {
        return Err(BlobError::TooLarge { limit });
    }
    let mut from = zstd::stream::read::Decoder::with_buffer(compressed).map_err(BlobError::Zstd)?;
    from.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))
        .map_err(BlobError::Zstd)?;
    let mut chunk = vec![0; 128 << 10];
    let mut size = 0u64;
    loop {
        let n = match from.read(&mut chunk) {
            Ok(0) => return Ok(size),
            Ok(n) => n,
            Err(e) => return Err(BlobError::Zstd(e)),
        };
        size = size.saturating_add(n as u64);
        if size > limit {
            return Err(BlobError::TooLarge { limit });
        }
        each(chunk.get(..n).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }

    #[test]
    fn what_was_compressed_comes_back() {
        for blob in [
            vec![],
            vec![7; 3],
            (0..3_000_000u32)
                .map(|n| (n.wrapping_mul(n) >> 7) as u8)
                .collect(),
        ] {
            let small = compress(&blob).unwrap();
            assert!(small.len() as u64 <= compressed_limit(blob.len() as u64));
            let back = decompress(&small, &digest(&blob), blob.len() as u64).unwrap();
            assert!(back == blob, "{} bytes", blob.len());
        }
    }

    #[test]
    fn other_bytes_are_never_handed_on() {
        let small = compress(b"what was asked for").unwrap();
        let e = decompress(&small, &digest(b"another"), 100).unwrap_err();
        assert!(matches!(e, BlobError::Digest { .. }), "{e}");
        for len in 0..small.len() {
            let e = decompress(&small[..len], &digest(b"what was asked for"), 100);
            assert!(e.is_err(), "cut at {len}");
        }
        assert!(decompress(b"text", &digest(b"text"), 100).is_err());
        let mut longer = small.clone();
        longer.push(0);
        assert!(decompress(&longer, &digest(b"what was asked for"), 100).is_err());
    }

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let bomb = compress(&vec![0; 64 << 20]).unwrap();
        assert!(bomb.len() < 10_000);
        let e = decompress(&bomb, &[0; 32], 1000).unwrap_err();
        assert!(matches!(e, BlobError::TooLarge { limit: 1000 }), "{e}");
        // One that does not say how large it is.
        let silent = zstd::stream::encode_all(io::repeat(0).take(64 << 20), 1).unwrap();
        assert!(matches!(
            zstd::zstd_safe::get_frame_content_size(&silent),
            Ok(None)
        ));
        let e = decompress(&silent, &[0; 32], 1000).unwrap_err();
        assert!(matches!(e, BlobError::TooLarge { limit: 1000 }), "{e}");
    }

    #[test]
    fn a_window_above_8_mib_is_refused() {
        let blob: Vec<u8> = (0..20 << 20).map(|n: u32| (n ^ n >> 8) as u8).collect();
        let mut to = zstd::bulk::Compressor::new(1).unwrap();
        to.set_parameter(CParameter::WindowLog(24)).unwrap();
        let e = decompress(&to.compress(&blob).unwrap(), &digest(&blob), MAX_BLOB).unwrap_err();
        assert!(matches!(e, BlobError::Zstd(_)), "{e}");
    }
}
