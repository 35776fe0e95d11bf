//! The words that keys are made of and that are not ours: machines, releases, clusters.

use super::digest::NameError;
use std::fmt;
use std::str::FromStr;

/// A machine in Kubernetes' spelling: `amd64`, `arm64`, `s390x`, …
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Arch(String);

/// Kubernetes' spelling, then those of `uname -m` and of the kernel's build.
const ARCHES: [&[&str]; 13] = [
    &["amd64", "x86_64"],
    &["arm64", "aarch64"],
    &["s390x"],
    &["ppc64le"],
    &["riscv64"],
    &[
        "arm", "armv7l", "armv6l", "armv8l", "armv5tel", "armhf", "armel",
    ],
    &["386", "i386", "i486", "i586", "i686", "x86"],
    &["loong64", "loongarch64"],
    &["ppc64"],
    &["mips64le"],
    &["mips64"],
    &["mipsle"],
    &["mips"],
];

impl Arch {
    /// Takes a name from a store's key: one that this build does not know is taken too.
    pub(super) fn stored(text: &str) -> Result<Arch, NameError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        match (1..=16).contains(&text.len()) && text.bytes().all(plain) {
            true => Ok(Arch(text.to_owned())),
            false => Err(NameError::new("arch", text, "small letters and digits are")),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Byte order (big?) and pointer size of the machine, where this build knows them.
    pub fn shape(&self) -> Option<(bool, u32)> {
        Some(match self.as_str() {
            "amd64" | "arm64" | "ppc64le" | "riscv64" | "loong64" | "mips64le" => (false, 8),
            "s390x" | "ppc64" | "mips64" => (true, 8),
            "arm" | "386" | "mipsle" => (false, 4),
            "mips" => (true, 4),
            _ => return None,
        })
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Arch {
    type Err = NameError;

    /// Takes Kubernetes' spelling and that of `uname -m`.
    fn from_str(text: &str) -> Result<Arch, NameError> {
        let known = ARCHES.iter().find(|names| names.contains(&text));
        let name = known.and_then(|names| names.first());
        name.map(|name| Arch((*name).to_owned())).ok_or_else(|| {
            NameError::new(
                "known arch",
                text,
                "amd64, arm64, s390x, ppc64le, riscv64, arm, 386 and loong64 are, or what `uname -m` prints",
            )
        })
    }
}

/// A kernel release: what `uname -r` prints. It is no identity: two builds may share one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Release(String);

impl Release {
    /// Longest release: `struct new_utsname` has 65 bytes for it, the NUL included.
    const MAX_LEN: usize = 64;

    /// The release as it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The release as a segment of a key: percent-encoded but for `[A-Za-z0-9._-]`.
    pub fn encoded(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        for b in self.0.bytes() {
            match b.is_ascii_alphanumeric() || b"._-".contains(&b) {
                true => out.push(char::from(b)),
                false => out.push_str(&format!("%{b:02X}")),
            }
        }
        out
    }

    /// Reads a segment of a key. Only the one spelling that [`Release::encoded`] gives is taken.
    ///
    /// # Errors
    /// Any other text.
    pub fn decode(segment: &str) -> Result<Release, NameError> {
        let refuse = || NameError::new("encoded release", segment, "percent-encoding is due");
        let mut bytes = Vec::with_capacity(segment.len());
        let mut rest = segment.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            if *first != b'%' {
                bytes.push(*first);
                continue;
            }
            let (hex, tail) = rest.split_at_checked(2).ok_or_else(refuse)?;
            let hex = std::str::from_utf8(hex).map_err(|_| refuse())?;
            bytes.push(u8::from_str_radix(hex, 16).map_err(|_| refuse())?);
            rest = tail;
        }
        let text = String::from_utf8(bytes).map_err(|_| refuse())?;
        let release: Release = text.parse()?;
        match release.encoded() == segment {
            true => Ok(release),
            false => Err(refuse()),
        }
    }
}

impl fmt::Display for Release {
    /// What could upset a terminal is escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.chars().any(char::is_control) {
            true => write!(f, "{}", self.0.escape_default()),
            false => self.0.fmt(f),
        }
    }
}

impl FromStr for Release {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Release, NameError> {
        match text {
            "" | "." | ".." => {}
            t if t.len() > Release::MAX_LEN => {}
            t => return Ok(Release(t.to_owned())),
        }
        Err(NameError::new(
            "kernel release",
            text,
            "1 to 64 bytes are, as `uname -r` prints them",
        ))
    }
}

/// Who uses a kernel: a cluster's id, or `pin-<name>` for what a person keeps.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Owner(String);

impl Owner {
    /// The owner of what a person publishes under `--pin NAME`.
    ///
    /// # Errors
    /// A name that is empty, longer than 63 bytes, or has other characters than `[A-Za-z0-9._-]`.
    pub fn pin(name: &str) -> Result<Owner, NameError> {
        let refuse = || {
            let expected = "1 to 63 letters, digits, dots, underscores and dashes are";
            NameError::new("pin name", name, expected)
        };
        match (1..=63).contains(&name.len()) {
            true => format!("pin-{name}").parse().map_err(|_| refuse()),
            false => Err(refuse()),
        }
    }

    /// The pin's name, where this is one.
    pub fn pin_name(&self) -> Option<&str> {
        self.0.strip_prefix("pin-")
    }

    /// The owner as a segment of a key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Owner {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Owner, NameError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let fits = (1..=128).contains(&text.len()) && !matches!(text, "." | "..");
        match fits && text.bytes().all(plain) {
            true => Ok(Owner(text.to_owned())),
            false => Err(NameError::new(
                "cluster id or pin",
                text,
                "1 to 128 letters, digits, dots, underscores and dashes are",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_pins_and_arches_are_checked() {
        for bad in ["", ".", "..", &"a".repeat(65)] {
            assert!(bad.parse::<Release>().is_err(), "{bad:?}");
        }
        for bad in ["", "a/b", "a b", "é", &"a".repeat(64)] {
            assert!(Owner::pin(bad).is_err(), "{bad:?}");
        }
        assert_eq!("aarch64".parse::<Arch>().unwrap().as_str(), "arm64");
        assert_eq!("armv7l".parse::<Arch>().unwrap().as_str(), "arm");
        for bad in ["", "adm64", "AMD64", "x86-64"] {
            assert!(bad.parse::<Arch>().is_err(), "{bad:?}");
        }
    }
}
