//! The manifest: what a store says of one kernel and one generator.

use super::digest::{BtfDigest, Generator, HeaderDigest};
use super::{MAX_BLOB, Object};
use crate::btf::{Btf, ByteOrder};
use serde::{Deserialize, Serialize};

/// What a store says of a kernel: `kernels/sha256/<btf hex>/v<generator>.json`.
///
/// It depends on the BTF and the generator alone, so that two publishers write the same bytes. It is a
/// hint: what it says is checked against the BTF before it is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cluster", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Digest of the BTF.
    #[cfg_attr(
        feature = "cluster",
        schemars(with = "String", regex(pattern = r"^sha256:[0-9a-f]{64}$"))
    )]
    pub btf_digest: BtfDigest,
    /// Bytes of the BTF, uncompressed.
    pub btf_size: u64,
    /// Digest of the header.
    #[cfg_attr(
        feature = "cluster",
        schemars(with = "String", regex(pattern = r"^sha256:[0-9a-f]{64}$"))
    )]
    pub header_digest: HeaderDigest,
    /// Bytes of the header, uncompressed.
    pub header_size: u64,
    /// The generator that made the header.
    #[cfg_attr(feature = "cluster", schemars(with = "u32"))]
    pub generator: Generator,
    /// Bytes of a pointer on that kernel: 4 or 8.
    pub pointer_size: u32,
    /// The kernel's byte order.
    pub byte_order: Order,
}

/// A byte order as the manifest spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cluster", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// What is wrong with a manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not JSON, or without a field, or with one that makes no sense.
    #[error("the manifest is not readable: {0}")]
    Json(#[from] serde_json::Error),
    /// It says something else than the key it lies under.
    #[error("the manifest contradicts its own name: {what} is {found}, the name says {expected}")]
    Contradiction {
        /// Which field.
        what: &'static str,
        /// What the manifest says.
        found: String,
        /// What its key says.
        expected: String,
    },
    /// A value that no kernel has.
    #[error("the manifest says {what} {found}, which cannot be")]
    Value {
        /// Which field.
        what: &'static str,
        /// Its value.
        found: u64,
    },
}

impl Manifest {
    /// Largest manifest that is read, in bytes.
    pub const MAX_LEN: u64 = 64 << 10;

    /// The manifest of this BTF (`blob` are its bytes) and the header made of it by our generator.
    pub fn new(
        btf: &Btf<'_>,
        (btf_digest, btf_size): (BtfDigest, u64),
        (header_digest, header_size): (HeaderDigest, u64),
    ) -> Manifest {
        Manifest {
            btf_digest,
            btf_size,
            header_digest,
            header_size,
            generator: Generator::OWN,
            pointer_size: btf.pointer_size(),
            byte_order: match btf.byte_order() {
                ByteOrder::Little => Order::Little,
                ByteOrder::Big => Order::Big,
            },
        }
    }

    /// The key it lies under.
    pub fn object(&self) -> Object {
        Object::Manifest(self.btf_digest, self.generator)
    }

    /// The bytes that are stored: JSON, a field a line, in a fixed order.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings, numbers and plain enums only: nothing that JSON cannot express.
        let mut json = serde_json::to_vec_pretty(self).expect("a manifest is always valid JSON");
        json.push(b'\n');
        json
    }

    /// Reads the manifest that was found under the key of `btf` and `generator`. Unknown fields are
    /// tolerated: a later version may write more.
    ///
    /// # Errors
    /// [`ManifestError`]: it cannot be read, says something impossible, or contradicts its key.
    pub fn parse(
        json: &[u8],
        btf: BtfDigest,
        generator: Generator,
    ) -> Result<Manifest, ManifestError> {
        let manifest: Manifest = serde_json::from_slice(json)?;
        let same = |what, found: String, expected: String| match found == expected {
            true => Ok(()),
            false => Err(ManifestError::Contradiction {
                what,
                found,
                expected,
            }),
        };
        same(
            "btfDigest",
            manifest.btf_digest.to_string(),
            btf.to_string(),
        )?;
        same(
            "generator",
            manifest.generator.to_string(),
            generator.to_string(),
        )?;
        let value = |what, found: u64, possible: bool| match possible {
            true => Ok(()),
            false => Err(ManifestError::Value { what, found }),
        };
        let size = 1..=MAX_BLOB;
        value(
            "btfSize",
            manifest.btf_size,
            size.contains(&manifest.btf_size),
        )?;
        value(
            "headerSize",
            manifest.header_size,
            size.contains(&manifest.header_size),
        )?;
        let pointer = manifest.pointer_size;
        value("pointerSize", pointer.into(), matches!(pointer, 4 | 8))?;
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            btf_digest: BtfDigest::of(b"btf"),
            btf_size: 3,
            header_digest: HeaderDigest::of(b"header"),
            header_size: 6,
            generator: Generator::new(1).unwrap(),
            pointer_size: 8,
            byte_order: Order::Big,
        }
    }

    fn parse(json: &str) -> Result<Manifest, ManifestError> {
        let m = manifest();
        Manifest::parse(json.as_bytes(), m.btf_digest, m.generator)
    }

    #[test]
    fn it_is_read_as_written_and_its_text_is_fixed() {
        let json = String::from_utf8(manifest().to_json()).unwrap();
        assert_eq!(parse(&json).unwrap(), manifest());
        let (btf, header) = (manifest().btf_digest, manifest().header_digest);
        let want = format!(
            "{{\n  \"btfDigest\": \"{btf}\",\n  \"btfSize\": 3,\n  \"headerDigest\": \"{header}\",\n  \"headerSize\": 6,\n  \"generator\": 1,\n  \"pointerSize\": 8,\n  \"byteOrder\": \"big\"\n}}\n"
        );
        assert_eq!(json, want);
    }

    #[test]
    fn unknown_fields_are_tolerated_and_contradictions_are_not() {
        let json = String::from_utf8(manifest().to_json()).unwrap();
        let with = |from: &str, to: &str| {
            assert!(json.contains(from), "{from}");
            parse(&json.replace(from, to))
        };
        with("{\n", "{\n  \"madeBy\": [1, {}],\n").unwrap();
        let other = BtfDigest::of(b"other").to_string();
        let own = manifest().btf_digest.to_string();
        for (from, to) in [
            (own.as_str(), other.as_str()),
            ("\"generator\": 1", "\"generator\": 2"),
            ("\"generator\": 1", "\"generator\": 0"),
            ("\"btfSize\": 3", "\"btfSize\": 0"),
            ("\"btfSize\": 3", "\"btfSize\": 268435457"),
            ("\"headerSize\": 6", "\"headerSize\": -6"),
            ("\"headerSize\": 6", "\"headerSize\": 99999999999999"),
            ("\"pointerSize\": 8", "\"pointerSize\": 16"),
            ("\"byteOrder\": \"big\"", "\"byteOrder\": \"middle\""),
            ("sha256:", "sha1:"),
            ("}\n", ""),
            ("}\n", "} x"),
            ("\"btfSize\": 3,", "\"btfSize\": 3, \"btfSize\": 3,"),
        ] {
            assert!(with(from, to).is_err(), "{from} → {to}");
        }
    }
}
