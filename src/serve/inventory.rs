//! What the controller says of the cluster's kernels, kept by a watch: their releases, sizes and verification.

use super::metrics::Metrics;
use crate::artifact::{BtfDigest, KernelId};
use crate::cluster::watch::Change;
use crate::cluster::{KernelHeader, KernelHeaderStatus};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};

/// The cluster's KernelHeaders.
#[derive(Debug)]
pub struct Inventory {
    inner: RwLock<Inner>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Inner {
    kernels: BTreeMap<KernelId, (BtfDigest, KernelHeaderStatus)>,
    /// Of those, which were told since a listing began.
    told: BTreeSet<KernelId>,
    is_known: bool,
    trouble: Option<String>,
}

impl Inventory {
    /// None known yet.
    pub fn new(metrics: Metrics) -> Inventory {
        let inner = RwLock::default();
        Inventory { inner, metrics }
    }

    /// Takes what a watch tells.
    pub fn take(&self, change: Change<KernelHeader>) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let of = |object: &KernelHeader| object.spec.btf_digest.parse::<BtfDigest>().ok();
        match change {
            Change::Listing => inner.told.clear(),
            Change::Is(object) => {
                inner.trouble = None;
                if let Some(btf) = of(&object) {
                    let status = object.status.unwrap_or_default();
                    inner.told.insert(btf.kernel_id());
                    inner.kernels.insert(btf.kernel_id(), (btf, status));
                }
            }
            Change::Gone(object) => {
                inner.trouble = None;
                if let Some(btf) = of(&object) {
                    inner.kernels.remove(&btf.kernel_id());
                }
            }
            Change::Listed => {
                let told = std::mem::take(&mut inner.told);
                inner.kernels.retain(|id, _| told.contains(id));
                inner.trouble = None;
                inner.is_known = true;
            }
            Change::Trouble(why) => {
                self.metrics.watch_trouble();
                tracing::warn!(
                    trouble = why,
                    "the watch of KernelHeaders goes on after a pause"
                );
                inner.trouble = Some(why);
            }
        }
    }

    /// All of them; and why they may be of before, or not be known at all.
    pub fn all(
        &self,
    ) -> (
        BTreeMap<KernelId, (BtfDigest, KernelHeaderStatus)>,
        Option<String>,
    ) {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let trouble = match (&inner.trouble, inner.is_known) {
            (Some(why), _) => Some(why.clone()),
            (None, false) => Some("KernelHeaders are not listed yet".to_owned()),
            (None, true) => None,
        };
        (inner.kernels.clone(), trouble)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(bytes: &[u8]) -> KernelHeader {
        KernelHeader::of(&BtfDigest::of(bytes))
    }

    #[test]
    fn a_kernel_that_a_new_listing_does_not_tell_of_is_gone() {
        let inventory = Inventory::new(Metrics::new().unwrap());
        assert!(inventory.all().1.is_some(), "nothing is known yet");
        inventory.take(Change::Listing);
        inventory.take(Change::Is(object(b"a")));
        inventory.take(Change::Is(object(b"b")));
        inventory.take(Change::Listed);
        assert_eq!(inventory.all().0.len(), 2);
        inventory.take(Change::Trouble("cut".to_owned()));
        assert_eq!(inventory.all().1.as_deref(), Some("cut"));
        inventory.take(Change::Listing);
        inventory.take(Change::Is(object(b"b")));
        assert_eq!(inventory.all().0.len(), 2, "the last data while it lists");
        inventory.take(Change::Listed);
        let (all, trouble) = inventory.all();
        let left: Vec<_> = all.values().map(|(btf, _)| *btf).collect();
        assert_eq!((left, trouble), (vec![BtfDigest::of(b"b")], None));
    }
}
