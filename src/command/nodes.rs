//! `btfleet nodes`.

use super::inventory::{Shown, cluster, say, show};
use crate::cli::Nodes;
use anyhow::{Result, bail};
use btfleet::cluster::{Node, State};
use std::process::ExitCode;

pub async fn run(args: Nodes) -> Result<ExitCode> {
    let Some(client) = cluster(&args.cluster).await? else {
        bail!("no cluster is known here: set KUBECONFIG or give --kubeconfig");
    };
    say(&args.cluster);
    let shown = Shown::<Node> {
        path: "/api/v1/nodes",
        singular: "node",
        plural: "nodes",
        heads: [
            &["NAME", "STATUS", "KERNEL", "RELEASE", "ARCH", "REASON"],
            &[
                "NAME",
                "STATUS",
                "KERNEL",
                "RELEASE",
                "ARCH",
                "BTF-DIGEST",
                "HEADER-DIGEST",
                "GENERATOR",
                "BOOT-ID",
                "REASON",
            ],
        ],
        cells,
        json,
        order: |node| {
            let is_ready = matches!(node.state(), State::Ready { .. });
            (u8::from(is_ready), node.metadata.name.clone())
        },
        none: "no nodes there",
    };
    let selector = args.selector.as_deref();
    show(&client, &shown, selector, args.output, args.watch).await
}

/// Why a node is not ready, and what to do.
fn reason(state: &State) -> Option<String> {
    Some(match state {
        State::Ready { .. } => return None,
        State::NoBtf => "the kernel was built without CONFIG_DEBUG_INFO_BTF".to_owned(),
        State::Error(why) => why.clone(),
        State::Stale => {
            "it says what ran before its last boot; its agent has not spoken since".to_owned()
        }
        State::NotReported(None) => "no agent has spoken: is its pod running there?".to_owned(),
        State::NotReported(Some(malformed)) => malformed.to_string(),
    })
}

fn cells(node: &Node, wide: bool) -> Vec<String> {
    let state = node.state();
    let says = node.keys();
    let or = |text: Option<String>, none: &str| text.unwrap_or_else(|| none.to_owned());
    let dash = |text: Option<String>| or(text.filter(|t| !t.is_empty()), "-");
    let info = &node.status.node_info;
    // Digests of another boot would mislead.
    let is_current = matches!(state, State::Ready { .. } | State::Error(_));
    let kernel = says.labels.kernel.filter(|_| is_current);
    let mut cells = vec![
        node.metadata.name.clone(),
        state.word().to_owned(),
        dash(kernel.map(|id| id.chars().take(12).collect())),
        dash(Some(info.kernel_version.clone())),
        dash(Some(info.architecture.clone())),
        or(reason(&state), ""),
    ];
    if wide {
        let a = says.annotations;
        let current = |text: Option<String>| dash(text.filter(|_| is_current));
        cells.extend([
            current(a.btf_digest),
            current(a.header_digest),
            current(a.generator),
            dash(Some(info.boot_id.clone())),
        ]);
        // Free text goes last.
        let reason = cells.remove(5);
        cells.push(reason);
    }
    cells
}

fn json(node: &Node) -> serde_json::Value {
    let state = node.state();
    let says = node.keys();
    let a = says.annotations;
    let info = &node.status.node_info;
    serde_json::json!({
        "name": node.metadata.name,
        "status": state.word(),
        "reason": reason(&state),
        "kernelId": says.labels.kernel,
        "btfDigest": a.btf_digest,
        "headerDigest": a.header_digest,
        "generator": a.generator.and_then(|g| g.parse::<u32>().ok()),
        "bootId": a.boot_id,
        "node": {
            "bootId": info.boot_id,
            "kernelVersion": info.kernel_version,
            "architecture": info.architecture,
        },
    })
}
