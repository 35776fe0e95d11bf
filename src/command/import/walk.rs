//! Files to import, and what their places say: DISTRO/VERSION/ARCH/RELEASE.btf.tar.xz, as BTFHub has them.

use anyhow::Result;
use btfleet::artifact::{Arch, NameError, Release};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file to import.
#[derive(Debug)]
pub struct Found {
    pub path: PathBuf,
    /// It is an archive that holds one file of BTF.
    pub is_archive: bool,
    /// What the folder that it lies in says.
    pub arch: Option<Arch>,
    /// Its name without its ending, where that is a release.
    stem: Option<String>,
}

impl Found {
    /// The release that the file's name gives.
    pub fn release(&self) -> Result<Option<Release>, NameError> {
        self.stem.as_deref().map(str::parse).transpose()
    }
}

const ARCHIVE: &str = ".btf.tar.xz";
const PLAIN: &str = ".btf";

/// The file itself, or all files below a folder whose names end as BTF's do, by name.
pub fn files(path: &Path) -> io::Result<Vec<Found>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![found(path.to_owned(), false)]);
    }
    let mut files = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            // Not through symbolic links to folders: they could lead anywhere, and in circles.
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name().to_str().is_some_and(is_btf) && entry.path().is_file() {
                files.push(found(entry.path(), true));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn is_btf(name: &str) -> bool {
    name.ends_with(ARCHIVE) || name.ends_with(PLAIN)
}

/// In a folder of many a file's place must tell what it is; of one that was named it may.
fn found(path: PathBuf, walked: bool) -> Found {
    let name = path
        .file_name()
        .and_then(|n| n.to_str())
        .unwrap_or_default();
    let folder = path
        .parent()
        .and_then(|f| f.file_name())
        .and_then(|n| n.to_str());
    let arch: Option<Arch> = folder.and_then(|folder| folder.parse().ok());
    let is_archive = name.ends_with(ARCHIVE);
    let stem = name.strip_suffix(ARCHIVE).or(name.strip_suffix(PLAIN));
    // The name of a file that lies anywhere says nothing.
    let telling = is_archive || walked || arch.is_some();
    Found {
        is_archive,
        stem: stem.filter(|_| telling).map(str::to_owned),
        arch,
        path,
    }
}
