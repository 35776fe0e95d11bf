//! What the cluster's Nodes say, kernel by kernel: small records, and pure decisions about them.
//!
//! A node can change what is said of itself and of no other: it is counted under the kernel that it names, its name
//! and release may be among those shown, and no more. What a kernel is comes from its BTF (`verify`).

use crate::artifact::{BtfDigest, KernelId};
use crate::cluster::watch::Change;
use crate::cluster::{KernelHeader, KernelHeaderStatus, Node, State};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many digests that nobody knows a node may introduce within [`WINDOW`].
pub const INTRODUCTIONS: usize = 3;
/// The time in which [`INTRODUCTIONS`] are counted.
pub const WINDOW: Duration = Duration::from_secs(3600);
/// So many releases and arches are held before those that no node says any more are forgotten.
const WORDS: usize = 1000;
/// How many names and releases a status shows.
const SHOWN: usize = 10;
/// The annotation on a KernelHeader that keeps its kernel.
pub const PIN: &str = "btfleet.dev/pin";

/// One node, in some hundred bytes: what is the same on many is held once.
#[derive(Debug, Clone, PartialEq)]
struct Record {
    /// The kernel that it names, in whatever state it is; none where the claim is refused.
    kernel: Option<BtfDigest>,
    /// It runs that kernel now: what it says is of this boot.
    runs: bool,
    release: Option<Arc<str>>,
    arch: Option<Arc<str>>,
    state: &'static str,
    /// Told since the last listing began.
    told: bool,
}

/// Something that a person should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The node introduces more unknown digests than a node may.
    TooMany {
        /// The node.
        node: String,
        /// The digest that is not looked at now.
        digest: BtfDigest,
    },
    /// The node names a digest that begins like that of another kernel, which is known.
    SameId {
        /// The node.
        node: String,
        /// What it names.
        digest: BtfDigest,
        /// The kernel that has the id.
        known: BtfDigest,
    },
}

/// A KernelHeader as the API server has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// `metadata.resourceVersion`.
    pub version: String,
    /// `metadata.uid`.
    pub uid: String,
    /// It is annotated [`PIN`].
    pub pinned: bool,
    /// It is being deleted.
    pub going: bool,
    /// Its status.
    pub status: KernelHeaderStatus,
}

/// What the nodes that name a kernel add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Count {
    /// How many run it now.
    pub runs: usize,
    /// How many name it, in whatever state.
    pub named: usize,
    /// The first ten that run it, by name.
    pub names: Vec<String>,
    /// The releases of those that run it, at most ten: the most frequent ones, in alphabetical order.
    pub releases: Vec<String>,
    /// The arch that most of them have.
    pub arch: Option<String>,
    /// One of those that name it.
    pub witness: Option<String>,
}

/// All of it at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Kernel by kernel; those that only have a KernelHeader too.
    pub kernels: BTreeMap<BtfDigest, Count>,
    /// Nodes by [`State::word`].
    pub states: BTreeMap<&'static str, usize>,
}

/// The inventory of one cluster, as its leader knows it.
#[derive(Debug, Default)]
pub struct Inventory {
    nodes: BTreeMap<Box<str>, Record>,
    words: BTreeSet<Arc<str>>,
    objects: BTreeMap<BtfDigest, Object>,
    /// Who has a kernel id: a kernel that has its KernelHeader.
    ids: HashMap<KernelId, BtfDigest>,
    objects_told: BTreeSet<BtfDigest>,
    /// When each node introduced a digest, within the last [`WINDOW`].
    introductions: BTreeMap<Box<str>, VecDeque<Instant>>,
    /// How many nodes name each kernel: what is named by another already is no introduction.
    named: HashMap<BtfDigest, usize>,
    /// Claims that are not looked at, and of whom.
    refused: BTreeMap<Box<str>, BtfDigest>,
    nodes_listed: bool,
    objects_listed: bool,
    notices: Vec<Notice>,
    changes: u64,
}

impl Inventory {
    /// Takes what the watch of Nodes told.
    pub fn node(&mut self, change: Change<Node>, now: Instant) {
        match change {
            Change::Listing => self.nodes.values_mut().for_each(|node| node.told = false),
            Change::Is(node) => self.put(&node, now),
            Change::Gone(node) => self.remove(&node.metadata.name),
            Change::Listed => {
                let gone: Vec<Box<str>> = self
                    .nodes
                    .iter()
                    .filter(|(_, node)| !node.told)
                    .map(|(name, _)| name.clone())
                    .collect();
                gone.iter().for_each(|name| self.remove(name));
                self.sweep_words();
                self.nodes_listed = true;
                self.changes += 1;
            }
            Change::Trouble(_) => {}
        }
    }

    /// Takes what the watch of KernelHeaders told.
    pub fn object(&mut self, change: Change<KernelHeader>) {
        match change {
            Change::Listing => self.objects_told.clear(),
            Change::Is(object) => {
                if let Some(digest) = object.btf() {
                    self.objects_told.insert(digest);
                    self.put_object(digest, object);
                }
            }
            Change::Gone(object) => {
                if let Some(digest) = object.btf() {
                    self.remove_object(&digest, object.metadata.uid.as_deref());
                }
            }
            Change::Listed => {
                let told = std::mem::take(&mut self.objects_told);
                let gone: Vec<BtfDigest> = self
                    .objects
                    .keys()
                    .filter(|digest| !told.contains(digest))
                    .copied()
                    .collect();
                gone.iter()
                    .for_each(|digest| self.remove_object(digest, None));
                self.objects_listed = true;
                self.changes += 1;
            }
            Change::Trouble(_) => {}
        }
    }

    fn put_object(&mut self, digest: BtfDigest, object: KernelHeader) {
        let metadata = object.metadata;
        let object = Object {
            version: metadata.resource_version.unwrap_or_default(),
            uid: metadata.uid.unwrap_or_default(),
            pinned: metadata.annotations.is_some_and(|a| a.contains_key(PIN)),
            going: metadata.deletion_timestamp.is_some(),
            status: object.status.unwrap_or_default(),
        };
        self.ids.insert(digest.kernel_id(), digest);
        if self.objects.insert(digest, object.clone()) != Some(object) {
            self.changes += 1;
        }
    }

    fn remove_object(&mut self, digest: &BtfDigest, uid: Option<&str>) {
        let known = self.objects.get(digest);
        // What is told late may be of an object before this one.
        if known.is_none_or(|known| uid.is_some_and(|uid| uid != known.uid)) {
            return;
        }
        self.objects.remove(digest);
        self.ids.remove(&digest.kernel_id());
        self.changes += 1;
    }

    /// The API server gave this KernelHeader as the answer to a write.
    pub fn wrote(&mut self, object: KernelHeader) {
        if let Some(digest) = object.btf() {
            self.objects_told.insert(digest);
            self.put_object(digest, object);
        }
    }

    fn put(&mut self, node: &Node, now: Instant) {
        let name = node.metadata.name.as_str();
        // In whatever state: what a Node names is not collected.
        let names = node.metadata.annotations.btf_digest.as_deref();
        let names: Option<BtfDigest> = names.and_then(|text| text.parse().ok());
        let state = node.state();
        let runs = matches!(state, State::Ready { .. } | State::Error(_));
        let release = node.metadata.annotations.kernel_release.clone();
        let release = release.filter(|r| crate::cluster::node::may_be_written(r));
        let arch = &node.status.node_info.architecture;
        let before = self.nodes.get(name).and_then(|record| record.kernel);
        let kernel = match names {
            Some(digest) if before == Some(digest) => Some(digest),
            // It was refused and is told again: `readmit` looks at it.
            Some(digest) if self.refused.get(name) == Some(&digest) => None,
            Some(digest) => self.admit(name, digest, now),
            None => None,
        };
        if names.is_none() || kernel.is_some() {
            self.refused.remove(name);
        }
        let record = Record {
            kernel,
            runs,
            release: release.filter(|_| runs).map(|r| self.word(&r)),
            arch: (!arch.is_empty() && arch.len() <= 16).then(|| self.word(arch)),
            state: state.word(),
            told: true,
        };
        match self.nodes.get_mut(name) {
            Some(known) => {
                // Heartbeats and the like change nothing here.
                known.told = true;
                if *known == record {
                    return;
                }
                *known = record;
            }
            None => {
                self.nodes.insert(name.into(), record);
            }
        }
        self.recount(before, kernel);
        self.changes += 1;
    }

    /// Whether a node may be counted under a digest that it did not name before.
    fn admit(&mut self, node: &str, digest: BtfDigest, now: Instant) -> Option<BtfDigest> {
        if let Some(known) = self.ids.get(&digest.kernel_id()) {
            if *known == digest {
                return Some(digest);
            }
            self.notices.push(Notice::SameId {
                node: node.to_owned(),
                digest,
                known: *known,
            });
            self.refused.insert(node.into(), digest);
            return None;
        }
        if self.named.contains_key(&digest) {
            return Some(digest);
        }
        let made = self.introductions.entry(node.into()).or_default();
        while made
            .front()
            .is_some_and(|at| now.saturating_duration_since(*at) >= WINDOW)
        {
            made.pop_front();
        }
        if made.len() < INTRODUCTIONS {
            made.push_back(now);
            return Some(digest);
        }
        self.notices.push(Notice::TooMany {
            node: node.to_owned(),
            digest,
        });
        self.refused.insert(node.into(), digest);
        None
    }

    /// Looks again at the claims that were refused: now and then, since their Nodes need not change.
    pub fn readmit(&mut self, now: Instant) {
        self.introductions.retain(|_, made| {
            made.back()
                .is_some_and(|at| now.saturating_duration_since(*at) < WINDOW)
        });
        let told = self.notices.len();
        for (name, digest) in std::mem::take(&mut self.refused) {
            let kernel = self.admit(&name, digest, now);
            let Some(record) = self.nodes.get_mut(&name) else {
                self.refused.remove(&name);
                continue;
            };
            if kernel.is_some() {
                record.kernel = kernel;
                self.recount(None, kernel);
                self.changes += 1;
            }
        }
        // They were told when they were refused.
        self.notices.truncate(told);
    }

    fn recount(&mut self, before: Option<BtfDigest>, after: Option<BtfDigest>) {
        if before == after {
            return;
        }
        if let Some(digest) = before
            && let Some(count) = self.named.get_mut(&digest)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.named.remove(&digest);
            }
        }
        if let Some(digest) = after {
            *self.named.entry(digest).or_default() += 1;
        }
    }

    fn remove(&mut self, name: &str) {
        if let Some(record) = self.nodes.remove(name) {
            self.recount(record.kernel, None);
            self.refused.remove(name);
            self.changes += 1;
        }
    }

    /// Releases and arches are few, and held once.
    fn word(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.words.get(text) {
            return known.clone();
        }
        // A node that says another one every second must not fill the memory.
        if self.words.len() >= WORDS {
            self.sweep_words();
        }
        let word: Arc<str> = text.into();
        self.words.insert(word.clone());
        word
    }

    /// Forgets words that no node says any more.
    fn sweep_words(&mut self) {
        self.words.retain(|word| Arc::strong_count(word) > 1);
    }

    /// Whether all Nodes and all KernelHeaders were told: nothing is decided before.
    pub fn is_whole(&self) -> bool {
        self.nodes_listed && self.objects_listed
    }

    /// Rises with every change.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What should be told since the last call.
    pub fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A kernel's KernelHeader.
    pub fn get(&self, digest: &BtfDigest) -> Option<&Object> {
        self.objects.get(digest)
    }

    /// All KernelHeaders.
    pub fn objects(&self) -> impl Iterator<Item = (&BtfDigest, &Object)> {
        self.objects.iter()
    }

    /// Kernels that Nodes name.
    pub fn named(&self) -> BTreeSet<BtfDigest> {
        self.named.keys().copied().collect()
    }

    /// Kernels that Nodes name and that have no KernelHeader: each is to be verified.
    pub fn claims(&self) -> Vec<BtfDigest> {
        let unknown = |digest: &&BtfDigest| !self.ids.contains_key(&digest.kernel_id());
        self.named.keys().filter(unknown).copied().collect()
    }

    /// One pass over all nodes.
    pub fn survey(&self) -> Survey {
        #[derive(Default)]
        struct Sum<'a> {
            count: Count,
            releases: HashMap<&'a str, usize>,
            arches: BTreeMap<&'a str, usize>,
        }
        let mut sums: BTreeMap<BtfDigest, Sum<'_>> = BTreeMap::new();
        for digest in self.objects.keys() {
            sums.entry(*digest).or_default();
        }
        let mut states: BTreeMap<&'static str, usize> = State::WORDS.map(|w| (w, 0)).into();
        // In the order of their names.
        for (name, node) in &self.nodes {
            *states.entry(node.state).or_default() += 1;
            let Some(digest) = node.kernel else { continue };
            let sum = sums.entry(digest).or_default();
            sum.count.named += 1;
            if sum.count.witness.is_none() {
                sum.count.witness = Some(name.to_string());
            }
            if !node.runs {
                continue;
            }
            sum.count.runs += 1;
            if sum.count.names.len() < SHOWN {
                sum.count.names.push(name.to_string());
            }
            if let Some(release) = &node.release {
                *sum.releases.entry(release).or_default() += 1;
            }
            if let Some(arch) = &node.arch {
                *sum.arches.entry(arch).or_default() += 1;
            }
        }
        let finish = |(digest, sum): (BtfDigest, Sum<'_>)| {
            let mut count = sum.count;
            let mut releases: Vec<(&str, usize)> = sum.releases.into_iter().collect();
            releases.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
            releases.truncate(SHOWN);
            count.releases = releases.into_iter().map(|(r, _)| r.to_owned()).collect();
            count.releases.sort();
            let most = sum.arches.iter().max_by_key(|(_, n)| **n);
            count.arch = most.map(|(arch, _)| (*arch).to_owned());
            (digest, count)
        };
        Survey {
            kernels: sums.into_iter().map(finish).collect(),
            states,
        }
    }
}

#[cfg(test)]
mod tests;
