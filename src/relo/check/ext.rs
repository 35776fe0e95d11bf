//! `.BTF.ext`: which functions, which lines, which relocations (btf.rst, 4).

use super::object::ObjectError;

/// The records of one section of code.
pub(super) struct Block<'d> {
    /// Where the section's name is in `.BTF`'s strings.
    pub section: u32,
    /// Bytes of a record.
    size: usize,
    records: &'d [u8],
    big: bool,
}

impl<'d> Block<'d> {
    /// The records' first words.
    pub fn records<const N: usize>(&self) -> impl Iterator<Item = [u32; N]> + use<'d, N> {
        let big = self.big;
        let rows = self.records.chunks_exact(self.size.max(1));
        rows.map(move |row| std::array::from_fn(|n| word(row, n * 4, big).unwrap_or(0)))
    }
}

/// All of it, cut into blocks.
#[derive(Default)]
pub(super) struct Ext<'d> {
    pub lines: Vec<Block<'d>>,
    pub relocations: Vec<Block<'d>>,
}

fn word(bytes: &[u8], at: usize, big: bool) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(match big {
        true => u32::from_be_bytes(*bytes),
        false => u32::from_le_bytes(*bytes),
    })
}

/// Smallest header, and the one that tells of relocations.
const HEADER: [usize; 2] = [24, 32];

/// Cuts `.BTF.ext` into blocks.
pub(super) fn parse(bytes: &[u8], big: bool) -> Result<Ext<'_>, ObjectError> {
    let err = |at: usize, what: &'static str| ObjectError::Ext { at, what };
    let magic: [u8; 2] = match big {
        true => [0xeb, 0x9f],
        false => [0x9f, 0xeb],
    };
    if bytes.get(..2) != Some(&magic[..]) {
        return Err(err(0, "no magic number of this object's byte order"));
    }
    if bytes.get(2) != Some(&1) {
        return Err(err(2, "a version other than 1"));
    }
    let at = |at: usize| word(bytes, at, big).map(|w| w as usize);
    let header = at(4).filter(|h| (HEADER[0]..=bytes.len()).contains(h));
    let header = header.ok_or(err(4, "the header is cut short"))?;
    let segment = |field: usize| -> Result<(usize, &[u8]), ObjectError> {
        let lost = err(field, "a part lies outside the section");
        let (Some(offset), Some(len)) = (at(field), at(field + 4)) else {
            return Err(lost);
        };
        let start = header.saturating_add(offset);
        let part = bytes.get(start..start.saturating_add(len)).ok_or(lost)?;
        match offset % 4 {
            0 => Ok((start, part)),
            _ => Err(err(field, "a part does not begin at a multiple of 4")),
        }
    };
    // Functions are not needed, but a damaged table of them is a damaged object.
    blocks(segment(8)?, 8, big)?;
    let mut ext = Ext {
        lines: blocks(segment(16)?, 16, big)?,
        relocations: Vec::new(),
    };
    if header >= HEADER[1] {
        ext.relocations = blocks(segment(24)?, 16, big)?;
    }
    Ok(ext)
}

fn blocks(
    (start, part): (usize, &[u8]),
    least: usize,
    big: bool,
) -> Result<Vec<Block<'_>>, ObjectError> {
    let err = |at: usize, what: &'static str| ObjectError::Ext {
        at: start.saturating_add(at),
        what,
    };
    if part.is_empty() {
        return Ok(Vec::new());
    }
    let size = word(part, 0, big).ok_or(err(0, "a part is cut short"))? as usize;
    if size < least || !size.is_multiple_of(4) {
        return Err(err(0, "records of an impossible size"));
    }
    let (mut at, mut found) = (4usize, Vec::new());
    while at < part.len() {
        let (Some(section), Some(count)) = (word(part, at, big), word(part, at + 4, big)) else {
            return Err(err(at, "a part is cut short"));
        };
        if count == 0 {
            return Err(err(at, "a section without records"));
        }
        let len = size.saturating_mul(count as usize);
        let from = at.saturating_add(8);
        let Some(records) = part.get(from..from.saturating_add(len)) else {
            return Err(err(at, "more records than there is room for"));
        };
        found.push(Block {
            section,
            size,
            records,
            big,
        });
        at = from.saturating_add(len);
    }
    if found.is_empty() {
        return Err(err(4, "a part without a section"));
    }
    Ok(found)
}
