//! Who asks the cluster: an init container, a person.

use super::{ListFormat, Store, seconds};
use btfleet::agent::Source;
use clap::{Args, ValueEnum, ValueHint};
use std::path::PathBuf;

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

    #[command(flatten)]
    pub kernel: RunningKernel,

    #[command(flatten)]
    pub cluster: Cluster,

    // Last: what follows would stand under its heading.
    #[command(flatten)]
    pub store: Store,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchSource {
    /// This kernel's own BTF where it can be read; otherwise by what its Node says.
    Auto,
    /// This kernel's own BTF alone. Nobody is asked.
    Own,
    /// By what its Node says alone.
    Node,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchMatch {
    /// By the digest of its BTF.
    Digest,
    /// Of a kernel without BTF also by arch and release, if exactly one kernel has them. That is no proof: two builds
    /// may share a release.
    Release,
}

/// Where the kernel that runs here is read.
#[derive(Args, Debug)]
pub struct RunningKernel {
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
}

impl RunningKernel {
    /// What reads it.
    pub fn source(&self) -> Source {
        Source {
            btf: self.btf.clone(),
            proc: self.proc.clone(),
        }
    }
}

/// Which cluster a command reads.
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
#[derive(Args, Debug)]
pub struct Crd {}
