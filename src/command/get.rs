//! `btfleet get`.

use super::name::{self, Named};
use super::note;
use super::output::Output;
use crate::cli::Get;
use anyhow::{Context, Result, bail};
use btfleet::artifact::{BtfDigest, Generator, HeaderDigest, Manifest};
use btfleet::btf::Btf;
use btfleet::store::{Store, read};
use bytes::Bytes;
use std::process::ExitCode;

pub async fn run(args: &Get) -> Result<ExitCode> {
    #[cfg(feature = "cluster")]
    if let Some(kernel) = super::fleet::find(&args.at.cluster, &args.at.store, &args.name).await? {
        let generator = args.generator.map(Generator::new).transpose()?;
        let bytes = match (args.what.btf, args.what.manifest) {
            (true, _) => kernel.btf().await?,
            (_, true) => kernel.manifest(generator).await?,
            _ => kernel.header(generator).await?,
        };
        Output::new(args.output.as_deref())?.put(&bytes)?;
        return Ok(ExitCode::SUCCESS);
    }
    let store = super::open_to_read(&args.at.store).await?;
    let generator = match args.generator {
        Some(number) => Generator::new(number)?,
        None => Generator::OWN,
    };
    let bytes = match name::expect(&*store, &args.name).await? {
        Named::Kernel(btf) if args.what.btf => read::btf(&*store, &btf, None).await?,
        Named::Kernel(btf) if args.what.manifest => {
            let manifest = read::manifest(&*store, &btf, generator).await?;
            manifest.to_json().into()
        }
        Named::Kernel(btf) => header(&*store, &btf, generator).await?,
        Named::Header(_) if args.what.btf || args.what.manifest => bail!(
            "{} is a header: name the kernel to get its BTF or manifest",
            args.name
        ),
        Named::Header(header) => read::header(&*store, &header, None).await?,
    };
    Output::new(args.output.as_deref())?.put(&bytes)?;
    Ok(ExitCode::SUCCESS)
}

/// A kernel's header. That the store's is this kernel's is not taken from the manifest, which anybody who
/// can write there could have changed: with our own generator it is made anew and compared.
async fn header(store: &dyn Store, btf: &BtfDigest, generator: Generator) -> Result<Bytes> {
    let manifest = match read::manifest(store, btf, generator).await {
        Ok(manifest) => Some(manifest),
        Err(e) if e.is_missing() && generator == Generator::OWN => None,
        Err(e) if e.is_missing() => bail!(
            "the store has no header of generator {generator} for this kernel, and this build makes those of generator {} only",
            Generator::OWN
        ),
        Err(e) => return Err(e.into()),
    };
    let stored = match &manifest {
        None => None,
        Some(m) => match read::header(store, &m.header_digest, Some(m.header_size)).await {
            Ok(header) => Some(header),
            Err(e) if e.is_missing() && generator == Generator::OWN => None,
            Err(e) => return Err(e.into()),
        },
    };
    if generator != Generator::OWN {
        return stored.context("the store has no such header");
    }
    let made = match read::btf(store, btf, None).await {
        Ok(blob) => {
            let make = move || Ok::<_, anyhow::Error>(btfleet::dump::header(&Btf::parse(&blob)?)?);
            Bytes::from(super::aside(make).await?)
        }
        // Without the BTF there is only the manifest's word for it.
        Err(e) if e.is_missing() => return stored.ok_or(e.into()),
        Err(e) => return Err(e.into()),
    };
    match &manifest {
        Some(m) => agree(m, &made)?,
        None => note("the store has no header of this generator: it was made from the BTF"),
    }
    Ok(made)
}

fn agree(manifest: &Manifest, made: &[u8]) -> Result<()> {
    let digest = HeaderDigest::of(made);
    if digest != manifest.header_digest {
        bail!(
            "{}: it says the header is {}, but the one made from the BTF is {digest}: `btfleet verify` tells more, and publishing the kernel again repairs it",
            manifest.object().key(),
            manifest.header_digest
        );
    }
    Ok(())
}
