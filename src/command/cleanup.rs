//! `btfleet cleanup`.

use crate::cli;
use anyhow::{Context, Result, bail};
use btfleet::artifact::{Object, Owner};
use btfleet::cluster::client::{Answer, Refusal, ask};
use btfleet::cluster::node::{Keys, Node, patch};
use btfleet::cluster::watch::each;
use btfleet::controller::{Api, Metrics, undo};
use btfleet::store::Store;
use futures::{StreamExt, TryStreamExt, stream};
use kube::Client;
use kube::api::{DeleteParams, GetParams, ListParams, Patch, PatchParams};
use kube::core::Request;
use serde::de::IgnoredAny;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// So many Nodes are patched at a time.
const AT_ONCE: usize = 4;
/// How often a Node is tried.
const TRIES: u32 = 5;
/// From one line that says how far it is to the next.
const SAY: usize = 500;

pub async fn run(args: cli::Cleanup) -> Result<ExitCode> {
    let Some(client) = super::inventory::cluster(&args.cluster).await? else {
        bail!("which cluster? Set KUBECONFIG or give --kubeconfig, or run in a pod");
    };
    super::inventory::say(&args.cluster);
    // Before anything is removed: what is missing to do the whole of it is said first.
    let store = match (args.keep_refs, args.store.store.is_some()) {
        (true, _) => None,
        (false, false) => bail!("which store? Give --store, or --keep-refs"),
        (false, true) => {
            let owner = match &args.cluster_id {
                Some(id) => super::agent::cluster_id(id)?,
                None => Api::new(client.clone(), Metrics::new()?)
                    .id()
                    .await
                    .context("the cluster's id is not known (--cluster-id can give it)")?,
            };
            Some((super::open(&args.store).await?, owner))
        }
    };
    let namespace = match &args.namespace {
        Some(name) => name.clone(),
        None => client.default_namespace().to_owned(),
    };
    if let Some(name) = &args.daemonset {
        remove_agents(&client, &namespace, name, args.timeout).await?;
    }
    let nodes = with_keys(&client).await?;
    let count = nodes.len();
    let mut failed = 0;
    let mut done = 0;
    let mut patched = stream::iter(nodes)
        .map(|node| {
            let client = &client;
            async move { (remove_keys(client, &node).await, node.name) }
        })
        .buffer_unordered(AT_ONCE);
    while let Some((removed, name)) = patched.next().await {
        done += 1;
        if let Err(e) = removed {
            failed += 1;
            super::complain(&format!("node/{name}: {e}"));
        }
        if done % SAY == 0 {
            super::note(&format!("{done} of {count} nodes"));
        }
    }
    drop(patched);
    println!("removed btfleet's keys from {} nodes", count - failed);
    if let Some((store, owner)) = store {
        // What a controller was about to remove when it ended may be another cluster's too.
        undo(&*store, &owner).await?;
        let refs = remove_refs(&*store, &owner).await?;
        println!(
            "removed {refs} references of {owner} from {}",
            store.place()
        );
    }
    for name in &args.secrets {
        remove_secret(&client, &namespace, name).await?;
    }
    let left = with_keys(&client).await?;
    if let Some(node) = left.first() {
        bail!(
            "{} nodes have btfleet's keys still, or again, such as {}: are agents running?",
            left.len(),
            node.name
        );
    }
    Ok(match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Removes the DaemonSet in the foreground: it stays until its pods have ended and are removed.
async fn remove_agents(
    client: &Client,
    namespace: &str,
    name: &str,
    patience: Duration,
) -> Result<()> {
    let sets = Request::new(format!("/apis/apps/v1/namespaces/{namespace}/daemonsets"));
    match ask::<IgnoredAny>(client, sets.delete(name, &DeleteParams::foreground())).await {
        Ok(_) => {}
        Err(e) if e.answer == Answer::Absent => {
            println!("there is no DaemonSet {namespace}/{name}");
            return Ok(());
        }
        Err(e) => return Err(e).context("the DaemonSet cannot be removed"),
    }
    let began = Instant::now();
    loop {
        match ask::<IgnoredAny>(client, sets.get(name, &GetParams::default())).await {
            Err(e) if e.answer == Answer::Absent => {
                println!("removed DaemonSet {namespace}/{name} and its pods");
                return Ok(());
            }
            Err(e) if e.answer != Answer::Away => {
                return Err(e).context("the DaemonSet cannot be seen");
            }
            Ok(_) | Err(_) => {}
        }
        if began.elapsed() > patience {
            // A node that is away keeps its pod for ever, and can write nothing. Another one's agent is found below.
            super::note("some of its pods have not ended; going on without them");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn remove_secret(client: &Client, namespace: &str, name: &str) -> Result<()> {
    let secrets = Request::new(format!("/api/v1/namespaces/{namespace}/secrets"));
    match ask::<IgnoredAny>(client, secrets.delete(name, &DeleteParams::default())).await {
        Ok(_) => println!("removed Secret {namespace}/{name}"),
        Err(e) if e.answer == Answer::Absent => {}
        Err(e) => return Err(e).with_context(|| format!("Secret {name} cannot be removed")),
    }
    Ok(())
}

struct Marked {
    name: String,
    uid: String,
}

/// The Nodes that have keys of ours, listed page by page.
async fn with_keys(client: &Client) -> Result<Vec<Marked>> {
    let mut found = Vec::new();
    let take = |node: Node| {
        if !node.keys().is_empty() {
            found.push(Marked {
                name: node.metadata.name,
                uid: node.metadata.uid,
            });
        }
    };
    let nodes = Request::new("/api/v1/nodes");
    let listed = each(client, &nodes, ListParams::default(), take).await;
    listed.context("cannot list the Nodes")?;
    Ok(found)
}

/// A Node that is gone, or was made anew, has none.
async fn remove_keys(client: &Client, node: &Marked) -> Result<(), Refusal> {
    let none = Patch::Merge(patch(&node.uid, &Keys::default()));
    let mut pause = Duration::from_millis(500);
    let mut tries = 0;
    loop {
        let request =
            Request::new("/api/v1/nodes").patch(&node.name, &PatchParams::default(), &none);
        let e = match ask::<IgnoredAny>(client, request).await {
            Ok(_) => return Ok(()),
            Err(e) => e,
        };
        tries += 1;
        match e.answer {
            Answer::Absent | Answer::Conflict => return Ok(()),
            Answer::Away if tries < TRIES => {
                tokio::time::sleep(e.retry_after.unwrap_or_default().max(pause)).await;
                pause *= 2;
            }
            _ => return Err(e),
        }
    }
}

/// Removes a cluster's references, and says how many there were.
async fn remove_refs(store: &dyn Store, owner: &Owner) -> Result<usize> {
    let mut keys = Vec::new();
    let mut entries = store.list(Some(&Object::refs()));
    while let Some(entry) = entries.try_next().await? {
        if matches!(Object::parse(&entry.key), Some(Object::Ref(_, of)) if of == *owner) {
            keys.push(entry.key);
        }
    }
    drop(entries);
    for key in &keys {
        store.delete(key).await?;
    }
    Ok(keys.len())
}
