//! What the controller asks of the API server, beside its watches and its Lease. Each call sends one request, once.

use super::metrics::Metrics;
use crate::artifact::{BtfDigest, Owner};
use crate::cluster::client::{Answer, Refusal, answer, ask, cluster_id};
use crate::cluster::event::Sending;
use crate::cluster::watch::each;
use crate::cluster::{KernelHeader, KernelHeaderStatus, Node};
use kube::Client;
use kube::api::{DeleteParams, GetParams, ListParams, ObjectMeta, PostParams};
use kube::core::Request;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::fmt;

/// Where KernelHeaders lie.
pub const KERNEL_HEADERS: &str = "/apis/btfleet.dev/v1alpha1/kernelheaders";
/// Where Nodes lie.
pub const NODES: &str = "/api/v1/nodes";
/// The ends of the names of the admission policies that are shipped, and of their bindings. What comes before is the
/// installation's.
pub const POLICIES: [&str; 4] = ["agent-own-node", "agent-own-events", "keys", "cleanup"];
const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";
/// The field manager of KernelHeaders.
const MANAGER: &str = "btfleet-controller";

/// The API server, for the controller.
#[derive(Clone)]
pub struct Api {
    client: Client,
    metrics: Metrics,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Bare {
    metadata: ObjectMeta,
}

impl Api {
    /// Counts what it asks in `metrics`.
    pub fn new(client: Client, metrics: Metrics) -> Api {
        Api { client, metrics }
    }

    /// For a watch.
    pub fn client(&self) -> &Client {
        &self.client
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        verb: &str,
        resource: &str,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, Refusal> {
        let answer = ask(&self.client, request).await;
        self.counted(verb, resource, answer)
    }

    fn counted<T>(
        &self,
        verb: &str,
        resource: &str,
        answer: Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let code = match &answer {
            Ok(_) => Some(200),
            Err(refusal) => refusal.code,
        };
        self.metrics.asked(verb, resource, code);
        answer
    }

    /// The cluster's id: the uid of the namespace kube-system.
    ///
    /// # Errors
    /// The API server's.
    pub async fn id(&self) -> Result<Owner, Refusal> {
        let counted = |answer| self.counted("get", "namespaces", answer);
        let uid = |it: Bare| it.metadata.uid.unwrap_or_default();
        cluster_id(&self.client, counted, uid).await
    }

    /// A KernelHeader as it is now; `None` if there is none.
    ///
    /// # Errors
    /// The API server's.
    pub async fn get(&self, kernel: &BtfDigest) -> Result<Option<KernelHeader>, Refusal> {
        let name = kernel.kernel_id().to_string();
        let request = Request::new(KERNEL_HEADERS).get(&name, &GetParams::default());
        match self.ask("get", "kernelheaders", request).await {
            Ok(object) => Ok(Some(object)),
            Err(e) if e.answer == Answer::Absent => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Makes a kernel's KernelHeader, its status still empty.
    ///
    /// # Errors
    /// The API server's.
    pub async fn create(&self, kernel: &BtfDigest) -> Result<KernelHeader, Refusal> {
        let body = serde_json::to_vec(&KernelHeader::of(kernel)).unwrap_or_default();
        let request = Request::new(KERNEL_HEADERS).create(&by_us(), body);
        self.ask("create", "kernelheaders", request).await
    }

    /// Writes a KernelHeader's status, if its version is still this one.
    ///
    /// # Errors
    /// The API server's.
    pub async fn write_status(
        &self,
        kernel: &BtfDigest,
        version: &str,
        status: KernelHeaderStatus,
    ) -> Result<KernelHeader, Refusal> {
        let mut object = KernelHeader::of(kernel);
        object.metadata.resource_version = Some(version.to_owned());
        object.status = Some(status);
        let name = kernel.kernel_id().to_string();
        let body = serde_json::to_vec(&object).unwrap_or_default();
        let request =
            Request::new(KERNEL_HEADERS).replace_subresource("status", &name, &by_us(), body);
        self.ask("update", "kernelheaders/status", request).await
    }

    /// Removes a kernel's KernelHeader. One that is not there is no error.
    ///
    /// # Errors
    /// The API server's.
    pub async fn remove(&self, kernel: &BtfDigest) -> Result<(), Refusal> {
        let name = kernel.kernel_id().to_string();
        let request = Request::new(KERNEL_HEADERS).delete(&name, &DeleteParams::default());
        match self
            .ask::<IgnoredAny>("delete", "kernelheaders", request)
            .await
        {
            Ok(_) => Ok(()),
            Err(e) if e.answer == Answer::Absent => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Whether any Node names the kernel, by a quorum list.
    ///
    /// # Errors
    /// The API server's.
    pub async fn is_named(&self, kernel: &BtfDigest) -> Result<bool, Refusal> {
        let digest = kernel.to_string();
        let mut named = false;
        let names = |node: Node| {
            named |= node.metadata.annotations.btf_digest.as_deref() == Some(digest.as_str());
        };
        let request = Request::new(NODES);
        let listed = each(&self.client, &request, ListParams::default(), names).await;
        let code = match &listed {
            Ok(_) => Some(200),
            Err(kube::Error::Api(status)) => Some(status.code),
            Err(_) => None,
        };
        self.metrics.asked("list", "nodes", code);
        listed.map(|_| named).map_err(|e| Refusal {
            what: format!("GET {NODES}"),
            answer: answer(&e),
            code,
            retry_after: None,
            problem: e.to_string(),
        })
    }

    /// Whether an admission policy and its binding are there.
    ///
    /// # Errors
    /// The API server's.
    pub async fn has_policy(&self, name: &str) -> Result<bool, Refusal> {
        for kind in [
            "validatingadmissionpolicies",
            "validatingadmissionpolicybindings",
        ] {
            let request =
                Request::new(format!("{ADMISSION}/{kind}")).get(name, &GetParams::default());
            match self.ask::<IgnoredAny>("get", kind, request).await {
                Ok(_) => {}
                Err(e) if e.answer == Answer::Absent => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    /// Tells an Event.
    ///
    /// # Errors
    /// The API server's.
    pub async fn tell(&self, event: &Sending) -> Result<(), Refusal> {
        let sent = event.send(&self.client).await;
        self.counted(event.verb(), "events", sent)
    }
}

fn by_us() -> PostParams {
    PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    }
}
