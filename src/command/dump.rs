//! `btfleet dump`.

use super::crew::{Crew, lock};
use super::input::{self, Input};
use super::memory;
use super::note;
use super::output::Output;
use crate::cli::{Dump, DumpFormat};
use anyhow::{Context, Result};
use btfleet::artifact::{BtfDigest, Generator, HeaderDigest, Parts};
use btfleet::btf::{Btf, relocate};
use btfleet::dump::{Aside, Writing, header, header_for};
use btfleet::relo::json;
use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock, PoisonError};
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

/// The header of everything.
fn print_all(args: &Dump, input: &Input, base: Option<&Input>) -> Result<ExitCode> {
    let hash = args.digests.then(|| Hashing::new(&input.btf));
    let mut header_hash = Parts::default();
    let mut sink = Sink::new(Output::new(args.output.as_deref())?);
    let mut takers: Vec<Taker<'_>> = Vec::new();
    if let Some(input) = &hash {
        takers.push(Box::new(|text| input.beside(&mut header_hash, text)));
    }
    takers.push(Box::new(|text| sink.take(text)));
    match (base, &input.distilled) {
        (None, None) => print_whole(input, hash.as_ref(), takers)?,
        // A module's header is too short to be worth a second thread.
        _ => with_btf(input, base, |btf| {
            let text = header(btf).context(NO_HEADER)?;
            takers.into_iter().for_each(|mut take| take(&text));
            Ok(())
        })?,
    }
    sink.finish()?;
    if let Some(hash) = hash {
        note(&format!("btf-digest {}", hash.finish()));
        let header = HeaderDigest::of_parts(header_hash);
        note(&format!("header-digest {header}"));
        note(&format!("generator {}", Generator::OWN));
    }
    Ok(ExitCode::SUCCESS)
}

/// One who takes a header's text, part by part.
type Taker<'t> = Box<dyn FnMut(&[u8]) + Send + 't>;

/// The header of a BTF that stands alone, on two threads: the second hashes the input in between and does what the
/// first offers; then both write pieces of the header, and hand them to those who take it.
fn print_whole<'i>(
    input: &'i Input,
    hash: Option<&Hashing<'i>>,
    takers: Vec<Taker<'_>>,
) -> Result<()> {
    let whole = OnceLock::new();
    let crew = Crew::default();
    thread::scope(|s| {
        let started = crew.start(s, || hash.is_some_and(Hashing::some));
        if started.helps {
            // About as much as is needed, before the other thread needs any.
            memory::take(input.btf.len());
        }
        let name = || input.name.clone();
        // In one go takes less, but in two the second half can be done beside what follows.
        let btf = match started.helps {
            true => Btf::unchecked(&input.btf),
            false => Btf::parse(&input.btf),
        };
        let btf = btf.with_context(name)?;
        let btf = whole.get_or_init(|| btf);
        let checked = started.helps.then(|| Aside::offer(&crew, || btf.check()));
        let writing = Writing::new(btf, takers, &crew);
        if let Some(checked) = checked {
            checked.finish().with_context(name)?;
        }
        let writing = writing.context(NO_HEADER).with_context(name)?;
        let written = writing.write(&crew);
        written.context(NO_HEADER).with_context(name).map(drop)
    })
}

/// An input that is hashed part by part, by whoever has the time.
struct Hashing<'i> {
    input: &'i [u8],
    done: Mutex<Parts>,
}

impl<'i> Hashing<'i> {
    fn new(input: &'i [u8]) -> Hashing<'i> {
        Hashing {
            input,
            done: Mutex::default(),
        }
    }

    /// Adds the next text of a header to its hash, beside the next part of the input, if nobody else is at that.
    fn beside(&self, header: &mut Parts, text: &[u8]) {
        let Ok(mut done) = self.done.try_lock() else {
            return header.add(text);
        };
        let rest = self.input.get(done.count()..).unwrap_or_default();
        // A header is about half as long as its BTF: so that both end together.
        let to_come = (self.input.len() / 2).saturating_sub(header.count());
        let many = match rest.len() > to_come {
            true => 2 * text.len(),
            false => text.len(),
        };
        let part = rest.get(..many).unwrap_or(rest);
        header.add_beside(text, &mut done, part);
    }

    /// Hashes a part. Whether there is more.
    fn some(&self) -> bool {
        const PART: usize = 64 << 10;
        let mut done = lock(&self.done);
        let rest = self.input.get(done.count()..).unwrap_or_default();
        let part = rest.get(..PART).unwrap_or(rest);
        done.add(part);
        part.len() < rest.len()
    }

    fn finish(self) -> BtfDigest {
        while self.some() {}
        let done = self.done.into_inner();
        BtfDigest::of_parts(done.unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where a header goes, and what became of it so far.
struct Sink {
    out: Output,
    /// What is seen at once is written only when there is no error to come.
    later: Vec<u8>,
    written: io::Result<()>,
}

impl Sink {
    fn new(out: Output) -> Sink {
        Sink {
            out,
            later: Vec::new(),
            written: Ok(()),
        }
    }

    fn take(&mut self, text: &[u8]) {
        if !self.out.is_hidden() {
            self.later.extend_from_slice(text);
        } else if self.written.is_ok() {
            self.written = self.out.write_all(text);
        }
    }

    fn finish(mut self) -> Result<()> {
        let written = self.written.and_then(|()| self.out.write_all(&self.later));
        written.with_context(|| self.out.trouble())?;
        self.out.finish()
    }
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
