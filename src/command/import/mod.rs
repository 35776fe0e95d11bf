//! `btfleet import`: kernels that have BTF files, and no node here.

mod archive;
mod walk;

use super::input::{self, Input};
use super::publish::{one_arch, publish};
use super::{complain, progress};
use crate::cli::Import;
use anyhow::{Context, Result, bail};
use btfleet::artifact::{Arch, Owner, Release};
use btfleet::store::{Done, Store};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use walk::Found;

pub async fn run(args: &Import) -> Result<ExitCode> {
    let store = super::open(&args.store).await?;
    let owner = Owner::pin(&args.pin)?;
    let arch: Option<Arch> = args.arch.as_deref().map(str::parse).transpose()?;
    let release: Option<Release> = args.release.as_deref().map(str::parse).transpose()?;
    let mut found = Vec::new();
    for path in &args.inputs {
        let here = walk::files(path).with_context(|| format!("cannot read {}", path.display()))?;
        if here.is_empty() {
            bail!(
                "{} holds no file whose name ends in .btf or .btf.tar.xz",
                path.display()
            );
        }
        found.extend(here);
    }
    if found.len() > 1 && release.is_some() {
        bail!(
            "--release names one kernel, and there are {} files: import them one by one, or as ARCH/RELEASE.btf",
            found.len()
        );
    }
    store.tidy(super::publish::LEFTOVER_AGE).await?;
    let bar = progress::bar(found.len());
    let (mut new, mut failed) = (0, 0);
    for file in &found {
        bar.set_message(file.path.display().to_string());
        let told = one(&*store, &owner, file, arch.as_ref(), release.as_ref()).await;
        bar.suspend(|| match told {
            Ok((line, wrote)) => {
                new += usize::from(wrote);
                writeln!(io::stdout(), "{}", super::printable(&line))
            }
            Err(e) => {
                failed += 1;
                complain(&format!("{} was not imported: {e:#}", file.path.display()));
                Ok(())
            }
        })?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let all = found.len();
    writeln!(
        io::stdout(),
        "{all} file{}: {new} imported, {} already there, {failed} failed; kept in {} as {owner}",
        if all == 1 { "" } else { "s" },
        all - new - failed,
        store.place(),
    )?;
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// Imports one file; gives a line about it, and whether anything was written.
async fn one(
    store: &dyn Store,
    owner: &Owner,
    file: &Found,
    arch: Option<&Arch>,
    release: Option<&Release>,
) -> Result<(String, bool)> {
    let (path, is_archive) = (file.path.clone(), file.is_archive);
    let input = super::aside(move || read(&path, is_archive)).await?;
    let arch = agree("arch", "--arch", arch, file.arch.as_ref())?;
    let arch = one_arch(&input, arch.as_ref())?;
    let release = agree("release", "--release", release, file.release()?.as_ref())?;
    let release = release.or(input.release.clone());
    let (Some(arch), Some(release)) = (arch, release) else {
        bail!(
            "its arch or its release is not known: --arch and --release tell, or a name such as amd64/6.1.0-13-amd64.btf"
        );
    };
    let name = Some((arch.clone(), release.clone()));
    let done = publish(store, owner, &input, Some(&arch), name).await?;
    let wrote = done.steps.iter().any(|step| step.done != Done::Present);
    let told = if wrote { "imported" } else { "already there" };
    let id = done.manifest.btf_digest.kernel_id();
    Ok((format!("{id} {arch}/{release}: {told}"), wrote))
}

fn read(path: &Path, is_archive: bool) -> Result<Input> {
    match is_archive {
        true => {
            let btf = archive::read(path)?;
            input::from_bytes(btf.into(), path.display().to_string())
        }
        false => input::read(path),
    }
}

/// What the command line says and what the file's place says may not differ.
fn agree<T: Clone + PartialEq + std::fmt::Display>(
    what: &str,
    flag: &str,
    asked: Option<&T>,
    own: Option<&T>,
) -> Result<Option<T>> {
    match (asked, own) {
        (Some(asked), Some(own)) if asked != own => {
            bail!("by its name its {what} is {own}, and {flag} says {asked}")
        }
        (asked, own) => Ok(asked.or(own).cloned()),
    }
}
