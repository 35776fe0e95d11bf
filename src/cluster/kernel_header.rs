//! The `KernelHeader` resource: one distinct kernel of the cluster.

use crate::artifact::BtfDigest;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// One distinct kernel of the cluster, under its kernel id. Made by the controller once the kernel's BTF
/// was fetched and hashed.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "btfleet.dev",
    version = "v1alpha1",
    kind = "KernelHeader",
    plural = "kernelheaders",
    shortname = "kh",
    status = "KernelHeaderStatus",
    derive = "PartialEq",
    doc = "One distinct kernel of the cluster: its BTF, its header, the nodes that run it.",
    validation = Rule::new("self.metadata.name == self.spec.btfDigest.substring(7, 39)")
        .message("the name must be the kernel id: the first 32 hex digits of spec.btfDigest"),
    printcolumn(name = "Arch", type_ = "string", json_path = ".status.arch"),
    printcolumn(name = "Releases", type_ = "string", json_path = ".status.display.releases"),
    printcolumn(name = "Nodes", type_ = "integer", json_path = ".status.nodes"),
    printcolumn(name = "Header", type_ = "string", json_path = ".status.display.header"),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.display.size"),
    printcolumn(
        name = "Verified",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Verified\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct KernelHeaderSpec {
    /// SHA-256 of the kernel's BTF, as `sha256:<64 hex digits>`. It is the kernel's identity.
    #[x_kube(validation = Rule::new("self == oldSelf").message("a kernel's digest never changes"))]
    #[schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$"), length(max = 71))]
    pub btf_digest: String,
}

/// What the controller knows of a kernel. No list grows with the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct KernelHeaderStatus {
    /// How many nodes run it now.
    pub nodes: i64,
    /// The first ten of them, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub node_names: Vec<String>,
    /// Kernel releases under which it was seen, at most ten.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub releases: Vec<String>,
    /// The machine, in Kubernetes' spelling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// Bytes of the BTF, uncompressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub btf_size: Option<i64>,
    /// Its headers, the newest generator first, at most five.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub headers: Vec<HeaderStatus>,
    /// When a node of this cluster named it first (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub first_seen: Option<String>,
    /// Since when no node names it (RFC 3339); absent while one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub unused_since: Option<String>,
    /// When it was verified last (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub verified_at: Option<String>,
    /// How verifications ended, the newest first: those that said something new or put something right, at most ten.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub history: Vec<Verified>,
    /// `Stored` and `Verified`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What tables show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<Display>,
}

/// A header of a kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeaderStatus {
    /// The generator that made it.
    pub generator: i64,
    /// Its digest, as `sha256:<64 hex digits>`.
    #[schemars(length(max = 71))]
    pub digest: String,
    /// Its bytes, uncompressed.
    pub size: i64,
}

/// How a verification ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// When (RFC 3339).
    #[schemars(schema_with = "date_time")]
    pub at: String,
    /// The reason of the condition `Verified` since then.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// What was found, or what was put right.
    #[schemars(length(max = 512))]
    pub message: String,
}

/// A condition, as Kubernetes has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Stored`: manifest and both blobs are there. `Verified`: they are what their digests say.
    #[serde(rename = "type")]
    #[schemars(length(max = 64))]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    #[schemars(length(max = 16))]
    pub status: String,
    /// One word for programs.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// A sentence for people.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// When `status` changed last (RFC 3339).
    #[schemars(schema_with = "date_time")]
    pub last_transition_time: String,
}

/// The cells that `kubectl get kh` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Display {
    /// The releases, or the first of them and how many more.
    #[schemars(length(max = 256))]
    pub releases: String,
    /// The header digest's first digits.
    #[schemars(length(max = 64))]
    pub header: String,
    /// The header's size.
    #[schemars(length(max = 32))]
    pub size: String,
}

fn date_time(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "string", "format": "date-time", "nullable": true})
}

impl KernelHeader {
    /// The object of a kernel, its status still empty.
    pub fn of(btf: &BtfDigest) -> KernelHeader {
        let spec = KernelHeaderSpec {
            btf_digest: btf.to_string(),
        };
        KernelHeader::new(&btf.kernel_id().to_string(), spec)
    }

    /// The kernel it stands for; `None` if the digest cannot be read, which the API server does not let in.
    pub fn btf(&self) -> Option<BtfDigest> {
        self.spec.btf_digest.parse().ok()
    }
}
