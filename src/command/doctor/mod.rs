//! `btfleet doctor`: why a node is not Ready, in words, from what this account can see of the cluster.

mod diagnosis;
mod policies;

use super::events::{self, Event};
use super::inventory::{cluster, say};
use super::{note, printable};
use crate::cli::Doctor;
use anyhow::{Context, Result, bail};
use btfleet::cluster::client::{Answer, Refusal, ask};
use btfleet::cluster::watch::each;
use btfleet::cluster::{KernelHeader, Node, State};
use diagnosis::{Finding, Known, Pod, Policies};
use kube::Client;
use kube::api::{GetParams, ListParams};
use kube::core::Request;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

/// What every object of an installation bears.
const OURS: &str = "app.kubernetes.io/name=btfleet";
const PODS: &str = "/api/v1/pods";
const NODES: &str = "/api/v1/nodes";
const KERNELS: &str = "/apis/btfleet.dev/v1alpha1/kernelheaders";
const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
const BINDINGS: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";

/// Of how many nodes that are not Ready all is told; of the others how many they are.
const MOST: usize = 20;

pub async fn run(args: Doctor) -> Result<ExitCode> {
    let Some(client) = cluster(&args.cluster).await? else {
        bail!("no cluster is known here: set KUBECONFIG or give --kubeconfig");
    };
    say(&args.cluster);
    if args.try_policies {
        return policies::run(&client).await;
    }
    let mut out = io::stdout().lock();
    let installed = installation(&client).await;
    tell(&mut out, &installed)?;
    let nodes = nodes(&client, &args.nodes).await?;
    let ready = |node: &&Node| matches!(node.state(), State::Ready { .. });
    let well = nodes.iter().filter(ready).count();
    let mut shown: Vec<&Node> = nodes.iter().collect();
    if args.nodes.is_empty() {
        shown.retain(|node| !ready(node));
        writeln!(out, "{well} of {} nodes are Ready", nodes.len())?;
    }
    let pods = agents(&client, &args.nodes).await;
    let mut sick = installed.iter().any(|f| f.is_seen);
    for node in shown.iter().take(MOST.max(args.nodes.len())) {
        let name = &node.metadata.name;
        let here = pods.map(|pods| pods.get(name).cloned().unwrap_or_default());
        let kernel = match node.state() {
            State::Ready { btf, .. } => {
                let path = format!("{KERNELS}/{}", btf.kernel_id());
                Some(known(one::<KernelHeader>(&client, &path).await))
            }
            _ => None,
        };
        let findings = diagnosis::of_node(node, &here, kernel.as_ref());
        writeln!(out, "\n{}", printable(&diagnosis::headline(node)))?;
        tell(&mut out, &findings)?;
        sick |= findings.iter().any(|f| f.is_seen);
        if !findings.is_empty()
            && let Ok(events) = events::list(&client, Some(name)).await
        {
            last(&mut out, &events)?;
        }
    }
    if let Some(more) = shown.len().checked_sub(MOST).filter(|n| *n > 0)
        && args.nodes.is_empty()
    {
        writeln!(
            out,
            "\nand {more} more that are not Ready: `btfleet nodes` lists them"
        )?;
    }
    Ok(ExitCode::from(u8::from(sick)))
}

fn tell(out: &mut impl Write, findings: &[Finding]) -> io::Result<()> {
    for finding in findings {
        writeln!(out, "  - {}", printable(&finding.problem))?;
        writeln!(out, "    {}", printable(&finding.advice))?;
    }
    Ok(())
}

/// What was told last about a node.
fn last(out: &mut impl Write, events: &[Event]) -> io::Result<()> {
    if let Some(event) = events.last() {
        let (reason, message) = (printable(&event.reason), printable(&event.message));
        writeln!(out, "    The last Event: {reason}: {message}")?;
    }
    Ok(())
}

/// What is wrong with the installation as a whole.
async fn installation(client: &Client) -> Vec<Finding> {
    let mut found = Vec::new();
    let crd = one::<serde_json::Value>(client, "/apis/btfleet.dev/v1alpha1").await;
    found.extend(diagnosis::of_crd(&known(crd.map(|there| there.is_some()))));
    let mut policies = Policies::default();
    let listed = async {
        let ours = ListParams::default().labels(OURS);
        list(client, POLICIES, ours, |p| policies.add(p)).await?;
        list(client, BINDINGS, ListParams::default(), |b| {
            policies.bind(b)
        })
        .await
    };
    let listed = listed.await;
    found.extend(diagnosis::of_policies(&known(listed.map(|()| policies))));
    let labels = format!("{OURS},app.kubernetes.io/component=controller");
    let mut pods: Vec<Pod> = Vec::new();
    let params = ListParams::default().labels(&labels);
    let listed = list(client, PODS, params, |pod| pods.push(pod)).await;
    found.extend(diagnosis::of_controller(&known(listed.map(|()| pods))));
    found
}

/// The nodes that were named, or all.
async fn nodes(client: &Client, names: &[String]) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    for name in names {
        let name = name.strip_prefix("node/").unwrap_or(name);
        match one(client, &format!("{NODES}/{name}")).await? {
            Some(node) => nodes.push(node),
            None => bail!("there is no node {name:?}: `btfleet nodes` lists them"),
        }
    }
    if names.is_empty() {
        let request = Request::new(NODES);
        let listed = each(client, &request, ListParams::default(), |n| nodes.push(n));
        listed.await.context("cannot list nodes")?;
        nodes.sort_by(|a: &Node, b| a.metadata.name.cmp(&b.metadata.name));
    }
    if nodes.is_empty() {
        note("no nodes there");
    }
    Ok(nodes)
}

/// The agents' pods, by node.
async fn agents(client: &Client, names: &[String]) -> Known<BTreeMap<String, Vec<Pod>>> {
    let mut by_node: BTreeMap<String, Vec<Pod>> = BTreeMap::new();
    let mut add = |pod: Pod| by_node.entry(pod.node()).or_default().push(pod);
    let labels = format!("{OURS},app.kubernetes.io/component=agent");
    let all = ListParams::default().labels(&labels);
    let mut listed = Ok(());
    if names.is_empty() {
        listed = list(client, PODS, all, &mut add).await;
    } else {
        for name in names {
            let name = name.strip_prefix("node/").unwrap_or(name);
            let here = all.clone().fields(&format!("spec.nodeName={name}"));
            if let Err(e) = list(client, PODS, here, &mut add).await {
                listed = Err(e);
            }
        }
    }
    known(listed.map(|()| by_node))
}

/// An object, if it is there.
async fn one<T: DeserializeOwned>(client: &Client, path: &str) -> Result<Option<T>, Refusal> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match ask(
        client,
        Request::new(folder).get(name, &GetParams::default()),
    )
    .await
    {
        Ok(object) => Ok(Some(object)),
        Err(refusal) if refusal.answer == Answer::Absent => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

async fn list<T: DeserializeOwned>(
    client: &Client,
    path: &'static str,
    params: ListParams,
    add: impl FnMut(T),
) -> kube::Result<()> {
    each(client, &Request::new(path), params, add)
        .await
        .map(drop)
}

/// What cannot be seen is no finding about the cluster, and is said as what it is.
fn known<T>(seen: Result<T, impl std::fmt::Display>) -> Known<T> {
    match seen {
        Ok(what) => Known::Is(what),
        Err(why) => Known::Hidden(why.to_string()),
    }
}
