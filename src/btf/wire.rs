//! BTF's bytes: the header and the words of the type section. The one place that knows how wide things are.

use super::error::{Error, ErrorKind};
use super::types::ByteOrder;

/// Everything in a type section is a 32-bit word.
pub(super) type Word = [u8; 4];
pub(super) const WORD: usize = size_of::<Word>();

#[inline]
pub(super) fn read_word(word: Word) -> u32 {
    u32::from_le_bytes(word)
}

/// A type's `info` word: bits 0–23 vlen, 24–30 kind, 31 kind_flag.
///
/// Today's kernels use 16 and 5 bits of that and leave the others 0, so that the wider form, which is
/// being added to the format, reads both.
#[derive(Clone, Copy)]
pub(super) struct Info(pub u32);

impl Info {
    pub fn vlen(self) -> u32 {
        self.0 & 0x00ff_ffff
    }

    pub fn kind(self) -> u32 {
        self.0 >> 24 & 0x7f
    }

    pub fn kind_flag(self) -> bool {
        self.0 >> 31 != 0
    }
}

/// The sections of a BTF blob, found and checked.
pub(super) struct Sections<'d> {
    pub order: ByteOrder,
    pub types: &'d [u8],
    /// Byte offset of the type section in the blob.
    pub types_at: usize,
    pub strings: &'d [u8],
    /// Byte offset of the string section in the blob.
    pub strings_at: usize,
    /// How large the kinds are, for those that this reader does not know; empty where the BTF has none.
    pub layout: &'d [u8],
}

const MAGIC: u16 = 0xeb9f;
const HEADER_LEN: usize = 24;
/// From this header length on, `layout_off` and `layout_len` follow.
const HEADER_LEN_LAYOUT: usize = 32;

/// Finds the sections: `struct btf_header` of `include/uapi/linux/btf.h`. Offsets are relative to the
/// header's end.
pub(super) fn sections(blob: &[u8]) -> Result<Sections<'_>, Error> {
    let err = |offset: usize, kind| Error::new(kind, None, offset);
    let order = match blob {
        [] => return Err(err(0, ErrorKind::Empty)),
        [a, b, ..] if u16::from_le_bytes([*a, *b]) == MAGIC => ByteOrder::Little,
        [a, b, ..] if u16::from_be_bytes([*a, *b]) == MAGIC => ByteOrder::Big,
        _ => return Err(err(0, ErrorKind::not_btf(blob))),
    };
    let short = || {
        err(
            blob.len(),
            ErrorKind::Truncated {
                what: "the header",
                need: HEADER_LEN as u64,
                have: blob.len() as u64,
            },
        )
    };
    let word = |at: usize| -> Result<u32, Error> {
        let bytes = blob.get(at..).and_then(|b| b.first_chunk::<WORD>());
        let bytes = *bytes.ok_or_else(short)?;
        Ok(match order {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        })
    };
    let version = *blob.get(2).ok_or_else(short)?;
    if version != 1 {
        return Err(err(2, ErrorKind::Version(version)));
    }
    let header_len = word(4)? as usize;
    if header_len < HEADER_LEN {
        return Err(err(4, ErrorKind::HeaderLength(header_len as u32)));
    }
    if blob.len() < header_len {
        return Err(err(
            blob.len(),
            ErrorKind::Truncated {
                what: "the header",
                need: header_len as u64,
                have: blob.len() as u64,
            },
        ));
    }
    let section = |what: &'static str, field: usize| -> Result<(usize, &[u8]), Error> {
        let (offset, len) = (
            word(field)? as usize,
            word(field.saturating_add(WORD))? as usize,
        );
        let start = header_len.saturating_add(offset);
        let end = start.saturating_add(len);
        let bytes = blob.get(start..end).ok_or_else(|| {
            err(
                field,
                ErrorKind::Truncated {
                    what,
                    need: end as u64,
                    have: blob.len() as u64,
                },
            )
        })?;
        Ok((start, bytes))
    };
    let (types_at, types) = section("the type section", 8)?;
    let (strings_at, strings) = section("the string section", 16)?;
    let (layout_at, layout) = if header_len >= HEADER_LEN_LAYOUT {
        section("the layout section", 24)?
    } else {
        (0, &[][..])
    };
    if !types_at.saturating_sub(header_len).is_multiple_of(WORD)
        || !types.len().is_multiple_of(WORD)
    {
        return Err(err(8, ErrorKind::Unaligned));
    }
    let overlap = |(a_at, a): (usize, &[u8]), (b_at, b): (usize, &[u8])| {
        !a.is_empty()
            && !b.is_empty()
            && a_at < b_at.saturating_add(b.len())
            && b_at < a_at.saturating_add(a.len())
    };
    let (t, s, l) = (
        (types_at, types),
        (strings_at, strings),
        (layout_at, layout),
    );
    if overlap(t, s) || overlap(t, l) || overlap(s, l) {
        return Err(err(8, ErrorKind::Overlap));
    }
    Ok(Sections {
        order,
        types,
        types_at,
        strings,
        strings_at,
        layout,
    })
}

/// Bytes that follow the common 12 of a type of this kind: `(once, for each of vlen)`, as `struct
/// btf_layout` says it in the BTF itself.
pub(super) fn layout_of(layout: &[u8], kind: u32) -> Option<(u32, u32)> {
    let (rows, _) = layout.as_chunks::<4>();
    rows.get(kind as usize)
        .map(|[once, each, ..]| (u32::from(*once), u32::from(*each)))
}
