//! `btfleet mirror`: what one store has, in another.

use super::name::{self, Named, objects};
use super::{complain, progress};
use crate::cli::{Mirror, S3, Store as StoreArgs};
use anyhow::{Context, Result, bail};
use btfleet::artifact::{Arch, BtfDigest, Generator, Key, Manifest, Object, Owner, Release};
use btfleet::store::{
    Contents, Done, Kernel, Manner, PublishError, ReadError, Step, Store, publish_and_look, read,
};
use futures::stream::{self, StreamExt};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::process::ExitCode;

/// Kernels that are copied at the same time.
const AT_ONCE: usize = 4;

/// What the source's keys say of one kernel.
#[derive(Default)]
struct Listed {
    generators: BTreeSet<Generator>,
    names: Vec<(Arch, Release)>,
}

/// What became of one kernel.
#[derive(Default)]
struct Copied {
    steps: Vec<Step>,
    faults: Vec<String>,
}

pub async fn run(args: &Mirror) -> Result<ExitCode> {
    let owner = Owner::pin(&args.pin)?;
    let from = super::open(&at(&args.from, &args.s3)).await?;
    let to = super::open(&at(&args.to, &args.s3)).await?;
    if from.place() == to.place() {
        bail!("{} is both the source and the target", from.place());
    }
    let kernels = list(&*from, &args.names).await?;
    let bar = progress::bar(kernels.len());
    let mut copies = stream::iter(&kernels)
        .map(async |(btf, listed)| (btf, listed, copy(&*from, &*to, btf, listed, &owner).await))
        .buffered(AT_ONCE);
    let (mut bytes, mut new, mut faults) = (0, 0, 0);
    while let Some((btf, listed, copied)) = copies.next().await {
        let copied = copied.with_context(|| {
            format!(
                "{} of {} kernels are copied whole; the same command goes on from there",
                bar.position(),
                kernels.len()
            )
        })?;
        let sent = copied.steps.iter().filter(|s| s.done != Done::Present);
        let sent: u64 = sent.map(|step| step.size).sum();
        let wrote = copied.steps.iter().any(|s| s.done != Done::Present);
        let mut line = btf.kernel_id().to_string();
        for (arch, release) in &listed.names {
            line.push_str(&format!(" {arch}/{release}"));
        }
        line.push_str(match (wrote, copied.faults.is_empty()) {
            (true, _) => ": copied",
            (false, true) => ": already there",
            (false, false) => ": not copied",
        });
        bar.suspend(|| {
            for fault in &copied.faults {
                complain(fault);
            }
            writeln!(io::stdout(), "{}", super::printable(&line))
        })?;
        bytes += sent;
        new += usize::from(wrote);
        faults += copied.faults.len();
        bar.inc(1);
    }
    bar.finish_and_clear();
    let all = kernels.len();
    writeln!(
        io::stdout(),
        "{all} kernel{}: {new} copied ({bytes} bytes), {faults} fault{}; kept in {} as {owner}",
        if all == 1 { "" } else { "s" },
        if faults == 1 { "" } else { "s" },
        to.place(),
    )?;
    Ok(ExitCode::from(u8::from(faults > 0)))
}

fn at(place: &str, s3: &S3) -> StoreArgs {
    StoreArgs {
        store: Some(place.to_owned()),
        s3: s3.clone(),
    }
}

/// The kernels that are meant, all if none is named, with what the store's keys say of them.
async fn list(from: &dyn Store, names: &[String]) -> Result<BTreeMap<BtfDigest, Listed>> {
    let mut kernels: BTreeMap<BtfDigest, Listed> = BTreeMap::new();
    let all = names.is_empty();
    if all {
        for object in objects(from, &Key::new(Object::BTF)?).await? {
            if let Object::Btf(btf) = object {
                kernels.entry(btf).or_default();
            }
        }
        if kernels.is_empty() {
            bail!("there are no kernels in the store {}", from.place());
        }
    }
    for name in names {
        match name::expect(from, name).await? {
            Named::Kernel(btf) => kernels.entry(btf).or_default(),
            Named::Header(_) => bail!("{name} is a header: name its kernel"),
        };
    }
    let manifests = match all {
        true => objects(from, &Key::new(Object::KERNELS)?).await?,
        false => {
            let mut some = Vec::new();
            for btf in kernels.keys() {
                some.extend(objects(from, &Object::manifests_of(btf)).await?);
            }
            some
        }
    };
    for object in manifests {
        if let Object::Manifest(btf, generator) = object
            && (all || kernels.contains_key(&btf))
        {
            kernels.entry(btf).or_default().generators.insert(generator);
        }
    }
    for object in objects(from, &Key::new(Object::INDEX)?).await? {
        if let Object::Index(arch, release, btf) = object
            && let Some(listed) = kernels.get_mut(&btf)
        {
            listed.names.push((arch, release));
        }
    }
    Ok(kernels)
}

/// Copies one kernel. What is wrong with it in either store is a fault; an error is a store that is away.
async fn copy(
    from: &dyn Store,
    to: &dyn Store,
    btf: &BtfDigest,
    listed: &Listed,
    owner: &Owner,
) -> Result<Copied> {
    let mut copied = Copied::default();
    let mut manifests: Vec<Manifest> = Vec::new();
    for generator in &listed.generators {
        match read::manifest(from, btf, *generator).await {
            Ok(manifest) => manifests.push(manifest),
            Err(e) => copied.faults.push(fault(from, e)?),
        }
    }
    let names = &listed.names;
    for manifest in &manifests {
        let (btf, manifest) = (*btf, Some(manifest));
        let what = Contents::Copy {
            from,
            btf,
            manifest,
        };
        let done = publish_and_look(to, what, owner, names, Manner::Thorough).await;
        copied.add(to, done)?;
    }
    if listed.generators.is_empty() {
        // A publish was cut short, or there is nothing to make of it: either is seen from the BTF.
        let blob = match read::btf(from, btf, None).await {
            Ok(blob) => blob,
            Err(e) => {
                copied.faults.push(fault(from, e)?);
                return Ok(copied);
            }
        };
        let make = move || Kernel::new(blob.clone()).unwrap_or_else(|_| Kernel::raw(blob));
        let kernel = super::aside(make).await;
        let what = Contents::Kernel(&kernel);
        let done = publish_and_look(to, what, owner, names, Manner::Thorough).await;
        copied.add(to, done)?;
    }
    Ok(copied)
}

impl Copied {
    fn add(&mut self, to: &dyn Store, done: Result<Vec<Step>, PublishError>) -> Result<()> {
        let steps = match done {
            Ok(steps) => steps,
            Err(PublishError::Source { place, source }) if !away(&source) => {
                self.faults.push(format!("in the store {place}: {source}"));
                return Ok(());
            }
            Err(e) => return Err(e.into()),
        };
        for step in &steps {
            if step.done == Done::Disagrees {
                self.faults.push(format!(
                    "{}: {} has another one, which was left: `btfleet verify` of both stores tells which is wrong",
                    step.object.key(),
                    to.place()
                ));
            }
        }
        self.steps.extend(steps);
        Ok(())
    }
}

fn away(e: &ReadError) -> bool {
    matches!(e, ReadError::Store(e) if e.is_transient())
}

fn fault(store: &dyn Store, e: ReadError) -> Result<String> {
    match away(&e) {
        true => Err(e.into()),
        false => Ok(format!("in the store {}: {e}", store.place())),
    }
}
