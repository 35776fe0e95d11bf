//! `btfleet verify`.

use crate::cli::{TextFormat, Verify};
use anyhow::Result;
use btfleet::artifact::{BtfDigest, Generator, HeaderDigest, Key, Manifest, Object, Order};
use btfleet::btf::{self, Btf};
use btfleet::store::{ReadError, Store, read};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

/// What was found in a store.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// Kernels looked at.
    kernels: usize,
    /// Headers made anew from their BTF.
    headers_made: usize,
    /// Objects read.
    objects: usize,
    faults: Vec<Fault>,
}

/// One thing that is wrong, under one key.
#[derive(Serialize)]
struct Fault {
    key: String,
    fault: String,
}

/// Blobs and kernels that are worked on at the same time.
const AT_ONCE: usize = 4;

pub async fn run(args: &Verify) -> Result<ExitCode> {
    let store = super::open_to_read(&args.store).await?;
    let report = check(&*store).await?;
    if report.objects == 0 {
        anyhow::bail!("there is nothing in the store {}", store.place());
    }
    let mut out = String::new();
    match args.output {
        TextFormat::Json => {
            out = serde_json::to_string_pretty(&report)?;
            out.push('\n');
        }
        TextFormat::Text => {
            for Fault { key, fault } in &report.faults {
                writeln!(out, "{key}: {}", super::printable(fault))?;
            }
            let Report {
                kernels,
                headers_made,
                objects,
                faults,
            } = &report;
            let faults = match faults.len() {
                0 => "no faults".to_owned(),
                1 => "1 fault".to_owned(),
                n => format!("{n} faults"),
            };
            writeln!(
                out,
                "{kernels} kernels, {headers_made} headers made anew, {objects} objects: {faults}"
            )?;
        }
    }
    io::stdout().lock().write_all(out.as_bytes())?;
    Ok(ExitCode::from(u8::from(!report.faults.is_empty())))
}

/// What the keys of a store say, before anything is read.
#[derive(Default)]
struct Listing {
    btf: BTreeSet<BtfDigest>,
    headers: BTreeSet<HeaderDigest>,
    manifests: BTreeMap<BtfDigest, BTreeSet<Generator>>,
    /// Index entries and references: objects that are empty and name a kernel.
    names: Vec<(Object, BtfDigest, u64)>,
}

/// What was found of one kernel.
#[derive(Default)]
struct Found {
    faults: Vec<Fault>,
    headers_made: usize,
    /// Its BTF is there and right, and nothing can be made of it: it has no manifest, and needs none.
    unreadable: bool,
}

impl Found {
    fn fault(&mut self, key: &Key, fault: impl Into<String>) {
        self.faults.push(Fault::new(key, fault));
    }
}

impl Fault {
    fn new(key: &Key, fault: impl Into<String>) -> Fault {
        let (key, fault) = (key.to_string(), fault.into());
        Fault { key, fault }
    }
}

async fn check(store: &dyn Store) -> Result<Report> {
    let mut report = Report::default();
    let listing = list(store, &mut report).await?;
    let mut headers = stream::iter(&listing.headers)
        .map(async |digest| (digest, read::header(store, digest, None).await))
        .buffered(AT_ONCE);
    while let Some((digest, read)) = headers.next().await {
        if let Err(e) = read {
            let key = Object::Header(*digest).key();
            report.faults.push(Fault::new(&key, why(e)?));
        }
    }
    let mut kernels: BTreeSet<BtfDigest> = listing.btf.clone();
    kernels.extend(listing.manifests.keys());
    report.kernels = kernels.len();
    let mut unreadable = BTreeSet::new();
    let mut found = stream::iter(&kernels)
        .map(async |digest| (digest, kernel(store, &listing, digest).await))
        .buffered(AT_ONCE);
    while let Some((digest, found)) = found.next().await {
        let found = found?;
        report.faults.extend(found.faults);
        report.headers_made += found.headers_made;
        if found.unreadable {
            unreadable.insert(*digest);
        }
    }
    report.faults.extend(names(&listing, &unreadable));
    report.faults.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(report)
}

async fn list(store: &dyn Store, report: &mut Report) -> Result<Listing> {
    const OURS: [&str; 5] = [
        Object::BTF,
        Object::HEADERS,
        Object::KERNELS,
        Object::INDEX,
        Object::REFS,
    ];
    let mut listing = Listing::default();
    let mut entries = store.list(None);
    while let Some(entry) = entries.try_next().await? {
        if !OURS.iter().any(|f| entry.key.as_str().starts_with(f)) {
            continue;
        }
        report.objects += 1;
        match Object::parse(&entry.key) {
            Some(Object::Btf(btf)) => {
                listing.btf.insert(btf);
            }
            Some(Object::Header(header)) => {
                listing.headers.insert(header);
            }
            Some(Object::Manifest(btf, generator)) => {
                listing.manifests.entry(btf).or_default().insert(generator);
            }
            Some(object @ (Object::Index(_, _, btf) | Object::Ref(btf, _))) => {
                listing.names.push((object, btf, entry.size));
            }
            // Not among the folders that are looked at.
            Some(Object::Aside(..)) => {}
            None => {
                let fault = Fault::new(&entry.key, "this is none of a store's names");
                report.faults.push(fault);
            }
        }
    }
    Ok(listing)
}

/// What is wrong with an object that could not be read; an error if it is the store that is away.
fn why(e: ReadError) -> Result<String> {
    match e {
        ReadError::Store(e) if e.is_transient() => Err(e.into()),
        ReadError::Blob { source, .. } => Ok(source.to_string()),
        ReadError::Manifest { source, .. } => Ok(source.to_string()),
        e => Ok(e.to_string()),
    }
}

async fn kernel(store: &dyn Store, listing: &Listing, digest: &BtfDigest) -> Result<Found> {
    let mut found = Found::default();
    let key = Object::Btf(*digest).key();
    let there = listing.btf.contains(digest);
    let blob = match there {
        false => None,
        true => match read::btf(store, digest, None).await {
            Ok(blob) => Some(blob),
            Err(e) => {
                found.fault(&key, why(e)?);
                None
            }
        },
    };
    let mut manifests = Vec::new();
    for generator in listing.manifests.get(digest).into_iter().flatten() {
        let key = Object::Manifest(*digest, *generator).key();
        let manifest = match read::manifest(store, digest, *generator).await {
            Ok(manifest) => manifest,
            Err(e) => {
                found.fault(&key, why(e)?);
                continue;
            }
        };
        if !there {
            found.fault(&key, "its BTF is not in the store");
        }
        // What is wrong with a blob that is there was said under the blob's own key.
        if !listing.headers.contains(&manifest.header_digest) {
            let text = format!("its header {} is not in the store", manifest.header_digest);
            found.fault(&key, text);
        }
        manifests.push((key, manifest));
    }
    if let Some(blob) = blob {
        let none = !listing.manifests.contains_key(digest);
        found = super::aside(move || {
            match Btf::parse(&blob) {
                Ok(_) if none => found.fault(
                    &key,
                    "it has no manifest: a publish was cut short, or is at work; publish the kernel again",
                ),
                Err(_) if none => found.unreadable = true,
                btf => {
                    for (key, manifest) in manifests {
                        against(&mut found, &key, &manifest, blob.len() as u64, &btf);
                    }
                }
            }
            found
        })
        .await;
    }
    Ok(found)
}

/// A manifest against the BTF that it is about.
fn against(
    found: &mut Found,
    key: &Key,
    m: &Manifest,
    size: u64,
    btf: &Result<Btf<'_>, btf::Error>,
) {
    let btf = match btf {
        Ok(btf) => btf,
        Err(e) => return found.fault(key, format!("its BTF cannot be read: {e}")),
    };
    if m.btf_size != size {
        let text = format!("it says the BTF has {} bytes, which has {size}", m.btf_size);
        found.fault(key, text);
    }
    let order = match btf.byte_order() {
        btf::ByteOrder::Little => Order::Little,
        btf::ByteOrder::Big => Order::Big,
    };
    if (m.byte_order, m.pointer_size) != (order, btf.pointer_size()) {
        let text = format!(
            "it says {:?}-endian with pointers of {} bytes; the BTF is {order:?}-endian with {}",
            m.byte_order,
            m.pointer_size,
            btf.pointer_size()
        );
        found.fault(key, text.replace("Little", "little").replace("Big", "big"));
    }
    if m.generator != Generator::OWN {
        return;
    }
    let header = match btfleet::dump::header(btf) {
        Ok(header) => header,
        Err(e) => return found.fault(key, format!("no header can be made of its BTF: {e}")),
    };
    found.headers_made += 1;
    let made = HeaderDigest::of(&header);
    if made != m.header_digest {
        let text = format!(
            "it says the header is {}, but the one made from the BTF is {made}",
            m.header_digest
        );
        found.fault(key, text);
    } else if m.header_size != header.len() as u64 {
        let (said, is) = (m.header_size, header.len());
        found.fault(
            key,
            format!("it says the header has {said} bytes, which has {is}"),
        );
    }
}

/// Index entries and references.
fn names(listing: &Listing, unreadable: &BTreeSet<BtfDigest>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (object, btf, size) in &listing.names {
        let key = object.key();
        if *size != 0 {
            let text = format!("it should be empty and has {size} bytes");
            faults.push(Fault::new(&key, text));
        }
        let whole = listing.btf.contains(btf) && listing.manifests.contains_key(btf);
        if !whole && !unreadable.contains(btf) {
            faults.push(Fault::new(
                &key,
                "it names a kernel that is not, or not wholly, in the store: a publish was cut short, or is at work, or objects were removed; publish the kernel again",
            ));
        }
    }
    faults
}
