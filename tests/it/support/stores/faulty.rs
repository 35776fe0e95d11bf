//! Faults on the way to any store, and a count of what went that way.

use async_trait::async_trait;
use btfleet::artifact::Key;
use btfleet::store::{Entry, Error, Put, Store};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The store says that it is overloaded, and does nothing.
    Error,
    /// Nothing is done, and nothing said for a minute; then that it took too long.
    TimeOut,
    /// It is done, and the answer is an error.
    LostReply,
    /// Nothing is done or said, ever: whoever called is dead.
    DieBefore,
    /// It is done, and nothing is said, ever: whoever called is dead.
    DieAfter,
    /// A write that is said to be done, and is not.
    Swallow,
}

/// Says for each call, by its number (from 0) and kind, what goes wrong.
type Plan = Box<dyn FnMut(u64, &str) -> Option<Fault> + Send>;

#[derive(Default)]
struct State {
    counts: Counts,
    plan: Option<Plan>,
    /// What listings show instead of what is there.
    stale: Option<Vec<Entry>>,
    /// How long a body that is not empty is under way.
    slow: Duration,
    /// What somebody else removes just before this call.
    vanish: Option<(u64, Key)>,
}

/// What went to a store.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Requests, by kind.
    pub requests: BTreeMap<&'static str, u64>,
    /// Bytes of bodies sent and received.
    pub sent: u64,
    pub received: u64,
    /// Bodies that were sent and not empty, by the folder they went to.
    pub bodies: BTreeMap<String, u64>,
}

impl Counts {
    pub fn all(&self) -> u64 {
        self.requests.values().sum()
    }

    pub fn of(&self, kind: &str) -> u64 {
        self.requests.get(kind).copied().unwrap_or(0)
    }
}

/// A store through which faults come.
pub struct Faulty {
    inner: Arc<dyn Store>,
    state: Mutex<State>,
    died: Notify,
}

impl std::fmt::Debug for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Faulty({:?})", self.inner)
    }
}

impl Faulty {
    pub fn new(inner: Arc<dyn Store>) -> Faulty {
        Faulty {
            inner,
            state: Mutex::default(),
            died: Notify::new(),
        }
    }

    /// From now on this goes wrong; calls are counted from 0 again.
    pub fn plan(&self, plan: impl FnMut(u64, &str) -> Option<Fault> + Send + 'static) {
        let mut state = self.state.lock().unwrap();
        state.counts = Counts::default();
        state.plan = Some(Box::new(plan));
    }

    /// Nothing goes wrong any more; calls are counted from 0 again.
    pub fn heal(&self) {
        *self.state.lock().unwrap() = State::default();
    }

    /// Comes when somebody died.
    pub async fn died(&self) {
        self.died.notified().await;
    }

    async fn die<T>(&self) -> T {
        self.died.notify_one();
        std::future::pending().await
    }

    /// Listings stay as they are now.
    pub async fn freeze_lists(&self) {
        let now: Vec<Entry> = self.inner.list(None).try_collect().await.unwrap();
        self.state.lock().unwrap().stale = Some(now);
    }

    /// What went through since the last [`Faulty::plan`] or [`Faulty::heal`].
    pub fn counts(&self) -> Counts {
        self.state.lock().unwrap().counts.clone()
    }

    async fn count(&self, kind: &'static str) -> Option<Fault> {
        let (fault, vanish) = {
            let mut state = self.state.lock().unwrap();
            let number = state.counts.all();
            *state.counts.requests.entry(kind).or_default() += 1;
            let fault = state.plan.as_mut().and_then(|plan| plan(number, kind));
            (fault, state.vanish.take_if(|(call, _)| *call == number))
        };
        if let Some((_, key)) = vanish {
            self.inner.delete(&key).await.unwrap();
        }
        fault
    }

    /// Somebody removes this just before call number `call`.
    pub fn vanish(&self, call: u64, key: Key) {
        self.state.lock().unwrap().vanish = Some((call, key));
    }

    /// Bodies take this long from now on.
    pub fn slow_down(&self, slow: Duration) {
        self.state.lock().unwrap().slow = slow;
    }

    async fn sending(&self, key: &Key, body: &Bytes) {
        let slow = {
            let mut state = self.state.lock().unwrap();
            state.counts.sent += body.len() as u64;
            if body.is_empty() {
                return;
            }
            let folder = key.as_str().split('/').next().unwrap_or_default();
            *state.counts.bodies.entry(folder.to_owned()).or_default() += 1;
            state.slow
        };
        tokio::time::sleep(slow).await;
    }

    async fn call<T>(
        &self,
        kind: &'static str,
        swallowed: Option<T>,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let away = |problem: &str| Error::Away {
            what: kind.to_owned(),
            problem: problem.to_owned(),
            retry_after: None,
        };
        match self.count(kind).await {
            None => call.await,
            Some(Fault::Swallow) => match swallowed {
                Some(answer) => Ok(answer),
                None => call.await,
            },
            Some(Fault::Error) => Err(away("503 SlowDown")),
            Some(Fault::TimeOut) => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Err(away("no answer within 60 s"))
            }
            Some(Fault::LostReply) => {
                call.await?;
                Err(away("connection reset"))
            }
            Some(Fault::DieBefore) => self.die().await,
            Some(Fault::DieAfter) => {
                call.await?;
                self.die().await
            }
        }
    }
}

#[async_trait]
impl Store for Faulty {
    fn place(&self) -> &str {
        self.inner.place()
    }

    async fn get(&self, key: &Key, limit: u64) -> Result<Option<Bytes>, Error> {
        let got = self.call("get", None, self.inner.get(key, limit)).await?;
        let size = got.as_ref().map_or(0, |bytes| bytes.len() as u64);
        self.state.lock().unwrap().counts.received += size;
        Ok(got)
    }

    async fn head(&self, key: &Key) -> Result<Option<Entry>, Error> {
        self.call("head", None, self.inner.head(key)).await
    }

    async fn put_if_absent(&self, key: &Key, body: Bytes) -> Result<Put, Error> {
        self.sending(key, &body).await;
        self.call(
            "put-if-absent",
            Some(Put::Created),
            self.inner.put_if_absent(key, body),
        )
        .await
    }

    async fn put(&self, key: &Key, body: Bytes) -> Result<(), Error> {
        self.sending(key, &body).await;
        self.call("put", Some(()), self.inner.put(key, body)).await
    }

    async fn delete(&self, key: &Key) -> Result<(), Error> {
        self.call("delete", Some(()), self.inner.delete(key)).await
    }

    fn list<'a>(&'a self, folder: Option<&Key>) -> BoxStream<'a, Result<Entry, Error>> {
        let prefix = folder.map_or("", Key::as_str).to_owned();
        let stale = self.state.lock().unwrap().stale.clone();
        let inner = self.inner.list(folder);
        let begun = async move {
            self.call("list", None, async { Ok(()) }).await?;
            Ok(match stale {
                None => inner,
                Some(stale) => {
                    let shown = stale
                        .into_iter()
                        .filter(move |e| e.key.as_str().starts_with(&prefix));
                    stream::iter(shown.map(Ok)).boxed()
                }
            })
        };
        stream::once(begun).try_flatten().boxed()
    }
}
