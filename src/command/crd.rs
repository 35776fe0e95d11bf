//! `btfleet crd`.

use anyhow::Result;
use btfleet::cluster::KernelHeader;
use kube::CustomResourceExt;
use std::io::{self, Write};
use std::process::ExitCode;

pub fn run() -> Result<ExitCode> {
    let text = super::output::yaml(&KernelHeader::crd())?;
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
