//! `btfleet kernels`.

use super::name::objects;
use crate::cli::{Kernels, ListFormat};
use anyhow::Result;
use btfleet::artifact::{BtfDigest, Generator, Key, Manifest, Object};
use btfleet::store::{ReadError, Store, read};
use futures::stream::{self, StreamExt};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

/// One kernel of a store, as it is listed.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Row {
    kernel_id: String,
    btf_digest: String,
    btf_size: Option<u64>,
    header_digest: Option<String>,
    header_size: Option<u64>,
    pointer_size: Option<u32>,
    byte_order: Option<btfleet::artifact::Order>,
    arches: BTreeSet<String>,
    releases: BTreeSet<String>,
    generators: BTreeSet<u32>,
    refs: BTreeSet<String>,
}

/// Manifests that are read at the same time.
const AT_ONCE: usize = 16;

pub async fn run(args: &Kernels) -> Result<ExitCode> {
    #[cfg(feature = "cluster")]
    if args.store.store.is_none()
        && let Some(client) = super::inventory::cluster(&args.cluster).await?
    {
        return super::inventory::kernels(client, args).await;
    }
    let store = super::open_to_read(&args.store).await?;
    let rows = rows(&*store).await?;
    let mut out = String::new();
    match args.output {
        ListFormat::Json => {
            out = serde_json::to_string_pretty(&serde_json::json!({ "kernels": rows }))?;
            out.push('\n');
        }
        ListFormat::Name => {
            for row in &rows {
                writeln!(out, "{}", row.kernel_id)?;
            }
        }
        #[cfg(feature = "cluster")]
        ListFormat::Yaml => out = super::output::yaml(&serde_json::json!({ "kernels": rows }))?,
        #[cfg(feature = "cluster")]
        ListFormat::Wide => table(&rows, true, &mut out)?,
        ListFormat::Table if rows.is_empty() => {
            super::note("no kernels there: `btfleet publish` adds the running one");
        }
        ListFormat::Table => table(&rows, false, &mut out)?,
    }
    io::stdout().lock().write_all(out.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

async fn rows(store: &dyn Store) -> Result<Vec<Row>> {
    let mut kernels: BTreeMap<BtfDigest, Row> = BTreeMap::new();
    for object in objects(store, &Key::new(Object::BTF)?).await? {
        if let Object::Btf(btf) = object {
            kernels.entry(btf).or_default();
        }
    }
    let manifests = objects(store, &Key::new(Object::KERNELS)?).await?;
    let manifests = manifests.into_iter().filter_map(|object| match object {
        Object::Manifest(btf, generator) => Some((btf, generator)),
        _ => None,
    });
    let mut manifests = stream::iter(manifests)
        .map(async |(btf, generator)| {
            let read = read::manifest(store, &btf, generator).await;
            (btf, generator, read)
        })
        .buffered(AT_ONCE);
    while let Some((btf, generator, read)) = manifests.next().await {
        let row = kernels.entry(btf).or_default();
        match read {
            Ok(m) => fill(row, &m),
            Err(e) if matches!(&e, ReadError::Store(e) if e.is_transient()) => return Err(e.into()),
            Err(e) => super::complain(&e.to_string()),
        }
        row.generators.insert(generator.number());
    }
    for object in objects(store, &Key::new(Object::INDEX)?).await? {
        if let Object::Index(arch, release, btf) = object {
            let row = kernels.entry(btf).or_default();
            row.arches.insert(arch.to_string());
            row.releases.insert(release.to_string());
        }
    }
    for object in objects(store, &Key::new(Object::REFS)?).await? {
        if let Object::Ref(btf, owner) = object {
            kernels
                .entry(btf)
                .or_default()
                .refs
                .insert(owner.to_string());
        }
    }
    Ok(kernels
        .into_iter()
        .map(|(btf, mut row)| {
            row.kernel_id = btf.kernel_id().to_string();
            row.btf_digest = btf.to_string();
            row
        })
        .collect())
}

/// The header shown is that of our generator, else of the highest there is.
fn fill(row: &mut Row, m: &Manifest) {
    let highest = row.generators.iter().all(|g| *g < m.generator.number());
    let own = m.generator == Generator::OWN;
    let has_own = row.generators.contains(&Generator::OWN.number());
    if own || (highest && !has_own) {
        row.header_digest = Some(m.header_digest.to_string());
        row.header_size = Some(m.header_size);
    }
    row.btf_size = Some(m.btf_size);
    row.pointer_size = Some(m.pointer_size);
    row.byte_order = Some(m.byte_order);
}

fn table(rows: &[Row], wide: bool, out: &mut String) -> Result<()> {
    let head = [
        "KERNEL",
        "ARCH",
        "RELEASES",
        "BTF",
        "HEADER",
        "GENERATORS",
        "REFS",
    ];
    let dash = |text: String| if text.is_empty() { "-".into() } else { text };
    let join = |set: &BTreeSet<String>| dash(Vec::from_iter(set.iter().cloned()).join(","));
    let size = |n: Option<u64>| dash(n.map(|n| n.to_string()).unwrap_or_default());
    let mut cells: Vec<[String; 7]> = vec![head.map(str::to_owned)];
    cells.extend(rows.iter().map(|row| {
        let generators: Vec<String> = row.generators.iter().map(u32::to_string).collect();
        [
            if wide {
                row.btf_digest.clone()
            } else {
                row.kernel_id[..12].to_owned()
            },
            join(&row.arches),
            join(&row.releases),
            size(row.btf_size),
            size(row.header_size),
            dash(generators.join(",")),
            join(&row.refs),
        ]
    }));
    let widths: [usize; 7] = std::array::from_fn(|i| {
        cells
            .iter()
            .map(|row| row[i].chars().count())
            .max()
            .unwrap_or(0)
    });
    for row in &cells {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            write!(line, "{cell:width$}  ")?;
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
