//! `btfleet publish`.

use super::input::{self, Input};
use super::{complain, note, progress};
use crate::cli::Publish;
use anyhow::{Context, Result, bail};
use btfleet::artifact::{Arch, KernelId, Manifest, Object, Owner, Release};
use btfleet::store::{Contents, Done, Kernel, Manner, Step, Store, publish_and_look};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// What killed writers left behind is removed when it is this old: no write takes as long.
pub const LEFTOVER_AGE: Duration = Duration::from_secs(3600);

pub async fn run(args: &Publish) -> Result<ExitCode> {
    let store = super::open(&args.store).await?;
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
    store.tidy(LEFTOVER_AGE).await?;
    let bar = progress::bar(inputs.len());
    let mut failed = 0;
    for path in &inputs {
        bar.set_message(path.display().to_string());
        let told = one(&*store, &owner, arch.as_ref(), release.as_ref(), path).await;
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

/// Publishes one kernel and tells what was done.
async fn one(
    store: &dyn Store,
    owner: &Owner,
    arch: Option<&Arch>,
    release: Option<&Release>,
    path: &std::path::Path,
) -> Result<String> {
    let path = path.to_owned();
    let input = super::aside(move || input::read(&path)).await?;
    let publish = async {
        let arch = one_arch(&input, arch)?;
        let release = release.or(input.release.as_ref());
        let name = arch.clone().zip(release.cloned());
        let done = publish(store, owner, &input, arch.as_ref(), name).await?;
        Ok(tell(store, &input, &done, arch.as_ref(), release))
    };
    let told: Result<String> = publish.await;
    told.with_context(|| format!("{} was not published", input.name))
}

/// What was published.
pub struct Published {
    pub manifest: Manifest,
    pub steps: Vec<Step>,
}

/// Publishes an input, if it is a kernel and fits its machine.
pub async fn publish(
    store: &dyn Store,
    owner: &Owner,
    input: &Input,
    arch: Option<&Arch>,
    name: Option<(Arch, Release)>,
) -> Result<Published> {
    if input.is_bpf {
        bail!("this is an eBPF object: its BTF describes a program, not a kernel");
    }
    if input.distilled.is_some() {
        bail!("this is a module: only whole kernels are published");
    }
    let btf = input.btf.clone();
    let kernel = super::aside(move || Kernel::new(btf)).await?;
    let manifest = kernel.made.as_ref().map(|made| made.manifest.clone());
    let manifest = manifest.context("no header was made")?;
    if let Some(arch) = arch {
        fits(arch, &manifest)?;
    }
    let what = Contents::Kernel(&kernel);
    let steps = publish_and_look(store, what, owner, name.as_slice(), Manner::Thorough).await?;
    Ok(Published { manifest, steps })
}

/// The machine as the input and the command line have it; they may not disagree.
pub fn one_arch(input: &Input, asked: Option<&Arch>) -> Result<Option<Arch>> {
    match (&input.arch, asked) {
        (Some(own), Some(asked)) if own != asked => {
            bail!("it is a kernel for {own}, and --arch says {asked}")
        }
        (own, asked) => Ok(asked.or(own.as_ref()).cloned()),
    }
}

/// A BTF does not name its machine, but says enough to notice a mix-up.
fn fits(arch: &Arch, m: &Manifest) -> Result<()> {
    use btfleet::artifact::Order;
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
    store: &dyn Store,
    input: &Input,
    done: &Published,
    arch: Option<&Arch>,
    release: Option<&Release>,
) -> String {
    let (m, steps) = (&done.manifest, &done.steps);
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
            Done::Disagrees => "left    ",
        };
        let size = match step.size {
            0 => String::new(),
            n => format!(" ({})", bytes(n)),
        };
        line(format_args!("  {done} {}{size}", step.object.key()));
    }
    let header = Object::Header(m.header_digest).key();
    line(format_args!("  header in {}/{header}", store.place()));
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
