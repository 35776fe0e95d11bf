//! What runs in the cluster, and what removes it.

use super::{Cluster, RunningKernel, Store, TextFormat, seconds};
use clap::{Args, ValueEnum, ValueHint};
use std::path::PathBuf;

/// Publish this node's kernel and say so on its Node, for as long as it runs (a DaemonSet's pod).
///
/// Reads the running kernel's BTF, makes its header, stores whatever the store lacks of them, and writes
/// digests and status to its own Node as annotations. Looks at its Node every 10 minutes and at the store
/// every hour, and mends what is missing. It needs a service account that may get and patch its Node.
///
/// Exit codes: 0 ended by SIGTERM or, with --once, published or knowingly without BTF; 1 failed.
#[derive(Args, Debug)]
pub struct Agent {
    /// The Node that this runs on; otherwise what NODE_NAME says.
    #[arg(long, value_name = "NAME", env = "BTFLEET_NODE_NAME")]
    pub node_name: Option<String>,

    /// Do it once and end: for jobs. Trouble is not waited out, a late nodeInfo after a reboot is.
    #[arg(long)]
    pub once: bool,

    #[command(flatten)]
    pub kernel: RunningKernel,

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

/// Hand out kernels' headers and BTF over HTTP, by node or by digest (a Deployment).
///
/// Watches the cluster's Nodes if a kubeconfig or a pod's account is there; otherwise it serves a store alone.
/// GET / is the inventory, /openapi.json says what else there is, /livez, /readyz and /metrics how it is. No byte is
/// sent whose digest was not checked.
///
/// Exit codes: 0 ended by SIGTERM, after the requests that were under way; 1 failed.
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

/// Remove what btfleet wrote on this cluster's Nodes, and this cluster's references in the store.
///
/// For the end of an installation: the agents must be gone first, or they write it again (--daemonset sees to that). Can
/// be run again where it was cut short. What other clusters use stays in the store; what is left unused is collected by
/// the controllers of clusters that share the store, or stays.
///
/// Exit codes: 0 nothing is left, 1 something is.
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

/// How a long-running command logs.
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

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// A time with its unit: 30d, 12h, 10m, 90s.
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
