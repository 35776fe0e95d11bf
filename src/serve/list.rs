//! Lists as they are sent: written once for all who ask within a second, since a small request may ask for megabytes.

use super::cache::{Cache, Held, Weighed};
use super::catalog::Listed;
use super::fleet::{Fleet, Record};
use super::inventory::Inventory;
use super::metrics::Metrics;
use super::page::model::{self, KernelRow, NodeRow};
use super::page::table::{self, Query};
use super::page::{self, Overview};
use crate::artifact::{Arch, BtfDigest, Release};
use crate::consumer::wire::{KernelList, KernelName, ListedKernel, Problem};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::time::Instant;

/// Bytes that lists may take together.
const ROOM: u64 = 16 << 20;
/// Different lists that may be in the making.
const LOADS: usize = 16;

/// What is listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Shown {
    /// The first page.
    Overview,
    /// A table of nodes, for people.
    NodeTable(Query),
    /// A table of kernels, for people.
    KernelTable(Query),
    /// Kernels of an arch and a release, of one of them, or all.
    Kernels(Option<Arch>, Option<Release>),
}

struct Written(Bytes);

impl Weighed for Written {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }
}

/// Lists that were written a moment ago.
#[derive(Debug)]
pub(super) struct Lists {
    cache: Arc<Cache<(Shown, u64), Written>>,
    held: Arc<Held>,
    began: Instant,
    place: Arc<str>,
}

impl Lists {
    /// None yet. `held` counts what slow readers hold, `place` is the store's.
    pub fn new(held: Arc<Held>, place: &str, metrics: Metrics) -> Lists {
        Lists {
            cache: Cache::new(ROOM, LOADS, held.clone(), metrics),
            held,
            began: Instant::now(),
            place: place.into(),
        }
    }

    /// A list as it was at most a second ago. Where the store could not be listed, `listed` says why: a page shows the
    /// rest.
    ///
    /// # Errors
    /// There is too much to do.
    pub async fn get(
        &self,
        shown: Shown,
        listed: Result<Arc<Listed>, Problem>,
        known: Known,
    ) -> Result<Bytes, Problem> {
        let key = (shown.clone(), self.began.elapsed().as_secs());
        let (held, place) = (self.held.clone(), self.place.clone());
        let write = || async move {
            let write = move || match shown {
                Shown::Kernels(arch, release) => {
                    let running = known.fleet.map(|fleet| fleet.kernels());
                    json(&*listed?, running.as_ref(), arch.as_ref(), release.as_ref())
                }
                page => Ok(known.seen(listed).page(&page, &place).into_bytes()),
            };
            let written = tokio::task::spawn_blocking(write).await;
            let written = written.expect("writing a list does not panic")?;
            Ok(Written(held.hold(written)))
        };
        let written = self.cache.get(key, write).await;
        written.map(|w| w.0.clone()).map_err(|e| (*e).clone())
    }
}

/// Who knows the cluster; nobody does for a store alone.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub fleet: Option<Arc<Fleet>>,
    pub inventory: Option<Arc<Inventory>>,
}

/// All that is known at this moment.
pub(super) struct Seen {
    pub nodes: Option<Vec<(String, Record)>>,
    pub kernels: Vec<KernelRow>,
    pub troubles: Vec<String>,
}

impl Known {
    /// All that is known, together with what the store lists.
    pub fn seen(&self, listed: Result<Arc<Listed>, Problem>) -> Seen {
        let mut troubles = Vec::new();
        let listed = listed.unwrap_or_else(|problem| {
            troubles.push(format!(
                "The store cannot be listed now: {}. Kernels that no node runs are not shown.",
                problem.detail
            ));
            Arc::default()
        });
        let nodes = self.fleet.as_ref().map(|fleet| {
            let (nodes, trouble) = fleet.all();
            if let Some((seconds, why)) = trouble {
                troubles.push(match nodes.is_empty() {
                    true => format!("The cluster's nodes are not known yet: {why}."),
                    false => format!(
                        "The API server has been out of reach for {seconds} s: {why}. This is what was known before."
                    ),
                });
            }
            nodes
        });
        let said = self.inventory.as_ref().map(|inventory| inventory.all());
        let (said, trouble) = said.unwrap_or_default();
        if let Some(why) = trouble {
            troubles.push(format!(
                "What the controller says of the kernels is not known, or of before: {why}."
            ));
        }
        let kernels = model::kernels(&listed, nodes.as_deref(), &said);
        Seen {
            nodes,
            kernels,
            troubles,
        }
    }
}

impl Seen {
    fn page(self, shown: &Shown, place: &str) -> String {
        match shown {
            Shown::NodeTable(query) => {
                let rows = model::nodes(self.nodes.unwrap_or_default());
                let page = table::answer(rows, query, &NodeRow::COLUMNS);
                page::nodes(&page, query, &self.troubles)
            }
            Shown::KernelTable(query) => {
                let page = table::answer(self.kernels, query, &KernelRow::COLUMNS);
                page::kernels(&page, query, &self.troubles)
            }
            _ => {
                let nodes = self.nodes.as_deref().unwrap_or_default();
                let mut states = BTreeMap::new();
                for (_, record) in nodes {
                    *states.entry(record.state.word()).or_default() += 1;
                }
                page::overview(&Overview {
                    store: place.to_owned(),
                    attention: model::attention(nodes, &self.kernels),
                    saved: model::saved(&self.kernels),
                    states: self.nodes.is_some().then_some(states),
                    kernels: self.kernels,
                    troubles: self.troubles,
                })
            }
        }
    }
}

fn json(
    listed: &Listed,
    running: Option<&BTreeMap<BtfDigest, usize>>,
    arch: Option<&Arch>,
    release: Option<&Release>,
) -> Result<Vec<u8>, Problem> {
    let none = BTreeSet::new();
    let mut all: BTreeMap<BtfDigest, &BTreeSet<KernelName>> = listed
        .kernels
        .iter()
        .map(|(btf, names)| (*btf, names))
        .collect();
    let is_whole = arch.is_none() && release.is_none();
    if is_whole {
        // What nodes run is in the store, but perhaps not in what was looked at.
        for btf in running.into_iter().flat_map(BTreeMap::keys) {
            all.entry(*btf).or_insert(&none);
        }
    }
    let fits = |name: &KernelName| {
        arch.is_none_or(|a| a.as_str() == name.arch)
            && release.is_none_or(|r| r.as_str() == name.release)
    };
    let kernels = all
        .into_iter()
        .filter(|(_, names)| is_whole || names.iter().any(fits))
        .map(|(btf, names)| ListedKernel {
            kernel_id: btf.kernel_id().to_string(),
            btf_digest: btf,
            names: names.iter().cloned().collect(),
            nodes: running.map(|r| r.get(&btf).copied().unwrap_or(0)),
        })
        .collect();
    let truncated = listed.truncated;
    // Strings and numbers: nothing that JSON cannot express.
    let list = KernelList { kernels, truncated };
    let mut text = serde_json::to_vec_pretty(&list).expect("a list is always JSON");
    text.push(b'\n');
    Ok(text)
}
