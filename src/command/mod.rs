//! What a person runs: one module a command.

#[cfg(feature = "cluster")]
mod agent;
mod check;
#[cfg(feature = "cluster")]
mod cleanup;
#[cfg(feature = "cluster")]
mod complete;
mod completions;
#[cfg(feature = "cluster")]
mod controller;
#[cfg(feature = "cluster")]
mod crd;
mod crew;
mod diff;
#[cfg(feature = "cluster")]
mod doctor;
mod dump;
#[cfg(feature = "cluster")]
mod events;
#[cfg(feature = "cluster")]
mod fetch;
#[cfg(feature = "cluster")]
mod fleet;
mod get;
mod import;
mod input;
#[cfg(feature = "cluster")]
mod inventory;
mod kernels;
mod memory;
mod minimize;
mod mirror;
mod name;
#[cfg(feature = "cluster")]
mod node;
#[cfg(feature = "cluster")]
mod nodes;
mod output;
mod progress;
mod publish;
mod room;
#[cfg(feature = "cluster")]
mod serve;
mod sources;
mod store;
mod table;
mod verify;

use crate::cli::Command;
use anyhow::{Context, Result};
use btfleet::store::{S3Options, Store};
use std::future::Future;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

/// Runs a command. An `Err` is trouble; what a command found is in its exit code.
pub fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Dump(args) => dump::run(&args),
        Command::Publish(args) => wait(|| publish::run(&args)),
        Command::Verify(args) => wait(|| verify::run(&args)),
        Command::Kernels(args) => wait(|| kernels::run(&args)),
        Command::Get(args) => wait(|| get::run(&args)),
        Command::Diff(args) => wait(|| diff::run(&args)),
        Command::Check(args) => wait(|| check::run(&args)),
        Command::Minimize(args) => wait(|| minimize::run(&args)),
        Command::Mirror(args) => wait(|| mirror::run(&args)),
        Command::Import(args) => wait(|| import::run(&args)),
        Command::Store(args) => wait(|| store::run(&args.task)),
        #[cfg(feature = "cluster")]
        Command::Agent(args) => agent::run(&args),
        #[cfg(feature = "cluster")]
        Command::Controller(args) => controller::run(&args),
        #[cfg(feature = "cluster")]
        Command::Cleanup(args) => wait(|| cleanup::run(args)),
        #[cfg(feature = "cluster")]
        Command::Serve(args) => serve::run(&args),
        #[cfg(feature = "cluster")]
        Command::Fetch(args) => wait(|| fetch::run(args)),
        #[cfg(feature = "cluster")]
        Command::Nodes(args) => wait(|| nodes::run(args)),
        #[cfg(feature = "cluster")]
        Command::Events(args) => wait(|| events::run(args)),
        #[cfg(feature = "cluster")]
        Command::Doctor(args) => wait(|| doctor::run(args)),
        #[cfg(feature = "cluster")]
        Command::Crd(_) => crd::run(),
        Command::Completions(args) => completions::run(&args),
    }
}

/// Answers kubectl, which asks its plugin how the last of these words could go on.
#[cfg(feature = "cluster")]
pub fn complete(words: &[String]) -> Result<ExitCode> {
    wait(|| complete::run(words))
}

/// Does what waits for a store, on this thread. Other commands start no runtime, and have no room made on the stack for
/// what waits.
#[inline(never)]
fn wait<W: Future<Output = Result<ExitCode>>>(work: impl FnOnce() -> W) -> Result<ExitCode> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build();
    runtime.context("cannot start")?.block_on(work())
}

/// Does what keeps the processor busy or waits for a disk, beside what waits for a store.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    // In a released binary a panic ends the process anyhow.
    done.expect("work set aside does not panic")
}

/// Says one line on stderr; what could upset a terminal or look like another line is escaped.
pub fn complain(message: &str) {
    note(&format!("btfleet: {message}"));
}

/// Likewise, without our name in front.
pub fn note(message: &str) {
    // If nobody can hear it, there is nobody to tell.
    let _ = writeln!(io::stderr(), "{}", printable(message));
}

/// A text in which no byte from outside can act as a line end or a terminal's command.
pub fn printable(text: &str) -> std::borrow::Cow<'_, str> {
    match text.chars().any(char::is_control) {
        false => text.into(),
        true => text
            .chars()
            .flat_map(|c| {
                let escaped = c.is_control().then(|| c.escape_default());
                let plain = (!c.is_control()).then_some(c);
                escaped.into_iter().flatten().chain(plain)
            })
            .collect::<String>()
            .into(),
    }
}

/// Likewise, but line ends stay.
#[cfg(feature = "cluster")]
pub fn printable_text(text: &str) -> String {
    let lines = text.split('\n').map(printable);
    lines.collect::<Vec<_>>().join("\n")
}

/// The store that a reading command reads; says which on stderr.
pub async fn open_to_read(args: &crate::cli::Store) -> Result<Arc<dyn Store>> {
    let store = open(args).await?;
    note(&format!("reading store {}", store.place()));
    Ok(store)
}

/// How the command line says that an object storage is reached.
pub fn s3_options(args: &crate::cli::Store) -> S3Options {
    S3Options {
        endpoint: args.s3.endpoint.clone(),
        region: args.s3.region.clone(),
        path_style: args.s3.path_style,
        ca_file: args.s3.ca_file.clone(),
        ..S3Options::default()
    }
}

/// The store that the command line names.
pub async fn open(args: &crate::cli::Store) -> Result<Arc<dyn Store>> {
    Ok(btfleet::store::open(args.place(), &s3_options(args)).await?)
}

/// The `--store` that a later command needs to find this store again.
pub fn store_flag(store: &dyn Store) -> String {
    match store.place() {
        "./btfleet-store" => String::new(),
        place => format!(" --store {place}"),
    }
}
