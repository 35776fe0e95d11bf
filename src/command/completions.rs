//! `btfleet completions`.

use crate::cli::{Cli, Completions};
use anyhow::Result;
use clap::CommandFactory;
use std::io::{self, Write};
use std::process::ExitCode;

pub fn run(args: &Completions) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "btfleet", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
