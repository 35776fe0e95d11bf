//! What `btfleet serve` says and whoever asks it reads: JSON, and problems as RFC 9457 has them.

use crate::artifact::{BtfDigest, Generator, HeaderDigest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The kernel that a node runs now, as its Node says: `GET /v1/nodes/{node}/manifest`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeKernel {
    /// The Node's name.
    pub node: String,
    /// The boot that this describes. Whoever runs on the node compares it with
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// `uname -r`, as the kubelet reports it.
    pub kernel_release: Option<String>,
    /// The machine, in Kubernetes' spelling.
    pub arch: String,
    /// The first 32 digits of the BTF digest.
    pub kernel_id: String,
    /// SHA-256 of the kernel's BTF.
    #[schemars(with = "String", regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub btf_digest: BtfDigest,
    /// SHA-256 of the kernel's header.
    #[schemars(with = "String", regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub header_digest: HeaderDigest,
    /// The generator that made the header.
    #[schemars(with = "u32")]
    pub generator: Generator,
}

/// Kernels: `GET /v1/kernels`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KernelList {
    /// By BTF digest.
    pub kernels: Vec<ListedKernel>,
    /// There are more than a list may have: ask with `arch` and `release`.
    pub truncated: bool,
}

/// A kernel in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedKernel {
    /// The first 32 digits of the BTF digest.
    pub kernel_id: String,
    /// SHA-256 of the kernel's BTF.
    #[schemars(with = "String", regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub btf_digest: BtfDigest,
    /// What the store's index calls it. A hint: only a digest is proof.
    pub names: Vec<KernelName>,
    /// How many nodes of the cluster run it now; absent where the server knows no cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<usize>,
}

/// A machine and a release.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct KernelName {
    /// In Kubernetes' spelling.
    pub arch: String,
    /// As `uname -r` prints it.
    pub release: String,
}

/// Why there is nothing: `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Which kind of problem, as a URI: for programs.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened here.
    pub detail: String,
    /// Of a node: the boot that is spoken of, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
}

/// Every kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No such route.
    NoRoute,
    /// Another method.
    Method,
    /// The question makes no sense.
    Question,
    /// No content coding that this server has is acceptable.
    Coding,
    /// An `If-Match` does not hold.
    Precondition,
    /// The range is not in the bytes.
    Range,
    /// This server knows no cluster.
    NoCluster,
    /// There is no such node.
    UnknownNode,
    /// The node's agent has not spoken yet, or what it said was edited.
    NotReported,
    /// What the node says is of an earlier boot.
    Stale,
    /// The node's kernel has no BTF.
    NoBtf,
    /// The node's agent could not publish its kernel.
    NodeError,
    /// There is no such kernel.
    UnknownKernel,
    /// Several kernels bear this name.
    AmbiguousKernel,
    /// The kernel has no type of this name.
    UnknownType,
    /// No header can be made of this BTF.
    UnreadableBtf,
    /// The server does not know the cluster's present state.
    ClusterAway,
    /// The store is out of reach.
    StoreAway,
    /// The store answers, and says no.
    StoreRefused,
    /// The store lacks what it should have.
    Missing,
    /// The store's bytes are not those that their name says.
    Damaged,
    /// The server has as much to do as it can take.
    Busy,
    /// The blob is larger than this server holds.
    TooLarge,
    /// What was sent to be checked is larger than what is taken.
    Body,
    /// What was sent to be checked is no eBPF object.
    NoObject,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 25] = [
        Kind::NoRoute,
        Kind::Method,
        Kind::Question,
        Kind::Coding,
        Kind::Precondition,
        Kind::Range,
        Kind::NoCluster,
        Kind::UnknownNode,
        Kind::NotReported,
        Kind::Stale,
        Kind::NoBtf,
        Kind::NodeError,
        Kind::UnknownKernel,
        Kind::AmbiguousKernel,
        Kind::UnknownType,
        Kind::UnreadableBtf,
        Kind::ClusterAway,
        Kind::StoreAway,
        Kind::StoreRefused,
        Kind::Missing,
        Kind::Damaged,
        Kind::Busy,
        Kind::TooLarge,
        Kind::Body,
        Kind::NoObject,
    ];

    /// One word, status, title, and after how many seconds the same may work.
    fn row(self) -> (&'static str, u16, &'static str, Option<u32>) {
        match self {
            Kind::NoRoute => ("no-route", 404, "There is nothing at this path", None),
            Kind::Method => ("method", 405, "Only GET and HEAD are known here", None),
            Kind::Question => ("question", 400, "The request makes no sense", None),
            Kind::Coding => ("coding", 406, "No acceptable content coding", None),
            Kind::Precondition => ("precondition", 412, "If-Match does not hold", None),
            Kind::Range => ("range", 416, "The range is not in the bytes", None),
            Kind::NoCluster => ("no-cluster", 404, "This server knows no cluster", None),
            Kind::UnknownNode => ("unknown-node", 404, "There is no such node", None),
            Kind::NotReported => ("not-reported", 503, "Not yet reported", Some(5)),
            Kind::Stale => ("stale", 503, "Known only from an earlier boot", Some(5)),
            Kind::NoBtf => ("no-btf", 404, "The node's kernel has no BTF", None),
            Kind::NodeError => ("node-error", 503, "The node's agent failed", Some(30)),
            Kind::UnknownKernel => ("unknown-kernel", 404, "There is no such kernel", None),
            Kind::AmbiguousKernel => ("ambiguous-kernel", 409, "Several kernels fit", None),
            Kind::UnknownType => ("unknown-type", 404, "No such type in this kernel", None),
            Kind::UnreadableBtf => ("unreadable-btf", 404, "No header can be made of it", None),
            Kind::ClusterAway => ("cluster-away", 503, "The cluster is out of reach", Some(5)),
            Kind::StoreAway => ("store-away", 503, "The store is out of reach", Some(5)),
            Kind::StoreRefused => ("store-refused", 502, "The store refused", None),
            Kind::Missing => ("missing", 503, "The store lacks it for now", Some(10)),
            Kind::Damaged => ("damaged", 503, "The store's bytes are wrong", Some(10)),
            Kind::Busy => ("busy", 503, "Too much to do", Some(1)),
            Kind::TooLarge => ("too-large", 507, "Larger than this server holds", None),
            Kind::Body => ("body", 413, "More was sent than is taken", None),
            Kind::NoObject => ("no-object", 422, "This is no eBPF object", None),
        }
    }

    /// The HTTP status.
    pub fn status(self) -> u16 {
        self.row().1
    }

    /// The kind, for people.
    pub fn title(self) -> &'static str {
        self.row().2
    }

    /// After how many seconds the same may work.
    pub fn retry_after(self) -> Option<u32> {
        self.row().3
    }

    /// The kind of a problem's `type`.
    pub fn of(uri: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.to_string() == uri)
    }
}

impl fmt::Display for Kind {
    /// As a problem's `type` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tag:btfleet.dev,2026:problem/{}", self.row().0)
    }
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Problem {
        Problem {
            kind: kind.to_string(),
            title: kind.title().to_owned(),
            status: kind.status(),
            detail: detail.into(),
            boot_id: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_of_problem_has_a_uri_of_its_own_that_is_read_back() {
        let uris: BTreeSet<String> = Kind::ALL.iter().map(Kind::to_string).collect();
        assert_eq!(uris.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert_eq!(Kind::of(&kind.to_string()), Some(kind));
            assert!(kind.status() >= 400);
            // Whoever may come again is told when.
            assert_eq!(kind.retry_after().is_some(), kind.status() == 503);
        }
    }
}
