//! The names by which kernels and headers are known.

use sha2::digest::array::Array;
use sha2::digest::block_api::{CoreProxy, UpdateCore};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// A name that is not what it should be: which kind of name, what was found, what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a {what}: {expected}")]
pub struct NameError {
    pub(super) what: &'static str,
    pub(super) found: String,
    pub(super) expected: &'static str,
}

impl NameError {
    pub(super) fn new(what: &'static str, found: &str, expected: &'static str) -> NameError {
        // What was found may come from outside and be of any length.
        let found = match found.char_indices().nth(100) {
            Some((end, _)) => format!("{}…", found.get(..end).unwrap_or_default()),
            None => found.to_owned(),
        };
        NameError {
            what,
            found,
            expected,
        }
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for b in bytes {
        let digit = |n: u8| char::from(HEX.get(usize::from(n)).copied().unwrap_or(b'?'));
        write!(f, "{}{}", digit(b >> 4), digit(b & 15))?;
    }
    Ok(())
}

/// Lower-case hexadecimal only: a digest has one spelling.
fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let digit = |b: u8| HEX.iter().position(|h| *h == b).map(|n| n as u8);
    let mut out = [0; N];
    for (o, [high, low]) in out.iter_mut().zip(pairs) {
        *o = digit(*high)? << 4 | digit(*low)?;
    }
    Some(out)
}

/// Bytes that come in parts, to be hashed.
#[derive(Clone, Default)]
pub struct Parts {
    hash: Sha256,
    len: usize,
}

impl Parts {
    /// What SHA-256 takes at once (FIPS 180-4, 5.2.1).
    const BLOCK: usize = 64;

    /// Adds the next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.len = self.len.wrapping_add(bytes.len());
    }

    /// How many bytes were added.
    pub fn count(&self) -> usize {
        self.len
    }

    /// Adds the next bytes, and to `other` its own, about as many or twice as many: a few of each in turn. A processor's
    /// instructions for SHA-256 wait for each other, so that two hashes are made side by side in less time than one after
    /// the other.
    pub fn add_beside(&mut self, bytes: &[u8], other: &mut Parts, more: &[u8]) {
        let bytes = self.fill_block(bytes);
        let more = other.fill_block(more);
        let (bytes_left, more_left) = match more.len() > bytes.len() + bytes.len() / 2 {
            false => self.add_blocks_beside::<1>(bytes, other, more),
            true => self.add_blocks_beside::<2>(bytes, other, more),
        };
        self.add(bytes_left);
        other.add(more_left);
    }

    /// Adds blocks to two hashes of whole blocks, one to this and `N` to the other in turn, as long as there are both. Gives
    /// the rest of both.
    fn add_blocks_beside<'b, const N: usize>(
        &mut self,
        bytes: &'b [u8],
        other: &mut Parts,
        more: &'b [u8],
    ) -> (&'b [u8], &'b [u8]) {
        // Without their buffers, which would be looked at for each block.
        let (mut own, buffer) = std::mem::take(&mut self.hash).decompose();
        let (mut others, others_buffer) = std::mem::take(&mut other.hash).decompose();
        let blocks = Array::slice_as_chunks(bytes).0;
        let several = Array::slice_as_chunks(more).0;
        let turns = blocks.len().min(several.len() / N);
        for (block, several) in blocks.iter().zip(several.chunks_exact(N)) {
            own.update_blocks(std::slice::from_ref(block));
            others.update_blocks(several);
        }
        self.hash = Sha256::compose(own, buffer);
        other.hash = Sha256::compose(others, others_buffer);
        let (done, others_done) = (turns * Parts::BLOCK, turns * N * Parts::BLOCK);
        self.len = self.len.wrapping_add(done);
        other.len = other.len.wrapping_add(others_done);
        (
            bytes.get(done..).unwrap_or_default(),
            more.get(others_done..).unwrap_or_default(),
        )
    }

    /// Adds what is missing to whole blocks; gives the rest.
    fn fill_block<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let missing = self.len.wrapping_neg() % Parts::BLOCK;
        let (first, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
        self.add(first);
        rest
    }
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The digest of these bytes.
            pub fn of(bytes: &[u8]) -> $name {
                $name(Sha256::digest(bytes).into())
            }

            /// The digest of all bytes that were added.
            pub fn of_parts(parts: Parts) -> $name {
                $name(parts.hash.finalize().into())
            }

            /// From 64 lower-case hexadecimal digits, as keys of a store have them.
            ///
            /// # Errors
            /// Anything else.
            pub fn from_hex(hex: &str) -> Result<$name, NameError> {
                let bytes = read_hex(hex).ok_or_else(|| {
                    NameError::new($what, hex, "64 lower-case hexadecimal digits are")
                })?;
                Ok($name(bytes))
            }

            /// The 64 hexadecimal digits, without `sha256:`.
            pub fn hex(&self) -> String {
                struct Hex<'a>(&'a [u8]);
                impl fmt::Display for Hex<'_> {
                    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write_hex(self.0, f)
                    }
                }
                Hex(&self.0).to_string()
            }

            /// The bare 32 bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("sha256:")?;
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<$name, NameError> {
                let bytes = text.strip_prefix("sha256:").and_then(read_hex);
                Ok($name(bytes.ok_or_else(|| {
                    NameError::new($what, text, "sha256: and 64 lower-case hexadecimal digits are")
                })?))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<$name, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

digest! {
    /// SHA-256 of the raw bytes of a kernel's BTF: the kernel's identity. Written `sha256:<64 hex>`.
    BtfDigest, "BTF digest"
}
digest! {
    /// SHA-256 of the uncompressed text of a `vmlinux.h`. Written `sha256:<64 hex>`.
    HeaderDigest, "header digest"
}

impl BtfDigest {
    /// The kernel's short name.
    pub fn kernel_id(&self) -> KernelId {
        let (id, _) = self.0.split_at(16);
        KernelId(id.try_into().unwrap_or_default())
    }
}

/// The first 32 hexadecimal digits of a BTF digest: the name of a KernelHeader and the value of the Node
/// label `btfleet.dev/kernel`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelId([u8; 16]);

impl fmt::Display for KernelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for KernelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KernelId({self})")
    }
}

impl FromStr for KernelId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<KernelId, NameError> {
        read_hex(text).map(KernelId).ok_or_else(|| {
            NameError::new(
                "kernel id",
                text,
                "the first 32 digits of a BTF digest are, in lower case",
            )
        })
    }
}

/// The number of the rules by which a header is made from BTF; a header is a function of both.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Generator(u32);

impl Generator {
    /// This build's own.
    pub const OWN: Generator = Generator(crate::dump::GENERATOR);

    /// Takes 1 to 999,999: what a Node's annotation may say.
    ///
    /// # Errors
    /// Any other number.
    pub fn new(number: u32) -> Result<Generator, NameError> {
        match number {
            1..=999_999 => Ok(Generator(number)),
            n => Err(NameError::new(
                "generator",
                &n.to_string(),
                "a number from 1 to 999999 is",
            )),
        }
    }

    /// The number.
    pub fn number(self) -> u32 {
        self.0
    }
}

const _: () = assert!(crate::dump::GENERATOR > 0 && crate::dump::GENERATOR < 1_000_000);

impl From<Generator> for u32 {
    fn from(generator: Generator) -> u32 {
        generator.0
    }
}

impl fmt::Display for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Generator {
    type Err = NameError;

    /// One spelling only: no sign, no leading zero.
    fn from_str(text: &str) -> Result<Generator, NameError> {
        let refuse = || NameError::new("generator", text, "a number from 1 to 999999 is");
        let generator = Generator::new(text.parse().map_err(|_| refuse())?)?;
        match generator.to_string() == text {
            true => Ok(generator),
            false => Err(refuse()),
        }
    }
}

impl serde::Serialize for Generator {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u32(self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Generator {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Generator, D::Error> {
        Generator::new(u32::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_digest_is_sha256_and_has_one_spelling() {
        let digest = BtfDigest::of(b"abc");
        assert_eq!(digest.to_string(), format!("sha256:{ABC}"));
        assert_eq!(digest.hex(), ABC);
        assert_eq!(digest.kernel_id().to_string(), ABC[..32]);
        assert_eq!(format!("sha256:{ABC}").parse(), Ok(digest));
        assert_eq!(BtfDigest::from_hex(ABC), Ok(digest));
        for bad in [
            "",
            "sha256:",
            ABC,
            &format!("sha256:{}", &ABC[1..]),
            &format!("sha256:{ABC}0"),
            &format!("sha256:{}", ABC.to_uppercase()),
            &format!("sha512:{ABC}"),
            &format!(" sha256:{ABC}"),
            &format!("sha256:{}é", &ABC[2..]),
        ] {
            assert!(bad.parse::<BtfDigest>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hashes_that_are_made_side_by_side_are_those_of_the_bytes() {
        let bytes: Vec<u8> = (0..2000u32).map(|n| (n * n / 8) as u8).collect();
        for (before, len) in [(0, 0), (0, 64), (1, 63), (5, 700), (64, 500), (100, 900)] {
            for (more_before, more_len) in
                [(0, 0), (7, 0), (0, 128), (3, 90), (63, 1400), (1, 1800)]
            {
                let (mut one, mut other) = (Parts::default(), Parts::default());
                one.add(&bytes[..before]);
                other.add(&bytes[..more_before]);
                let (end, more_end) = (before + len, more_before + more_len);
                one.add_beside(
                    &bytes[before..end],
                    &mut other,
                    &bytes[more_before..more_end],
                );
                one.add(b"behind");
                let want = [&bytes[..end], b"behind"].concat();
                assert_eq!(BtfDigest::of_parts(one), BtfDigest::of(&want));
                assert_eq!(
                    BtfDigest::of_parts(other),
                    BtfDigest::of(&bytes[..more_end])
                );
            }
        }
    }

    #[test]
    fn a_kernel_id_is_32_digits() {
        assert_eq!(
            ABC[..32].parse::<KernelId>(),
            Ok(BtfDigest::of(b"abc").kernel_id())
        );
        assert!(ABC.parse::<KernelId>().is_err());
        assert!(ABC[..31].parse::<KernelId>().is_err());
    }

    #[test]
    fn a_generator_has_one_spelling() {
        assert_eq!("7".parse::<Generator>(), Generator::new(7));
        for bad in ["", "0", "+1", "01", "-1", "1000000", "99999999999", "1 "] {
            assert!(bad.parse::<Generator>().is_err(), "{bad:?}");
        }
    }
}
