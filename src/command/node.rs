//! The kernel that a Node says it runs; or, in words, why that is not known and what to do.

use anyhow::{Context, Result, bail};
use btfleet::artifact::{BtfDigest, Generator, HeaderDigest};
use btfleet::cluster::node::FIELD_MANAGER;
use btfleet::cluster::{Node, State};
use kube::Client;
use kube::core::Request;
use serde::Deserialize;
use serde_json::Value;

/// What a Node says runs there, if that can be relied on.
pub async fn kernel_of(
    client: &Client,
    name: &str,
) -> Result<(BtfDigest, (HeaderDigest, Generator))> {
    if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
        || name.is_empty()
    {
        bail!("{name:?} is no name of a node");
    }
    let request = Request::new("/api/v1/nodes").get(name, &Default::default())?;
    let object: Value = match client.request(request).await {
        Ok(object) => object,
        Err(kube::Error::Api(status)) if status.code == 404 => {
            bail!("there is no node {name:?}: `btfleet nodes` lists them")
        }
        Err(e) => return Err(e).with_context(|| format!("cannot read node {name}")),
    };
    let node = Node::deserialize(&object).with_context(|| format!("node {name}"))?;
    match why_not(&node, said_at(&object)) {
        Ok(kernel) => Ok(kernel),
        Err(why) => bail!("{why}"),
    }
}

/// When the node's agent wrote its keys last, as the API server noted it. An agent that has nothing new to say writes
/// nothing: so it is since when it says this.
fn said_at(object: &Value) -> Option<&str> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    let ours = entries.iter().filter(|e| e["manager"] == FIELD_MANAGER);
    ours.filter_map(|e| e["time"].as_str()).max()
}

/// Its kernel; or why it is not known, since when, and what to do about it.
fn why_not(
    node: &Node,
    said_at: Option<&str>,
) -> Result<(BtfDigest, (HeaderDigest, Generator)), String> {
    let name = &node.metadata.name;
    let since = said_at.map_or(String::new(), |at| format!(" since {at}"));
    match node.state() {
        State::Ready {
            btf,
            header,
            generator,
        } => Ok((btf, (header, generator))),
        State::NoBtf => {
            let info = &node.status.node_info;
            let runs = match (&*info.kernel_version, &*info.architecture) {
                ("", _) | (_, "") => String::new(),
                (release, arch) => format!(" ({arch}/{release})"),
            };
            Err(format!(
                "node {name} runs a kernel without BTF{runs}: its agent has said NoBTF{since}. Boot a kernel that was built with \
                 CONFIG_DEBUG_INFO_BTF=y; or, where this one's BTF is published elsewhere (BTFHub), `btfleet import` it \
                 and get it by release/ARCH/RELEASE"
            ))
        }
        State::Error(reason) => {
            let advice = match reason.starts_with("store") {
                true => "It goes on; `btfleet store doctor --role agent` tries the store from here",
                false => "docs/operations.md explains each error",
            };
            Err(format!(
                "the agent of node {name} could not publish its kernel: {reason}. It has said so{since}. {advice}; \
                 `btfleet doctor {name}` looks at its pod"
            ))
        }
        State::Stale => {
            let last = said_at.map_or(String::new(), |at| format!(", at {at},"));
            Err(format!(
                "node {name} is Stale: it was booted after its agent spoke{last} and may run another kernel now. The agent \
                 speaks within a minute of its start; if it does not, `btfleet doctor {name}` says why"
            ))
        }
        State::NotReported(None) => Err(format!(
            "the agent of node {name} has not reported its kernel yet, which takes up to a minute from its start; if it does \
             not, `btfleet doctor {name}` says why"
        )),
        State::NotReported(Some(malformed)) => Err(format!(
            "node {name}: {malformed} (10 minutes); if it returns, see who else writes to the Node"
        )),
    }
}
