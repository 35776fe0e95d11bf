//! `btfleet check`.

mod junit;
mod text;

use super::dump::with_btf;
use super::sources::{self, Program, Source, Where};
use super::{aside, progress};
use crate::cli::{Check, CheckFormat};
use anyhow::{Context, Result, bail};
use btfleet::artifact::{CheckReport, KernelReport, ObjectReport};
use btfleet::relo::check::{Target, Verdict, check};
use futures::stream::{self, StreamExt};
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

pub async fn run(args: &Check) -> Result<ExitCode> {
    let at = Where {
        store: &args.store,
        #[cfg(feature = "cluster")]
        cluster: &args.cluster,
    };
    let (programs, sources) = sources::find(&args.inputs, &at).await?;
    selectable(&args.programs, &programs)?;
    sources::say(&programs, &sources);
    let report = CheckReport::new(all(programs, sources, &args.programs).await?);
    let mut out = match args.output {
        CheckFormat::Table => text::print(&report),
        CheckFormat::Json => serde_json::to_string_pretty(&report)?,
        CheckFormat::Junit => junit::print(&report, args.strict),
    };
    if !out.ends_with('\n') {
        out.push('\n');
    }
    let written = io::stdout().lock().write_all(out.as_bytes());
    written.context("cannot write to standard output")?;
    if args.output == CheckFormat::Table {
        super::note(&text::summary(&report));
    }
    let bar = match args.strict {
        true => Verdict::Unknown,
        false => Verdict::Fails,
    };
    Ok(ExitCode::from(u8::from(report.verdict >= bar)))
}

/// Each program that was asked for must be somewhere.
fn selectable(names: &[String], programs: &[Program]) -> Result<()> {
    for name in names {
        let functions = programs.iter().flat_map(|p| &p.object.functions);
        if !functions.clone().any(|f| f.is_program && f.name == name) {
            let all = functions.filter(|f| f.is_program).map(|f| f.name);
            let all: Vec<&str> = all.take(20).collect();
            bail!(
                "no program {name:?} in these objects; there are {}",
                all.join(", ")
            );
        }
    }
    Ok(())
}

/// Every object on every kernel, several kernels at a time.
async fn all(
    programs: Vec<Program>,
    sources: Vec<Source>,
    selected: &[String],
) -> Result<Vec<KernelReport>> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let (programs, selected) = (Arc::new(programs), Arc::new(selected.to_vec()));
    let bar = progress::bar(sources.len());
    let one = async |source: Source| {
        let input = source.read().await?;
        let (programs, selected) = (programs.clone(), selected.clone());
        let mut report = source.report();
        aside(move || {
            if input.is_bpf || input.distilled.is_some() {
                bail!("{}: this is no kernel", input.name);
            }
            report.arch = report.arch.or(input.arch.as_ref().map(ToString::to_string));
            with_btf(&input, None, |btf| {
                let target = Target::new(btf);
                let said = programs.iter().map(|program| {
                    let found = check(&program.object, &target);
                    ObjectReport::new(&program.name, found, &selected)
                });
                report.objects = said.collect();
                Ok(())
            })?;
            Ok(report)
        })
        .await
    };
    let mut running = stream::iter(sources).map(one).buffered(threads);
    let mut reports = Vec::new();
    while let Some(report) = running.next().await {
        reports.push(report?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(reports)
}
