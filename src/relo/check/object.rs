//! An eBPF object: its programs, what they call, and what they ask of the kernel.

mod elf;

use super::insn::Insn;
use crate::btf::{self, Btf, TypeId};
use std::collections::HashMap;

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

impl<'d> Object<'d> {
    /// Reads an object that clang made.
    ///
    /// # Errors
    /// [`ObjectError`]: what is wrong, and where.
    pub fn parse(bytes: &'d [u8]) -> Result<Object<'d>, ObjectError> {
        elf::read(bytes)
    }

    /// Whether it is for machines of this byte order.
    pub(super) fn fits(&self, kernel: &Btf<'_>) -> bool {
        self.btf.byte_order() == kernel.byte_order()
    }
}
