//! `btfleet dump`.

use super::input::{self, Input};
use super::note;
use super::output::Output;
use super::room::room;
use crate::cli::{Dump, DumpFormat};
use anyhow::{Context, Result};
use btfleet::artifact::{BtfDigest, Generator, HeaderDigest};
use btfleet::btf::{Btf, relocate};
use btfleet::dump::{ROOM, header_for, header_parts};
use btfleet::relo::json;
use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;

pub fn run(args: &Dump) -> Result<ExitCode> {
    let path = match (&args.module, &args.input) {
        (Some(module), _) => input::module_path(module)?,
        (None, Some(input)) => input.clone(),
        (None, None) => input::kernel_path(),
    };
    let input = input::read(&path)?;
    let base = read_base(args.base.clone(), &path, &input)?;
    // Both outlive the threads that look at them.
    let mut room = room(ROOM)?;
    let narrow = OnceLock::new();
    thread::scope(|s| {
        // In here, so that it is closed, and the helper ends, however this ends.
        let (done, parts) = mpsc::channel::<&[u8]>();
        let blob: &[u8] = &input.btf;
        // One helper hashes: the input while it is parsed, the header while it is printed.
        let helper = s.spawn(move || (BtfDigest::of(blob), HeaderDigest::of_parts(parts)));
        let mut made: Vec<&[u8]> = Vec::new();
        let whole = args.format == DumpFormat::C && args.types.is_empty();
        with_btf(&input, base.as_ref(), |btf| match args.format {
            DumpFormat::Json => print_json(btf, args),
            DumpFormat::C if whole => {
                let part = |text| {
                    made.push(text);
                    // The helper lives until this is closed.
                    let _ = done.send(text);
                };
                header_parts(btf, &mut room, part).context(NO_HEADER)
            }
            DumpFormat::C => {
                let names: Vec<&str> = args.types.iter().map(String::as_str).collect();
                let text = header_for(btf, &names).context(NO_HEADER)?;
                made.push(narrow.get_or_init(|| text));
                Ok(())
            }
        })?;
        drop(done);
        if args.format == DumpFormat::C {
            let mut out = Output::new(args.output.as_deref())?;
            for text in made {
                out.write_all(text).with_context(|| out.trouble())?;
            }
            out.finish()?;
        }
        let (btf, header) = helper.join().expect("hashing does not panic");
        if args.digests {
            note(&format!("btf-digest {btf}"));
            if whole {
                note(&format!("header-digest {header}"));
                note(&format!("generator {}", Generator::OWN));
            }
        }
        Ok(ExitCode::SUCCESS)
    })
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
