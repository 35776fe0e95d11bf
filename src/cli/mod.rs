//! Every command and flag; no logic.

#[cfg(feature = "cluster")]
mod clients;
#[cfg(feature = "cluster")]
mod daemons;
mod kernels;
mod stores;

#[cfg(feature = "cluster")]
pub use clients::*;
#[cfg(feature = "cluster")]
pub use daemons::*;
pub use kernels::*;
pub use stores::*;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use std::ffi::OsStr;
use std::path::PathBuf;

/// Help is no wider than this, in columns.
const MAX_WIDTH: usize = 100;

/// The exact vmlinux.h of a kernel, made from its BTF; and a store of them.
///
/// Every kernel that runs eBPF can describe its own types (BTF, /sys/kernel/btf/vmlinux). btfleet prints
/// them as the C header that eBPF programs include, publishes BTF and header in a store, and reads them
/// back, checked.
///
/// Exit codes: 0 done, 1 failed (or: something was found), 2 wrong usage. `diff` and `check` have
/// their own.
#[derive(Parser, Debug)]
#[command(name = "btfleet", version, max_term_width = MAX_WIDTH)]
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
    Check(Check),
    Minimize(Minimize),
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

impl Cli {
    /// The command line as far as it is needed for one that begins with this word. All of it takes longer to make than a
    /// program takes to start, which would be a twentieth of a `dump`.
    pub fn command_for(first: Option<&OsStr>) -> clap::Command {
        match first.and_then(OsStr::to_str) {
            Some("dump") => Cli::alone(Dump::augment_args(clap::Command::new("dump"))),
            _ => Cli::command(),
        }
    }

    /// A command line of this command only.
    fn alone(command: clap::Command) -> clap::Command {
        clap::Command::new("btfleet")
            .version(env!("CARGO_PKG_VERSION"))
            .max_term_width(MAX_WIDTH)
            .subcommand_required(true)
            .subcommand(command)
    }
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

/// Where kernels are looked for by name.
#[derive(Args, Debug)]
pub struct Where {
    #[command(flatten)]
    pub store: Store,

    #[cfg(feature = "cluster")]
    #[command(flatten)]
    pub cluster: Cluster,
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

/// A time in seconds, fractions allowed.
#[cfg(feature = "cluster")]
fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    std::time::Duration::try_from_secs_f64(number).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dump_by_itself_has_the_help_and_the_errors_that_it_has_among_all_commands() {
        let said = |command: clap::Command, args: &[&str]| {
            let words = [&["btfleet", "dump"], args].concat();
            match command.try_get_matches_from(words) {
                Ok(_) => panic!("{args:?} is a right command line"),
                Err(e) => (e.exit_code(), e.to_string()),
            }
        };
        for args in [
            &["--help"][..],
            &["-h"],
            &["--version"],
            &["--formt", "c"],
            &["--format", "yaml"],
            &["a", "b"],
            &["-o"],
        ] {
            let alone = said(Cli::command_for(Some(OsStr::new("dump"))), args);
            assert_eq!(alone, said(Cli::command(), args), "{args:?}");
        }
        assert_eq!(Cli::command_for(None).get_subcommands().count(), {
            Cli::command().get_subcommands().count()
        });
    }
}
