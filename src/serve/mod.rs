//! `btfleet serve`: a node's name in, its verified header out.
//!
//! `fleet` knows the nodes, `catalog` the store's names, `blob` the bytes; `answer` is HTTP's rules; `routes` puts
//! them together, and `listen` bounds what a client can cost.

mod answer;
mod blob;
mod browse;
mod cache;
mod catalog;
mod check;
mod fleet;
mod inventory;
mod list;
mod listen;
mod metrics;
mod openapi;
mod page;
mod patient;
mod respond;
mod routes;
mod tls;
mod types;

use crate::cluster::watch::watch;
use crate::ops::{self, Backoff, Probe, Pulse, Shutdown};
use crate::store::Store;
use blob::Blobs;
use catalog::Catalog;
use check::Checks;
use fleet::Fleet;
use inventory::Inventory;
use kube::Client;
use list::{Known, Lists};
use listen::listen;
use routes::App;
use rustls::ServerConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use types::Types;

pub use listen::Limits;
pub use metrics::Metrics;
pub use tls::{Files, TlsError};

/// Where KernelHeaders lie.
const KERNEL_HEADERS: &str = "/apis/btfleet.dev/v1alpha1/kernelheaders";
/// How often health and gauges are brought up to date.
const TICK: Duration = Duration::from_millis(500);

/// What a server is made of.
pub struct Parts {
    /// Where blobs are.
    pub store: Arc<dyn Store>,
    /// Whose nodes are known; none for a store alone.
    pub cluster: Option<Client>,
    /// Bytes of blobs that are kept.
    pub room: u64,
    /// What one client can cost.
    pub limits: Limits,
    /// Certificates as they are now.
    pub tls: Option<tokio::sync::watch::Receiver<Arc<ServerConfig>>>,
    /// What is counted.
    pub metrics: Metrics,
    /// Pauses between tries of the watch.
    pub pause: Backoff,
}

/// Serves until the end.
pub async fn serve(listener: TcpListener, parts: Parts, shutdown: Shutdown) {
    let metrics = parts.metrics;
    let fleet = parts.cluster.is_some();
    let fleet = fleet.then(|| Arc::new(Fleet::new(metrics.clone())));
    let blobs = Blobs::new(parts.store.clone(), parts.room, metrics.clone());
    let inventory = parts.cluster.is_some();
    let inventory = inventory.then(|| Arc::new(Inventory::new(metrics.clone())));
    let app = Arc::new(App {
        fleet: fleet.clone(),
        known: Known {
            fleet: fleet.clone(),
            inventory: inventory.clone(),
        },
        types: Types::new(blobs.clone(), &metrics),
        checks: Checks::new(blobs.clone()),
        blobs: blobs.clone(),
        lists: Lists::new(blobs.held(), parts.store.place(), metrics.clone()),
        catalog: Catalog::new(parts.store, metrics.clone()),
        metrics: metrics.clone(),
    });
    let ready = Probe::failing("it has just begun");
    let live = Pulse::new(Duration::from_secs(30));
    let health = ops::routes(metrics.registry(), live.clone(), ready.clone());
    let all = routes::routes(app).merge(health);
    let limits = parts.limits;
    let listened = listen(listener, parts.tls, all, limits, metrics, shutdown.clone());
    let watched = async {
        match (&parts.cluster, &fleet, &inventory) {
            (Some(client), Some(fleet), Some(inventory)) => {
                let nodes = watch(client, "/api/v1/nodes", parts.pause.clone(), |change| {
                    fleet.take(change)
                });
                let kernels = watch(client, KERNEL_HEADERS, parts.pause, |change| {
                    inventory.take(change)
                });
                tokio::join!(nodes, kernels);
            }
            _ => std::future::pending().await,
        }
    };
    let looked = async {
        loop {
            live.beat(Duration::from_secs(30));
            let current = fleet.as_ref().map_or(Ok(()), |fleet| fleet.is_current());
            ready.set(match shutdown.is_over() {
                true => Err("it ends".to_owned()),
                false => current,
            });
            blobs.measure();
            if let Some(fleet) = &fleet {
                fleet.measure();
            }
            tokio::time::sleep(TICK).await;
        }
    };
    tokio::select! {
        () = listened => {}
        () = watched => {}
        () = looked => {}
    }
}
