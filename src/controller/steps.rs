//! The steps of a collection that touch the store alone, and the undoing of one by a person.

use super::collect::{DEADLINE, Moment, Outcome, Plan, Resume, Seen, Step};
use crate::artifact::{Key, MAX_BLOB, Object, Owner, compressed_limit};
use crate::store::{self, Put, ReadError, Store};
use bytes::Bytes;
use futures::TryStreamExt;
use std::time::Instant;
use tokio::time::timeout;

/// Why a plan broke off.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A manifest could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The API server failed.
    #[cfg(feature = "cluster")]
    #[error(transparent)]
    Api(#[from] crate::cluster::client::Refusal),
    /// A write took too long.
    #[error("{0} did not take effect within {seconds} s", seconds = DEADLINE.as_secs())]
    TooLong(String),
}

impl StepError {
    /// The store's error, if it is one.
    pub fn of_store(&self) -> Option<&store::Error> {
        match self {
            StepError::Store(e) | StepError::Read(ReadError::Store(e)) => Some(e),
            _ => None,
        }
    }
}

/// Takes a step that needs nothing but the store. Any other is none.
pub(super) async fn on_store(store: &dyn Store, step: Step) -> Result<Seen, StepError> {
    match step {
        Step::List(folder) => Ok(Seen::Objects(list(store, &folder).await?)),
        Step::Put(object) => {
            let key = object.key();
            bounded(&key, store.put_if_absent(&key, Bytes::new())).await?;
            Ok(Seen::Done)
        }
        Step::Copy { from, to } => {
            let limit = compressed_limit(MAX_BLOB);
            let key = to.key();
            let copy = async {
                match store.get(&from.key(), limit).await? {
                    Some(body) => store.put_if_absent(&key, body).await.map(Some),
                    None => Ok(None),
                }
            };
            let copied: Option<Put> = bounded(&key, copy).await?;
            Ok(copied.map_or(Seen::Absent, |_| Seen::Done))
        }
        Step::Remove(object) => {
            let key = object.key();
            bounded(&key, store.delete(&key)).await?;
            Ok(Seen::Done)
        }
        _ => Ok(Seen::Nothing),
    }
}

/// The objects of ours in a folder.
pub(super) async fn list(store: &dyn Store, folder: &Key) -> Result<Vec<Object>, StepError> {
    let mut objects = Vec::new();
    let mut entries = store.list(Some(folder));
    while let Some(entry) = entries.try_next().await? {
        objects.extend(Object::parse(&entry.key));
    }
    Ok(objects)
}

/// A write that is given up after [`DEADLINE`].
async fn bounded<T>(
    key: &Key,
    write: impl Future<Output = Result<T, store::Error>>,
) -> Result<T, StepError> {
    match timeout(DEADLINE, write).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(StepError::TooLong(key.to_string())),
    }
}

/// Puts back what a cluster's controller had set aside when it went for good, and drops the copies: other clusters may
/// need what it was about to remove. Gives how many objects were put back. No controller of that cluster may run.
///
/// # Errors
/// The store's; it can be tried again.
pub async fn undo(store: &dyn Store, owner: &Owner) -> Result<usize, StepError> {
    let mut plan = Resume::new(owner.clone());
    let mut seen = Seen::Nothing;
    loop {
        // Nobody else leads that cluster: there is no Lease that could be old.
        let now = Instant::now();
        let at = Moment { now, lease: now };
        seen = match plan.next(seen, at) {
            Step::End(Outcome::Resumed(count)) => return Ok(count),
            Step::End(_) => return Ok(0),
            step => on_store(store, step).await?,
        };
    }
}
