//! Where things lie in a store: `btf/…`, `headers/…`, `kernels/…`, `index/…`, `refs/…`.

use super::digest::{BtfDigest, Generator, HeaderDigest, NameError};
use super::names::{Arch, Owner, Release};
use std::fmt;

/// A checked name of an object in a store, such as `btf/sha256/<hex>.btf.zst`, or of a folder of them,
/// which ends in `/`.
///
/// Neither can lead out of a store: no empty segment, no `.` or `..`, no leading slash, and only
/// characters that mean themselves in a file name, an object store and a URL path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key(String);

impl Key {
    /// Longest key that is taken; S3's limit.
    const MAX_LEN: usize = 1024;
    /// Longest segment: what file systems take as a name.
    const MAX_SEGMENT: usize = 255;

    /// Checks a key.
    ///
    /// # Errors
    /// [`NameError`], saying what a key must look like.
    pub fn new(text: &str) -> Result<Key, NameError> {
        let refuse = |expected| Err(NameError::new("key", text, expected));
        if text.len() > Key::MAX_LEN {
            return refuse("at most 1024 bytes are");
        }
        for segment in text.strip_suffix('/').unwrap_or(text).split('/') {
            if matches!(segment, "" | "." | "..") || segment.len() > Key::MAX_SEGMENT {
                return refuse("no empty, overlong, `.` or `..` segment is allowed");
            }
            // No `~`: that is what the names of temporary files begin with.
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._%-".contains(&b);
            if !segment.bytes().all(plain) {
                return refuse("only letters, digits and ._%- are allowed");
            }
        }
        Ok(Key(text.to_owned()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An object of a store, by what it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Object {
    /// `btf/sha256/<hex>.btf.zst`: the BTF, compressed.
    Btf(BtfDigest),
    /// `headers/sha256/<hex>.h.zst`: a header, compressed.
    Header(HeaderDigest),
    /// `kernels/sha256/<btf hex>/v<generator>.json`: a manifest.
    Manifest(BtfDigest, Generator),
    /// `index/<arch>/<release>/<btf hex>`: empty; finds a kernel by name.
    Index(Arch, Release, BtfDigest),
    /// `refs/<btf hex>/<owner>`: empty; who uses that kernel.
    Ref(BtfDigest, Owner),
    /// `aside/<cluster id>/<key>`: the copy of an object that this cluster's controller is about to remove. It is
    /// there until the removal stands or is undone; no reader looks here.
    Aside(Owner, Box<Object>),
}

impl Object {
    /// The folder of all compressed BTF.
    pub const BTF: &str = "btf/";
    /// The folder of all headers.
    pub const HEADERS: &str = "headers/";
    /// The folder of all manifests.
    pub const KERNELS: &str = "kernels/";
    /// The folder of all index entries.
    pub const INDEX: &str = "index/";
    /// The folder of all references.
    pub const REFS: &str = "refs/";

    /// The object's key.
    pub fn key(&self) -> Key {
        Key(match self {
            Object::Btf(btf) => format!("btf/sha256/{}.btf.zst", btf.hex()),
            Object::Header(header) => format!("headers/sha256/{}.h.zst", header.hex()),
            Object::Manifest(btf, generator) => {
                format!("kernels/sha256/{}/v{generator}.json", btf.hex())
            }
            Object::Index(arch, release, btf) => {
                format!("index/{arch}/{}/{}", release.encoded(), btf.hex())
            }
            Object::Ref(btf, owner) => format!("refs/{}/{owner}", btf.hex()),
            Object::Aside(cluster, object) => format!("aside/{cluster}/{}", object.key()),
        })
    }

    /// The folder of what a cluster's controller has set aside.
    pub fn aside_of(cluster: &Owner) -> Key {
        Key(format!("aside/{cluster}/"))
    }

    /// The folder of what all clusters' controllers have set aside.
    pub fn all_aside() -> Key {
        Key("aside/".to_owned())
    }

    /// The object's copy among what `cluster` has set aside.
    pub fn aside(&self, cluster: &Owner) -> Object {
        Object::Aside(cluster.clone(), Box::new(self.clone()))
    }

    /// The folder of a kernel's manifests.
    pub fn manifests_of(btf: &BtfDigest) -> Key {
        Key(format!("kernels/sha256/{}/", btf.hex()))
    }

    /// The folder of a kernel's references.
    pub fn refs_of(btf: &BtfDigest) -> Key {
        Key(format!("refs/{}/", btf.hex()))
    }

    /// The folder of all references.
    pub fn refs() -> Key {
        Key(Object::REFS.to_owned())
    }

    /// The folder of all BTF.
    pub fn btf() -> Key {
        Key(Object::BTF.to_owned())
    }

    /// The folder of all manifests.
    pub fn kernels() -> Key {
        Key(Object::KERNELS.to_owned())
    }

    /// The folder of all index entries.
    pub fn index() -> Key {
        Key(Object::INDEX.to_owned())
    }

    /// The folder of all headers.
    pub fn headers() -> Key {
        Key(Object::HEADERS.to_owned())
    }

    /// The folder of the index entries of a release.
    pub fn index_of(arch: &Arch, release: &Release) -> Key {
        Key(format!("index/{arch}/{}/", release.encoded()))
    }

    /// What lies under `key`; `None` if that is nothing of ours.
    pub fn parse(key: &Key) -> Option<Object> {
        if let Some(rest) = key.as_str().strip_prefix("aside/") {
            let (cluster, inner) = rest.split_once('/')?;
            let copied = match inner.starts_with("aside/") {
                false => Object::parse(&Key(inner.to_owned()))?,
                true => return None,
            };
            return Some(copied.aside(&cluster.parse().ok()?));
        }
        let segments: Vec<&str> = key.as_str().split('/').collect();
        Some(match *segments.as_slice() {
            ["btf", "sha256", name] => {
                Object::Btf(BtfDigest::from_hex(name.strip_suffix(".btf.zst")?).ok()?)
            }
            ["headers", "sha256", name] => {
                Object::Header(HeaderDigest::from_hex(name.strip_suffix(".h.zst")?).ok()?)
            }
            ["kernels", "sha256", btf, name] => Object::Manifest(
                BtfDigest::from_hex(btf).ok()?,
                name.strip_prefix('v')?
                    .strip_suffix(".json")?
                    .parse()
                    .ok()?,
            ),
            ["index", arch, release, btf] => Object::Index(
                Arch::stored(arch).ok()?,
                Release::decode(release).ok()?,
                BtfDigest::from_hex(btf).ok()?,
            ),
            ["refs", btf, owner] => {
                Object::Ref(BtfDigest::from_hex(btf).ok()?, owner.parse().ok()?)
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_could_lead_elsewhere_are_refused() {
        for good in [
            "a",
            "a/b",
            "a/b/",
            "btf/sha256/",
            "index/amd64/6.1%2Bdeb/x",
            "a..b",
        ] {
            assert!(Key::new(good).is_ok(), "{good:?}");
        }
        let long = "a".repeat(256);
        for bad in [
            "", "/", "//", "/a", "a//b", "a//", "..", "a/..", "../a", "a/../b", ".", "a/./b",
            "a/~x", "a b", "a\\b", "a\0b", "a\nb", "é", "a:b", &long,
        ] {
            assert!(Key::new(bad).is_err(), "{bad:?}");
        }
        assert!(Key::new(&"a/".repeat(600)).is_err());
    }

    #[test]
    fn keys_are_those_of_the_design_and_are_read_back() {
        let (btf, header) = (BtfDigest::of(b"b"), HeaderDigest::of(b"h"));
        let (b, h) = (btf.hex(), header.hex());
        let arch: Arch = "x86_64".parse().unwrap();
        let release = |r: &str| r.parse::<Release>().unwrap();
        let cases = [
            (Object::Btf(btf), format!("btf/sha256/{b}.btf.zst")),
            (Object::Header(header), format!("headers/sha256/{h}.h.zst")),
            (
                Object::Manifest(btf, Generator::new(12).unwrap()),
                format!("kernels/sha256/{b}/v12.json"),
            ),
            (
                Object::Index(arch.clone(), release("6.1.0-56_amd64"), btf),
                format!("index/amd64/6.1.0-56_amd64/{b}"),
            ),
            (
                Object::Index(arch.clone(), release("7.2+deb14~rc1/a%2é"), btf),
                format!("index/amd64/7.2%2Bdeb14%7Erc1%2Fa%252%C3%A9/{b}"),
            ),
            (
                Object::Ref(btf, Owner::pin("local").unwrap()),
                format!("refs/{b}/pin-local"),
            ),
            (
                Object::Manifest(btf, Generator::new(12).unwrap())
                    .aside(&"c1".parse::<Owner>().unwrap()),
                format!("aside/c1/kernels/sha256/{b}/v12.json"),
            ),
        ];
        for (object, key) in cases {
            assert_eq!(object.key().as_str(), key);
            let checked = Key::new(&key).unwrap();
            assert_eq!(Object::parse(&checked), Some(object), "{key}");
        }
    }

    #[test]
    fn other_names_are_not_ours() {
        let b = BtfDigest::of(b"b").hex();
        for key in [
            format!("btf/sha256/{b}"),
            format!("btf/sha512/{b}.btf.zst"),
            format!("btf/sha256/{}.btf.zst", b.to_uppercase()),
            format!("btf/sha256/x/{b}.btf.zst"),
            format!("kernels/sha256/{b}/v01.json"),
            format!("kernels/sha256/{b}/v0.json"),
            format!("index/amd64/6.1%2b/{b}"),
            format!("index/amd64/6.1%41/{b}"),
            format!("index/amd64/6.1%/{b}"),
            format!("index/amd64/6.1%FF/{b}"),
            format!("index/AMD64/6.1/{b}"),
            "README.md".to_owned(),
            format!("aside/btf/sha256/{b}.btf.zst"),
            format!("aside/c1/aside/c1/btf/sha256/{b}.btf.zst"),
            "aside/c1".to_owned(),
        ] {
            let checked = Key::new(&key).unwrap();
            assert_eq!(Object::parse(&checked), None, "{key}");
        }
    }
}
