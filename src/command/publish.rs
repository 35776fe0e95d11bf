//! `btfleet publish`.

use super::input::{self, Input};
use super::{complain, note};
use crate::cli::Publish;
use anyhow::{Context, Result, bail};
use btfleet::artifact::{Arch, KernelId, Object, Owner, Release};
use btfleet::store::{Done, Folder, Kernel, Step};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What killed writers left behind is removed when it is this old: no write takes as long.
const LEFTOVER_AGE: Duration = Duration::from_secs(3600);

pub fn run(args: &Publish) -> Result<ExitCode> {
    let store = Folder::open(&args.store.store)?;
    let owner = Owner::pin(&args.pin)?;
    let arch: Option<Arch> = args.arch.as_deref().map(str::parse).transpose()?;
    let release: Option<Release> = args.release.as_deref().map(str::parse).transpose()?;
    let inputs = match args.inputs.as_slice() {
        [] => vec![input::kernel_path()],
        inputs => inputs.to_vec(),
    };
    if inputs.len() > 1 && release.is_some() {
        bail!(
            "--release names one kernel, and there are {} inputs: publish them one by one",
            inputs.len()
        );
    }
    store.remove_leftovers(LEFTOVER_AGE)?;
    let bar = progress(&inputs);
    let mut failed = 0;
    for path in &inputs {
        bar.set_message(path.display().to_string());
        let told = one(&store, &owner, arch.as_ref(), release.as_ref(), path);
        // The bar steps aside while a line is written.
        bar.suspend(|| match told {
            Ok(text) => io::stdout().write_all(text.as_bytes()),
            Err(e) => {
                failed += 1;
                complain(&format!("{e:#}"));
                Ok(())
            }
        })?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    if failed > 0 && inputs.len() > 1 {
        complain(&format!(
            "{failed} of {} inputs were not published",
            inputs.len()
        ));
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

fn progress(inputs: &[PathBuf]) -> ProgressBar {
    if inputs.len() < 2 || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let target = ProgressDrawTarget::stderr();
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}");
    ProgressBar::with_draw_target(Some(inputs.len() as u64), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Publishes one kernel and tells what was done.
fn one(
    store: &Folder,
    owner: &Owner,
    arch: Option<&Arch>,
    release: Option<&Release>,
    path: &std::path::Path,
) -> Result<String> {
    let input = input::read(path)?;
    let publish = || -> Result<String> {
        if input.is_bpf {
            bail!("this is an eBPF object: its BTF describes a program, not a kernel");
        }
        if input.distilled.is_some() {
            bail!("this is a module: only whole kernels are published");
        }
        let arch = one_arch(&input, arch)?;
        let release = release.or(input.release.as_ref());
        let kernel = Kernel::new(&input.btf)?;
        if let Some(arch) = &arch {
            fits(arch, &kernel)?;
        }
        let steps = kernel.publish(store, owner, arch.as_ref().zip(release))?;
        Ok(tell(store, &input, &kernel, &steps, arch.as_ref(), release))
    };
    publish().with_context(|| format!("{} was not published", input.name))
}

/// The machine as the input and the command line have it; they may not disagree.
fn one_arch(input: &Input, asked: Option<&Arch>) -> Result<Option<Arch>> {
    match (&input.arch, asked) {
        (Some(own), Some(asked)) if own != asked => {
            bail!("it is a kernel for {own}, and --arch says {asked}")
        }
        (own, asked) => Ok(asked.or(own.as_ref()).cloned()),
    }
}

/// A BTF does not name its machine, but says enough to notice a mix-up.
fn fits(arch: &Arch, kernel: &Kernel<'_>) -> Result<()> {
    use btfleet::artifact::Order;
    let m = &kernel.manifest;
    let big = m.byte_order == Order::Big;
    match arch.shape() {
        Some((wants_big, pointer)) if (wants_big, pointer) != (big, m.pointer_size) => bail!(
            "it is the BTF of a {}-bit {}-endian kernel, which no {arch} machine runs",
            m.pointer_size * 8,
            if big { "big" } else { "little" },
        ),
        _ => Ok(()),
    }
}

fn tell(
    store: &Folder,
    input: &Input,
    kernel: &Kernel<'_>,
    steps: &[Step],
    arch: Option<&Arch>,
    release: Option<&Release>,
) -> String {
    let m = &kernel.manifest;
    let id: KernelId = m.btf_digest.kernel_id();
    let new = steps.iter().any(|s| s.done != Done::Present);
    let mut text = String::new();
    // Writing to a string does not fail.
    let mut line = |args: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "{}", super::printable(&args.to_string()));
    };
    let told = match new {
        true => "published",
        false => "already published, nothing written",
    };
    line(format_args!("{}: {told}", input.name));
    let mut name = String::new();
    for word in [arch.map(Arch::to_string), release.map(Release::to_string)]
        .into_iter()
        .flatten()
    {
        let _ = write!(name, " {word}");
    }
    line(format_args!("  kernel  {id}{name}"));
    line(format_args!(
        "  BTF     {} ({})",
        m.btf_digest,
        bytes(m.btf_size)
    ));
    line(format_args!(
        "  header  {} ({}, generator {})",
        m.header_digest,
        bytes(m.header_size),
        m.generator
    ));
    for step in steps {
        let done = match step.done {
            Done::Wrote => "wrote   ",
            Done::Present => "present ",
            Done::Replaced => "replaced",
        };
        let size = match step.size {
            0 => String::new(),
            n => format!(" ({})", bytes(n)),
        };
        line(format_args!("  {done} {}{size}", step.object.key()));
    }
    let header = store.path(&Object::Header(m.header_digest).key());
    line(format_args!("  header in {}", header.display()));
    let short = &id.to_string()[..12];
    let place = super::store_flag(store);
    line(format_args!("  read it with: btfleet get {short}{place}"));
    match (arch, release) {
        (Some(_), Some(_)) => {}
        (None, Some(_)) => note(&format!(
            "{}: no index entry without --arch: the kernel is found by its digest only",
            input.name
        )),
        (_, None) => note(&format!(
            "{}: no index entry without --release{}: the kernel is found by its digest only",
            input.name,
            if arch.is_none() { " and --arch" } else { "" },
        )),
    }
    text
}

/// A number of bytes to read: 5,516,713 bytes.
fn bytes(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    format!("{out} byte{}", if n == 1 { "" } else { "s" })
}
