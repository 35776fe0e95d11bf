//! Prints the `vmlinux.h` of a kernel, with nothing but the library:
//! `cargo run --no-default-features --example header /sys/kernel/btf/vmlinux`.

use btfleet::btf::Btf;
use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os()
        .nth(1)
        .unwrap_or_else(|| "/sys/kernel/btf/vmlinux".into());
    let blob = std::fs::read(path)?;
    let btf = Btf::parse(&blob)?;
    std::io::stdout().write_all(&btfleet::dump::header(&btf)?)?;
    Ok(())
}
