//! `btfleet store forget`: the references of a cluster that is gone for good.

use super::refs::{Ref, ago, owners};
use crate::cli::StoreForget;
use crate::command::open_to_read;
use anyhow::{Result, bail};
use btfleet::artifact::{BtfDigest, Object, Owner};
use btfleet::controller::undo;
use futures::stream::TryStreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::SystemTime;

pub async fn run(args: &StoreForget, now: SystemTime) -> Result<ExitCode> {
    let owner: Owner = args.cluster.parse()?;
    if owner.pin_name().is_some() {
        bail!("{owner} is a pin: `btfleet store unpin` takes it away, kernel by kernel");
    }
    let store = open_to_read(&args.store).await?;
    let owners = owners(&*store, now).await?;
    let aside = store
        .list(Some(&Object::aside_of(&owner)))
        .try_next()
        .await?;
    let refs = owners.get(&owner).map_or(&[][..], Vec::as_slice);
    if refs.is_empty() && aside.is_none() {
        bail!(
            "no cluster {owner} uses anything in {}: `btfleet store refs` lists those that do",
            store.place()
        );
    }
    let what = describe(&owner, refs, &owners);
    if !args.yes && !asked(&what)? {
        bail!("nothing was removed");
    }
    // What its controller was about to remove when it went may be another cluster's too: it is put back, the
    // cluster's own references among it.
    undo(&*store, &owner).await?;
    for r in super::refs::owners(&*store, now)
        .await?
        .get(&owner)
        .into_iter()
        .flatten()
    {
        let key = Object::Ref(r.btf_digest, owner.clone()).key();
        store.delete(&key).await?;
    }
    writeln!(io::stdout(), "forgotten: {what}")?;
    Ok(ExitCode::SUCCESS)
}

/// What is about to be forgotten, and what that means.
fn describe(owner: &Owner, refs: &[Ref], owners: &BTreeMap<Owner, Vec<Ref>>) -> String {
    let others: BTreeSet<BtfDigest> = owners
        .iter()
        .filter(|(other, _)| *other != owner)
        .flat_map(|(_, refs)| refs.iter().map(|r| r.btf_digest))
        .collect();
    let alone = refs
        .iter()
        .filter(|r| !others.contains(&r.btf_digest))
        .count();
    let newest = refs.iter().filter_map(Ref::age).min();
    let newest = newest.map_or(String::new(), |age| {
        format!("; its newest reference was written {}", ago(age))
    });
    format!(
        "cluster {owner}, {} kernel{}, {alone} of them used by nobody else{newest}",
        refs.len(),
        if refs.len() == 1 { "" } else { "s" }
    )
}

fn asked(what: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("this would forget {what}: --yes does it without asking");
    }
    write!(io::stderr(), "forget {what}? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
