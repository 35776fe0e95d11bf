//! A store that is gone when the test is.

use async_trait::async_trait;
use btfleet::artifact::Key;
use btfleet::store::{Entry, Error, Put, Store};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

type Objects = BTreeMap<String, (Bytes, SystemTime)>;

/// Objects in memory, every call whole or not at all.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: Mutex<Objects>,
}

impl MemoryStore {
    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap()
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn place(&self) -> &str {
        "memory"
    }

    async fn get(&self, key: &Key, limit: u64) -> Result<Option<Bytes>, Error> {
        let got = self.objects().get(key.as_str()).map(|(b, _)| b.clone());
        match got {
            Some(bytes) if bytes.len() as u64 > limit => Err(Error::TooLarge {
                key: key.to_string(),
                size: bytes.len() as u64,
                limit,
            }),
            got => Ok(got),
        }
    }

    async fn head(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let objects = self.objects();
        Ok(objects.get(key.as_str()).map(|(bytes, modified)| Entry {
            key: key.clone(),
            size: bytes.len() as u64,
            modified: Some(*modified),
        }))
    }

    async fn put_if_absent(&self, key: &Key, body: Bytes) -> Result<Put, Error> {
        let mut objects = self.objects();
        if objects.contains_key(key.as_str()) {
            return Ok(Put::Existed);
        }
        objects.insert(key.to_string(), (body, SystemTime::now()));
        Ok(Put::Created)
    }

    async fn put(&self, key: &Key, body: Bytes) -> Result<(), Error> {
        self.objects()
            .insert(key.to_string(), (body, SystemTime::now()));
        Ok(())
    }

    async fn delete(&self, key: &Key) -> Result<(), Error> {
        self.objects().remove(key.as_str());
        Ok(())
    }

    fn list<'a>(&'a self, folder: Option<&Key>) -> BoxStream<'a, Result<Entry, Error>> {
        let folder = folder.map_or("", Key::as_str);
        if !folder.is_empty() && !folder.ends_with('/') {
            let (key, problem) = (folder.to_owned(), "a folder's key ends in a slash");
            return stream::iter([Err(Error::Key { key, problem })]).boxed();
        }
        let objects = self.objects();
        let entries = objects.iter().filter(|(key, _)| key.starts_with(folder));
        let entries: Vec<_> = entries
            .map(|(key, (bytes, modified))| {
                Ok(Entry {
                    key: Key::new(key).unwrap(),
                    size: bytes.len() as u64,
                    modified: Some(*modified),
                })
            })
            .collect();
        stream::iter(entries).boxed()
    }
}
