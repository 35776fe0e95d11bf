//! BTF in ELF files: a `vmlinux`, a kernel module, an eBPF object.

use object::Endianness;
use object::elf;
use object::read::ReadRef;
use object::read::elf::{FileHeader, SectionHeader};

/// Largest BTF that is taken from an ELF: today's kernels have 4 to 10 MB.
pub const MAX_BTF: u64 = 256 << 20;
/// Largest tables of section headers and of section names that are read: a kernel's have a few KB,
/// one with a section for each function a few MB.
const MAX_TABLE: u64 = 32 << 20;

/// The BTF of an ELF file, as it lies there: not parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElfBtf<'d> {
    /// Contents of `.BTF`.
    pub btf: &'d [u8],
    /// Contents of `.BTF.base`: the distilled base of an out-of-tree or distribution module
    /// (kernels 6.11 and later). See [`super::relocate`].
    pub base: Option<&'d [u8]>,
    /// The machine it was built for, in Kubernetes' spelling (`amd64`, `arm64`, …); `None` for an eBPF
    /// object, which was built for no kernel's machine, and for a machine that has no such spelling.
    pub arch: Option<&'static str>,
    /// The ELF is an eBPF object: its BTF describes a program and not a kernel.
    pub is_bpf: bool,
}

/// Why an ELF file gives no BTF.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// Too short for an ELF header, or of an unknown class or byte order.
    #[error("not a usable ELF file: its header is cut short or malformed")]
    Header,
    /// The table of sections lies outside the file, or is of an odd size.
    #[error(
        "the ELF's section table (at byte {offset}) lies outside the file ({len} bytes) or is malformed: the file is cut short or damaged"
    )]
    Table {
        /// Where the header says it is.
        offset: u64,
        /// The file's length.
        len: u64,
    },
    /// There is no `.BTF` section.
    #[error(
        "this ELF file has no .BTF section: a kernel has it if it was built with CONFIG_DEBUG_INFO_BTF=y (and a module with CONFIG_DEBUG_INFO_BTF_MODULES=y); on a machine that runs such a kernel it is also in /sys/kernel/btf/, and distributions ship it in the vmlinux of their kernel debug packages"
    )]
    NoBtf,
    /// A section is there by name, but has no bytes.
    #[error(
        "the {0} section of this ELF file has no contents (a file of split-off debug symbols?): take the vmlinux or module itself"
    )]
    NoContents(&'static str),
    /// A section is compressed; no kernel build does that to BTF.
    #[error(
        "the {0} section of this ELF file is compressed: decompress it with `objcopy --decompress-debug-sections` first"
    )]
    Compressed(&'static str),
    /// A section lies outside the file.
    #[error(
        "the {name} section lies outside the file: it ends at byte {end}, the file has {len} bytes; it is cut short or damaged"
    )]
    Outside {
        /// Which section.
        name: &'static str,
        /// The byte at which it ends.
        end: u64,
        /// The file's length.
        len: u64,
    },
    /// A section is larger than any BTF.
    #[error("the {name} section is {size} bytes long, more than the {MAX_BTF} that are accepted")]
    TooLarge {
        /// Which section.
        name: &'static str,
        /// How large it says it is.
        size: u64,
    },
}

/// Whether `bytes` begin as an ELF file does.
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(&elf::ELFMAG)
}

/// Finds `.BTF` and `.BTF.base` in an ELF file of either class and byte order.
///
/// `file` is a byte slice or a `&object::ReadCache`, of which only the header, the tables of sections and
/// the two sections are read: a `vmlinux` with a gigabyte of debug information costs no more than its BTF.
///
/// # Errors
/// [`ElfError`]: no ELF, no BTF in it, or sections that lie outside the file.
pub fn read<'d, R: ReadRef<'d>>(file: R) -> Result<ElfBtf<'d>, ElfError> {
    let ident = file.read_bytes_at(0, 16).map_err(|()| ElfError::Header)?;
    match ident.get(4) {
        Some(1) => read_class::<elf::FileHeader32<Endianness>, R>(file),
        Some(2) => read_class::<elf::FileHeader64<Endianness>, R>(file),
        _ => Err(ElfError::Header),
    }
}

fn read_class<'d, H, R>(file: R) -> Result<ElfBtf<'d>, ElfError>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let header = H::parse(file).map_err(|_| ElfError::Header)?;
    let endian = header.endian().map_err(|_| ElfError::Header)?;
    let len = file.len().map_err(|()| ElfError::Header)?;
    let table = ElfError::Table {
        offset: header.e_shoff(endian).into(),
        len,
    };
    let count = u64::from(header.shnum(endian, file).map_err(|_| table.clone())?);
    if count.saturating_mul(size_of::<H::SectionHeader>() as u64) > MAX_TABLE {
        return Err(table);
    }
    let sections = header
        .section_headers(endian, file)
        .map_err(|_| table.clone())?;
    let names = match sections {
        [] => &[][..],
        _ => {
            let index = header
                .section_strings_index(endian, file)
                .map_err(|_| table.clone())?;
            let strings = sections.get(index.0).ok_or_else(|| table.clone())?;
            // The whole table at once: reading name by name would keep a copy of each.
            match strings.file_range(endian) {
                Some((at, size)) if size <= MAX_TABLE => {
                    file.read_bytes_at(at, size).map_err(|()| table.clone())?
                }
                _ => return Err(table),
            }
        }
    };
    let find = |name: &'static str| -> Result<Option<&'d [u8]>, ElfError> {
        let Some(section) = sections.iter().find(|section| {
            let tail = names.get(section.sh_name(endian) as usize..);
            tail.and_then(|tail| tail.strip_prefix(name.as_bytes()))
                .is_some_and(|rest| rest.first() == Some(&0))
        }) else {
            return Ok(None);
        };
        if section.sh_flags(endian).contains(elf::SHF_COMPRESSED) {
            return Err(ElfError::Compressed(name));
        }
        let Some((at, size)) = section.file_range(endian) else {
            return Err(ElfError::NoContents(name));
        };
        let end = at.saturating_add(size);
        if end > len {
            return Err(ElfError::Outside { name, end, len });
        }
        match size {
            0 => Err(ElfError::NoContents(name)),
            s if s > MAX_BTF => Err(ElfError::TooLarge { name, size }),
            _ => match file.read_bytes_at(at, size) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(()) => Err(ElfError::Outside { name, end, len }),
            },
        }
    };
    let machine = header.e_machine(endian);
    Ok(ElfBtf {
        btf: find(".BTF")?.ok_or(ElfError::NoBtf)?,
        base: find(".BTF.base")?,
        arch: arch(machine, header.is_class_64(), header.is_little_endian()),
        is_bpf: machine == elf::EM_BPF,
    })
}

/// Kubernetes' (that is Go's) name of a machine.
fn arch(machine: elf::Machine, wide: bool, little: bool) -> Option<&'static str> {
    Some(match (machine, wide, little) {
        (elf::EM_X86_64, ..) => "amd64",
        (elf::EM_386, ..) => "386",
        (elf::EM_AARCH64, _, true) => "arm64",
        (elf::EM_ARM, _, true) => "arm",
        (elf::EM_S390, true, false) => "s390x",
        (elf::EM_PPC64, _, true) => "ppc64le",
        (elf::EM_PPC64, _, false) => "ppc64",
        (elf::EM_RISCV, true, true) => "riscv64",
        (elf::EM_LOONGARCH, true, true) => "loong64",
        (elf::EM_MIPS, true, true) => "mips64le",
        (elf::EM_MIPS, true, false) => "mips64",
        (elf::EM_MIPS, false, true) => "mipsle",
        (elf::EM_MIPS, false, false) => "mips",
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    /// A section to build: name, flags, type (1 PROGBITS, 8 NOBITS), contents.
    type Section<'a> = (&'a str, u32, u32, &'a [u8]);

    /// A minimal ELF file.
    fn elf(wide: bool, little: bool, machine: u16, sections: &[Section<'_>]) -> Vec<u8> {
        let int = |v: u64, n: usize| -> Vec<u8> {
            match little {
                true => v.to_le_bytes()[..n].to_vec(),
                false => v.to_be_bytes()[8 - n..].to_vec(),
            }
        };
        let word = if wide { 8 } else { 4 };
        let (ehsize, shentsize) = if wide { (64, 64) } else { (52, 40) };
        let mut names = vec![0u8];
        let mut body = Vec::new();
        let mut rows = vec![(0u64, 0u32, 0u32, 0u64, 0u64)];
        for (name, flags, kind, data) in sections {
            let at = names.len() as u64;
            names.extend(name.bytes().chain([0]));
            rows.push((
                at,
                *flags,
                *kind,
                ehsize + body.len() as u64,
                data.len() as u64,
            ));
            if *kind != 8 {
                body.extend_from_slice(data);
            }
        }
        let strings_at = ehsize + body.len() as u64;
        rows.push((0, 0, 3, strings_at, names.len() as u64));
        body.extend_from_slice(&names);
        let shoff = ehsize + body.len() as u64;
        let mut out = vec![
            0x7f,
            b'E',
            b'L',
            b'F',
            1 + u8::from(wide),
            2 - u8::from(little),
            1,
        ];
        out.resize(16, 0);
        out.extend(int(1, 2));
        out.extend(int(machine.into(), 2));
        out.extend(int(1, 4));
        for v in [0, 0, shoff] {
            out.extend(int(v, word));
        }
        out.extend(int(0, 4));
        for v in [ehsize, 0, 0, shentsize, rows.len() as u64] {
            out.extend(int(v, 2));
        }
        out.extend(int(rows.len() as u64 - 1, 2));
        out.extend_from_slice(&body);
        for (name, flags, kind, at, size) in rows {
            out.extend(int(name, 4));
            out.extend(int(kind.into(), 4));
            out.extend(int(flags.into(), word));
            out.extend(int(0, word));
            out.extend(int(at, word));
            out.extend(int(size, word));
            out.extend(int(0, 8));
            out.extend(int(1, word));
            out.extend(int(0, word));
        }
        out
    }

    #[test]
    fn sections_and_arch_are_found_in_every_class_and_byte_order() {
        let cases = [
            (true, true, 62, Some("amd64"), false),
            (true, true, 183, Some("arm64"), false),
            (true, false, 22, Some("s390x"), false),
            (true, true, 21, Some("ppc64le"), false),
            (true, true, 243, Some("riscv64"), false),
            (false, true, 40, Some("arm"), false),
            (true, true, 247, None, true),
            (true, false, 247, None, true),
        ];
        for (wide, little, machine, arch, is_bpf) in cases {
            let file = elf(
                wide,
                little,
                machine,
                &[
                    (".BTF.ext", 0, 1, b"no"),
                    (".BTF", 0, 1, b"types"),
                    (".BTF.base", 0, 1, b"base"),
                ],
            );
            let want = ElfBtf {
                btf: b"types",
                base: Some(b"base"),
                arch,
                is_bpf,
            };
            assert_eq!(read(&file[..]), Ok(want), "machine {machine}");
            let cache = object::ReadCache::new(std::io::Cursor::new(&file));
            assert_eq!(read(&cache), Ok(want), "machine {machine}, by seek");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases: [(&[Section<'_>], ElfError); 4] = [
            (&[(".text", 0, 1, b"x")], ElfError::NoBtf),
            (&[(".BTF", 0x800, 1, b"x")], ElfError::Compressed(".BTF")),
            (&[(".BTF", 0, 8, b"xxxx")], ElfError::NoContents(".BTF")),
            (&[(".BTF", 0, 1, b"")], ElfError::NoContents(".BTF")),
        ];
        for (sections, want) in cases {
            assert_eq!(read(&elf(true, true, 62, sections)[..]), Err(want));
        }
    }

    #[test]
    fn a_section_outside_the_file_is_an_error() {
        let mut file = elf(true, true, 62, &[(".BTF", 0, 1, b"types")]);
        let size_at = file.len() - 2 * 64 + 32;
        file[size_at..size_at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(
            read(&file[..]),
            Err(ElfError::Outside { name: ".BTF", .. })
        ));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let file = elf(true, true, 62, &[(".BTF", 0, 1, b"types")]);
        for len in 0..file.len() {
            assert!(read(&file[..len]).is_err(), "cut at {len}");
        }
    }
}
