//! `btfleet minimize`.

use super::dump::with_btf;
use super::output::Output;
use super::sources::{self, Source};
use super::{aside, note, progress};
use crate::cli::Minimize;
use anyhow::{Context, Result, bail};
use btfleet::relo::check::Target;
use btfleet::relo::minimize::minimize;
use futures::stream::{self, StreamExt};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

pub async fn run(args: &Minimize) -> Result<ExitCode> {
    let (programs, sources) = sources::find(&args.inputs, &args.at).await?;
    sources::say(&programs, &sources);
    let places = places(&sources)?;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let programs = Arc::new(programs);
    let bar = progress::bar(sources.len());
    let one = async |(source, places): (Source, Vec<PathBuf>)| {
        let input = source.read().await?;
        let (programs, folder) = (programs.clone(), args.output.clone());
        aside(move || {
            if input.is_bpf || input.distilled.is_some() {
                bail!("{}: this is no kernel", input.name);
            }
            let small = with_btf(&input, None, |btf| {
                let objects = programs.iter().map(|program| &program.object);
                Ok(minimize(&Target::new(btf), objects)?)
            })?;
            for place in &places {
                put(&folder.join(place), &small)?;
            }
            Ok((small.len(), places.len()))
        })
        .await
    };
    let jobs: Vec<(Source, Vec<PathBuf>)> = sources.into_iter().zip(places).collect();
    let mut running = stream::iter(jobs).map(one).buffered(threads);
    let (mut files, mut largest) = (0, 0);
    while let Some(done) = running.next().await {
        let (size, count) = done?;
        (files, largest) = (files + count, largest.max(size));
        bar.inc(1);
    }
    bar.finish_and_clear();
    note(&format!(
        "{files} files in {}, the largest of {largest} bytes",
        args.output.display()
    ));
    Ok(ExitCode::SUCCESS)
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    Output::new(Some(path))?.put(bytes)
}

/// Where each kernel's file goes: ARCH/RELEASE.btf, one for each release that it is known by. A second kernel of the same
/// release, and one of no known release, is called by its id; a file keeps its name.
fn places(sources: &[Source]) -> Result<Vec<Vec<PathBuf>>> {
    let mut taken = BTreeSet::new();
    let mut all = Vec::new();
    for source in sources {
        let mut places = Vec::new();
        if let Some(path) = source.file_path() {
            let name = path.file_name().context("a kernel without a name")?;
            let name = name.to_string_lossy();
            let stem = name.strip_suffix(".btf").unwrap_or(&name);
            places.push(PathBuf::from(format!("{stem}.btf")));
        }
        let id = source.report().kernel_id.unwrap_or_default();
        for release in source.releases.iter() {
            let folder = PathBuf::from(btfhub_arch(source.arch.as_deref().unwrap_or("unknown")));
            let plain = folder.join(format!("{release}.btf"));
            places.push(match taken.contains(&plain) {
                false => plain,
                true => folder.join(format!("{release}.{id}.btf")),
            });
        }
        if places.is_empty() {
            places.push(PathBuf::from(format!("{id}.btf")));
        }
        for place in &places {
            if !taken.insert(place.clone()) {
                bail!("two kernels would both become {}", place.display());
            }
        }
        all.push(places);
    }
    Ok(all)
}

/// BTFHub's word for a machine.
fn btfhub_arch(arch: &str) -> &str {
    match arch {
        "amd64" => "x86_64",
        other => other,
    }
}
