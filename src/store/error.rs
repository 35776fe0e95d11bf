//! What can go wrong with a store.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What went wrong, with which object, and where it lies.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store's place, or a setting of it, cannot be used.
    #[error("store {place:?}: {problem}")]
    Place {
        /// The place as it was given.
        place: String,
        /// What is wrong with it, and which setting to change.
        problem: String,
    },
    /// A key names a folder where an object is meant, or the other way round.
    #[error("{key}: {problem}")]
    Key {
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An object is larger than what was asked for.
    #[error("{key}: the object has {size} bytes, more than the {limit} expected at most")]
    TooLarge {
        /// The key.
        key: String,
        /// The object's size.
        size: u64,
        /// The most that the reader takes.
        limit: u64,
    },
    /// No room: nothing was written.
    #[error("cannot write {path:?}: {source}; nothing was left half written. {hint}")]
    Full {
        /// The file that was to appear.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// What may help.
        hint: &'static str,
    },
    /// The store answered, and said no: trying again will not help.
    #[error("cannot {what}: {problem}. {hint}")]
    Refused {
        /// What was tried, with the key and the store's place.
        what: String,
        /// What the store said.
        problem: String,
        /// The likely cause, and the setting to change.
        hint: String,
    },
    /// The store answered that these credentials may not do this.
    #[error("cannot {what}: {problem}. {hint}")]
    Denied {
        /// What was tried, with the key and the store's place.
        what: String,
        /// What the store said.
        problem: String,
        /// The permission that is likely lacking.
        hint: String,
    },
    /// The store is out of reach or overloaded: worth trying again later.
    #[error("cannot {what}: {problem}")]
    Away {
        /// What was tried, with the key and the store's place.
        what: String,
        /// What happened.
        problem: String,
        /// How long the store asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// Anything else that the system said.
    #[error("cannot {what} {path:?}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// Whether the same may work later with nothing changed here.
    pub fn is_transient(&self) -> bool {
        matches!(self, Error::Away { .. })
    }

    /// Whether a permission is lacking, as opposed to a fault.
    pub fn is_denied(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        match self {
            Error::Denied { .. } => true,
            Error::Io { source, .. } => {
                matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem)
            }
            _ => false,
        }
    }

    /// What [`Error::kind`] gives.
    pub const KINDS: [&str; 4] = ["away", "refused", "full", "other"];

    /// Its kind in one word, for counting.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Away { .. } => "away",
            Error::Refused { .. } => "refused",
            Error::Full { .. } => "full",
            _ if self.is_denied() => "refused",
            _ => "other",
        }
    }

    pub(super) fn io(what: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Error {
        let path = path.into();
        let hint = match source.kind() {
            io::ErrorKind::StorageFull => "Free some space, or choose another store.",
            io::ErrorKind::QuotaExceeded => "The disk quota is used up.",
            io::ErrorKind::FileTooLarge => "The limit on file sizes (`ulimit -f`) is too small.",
            _ => return Error::Io { what, path, source },
        };
        Error::Full { path, source, hint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_denies_is_counted_as_one_that_refuses() {
        let said = String::new;
        let denied = Error::Denied {
            what: said(),
            problem: said(),
            hint: said(),
        };
        let away = Error::Away {
            what: said(),
            problem: said(),
            retry_after: None,
        };
        let io = |kind: io::ErrorKind| Error::io("write", "x", kind.into());
        let cases = [
            (denied, "refused"),
            (away, "away"),
            (io(io::ErrorKind::PermissionDenied), "refused"),
            (io(io::ErrorKind::StorageFull), "full"),
            (io(io::ErrorKind::NotADirectory), "other"),
        ];
        for (error, kind) in cases {
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(Error::KINDS.contains(&kind));
        }
    }
}
