//! How types are spelled: what stands before and behind a name, kept for the next that is of the type.

use crate::btf::TypeId;

/// Spellings by type id.
pub(super) struct Spelled {
    /// For each type id where its spelling is in `text`, or 0.
    at: Vec<u32>,
    /// Of each: two lengths, then what stands before a name, then what stands behind it.
    text: Vec<u8>,
}

/// One spelling.
#[derive(Clone, Copy)]
pub(super) struct Spelling<'s> {
    /// What stands before a name and then what stands behind it; it goes on beyond that, to be copied by
    /// blocks.
    pub tail: &'s [u8],
    pub before: usize,
    pub behind: usize,
}

impl<'s> Spelling<'s> {
    /// What stands behind a name.
    pub fn behind(self) -> &'s [u8] {
        let end = self.before + self.behind;
        self.tail.get(self.before..end).unwrap_or_default()
    }
}

/// Bytes behind the last spelling.
const PAD: [u8; 32] = [0; 32];

impl Spelled {
    /// For types whose id is less than `end`.
    pub fn new(end: usize) -> Spelled {
        let mut text = Vec::with_capacity(128 << 10);
        text.extend_from_slice(&PAD);
        Spelled {
            at: vec![0; end],
            text,
        }
    }

    #[inline]
    pub fn get(&self, id: TypeId) -> Option<Spelling<'_>> {
        let at = *self.at.get(id.0 as usize)? as usize;
        match self.text.get(at..)? {
            [before, behind, tail @ ..] if at != 0 => Some(Spelling {
                tail,
                before: usize::from(*before),
                behind: usize::from(*behind),
            }),
            _ => None,
        }
    }

    /// Keeps a spelling, unless it is a long one.
    pub fn keep(&mut self, id: TypeId, before: &[u8], behind: &[u8]) {
        let end = self.text.len() - PAD.len();
        if let (Ok(first), Ok(second), Ok(start)) = (
            u8::try_from(before.len()),
            u8::try_from(behind.len()),
            u32::try_from(end.max(1)),
        ) && let Some(at) = self.at.get_mut(id.0 as usize)
        {
            *at = start;
            self.text.truncate(start as usize);
            self.text.extend_from_slice(&[first, second]);
            for part in [before, behind, &PAD] {
                self.text.extend_from_slice(part);
            }
        }
    }
}
