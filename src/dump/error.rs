//! What C cannot express.

use crate::btf::{Btf, TypeId};

/// Why no header can be made of a BTF that parses: what, in which type, at which byte of the blob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}", place(at))]
pub struct Error {
    what: String,
    at: Option<(TypeId, usize)>,
}

fn place(at: &Option<(TypeId, usize)>) -> String {
    match at {
        Some((id, offset)) => format!(", type id {id}, byte offset {offset}"),
        None => String::new(),
    }
}

impl Error {
    pub(super) fn new(btf: &Btf<'_>, id: TypeId, what: impl Into<String>) -> Error {
        Error {
            what: what.into(),
            at: Some((id, btf.offset(id))),
        }
    }

    pub(super) fn unknown(what: String) -> Error {
        Error { what, at: None }
    }

    /// What C cannot express.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The type it is about.
    pub fn type_id(&self) -> Option<TypeId> {
        self.at.map(|(id, _)| id)
    }

    /// The byte of the blob at which that type starts.
    pub fn offset(&self) -> Option<usize> {
        self.at.map(|(_, offset)| offset)
    }
}

/// A type in words, for messages: `struct foo`, `unnamed union`.
pub(super) fn in_words(btf: &Btf<'_>, id: TypeId) -> String {
    let ty = btf.ty(id);
    let kind = ty.kind().name().to_ascii_lowercase();
    match btf.name(ty.name()) {
        [] => format!("unnamed {kind}"),
        name => format!("{kind} {}", shown(name)),
    }
}

/// A name, safe to show on a terminal and short enough for a line.
pub(super) fn shown(name: &[u8]) -> String {
    const MOST: usize = 80;
    let (cut, more) = match name.get(..MOST) {
        Some(cut) => (cut, "…"),
        None => (name, ""),
    };
    format!("{}{more}", cut.escape_ascii())
}
