//! An eBPF object, held against the kernels that are known here: `POST /v1/check`.

use super::blob::Blobs;
use super::page::model::KernelRow;
use crate::artifact::{CheckReport, KernelReport, ObjectReport};
use crate::btf::Btf;
use crate::consumer::wire::{Kind, Problem};
use crate::relo::check::{Object, Target, check};
use bytes::Bytes;
use futures::{StreamExt, stream};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The largest object. Those with debugging information of a large program have a few MiB.
pub const MAX_OBJECT: usize = 16 << 20;
/// How long a client may take to send it.
pub const SENDING: Duration = Duration::from_secs(30);
/// How long one question may keep the processor busy.
const WORKING: Duration = Duration::from_secs(60);
/// The most kernels that an object is held against.
const KERNELS: usize = 500;
/// Questions at a time. Who comes then is told to come again.
const AT_ONCE: usize = 2;
/// Kernels that one question looks at at a time.
const KERNELS_AT_ONCE: usize = 2;
/// The most findings of an answer, which is put together in memory.
const FINDINGS: usize = 250_000;

/// Answers questions, a few at a time.
#[derive(Debug)]
pub struct Checks {
    blobs: Arc<Blobs>,
    turns: Semaphore,
}

impl Checks {
    /// BTF comes from the blobs.
    pub fn new(blobs: Arc<Blobs>) -> Checks {
        let turns = Semaphore::new(AT_ONCE);
        Checks { blobs, turns }
    }

    /// What is said of each program on each kernel. `selected`: the programs that count; empty: all that are not
    /// optional.
    ///
    /// # Errors
    /// It is no eBPF object, or there is too much to do.
    pub async fn check(
        &self,
        object: Bytes,
        name: &str,
        selected: Vec<String>,
        kernels: Vec<KernelRow>,
    ) -> Result<CheckReport, Problem> {
        let Ok(_turn) = self.turns.try_acquire() else {
            let why = "other objects are being checked";
            return Err(Problem::new(Kind::Busy, why));
        };
        let names = self.programs(object.clone()).await?;
        if let Some(unknown) = selected.iter().find(|name| !names.contains(name)) {
            let detail = format!(
                "no program {unknown:?} in this object; there are {}",
                names.join(", ")
            );
            return Err(Problem::new(Kind::Question, detail));
        }
        let (name, selected) = (Arc::<str>::from(name), Arc::new(selected));
        let deadline = Instant::now() + WORKING;
        let one = async |row: KernelRow| {
            let report = described(&row);
            let (object, name, selected) = (object.clone(), name.clone(), selected.clone());
            if Instant::now() > deadline {
                return Err(Problem::new(
                    Kind::Busy,
                    format!("not all kernels were done within {} s", WORKING.as_secs()),
                ));
            }
            let looked = async {
                let btf = self.blobs.btf_once(&row.btf).await?;
                let look = move || on_kernel(&object, &name, &btf, &selected);
                self.blobs.work(look).await?
            };
            Ok(match looked.await {
                Ok(objects) => KernelReport { objects, ..report },
                Err(problem) => KernelReport {
                    error: Some(problem.detail),
                    ..report
                },
            })
        };
        let kernels = stream::iter(kernels.into_iter().take(KERNELS));
        let mut running = kernels.map(one).buffered(KERNELS_AT_ONCE);
        let mut reports = Vec::new();
        let mut findings = 0;
        while let Some(report) = running.next().await {
            let report = report?;
            let programs = report.objects.iter().flat_map(|object| &object.programs);
            findings += programs
                .map(|program| program.findings.len())
                .sum::<usize>();
            if findings > FINDINGS {
                let why =
                    format!("there are more than {FINDINGS} findings: fewer programs at a time");
                return Err(Problem::new(Kind::NoObject, why));
            }
            reports.push(report);
        }
        Ok(CheckReport::new(reports))
    }

    /// The names of an object's programs; reads it once before any kernel is.
    async fn programs(&self, object: Bytes) -> Result<Vec<String>, Problem> {
        let read = move || {
            let object = Object::parse(&object).map_err(|e| {
                Problem::new(
                    Kind::NoObject,
                    format!("this is no eBPF object that can be checked: {e}"),
                )
            })?;
            let programs = object.functions.iter().filter(|f| f.is_program);
            Ok(programs.map(|f| f.name.to_owned()).collect())
        };
        self.blobs.work(read).await?
    }
}

/// An object that is larger than [`MAX_OBJECT`].
pub fn too_large() -> Problem {
    let most = MAX_OBJECT >> 20;
    Problem::new(
        Kind::Body,
        format!("an object of at most {most} MiB is taken"),
    )
}

/// An object that took longer than [`SENDING`].
pub fn late() -> Problem {
    Problem::new(Kind::Question, "the object did not arrive in time")
}

fn described(row: &KernelRow) -> KernelReport {
    let id = row.id.to_string();
    let (arches, releases): (Vec<&str>, Vec<String>) = row
        .names
        .iter()
        .filter_map(|name| name.split_once('/'))
        .map(|(arch, release)| (arch, release.to_owned()))
        .unzip();
    KernelReport {
        name: releases.first().unwrap_or(&id).clone(),
        kernel_id: Some(id),
        btf_digest: Some(row.btf.to_string()),
        arch: arches.first().map(|arch| (*arch).to_owned()),
        releases,
        nodes: row.nodes.map(|n| n as u64),
        ..KernelReport::default()
    }
}

fn on_kernel(
    object: &[u8],
    name: &str,
    btf: &[u8],
    selected: &[String],
) -> Result<Vec<ObjectReport>, Problem> {
    let unreadable = |e: &dyn std::fmt::Display| Problem::new(Kind::UnreadableBtf, e.to_string());
    let object = Object::parse(object).map_err(|e| unreadable(&e))?;
    let btf = Btf::parse(btf).map_err(|e| unreadable(&e))?;
    let found = check(&object, &Target::new(&btf))
        .map_err(|e| Problem::new(Kind::NoObject, e.to_string()))?;
    Ok(vec![ObjectReport::new(name, found, selected)])
}
