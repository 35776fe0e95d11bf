//! What a person runs: one module a command.

mod completions;
mod diff;
mod dump;
mod get;
mod input;
mod kernels;
mod name;
mod output;
mod publish;
mod room;
mod verify;

use crate::cli::Command;
use anyhow::Result;
use btfleet::store::Folder;
use std::io::{self, Write};
use std::process::ExitCode;

/// Runs a command. An `Err` is trouble; what a command found is in its exit code.
pub fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Dump(args) => dump::run(&args),
        Command::Publish(args) => publish::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Kernels(args) => kernels::run(&args),
        Command::Get(args) => get::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Completions(args) => completions::run(&args),
    }
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

/// The store that a reading command reads; says which on stderr.
pub fn open_to_read(args: &crate::cli::Store) -> Result<Folder> {
    let store = Folder::open(&args.store)?;
    note(&format!("reading store {}", store.root().display()));
    Ok(store)
}

/// The `--store` that a later command needs to find this store again.
pub fn store_flag(store: &Folder) -> String {
    match store.root().to_str() {
        Some("./btfleet-store") => String::new(),
        _ => format!(" --store {}", store.root().display()),
    }
}
