//! Which kernels a store's keys name. Hints all of them: what is read by a digest is checked against it.

use super::blob::of_store;
use super::cache::{Cache, Held, Weighed};
use super::metrics::Metrics;
use crate::artifact::{Arch, BtfDigest, KernelId, Object, Release};
use crate::consumer::wire::{KernelName, Problem};
use crate::store::{self, Store};
use futures::TryStreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a listing is good for.
const GOOD: Duration = Duration::from_secs(10);
/// The most entries of a folder that are looked at.
const MOST: usize = 20_000;
/// Bytes that listings may take together.
const ROOM: u64 = 16 << 20;
/// Different listings that may be under way.
const LOADS: usize = 16;

/// What is listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Query {
    All,
    Named(Arch, Release),
}

/// Kernels and the names that the index gives them.
#[derive(Debug, Default)]
pub struct Listed {
    /// By BTF digest.
    pub kernels: BTreeMap<BtfDigest, BTreeSet<KernelName>>,
    /// The store holds more than were looked at.
    pub truncated: bool,
}

impl Weighed for Listed {
    fn size(&self) -> u64 {
        let names = self.kernels.values().map(BTreeSet::len).sum::<usize>();
        200 * (self.kernels.len() + names + 1) as u64
    }
}

/// The listings of a store.
#[derive(Debug)]
pub struct Catalog {
    store: Arc<dyn Store>,
    cache: Arc<Cache<(Query, u64), Listed>>,
    began: Instant,
    metrics: Metrics,
}

impl Catalog {
    /// Of a store. Nothing is listed yet.
    pub fn new(store: Arc<dyn Store>, metrics: Metrics) -> Catalog {
        let cache = Cache::new(ROOM, LOADS, Held::new(u64::MAX), metrics.clone());
        Catalog {
            store,
            cache,
            began: Instant::now(),
            metrics,
        }
    }

    /// Every kernel there is.
    ///
    /// # Errors
    /// The store's.
    pub async fn all(&self) -> Result<Arc<Listed>, Problem> {
        self.get(Query::All).await
    }

    /// Those of an arch and release.
    ///
    /// # Errors
    /// The store's.
    pub async fn named(&self, arch: &Arch, release: &Release) -> Result<Arc<Listed>, Problem> {
        self.get(Query::Named(arch.clone(), release.clone())).await
    }

    /// Those of an id: one, unless somebody made a second on purpose.
    ///
    /// # Errors
    /// The store's.
    pub async fn of_id(&self, id: &KernelId) -> Result<BTreeSet<BtfDigest>, Problem> {
        let all = self.all().await?;
        let found = all.kernels.keys().filter(|btf| btf.kernel_id() == *id);
        Ok(found.copied().collect())
    }

    async fn get(&self, query: Query) -> Result<Arc<Listed>, Problem> {
        let now = self.began.elapsed().as_secs() / GOOD.as_secs();
        let (store, metrics) = (self.store.clone(), self.metrics.clone());
        let key = (query.clone(), now);
        let load = || async move {
            let listed = list(&*store, &query).await;
            metrics.read("list", listed.is_ok());
            listed.map_err(|e| {
                tracing::warn!(error = %e, "the store cannot be listed");
                Problem::new(of_store(&e), e.to_string())
            })
        };
        self.cache.get(key, load).await.map_err(|e| (*e).clone())
    }
}

async fn list(store: &dyn Store, query: &Query) -> Result<Listed, store::Error> {
    let mut listed = Listed::default();
    let folders = match query {
        Query::All => vec![Object::btf(), Object::index()],
        Query::Named(arch, release) => vec![Object::index_of(arch, release)],
    };
    for folder in folders {
        let mut entries = store.list(Some(&folder));
        let mut seen = 0;
        while let Some(entry) = entries.try_next().await? {
            if seen == MOST {
                listed.truncated = true;
                break;
            }
            seen += 1;
            match Object::parse(&entry.key) {
                Some(Object::Btf(btf)) => {
                    listed.kernels.entry(btf).or_default();
                }
                Some(Object::Index(arch, release, btf)) => {
                    let name = KernelName {
                        arch: arch.to_string(),
                        release: release.as_str().to_owned(),
                    };
                    listed.kernels.entry(btf).or_default().insert(name);
                }
                _ => {}
            }
        }
    }
    Ok(listed)
}
