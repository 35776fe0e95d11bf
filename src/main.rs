//! `btfleet`: parse the command line, run the command, one error line and one exit.
#![deny(unsafe_code)]

mod cli;
mod command;

use clap::Parser;
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    // `diff` keeps 1 for "they differ".
    let trouble = match &cli.command {
        cli::Command::Diff(_) => 2,
        _ => 1,
    };
    match command::run(cli.command) {
        Ok(code) => code,
        // Whoever read our output has enough: `btfleet dump | head`.
        Err(e) if is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            command::complain(&format!("{e:#}"));
            let _ = io::stderr().flush();
            ExitCode::from(trouble)
        }
    }
}

fn is_broken_pipe(e: &anyhow::Error) -> bool {
    e.chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|io| io.kind() == io::ErrorKind::BrokenPipe)
}
