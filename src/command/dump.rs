//! `btfleet dump`.

use super::apart::Apart;
use super::input::{self, Input};
use super::memory;
use super::note;
use super::output::Output;
use crate::cli::{Dump, DumpFormat};
use anyhow::{Context, Result};
use btfleet::artifact::{BtfDigest, Generator, HeaderDigest, Parts};
use btfleet::btf::{Btf, relocate};
use btfleet::dump::{Writing, header_for};
use btfleet::relo::json;
use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

pub fn run(args: &Dump) -> Result<ExitCode> {
    memory::keep_all();
    let path = match (&args.module, &args.input) {
        (Some(module), _) => input::module_path(module)?,
        (None, Some(input)) => input.clone(),
        (None, None) => input::kernel_path(),
    };
    let input = input::read(&path)?;
    let base = read_base(args.base.clone(), &path, &input)?;
    if args.format == DumpFormat::C && args.types.is_empty() {
        return print_all(args, &input, base.as_ref());
    }
    with_btf(&input, base.as_ref(), |btf| match args.format {
        DumpFormat::Json => print_json(btf, args),
        DumpFormat::C => {
            let names: Vec<&str> = args.types.iter().map(String::as_str).collect();
            let text = header_for(btf, &names).context(NO_HEADER)?;
            Output::new(args.output.as_deref())?.put(&text)
        }
    })?;
    if args.digests {
        note(&format!("btf-digest {}", BtfDigest::of(&input.btf)));
    }
    Ok(ExitCode::SUCCESS)
}

/// The header of everything, on two threads: one hashes the input while that is parsed and planned, then both
/// write pieces of the header, which whoever is free hashes and puts out in order.
fn print_all(args: &Dump, input: &Input, base: Option<&Input>) -> Result<ExitCode> {
    let out = Output::new(args.output.as_deref())?;
    let apart = Apart::from_here();
    thread::scope(|s| {
        let hash = || {
            apart.go();
            BtfDigest::of(&input.btf)
        };
        let hasher = args.digests.then(|| s.spawn(hash));
        let (out, header) = with_btf(input, base, |btf| write_all(btf, out, args.digests, &apart))?;
        let btf = hasher.map(|h| h.join().expect("hashing does not panic"));
        out.finish()?;
        if let (Some(btf), Some(header)) = (btf, header) {
            note(&format!("btf-digest {btf}"));
            note(&format!("header-digest {header}"));
            note(&format!("generator {}", Generator::OWN));
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Writes the header of everything, and hashes it if that is wanted.
fn write_all(
    btf: &Btf<'_>,
    mut out: Output,
    hash: bool,
    apart: &Apart,
) -> Result<(Output, Option<HeaderDigest>)> {
    // What is seen at once is written only when there is no error to come.
    let (hidden, mut later) = (out.is_hidden(), Vec::new());
    let mut parts = hash.then(Parts::default);
    let mut written = Ok(());
    let take = |text: &[u8]| {
        if let Some(parts) = &mut parts {
            parts.add(text);
        }
        match hidden {
            true if written.is_ok() => written = out.write_all(text),
            true => {}
            false => later.extend_from_slice(text),
        }
    };
    let writing = Writing::new(btf, take, &|| apart.go()).context(NO_HEADER)?;
    thread::scope(|s| {
        // Where no second thread can be had, one does as well.
        let _ = thread::Builder::new().spawn_scoped(s, || {
            apart.go();
            writing.help();
        });
        writing.help();
    });
    let _ = writing.finish().context(NO_HEADER)?;
    let written = written.and_then(|()| out.write_all(&later));
    written.with_context(|| out.trouble())?;
    Ok((out, parts.map(HeaderDigest::of_parts)))
}

const NO_HEADER: &str = "no header can be made of it";

fn print_json(btf: &Btf<'_>, args: &Dump) -> Result<()> {
    let names: Vec<&str> = args.types.iter().map(String::as_str).collect();
    let mut out = BufWriter::with_capacity(256 << 10, Output::new(args.output.as_deref())?);
    let trouble = out.get_ref().trouble();
    match json::write(btf, &names, &mut out) {
        Err(json::Error::Io(e)) => return Err(e).context(trouble),
        other => other?,
    }
    let out = out.into_inner().map_err(io::IntoInnerError::into_error);
    out.context(trouble)?.finish()
}

/// The base that was asked for, or that goes without saying.
pub fn read_base(
    asked: Option<PathBuf>,
    path: &std::path::Path,
    input: &Input,
) -> Result<Option<Input>> {
    let base = match (asked, &input.distilled) {
        (Some(base), _) => Some(base),
        // It brings a base of its own.
        (None, Some(_)) => None,
        (None, None) => input::implied_base(path),
    };
    base.map(|base| input::read(&base)).transpose()
}

/// Parses an input over its base and hands it to `then`.
pub fn with_btf<T>(
    input: &Input,
    base: Option<&Input>,
    then: impl FnOnce(&Btf<'_>) -> Result<T>,
) -> Result<T> {
    let name = &input.name;
    let (base_name, base_bytes): (_, &[u8]) = match (base, &input.distilled) {
        (Some(base), _) => (base.name.clone(), &base.btf),
        (None, Some(distilled)) => (format!("{name} (.BTF.base)"), distilled),
        (None, None) => {
            let btf = Btf::parse(&input.btf).with_context(|| name.clone())?;
            return then(&btf).with_context(|| name.clone());
        }
    };
    let base_btf = Btf::parse(base_bytes).with_context(|| base_name.clone())?;
    let split: Cow<'_, [u8]> = match (base, &input.distilled) {
        (Some(_), Some(distilled)) => {
            let moved = relocate::relocate(&input.btf, distilled, &base_btf);
            moved
                .with_context(|| format!("{name} does not fit {base_name}"))?
                .into()
        }
        _ => Cow::Borrowed(&input.btf),
    };
    let btf = Btf::parse_split(&split, &base_btf)
        .with_context(|| format!("{name}, over its base {base_name}"))?;
    then(&btf).with_context(|| name.clone())
}
