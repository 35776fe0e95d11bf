//! Says whether an eBPF object is CO-RE compatible with a kernel, with nothing but the library:
//! `cargo run --no-default-features --example check probe.bpf.o /sys/kernel/btf/vmlinux`.

use btfleet::btf::Btf;
use btfleet::relo::check::{Object, Target, check};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(object), Some(kernel)) = (args.next(), args.next()) else {
        return Err("give an eBPF object and a kernel's BTF".into());
    };
    let (object, kernel) = (std::fs::read(object)?, std::fs::read(kernel)?);
    let object = Object::parse(&object)?;
    let kernel = Btf::parse(&kernel)?;
    for program in check(&object, &Target::new(&kernel))? {
        println!("{}: {}", program.name, program.verdict.name());
        for finding in program.findings {
            println!(
                "  {} {}: {}",
                finding.subject.name(),
                finding.name,
                finding.reason
            );
        }
    }
    Ok(())
}
