//! The file: sections, symbols and relocations of ELF, and what `.BTF.ext` adds to them.

use super::{
    CoreKind, Extern, ExternKind, Function, Line, Object, ObjectError, Reference, Relocation,
    StructOps,
};
use crate::btf::{Btf, Kind, StrOffset, TypeId};
use crate::relo::check::compat::skip;
use crate::relo::check::ext;
use crate::relo::check::insn::{CALL, INSN, Insn};
use crate::relo::content::name_within;
use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, Rel, SectionHeader, SectionTable, Sym, SymbolTable};
use std::collections::{HashMap, HashSet};

type Elf = elf::FileHeader64<Endianness>;

/// ELF relocations of an eBPF object (`R_BPF_64_64`, `R_BPF_64_32`).
const R_BPF_64_64: u32 = 1;
const R_BPF_64_32: u32 = 10;

/// Most instructions that an object may have: the kernel takes a million a program. No more ELF relocations either, and
/// members of maps of callbacks.
const MAX_INSNS: usize = 4 << 20;
/// The longest name of a symbol or section, in bytes; the kernel's are of at most 512.
const MAX_NAME: usize = 2048;

struct File<'d> {
    bytes: &'d [u8],
    endian: Endianness,
    sections: SectionTable<'d, Elf>,
    symbols: SymbolTable<'d, Elf>,
}

fn bad(e: impl std::fmt::Display) -> ObjectError {
    ObjectError::Elf(e.to_string())
}

/// Reads an object that clang made.
pub(super) fn read(bytes: &[u8]) -> Result<Object<'_>, ObjectError> {
    let header = Elf::parse(bytes).map_err(bad)?;
    let endian = header.endian().map_err(bad)?;
    if header.e_machine(endian) != elf::EM_BPF {
        return Err(ObjectError::NotBpf);
    }
    let sections = header.sections(endian, bytes).map_err(bad)?;
    let symbols = sections
        .symbols(endian, bytes, elf::SHT_SYMTAB)
        .map_err(bad)?;
    let file = File {
        bytes,
        endian,
        sections,
        symbols,
    };
    file.read()
}

impl<'d> File<'d> {
    fn read(&self) -> Result<Object<'d>, ObjectError> {
        self.no_long_names()?;
        let big = self.endian == Endianness::Big;
        let btf = Btf::parse(self.section(".BTF")?.ok_or(ObjectError::NoBtf)?)?;
        let mut functions = self.functions(big)?;
        if functions.is_empty() {
            return Err(ObjectError::NoProgram);
        }
        let (externs, extern_of) = self.externs(&btf)?;
        let (relocations, places) = (self.elf_relocations()?, places(&functions));
        self.references(&mut functions, &extern_of, &relocations, &places)?;
        if let Some(ext) = self.section(".BTF.ext")? {
            let ext = ext::parse(ext, big)?;
            self.lines(&btf, &ext, &mut functions);
            self.relocations(&btf, &ext, &mut functions)?;
        }
        let struct_ops = self.struct_ops(&btf, &relocations, &places)?;
        Ok(Object {
            btf,
            functions,
            externs,
            struct_ops,
        })
    }

    /// Names end soon: a file can name its last byte from a million places.
    fn no_long_names(&self) -> Result<(), ObjectError> {
        for section in self.sections.iter() {
            if section.sh_type(self.endian) != elf::SHT_STRTAB {
                continue;
            }
            let data = section.data(self.endian, self.bytes).map_err(bad)?;
            if data.split(|b| *b == 0).any(|name| name.len() > MAX_NAME) {
                return Err(ObjectError::Elf(format!(
                    "a name of more than {MAX_NAME} bytes"
                )));
            }
        }
        Ok(())
    }

    fn name_of(
        &self,
        section: &'d elf::SectionHeader64<Endianness>,
    ) -> Result<&'d str, ObjectError> {
        let name = self
            .sections
            .section_name(self.endian, section)
            .map_err(bad)?;
        std::str::from_utf8(name)
            .map_err(|_| ObjectError::Elf("a section's name is not text".into()))
    }

    fn section(&self, name: &str) -> Result<Option<&'d [u8]>, ObjectError> {
        let found = self.sections.section_by_name(self.endian, name.as_bytes());
        let data = found.map(|(_, section)| section.data(self.endian, self.bytes).map_err(bad));
        data.transpose()
    }

    fn symbol_name(&self, symbol: &elf::Sym64<Endianness>) -> Result<&'d str, ObjectError> {
        let name = symbol
            .name(self.endian, self.symbols.strings())
            .map_err(bad)?;
        std::str::from_utf8(name)
            .map_err(|_| ObjectError::Elf("a symbol's name is not text".into()))
    }

    /// All functions of all sections of code, by section and place.
    fn functions(&self, big: bool) -> Result<Vec<Function<'d>>, ObjectError> {
        let mut functions = Vec::new();
        let mut insns_of_all = 0usize;
        for symbol in self.symbols.iter() {
            if symbol.st_type() != elf::STT_FUNC {
                continue;
            }
            let index = usize::from(symbol.st_shndx(self.endian).0);
            let Ok(section) = self.sections.section(object::SectionIndex(index)) else {
                continue;
            };
            let full = self.name_of(section)?;
            let err = |at: u64, what: &'static str| ObjectError::Section {
                section: full.to_owned(),
                at,
                what,
            };
            let code = section.data(self.endian, self.bytes).map_err(bad)?;
            let (at, size) = (symbol.st_value(self.endian), symbol.st_size(self.endian));
            let range = || {
                let (from, len) = (usize::try_from(at).ok()?, usize::try_from(size).ok()?);
                code.get(from..from.checked_add(len)?)
            };
            let body = range().ok_or(err(at, "a function lies outside"))?;
            if at % INSN as u64 != 0 || body.len() % INSN != 0 || body.is_empty() {
                return Err(err(at, "a function is not made of whole instructions"));
            }
            insns_of_all = insns_of_all.saturating_add(body.len() / INSN);
            if insns_of_all > MAX_INSNS {
                return Err(err(at, "there are more instructions than any kernel takes"));
            }
            let insns = body.as_chunks::<INSN>().0.iter();
            let is_local = symbol.st_bind() == elf::STB_LOCAL;
            let is_hidden = symbol.st_visibility() == elf::STV_HIDDEN;
            functions.push(Function {
                name: self.symbol_name(symbol)?,
                section: full.strip_prefix('?').unwrap_or(full),
                is_optional: full.starts_with('?'),
                is_program: full != ".text",
                is_global: !is_local && !is_hidden,
                insns: insns.map(|insn| Insn::read(*insn, big)).collect(),
                start: (at / INSN as u64) as usize,
                relocations: Vec::new(),
                references: HashMap::new(),
                lines: Vec::new(),
                section_index: index,
            });
        }
        functions.sort_by_key(|f| (f.section_index, f.start));
        // A lone function without a section of its own is a program.
        if let [only] = functions.as_mut_slice() {
            only.is_program = true;
        }
        Ok(functions)
    }

    /// What the object names of the kernel, and which symbol is which.
    fn externs(
        &self,
        btf: &Btf<'d>,
    ) -> Result<(Vec<Extern<'d>>, HashMap<usize, usize>), ObjectError> {
        // Where each name was declared: section and type.
        let mut declared: HashMap<&[u8], (&[u8], TypeId)> = HashMap::new();
        for section in btf.types().filter(|ty| ty.kind() == Kind::Datasec) {
            for var in section.section_vars() {
                let name = btf.name(btf.ty(var.ty).name());
                declared.insert(name, (btf.name(section.name()), var.ty));
            }
        }
        let (mut externs, mut of_symbol) = (Vec::new(), HashMap::new());
        for (index, symbol) in self.symbols.enumerate() {
            let is_extern = symbol.st_shndx(self.endian) == elf::SHN_UNDEF
                && symbol.st_type() == elf::STT_NOTYPE
                && symbol.st_bind() != elf::STB_LOCAL;
            let name = self.symbol_name(symbol)?;
            if !is_extern || name.is_empty() {
                continue;
            }
            let Some((section, id)) = declared.get(name.as_bytes()) else {
                continue;
            };
            let ty = btf.ty(*id);
            let kind = match (*section, ty.kind()) {
                (b".kconfig", _) => ExternKind::Config,
                (b".ksyms", Kind::Func) => ExternKind::Kfunc(ty.target()),
                (b".ksyms", _) => match skip(btf, ty.target()) {
                    Ok(TypeId::VOID) | Err(_) => ExternKind::Symbol,
                    Ok(id) => ExternKind::Variable(id),
                },
                _ => continue,
            };
            of_symbol.insert(index.0, externs.len());
            externs.push(Extern {
                name,
                is_weak: symbol.st_bind() == elf::STB_WEAK,
                kind,
            });
        }
        Ok((externs, of_symbol))
    }

    /// What the instructions of each function refer to.
    fn references(
        &self,
        functions: &mut [Function<'d>],
        extern_of: &HashMap<usize, usize>,
        relocations: &Symbols,
        places: &Begin,
    ) -> Result<(), ObjectError> {
        for function in functions.iter_mut() {
            let mut found = HashMap::new();
            let mut at = 0;
            while let Some(insn) = function.insns.get(at).copied() {
                let place = function.start + at;
                let err = |what| ObjectError::Section {
                    section: function.section.to_owned(),
                    at: (place * INSN) as u64,
                    what,
                };
                let is_local_call = insn.code == CALL && insn.src == 1;
                if let Some(symbol_index) = relocations.get(&(function.section_index, place * INSN))
                {
                    let symbol = self
                        .symbols
                        .symbol(object::SymbolIndex(*symbol_index))
                        .map_err(bad)?;
                    let section = usize::from(symbol.st_shndx(self.endian).0);
                    let base = symbol.st_value(self.endian) / INSN as u64;
                    let is_code = self.is_code(section);
                    let into = match is_local_call {
                        true => i64::from(insn.imm) + 1,
                        false => i64::from(insn.imm) / INSN as i64,
                    };
                    let target = usize::try_from(into.saturating_add_unsigned(base)).ok();
                    if let Some(n) = extern_of.get(symbol_index) {
                        found.insert(at, Reference::Extern(*n));
                    } else if is_code && (is_local_call || insn.is_wide()) {
                        let callee = target.and_then(|t| places.get(&(section, t)));
                        let callee = callee.ok_or(err("it leads to no function"))?;
                        found.insert(at, Reference::Function(*callee));
                    } else {
                        found.insert(at, Reference::Data);
                    }
                } else if is_local_call {
                    let target = (place as i64)
                        .saturating_add(i64::from(insn.imm))
                        .saturating_add(1);
                    let callee = usize::try_from(target).ok();
                    let callee = callee.and_then(|t| places.get(&(function.section_index, t)));
                    let callee = callee.ok_or(err("a call leads to no function"))?;
                    found.insert(at, Reference::Function(*callee));
                }
                at += if insn.is_wide() { 2 } else { 1 };
            }
            function.references = found;
        }
        Ok(())
    }

    fn is_code(&self, section: usize) -> bool {
        let section = self.sections.section(object::SectionIndex(section));
        section.is_ok_and(|s| s.sh_flags(self.endian).contains(elf::SHF_EXECINSTR))
    }

    fn elf_relocations(&self) -> Result<Symbols, ObjectError> {
        let (mut all, mut looked) = (Symbols::new(), 0usize);
        for section in self.sections.iter() {
            let Some((relocations, _)) = section.rel(self.endian, self.bytes).map_err(bad)? else {
                continue;
            };
            let of = section.sh_info(self.endian) as usize;
            if relocations.len() > MAX_INSNS.saturating_sub(looked) {
                return Err(ObjectError::Elf("there are too many relocations".into()));
            }
            looked += relocations.len();
            for relocation in relocations {
                let kind = relocation.r_type(self.endian);
                if ![R_BPF_64_64, R_BPF_64_32].contains(&kind.0) {
                    continue;
                }
                let at = usize::try_from(relocation.r_offset(self.endian)).map_err(bad)?;
                let symbol = relocation.r_sym(self.endian) as usize;
                all.insert((of, at), symbol);
            }
        }
        Ok(all)
    }

    fn lines(&self, btf: &Btf<'d>, ext: &ext::Ext<'d>, functions: &mut [Function<'d>]) {
        let places = Places::new(functions);
        for block in &ext.lines {
            let section = string(btf, block.section);
            for [offset, file, text, place] in block.records::<4>() {
                let at = offset as usize / INSN;
                if let Some(function) = places.find(functions, section, at) {
                    function.lines.push(Line {
                        insn: at - function.start,
                        file: string(btf, file),
                        line: place >> 10,
                        text: string(btf, text),
                    });
                }
            }
        }
        for function in functions {
            function.lines.sort_by_key(|line| line.insn);
        }
    }

    fn relocations(
        &self,
        btf: &Btf<'d>,
        ext: &ext::Ext<'d>,
        functions: &mut [Function<'d>],
    ) -> Result<(), ObjectError> {
        let places = Places::new(functions);
        for block in &ext.relocations {
            let section = string(btf, block.section);
            let err = |at: u32, what| ObjectError::Section {
                section: String::from_utf8_lossy(section).into_owned(),
                at: at.into(),
                what,
            };
            for [offset, ty, access, kind] in block.records::<4>() {
                if !(offset as usize).is_multiple_of(INSN) {
                    return Err(err(offset, "a CO-RE relocation between two instructions"));
                }
                let kind = CoreKind::from_raw(kind)
                    .ok_or(err(offset, "a CO-RE relocation of an unknown kind"))?;
                if ty >= btf.end_id() {
                    return Err(err(
                        offset,
                        "a CO-RE relocation of a type that is not there",
                    ));
                }
                // What the linker left of a function that another one replaced is passed over.
                let at = offset as usize / INSN;
                let Some(function) = places.find(functions, section, at) else {
                    continue;
                };
                function.relocations.push(Relocation {
                    insn: at - function.start,
                    kind,
                    ty: TypeId(ty),
                    access: string(btf, access),
                });
            }
        }
        Ok(())
    }

    fn struct_ops(
        &self,
        btf: &Btf<'d>,
        relocations: &Symbols,
        places: &Begin,
    ) -> Result<Vec<StructOps<'d>>, ObjectError> {
        let mut maps = Vec::new();
        let (mut seen, mut looked) = (HashSet::new(), 0usize);
        for datasec in btf.types().filter(|ty| ty.kind() == Kind::Datasec) {
            let full = btf.name(datasec.name());
            let name = full.strip_prefix(b"?").unwrap_or(full);
            let is_of_maps = [&b".struct_ops"[..], b".struct_ops.link"].contains(&name);
            if !is_of_maps || !seen.insert(full) {
                continue;
            }
            let Some((index, section)) = self.sections.section_by_name(self.endian, full) else {
                continue;
            };
            let data = section.data(self.endian, self.bytes).map_err(bad)?;
            let vars = datasec.section_vars().map(|var| btf.ty(var.ty));
            let vars: HashMap<&[u8], TypeId> = vars
                .map(|var| (btf.name(var.name()), var.target()))
                .collect();
            for symbol in self.symbols.iter() {
                let at = symbol.st_value(self.endian) as usize;
                let name = self.symbol_name(symbol)?;
                if usize::from(symbol.st_shndx(self.endian).0) != index.0
                    || symbol.st_type() != elf::STT_OBJECT
                {
                    continue;
                }
                let Some(ty) = vars.get(name.as_bytes()) else {
                    continue;
                };
                let ty = skip(btf, *ty).unwrap_or_default();
                let size = btf.ty(ty).size() as usize;
                let err = |what| ObjectError::Section {
                    section: String::from_utf8_lossy(full).into_owned(),
                    at: at as u64,
                    what,
                };
                let bytes = data.get(at..at.saturating_add(size));
                let bytes = bytes.ok_or(err("a variable lies outside"))?;
                let members = btf.ty(ty).members();
                looked = looked.saturating_add(members.len());
                if looked > MAX_INSNS {
                    return Err(err("there are more callbacks than any kernel takes"));
                }
                let mut callbacks = Vec::new();
                for (n, member) in members.enumerate() {
                    let place = at.saturating_add(member.bit_offset as usize / 8);
                    let Some(symbol) = relocations.get(&(index.0, place)) else {
                        continue;
                    };
                    let to = self
                        .symbols
                        .symbol(object::SymbolIndex(*symbol))
                        .map_err(bad)?;
                    let section = usize::from(to.st_shndx(self.endian).0);
                    let start = (to.st_value(self.endian) / INSN as u64) as usize;
                    if let Some(function) = places.get(&(section, start)) {
                        callbacks.push((n as u32, *function));
                    }
                }
                maps.push(StructOps {
                    name,
                    ty,
                    is_optional: full.starts_with(b"?"),
                    callbacks,
                    data: bytes,
                });
            }
        }
        Ok(maps)
    }
}

/// A string that `.BTF.ext` names, cut where names would end: what is longer is none.
fn string<'d>(btf: &Btf<'d>, at: u32) -> &'d [u8] {
    name_within(btf, StrOffset(at), MAX_NAME)
}

/// ELF relocations: the symbol that a place of a section refers to.
type Symbols = HashMap<(usize, usize), usize>;

/// Functions by index of the section, and where in it they begin.
type Begin = HashMap<(usize, usize), usize>;

fn places(functions: &[Function<'_>]) -> Begin {
    let functions = functions.iter().enumerate();
    functions
        .map(|(n, f)| ((f.section_index, f.start), n))
        .collect()
}

/// Functions by section, whether that is an optional one, and place.
struct Places<'d>(HashMap<(&'d [u8], bool), Starts>);

/// Where functions begin, and which they are.
type Starts = Vec<(usize, usize)>;

impl<'d> Places<'d> {
    fn new(functions: &[Function<'d>]) -> Places<'d> {
        let mut places: HashMap<_, Starts> = HashMap::new();
        for (n, f) in functions.iter().enumerate() {
            let section = (f.section.as_bytes(), f.is_optional);
            let all = places.entry(section).or_default();
            all.push((f.start, n));
        }
        for all in places.values_mut() {
            all.sort_unstable();
        }
        Places(places)
    }

    /// The function that has this instruction of this section.
    fn find<'a>(
        &self,
        functions: &'a mut [Function<'d>],
        section: &[u8],
        at: usize,
    ) -> Option<&'a mut Function<'d>> {
        let key = match section.strip_prefix(b"?") {
            Some(name) => (name, true),
            None => (section, false),
        };
        let all = self.0.get(&key)?;
        let after = all.partition_point(|(start, _)| *start <= at);
        let (_, n) = *all.get(after.checked_sub(1)?)?;
        let function = functions.get_mut(n)?;
        (at - function.start < function.insns.len()).then_some(function)
    }
}
