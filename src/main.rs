//! `btfleet`: parse the command line, run the command, one error line and one exit.
#![deny(unsafe_code)]

mod cli;
mod command;

use clap::FromArgMatches;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    let called = Path::new(&called).file_name().unwrap_or_default();
    #[cfg(feature = "cluster")]
    if called == "kubectl_complete-btfleet" {
        let words = std::env::args_os().skip(1);
        let words: Vec<String> = words.map(|w| w.to_string_lossy().into_owned()).collect();
        return command::complete(&words).unwrap_or(ExitCode::FAILURE);
    }
    let cli = parse(called == "kubectl-btfleet");
    // These keep 1 for what they found.
    let trouble = match &cli.command {
        cli::Command::Diff(_) | cli::Command::Check(_) => 2,
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

/// The command line. As kubectl's plugin the program is called as people call it then.
fn parse(is_plugin: bool) -> cli::Cli {
    let mut command = cli::Cli::command_for(std::env::args_os().nth(1).as_deref());
    if is_plugin {
        command = command.bin_name("kubectl btfleet");
    }
    let parsed = cli::Cli::from_arg_matches(&command.get_matches());
    parsed.unwrap_or_else(|e| e.exit())
}

fn is_broken_pipe(e: &anyhow::Error) -> bool {
    e.chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|io| io.kind() == io::ErrorKind::BrokenPipe)
}
