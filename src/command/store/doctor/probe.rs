//! Tries everything that a role does, with objects of its own.

use super::check::{Check, Finding, Outcome};
use super::place::Opened;
use anyhow::{Result, bail};
use btfleet::artifact::Key;
use btfleet::store::{Error, Put, Store};
use bytes::Bytes;
use futures::stream::TryStreamExt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Instant;

/// Where probes lie. Nothing of ours does.
pub const FOLDER: &str = "doctor";
/// As large as a large kernel's BTF is, compressed.
const LARGE: usize = 8 << 20;

/// What came of it, and the probes that could not be removed.
pub struct Probed {
    pub findings: Vec<Finding>,
    pub leftovers: Vec<String>,
}

struct Probe<'a> {
    opened: &'a Opened,
    store: &'a dyn Store,
    /// This run's own, so that two at once do not meet.
    folder: String,
    written: Vec<Key>,
    findings: Vec<Finding>,
}

/// Probes a store, and removes what it wrote, whatever happened.
///
/// # Errors
/// The store cannot be used at all, or went away.
pub async fn probe(opened: &Opened) -> Result<Probed> {
    // Chance from the standard library's hash keys: enough to be alone.
    let run = RandomState::new().build_hasher().finish();
    let mut probe = Probe {
        opened,
        store: &*opened.store,
        folder: format!("{FOLDER}/{run:016x}/"),
        written: Vec::new(),
        findings: Vec::new(),
    };
    let done = probe.run().await;
    let mut leftovers = Vec::new();
    for key in std::mem::take(&mut probe.written) {
        if probe.store.delete(&key).await.is_err() {
            leftovers.push(key.to_string());
        }
    }
    match done {
        Ok(()) => Ok(Probed {
            findings: probe.findings,
            leftovers,
        }),
        Err(e) if leftovers.is_empty() => Err(e),
        Err(e) => bail!("{e}; left behind: {}", leftovers.join(", ")),
    }
}

impl Probe<'_> {
    async fn run(&mut self) -> Result<()> {
        let seen = self.absent().await?;
        let listed = self.list().await?;
        let object = self.key("object")?;
        if self.write_if_absent(&object).await? {
            self.read(&object, b"first").await?;
            if listed {
                self.list_after_write(&object).await?;
            }
            self.write_again(&object).await?;
            self.odd_key(listed).await?;
            self.large().await?;
        } else {
            self.read_any(seen && listed).await?;
        }
        if self.overwrite(&object).await? {
            self.delete(&object).await?;
        } else {
            self.delete_something().await?;
        }
        Ok(())
    }

    fn key(&self, name: &str) -> Result<Key> {
        Ok(Key::new(&format!("{}{name}", self.folder))?)
    }

    fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// What a call gave; `None` where it failed for a reason that is a finding. A store that is away, or
    /// cannot be used at all, is none.
    fn took<T>(&mut self, check: Check, done: Result<T, Error>) -> Result<Option<T>> {
        match done {
            Ok(done) => Ok(Some(done)),
            Err(e) if e.is_transient() => Err(e.into()),
            Err(e) => {
                self.found(Finding::lacking(check, e.to_string()));
                Ok(None)
            }
        }
    }

    /// The first request: what is wrong with the whole of it is an error of its own.
    async fn absent(&mut self) -> Result<bool> {
        let key = self.key("absent")?;
        match self.store.get(&key, 1).await {
            Ok(None) => {
                // A HEAD is answered by other rules in some servers and proxies.
                let head = self.store.head(&key).await;
                if let Some(seen) = self.took(Check::Absent, head)? {
                    self.found(match seen {
                        None => Finding::ok(Check::Absent, "an absent object is said to be absent"),
                        Some(_) => Finding::lacking(
                            Check::Absent,
                            "HEAD finds an object that is not there",
                        ),
                    });
                }
                Ok(true)
            }
            Ok(Some(_)) => {
                self.found(Finding::lacking(
                    Check::Absent,
                    "GET finds an object that is not there",
                ));
                Ok(true)
            }
            Err(e) if e.is_denied() => {
                self.found(Finding::lacking(Check::Absent, e.to_string()));
                Ok(false)
            }
            Err(e) => Err(e.into()),
        }
    }

    async fn keys(&self) -> Result<Vec<Key>, Error> {
        let folder = Key::new(&self.folder).ok();
        let entries = self.store.list(folder.as_ref()).map_ok(|e| e.key);
        entries.try_collect().await
    }

    async fn list(&mut self) -> Result<bool> {
        let keys = self.keys().await;
        let listed = self.took(Check::List, keys)?;
        if listed.is_some() {
            self.found(Finding::ok(Check::List, "allowed"));
        }
        Ok(listed.is_some())
    }

    async fn write_if_absent(&mut self, key: &Key) -> Result<bool> {
        // Before it is written: an answer may be lost.
        self.written.push(key.clone());
        let put = self.store.put_if_absent(key, Bytes::from_static(b"first"));
        let put = put.await;
        let put = self.took(Check::PutIfAbsent, put)?;
        match put {
            None => {
                self.written.clear();
                let last = [
                    Check::Conditions,
                    Check::ListAfterWrite,
                    Check::Keys,
                    Check::Large,
                ];
                for check in last {
                    self.found(Finding::new(
                        check,
                        Outcome::Untried,
                        "nothing could be written",
                    ));
                }
                return Ok(false);
            }
            Some(Put::Created) => self.found(Finding::ok(Check::PutIfAbsent, "allowed")),
            Some(Put::Existed) => self.found(Finding::lacking(
                Check::PutIfAbsent,
                "a new object is said to have been there",
            )),
        }
        Ok(true)
    }

    async fn read(&mut self, key: &Key, want: &[u8]) -> Result<()> {
        let got = self.store.get(key, 64).await;
        let head = self.store.head(key).await;
        let Some(got) = self.took(Check::Read, got)? else {
            return Ok(());
        };
        let Some(head) = self.took(Check::Read, head)? else {
            return Ok(());
        };
        self.found(Finding::ok(Check::Read, "allowed"));
        let is_right =
            got.is_some_and(|b| b == want) && head.is_some_and(|e| e.size == want.len() as u64);
        if !is_right {
            self.found(Finding::lacking(
                Check::ReadAfterWrite,
                "what was just written is not what is read",
            ));
        }
        Ok(())
    }

    /// Who may not write can still read something that is there.
    async fn read_any(&mut self, can_find: bool) -> Result<()> {
        let untried = |why| Finding::new(Check::Read, Outcome::Untried, why);
        if !can_find {
            self.found(untried("nothing could be written, and nothing found"));
            return Ok(());
        }
        let first = self.store.list(None).try_next().await;
        let Some(first) = self.took(Check::List, first)? else {
            return Ok(());
        };
        let Some(first) = first else {
            self.found(untried("the store is empty, and nothing could be written"));
            return Ok(());
        };
        let got = self.store.get(&first.key, first.size).await;
        if self.took(Check::Read, got)?.is_some() {
            self.found(Finding::ok(Check::Read, "allowed"));
        }
        Ok(())
    }

    async fn list_after_write(&mut self, key: &Key) -> Result<()> {
        let keys = self.keys().await;
        if let Some(keys) = self.took(Check::ListAfterWrite, keys)? {
            self.found(match keys.contains(key) {
                true => Finding::ok(Check::ListAfterWrite, "a new object is listed at once"),
                false => {
                    Finding::lacking(Check::ListAfterWrite, "a new object is not listed at once")
                }
            });
        }
        Ok(())
    }

    async fn write_again(&mut self, key: &Key) -> Result<()> {
        let put = self
            .store
            .put_if_absent(key, Bytes::from_static(b"other"))
            .await;
        let Some(put) = self.took(Check::Conditions, put)? else {
            return Ok(());
        };
        let got = self.store.get(key, 64).await;
        let Some(got) = self.took(Check::Conditions, got)? else {
            return Ok(());
        };
        let is_kept = put == Put::Existed && got.is_some_and(|b| &b[..] == b"first");
        let doubtful = |what| Finding::new(Check::Conditions, Outcome::Doubtful, what);
        self.found(match (self.opened.is_unconditional(), is_kept) {
            (false, true) => Finding::ok(
                Check::Conditions,
                "an object that is there is not written over",
            ),
            (true, true) => doubtful("If-None-Match is not implemented there"),
            (_, false) => doubtful("If-None-Match is ignored there"),
        });
        Ok(())
    }

    /// Releases such as `6.1+deb~rc1` are percent-encoded in keys, and must stay so.
    async fn odd_key(&mut self, can_list: bool) -> Result<()> {
        let key = self.key("a%2Bb%7E1")?;
        self.written.push(key.clone());
        let put = self.store.put_if_absent(&key, Bytes::new()).await;
        if self.took(Check::Keys, put)?.is_none() || !can_list {
            return Ok(());
        }
        let keys = self.keys().await;
        if let Some(keys) = self.took(Check::Keys, keys)? {
            self.found(match keys.contains(&key) {
                true => Finding::ok(Check::Keys, "a key with % in it is listed as written"),
                false => Finding::lacking(
                    Check::Keys,
                    "a key with % in it is listed as something else",
                ),
            });
        }
        Ok(())
    }

    async fn large(&mut self) -> Result<()> {
        let key = self.key("large")?;
        // Nothing that anybody on the way could compress.
        let mut n = 1u32;
        let body: Bytes = std::iter::repeat_with(|| {
            n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (n >> 24) as u8
        })
        .take(LARGE)
        .collect();
        self.written.push(key.clone());
        let began = Instant::now();
        let put = self.store.put_if_absent(&key, body.clone()).await;
        if self.took(Check::Large, put)?.is_none() {
            return Ok(());
        }
        let up = began.elapsed();
        let got = self.store.get(&key, LARGE as u64).await;
        let down = began.elapsed().saturating_sub(up);
        if let Some(got) = self.took(Check::Large, got)? {
            let detail = format!(
                "8 MiB up in {} ms, down in {} ms",
                up.as_millis(),
                down.as_millis()
            );
            self.found(match got.is_some_and(|b| b == body) {
                true => Finding::ok(Check::Large, detail),
                false => Finding::lacking(Check::Large, "8 MiB come back changed"),
            });
        }
        Ok(())
    }

    async fn overwrite(&mut self, key: &Key) -> Result<bool> {
        let put = self.store.put(key, Bytes::from_static(b"third")).await;
        if self.took(Check::Put, put)?.is_none() {
            return Ok(!self.written.is_empty());
        }
        if !self.written.contains(key) {
            self.written.push(key.clone());
        }
        self.found(Finding::ok(Check::Put, "allowed"));
        if self
            .findings
            .iter()
            .any(|f| f.check == Check::ReadAfterWrite)
        {
            return Ok(true);
        }
        if let Ok(got) = self.store.get(key, 64).await {
            self.found(match got.is_some_and(|b| &b[..] == b"third") {
                true => Finding::ok(Check::ReadAfterWrite, "what was just written is read"),
                false => Finding::lacking(
                    Check::ReadAfterWrite,
                    "what was just overwritten is read as before",
                ),
            });
        }
        Ok(true)
    }

    async fn delete(&mut self, key: &Key) -> Result<()> {
        let deleted = self.store.delete(key).await;
        if self.took(Check::Delete, deleted)?.is_some() {
            let head = self.store.head(key).await;
            if let Some(head) = self.took(Check::Delete, head)? {
                self.found(match head {
                    None => Finding::ok(Check::Delete, "allowed"),
                    Some(_) => Finding::lacking(Check::Delete, "what was removed is there still"),
                });
            }
        }
        Ok(())
    }

    /// To remove what is not there is allowed or not all the same.
    async fn delete_something(&mut self) -> Result<()> {
        let key = self.key("absent")?;
        let deleted = self.store.delete(&key).await;
        if self.took(Check::Delete, deleted)?.is_some() {
            self.found(Finding::ok(
                Check::Delete,
                "allowed, though there was nothing to remove",
            ));
        }
        Ok(())
    }
}
