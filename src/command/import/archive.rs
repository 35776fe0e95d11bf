//! RELEASE.btf.tar.xz: one file of BTF in an archive from outside, read with bounds on all that it may cost.

use anyhow::{Context, Result, bail};
use btfleet::artifact::MAX_BLOB;
use lzma_rust2::XzReader;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path};
use tar::{Archive, EntryType};

/// What decompressing may take, in KiB: `xz -9` needs 65 MiB.
const MEMORY: u32 = 80 << 10;
/// What an archive may hold beside the BTF: headers and padding.
const BESIDE: u64 = 1 << 20;

/// The BTF in an archive.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let file = BufReader::new(File::open(path)?);
    let unpacked = XzReader::new_mem_limit(file, true, MEMORY);
    unpack(unpacked.take(MAX_BLOB + BESIDE)).context("it is not a .tar.xz of one .btf file")
}

fn unpack(from: impl Read) -> Result<Vec<u8>> {
    let mut archive = Archive::new(from);
    let mut btf = None;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        match entry.header().entry_type() {
            EntryType::Regular => {}
            // Where the archive was made from a folder.
            EntryType::Directory => continue,
            other => bail!("{name:?} in it is of type {other:?}, not a file"),
        }
        // It is never written under this name; but who names it so means no good.
        let plain = name
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !plain || name.extension().is_none_or(|ext| ext != "btf") {
            bail!("{name:?} in it is no name of a .btf file");
        }
        if btf.is_some() {
            bail!("it holds more than one file");
        }
        let size = entry.size();
        if size > MAX_BLOB {
            bail!("{name:?} in it says that it has {size} bytes, more than {MAX_BLOB}");
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        if bytes.len() as u64 != size {
            bail!(
                "{name:?} in it is cut short: {} of {size} bytes",
                bytes.len()
            );
        }
        btf = Some(bytes);
    }
    btf.context("it holds no file")
}
