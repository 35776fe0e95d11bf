//! Lists as they are sent: written once for all who ask within a second, since a small request may ask for megabytes.

use super::cache::{Cache, Held, Weighed};
use super::catalog::Listed;
use super::fleet::Fleet;
use super::metrics::Metrics;
use super::page;
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
    /// The inventory, for people.
    Page,
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

    /// A list as it was at most a second ago.
    ///
    /// # Errors
    /// There is too much to do.
    pub async fn get(
        &self,
        shown: Shown,
        listed: Arc<Listed>,
        fleet: Option<Arc<Fleet>>,
    ) -> Result<Bytes, Problem> {
        let key = (shown.clone(), self.began.elapsed().as_secs());
        let (held, place) = (self.held.clone(), self.place.clone());
        let write = || async move {
            let written = tokio::task::spawn_blocking(move || match shown {
                Shown::Page => page::inventory(&place, fleet.as_deref(), &listed).into_bytes(),
                Shown::Kernels(arch, release) => {
                    let running = fleet.map(|fleet| fleet.kernels());
                    json(&listed, running.as_ref(), arch.as_ref(), release.as_ref())
                }
            });
            let written = written.await.expect("writing a list does not panic");
            Ok(Written(held.hold(written)))
        };
        let written = self.cache.get(key, write).await;
        written.map(|w| w.0.clone()).map_err(|e| (*e).clone())
    }
}

fn json(
    listed: &Listed,
    running: Option<&BTreeMap<BtfDigest, usize>>,
    arch: Option<&Arch>,
    release: Option<&Release>,
) -> Vec<u8> {
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
    text
}
