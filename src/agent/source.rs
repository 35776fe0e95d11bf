//! What the host is: its boot, its release, its BTF.

use super::plan::{Finding, Host};
use crate::artifact::{Arch, MAX_BLOB};
use crate::cluster::node::{KernelSaid, is_boot_id};
use crate::store::Kernel;
use bytes::Bytes;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Where the host describes itself.
#[derive(Debug, Clone)]
pub struct Source {
    /// The running kernel's BTF: `/sys/kernel/btf/vmlinux`.
    pub btf: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
}

/// The BTF cannot be read, though it is there.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The system's word.
    #[error("cannot read {path:?}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No kernel has that much.
    #[error("{path:?} has more than {limit} bytes, which is no BTF")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is taken.
        limit: u64,
    },
}

impl Source {
    /// The boot and the release, read anew: a few bytes.
    pub fn host(&self) -> Host {
        let line = |path: &str| {
            let text = fs::read_to_string(self.proc.join(path)).ok()?;
            Some(text.trim_end_matches('\n').to_owned()).filter(|text| !text.is_empty())
        };
        Host {
            boot_id: line("sys/kernel/random/boot_id").filter(|id| is_boot_id(id)),
            release: line("sys/kernel/osrelease"),
        }
    }

    /// The machine, as `uname -m` has it.
    pub fn arch() -> Option<Arch> {
        let uname = rustix::system::uname();
        uname.machine().to_str().ok()?.parse().ok()
    }

    /// Reads the BTF and makes its header: some hundred milliseconds of work, not for a thread that others
    /// wait for. The kernel is there to be published, even where no header can be made of its BTF.
    pub fn examine(&self) -> (Finding, Option<Kernel>) {
        let blob = match read(&self.btf) {
            Ok(Some(blob)) => blob,
            Ok(None) => return (Finding::NoBtf, None),
            Err(e) => return (Finding::Unreadable(e.to_string()), None),
        };
        match Kernel::new(blob.clone()) {
            Ok(kernel) => {
                let header = kernel
                    .made
                    .as_ref()
                    .map(|made| (made.manifest.header_digest, made.manifest.generator));
                let said = KernelSaid {
                    btf: kernel.digest,
                    header,
                };
                (Finding::Kernel { said, why: None }, Some(kernel))
            }
            Err(e) => {
                let kernel = Kernel::raw(blob);
                let said = KernelSaid {
                    btf: kernel.digest,
                    header: None,
                };
                let why = Some(e.to_string());
                (Finding::Kernel { said, why }, Some(kernel))
            }
        }
    }
}

/// `None`: this kernel has no BTF.
fn read(path: &Path) -> Result<Option<Bytes>, SourceError> {
    let failed = |source| SourceError::Io {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    // Its size is known, and then one allocation holds it.
    let size = file.metadata().map_err(failed)?.len();
    let mut blob = Vec::with_capacity(size.min(MAX_BLOB) as usize + 1);
    let read = file.take(MAX_BLOB + 1).read_to_end(&mut blob);
    match read.map_err(failed)? as u64 {
        0..=MAX_BLOB => Ok(Some(blob.into())),
        _ => Err(SourceError::TooLarge {
            path: path.to_owned(),
            limit: MAX_BLOB,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_btf_or_with_what_is_none_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let source = Source {
            btf: dir.path().join("vmlinux"),
            proc: dir.path().to_owned(),
        };
        let (finding, kernel) = source.examine();
        assert_eq!(finding, Finding::NoBtf);
        assert!(kernel.is_none());

        fs::write(&source.btf, b"not BTF").unwrap();
        let (finding, kernel) = source.examine();
        let Finding::Kernel { said, why: Some(_) } = finding else {
            panic!("{finding:?}");
        };
        // Its bytes are there to be published all the same.
        let kernel = kernel.unwrap();
        assert_eq!((kernel.digest, said.header), (said.btf, None));
        assert_eq!(&kernel.btf[..], b"not BTF");

        fs::remove_file(&source.btf).unwrap();
        fs::create_dir(&source.btf).unwrap();
        assert!(matches!(source.examine().0, Finding::Unreadable(_)));
    }

    #[test]
    fn boot_and_release_are_read_as_the_kernel_writes_them() {
        let dir = tempfile::tempdir().unwrap();
        let source = Source {
            btf: PathBuf::new(),
            proc: dir.path().to_owned(),
        };
        let none = Host {
            boot_id: None,
            release: None,
        };
        assert_eq!(source.host(), none);
        let random = dir.path().join("sys/kernel/random");
        fs::create_dir_all(&random).unwrap();
        fs::write(dir.path().join("sys/kernel/osrelease"), "6.1.0+x\n").unwrap();
        let id = "0b0e2a9c-1111-4222-8333-444455556666";
        for (text, read) in [(id, Some(id)), ("0B0E", None), ("", None)] {
            fs::write(random.join("boot_id"), format!("{text}\n")).unwrap();
            let host = source.host();
            assert_eq!(host.boot_id.as_deref(), read, "{text}");
            assert_eq!(host.release.as_deref(), Some("6.1.0+x"));
        }
    }
}
