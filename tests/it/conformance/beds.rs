//! The stores that the suite runs over: each test gets one of its own, empty.

use crate::support::stores::{self, Faulty, MemoryStore};
use btfleet::store::{FsStore, Store, open};
use std::any::Any;
use std::sync::Arc;

/// A store, and what keeps it.
pub struct Bed {
    /// The store, with faults on the way where a test wants them.
    pub store: Arc<Faulty>,
    /// The store itself.
    pub plain: Arc<dyn Store>,
    /// Time stands still while nothing happens: a test may wait for minutes.
    pub paused: bool,
    /// The server's conditional writes are two steps, between which others may come.
    pub lax: bool,
    _keep: Box<dyn Any>,
}

impl Bed {
    fn new(plain: Arc<dyn Store>, paused: bool, keep: impl Any) -> Bed {
        Bed {
            store: Arc::new(Faulty::new(plain.clone())),
            plain,
            paused,
            lax: false,
            _keep: Box::new(keep),
        }
    }
}

pub async fn memory() -> Bed {
    tokio::time::pause();
    Bed::new(Arc::new(MemoryStore::default()), true, ())
}

pub async fn folder() -> Bed {
    tokio::time::pause();
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("store").display().to_string();
    let store = Arc::new(FsStore::open(&place).unwrap());
    Bed::new(store, true, dir)
}

pub async fn versitygw() -> Bed {
    at(&stores::versitygw().url()).await
}

pub async fn s3s() -> Bed {
    let mut bed = at(&stores::s3s().url()).await;
    bed.lax = true;
    bed
}

/// One server for all tests; each has a prefix of its own.
async fn at(url: &str) -> Bed {
    let store = open(&stores::new_place(), &stores::options(url)).await;
    Bed::new(store.unwrap(), false, ())
}

/// Runs a case over a new store.
pub fn run(make: impl AsyncFnOnce() -> Bed, case: impl AsyncFnOnce(&Bed)) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async {
        let bed = make().await;
        case(&bed).await;
    });
}
