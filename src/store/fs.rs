//! A local folder as a [`Store`].

use super::folder::Folder;
use super::{Entry, Error, Put, Store};
use crate::artifact::Key;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use std::time::Duration;

/// A store in a local folder. Its work is done where no other waits for the disk.
#[derive(Debug, Clone)]
pub struct FsStore {
    folder: Folder,
    place: String,
}

impl FsStore {
    /// The store at `file:///DIR`, `file://DIR` or plain `DIR`. Nothing is created before the first write.
    ///
    /// # Errors
    /// The place is empty, of another scheme, or something other than a folder.
    pub fn open(place: &str) -> Result<FsStore, Error> {
        let folder = Folder::open(place)?;
        let place = folder.root().display().to_string();
        Ok(FsStore { folder, place })
    }

    /// Runs to its end even if nobody waits for it any more: a write is never cut in the middle.
    async fn run<T: Send + 'static>(
        &self,
        key: &Key,
        f: impl FnOnce(&Folder, &Key) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let key = key.clone();
        self.work(move |folder| f(folder, &key)).await
    }

    async fn work<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Folder) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let folder = self.folder.clone();
        let task = tokio::task::spawn_blocking(move || f(&folder));
        // Nothing cancels it, and it does not panic.
        task.await.expect("work on a folder ends")
    }
}

#[async_trait]
impl Store for FsStore {
    fn place(&self) -> &str {
        &self.place
    }

    async fn get(&self, key: &Key, limit: u64) -> Result<Option<Bytes>, Error> {
        let got = self.run(key, move |folder, key| folder.get(key, limit));
        Ok(got.await?.map(Bytes::from))
    }

    async fn head(&self, key: &Key) -> Result<Option<Entry>, Error> {
        self.run(key, Folder::head).await
    }

    async fn put_if_absent(&self, key: &Key, body: Bytes) -> Result<Put, Error> {
        self.run(key, move |folder, key| folder.put_if_absent(key, &body))
            .await
    }

    async fn put(&self, key: &Key, body: Bytes) -> Result<(), Error> {
        self.run(key, move |folder, key| folder.put(key, &body))
            .await
    }

    async fn delete(&self, key: &Key) -> Result<(), Error> {
        self.run(key, Folder::delete).await.map(|_| ())
    }

    fn list<'a>(&'a self, under: Option<&Key>) -> BoxStream<'a, Result<Entry, Error>> {
        let under = under.cloned();
        let listed = async move {
            let entries = self.work(move |folder| folder.list(under.as_ref())).await?;
            Ok::<_, Error>(stream::iter(entries.into_iter().map(Ok)))
        };
        stream::once(listed).try_flatten().boxed()
    }

    async fn tidy(&self, age: Duration) -> Result<(), Error> {
        self.work(move |folder| folder.remove_leftovers(age).map(|_| ()))
            .await
    }
}
