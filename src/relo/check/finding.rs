//! What is said of a program: its verdict, and what is amiss.

/// What can be said of a program on a kernel, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// All that it asks for is there.
    Resolves,
    /// Something is not, but only code asks for it that cannot be reached on this kernel: libbpf poisons that, and the
    /// program still loads.
    Guarded,
    /// BTF alone does not tell.
    Unknown,
    /// Something is not there, and it is asked for.
    Fails,
}

impl Verdict {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Resolves => "resolves",
            Verdict::Guarded => "guarded",
            Verdict::Unknown => "unknown",
            Verdict::Fails => "fails",
        }
    }
}

/// What a [`Finding`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A field of a record.
    Field,
    /// A type.
    Type,
    /// An enumerator.
    Enumerator,
    /// A kernel function that programs call.
    Kfunc,
    /// A variable or symbol of the kernel.
    Ksym,
    /// An option of the kernel's configuration.
    Config,
    /// What the program attaches to.
    Attach,
    /// Callbacks of the kernel's that a map sets.
    StructOps,
    /// The machine's byte order.
    ByteOrder,
}

impl Subject {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Subject::Field => "field",
            Subject::Type => "type",
            Subject::Enumerator => "enumerator",
            Subject::Kfunc => "kfunc",
            Subject::Ksym => "ksym",
            Subject::Config => "config",
            Subject::Attach => "attach",
            Subject::StructOps => "struct_ops",
            Subject::ByteOrder => "byte_order",
        }
    }
}

/// Where in the object something is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The function.
    pub function: String,
    /// The instruction in it.
    pub insn: usize,
    /// The source file and line, where the object tells.
    pub source: Option<(String, u32)>,
    /// What is written there.
    pub text: String,
}

/// Something that a kernel does not have, or that cannot be known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it means for the program.
    pub verdict: Verdict,
    /// What it is about.
    pub subject: Subject,
    /// Its name: `task_struct.state`.
    pub name: String,
    /// What is amiss.
    pub reason: String,
    /// What the kernel has instead, where something is like it.
    pub instead: Option<String>,
    /// Where the object asks for it.
    pub place: Option<Place>,
}

/// What is said of one program on one kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its section, without `?`.
    pub section: String,
    /// `SEC("?…")`: not loaded unless asked for.
    pub is_optional: bool,
    /// The worst of its findings.
    pub verdict: Verdict,
    /// What is amiss, worst first.
    pub findings: Vec<Finding>,
}
