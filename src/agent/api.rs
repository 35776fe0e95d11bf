//! What the agent asks of the API server: four kinds of request, none of which lists or watches.

use super::metrics::Metrics;
use crate::artifact::Owner;
use crate::cluster::client::{Refusal, ask, cluster_id};
use crate::cluster::event::Sending;
use crate::cluster::node::{FIELD_MANAGER, Keys, Node, patch};
use async_trait::async_trait;
use kube::Client;
use kube::api::{GetParams, Patch, PatchParams};
use kube::core::Request;
use serde::Deserialize;
use std::fmt;

/// The API server, as an agent needs it. Each call sends one request, once.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// The cluster's id: the uid of the namespace kube-system.
    async fn id(&self) -> Result<Owner, Refusal>;

    /// The agent's own Node.
    async fn node(&self) -> Result<Node, Refusal>;

    /// Makes the Node of this uid say this; gives it as it is then.
    async fn patch(&self, uid: &str, keys: &Keys) -> Result<Node, Refusal>;

    /// Tells an Event.
    async fn event(&self, event: &Sending) -> Result<(), Refusal>;
}

/// The real one.
pub struct KubeCluster {
    client: Client,
    node: String,
    metrics: Metrics,
}

impl fmt::Debug for KubeCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeCluster")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Uid {
    metadata: UidMeta,
}

#[derive(Deserialize)]
struct UidMeta {
    uid: String,
}

impl KubeCluster {
    /// For the agent of this node.
    pub fn new(client: Client, node: &str, metrics: Metrics) -> KubeCluster {
        KubeCluster {
            client,
            node: node.to_owned(),
            metrics,
        }
    }

    fn counted<T>(
        &self,
        verb: &str,
        resource: &str,
        answer: Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.metrics.asked(verb, resource, &answer);
        answer
    }
}

#[async_trait]
impl Cluster for KubeCluster {
    async fn id(&self) -> Result<Owner, Refusal> {
        let counted = |answer| self.counted("get", "namespaces", answer);
        cluster_id(&self.client, counted, |it: Uid| it.metadata.uid).await
    }

    async fn node(&self) -> Result<Node, Refusal> {
        let request = Request::new("/api/v1/nodes").get(&self.node, &GetParams::default());
        let answer = ask(&self.client, request).await;
        self.counted("get", "nodes", answer)
    }

    async fn patch(&self, uid: &str, keys: &Keys) -> Result<Node, Refusal> {
        let by_us = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let merge = Patch::Merge(patch(uid, keys));
        let request = Request::new("/api/v1/nodes").patch(&self.node, &by_us, &merge);
        let answer = ask(&self.client, request).await;
        self.counted("patch", "nodes", answer)
    }

    async fn event(&self, event: &Sending) -> Result<(), Refusal> {
        let answer = event.send(&self.client).await;
        self.counted(event.verb(), "events", answer)
    }
}
