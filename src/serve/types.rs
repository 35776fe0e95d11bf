//! Kernels' types, looked up: by prefix, by name, and across kernels. BTF comes from the blobs, checked; what is made of
//! it is kept, and bounded.

use super::blob::{Blobs, Coding, What};
use super::cache::{Cache, Held, Weighed};
use super::metrics::Metrics;
use crate::artifact::BtfDigest;
use crate::btf::{Btf, TypeId};
use crate::consumer::wire::{Kind, Problem};
use crate::relo::diff::{self, Class};
use crate::relo::view::{self, View};
use bytes::Bytes;
use futures::{StreamExt, stream};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Bytes that indexes may take together: that of a kernel of today has 60 KB, and 230 KB of versions.
const ROOM: u64 = 64 << 20;
/// Kernels that are being indexed at a time.
const LOADS: usize = 16;
/// Kernels that one question looks at at a time.
const AT_ONCE: usize = 4;
/// The most types that a search shows.
pub const FOUND: usize = 100;
/// The most users of a type that are shown.
const USERS: usize = 200;

/// The names of a kernel's types, in order.
struct Index(Vec<TypeId>);

impl Weighed for Index {
    fn size(&self) -> u64 {
        4 * self.0.len() as u64
    }
}

/// What each definition of a kernel says, by its class and name.
struct Versions(HashMap<u64, u64>);

impl Weighed for Versions {
    fn size(&self) -> u64 {
        24 * self.0.len() as u64
    }
}

/// A type with a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Its name; bytes that are no UTF-8 are replaced.
    pub name: String,
    /// What it is.
    pub class: Class,
    /// Bytes; 0 for what has none.
    pub size: u64,
}

/// What a search found.
#[derive(Debug, Default)]
pub struct Found {
    /// The first of them.
    pub types: Vec<Named>,
    /// How many there are.
    pub all: usize,
}

/// A type of a kernel, with what its text names and who uses it.
#[derive(Debug)]
pub struct Shown {
    /// Its definitions: most have one; twins have several.
    pub views: Vec<View>,
    /// Class and name of the types that the texts name.
    pub links: HashMap<TypeId, (Class, String)>,
    /// Who uses the first of them.
    pub users: Vec<Named>,
    /// There are more.
    pub more_users: bool,
}

/// The types of the store's kernels.
#[derive(Debug)]
pub struct Types {
    blobs: Arc<Blobs>,
    indexes: Arc<Cache<BtfDigest, Index>>,
    versions: Arc<Cache<BtfDigest, Versions>>,
}

impl Types {
    /// None looked at yet.
    pub fn new(blobs: Arc<Blobs>, metrics: &Metrics) -> Types {
        let held = Held::new(u64::MAX);
        Types {
            blobs,
            indexes: Cache::new(ROOM, LOADS, held.clone(), metrics.clone()),
            versions: Cache::new(ROOM, LOADS, held, metrics.clone()),
        }
    }

    /// Types whose names begin like this; all of them for nothing.
    ///
    /// # Errors
    /// The store's, or the BTF cannot be read.
    pub async fn search(&self, kernel: BtfDigest, prefix: &str) -> Result<Found, Problem> {
        let index = self.index(kernel).await?;
        let prefix = prefix.to_owned();
        self.with(kernel, move |btf| search(btf, &index.0, &prefix))
            .await
    }

    /// A type of a kernel; `None` if the kernel has none of that name.
    ///
    /// # Errors
    /// The store's, or the BTF cannot be read.
    pub async fn show(
        &self,
        kernel: BtfDigest,
        class: Class,
        name: &str,
    ) -> Result<Option<Shown>, Problem> {
        let index = self.index(kernel).await?;
        let name = name.to_owned();
        self.with(kernel, move |btf| show(btf, &index.0, class, &name))
            .await
    }

    /// Which of the kernels have which version of a type: kernels by a number that tells the versions apart, and those
    /// whose BTF was not to be had, with the reason.
    pub async fn across(
        &self,
        kernels: &[BtfDigest],
        class: Class,
        name: &str,
    ) -> (
        BTreeMap<Option<u64>, Vec<BtfDigest>>,
        Vec<(BtfDigest, Problem)>,
    ) {
        let key = key(class, name.as_bytes());
        let mut found: BTreeMap<Option<u64>, Vec<BtfDigest>> = BTreeMap::new();
        let mut failed = Vec::new();
        let look = async |kernel| (kernel, self.versions(kernel).await);
        let mut looks = stream::iter(kernels.to_vec()).map(look).buffered(AT_ONCE);
        while let Some((kernel, versions)) = looks.next().await {
            match versions {
                Ok(versions) => {
                    let version = versions.0.get(&key).copied();
                    found.entry(version).or_default().push(kernel);
                }
                Err(problem) => failed.push((kernel, problem)),
            }
        }
        (found, failed)
    }

    async fn index(&self, kernel: BtfDigest) -> Result<Arc<Index>, Problem> {
        let blobs = self.blobs.clone();
        let load = || async move {
            let bytes = bytes(&blobs, kernel).await?;
            blobs
                .work(move || parsed(&kernel, &bytes, |btf| Index(index(btf))))
                .await?
        };
        self.indexes
            .get(kernel, load)
            .await
            .map_err(|e| (*e).clone())
    }

    async fn versions(&self, kernel: BtfDigest) -> Result<Arc<Versions>, Problem> {
        let blobs = self.blobs.clone();
        let load = || async move {
            let bytes = blobs.btf_once(&kernel).await?;
            let make = move || parsed(&kernel, &bytes, |btf| Versions(versions(btf)));
            blobs.work(make).await?
        };
        self.versions
            .get(kernel, load)
            .await
            .map_err(|e| (*e).clone())
    }

    async fn with<T: Send + 'static>(
        &self,
        kernel: BtfDigest,
        look: impl FnOnce(&Btf<'_>) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let bytes = bytes(&self.blobs, kernel).await?;
        self.blobs
            .work(move || parsed(&kernel, &bytes, look))
            .await?
    }
}

async fn bytes(blobs: &Arc<Blobs>, kernel: BtfDigest) -> Result<Bytes, Problem> {
    let got = blobs.get(&What::Btf(kernel), Coding::Identity, None).await;
    got.map(|blob| blob.bytes.clone()).map_err(|e| (*e).clone())
}

fn parsed<T>(
    kernel: &BtfDigest,
    bytes: &[u8],
    look: impl FnOnce(&Btf<'_>) -> T,
) -> Result<T, Problem> {
    match Btf::parse(bytes) {
        Ok(btf) => Ok(look(&btf)),
        Err(e) => Err(Problem::new(
            Kind::UnreadableBtf,
            format!("BTF {kernel} cannot be read: {e}"),
        )),
    }
}

fn index(btf: &Btf<'_>) -> Vec<TypeId> {
    let kfuncs = diff::kfuncs(btf);
    let mut ids: Vec<TypeId> = btf
        .own_ids()
        .filter(|id| match view::class_of(btf, *id) {
            Some(Class::Kfunc) => kfuncs.contains(id),
            class => class.is_some(),
        })
        .collect();
    ids.sort_by_key(|id| (btf.name(btf.ty(*id).name()), view::class_of(btf, *id), *id));
    ids
}

fn named(btf: &Btf<'_>, id: TypeId) -> Option<Named> {
    let ty = btf.ty(id);
    Some(Named {
        name: String::from_utf8_lossy(btf.name(ty.name())).into_owned(),
        class: view::class_of(btf, id)?,
        size: u64::from(ty.size()),
    })
}

fn search(btf: &Btf<'_>, index: &[TypeId], prefix: &str) -> Found {
    let name = |id: &TypeId| btf.name(btf.ty(*id).name());
    let from = index.partition_point(|id| name(id) < prefix.as_bytes());
    let rest = index.get(from..).unwrap_or_default();
    let len = rest.partition_point(|id| name(id).starts_with(prefix.as_bytes()));
    let all = rest.get(..len).unwrap_or_default();
    Found {
        types: all
            .iter()
            .take(FOUND)
            .filter_map(|id| named(btf, *id))
            .collect(),
        all: all.len(),
    }
}

fn show(btf: &Btf<'_>, index: &[TypeId], class: Class, name: &str) -> Option<Shown> {
    let of = |id: &TypeId| (btf.name(btf.ty(*id).name()), view::class_of(btf, *id));
    let wanted = (name.as_bytes(), Some(class));
    let from = index.partition_point(|id| of(id) < wanted);
    let rest = index.get(from..).unwrap_or_default();
    let ids: Vec<TypeId> = rest
        .iter()
        .copied()
        .take_while(|id| of(id) == wanted)
        .collect();
    let first = *ids.first()?;
    let views: Vec<View> = ids.iter().filter_map(|id| view::view(btf, *id)).collect();
    let mut links = HashMap::new();
    for line in views.iter().flat_map(|v| &v.lines) {
        let spans = match &line.what {
            view::What::Text(spans) | view::What::Member(spans, _) => spans,
            _ => continue,
        };
        for id in spans.iter().filter_map(|span| span.names) {
            if let Some(named) = definition(btf, index, id) {
                links.insert(id, (named.class, named.name));
            }
        }
    }
    let (users, more_users) = view::users(btf, first, USERS);
    let mut users: Vec<Named> = users.into_iter().filter_map(|id| named(btf, id)).collect();
    users.sort();
    users.dedup();
    Some(Shown {
        views,
        links,
        users,
        more_users,
    })
}

/// What a mention leads to: a forward declaration to the definition, if there is one.
fn definition(btf: &Btf<'_>, index: &[TypeId], id: TypeId) -> Option<Named> {
    if let Some(named) = named(btf, id) {
        return Some(named);
    }
    let ty = btf.ty(id);
    let class = match (ty.kind(), ty.kind_flag()) {
        (crate::btf::Kind::Fwd, true) => Class::Union,
        (crate::btf::Kind::Fwd, false) => Class::Struct,
        _ => return None,
    };
    let of = |id: &TypeId| (btf.name(btf.ty(*id).name()), view::class_of(btf, *id));
    let wanted = (btf.name(ty.name()), Some(class));
    let found = index.binary_search_by(|id| of(id).cmp(&wanted)).ok()?;
    named(btf, *index.get(found)?)
}

fn key(class: Class, name: &[u8]) -> u64 {
    let mut hash = DefaultHasher::new();
    (class, name).hash(&mut hash);
    hash.finish()
}

/// Twins of one name count as one version.
fn versions(btf: &Btf<'_>) -> HashMap<u64, u64> {
    let mut all: HashMap<u64, u64> = HashMap::new();
    for ((class, name), version) in diff::versions(btf) {
        let known = all.entry(key(class, &name)).or_default();
        *known = known.wrapping_add(version);
    }
    all
}
