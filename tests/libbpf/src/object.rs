//! A compiled eBPF object: its BTF, its instructions, and where its `.BTF.ext` has CO-RE relocations.

use anyhow::{Context, Result, ensure};
use libbpf_sys::bpf_core_relo;
use object::read::elf::{ElfFile64, FileHeader as _};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

use crate::btf::Btf;

/// Bytes of an instruction.
pub const INSN: usize = 8;

pub struct Object {
    pub btf: Btf<'static>,
    pub big_endian: bool,
    pub relocations: Vec<Relocation>,
}

/// A record of `.BTF.ext`, where it is and what it changes.
pub struct Relocation {
    pub section: String,
    /// Its number among the section's, as libbpf's messages have it.
    pub number: usize,
    /// The function that holds the instruction; none if it was replaced when objects were linked.
    pub function: Option<String>,
    /// The function's first instruction, counted in the section.
    pub function_at: usize,
    /// Whether `SEC("?…")` leaves the loading of it to the user.
    pub optional: bool,
    pub record: bpf_core_relo,
    /// The instruction and the next, in this machine's byte order; the next is empty past the end.
    pub code: [u8; 2 * INSN],
}

impl Relocation {
    /// Which instruction of its section.
    pub fn instruction(&self) -> usize {
        self.record.insn_off as usize / INSN
    }
}

impl Object {
    pub fn read(elf: &[u8]) -> Result<Object> {
        let file = ElfFile64::<object::Endianness>::parse(elf)?;
        let big_endian = file.elf_header().is_big_endian();
        let contents = |name: &str| {
            let section = file
                .section_by_name(name)
                .with_context(|| format!("the object has no {name}"))?;
            section.data().with_context(|| name.to_owned())
        };
        let btf = Btf::new(contents(".BTF")?, None)?;
        let mut relocations = Vec::new();
        for (name_at, number, record) in records(contents(".BTF.ext")?)? {
            let name = btf.string(name_at).context("a section's name")?;
            let section = name.to_str()?.to_owned();
            let found = file
                .section_by_name(&section)
                .with_context(|| format!("no section {section}"))?;
            let at = u64::from(record.insn_off);
            let function = file.symbols().find(|symbol| {
                symbol.kind() == object::SymbolKind::Text
                    && symbol.section_index() == Some(found.index())
                    && (symbol.address()..symbol.address() + symbol.size()).contains(&at)
            });
            let data = found.data()?;
            let mut code = [0; 2 * INSN];
            for (to, from) in code.chunks_mut(INSN).zip(
                data.get(at as usize..)
                    .context("an instruction")?
                    .chunks_exact(INSN),
            ) {
                to.copy_from_slice(from);
                if big_endian == cfg!(target_endian = "little") {
                    swap(to);
                }
            }
            relocations.push(Relocation {
                optional: section.starts_with('?'),
                number,
                function: function
                    .as_ref()
                    .map(|symbol| symbol.name().map(str::to_owned))
                    .transpose()?,
                function_at: function.map_or(0, |symbol| symbol.address() as usize / INSN),
                section,
                record,
                code,
            });
        }
        Ok(Object {
            btf,
            big_endian,
            relocations,
        })
    }
}

/// `struct bpf_insn` in the other byte order: an opcode, two registers of four bits, an offset, a constant.
fn swap(insn: &mut [u8]) {
    insn[1] = insn[1].rotate_left(4);
    insn[2..4].reverse();
    insn[4..8].reverse();
}

/// The section's name, the number in it and the record of each CO-RE relocation.
fn records(ext: &[u8]) -> Result<Vec<(u32, usize, bpf_core_relo)>> {
    let native = native(ext)?;
    let word = |at: usize| -> Result<u32> {
        let bytes = native.get(at..at + 4).context(".BTF.ext ends early")?;
        Ok(u32::from_ne_bytes(bytes.try_into()?))
    };
    let header = word(4)? as usize;
    let mut records = Vec::new();
    // `core_relo_off` and `core_relo_len` came to the header later.
    if header < 32 {
        return Ok(records);
    }
    let (start, len) = (header + word(24)? as usize, word(28)? as usize);
    if len == 0 {
        return Ok(records);
    }
    let (size, mut at) = (word(start)? as usize, start + 4);
    while at < start + len {
        let (name, count) = (word(at)?, word(at + 4)? as usize);
        at += 8;
        for number in 0..count {
            let record = bpf_core_relo {
                insn_off: word(at)?,
                type_id: word(at + 4)?,
                access_str_off: word(at + 8)?,
                kind: word(at + 12)?,
            };
            records.push((name, number, record));
            at += size;
        }
    }
    Ok(records)
}

/// `.BTF.ext` as libbpf gives it after its own checks, in this machine's byte order.
fn native(ext: &[u8]) -> Result<Vec<u8>> {
    let order = if cfg!(target_endian = "big") {
        libbpf_sys::BTF_BIG_ENDIAN
    } else {
        libbpf_sys::BTF_LITTLE_ENDIAN
    };
    // SAFETY: libbpf copies `size` bytes from a slice of that length, and gives `len` bytes that live as long as
    // `parsed`, which is freed once.
    unsafe {
        let parsed = libbpf_sys::btf_ext__new(ext.as_ptr(), u32::try_from(ext.len())?);
        ensure!(!parsed.is_null(), "libbpf does not read this .BTF.ext");
        libbpf_sys::btf_ext__set_endianness(parsed, order);
        let mut len = 0;
        let bytes = libbpf_sys::btf_ext__raw_data(parsed, &raw mut len);
        let copy = std::slice::from_raw_parts(bytes.cast::<u8>(), len as usize).to_vec();
        libbpf_sys::btf_ext__free(parsed);
        Ok(copy)
    }
}
