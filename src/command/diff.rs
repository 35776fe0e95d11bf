//! `btfleet diff`.

use crate::cli::Diff;
use anyhow::{Result, bail};
use std::process::ExitCode;

pub fn run(args: &Diff) -> Result<ExitCode> {
    bail!("cannot compare {} and {} yet", args.a, args.b)
}
