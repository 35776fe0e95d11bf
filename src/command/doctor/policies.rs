//! `btfleet doctor --try-policies`: what `helm test` runs with an agent's account.

use anyhow::{Context, Result, bail};
use btfleet::cluster::client::ask;
use kube::Client;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Whose patches the policies let through.
const MANAGER: &str = "btfleet-agent";

/// By dry run: a patch that goes through all checks, and is not kept.
pub async fn run(client: &Client) -> Result<ExitCode> {
    let node = std::env::var("NODE_NAME").ok().filter(|n| !n.is_empty());
    let Some(node) = node else {
        bail!("which Node is this? Set NODE_NAME from the pod's spec.nodeName (a fieldRef)");
    };
    let own = json!({"metadata": {"annotations": {"btfleet.dev/status": "NoBTF"}}});
    let taken = patch(client, &node, &own).await;
    taken.context("an agent's own patch of its Node was refused")?;
    println!("node/{node}: a key of btfleet's is accepted");
    let foreign = json!({"metadata": {"annotations": {"example.com/not-btfleets": "x"}}});
    match patch(client, &node, &foreign).await {
        Ok(()) => bail!(
            "node/{node}: a key that is not btfleet's was accepted: the admission policies are absent, or not bound"
        ),
        Err(e) if e.problem.contains("ValidatingAdmissionPolicy") => {
            println!(
                "node/{node}: a key that is not btfleet's is refused: {}",
                e.problem
            );
            Ok(ExitCode::SUCCESS)
        }
        Err(e) => Err(e).context("refused, but not by an admission policy"),
    }
}

async fn patch(
    client: &Client,
    node: &str,
    body: &Value,
) -> Result<(), btfleet::cluster::client::Refusal> {
    let params = PatchParams {
        dry_run: true,
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let request = Request::new("/api/v1/nodes").patch(node, &params, &Patch::Merge(body));
    ask::<IgnoredAny>(client, request).await.map(drop)
}
