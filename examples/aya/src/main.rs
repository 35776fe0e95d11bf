//! load OBJECT BTF: loads and attaches an eBPF object with aya, for the kernel that BTF describes (vmlinux.btf, as
//! `btfleet fetch` left it), until it is ended.

use aya::programs::RawTracePoint;
use aya::{Btf, EbpfLoader, Endianness};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(object), Some(btf)) = (args.next(), args.next()) else {
        return Err("usage: load OBJECT BTF".into());
    };
    // Instead of /sys/kernel/btf/vmlinux, which this kernel or this container may not have.
    let types = Btf::parse_file(btf, Endianness::default())?;
    let mut ebpf = EbpfLoader::new().btf(Some(&types)).load_file(object)?;
    let program = ebpf.program_mut("on_exec").ok_or("there is no on_exec")?;
    let program: &mut RawTracePoint = program.try_into()?;
    program.load()?;
    program.attach("sched_process_exec")?;
    eprintln!("attached: see /sys/kernel/tracing/trace_pipe");
    loop {
        std::thread::park();
    }
}
