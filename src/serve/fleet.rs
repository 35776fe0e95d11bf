//! What the server knows of the cluster's nodes: a small record each, kept by a watch.

use super::metrics::Metrics;
use crate::artifact::{BtfDigest, KernelId};
use crate::cluster::watch::Change;
use crate::cluster::{Node, State};
use crate::consumer::wire::{Kind, NodeKernel, Problem};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

/// How long what is known may be gone by while the API server is out of reach: it may have been rebooted
/// meanwhile.
const OLD: Duration = Duration::from_secs(60);
/// A watch in trouble is in trouble again before this has passed; if not, it works.
const WORKS: Duration = Duration::from_secs(120);

/// A node, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// How it stands.
    pub state: State,
    /// The boot that the kubelet reports.
    pub boot_id: String,
    /// `uname -r`, as the kubelet reports it.
    pub release: String,
    /// The machine.
    pub arch: String,
    told: bool,
}

#[cfg(test)]
impl Record {
    /// One that was not told.
    pub fn of(state: State, release: &str, arch: &str) -> Record {
        Record {
            state,
            boot_id: String::new(),
            release: release.to_owned(),
            arch: arch.to_owned(),
            told: false,
        }
    }
}

/// A node and its name.
pub type Named = (String, Record);

/// The nodes of a cluster.
#[derive(Debug)]
pub struct Fleet {
    inner: RwLock<Inner>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Inner {
    nodes: BTreeMap<String, Record>,
    is_known: bool,
    /// Since when the watch is in trouble, when it was last, and why.
    trouble: Option<(Instant, Instant, String)>,
}

impl Fleet {
    /// None known yet.
    pub fn new(metrics: Metrics) -> Fleet {
        let inner = RwLock::default();
        Fleet { inner, metrics }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what a watch tells.
    pub fn take(&self, change: Change<Node>) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        match change {
            Change::Listing => inner.nodes.values_mut().for_each(|node| node.told = false),
            Change::Is(node) => {
                inner.trouble = None;
                let info = &node.status.node_info;
                let record = Record {
                    state: node.state(),
                    boot_id: info.boot_id.clone(),
                    release: info.kernel_version.clone(),
                    arch: info.architecture.clone(),
                    told: true,
                };
                inner.nodes.insert(node.metadata.name, record);
            }
            Change::Gone(node) => {
                inner.trouble = None;
                inner.nodes.remove(&node.metadata.name);
            }
            Change::Listed => {
                inner.trouble = None;
                inner.nodes.retain(|_, node| node.told);
                inner.is_known = true;
            }
            Change::Trouble(why) => {
                self.metrics.watch_trouble();
                tracing::warn!(trouble = why, "the watch of Nodes goes on after a pause");
                let now = Instant::now();
                let since = match &inner.trouble {
                    Some((since, last, _)) if now - *last < WORKS => *since,
                    _ => now,
                };
                inner.trouble = Some((since, now, why));
            }
        }
    }

    /// Whether what is known is how the cluster stands now, and if not, why.
    pub fn is_current(&self) -> Result<(), String> {
        self.read().is_current()
    }

    /// The kernel that a node runs.
    ///
    /// # Errors
    /// It is not known, or not to be believed, or has no BTF.
    pub fn kernel(&self, name: &str) -> Result<NodeKernel, Problem> {
        let inner = self.read();
        if let Err(why) = inner.is_current() {
            return Err(Problem::new(Kind::ClusterAway, why));
        }
        let shown: String = name.chars().take(253).collect();
        let Some(node) = inner.nodes.get(name) else {
            let detail = format!("the cluster has no node {shown:?}");
            return Err(Problem::new(Kind::UnknownNode, detail));
        };
        let problem = |kind, detail: String| {
            let boot_id = Some(node.boot_id.clone()).filter(|id| !id.is_empty());
            Err(Problem {
                boot_id,
                ..Problem::new(kind, detail)
            })
        };
        match &node.state {
            State::Ready {
                btf,
                header,
                generator,
            } => Ok(NodeKernel {
                node: name.to_owned(),
                boot_id: node.boot_id.clone(),
                kernel_release: Some(node.release.clone()).filter(|r| !r.is_empty()),
                arch: node.arch.clone(),
                kernel_id: btf.kernel_id().to_string(),
                btf_digest: *btf,
                header_digest: *header,
                generator: *generator,
            }),
            State::NotReported(None) => problem(
                Kind::NotReported,
                format!("the agent of node {name} has not reported its kernel yet"),
            ),
            State::NotReported(Some(why)) => problem(Kind::NotReported, why.to_string()),
            State::Stale => problem(
                Kind::Stale,
                format!(
                    "node {name} booted since its agent reported a kernel; it has not spoken since"
                ),
            ),
            State::NoBtf => problem(
                Kind::NoBtf,
                format!("the kernel of node {name} was built without CONFIG_DEBUG_INFO_BTF"),
            ),
            State::Error(reason) => problem(
                Kind::NodeError,
                format!("the agent of node {name} could not publish its kernel: {reason}"),
            ),
        }
    }

    /// The kernels that nodes run now, and on how many nodes.
    pub fn kernels(&self) -> BTreeMap<BtfDigest, usize> {
        let mut kernels = BTreeMap::new();
        for node in self.read().nodes.values() {
            if let State::Ready { btf, .. } = node.state {
                *kernels.entry(btf).or_default() += 1;
            }
        }
        kernels
    }

    /// The kernels of this id that nodes run now.
    pub fn of_id(&self, id: &KernelId) -> BTreeSet<BtfDigest> {
        let all = self.kernels().into_keys();
        all.filter(|btf| btf.kernel_id() == *id).collect()
    }

    /// How many nodes are in each state, and the first `most` of them, those that are not Ready before the others.
    pub fn overview(&self, most: usize) -> (BTreeMap<&'static str, usize>, Vec<(String, Record)>) {
        let inner = self.read();
        let mut counts: BTreeMap<_, usize> = State::WORDS.map(|word| (word, 0)).into();
        for node in inner.nodes.values() {
            *counts.entry(node.state.word()).or_default() += 1;
        }
        let is_ready = |node: &Record| matches!(node.state, State::Ready { .. });
        let troubled = inner.nodes.iter().filter(|(_, node)| !is_ready(node));
        let ready = inner.nodes.iter().filter(|(_, node)| is_ready(node));
        let first = troubled.chain(ready).take(most);
        let first = first.map(|(name, node)| (name.clone(), node.clone()));
        (counts, first.collect())
    }

    /// All of them, by name; and since how many seconds the API server has been out of reach, and why.
    pub fn all(&self) -> (Vec<Named>, Option<(u64, String)>) {
        let inner = self.read();
        let all = inner.nodes.iter();
        let all = all.map(|(name, node)| (name.clone(), node.clone()));
        let trouble = match &inner.trouble {
            Some((since, last, why)) if last.elapsed() < WORKS => {
                Some((since.elapsed().as_secs(), why.clone()))
            }
            _ if !inner.is_known => Some((0, "the nodes are not listed yet".to_owned())),
            _ => None,
        };
        (all.collect(), trouble)
    }

    /// Brings the metrics to what is known.
    pub fn measure(&self) {
        for (word, count) in self.overview(0).0 {
            self.metrics.nodes(word, count);
        }
    }
}

impl Inner {
    fn is_current(&self) -> Result<(), String> {
        if !self.is_known {
            let why = self.trouble.as_ref().map(|(_, _, why)| format!(": {why}"));
            let why = why.unwrap_or_default();
            return Err(format!("the cluster's nodes are not listed yet{why}"));
        }
        match &self.trouble {
            Some((since, last, why)) if since.elapsed() > OLD && last.elapsed() < WORKS => {
                Err(format!(
                    "the API server has been out of reach for {} s: {why}",
                    since.elapsed().as_secs()
                ))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{Generator, HeaderDigest};
    use serde_json::json;

    fn fleet() -> Fleet {
        Fleet::new(Metrics::new().unwrap())
    }

    fn node(name: &str, said: &str, reported: &str) -> Node {
        serde_json::from_value(json!({
            "metadata": {"name": name, "annotations": {
                "btfleet.dev/status": "Ready", "btfleet.dev/boot-id": said,
                "btfleet.dev/btf-digest": BtfDigest::of(b"btf"),
                "btfleet.dev/header-digest": HeaderDigest::of(b"header"),
                "btfleet.dev/generator": Generator::OWN.to_string(),
            }},
            "status": {"nodeInfo": {"bootID": reported, "architecture": "amd64", "kernelVersion": "6.1"}}
        }))
        .unwrap()
    }

    fn kind(answer: Result<NodeKernel, Problem>) -> Option<Kind> {
        Kind::of(&answer.unwrap_err().kind)
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_is_told_of_only_as_the_cluster_stands_now() {
        let fleet = fleet();
        assert_eq!(kind(fleet.kernel("a")), Some(Kind::ClusterAway));
        fleet.take(Change::Listing);
        fleet.take(Change::Is(node("a", "1", "1")));
        fleet.take(Change::Is(node("b", "1", "2")));
        assert_eq!(kind(fleet.kernel("a")), Some(Kind::ClusterAway));
        fleet.take(Change::Listed);
        assert_eq!(fleet.kernel("a").unwrap().btf_digest, BtfDigest::of(b"btf"));
        assert_eq!(kind(fleet.kernel("b")), Some(Kind::Stale));
        assert_eq!(kind(fleet.kernel("c")), Some(Kind::UnknownNode));
        assert_eq!(fleet.kernels().len(), 1);
        // A reboot is seen as soon as the kubelet reports it; a new list forgets who is gone.
        fleet.take(Change::Is(node("a", "1", "9")));
        assert_eq!(kind(fleet.kernel("a")), Some(Kind::Stale));
        fleet.take(Change::Listing);
        fleet.take(Change::Is(node("b", "2", "2")));
        assert_eq!(kind(fleet.kernel("a")), Some(Kind::Stale));
        fleet.take(Change::Listed);
        assert_eq!(kind(fleet.kernel("a")), Some(Kind::UnknownNode));
        assert!(fleet.kernel("b").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_not_told_while_the_api_server_is_long_out_of_reach() {
        let fleet = fleet();
        fleet.take(Change::Is(node("a", "1", "1")));
        fleet.take(Change::Listed);
        let trouble = || fleet.take(Change::Trouble("refused".to_owned()));
        for _ in 0..6 {
            trouble();
            assert!(fleet.kernel("a").is_ok());
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        trouble();
        assert_eq!(kind(fleet.kernel("a")), Some(Kind::ClusterAway));
        // A word ends it; so does a watch that has been quiet for longer than trouble ever is.
        fleet.take(Change::Is(node("b", "1", "1")));
        assert!(fleet.kernel("a").is_ok());
        trouble();
        tokio::time::advance(Duration::from_secs(70)).await;
        trouble();
        assert_eq!(kind(fleet.kernel("a")), Some(Kind::ClusterAway));
        tokio::time::advance(WORKS).await;
        assert!(fleet.kernel("a").is_ok());
    }
}
