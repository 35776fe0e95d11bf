//! `btfleet dump --format json`.

use crate::cli::Dump;
use anyhow::{Result, bail};
use btfleet::btf::Btf;

pub fn write(_btf: &Btf<'_>, _args: &Dump) -> Result<()> {
    bail!("JSON is not printed yet")
}
