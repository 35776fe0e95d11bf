//! `btfleet verify`.

use crate::cli::{TextFormat, Verify};
use anyhow::Result;
use btfleet::artifact::{BtfDigest, Generator, HeaderDigest, Key, Manifest, Object, Order};
use btfleet::btf::{self, Btf};
use btfleet::store::{Folder, ReadError, read};
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

pub fn run(args: &Verify) -> Result<ExitCode> {
    let store = super::open_to_read(&args.store)?;
    if !store.exists() {
        anyhow::bail!("there is no store at {}", store.root().display());
    }
    let report = check(&store)?;
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

struct Check<'s> {
    store: &'s Folder,
    listing: Listing,
    report: Report,
    /// Headers that some usable manifest names, and whether their blobs are right.
    headers: BTreeMap<HeaderDigest, bool>,
}

fn check(store: &Folder) -> Result<Report> {
    let mut check = Check {
        store,
        listing: Listing::default(),
        report: Report::default(),
        headers: BTreeMap::new(),
    };
    check.list()?;
    for header in std::mem::take(&mut check.listing.headers) {
        let found = read::header(store, &header, None);
        let right = check.blob(Object::Header(header).key(), found).is_some();
        check.headers.insert(header, right);
    }
    let kernels: BTreeSet<BtfDigest> = check
        .listing
        .btf
        .iter()
        .chain(check.listing.manifests.keys())
        .copied()
        .collect();
    check.report.kernels = kernels.len();
    for kernel in kernels {
        check.kernel(&kernel);
    }
    check.names();
    check.report.faults.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(check.report)
}

impl Check<'_> {
    fn fault(&mut self, key: &Key, fault: impl Into<String>) {
        let (key, fault) = (key.to_string(), fault.into());
        self.report.faults.push(Fault { key, fault });
    }

    fn list(&mut self) -> Result<()> {
        const OURS: [&str; 5] = [
            Object::BTF,
            Object::HEADERS,
            Object::KERNELS,
            Object::INDEX,
            Object::REFS,
        ];
        for entry in self.store.list(None)? {
            if !OURS.iter().any(|f| entry.key.as_str().starts_with(f)) {
                continue;
            }
            self.report.objects += 1;
            let listing = &mut self.listing;
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
                None => self.fault(&entry.key, "this is none of a store's names"),
            }
        }
        Ok(())
    }

    /// Takes what was read, or notes what is wrong with it.
    fn blob(&mut self, key: Key, found: Result<Vec<u8>, ReadError>) -> Option<Vec<u8>> {
        match found {
            Ok(bytes) => Some(bytes),
            Err(ReadError::Blob { key, source }) => {
                self.fault(&key, source.to_string());
                None
            }
            Err(e) => {
                self.fault(&key, e.to_string());
                None
            }
        }
    }

    fn kernel(&mut self, digest: &BtfDigest) {
        let key = Object::Btf(*digest).key();
        let there = self.listing.btf.contains(digest);
        let blob = match there {
            true => self.blob(key.clone(), read::btf(self.store, digest, None)),
            false => None,
        };
        let parsed = blob.as_deref().map(|blob| (blob.len(), Btf::parse(blob)));
        let generators = self.listing.manifests.get(digest).cloned();
        if generators.is_none() && matches!(parsed, Some((_, Ok(_)))) {
            self.fault(
                &key,
                "it has no manifest: a publish was cut short, or is at work; publish the kernel again",
            );
        }
        for generator in generators.unwrap_or_default() {
            let key = Object::Manifest(*digest, generator).key();
            let manifest = match read::manifest(self.store, digest, generator) {
                Ok(manifest) => manifest,
                Err(ReadError::Manifest { source, .. }) => {
                    self.fault(&key, source.to_string());
                    continue;
                }
                Err(e) => {
                    self.fault(&key, e.to_string());
                    continue;
                }
            };
            if !there {
                self.fault(&key, "its BTF is not in the store");
            }
            match self.headers.get(&manifest.header_digest) {
                // What is wrong with the blob was said under the blob's own key.
                Some(_) => {}
                None => self.fault(
                    &key,
                    format!("its header {} is not in the store", manifest.header_digest),
                ),
            }
            if let Some((size, btf)) = &parsed {
                self.against(&key, &manifest, *size, btf);
            }
        }
    }

    /// A manifest against the BTF that it is about.
    fn against(&mut self, key: &Key, m: &Manifest, size: usize, btf: &Result<Btf<'_>, btf::Error>) {
        let btf = match btf {
            Ok(btf) => btf,
            Err(e) => return self.fault(key, format!("its BTF cannot be read: {e}")),
        };
        if m.btf_size != size as u64 {
            let text = format!("it says the BTF has {} bytes, which has {size}", m.btf_size);
            self.fault(key, text);
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
            self.fault(key, text.replace("Little", "little").replace("Big", "big"));
        }
        if m.generator != Generator::OWN {
            return;
        }
        let header = match btfleet::dump::header(btf) {
            Ok(header) => header,
            Err(e) => return self.fault(key, format!("no header can be made of its BTF: {e}")),
        };
        self.report.headers_made += 1;
        let made = HeaderDigest::of(&header);
        if made != m.header_digest {
            let text = format!(
                "it says the header is {}, but the one made from the BTF is {made}",
                m.header_digest
            );
            self.fault(key, text);
        } else if m.header_size != header.len() as u64 {
            let (said, is) = (m.header_size, header.len());
            self.fault(
                key,
                format!("it says the header has {said} bytes, which has {is}"),
            );
        }
    }

    /// Index entries and references.
    fn names(&mut self) {
        for (object, btf, size) in std::mem::take(&mut self.listing.names) {
            let key = object.key();
            if size != 0 {
                self.fault(&key, format!("it should be empty and has {size} bytes"));
            }
            let whole =
                self.listing.btf.contains(&btf) && self.listing.manifests.contains_key(&btf);
            if !whole {
                self.fault(
                    &key,
                    "it names a kernel that is not, or not wholly, in the store: a publish was cut short, or is at work, or objects were removed; publish the kernel again",
                );
            }
        }
    }
}
