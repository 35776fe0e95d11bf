//! Commands on kernels, in files, a store or the cluster.

#[cfg(feature = "cluster")]
use super::Cluster;
use super::{ListFormat, S3, Store, TextFormat, Where};
use clap::{Args, ValueEnum, ValueHint};
use std::path::PathBuf;

/// Print vmlinux.h (or JSON) of a kernel, a module or an eBPF object.
///
/// Examples:
///   btfleet dump -o vmlinux.h                       this machine's kernel
///   btfleet dump vmlinux                            a kernel that was built here
///   btfleet dump --module xfs                       what a loaded module adds
///   btfleet dump --type task_struct sk_buff         these types and what they need
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Dump {
    /// Raw BTF, an ELF file with a .BTF section, or - for standard input.
    ///
    /// By default the running kernel's, /sys/kernel/btf/vmlinux. Of a module's BTF (/sys/kernel/btf/NAME,
    /// NAME.ko) only what the module adds is printed, to be included after its base's header.
    #[arg(value_name = "INPUT", value_hint = ValueHint::FilePath)]
    pub input: Option<PathBuf>,

    /// The BTF that a module's BTF goes on from: raw, or an ELF file.
    ///
    /// It must be of the very kernel that the module was built for, unless the module carries .BTF.base
    /// (kernels 6.11 and later): then any kernel with the same types will do.
    #[arg(long, value_name = "BTF", value_hint = ValueHint::FilePath)]
    pub base: Option<PathBuf>,

    /// A loaded module of the running kernel: /sys/kernel/btf/NAME over /sys/kernel/btf/vmlinux.
    #[arg(long, value_name = "NAME", conflicts_with = "input")]
    pub module: Option<String>,

    /// Only these types, and what they need to compile and to be laid out right.
    ///
    /// What they only point at becomes a forward declaration. Takes all words that follow; put INPUT
    /// before it, or after `--`.
    #[arg(long = "type", value_name = "NAME", num_args = 1..)]
    pub types: Vec<String>,

    /// Write to FILE, whole or not at all: if anything fails, what was there is there still.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// A C header, or the types as JSON for other programs (docs/json.md).
    #[arg(long, value_name = "FORMAT", default_value = "c")]
    pub format: DumpFormat,

    /// Say on stderr what was read and made: the BTF digest and, of a whole header, the header digest and
    /// generator.
    #[arg(long)]
    pub digests: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpFormat {
    /// vmlinux.h
    C,
    /// The types as JSON.
    Json,
}

/// Publish kernels in a store: their BTF, their header, and how to find them.
///
/// Writes whatever is absent, each object whole or not at all: a reference that keeps the kernel, BTF
/// and header (compressed, named by their SHA-256), a manifest, and an index entry by arch and release.
/// A second run writes nothing.
#[derive(Args, Debug)]
pub struct Publish {
    /// Raw BTF of kernels, ELF files with a .BTF section, or - for standard input.
    ///
    /// By default the running kernel's, /sys/kernel/btf/vmlinux, whose arch and release are known. A file
    /// does not know its kernel's release: without --release it gets no index entry, and is found by its
    /// digest.
    #[arg(value_name = "INPUT", value_hint = ValueHint::FilePath)]
    pub inputs: Vec<PathBuf>,

    #[command(flatten)]
    pub store: Store,

    /// The kernel's machine, as Kubernetes or `uname -m` spell it; an ELF file tells it itself.
    #[arg(long, value_name = "ARCH", env = "BTFLEET_ARCH")]
    pub arch: Option<String>,

    /// The kernel's release, as `uname -r` prints it. For one input only.
    #[arg(long, value_name = "RELEASE", env = "BTFLEET_RELEASE")]
    pub release: Option<String>,

    /// Keep the kernel under this name: the reference is refs/…/pin-NAME.
    #[arg(
        long,
        value_name = "NAME",
        env = "BTFLEET_PIN",
        default_value = "local"
    )]
    pub pin: String,
}

/// Check a whole store: every blob against its digest, every header against its BTF.
///
/// Reads everything again, makes every header of this generator anew, and checks that manifests, index
/// and references agree with what is there. Reports each fault with its key. Writes nothing; `publish`
/// of the same kernel repairs.
///
/// Exit codes: 0 all is well, 1 there are faults or the store cannot be read.
#[derive(Args, Debug)]
pub struct Verify {
    #[command(flatten)]
    pub store: Store,

    /// How to print the result.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: TextFormat,
}

/// List the kernels of a store, or of the cluster.
///
/// With --store, of that store. Without, of the cluster (its KernelHeaders) if a kubeconfig or a pod's
/// account is there, else of ./btfleet-store. The first line on stderr says which.
#[derive(Args, Debug)]
pub struct Kernels {
    #[cfg(feature = "cluster")]
    #[command(flatten)]
    pub cluster: Cluster,

    /// A table, JSON (docs/json.md), or kernel ids alone; of a cluster also a wide table, and YAML.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: ListFormat,

    /// Of a cluster: only KernelHeaders with these labels, as kubectl takes them.
    #[cfg(feature = "cluster")]
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub selector: Option<String>,

    /// Of a cluster: go on, and print each kernel that changes.
    #[cfg(feature = "cluster")]
    #[arg(short, long)]
    pub watch: bool,

    #[command(flatten)]
    pub store: Store,
}

/// Read a kernel's header, BTF or manifest, checked before a byte is written.
///
/// NAME is node/NAME, sha256:DIGEST of a BTF or a header, a kernel id (the first 32 digits of a BTF
/// digest, or 8 and more of them that fit one kernel only), release/ARCH/RELEASE, or a release alone where
/// it fits one kernel only.
///
/// Without --store the cluster is asked, where one is known, and the bytes come from btfleet's server by
/// way of the API server; else the store is ./btfleet-store. With --store and node/NAME the cluster says
/// which kernel, and the store gives it.
#[derive(Args, Debug)]
pub struct Get {
    /// Which kernel.
    #[arg(value_name = "NAME")]
    pub name: String,

    #[command(flatten)]
    pub at: Where,

    #[command(flatten)]
    pub what: What,

    /// The header of this generator instead of this build's own.
    #[arg(long, value_name = "NUMBER", conflicts_with = "btf")]
    pub generator: Option<u32>,

    /// Write to FILE, whole or not at all.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[group(multiple = false)]
pub struct What {
    /// The header, vmlinux.h (the default).
    #[arg(long)]
    pub header: bool,

    /// The raw BTF.
    #[arg(long)]
    pub btf: bool,

    /// The manifest: digests and sizes, as JSON.
    #[arg(long)]
    pub manifest: bool,
}

/// Compare two kernels: types and members that appeared, vanished, moved or changed.
///
/// A and B are files (raw BTF or ELF) or names of kernels in a store or the cluster, as `get` takes them. A word that is
/// both a file and a kernel's name is refused: write ./FILE or sha256:DIGEST.
///
/// Exit codes: 0 no difference, 1 they differ, 2 trouble: something could not be read.
#[derive(Args, Debug)]
pub struct Diff {
    /// The older kernel.
    #[arg(value_name = "A", value_hint = ValueHint::FilePath)]
    pub a: String,

    /// The newer kernel.
    #[arg(value_name = "B", value_hint = ValueHint::FilePath)]
    pub b: String,

    #[command(flatten)]
    pub at: Where,

    /// What A and B go on from, if they are a module's BTF: given once it is both's, given twice it is first
    /// A's, then B's.
    #[arg(long, value_name = "BTF", value_hint = ValueHint::FilePath)]
    pub base: Vec<PathBuf>,

    /// Only types and functions of these names.
    #[arg(long = "type", value_name = "NAME", num_args = 1..)]
    pub types: Vec<String>,

    /// Text to read, or JSON for other programs (docs/json.md).
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: TextFormat,
}

/// Check whether eBPF objects are CO-RE compatible with kernels, before anything is deployed.
///
/// Resolves every CO-RE relocation of every program as libbpf does, and looks up what programs name: fentry, fexit,
/// tp_btf, iter, LSM and struct_ops targets, kfuncs, kernel variables. A program
///   resolves   has all that it asks for;
///   guarded    asks for something missing only in code that this kernel never reaches;
///   unknown    asks for what BTF does not tell (a module's function, a fmod_ret target, an option);
///   fails      asks for what is not there.
/// That a program is compatible does not say that the kernel will load it.
///
/// Without a kernel among the inputs: those of --store, else of the cluster if one is known, with the number of
/// nodes, else of ./btfleet-store.
///
/// Exit codes: 0 nothing selected fails, 1 something does, 2 trouble: something could not be read.
///
/// Examples:
///   btfleet check probe.bpf.o                           every kernel of the cluster
///   btfleet check probe.bpf.o --store s3://kernels/btf  every kernel of a store
///   btfleet check probe.bpf.o /sys/kernel/btf/vmlinux   this machine's
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Check {
    /// eBPF objects, and kernels: BTF files, or names as `get` takes them.
    #[arg(value_name = "INPUT", required = true, value_hint = ValueHint::FilePath)]
    pub inputs: Vec<String>,

    /// Only these programs count, by the names of their functions. By default all but those of SEC("?...").
    #[arg(long = "program", value_name = "NAME")]
    pub programs: Vec<String>,

    /// Exit with 1 also where a verdict is unknown.
    #[arg(long)]
    pub strict: bool,

    /// A table, JSON (docs/json.md), or JUnit XML for CI.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: CheckFormat,

    #[command(flatten)]
    pub at: Where,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckFormat {
    /// For people.
    Table,
    /// For other programs.
    Json,
    /// For CI.
    Junit,
}

/// Write the small BTF that eBPF objects need of each kernel.
///
/// For kernels that have no BTF of their own, or to ship with a program: of the megabytes of a kernel's BTF it keeps
/// what the objects' CO-RE relocations look at, and each gets the same value from it as from the whole. It is what
/// `bpftool gen min_core_btf` makes, for many kernels at once.
///
/// A kernel of a store or cluster becomes DIR/ARCH/RELEASE.btf for each release that it is known by (ARCH as BTFHub
/// has it: x86_64, arm64), a file NAME.btf or NAME becomes DIR/NAME.btf.
///
/// Kernels are those among the inputs; without any, as for `check`.
#[derive(Args, Debug)]
pub struct Minimize {
    /// eBPF objects, and kernels: BTF files, or names as `get` takes them.
    #[arg(value_name = "INPUT", required = true, value_hint = ValueHint::FilePath)]
    pub inputs: Vec<String>,

    /// The folder to write to; it is made if it is not there.
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: PathBuf,

    #[command(flatten)]
    pub at: Where,
}

/// Copy kernels from one store to another: for a site that cannot reach the first.
///
/// Every blob's digest is checked before it is written, and what the target has already is checked too and
/// not sent again: a copy that was cut short goes on where it was. Other clusters' references stay where
/// they are; what is copied is kept under a pin of its own.
///
/// Between two object storages that need different settings, go by way of a folder.
///
/// Exit codes: 0 all is copied or was there, 1 something is missing or wrong, and was told.
#[derive(Args, Debug)]
pub struct Mirror {
    /// The store to read: s3://BUCKET/PREFIX, file://DIR or DIR.
    #[arg(value_name = "FROM", value_hint = ValueHint::DirPath)]
    pub from: String,

    /// The store to write.
    #[arg(value_name = "TO", value_hint = ValueHint::DirPath)]
    pub to: String,

    /// Only these kernels, named as for `get`; by default all.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    #[command(flatten)]
    pub s3: S3,

    /// Keep the kernels in TO under this name.
    #[arg(
        long,
        value_name = "NAME",
        env = "BTFLEET_PIN",
        default_value = "local"
    )]
    pub pin: String,
}

/// Publish kernels that have BTF files and no node here.
///
/// A folder is searched for files as BTFHub has them, DISTRO/VERSION/ARCH/RELEASE.btf.tar.xz, or plain
/// ARCH/RELEASE.btf: their places tell arch and release. A file anywhere else needs --arch and --release.
///
/// Exit codes: 0 all is imported or was there, 1 something was not, and was told.
#[derive(Args, Debug)]
pub struct Import {
    /// Folders, archives (.btf.tar.xz), raw BTF, or ELF files with a .BTF section.
    #[arg(value_name = "INPUT", required = true, value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,

    #[command(flatten)]
    pub store: Store,

    /// The kernels' machine, as Kubernetes or `uname -m` spell it.
    #[arg(long, value_name = "ARCH", env = "BTFLEET_ARCH")]
    pub arch: Option<String>,

    /// The kernel's release, as `uname -r` prints it. For one file only.
    #[arg(long, value_name = "RELEASE", env = "BTFLEET_RELEASE")]
    pub release: Option<String>,

    /// Keep the kernels under this name.
    #[arg(
        long,
        value_name = "NAME",
        env = "BTFLEET_PIN",
        default_value = "local"
    )]
    pub pin: String,
}
