//! An eBPF object: its programs, what they call, and what they ask of the kernel.

use super::ext;
use super::insn::{INSN, Insn};
use crate::btf::{self, Btf, Kind, StrOffset, TypeId};
use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, Rel, SectionHeader, SectionTable, Sym, SymbolTable};
use std::collections::HashMap;

type Elf = elf::FileHeader64<Endianness>;

/// Why a file is no object that can be checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// No ELF file of 64 bits, or one that is damaged.
    #[error("not a usable ELF file: {0}")]
    Elf(String),
    /// It is for another machine.
    #[error("it is no eBPF object: compile it with clang -target bpf")]
    NotBpf,
    /// It does not describe its types.
    #[error("it has no .BTF section: compile it with -g")]
    NoBtf,
    /// Its own types cannot be read.
    #[error(".BTF: {0}")]
    Btf(#[from] btf::Error),
    /// `.BTF.ext` is damaged.
    #[error(".BTF.ext is damaged: at byte {at}, {what}")]
    Ext {
        /// Where.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// A relocation, symbol or function that makes no sense.
    #[error("section {section}: {what} (at byte {at})")]
    Section {
        /// The section of code.
        section: String,
        /// Where in it.
        at: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// There is nothing in it to check.
    #[error("it has no program")]
    NoProgram,
}

/// `enum bpf_core_relo_kind` of `include/uapi/linux/bpf.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
#[repr(u32)]
pub enum CoreKind {
    FieldByteOffset,
    FieldByteSize,
    FieldExists,
    FieldSigned,
    FieldLshift,
    FieldRshift,
    TypeIdLocal,
    TypeIdTarget,
    TypeExists,
    TypeSize,
    EnumeratorExists,
    EnumeratorValue,
    TypeMatches,
}

impl CoreKind {
    fn from_raw(raw: u32) -> Option<CoreKind> {
        use CoreKind::*;
        const ALL: [CoreKind; 13] = [
            FieldByteOffset,
            FieldByteSize,
            FieldExists,
            FieldSigned,
            FieldLshift,
            FieldRshift,
            TypeIdLocal,
            TypeIdTarget,
            TypeExists,
            TypeSize,
            EnumeratorExists,
            EnumeratorValue,
            TypeMatches,
        ];
        ALL.get(raw as usize).copied()
    }

    /// libbpf's word for it.
    pub fn name(self) -> &'static str {
        use CoreKind::*;
        match self {
            FieldByteOffset => "byte_off",
            FieldByteSize => "byte_sz",
            FieldExists => "field_exists",
            FieldSigned => "signed",
            FieldLshift => "lshift_u64",
            FieldRshift => "rshift_u64",
            TypeIdLocal => "local_type_id",
            TypeIdTarget => "target_type_id",
            TypeExists => "type_exists",
            TypeSize => "type_size",
            EnumeratorExists => "enumval_exists",
            EnumeratorValue => "enumval_value",
            TypeMatches => "type_matches",
        }
    }

    /// About a field of a record.
    pub fn is_field(self) -> bool {
        (self as u32) <= CoreKind::FieldRshift as u32
    }

    /// About a type as a whole.
    pub fn is_type(self) -> bool {
        !self.is_field() && !self.is_enumerator()
    }

    /// About an enumerator.
    pub fn is_enumerator(self) -> bool {
        matches!(self, CoreKind::EnumeratorExists | CoreKind::EnumeratorValue)
    }

    /// Asks whether something is there, and so is answered either way.
    pub fn asks(self) -> bool {
        use CoreKind::*;
        matches!(
            self,
            FieldExists | TypeExists | EnumeratorExists | TypeMatches
        )
    }

    /// Without what it is about in the kernel, its instruction is poisoned.
    pub(super) fn needs_target(self) -> bool {
        (self.is_field() && self != CoreKind::FieldExists) || self == CoreKind::EnumeratorValue
    }
}

/// A CO-RE relocation.
#[derive(Debug, Clone, Copy)]
pub struct Relocation<'d> {
    /// Which instruction of its function.
    pub insn: usize,
    /// What is asked.
    pub kind: CoreKind,
    /// Of which of the program's own types.
    pub ty: TypeId,
    /// The access string.
    pub access: &'d [u8],
}

/// What an instruction refers to by an ELF relocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference {
    /// A function of the object: called, or its address taken.
    Function(usize),
    /// Something of the kernel's: an index into [`Object::externs`].
    Extern(usize),
    /// A map, or data.
    Data,
}

/// Which line of which file an instruction comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'d> {
    pub(super) insn: usize,
    /// The file, as the compiler was given it.
    pub file: &'d [u8],
    /// The line in it.
    pub line: u32,
    /// What is written there.
    pub text: &'d [u8],
}

/// A program, or a function that programs call.
#[derive(Debug, Clone)]
pub struct Function<'d> {
    /// Its name.
    pub name: &'d str,
    /// Its section, without `?`.
    pub section: &'d str,
    /// `SEC("?…")`: not loaded unless asked for.
    pub is_optional: bool,
    /// It is attached or run; others are only called.
    pub is_program: bool,
    /// The kernel checks it apart from its callers.
    pub is_global: bool,
    /// Its instructions.
    pub insns: Vec<Insn>,
    /// Where it begins in its section, in instructions.
    pub start: usize,
    /// Its relocations.
    pub relocations: Vec<Relocation<'d>>,
    pub(super) references: HashMap<usize, Reference>,
    lines: Vec<Line<'d>>,
    section_index: usize,
}

impl<'d> Function<'d> {
    /// Where an instruction comes from.
    pub fn line(&self, insn: usize) -> Option<Line<'d>> {
        let after = self.lines.partition_point(|line| line.insn <= insn);
        after
            .checked_sub(1)
            .and_then(|at| self.lines.get(at))
            .copied()
    }
}

/// Something that the program names and the kernel has to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extern<'d> {
    /// Its name.
    pub name: &'d str,
    /// `__weak`: may be absent.
    pub is_weak: bool,
    /// What it is.
    pub kind: ExternKind,
}

/// What an [`Extern`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExternKind {
    /// A kernel function that programs may call, of this prototype.
    Kfunc(TypeId),
    /// A variable of the kernel, of this type.
    Variable(TypeId),
    /// A symbol of the kernel of no known type.
    Symbol,
    /// An option of the kernel's configuration.
    Config,
}

/// A map of kernel callbacks: a variable in `.struct_ops`.
#[derive(Debug, Clone)]
pub struct StructOps<'d> {
    /// The variable's name.
    pub name: &'d str,
    /// Its type.
    pub ty: TypeId,
    /// In `?.struct_ops`: not created unless asked for.
    pub is_optional: bool,
    /// Which members are set to which function.
    pub callbacks: Vec<(u32, usize)>,
    /// Its bytes.
    pub data: &'d [u8],
}

/// An eBPF object, parsed and checked.
pub struct Object<'d> {
    /// Its types.
    pub btf: Btf<'d>,
    /// Its functions, programs among them.
    pub functions: Vec<Function<'d>>,
    /// What it names of the kernel.
    pub externs: Vec<Extern<'d>>,
    /// Its maps of kernel callbacks.
    pub struct_ops: Vec<StructOps<'d>>,
}

/// ELF relocations of an eBPF object (`R_BPF_64_64`, `R_BPF_64_32`).
const R_BPF_64_64: u32 = 1;
const R_BPF_64_32: u32 = 10;

/// Most instructions that an object may have: the kernel takes a million a program.
const MAX_INSNS: usize = 4 << 20;

struct File<'d> {
    bytes: &'d [u8],
    endian: Endianness,
    sections: SectionTable<'d, Elf>,
    symbols: SymbolTable<'d, Elf>,
}

fn bad(e: impl std::fmt::Display) -> ObjectError {
    ObjectError::Elf(e.to_string())
}

impl<'d> Object<'d> {
    /// Reads an object that clang made.
    ///
    /// # Errors
    /// [`ObjectError`]: what is wrong, and where.
    pub fn parse(bytes: &'d [u8]) -> Result<Object<'d>, ObjectError> {
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

    /// Whether it is for machines of this byte order.
    pub(super) fn fits(&self, kernel: &Btf<'_>) -> bool {
        self.btf.byte_order() == kernel.byte_order()
    }
}

impl<'d> File<'d> {
    fn read(&self) -> Result<Object<'d>, ObjectError> {
        let big = self.endian == Endianness::Big;
        let btf = Btf::parse(self.section(".BTF")?.ok_or(ObjectError::NoBtf)?)?;
        let mut functions = self.functions(big)?;
        if functions.is_empty() {
            return Err(ObjectError::NoProgram);
        }
        let (externs, extern_of) = self.externs(&btf)?;
        self.references(&mut functions, &extern_of)?;
        if let Some(ext) = self.section(".BTF.ext")? {
            let ext = ext::parse(ext, big)?;
            self.lines(&btf, &ext, &mut functions);
            self.relocations(&btf, &ext, &mut functions)?;
        }
        let struct_ops = self.struct_ops(&btf, &functions)?;
        Ok(Object {
            btf,
            functions,
            externs,
            struct_ops,
        })
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
                (b".ksyms", _) => match super::compat::skip(btf, ty.target()) {
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
    ) -> Result<(), ObjectError> {
        let places: HashMap<(usize, usize), usize> = functions
            .iter()
            .enumerate()
            .map(|(n, f)| ((f.section_index, f.start), n))
            .collect();
        let mut by_symbol: HashMap<usize, HashMap<usize, Rela>> = HashMap::new();
        for (section, relocation) in self.elf_relocations()? {
            by_symbol
                .entry(section)
                .or_default()
                .insert(relocation.at, relocation);
        }
        let empty = HashMap::new();
        for function in functions.iter_mut() {
            let relocations = by_symbol.get(&function.section_index).unwrap_or(&empty);
            let mut found = HashMap::new();
            let mut at = 0;
            while let Some(insn) = function.insns.get(at).copied() {
                let place = function.start + at;
                let err = |what| ObjectError::Section {
                    section: function.section.to_owned(),
                    at: (place * INSN) as u64,
                    what,
                };
                let is_local_call = insn.code == super::insn::CALL && insn.src == 1;
                if let Some(r) = relocations.get(&(place * INSN)) {
                    let symbol = self
                        .symbols
                        .symbol(object::SymbolIndex(r.symbol))
                        .map_err(bad)?;
                    let section = usize::from(symbol.st_shndx(self.endian).0);
                    let base = symbol.st_value(self.endian) / INSN as u64;
                    let is_code = self.is_code(section);
                    let into = match is_local_call {
                        true => i64::from(insn.imm) + 1,
                        false => i64::from(insn.imm) / INSN as i64,
                    };
                    let target = usize::try_from(into.saturating_add_unsigned(base)).ok();
                    if let Some(n) = extern_of.get(&r.symbol) {
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

    /// ELF relocations: of which section, where in it, to which symbol.
    fn elf_relocations(&self) -> Result<Vec<(usize, Rela)>, ObjectError> {
        let mut all = Vec::new();
        for section in self.sections.iter() {
            let Some((relocations, _)) = section.rel(self.endian, self.bytes).map_err(bad)? else {
                continue;
            };
            let of = section.sh_info(self.endian) as usize;
            for relocation in relocations {
                let kind = relocation.r_type(self.endian);
                if ![R_BPF_64_64, R_BPF_64_32].contains(&kind.0) {
                    continue;
                }
                let at = usize::try_from(relocation.r_offset(self.endian)).map_err(bad)?;
                let symbol = relocation.r_sym(self.endian) as usize;
                all.push((of, Rela { at, symbol }));
            }
        }
        Ok(all)
    }

    fn lines(&self, btf: &Btf<'d>, ext: &ext::Ext<'d>, functions: &mut [Function<'d>]) {
        let places = Places::new(functions);
        for block in &ext.lines {
            let section = btf.name(StrOffset(block.section));
            for [offset, file, text, place] in block.records::<4>() {
                let at = offset as usize / INSN;
                if let Some(function) = places.find(functions, section, at) {
                    function.lines.push(Line {
                        insn: at - function.start,
                        file: btf.name(StrOffset(file)),
                        line: place >> 10,
                        text: btf.name(StrOffset(text)),
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
            let section = btf.name(StrOffset(block.section));
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
                    access: btf.name(StrOffset(access)),
                });
            }
        }
        Ok(())
    }

    fn struct_ops(
        &self,
        btf: &Btf<'d>,
        functions: &[Function<'d>],
    ) -> Result<Vec<StructOps<'d>>, ObjectError> {
        let mut maps = Vec::new();
        let relocations = self.elf_relocations()?;
        for datasec in btf.types().filter(|ty| ty.kind() == Kind::Datasec) {
            let full = btf.name(datasec.name());
            let name = full.strip_prefix(b"?").unwrap_or(full);
            if ![&b".struct_ops"[..], b".struct_ops.link"].contains(&name) {
                continue;
            }
            let Some((index, section)) = self.sections.section_by_name(self.endian, full) else {
                continue;
            };
            let data = section.data(self.endian, self.bytes).map_err(bad)?;
            for symbol in self.symbols.iter() {
                let at = symbol.st_value(self.endian) as usize;
                let name = self.symbol_name(symbol)?;
                if usize::from(symbol.st_shndx(self.endian).0) != index.0
                    || symbol.st_type() != elf::STT_OBJECT
                {
                    continue;
                }
                let mut vars = datasec.section_vars();
                let var = vars.find(|var| btf.name(btf.ty(var.ty).name()) == name.as_bytes());
                let Some(var) = var else { continue };
                let ty = super::compat::skip(btf, btf.ty(var.ty).target()).unwrap_or_default();
                let size = btf.ty(ty).size() as usize;
                let Some(bytes) = data.get(at..at.saturating_add(size)) else {
                    return Err(ObjectError::Section {
                        section: String::from_utf8_lossy(full).into_owned(),
                        at: at as u64,
                        what: "a variable lies outside",
                    });
                };
                let mut callbacks = Vec::new();
                for (n, member) in btf.ty(ty).members().enumerate() {
                    let place = at.saturating_add(member.bit_offset as usize / 8);
                    let mut of = relocations
                        .iter()
                        .filter(|(of, r)| *of == index.0 && r.at == place);
                    let Some((_, r)) = of.next() else { continue };
                    let to = self
                        .symbols
                        .symbol(object::SymbolIndex(r.symbol))
                        .map_err(bad)?;
                    let section = usize::from(to.st_shndx(self.endian).0);
                    let start = (to.st_value(self.endian) / INSN as u64) as usize;
                    let is = |f: &Function<'_>| f.section_index == section && f.start == start;
                    if let Some(function) = functions.iter().position(is) {
                        callbacks.push((n as u32, function));
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

#[derive(Clone, Copy)]
struct Rela {
    at: usize,
    symbol: usize,
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
