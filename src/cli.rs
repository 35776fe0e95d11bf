//! Every command and flag; no logic.

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use std::path::PathBuf;

/// The exact vmlinux.h of a kernel, made from its BTF; and a store of them.
///
/// Every kernel that runs eBPF can describe its own types (BTF, /sys/kernel/btf/vmlinux). btfleet prints
/// them as the C header that eBPF programs include, publishes BTF and header in a store, and reads them
/// back, checked.
///
/// Exit codes: 0 done, 1 failed (or: something was found), 2 wrong usage. `diff` has its own.
#[derive(Parser, Debug)]
#[command(name = "btfleet", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    Dump(Dump),
    Publish(Publish),
    Verify(Verify),
    Kernels(Kernels),
    Get(Get),
    Diff(Diff),
    Mirror(Mirror),
    Import(Import),
    Store(Stores),
    #[cfg(feature = "cluster")]
    #[command(mut_arg("store", no_default))]
    Agent(Agent),
    #[cfg(feature = "cluster")]
    #[command(mut_arg("store", no_default))]
    Controller(Controller),
    #[cfg(feature = "cluster")]
    #[command(mut_arg("store", no_default))]
    Cleanup(Cleanup),
    #[cfg(feature = "cluster")]
    #[command(mut_arg("store", no_default))]
    Serve(Serve),
    #[cfg(feature = "cluster")]
    #[command(mut_arg("store", no_default))]
    Fetch(Fetch),
    #[cfg(feature = "cluster")]
    Nodes(Nodes),
    #[cfg(feature = "cluster")]
    Events(Events),
    #[cfg(feature = "cluster")]
    Doctor(Doctor),
    #[cfg(feature = "cluster")]
    Crd(Crd),
    Completions(Completions),
}

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

#[derive(Args, Debug)]
pub struct Store {
    /// The store: s3://BUCKET/PREFIX, or a local folder as file://DIR or just DIR [default:
    /// ./btfleet-store].
    #[arg(long, value_name = "STORE", env = "BTFLEET_STORE")]
    #[arg(value_hint = ValueHint::DirPath)]
    pub store: Option<String>,

    #[command(flatten)]
    pub s3: S3,
}

impl Store {
    /// Where the store is.
    pub fn place(&self) -> &str {
        self.store.as_deref().unwrap_or("./btfleet-store")
    }
}

/// For the commands that are told which store, or have none.
#[cfg(feature = "cluster")]
fn no_default(store: clap::Arg) -> clap::Arg {
    store.help("The store: s3://BUCKET/PREFIX, or a local folder as file://DIR or just DIR")
}

/// How an s3:// store is reached. Credentials come from where AWS' own tools look for them: the
/// environment, profile files, web identity, pod identity, instance metadata.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Object storage (s3://)")]
pub struct S3 {
    /// The server, if it is not AWS: http(s)://HOST:PORT.
    #[arg(long = "s3-endpoint", value_name = "URL", env = "BTFLEET_S3_ENDPOINT")]
    #[arg(value_hint = ValueHint::Url)]
    pub endpoint: Option<String>,

    /// The bucket's region; otherwise the environment's (AWS_REGION), the profile's or the instance's.
    #[arg(long = "s3-region", value_name = "REGION", env = "BTFLEET_S3_REGION")]
    pub region: Option<String>,

    /// Name the bucket in the path, not in the host name. The default with an endpoint; =false for
    /// servers that want it in the host name.
    #[arg(
        long = "s3-path-style",
        value_name = "BOOL",
        env = "BTFLEET_S3_PATH_STYLE"
    )]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub path_style: Option<bool>,

    /// Trust these certificate authorities too, beside the system's: a PEM file.
    #[arg(long = "s3-ca-file", value_name = "FILE", env = "BTFLEET_S3_CA_FILE")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub ca_file: Option<PathBuf>,
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
    pub store: Store,

    #[cfg(feature = "cluster")]
    #[command(flatten)]
    pub cluster: Cluster,

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
    pub store: Store,

    #[cfg(feature = "cluster")]
    #[command(flatten)]
    pub cluster: Cluster,

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

/// Look after a store.
#[derive(Args, Debug)]
pub struct Stores {
    #[command(subcommand)]
    pub task: StoreTask,
}

#[derive(Subcommand, Debug)]
pub enum StoreTask {
    Doctor(StoreDoctor),
    Refs(StoreRefs),
    Forget(StoreForget),
    /// Keep kernels under a name, whatever clusters use.
    Pin(StorePin),
    /// No longer keep kernels under a name.
    Unpin(StorePin),
    #[cfg(all(feature = "cluster", feature = "s3"))]
    #[command(mut_arg("store", no_default))]
    Init(StoreInit),
}

/// Set up the S3 server that the chart brings along (versitygw): Secrets, users, bucket, and who may do what in it.
///
/// Makes the Secrets that are absent, and never changes one that is there. Waits for the server; then each user of a
/// Secret may do what its role needs, and users of Secrets that are gone may nothing. Can be run again at any time.
#[cfg(all(feature = "cluster", feature = "s3"))]
#[derive(Args, Debug)]
pub struct StoreInit {
    /// The Secrets' namespace; otherwise the pod's, or the kubeconfig's.
    #[arg(long, value_name = "NAME", env = "BTFLEET_NAMESPACE")]
    pub namespace: Option<String>,

    /// Of the server's root user: keys accessKey and secretKey.
    #[arg(
        long,
        value_name = "SECRET",
        env = "BTFLEET_ROOT_SECRET",
        default_value = "btfleet-store-root"
    )]
    pub root_secret: String,

    /// Of the agents: key credentials, a file as AWS' tools read it.
    #[arg(
        long,
        value_name = "SECRET",
        env = "BTFLEET_AGENT_SECRET",
        default_value = "btfleet-store-agent"
    )]
    pub agent_secret: String,

    /// Of the controller, likewise.
    #[arg(
        long,
        value_name = "SECRET",
        env = "BTFLEET_CONTROLLER_SECRET",
        default_value = "btfleet-store-controller"
    )]
    pub controller_secret: String,

    /// Of the server, likewise.
    #[arg(
        long,
        value_name = "SECRET",
        env = "BTFLEET_SERVER_SECRET",
        default_value = "btfleet-store-server"
    )]
    pub server_secret: String,

    /// Wait this long for the S3 server.
    #[arg(long, value_name = "SECONDS", default_value = "600")]
    #[arg(value_parser = seconds)]
    pub timeout: std::time::Duration,

    /// Go on, and do it again this often: beside a server that forgets all when its pod ends.
    #[arg(long, value_name = "SECONDS")]
    #[arg(value_parser = seconds)]
    pub every: Option<std::time::Duration>,

    #[command(flatten)]
    pub cluster: Cluster,

    // Last: what follows would stand under its heading.
    #[command(flatten)]
    pub store: Store,
}

/// List which clusters and pins use which kernels, and since when.
///
/// A live cluster's controller writes its references anew every week; those of clusters that were not for
/// 90 days are pointed out.
#[derive(Args, Debug)]
pub struct StoreRefs {
    #[command(flatten)]
    pub store: Store,

    /// How to print the result.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: TextFormat,
}

/// Try out a store: what it can do, and what these credentials may do in it.
///
/// Writes a few objects of its own under doctor/, which no reader takes for a kernel's, reads, lists,
/// overwrites and removes them; then says what each role lacks, what that costs and what mends it.
///
/// Exit codes: 0 every role asked for has what it needs, 1 something is lacking or the store cannot be used.
#[derive(Args, Debug)]
pub struct StoreDoctor {
    #[command(flatten)]
    pub store: Store,

    /// Only what these roles need; by default all.
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
    pub roles: Vec<Role>,

    /// How to print the result.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: TextFormat,
}

/// Remove all references of a cluster that is gone for good.
///
/// Kernels that nobody else uses are then free to be collected by another cluster's controller. Where the
/// cluster lives after all, its controller puts its references back within minutes.
#[derive(Args, Debug)]
pub struct StoreForget {
    /// The cluster's id, as `store refs` prints it.
    #[arg(value_name = "CLUSTER")]
    pub cluster: String,

    #[command(flatten)]
    pub store: Store,

    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

#[derive(Args, Debug)]
pub struct StorePin {
    /// Kernels, named as for `get`.
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,

    #[command(flatten)]
    pub store: Store,

    /// The name they are kept under.
    #[arg(
        long,
        value_name = "NAME",
        env = "BTFLEET_PIN",
        default_value = "local"
    )]
    pub pin: String,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// On each node: publishes its kernel.
    Agent,
    /// Checks, repairs and collects; and whoever runs `publish` by hand.
    Controller,
    /// `get`, `kernels`, `verify`, an eBPF program's init container.
    Reader,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFormat {
    /// For people.
    Text,
    /// For other programs.
    Json,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// For people.
    Table,
    /// For people, with whole digests.
    #[cfg(feature = "cluster")]
    Wide,
    /// For other programs (docs/json.md).
    Json,
    /// The same, as YAML.
    #[cfg(feature = "cluster")]
    Yaml,
    /// Names, one a line.
    Name,
}

/// Print a shell's completion script.
///
/// For bash: btfleet completions bash > /etc/bash_completion.d/btfleet
#[derive(Args, Debug)]
pub struct Completions {
    /// Which shell.
    pub shell: Shell,
}

/// Publish this node's kernel and say so on its Node, for as long as it runs (a DaemonSet's pod).
///
/// Reads the running kernel's BTF, makes its header, stores whatever the store lacks of them, and writes
/// digests and status to its own Node as annotations. Looks at its Node every 10 minutes and at the store
/// every hour, and mends what is missing. It needs a service account that may get and patch its Node.
///
/// Exit codes: 0 ended by SIGTERM or, with --once, published or knowingly without BTF; 1 failed.
#[cfg(feature = "cluster")]
#[derive(Args, Debug)]
pub struct Agent {
    /// The Node that this runs on; otherwise what NODE_NAME says.
    #[arg(long, value_name = "NAME", env = "BTFLEET_NODE_NAME")]
    pub node_name: Option<String>,

    /// Do it once and end: for jobs. Trouble is not waited out, a late nodeInfo after a reboot is.
    #[arg(long)]
    pub once: bool,

    /// The running kernel's BTF.
    #[arg(
        long,
        value_name = "FILE",
        env = "BTFLEET_BTF",
        default_value = "/sys/kernel/btf/vmlinux",
        value_hint = ValueHint::FilePath
    )]
    pub btf: PathBuf,

    /// Where the kernel says its boot id and release.
    #[arg(
        long,
        value_name = "DIR",
        env = "BTFLEET_PROC",
        default_value = "/proc",
        hide = true
    )]
    pub proc: PathBuf,

    /// Answer /livez, /readyz and /metrics on this address, such as [::]:8080.
    #[arg(long, value_name = "ADDRESS", env = "BTFLEET_LISTEN")]
    pub listen: Option<std::net::SocketAddr>,

    /// The cluster's name in the store's references; otherwise the uid of the namespace kube-system.
    #[arg(long, value_name = "ID", env = "BTFLEET_CLUSTER_ID")]
    pub cluster_id: Option<String>,

    /// Look at the Node this often.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "BTFLEET_LOOK_EVERY",
        default_value = "600"
    )]
    #[arg(value_parser = seconds)]
    pub look_every: std::time::Duration,

    /// Look at the store this often.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "BTFLEET_RESYNC_EVERY",
        default_value = "3600"
    )]
    #[arg(value_parser = seconds)]
    pub resync_every: std::time::Duration,

    /// Spread the first look of a fleet's agents over this time.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "BTFLEET_SPREAD",
        default_value = "30"
    )]
    #[arg(value_parser = seconds)]
    pub spread: std::time::Duration,

    #[command(flatten)]
    pub log: Log,

    // Last: what follows would stand under its heading.
    #[command(flatten)]
    pub store: Store,
}

/// Keep the cluster's inventory: one KernelHeader per distinct kernel, verified, and collected when unused.
///
/// Watches Nodes, makes a KernelHeader of each kernel whose BTF it could fetch and check, verifies all of
/// them daily, keeps this cluster's references in the store, and removes what nobody used for long. Of
/// several replicas one leads, by a Lease.
#[cfg(feature = "cluster")]
#[derive(Args, Debug)]
pub struct Controller {
    #[command(flatten)]
    pub store: Store,

    /// Answer /livez, /readyz and /metrics on this address.
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "BTFLEET_LISTEN",
        default_value = "[::]:8080"
    )]
    pub listen: std::net::SocketAddr,

    /// The namespace of the Lease; otherwise the pod's, or the kubeconfig's.
    #[arg(long, value_name = "NAME", env = "BTFLEET_NAMESPACE")]
    pub namespace: Option<String>,

    /// The Lease's name.
    #[arg(
        long,
        value_name = "NAME",
        env = "BTFLEET_LEASE_NAME",
        default_value = "btfleet-controller"
    )]
    pub lease_name: String,

    /// What this process is called in the Lease; no other may be called so [default: the host's name and
    /// some chance].
    #[arg(long, value_name = "NAME", env = "BTFLEET_IDENTITY")]
    pub identity: Option<String>,

    /// The cluster's name in the store's references; otherwise the uid of the namespace kube-system.
    #[arg(long, value_name = "ID", env = "BTFLEET_CLUSTER_ID")]
    pub cluster_id: Option<String>,

    /// Whether kernels that nobody uses are removed from the store: on, dry-run (only said), off.
    #[arg(
        long,
        value_name = "MODE",
        env = "BTFLEET_COLLECT",
        default_value = "on"
    )]
    pub collect: btfleet::controller::collect::Mode,

    /// How long a kernel must have been named by no Node before it is removed: 30d, 12h, 90s.
    #[arg(
        long,
        value_name = "TIME",
        env = "BTFLEET_RETENTION",
        default_value = "30d"
    )]
    #[arg(value_parser = time)]
    pub retention: std::time::Duration,

    /// How the names of the admission policies begin that are looked for; "" looks for none.
    #[arg(
        long,
        value_name = "PREFIX",
        env = "BTFLEET_POLICIES",
        default_value = "btfleet"
    )]
    pub policies: String,

    /// How often each kernel is verified.
    #[arg(
        long,
        value_name = "TIME",
        env = "BTFLEET_VERIFY_EVERY",
        default_value = "1d"
    )]
    #[arg(value_parser = time)]
    pub verify_every: std::time::Duration,

    #[command(flatten)]
    pub log: Log,
}

/// Remove what btfleet wrote on this cluster's Nodes, and this cluster's references in the store.
///
/// For the end of an installation: the agents must be gone first, or they write it again (--daemonset sees to that). Can
/// be run again where it was cut short. What other clusters use stays in the store; what is left unused is collected by
/// the controllers of clusters that share the store, or stays.
///
/// Exit codes: 0 nothing is left, 1 something is.
#[cfg(feature = "cluster")]
#[derive(Args, Debug)]
pub struct Cleanup {
    #[command(flatten)]
    pub cluster: Cluster,

    /// First remove the agents' DaemonSet, and wait until its pods are gone.
    #[arg(long, value_name = "NAME", env = "BTFLEET_DAEMONSET")]
    pub daemonset: Option<String>,

    /// Wait this long for its pods; then go on without those of nodes that are away.
    #[arg(long, value_name = "SECONDS", default_value = "180")]
    #[arg(value_parser = seconds)]
    pub timeout: std::time::Duration,

    /// At the end remove these Secrets: what `store init` made.
    #[arg(long = "secret", value_name = "NAME")]
    pub secrets: Vec<String>,

    /// The DaemonSet's and the Secrets' namespace; otherwise the pod's, or the kubeconfig's.
    #[arg(long, value_name = "NAME", env = "BTFLEET_NAMESPACE")]
    pub namespace: Option<String>,

    #[command(flatten)]
    pub store: Store,

    /// Leave the store as it is: no --store is needed.
    #[arg(long)]
    pub keep_refs: bool,

    /// The cluster's name in the store's references; otherwise the uid of the namespace kube-system.
    #[arg(long, value_name = "ID", env = "BTFLEET_CLUSTER_ID")]
    pub cluster_id: Option<String>,
}

/// A time with its unit: 30d, 12h, 10m, 90s.
#[cfg(feature = "cluster")]
fn time(text: &str) -> Result<std::time::Duration, String> {
    let refuse = || format!("{text:?} is no time; 30d, 12h, 10m and 90s are");
    let unit = text.chars().last().ok_or_else(refuse)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(refuse()),
    };
    let number: u64 = text.trim_end_matches(unit).parse().map_err(|_| refuse())?;
    let total = number.checked_mul(seconds).ok_or_else(refuse)?;
    Ok(std::time::Duration::from_secs(total))
}

/// Hand out kernels' headers and BTF over HTTP, by node or by digest (a Deployment).
///
/// Watches the cluster's Nodes if a kubeconfig or a pod's account is there; otherwise it serves a store alone.
/// GET / is the inventory, /openapi.json says what else there is, /livez, /readyz and /metrics how it is. No byte is
/// sent whose digest was not checked.
///
/// Exit codes: 0 ended by SIGTERM, after the requests that were under way; 1 failed.
#[cfg(feature = "cluster")]
#[derive(Args, Debug)]
pub struct Serve {
    /// The address to answer on.
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "BTFLEET_LISTEN",
        default_value = "[::]:8080"
    )]
    pub listen: std::net::SocketAddr,

    /// Speak TLS with this certificate: a PEM file, read again when it changes.
    #[arg(
        long,
        value_name = "FILE",
        env = "BTFLEET_TLS_CERT",
        requires = "tls_key"
    )]
    #[arg(value_hint = ValueHint::FilePath)]
    pub tls_cert: Option<PathBuf>,

    /// The certificate's private key: a PEM file.
    #[arg(
        long,
        value_name = "FILE",
        env = "BTFLEET_TLS_KEY",
        requires = "tls_cert"
    )]
    #[arg(value_hint = ValueHint::FilePath)]
    pub tls_key: Option<PathBuf>,

    /// Look whether the TLS files have changed this often.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "BTFLEET_TLS_RELOAD_EVERY",
        default_value = "10"
    )]
    #[arg(value_parser = seconds)]
    pub tls_reload_every: std::time::Duration,

    /// Keep this much of what is sent in memory, in MiB. Slow readers may hold as much again; a blob of more than a
    /// quarter of it is refused.
    #[arg(
        long,
        value_name = "MIB",
        env = "BTFLEET_CACHE",
        default_value = "256",
        value_parser = clap::value_parser!(u64).range(16..=1 << 20)
    )]
    pub cache: u64,

    /// Connections at a time. Who comes then waits.
    #[arg(
        long,
        value_name = "NUMBER",
        env = "BTFLEET_MAX_CONNECTIONS",
        default_value = "2000",
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    pub max_connections: u32,

    /// Cut off a client that takes this long for a request's head, or between two requests.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "BTFLEET_IDLE_TIMEOUT",
        default_value = "30"
    )]
    #[arg(value_parser = seconds)]
    pub idle_timeout: std::time::Duration,

    /// Cut off a client that takes this long to read 64 KiB.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "BTFLEET_STALL_TIMEOUT",
        default_value = "20"
    )]
    #[arg(value_parser = seconds)]
    pub stall_timeout: std::time::Duration,

    #[command(flatten)]
    pub cluster: Cluster,

    #[command(flatten)]
    pub log: Log,

    // Last: what follows would stand under its heading.
    #[command(flatten)]
    pub store: Store,
}

/// Get the running kernel's header and BTF into a folder, or a clear no (an init container).
///
/// DIR gets vmlinux.h, vmlinux.btf and manifest.json, all at once or not at all, readable by everybody. This
/// kernel's own BTF is used where it can be read, and compared with what the Node says; otherwise a server
/// (--server) or a store (--store) is asked for what this Node names, and waited for.
///
/// Exit codes: 0 the files are this kernel's; 1 failed otherwise; 2 wrong usage; 3 the files are of the one kernel
/// that has this kernel's arch and release (--match release); 4 this kernel has no BTF, and none fits; 5 the Node
/// says nothing of this boot yet; 6 nobody who could give them was reached; 7 what is said and what is there
/// contradict each other. Files are written with 0 and 3 only.
#[cfg(feature = "cluster")]
#[derive(Args, Debug)]
pub struct Fetch {
    /// The folder for the files; it is made if it is not there.
    #[arg(short, long, value_name = "DIR", env = "BTFLEET_OUTPUT", value_hint = ValueHint::DirPath)]
    pub output: PathBuf,

    /// Where to look.
    #[arg(
        long,
        value_name = "WHERE",
        env = "BTFLEET_SOURCE",
        default_value = "auto"
    )]
    pub source: FetchSource,

    /// `btfleet serve`: http://HOST[:PORT] or https://…. It is asked instead of the store.
    #[arg(long, value_name = "URL", env = "BTFLEET_SERVER", value_hint = ValueHint::Url)]
    pub server: Option<String>,

    /// Trust these certificate authorities too, beside the system's, of --server: a PEM file.
    #[arg(long, value_name = "FILE", env = "BTFLEET_SERVER_CA_FILE", value_hint = ValueHint::FilePath)]
    pub server_ca_file: Option<PathBuf>,

    /// The Node that this runs on; otherwise what NODE_NAME says.
    #[arg(long, value_name = "NAME", env = "BTFLEET_NODE_NAME")]
    pub node_name: Option<String>,

    /// How sure it must be that the files are this kernel's.
    #[arg(
        long = "match",
        value_name = "HOW",
        env = "BTFLEET_MATCH",
        default_value = "digest"
    )]
    pub by: FetchMatch,

    /// Wait this long for what may still come; 0 is one try.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "BTFLEET_TIMEOUT",
        default_value = "120"
    )]
    #[arg(value_parser = seconds)]
    pub timeout: std::time::Duration,

    /// The running kernel's BTF.
    #[arg(
        long,
        value_name = "FILE",
        env = "BTFLEET_BTF",
        default_value = "/sys/kernel/btf/vmlinux",
        value_hint = ValueHint::FilePath
    )]
    pub btf: PathBuf,

    /// Where the kernel says its boot id and release.
    #[arg(
        long,
        value_name = "DIR",
        env = "BTFLEET_PROC",
        default_value = "/proc",
        hide = true
    )]
    pub proc: PathBuf,

    #[command(flatten)]
    pub cluster: Cluster,

    // Last: what follows would stand under its heading.
    #[command(flatten)]
    pub store: Store,
}

#[cfg(feature = "cluster")]
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchSource {
    /// This kernel's own BTF where it can be read; otherwise by what its Node says.
    Auto,
    /// This kernel's own BTF alone. Nobody is asked.
    Own,
    /// By what its Node says alone.
    Node,
}

#[cfg(feature = "cluster")]
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchMatch {
    /// By the digest of its BTF.
    Digest,
    /// Of a kernel without BTF also by arch and release, if exactly one kernel has them. That is no proof: two builds
    /// may share a release.
    Release,
}

/// How a long-running command logs.
#[cfg(feature = "cluster")]
#[derive(Args, Debug)]
pub struct Log {
    /// Lines for people or for programs, on stderr.
    #[arg(
        long,
        value_name = "FORMAT",
        env = "BTFLEET_LOG_FORMAT",
        default_value = "text"
    )]
    pub log_format: TextFormat,

    /// The least important lines that are written.
    #[arg(
        long,
        value_name = "LEVEL",
        env = "BTFLEET_LOG_LEVEL",
        default_value = "info"
    )]
    pub log_level: LogLevel,
}

#[cfg(feature = "cluster")]
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// A time in seconds, fractions allowed.
#[cfg(feature = "cluster")]
fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    std::time::Duration::try_from_secs_f64(number).map_err(|e| e.to_string())
}

/// Which cluster a command reads.
#[cfg(feature = "cluster")]
#[derive(Args, Debug)]
pub struct Cluster {
    /// The kubeconfig to use; otherwise $KUBECONFIG, ~/.kube/config or the pod's account.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub kubeconfig: Option<PathBuf>,

    /// The kubeconfig's context to use; otherwise its current one.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

/// List the nodes of the cluster with their kernels; those that are not Ready first, with the reason.
///
/// Ready: the running kernel is published. Stale: the node rebooted and its agent has not spoken since.
/// NotReported: no agent has spoken yet. NoBTF: the kernel was built without BTF. Error: see the reason.
#[cfg(feature = "cluster")]
#[derive(Args, Debug)]
pub struct Nodes {
    #[command(flatten)]
    pub cluster: Cluster,

    /// Only nodes with these labels, as kubectl takes them: KEY=VALUE,KEY2!=VALUE, KEY in (A,B).
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub selector: Option<String>,

    /// How to print them.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: ListFormat,

    /// Go on, and print each node that changes.
    #[arg(short, long)]
    pub watch: bool,
}

/// List what btfleet's agents and controller told of nodes and kernels lately; the newest last.
#[cfg(feature = "cluster")]
#[derive(Args, Debug)]
pub struct Events {
    #[command(flatten)]
    pub cluster: Cluster,

    /// Only of this node, or of this kernel by its id.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// Say why nodes are not Ready, and what to do about it, from what this account can see of the cluster.
///
/// Looks at the nodes, their agents' pods, Events and KernelHeaders, at the controller and the admission
/// policies. It needs no service of btfleet's.
///
/// Exit codes: 0 all is well, 1 something is not.
#[cfg(feature = "cluster")]
#[derive(Args, Debug)]
pub struct Doctor {
    #[command(flatten)]
    pub cluster: Cluster,

    /// These nodes; otherwise all that are not Ready.
    #[arg(value_name = "NODE")]
    pub nodes: Vec<String>,

    /// With an agent's account, in a pod: try by dry run to write to its Node what an agent must not, and to write
    /// what it may. Nothing else is looked at.
    #[arg(long, conflicts_with = "nodes")]
    pub try_policies: bool,
}

/// Print the definition of the resource KernelHeader (`kubectl apply -f -` takes it).
#[cfg(feature = "cluster")]
#[derive(Args, Debug)]
pub struct Crd {}
