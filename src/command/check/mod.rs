//! `btfleet check`.

mod junit;
mod text;

use super::dump::with_btf;
use super::input::Input;
use super::sources::{self, Program, Source};
use super::{aside, complain, progress};
use crate::cli::{Check, CheckFormat};
use anyhow::{Context, Result, bail};
use btfleet::artifact::{CheckReport, KernelReport, ObjectReport};
use btfleet::relo::check::{Target, Verdict, check};
use futures::stream::{self, StreamExt};
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

pub async fn run(args: &Check) -> Result<ExitCode> {
    let (programs, sources) = sources::find(&args.inputs, &args.at).await?;
    selectable(&args.programs, &programs)?;
    sources::say(&programs, &sources);
    let report = CheckReport::new(all(programs, sources, &args.programs).await);
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
    let unread = report.kernels.iter().any(|kernel| kernel.error.is_some());
    Ok(ExitCode::from(match (report.verdict >= bar, unread) {
        (true, _) => 1,
        (false, true) => 2,
        (false, false) => 0,
    }))
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
) -> Vec<KernelReport> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let (programs, selected) = (Arc::new(programs), Arc::new(selected.to_vec()));
    let bar = progress::bar(sources.len());
    let one = async |source: Source| {
        let mut report = source.report();
        let (programs, selected) = (programs.clone(), selected.clone());
        let input = match source.read().await {
            Ok(input) => input,
            Err(e) => return failed(report, &e),
        };
        let arch = input.arch.as_ref().map(ToString::to_string);
        report.arch = report.arch.or(arch);
        match aside(move || on_kernel(&programs, &input, &selected)).await {
            Ok(objects) => KernelReport { objects, ..report },
            Err(e) => failed(report, &e),
        }
    };
    let mut running = stream::iter(sources).map(one).buffered(threads);
    let mut reports = Vec::new();
    while let Some(report) = running.next().await {
        if let Some(error) = &report.error {
            // The bar steps aside while a line is written.
            bar.suspend(|| complain(error));
        }
        reports.push(report);
        bar.inc(1);
    }
    bar.finish_and_clear();
    reports
}

/// What is said of a kernel that could not be read: that alone, and the others are looked at all the same.
fn failed(report: KernelReport, error: &anyhow::Error) -> KernelReport {
    let error = format!("{error:#}");
    // Some say it themselves.
    let error = match error.starts_with(&report.name) {
        true => Some(error),
        false => Some(format!("{}: {error}", report.name)),
    };
    KernelReport { error, ..report }
}

fn on_kernel(
    programs: &[Program],
    input: &Input,
    selected: &[String],
) -> Result<Vec<ObjectReport>> {
    if input.is_bpf || input.distilled.is_some() {
        bail!("this is no kernel");
    }
    with_btf(input, None, |btf| {
        let target = Target::new(btf);
        let said = programs.iter().map(|program| {
            let found = check(&program.object, &target).context(program.name.clone())?;
            Ok(ObjectReport::new(&program.name, found, selected))
        });
        said.collect()
    })
}
