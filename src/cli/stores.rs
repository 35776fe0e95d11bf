//! `btfleet store`: the store as a whole.

#[cfg(all(feature = "cluster", feature = "s3"))]
use super::{Cluster, no_default, seconds};
use super::{Store, TextFormat};
use clap::{Args, Subcommand, ValueEnum};

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
