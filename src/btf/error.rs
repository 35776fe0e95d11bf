//! What can be wrong with a BTF blob.

use super::types::{ByteOrder, TypeId};
use std::fmt;

/// What is wrong with a BTF blob, at which byte of it and in which type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    type_id: Option<TypeId>,
    offset: usize,
}

impl Error {
    pub(super) fn new(kind: ErrorKind, type_id: Option<TypeId>, offset: usize) -> Error {
        Error {
            kind,
            type_id,
            offset,
        }
    }

    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The type in which it is wrong, where it is one.
    pub fn type_id(&self) -> Option<TypeId> {
        self.type_id
    }

    /// The byte of the blob at which it is wrong.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(id) = self.type_id {
            write!(f, ", type id {id}")?;
        }
        write!(f, ", byte offset {}", self.offset)
    }
}

impl std::error::Error for Error {}

/// The ways in which a BTF blob can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No bytes at all.
    #[error("the input is empty, not BTF")]
    Empty,
    /// The first two bytes are no BTF magic.
    #[error("not BTF: it begins with {found}, not the BTF magic eb9f")]
    NotBtf {
        /// The first bytes in hexadecimal, and what they look like.
        found: String,
    },
    /// A BTF version other than 1.
    #[error("BTF version {0} is not known (only version 1 is)")]
    Version(u8),
    /// A header length below the smallest.
    #[error("the header says it is {0} bytes long, less than the 24 of any BTF header")]
    HeaderLength(u32),
    /// Something does not fit into the blob or its section.
    #[error("{what} does not fit: it needs {need} bytes, there are {have}")]
    Truncated {
        /// What does not fit.
        what: &'static str,
        /// Bytes needed.
        need: u64,
        /// Bytes there.
        have: u64,
    },
    /// The type section does not lie on words.
    #[error("the type section's offset or length is not a multiple of 4")]
    Unaligned,
    /// Two sections share bytes.
    #[error("sections of the BTF overlap")]
    Overlap,
    /// The string section does not begin (unless split) or end with a NUL.
    #[error("the string section {0}")]
    Strings(&'static str),
    /// A kind that neither this reader nor the BTF's layout section knows.
    #[error("kind {0} is not known")]
    UnknownKind(u32),
    /// A reference beyond the last type.
    #[error("it refers to type id {id}, the last one is {last}{hint}")]
    TypeId {
        /// The id referred to.
        id: TypeId,
        /// The last type id there is.
        last: TypeId,
        /// What may have gone wrong.
        hint: &'static str,
    },
    /// A name beyond the string section.
    #[error("a name at string offset {at} lies outside the strings ({len} bytes){hint}")]
    StringOffset {
        /// The offset.
        at: u32,
        /// Length of the strings, a base's included.
        len: u64,
        /// What may have gone wrong.
        hint: &'static str,
    },
    /// A name longer than this many bytes.
    #[error("a name is longer than {0} bytes (the kernel allows 511)")]
    NameTooLong(usize),
    /// More types or strings than 32 bits can number.
    #[error("too many types or strings for 32-bit numbers")]
    TooLarge,
    /// A split BTF and its base disagree.
    #[error("the split BTF is {split}-endian, its base {base}-endian: they do not belong together")]
    ByteOrder {
        /// The split BTF's.
        split: ByteOrder,
        /// Its base's.
        base: ByteOrder,
    },
}

impl ErrorKind {
    pub(super) fn not_btf(blob: &[u8]) -> ErrorKind {
        let looks = match blob {
            [0x7f, b'E', b'L', b'F', ..] => " (an ELF file)",
            [0x1f, 0x8b, ..] => " (gzip: decompress it first)",
            [0x28, 0xb5, 0x2f, 0xfd, ..] => " (zstd: decompress it first)",
            [0xfd, b'7', b'z', b'X', b'Z', ..] => " (xz: decompress it first)",
            [b'M', b'Z', ..] => {
                " (a bootable kernel image: extract its vmlinux first, as the kernel's scripts/extract-vmlinux does)"
            }
            _ if blob
                .iter()
                .take(64)
                .all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) =>
            {
                " (text)"
            }
            _ => "",
        };
        let hex: Vec<String> = blob.iter().take(4).map(|b| format!("{b:02x}")).collect();
        ErrorKind::NotBtf {
            found: format!("{}{looks}", hex.join(" ")),
        }
    }
}
