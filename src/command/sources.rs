//! eBPF objects and the kernels that they are held against: files, a store's kernels, the cluster's.

#[cfg(feature = "cluster")]
use super::fleet;
use super::input::{self, Input};
use super::name::{self, Named, objects};
use super::{aside, note};
use crate::cli;
use anyhow::{Context, Result, bail};
use btfleet::artifact::{BtfDigest, KernelReport, Key, Object as Stored};
use btfleet::btf::elf;
use btfleet::relo::check::Object;
use btfleet::store::{Store, read};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest object that is read.
const MAX_OBJECT: u64 = 256 << 20;

/// An eBPF object, parsed.
pub struct Program {
    /// How it was given.
    pub name: String,
    pub object: Object<'static>,
}

/// A kernel, of which nothing was read yet but what it is called.
pub struct Source {
    pub arch: Option<String>,
    pub releases: Vec<String>,
    /// How many nodes run it, where the cluster is known.
    pub nodes: Option<u64>,
    digest: Option<BtfDigest>,
    name: Option<String>,
    from: From,
}

enum From {
    File(PathBuf),
    Store(Arc<dyn Store>, BtfDigest),
    #[cfg(feature = "cluster")]
    Cluster(fleet::Kernel),
}

/// Tells objects from kernels, by what is in the files; without a kernel, all of the store or cluster.
pub async fn find(words: &[String], at: &cli::Where) -> Result<(Vec<Program>, Vec<Source>)> {
    let (mut programs, mut sources) = (Vec::new(), Vec::new());
    for word in words {
        let path = Path::new(word);
        if word == "-" || path.exists() || word.starts_with(['.', '/']) || is_object_name(word) {
            let path = path.to_owned();
            match aside(move || object(&path)).await? {
                Some(program) => programs.push(program),
                None => sources.push(Source::file(word)),
            }
        } else {
            sources.push(named(word, at).await?);
        }
    }
    if programs.is_empty() {
        bail!(
            "no eBPF object among {}: name at least one",
            words.join(" ")
        );
    }
    if sources.is_empty() {
        sources = all(at).await?;
    }
    Ok((programs, sources))
}

/// Whoever writes this means a file, and is told that it is not there.
fn is_object_name(word: &str) -> bool {
    word.ends_with(".o")
}

/// Reads a file that is an eBPF object; `None` if it is something else.
fn object(path: &Path) -> Result<Option<Program>> {
    let name = path.display().to_string();
    let bytes = || -> Result<Option<Vec<u8>>> {
        use std::io::Read;
        let file = std::fs::File::open(path)?;
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut start = Vec::new();
        let mut file = file.take(MAX_OBJECT + 1);
        file.by_ref().take(20).read_to_end(&mut start)?;
        // Where ELF says for which machine it is, in either byte order.
        let is_bpf = elf::is_elf(&start) && matches!(start.get(18..20), Some([247, 0] | [0, 247]));
        if !is_bpf {
            return Ok(None);
        }
        file.read_to_end(&mut start)?;
        if start.len() as u64 > MAX_OBJECT {
            bail!("it has more than {} MiB", MAX_OBJECT >> 20);
        }
        Ok(Some(start))
    };
    let Some(bytes) = bytes().with_context(|| format!("cannot read {name}"))? else {
        return Ok(None);
    };
    // Objects are read once and needed to the program's end, by many threads.
    let bytes: &'static [u8] = bytes.leak();
    let object = Object::parse(bytes).with_context(|| name.clone())?;
    Ok(Some(Program { name, object }))
}

/// One kernel, by name.
async fn named(word: &str, at: &cli::Where) -> Result<Source> {
    #[cfg(feature = "cluster")]
    if let Some(kernel) = fleet::find(&at.cluster, &at.store, word).await? {
        return Ok(Source {
            name: Some(word.to_owned()),
            digest: Some(kernel.digest()),
            from: From::Cluster(kernel),
            ..Source::file(word)
        });
    }
    let store = super::open_to_read(&at.store).await?;
    match name::find(&*store, word).await? {
        Some(Named::Kernel(btf)) => Ok(Source {
            name: Some(word.to_owned()),
            digest: Some(btf),
            from: From::Store(store, btf),
            ..Source::file(word)
        }),
        Some(Named::Header(_)) => bail!("{word} is a header: name the kernel instead"),
        None => bail!(
            "{word:?} is neither a file nor a kernel in the store {}",
            store.place()
        ),
    }
}

/// All kernels of the cluster, or of the store.
async fn all(at: &cli::Where) -> Result<Vec<Source>> {
    #[cfg(feature = "cluster")]
    if let Some(kernels) = fleet::all(&at.cluster, &at.store).await? {
        if kernels.is_empty() {
            bail!("the cluster has no kernels yet: is the controller running?");
        }
        let source =
            |(kernel, status): (fleet::Kernel, btfleet::cluster::KernelHeaderStatus)| Source {
                arch: status.arch,
                releases: status.releases,
                nodes: Some(u64::try_from(status.nodes).unwrap_or(0)),
                digest: Some(kernel.digest()),
                name: None,
                from: From::Cluster(kernel),
            };
        return Ok(kernels.into_iter().map(source).collect());
    }
    let store = super::open_to_read(&at.store).await?;
    let mut kernels: BTreeMap<BtfDigest, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for object in objects(&*store, &Key::new(Stored::BTF)?).await? {
        if let Stored::Btf(btf) = object {
            kernels.entry(btf).or_default();
        }
    }
    if kernels.is_empty() {
        bail!(
            "there are no kernels in the store {}: publish or import some, or name BTF files",
            store.place()
        );
    }
    for object in objects(&*store, &Key::new(Stored::INDEX)?).await? {
        if let Stored::Index(arch, release, btf) = object
            && let Some((arches, releases)) = kernels.get_mut(&btf)
        {
            arches.insert(arch.to_string());
            releases.insert(release.to_string());
        }
    }
    let source =
        |(btf, (arches, releases)): (BtfDigest, (BTreeSet<String>, BTreeSet<String>))| Source {
            arch: arches.into_iter().next(),
            releases: releases.into_iter().collect(),
            nodes: None,
            digest: Some(btf),
            name: None,
            from: From::Store(store.clone(), btf),
        };
    Ok(kernels.into_iter().map(source).collect())
}

impl Source {
    fn file(word: &str) -> Source {
        Source {
            arch: None,
            releases: Vec::new(),
            nodes: None,
            digest: None,
            name: None,
            from: From::File(PathBuf::from(word)),
        }
    }

    /// What people call it.
    pub fn name(&self) -> String {
        let id = || self.digest.map(|d| d.kernel_id().to_string());
        let first = || self.releases.first().cloned();
        let file = || match &self.from {
            From::File(path) => Some(path.display().to_string()),
            _ => None,
        };
        let name = self.name.clone().or_else(file).or_else(first).or_else(id);
        name.unwrap_or_default()
    }

    /// What is said of it before anything is known of its programs.
    pub fn report(&self) -> KernelReport {
        KernelReport {
            name: self.name(),
            kernel_id: self.digest.map(|d| d.kernel_id().to_string()),
            btf_digest: self.digest.map(|d| d.to_string()),
            arch: self.arch.clone(),
            releases: self.releases.clone(),
            nodes: self.nodes,
            error: None,
            objects: Vec::new(),
        }
    }

    /// Its BTF, checked against its digest where it has one.
    pub async fn read(&self) -> Result<Input> {
        let named = |btf: Bytes| Input {
            name: self.name(),
            btf,
            distilled: None,
            arch: None,
            release: None,
            is_bpf: false,
        };
        match &self.from {
            From::File(path) => {
                let path = path.clone();
                aside(move || input::read(&path)).await
            }
            From::Store(store, btf) => Ok(named(read::btf(&**store, btf, None).await?)),
            #[cfg(feature = "cluster")]
            From::Cluster(kernel) => Ok(named(kernel.btf().await?)),
        }
    }

    /// The file, if it is one of its own and not of a store.
    pub fn file_path(&self) -> Option<&Path> {
        match &self.from {
            From::File(path) => Some(path),
            _ => None,
        }
    }
}

/// Says how much there is to do.
pub fn say(programs: &[Program], sources: &[Source]) {
    let many = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    note(&format!(
        "{} on {}",
        many(programs.len(), "object"),
        many(sources.len(), "kernel")
    ));
}
