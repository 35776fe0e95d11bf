//! Names of kernels in a store: sha256:…, a kernel id, release/ARCH/RELEASE, a release.

use anyhow::{Result, bail};
use btfleet::artifact::{Arch, BtfDigest, HeaderDigest, Key, Object, Release};
use btfleet::store::{Error, Store};
use futures::stream::TryStreamExt;
use std::collections::BTreeSet;

/// What a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    Kernel(BtfDigest),
    Header(HeaderDigest),
}

/// Fewest digits of a kernel id that are taken for one.
const SHORTEST: usize = 8;

/// Finds the one thing that `name` means in the store; `None` if there is nothing of that name.
///
/// It is an error if it means several.
pub async fn find(store: &dyn Store, name: &str) -> Result<Option<Named>> {
    if name.starts_with("node/") {
        bail!("{name}: a store knows no nodes; name a kernel, as `btfleet nodes` lists them");
    }
    if let Some(rest) = name.strip_prefix("release/") {
        let Some((arch, release)) = rest.split_once('/') else {
            bail!("{name}: the form is release/ARCH/RELEASE");
        };
        let (arch, release): (Arch, Release) = (arch.parse()?, release.parse()?);
        let under = objects(store, &Object::index_of(&arch, &release)).await?;
        let found = under.into_iter().filter_map(|object| match object {
            Object::Index(_, _, btf) => Some(Named::Kernel(btf)),
            _ => None,
        });
        return one(name, found.collect());
    }
    if name.starts_with("sha256:") {
        let btf: BtfDigest = name.parse()?;
        let header: HeaderDigest = name.parse()?;
        let mut found = BTreeSet::new();
        if has_kernel(store, &btf).await? {
            found.insert(Named::Kernel(btf));
        }
        if store.head(&Object::Header(header).key()).await?.is_some() {
            found.insert(Named::Header(header));
        }
        return one(name, found);
    }
    let mut found = BTreeSet::new();
    let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if (SHORTEST..=64).contains(&name.len()) && name.bytes().all(plain) {
        for entry in objects(store, &Key::new(Object::BTF)?).await? {
            if let Object::Btf(btf) = entry
                && btf.hex().starts_with(name)
            {
                found.insert(Named::Kernel(btf));
            }
        }
    }
    if let Ok(release) = name.parse::<Release>() {
        for entry in objects(store, &Key::new(Object::INDEX)?).await? {
            if let Object::Index(_, r, btf) = entry
                && r == release
            {
                found.insert(Named::Kernel(btf));
            }
        }
    }
    one(name, found)
}

/// Likewise, and it is an error if there is nothing.
pub async fn expect(store: &dyn Store, name: &str) -> Result<Named> {
    match find(store, name).await? {
        Some(named) => Ok(named),
        None if store.list(None).try_next().await?.is_none() => bail!(
            "there is nothing in the store {}: publish a kernel first, or name the store with --store",
            store.place()
        ),
        None => bail!("no kernel {name:?} in the store: `btfleet kernels` lists what is there"),
    }
}

fn one(name: &str, found: BTreeSet<Named>) -> Result<Option<Named>> {
    let mut all = found.iter();
    let first = all.next().copied();
    if all.next().is_some() {
        let ids: Vec<String> = found
            .iter()
            .map(|named| match named {
                Named::Kernel(btf) => btf.kernel_id().to_string(),
                Named::Header(header) => format!("{header} (a header)"),
            })
            .collect();
        bail!(
            "{name:?} fits {} kernels: {}; give one of these",
            ids.len(),
            ids.join(", ")
        );
    }
    Ok(first)
}

async fn has_kernel(store: &dyn Store, btf: &BtfDigest) -> Result<bool> {
    let manifests = Object::manifests_of(btf);
    Ok(store.head(&Object::Btf(*btf).key()).await?.is_some()
        || !objects(store, &manifests).await?.is_empty())
}

/// Everything of ours in a folder of the store.
pub async fn objects(store: &dyn Store, folder: &Key) -> Result<Vec<Object>, Error> {
    let ours = store.list(Some(folder));
    ours.try_filter_map(async |entry| Ok(Object::parse(&entry.key)))
        .try_collect()
        .await
}
