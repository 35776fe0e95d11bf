//! What can be said of a store before anything is tried in it, and after.

#[cfg(feature = "s3")]
use super::check::Outcome;
use super::check::{Check, Finding};
use crate::cli;
use anyhow::Result;
#[cfg(feature = "s3")]
use btfleet::store::S3Counts;
use btfleet::store::Store;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A store to be tried.
pub struct Opened {
    pub store: Arc<dyn Store>,
    kind: Kind,
}

enum Kind {
    Folder {
        root: PathBuf,
        /// It was not there, and is to be gone again.
        is_new: bool,
    },
    #[cfg(feature = "s3")]
    S3 {
        store: Arc<btfleet::store::S3Store>,
        counts: Arc<S3Counts>,
    },
}

pub async fn open(args: &cli::Store) -> Result<Opened> {
    let options = crate::command::s3_options(args);
    #[cfg(feature = "s3")]
    if args.place().starts_with("s3://") {
        let store = btfleet::store::S3Store::open(args.place(), &options).await?;
        let store = Arc::new(store);
        return Ok(Opened {
            store: store.clone(),
            kind: Kind::S3 {
                store,
                counts: options.counts,
            },
        });
    }
    let store = btfleet::store::open(args.place(), &options).await?;
    let root = PathBuf::from(store.place());
    let is_new = !root.exists();
    Ok(Opened {
        store,
        kind: Kind::Folder { root, is_new },
    })
}

/// More than a kernel's BTF and header need.
const ROOM: u64 = 64 << 20;
/// Seconds of clock difference that are worth a word; S3 refuses 900.
#[cfg(feature = "s3")]
const APART: u64 = 60;

impl Opened {
    pub fn is_s3(&self) -> bool {
        !matches!(self.kind, Kind::Folder { .. })
    }

    /// The store and, where it is one, the server.
    pub fn title(&self) -> String {
        let place = self.store.place();
        match &self.kind {
            Kind::Folder { is_new: true, .. } => {
                format!("{place} (a folder that is not there yet)")
            }
            Kind::Folder { .. } => format!("{place} (a folder)"),
            #[cfg(feature = "s3")]
            Kind::S3 { store, .. } => {
                let server = store.server().unwrap_or_else(|| "unnamed server".into());
                format!(
                    "{place} at {} ({server})",
                    store.endpoint().unwrap_or("AWS")
                )
            }
        }
    }

    /// What is known without probing, once there was an answer.
    pub fn findings(&self) -> Vec<Finding> {
        match &self.kind {
            Kind::Folder { root, .. } => room(root).into_iter().collect(),
            #[cfg(feature = "s3")]
            Kind::S3 { store, .. } => {
                let source = store.credentials_source().unwrap_or("nowhere");
                let tls = match store
                    .endpoint()
                    .is_some_and(|url| url.starts_with("http://"))
                {
                    true => Finding::new(Check::Tls, Outcome::Doubtful, "plain http://"),
                    false => Finding::ok(Check::Tls, "https://, and its certificate is trusted"),
                };
                let clock = store.clock_ahead().map(|ahead| {
                    let detail = format!("the server's is {ahead} s ahead of this machine's");
                    match ahead.unsigned_abs() <= APART {
                        true => Finding::ok(Check::Clock, detail),
                        false => Finding::new(Check::Clock, Outcome::Doubtful, detail),
                    }
                });
                let credentials = Finding::ok(Check::Credentials, format!("from {source}"));
                [Some(credentials), Some(tls), clock]
                    .into_iter()
                    .flatten()
                    .collect()
            }
        }
    }

    /// The server was found not to know conditional writes, or to ignore the condition.
    pub fn is_unconditional(&self) -> bool {
        match &self.kind {
            Kind::Folder { .. } => false,
            #[cfg(feature = "s3")]
            Kind::S3 { store, .. } => store.is_unconditional(),
        }
    }

    /// Requests sent and sent again.
    pub fn requests(&self) -> Option<(u64, u64)> {
        match &self.kind {
            Kind::Folder { .. } => None,
            #[cfg(feature = "s3")]
            Kind::S3 { counts, .. } => Some((counts.requests(), counts.retries())),
        }
    }

    /// Removes the folders that probing made. Those that are not empty stay, as the system sees to.
    pub fn tidy(&self) {
        #[allow(irrefutable_let_patterns)]
        let Kind::Folder { root, is_new } = &self.kind else {
            return;
        };
        let probes = root.join(super::probe::FOLDER);
        for entry in std::fs::read_dir(&probes).into_iter().flatten().flatten() {
            let _ = std::fs::remove_dir(entry.path());
        }
        let _ = std::fs::remove_dir(probes);
        if *is_new {
            let _ = std::fs::remove_dir(root);
        }
    }
}

/// What is free for this user on the folder's file system.
fn room(root: &Path) -> Option<Finding> {
    let there = root.ancestors().find(|p| p.exists());
    let there = there.filter(|p| !p.as_os_str().is_empty());
    let stat = rustix::fs::statvfs(there.unwrap_or(Path::new("."))).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let detail = format!("{} MiB free", free >> 20);
    Some(match free >= ROOM {
        true => Finding::ok(Check::Room, detail),
        false => Finding::lacking(Check::Room, detail),
    })
}
