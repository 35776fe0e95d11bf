//! `btfleet store refs`: which clusters and pins use which kernels.

use crate::cli::{StoreRefs, TextFormat};
use crate::command::{note, open_to_read};
use anyhow::Result;
use btfleet::artifact::{BtfDigest, Key, Object, Owner};
use btfleet::store::Store;
use futures::stream::TryStreamExt;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

/// A live cluster's controller writes its references anew every week.
const OLD: Duration = Duration::from_secs(90 * 24 * 3600);

/// One reference.
#[derive(Serialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Ref {
    pub btf_digest: BtfDigest,
    kernel_id: String,
    /// Seconds since it was written; null where the store does not tell.
    age_seconds: Option<u64>,
    /// A cluster's, and not written anew for 90 days.
    pub old: bool,
}

/// Whose references there are.
#[derive(Serialize, Debug, PartialEq, Eq)]
struct Row<'a> {
    owner: &'a str,
    pin: bool,
    refs: &'a [Ref],
}

pub async fn run(args: &StoreRefs, now: SystemTime) -> Result<ExitCode> {
    let store = open_to_read(&args.store).await?;
    let owners = owners(&*store, now).await?;
    let mut out = String::new();
    match args.output {
        TextFormat::Json => {
            let rows: Vec<Row<'_>> = owners
                .iter()
                .map(|(owner, refs)| Row {
                    owner: owner.as_str(),
                    pin: owner.pin_name().is_some(),
                    refs,
                })
                .collect();
            out = serde_json::to_string_pretty(&serde_json::json!({ "owners": rows }))?;
            out.push('\n');
        }
        TextFormat::Text => table(&owners, &mut out)?,
    }
    io::stdout().lock().write_all(out.as_bytes())?;
    for (owner, refs) in &owners {
        let old = refs.iter().filter(|r| r.old).count();
        if old > 0 {
            note(&format!(
                "cluster {owner}: {old} of its {} references were not written anew for 90 days, and a live cluster's controller does that weekly; if it is gone for good: btfleet store forget {owner}",
                refs.len()
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// All references of a store, by owner and kernel.
pub async fn owners(store: &dyn Store, now: SystemTime) -> Result<BTreeMap<Owner, Vec<Ref>>> {
    let folder = Key::new(Object::REFS)?;
    let mut owners: BTreeMap<Owner, Vec<Ref>> = BTreeMap::new();
    let mut entries = store.list(Some(&folder));
    while let Some(entry) = entries.try_next().await? {
        if let Some(Object::Ref(btf, owner)) = Object::parse(&entry.key) {
            let is_pin = owner.pin_name().is_some();
            let refs = owners.entry(owner).or_default();
            refs.push(reference(btf, is_pin, entry.modified, now));
        }
    }
    Ok(owners)
}

fn reference(btf: BtfDigest, is_pin: bool, written: Option<SystemTime>, now: SystemTime) -> Ref {
    // A store's clock may run ahead of ours.
    let age = written.map(|at| now.duration_since(at).unwrap_or_default());
    Ref {
        btf_digest: btf,
        kernel_id: btf.kernel_id().to_string(),
        age_seconds: age.map(|age| age.as_secs()),
        // A person's stays until a person takes it away.
        old: !is_pin && age.is_some_and(|age| age > OLD),
    }
}

fn table(owners: &BTreeMap<Owner, Vec<Ref>>, out: &mut String) -> Result<()> {
    if owners.is_empty() {
        note("no references there");
        return Ok(());
    }
    let names = owners.keys().map(|owner| owner.as_str().len());
    let width = names.max().unwrap_or(0).max("OWNER".len());
    writeln!(out, "{:width$}  KERNEL        WRITTEN", "OWNER")?;
    for (owner, refs) in owners {
        for r in refs {
            let age = r
                .age_seconds
                .map_or("-".to_owned(), |s| ago(Duration::from_secs(s)));
            let old = if r.old { "  old" } else { "" };
            let kernel = &r.kernel_id[..12];
            writeln!(out, "{:width$}  {kernel}  {age}{old}", owner.as_str())?;
        }
    }
    Ok(())
}

/// A time past, in its largest unit.
pub fn ago(age: Duration) -> String {
    match age.as_secs() {
        s if s < 120 => format!("{s} s ago"),
        s if s < 2 * 3600 => format!("{} min ago", s / 60),
        s if s < 2 * 86_400 => format!("{} h ago", s / 3600),
        s => format!("{} days ago", s / 86_400),
    }
}

impl Ref {
    /// How long ago it was written.
    pub fn age(&self) -> Option<Duration> {
        self.age_seconds.map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_s_reference_is_old_after_90_days_and_a_pin_never() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let btf = BtfDigest::of(b"k");
        let day = Duration::from_secs(86_400);
        for (days, is_pin, old) in [(89, false, false), (91, false, true), (1000, true, false)] {
            let r = reference(btf, is_pin, Some(now - day * days), now);
            assert_eq!(r.old, old, "{days} days, pin: {is_pin}");
            assert_eq!(r.age(), Some(day * days));
        }
        // A clock that runs ahead, and a store that does not tell.
        let ahead = reference(btf, false, Some(now + day), now);
        assert_eq!((ahead.age(), ahead.old), (Some(Duration::ZERO), false));
        assert!(!reference(btf, false, None, now).old);
        assert_eq!(ago(day * 91), "91 days ago");
    }
}
