//! `btfleet diff`.

mod json;
mod text;

use super::dump::{read_base, with_btf};
use super::input::{self, Input};
use super::name::{self, Named};
use super::note;
use crate::cli::{Diff, TextFormat};
use anyhow::{Context, Result, bail};
use btfleet::relo::diff;
use btfleet::store::{Store, read};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub async fn run(args: &Diff) -> Result<ExitCode> {
    let store = super::open(&args.at.store).await?;
    let (a, b) = (
        side(&*store, args, &args.a).await?,
        side(&*store, args, &args.b).await?,
    );
    if args.base.len() > 2 {
        bail!("--base is given at most twice: for A, then for B");
    }
    let base = |word: &str, asked: Option<&PathBuf>, input: &Input| {
        read_base(asked.cloned(), Path::new(word), input)
    };
    let base_a = base(&args.a, args.base.first(), &a)?;
    let base_b = base(&args.b, args.base.last(), &b)?;
    let found = with_btf(&a, base_a.as_ref(), |a| {
        // Trouble with B is B's: A's name must not come before it.
        Ok(with_btf(&b, base_b.as_ref(), |b| {
            let names: Vec<&str> = args.types.iter().map(String::as_str).collect();
            for name in &names {
                if !diff::has(a, name) && !diff::has(b, name) {
                    bail!("neither of the two has a type or kfunc {name:?}");
                }
            }
            let names = (!names.is_empty()).then_some(&names[..]);
            Ok(diff::diff(a, b, names))
        }))
    })??;
    let out = match args.format {
        TextFormat::Text => text::print(&found),
        TextFormat::Json => {
            let mut json = serde_json::to_string_pretty(&json::value(&args.a, &args.b, &found))?;
            json.push('\n');
            json
        }
    };
    let written = io::stdout().lock().write_all(out.as_bytes());
    written.context("cannot write to standard output")?;
    Ok(ExitCode::from(u8::from(!found.types.is_empty())))
}

/// A file, or a kernel of the cluster or the store; a word that could be both is refused.
async fn side(
    store: &dyn Store,
    #[cfg_attr(not(feature = "cluster"), expect(unused))] args: &Diff,
    word: &str,
) -> Result<Input> {
    let path = Path::new(word);
    let is_file = word == "-" || path.exists();
    // What has a folder in it is a path, but for release/ARCH/RELEASE.
    let is_path = word.starts_with(['.', '/']);
    #[cfg(feature = "cluster")]
    if !is_file
        && !is_path
        && let Some(kernel) = super::fleet::find(&args.at.cluster, &args.at.store, word).await?
    {
        return Ok(kernel_input(word, kernel.btf().await?));
    }
    let named = match is_path || word == "-" {
        true => None,
        false => name::find(store, word).await?,
    };
    match named {
        Some(_) if is_file => bail!(
            "{word:?} is a file and a kernel in the store: write ./{word} for the file, or sha256:DIGEST for the kernel"
        ),
        None if is_file => input::read(path),
        Some(Named::Header(_)) => bail!("{word} is a header: name the kernel's BTF instead"),
        Some(Named::Kernel(btf)) => {
            note(&format!("reading {word} from store {}", store.place()));
            Ok(kernel_input(word, read::btf(store, &btf, None).await?))
        }
        None => bail!(
            "{word:?} is neither a file nor a kernel in the store {}",
            store.place()
        ),
    }
}

fn kernel_input(word: &str, btf: bytes::Bytes) -> Input {
    Input {
        name: word.to_owned(),
        btf,
        distilled: None,
        arch: None,
        release: None,
        is_bpf: false,
    }
}
