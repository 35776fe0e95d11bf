//! Where BTF comes from: sysfs, raw files, ELF files, standard input.

use super::room::Room;
use anyhow::{Context, Result, bail};
use btfleet::artifact::{Arch, Release};
use btfleet::btf::elf;
use bytes::Bytes;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;

/// Where the running kernel describes itself and its modules.
pub const SYSFS: &str = "/sys/kernel/btf";
const SYSFS_MAGIC: u64 = 0x6265_6572;

/// BTF as it was found.
pub struct Input {
    /// How messages call it.
    pub name: String,
    /// The raw BTF: bytes that were read, or lie in the kernel's memory.
    pub btf: Bytes,
    /// The distilled base that an ELF module carries.
    pub distilled: Option<Vec<u8>>,
    /// The machine, where the input tells it.
    pub arch: Option<Arch>,
    /// The release, where this is the running kernel.
    pub release: Option<Release>,
    /// It is of an eBPF object, and so of no kernel.
    pub is_bpf: bool,
}

/// The first so many bytes of a room.
struct Filled(Room, usize);

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.0[..self.1]
    }
}

/// The running kernel's own BTF.
pub fn kernel_path() -> PathBuf {
    Path::new(SYSFS).join("vmlinux")
}

/// The running kernel's BTF for one of its modules.
pub fn module_path(name: &str) -> Result<PathBuf> {
    if name == "vmlinux" {
        bail!("vmlinux is the kernel itself, not a module: leave --module out");
    }
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        bail!("{name:?} is not a module's name");
    }
    // The kernel writes a module's name with underscores, whatever its file is called.
    let path = Path::new(SYSFS).join(name.replace('-', "_"));
    if !path.exists() {
        bail!(
            "{} does not exist: the module is not loaded, is built in (its types are the kernel's own), or was built without CONFIG_DEBUG_INFO_BTF_MODULES=y",
            path.display()
        );
    }
    Ok(path)
}

/// The base that goes without saying: the running kernel's, for BTF of one of its modules.
pub fn implied_base(path: &Path) -> Option<PathBuf> {
    let in_sysfs = path.parent() == Some(Path::new(SYSFS));
    (in_sysfs && path != kernel_path()).then(kernel_path)
}

/// Reads BTF: raw, or out of an ELF file. `-` is standard input.
pub fn read(path: &Path) -> Result<Input> {
    let own = path == kernel_path();
    let (name, opened) = if path == Path::new("-") {
        let fd = io::stdin().as_fd().try_clone_to_owned();
        ("standard input".to_owned(), fd.map(File::from))
    } else {
        (path.display().to_string(), File::open(path))
    };
    let mut input = match opened {
        Ok(file) => {
            read_file(&file, name.clone()).with_context(|| format!("cannot read {name}"))?
        }
        Err(e) if own && e.kind() == io::ErrorKind::NotFound => bail!(
            "{name} does not exist: this kernel was built without CONFIG_DEBUG_INFO_BTF=y (or /sys is not mounted); give the BTF or vmlinux of the kernel that is meant, from a machine that runs it or from its distribution's debug package"
        ),
        Err(e) => return Err(e).with_context(|| format!("cannot read {name}")),
    };
    if own {
        let uname = rustix::system::uname();
        let text = |s: &std::ffi::CStr| s.to_str().map(str::to_owned).unwrap_or_default();
        input.arch = text(uname.machine()).parse().ok();
        input.release = text(uname.release()).parse().ok();
    }
    Ok(input)
}

fn read_file(file: &File, name: String) -> Result<Input> {
    let meta = file.metadata()?;
    if meta.is_dir() {
        bail!("it is a folder");
    }
    let raw = |btf| Input {
        name: name.clone(),
        btf,
        distilled: None,
        arch: None,
        release: None,
        is_bpf: false,
    };
    if let Some(map) = map_sysfs(file) {
        return Ok(raw(Bytes::from_owner(map)));
    }
    let mut magic = [0; 4];
    if meta.is_file() && file.read_at(&mut magic, 0).is_ok_and(|n| n == 4) && elf::is_elf(&magic) {
        let cache = object::ReadCache::new(file);
        let found = elf::read(&cache)?;
        return Ok(from_elf(raw(Bytes::copy_from_slice(found.btf)), &found));
    }
    from_bytes(read_all(file, meta.len(), meta.is_file())?, name)
}

/// BTF that was read from somewhere: raw, or in an ELF file.
pub fn from_bytes(bytes: Bytes, name: String) -> Result<Input> {
    let raw = |btf| Input {
        name,
        btf,
        distilled: None,
        arch: None,
        release: None,
        is_bpf: false,
    };
    if elf::is_elf(&bytes) {
        let found = elf::read(&bytes[..])?;
        return Ok(from_elf(raw(Bytes::copy_from_slice(found.btf)), &found));
    }
    Ok(raw(bytes))
}

fn from_elf(input: Input, found: &elf::ElfBtf<'_>) -> Input {
    Input {
        distilled: found.base.map(<[u8]>::to_vec),
        arch: found.arch.and_then(|arch| arch.parse().ok()),
        is_bpf: found.is_bpf,
        ..input
    }
}

/// Fills a large room by two threads, a half each; tells how much was filled.
fn read_halves(file: &File, room: &mut [u8]) -> usize {
    const LARGE: usize = 1 << 20;
    if room.len() < LARGE {
        return 0;
    }
    let len = room.len();
    let (first, second) = room.split_at_mut(len / 2);
    let at = first.len() as u64;
    thread::scope(|s| {
        let helper = thread::Builder::new().spawn_scoped(s, || file.read_exact_at(second, at));
        let first = file.read_exact_at(first, 0);
        let second = helper.is_ok_and(|h| h.join().is_ok_and(|read| read.is_ok()));
        match first.is_ok() && second {
            true => len,
            false => 0,
        }
    })
}

/// Reads to the end, but no more than any BTF has; `len` is that of a file, and a hint of other things.
fn read_all(mut file: &File, len: u64, is_file: bool) -> Result<Bytes> {
    // One byte more than expected: a last read finds the end without growing.
    let len = len.clamp(64 << 10, elf::MAX_BTF) as usize + 1;
    let mut bytes = Room::new(len)?;
    // Standard input can be a file that somebody has read the beginning of.
    let mut filled = match is_file && file.stream_position().is_ok_and(|at| at == 0) {
        true => read_halves(file, &mut bytes[..len - 1]),
        false => 0,
    };
    if filled > 0 {
        file.seek(SeekFrom::Start(filled as u64))?;
    }
    loop {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => return Ok(Bytes::from_owner(Filled(bytes, filled))),
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
        if filled as u64 > elf::MAX_BTF {
            bail!(
                "it has more than {} MiB, which is no BTF; an ELF file that large must be given by name, not through a pipe",
                elf::MAX_BTF >> 20
            );
        }
        if filled == bytes.len() {
            let mut larger = Room::new(filled * 2)?;
            larger[..filled].copy_from_slice(&bytes);
            bytes = larger;
        }
    }
}

/// Maps a file of sysfs, where the kernel allows that (6.16 and later): it costs next to nothing, and
/// reading gets 4 KiB a call.
fn map_sysfs(file: &File) -> Option<memmap2::Mmap> {
    let fs = rustix::fs::fstatfs(file).ok()?;
    if fs.f_type as u64 != SYSFS_MAGIC {
        return None;
    }
    // A private map: the kernel refuses a shared one.
    // SAFETY: the map is read-only, and of a file in sysfs, as the file system's magic just said. What
    // lies there and can be mapped is the kernel's own BTF, which the kernel never changes or frees (a
    // module's cannot be mapped); unlike a regular file it cannot be cut short or written to by anybody while it is mapped.
    #[allow(unsafe_code)]
    unsafe {
        memmap2::MmapOptions::new()
            .populate()
            .map_copy_read_only(file)
    }
    .ok()
}
