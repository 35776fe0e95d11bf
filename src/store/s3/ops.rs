//! The calls of a [`Store`], as requests.

use super::S3Store;
use super::error::{Attempt, deepest, failure};
use crate::artifact::Key;
use crate::store::{Entry, Error, Put, Store};
use async_trait::async_trait;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};
use tokio::time::{sleep, timeout};

/// How often a conditional write that met another is tried.
const CONFLICTS: u32 = 5;

#[async_trait]
impl Store for S3Store {
    fn place(&self) -> &str {
        &self.place.text
    }

    async fn get(&self, key: &Key, limit: u64) -> Result<Option<Bytes>, Error> {
        let attempt = self.attempt("read", key.as_str());
        let read = self.read(key, limit, attempt);
        timeout(self.call_timeout, read)
            .await
            .unwrap_or_else(|_| Err(attempt.too_slow()))
    }

    async fn head(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let request = self.client.head_object();
        let request = request.bucket(&self.place.bucket).key(self.place.name(key));
        match request.send().await {
            Ok(head) => {
                self.present.add(key);
                Ok(Some(Entry {
                    key: key.clone(),
                    size: size(head.content_length),
                    modified: time(head.last_modified),
                }))
            }
            Err(e) if absent(&e) => Ok(None),
            Err(e) => Err(self.why_no_head(key, &e).await),
        }
    }

    async fn put_if_absent(&self, key: &Key, body: Bytes) -> Result<Put, Error> {
        for conflicts in 0..CONFLICTS {
            if conflicts > 0 {
                sleep(self.pause(conflicts)).await;
            }
            let look_first = conflicts > 0 || self.unconditional.load(Ordering::Relaxed);
            if look_first && self.head(key).await?.is_some() {
                return Ok(Put::Existed);
            }
            let is_conditional = !self.unconditional.load(Ordering::Relaxed);
            let was_there = self.present.has(key);
            let e = match self.write(key, body.clone(), is_conditional).await {
                Ok(()) if is_conditional && was_there => return self.is_ignored(key, body).await,
                Ok(()) => {
                    self.present.add(key);
                    return Ok(Put::Created);
                }
                Err(e) => e,
            };
            let seen = failure(&e);
            match (seen.code, seen.status) {
                (_, Some(412)) => {
                    self.present.add(key);
                    return Ok(Put::Existed);
                }
                (_, Some(409)) => continue,
                ("NotImplemented", _) | (_, Some(501)) if is_conditional => {
                    self.unconditional.store(true, Ordering::Relaxed);
                }
                _ => return Err(self.attempt("write", key.as_str()).failed(&e)),
            }
        }
        let attempt = self.attempt("write", key.as_str());
        Err(attempt.away("others are writing it at the same time", None))
    }

    async fn put(&self, key: &Key, body: Bytes) -> Result<(), Error> {
        match self.write(key, body, false).await {
            Ok(()) => {
                self.present.add(key);
                Ok(())
            }
            Err(e) => Err(self.attempt("write", key.as_str()).failed(&e)),
        }
    }

    async fn delete(&self, key: &Key) -> Result<(), Error> {
        // Before the request: an answer may be lost.
        self.present.remove(key);
        let request = self.client.delete_object();
        let request = request.bucket(&self.place.bucket).key(self.place.name(key));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(e) if absent(&e) => Ok(()),
            Err(e) => Err(self.attempt("remove", key.as_str()).failed(&e)),
        }
    }

    fn list<'a>(&'a self, folder: Option<&Key>) -> BoxStream<'a, Result<Entry, Error>> {
        let folder = folder.map_or("", Key::as_str).to_owned();
        if !folder.is_empty() && !folder.ends_with('/') {
            let (key, problem) = (folder, "a folder's key ends in a slash");
            return stream::iter([Err(Error::Key { key, problem })]).boxed();
        }
        let pages = stream::try_unfold(Next::First, move |next| {
            let folder = folder.clone();
            async move { self.page(&folder, next).await }
        });
        pages
            .map_ok(|page| stream::iter(page.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }
}

/// Which page of a listing comes next.
enum Next {
    First,
    After(String),
    Done,
}

impl S3Store {
    fn attempt<'a>(&'a self, verb: &'static str, key: &'a str) -> Attempt<'a> {
        Attempt {
            place: &self.place,
            endpoint: self.endpoint.as_deref(),
            verb,
            key,
        }
    }

    /// A body that is cut short is asked for again, as the SDK does with everything before it.
    async fn read(
        &self,
        key: &Key,
        limit: u64,
        tried: Attempt<'_>,
    ) -> Result<Option<Bytes>, Error> {
        let mut attempts = 1;
        loop {
            let request = self.client.get_object();
            let request = request.bucket(&self.place.bucket).key(self.place.name(key));
            let answer = match request.send().await {
                Ok(answer) => answer,
                Err(e) if absent(&e) => return Ok(None),
                Err(e) => return Err(tried.failed(&e)),
            };
            match self.body(key, limit, answer, tried).await {
                Err(e) if e.is_transient() && attempts < self.attempts => {
                    sleep(self.pause(attempts)).await;
                    attempts += 1;
                }
                done => return done.map(Some),
            }
        }
    }

    /// At most `limit` bytes, whatever the server said of the length.
    async fn body(
        &self,
        key: &Key,
        limit: u64,
        answer: GetObjectOutput,
        tried: Attempt<'_>,
    ) -> Result<Bytes, Error> {
        let too_large = |size| Error::TooLarge {
            key: key.to_string(),
            size,
            limit,
        };
        let told = size(answer.content_length);
        if told > limit {
            return Err(too_large(told));
        }
        // What is told may be a lie: memory is taken as bytes come.
        let mut body = answer.body;
        let mut bytes = BytesMut::new();
        loop {
            let chunk = timeout(self.read_timeout, body.next()).await;
            match chunk.map_err(|_| tried.too_slow())? {
                None => return Ok(bytes.freeze()),
                Some(Err(e)) => {
                    let problem = format!("the body was cut off: {}", deepest(&e));
                    return Err(tried.away(problem, None));
                }
                Some(Ok(chunk)) => {
                    let size = bytes.len() as u64 + chunk.len() as u64;
                    if size > limit {
                        return Err(too_large(size));
                    }
                    bytes.extend_from_slice(&chunk);
                }
            }
        }
    }

    /// The answer to a HEAD has no body that could say why: a GET's has.
    async fn why_no_head(&self, key: &Key, e: &SdkError<HeadObjectError, HttpResponse>) -> Error {
        let tried = self.attempt("look at", key.as_str());
        let seen = failure(e);
        if seen.status.is_some_and(|s| (400..500).contains(&s)) && seen.code.is_empty() {
            let request = self.client.get_object();
            let request = request.bucket(&self.place.bucket).key(self.place.name(key));
            if let Err(told) = request.range("bytes=0-0").send().await
                && !failure(&told).code.is_empty()
                && !absent(&told)
            {
                return tried.failed(&told);
            }
        }
        tried.failed(e)
    }

    async fn write(
        &self,
        key: &Key,
        body: Bytes,
        is_conditional: bool,
    ) -> Result<(), SdkError<PutObjectError, HttpResponse>> {
        let request = self.client.put_object();
        let request = request.bucket(&self.place.bucket).key(self.place.name(key));
        let request = request.set_if_none_match(is_conditional.then(|| "*".to_owned()));
        let sent = request.body(ByteStream::from(body)).send().await;
        sent.map(|_| ())
    }

    /// The condition was met over an object that was there a moment ago. Either somebody removed it, or the
    /// server takes no notice of conditions: one more write tells, as the object is there now for certain.
    async fn is_ignored(&self, key: &Key, body: Bytes) -> Result<Put, Error> {
        match self.write(key, body, true).await {
            Ok(()) => {
                self.unconditional.store(true, Ordering::Relaxed);
                Ok(Put::Existed)
            }
            Err(e) if failure(&e).status == Some(412) => Ok(Put::Created),
            Err(e) => Err(self.attempt("write", key.as_str()).failed(&e)),
        }
    }

    async fn page(&self, folder: &str, next: Next) -> Result<Option<(Vec<Entry>, Next)>, Error> {
        let token = match next {
            Next::First => None,
            Next::After(token) => Some(token),
            Next::Done => return Ok(None),
        };
        let tried = self.attempt("list", folder);
        let request = self.client.list_objects_v2();
        let request = request.bucket(&self.place.bucket);
        let request = request.prefix(format!("{}{folder}", self.place.prefix));
        let request = request.set_continuation_token(token.clone());
        let page = request.send().await.map_err(|e| tried.failed(&e))?;
        let entries = page.contents().iter().filter_map(|object| {
            let key = self.place.key(object.key()?)?;
            // A server that takes no notice of the prefix shows other folders too.
            key.as_str().starts_with(folder).then_some(Entry {
                key,
                size: size(object.size),
                modified: time(object.last_modified),
            })
        });
        let entries = entries.collect();
        let next = match (page.is_truncated(), page.next_continuation_token) {
            (Some(true), Some(more)) if Some(&more) != token.as_ref() => Next::After(more),
            (Some(true), _) => {
                return Err(tried.refused(
                    "the list is said to go on, and there is no telling where",
                    "The server does not do as S3 does: is it up to date?",
                ));
            }
            _ => Next::Done,
        };
        Ok(Some((entries, next)))
    }

    /// With jitter, so that those who met do not meet again.
    fn pause(&self, attempts: u32) -> Duration {
        let jitter = RandomState::new().build_hasher().finish() % 100;
        let most = 100 << attempts.min(6);
        Duration::from_millis(most / 2 + most * jitter / 200)
    }
}

/// 404, of an object: a missing bucket has another code, and so has an unknown user in some servers. A HEAD
/// has none, and nothing else to tell them by.
fn absent<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let seen = failure(error);
    seen.status == Some(404) && matches!(seen.code, "" | "NoSuchKey" | "NotFound")
}

fn size(told: Option<i64>) -> u64 {
    told.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
}

fn time(told: Option<DateTime>) -> Option<SystemTime> {
    told.and_then(|at| SystemTime::try_from(at).ok())
}
