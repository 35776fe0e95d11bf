//! Blobs in memory: each loaded once, whoever asks, and no more of them than there is room for.

use super::metrics::Metrics;
use crate::consumer::wire::{Kind, Problem};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a failure is told to whoever comes, before it is tried again.
const FAILURE: Duration = Duration::from_secs(1);

/// Something that takes memory.
pub trait Weighed: Send + Sync + 'static {
    /// How many bytes.
    fn size(&self) -> u64;
}

type Answer<V> = Result<Arc<V>, Arc<Problem>>;
type Flight<V> = Shared<BoxFuture<'static, Answer<V>>>;

/// A cache of bounded size whose readers of one key share one load.
pub struct Cache<K, V> {
    /// The most bytes that are kept.
    room: u64,
    /// The most loads at a time; who wants another is told to come again.
    loads: usize,
    /// What is kept here and elsewhere, by readers that are slow.
    held: Arc<Held>,
    state: Mutex<State<K, V>>,
    metrics: Metrics,
}

struct State<K, V> {
    kept: HashMap<K, (Arc<V>, u64)>,
    /// Keys by when they were read last.
    order: BTreeMap<u64, K>,
    clock: u64,
    bytes: u64,
    flights: HashMap<K, Flight<V>>,
}

/// How many bytes of blobs are in memory, whoever holds them.
#[derive(Debug)]
pub struct Held {
    bytes: AtomicU64,
    most: u64,
}

impl Held {
    /// None yet, and at most so many.
    pub fn new(most: u64) -> Arc<Held> {
        let bytes = AtomicU64::new(0);
        Arc::new(Held { bytes, most })
    }

    /// Counts these bytes until they are dropped.
    pub fn hold(self: &Arc<Held>, bytes: Vec<u8>) -> bytes::Bytes {
        struct Owner(Vec<u8>, Arc<Held>);
        impl AsRef<[u8]> for Owner {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        impl Drop for Owner {
            fn drop(&mut self) {
                let len = self.0.len() as u64;
                self.1.bytes.fetch_sub(len, Ordering::Relaxed);
            }
        }
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        bytes::Bytes::from_owner(Owner(bytes, self.clone()))
    }

    /// How many there are.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}

impl<K, V> Cache<K, V>
where
    K: Clone + Eq + Hash + Ord + Send + Sync + 'static,
    V: Weighed,
{
    /// An empty one.
    pub fn new(room: u64, loads: usize, held: Arc<Held>, metrics: Metrics) -> Arc<Cache<K, V>> {
        let state = Mutex::new(State {
            kept: HashMap::new(),
            order: BTreeMap::new(),
            clock: 0,
            bytes: 0,
            flights: HashMap::new(),
        });
        Arc::new(Cache {
            room,
            loads,
            held,
            state,
            metrics,
        })
    }

    fn state(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is under a key, loaded if it is not there. The load goes on when those who wanted it have gone.
    ///
    /// # Errors
    /// The load's, told to all who wait for it; or there is too much to do.
    pub async fn get<F>(self: &Arc<Self>, key: K, load: impl FnOnce() -> F) -> Answer<V>
    where
        F: Future<Output = Result<V, Problem>> + Send + 'static,
    {
        let flight = {
            let mut state = self.state();
            if let Some(value) = state.touch(&key) {
                self.metrics.cache("hit");
                return Ok(value);
            }
            match state.flights.get(&key) {
                Some(flight) => {
                    self.metrics.cache("shared");
                    flight.clone()
                }
                None => {
                    let full = self.held.bytes() > self.held.most;
                    if full || state.flights.len() >= self.loads {
                        self.metrics.cache("refused");
                        let why = match full {
                            true => "slow readers hold all the memory that there is for blobs",
                            false => "too many different things are being loaded",
                        };
                        return Err(Arc::new(Problem::new(Kind::Busy, why)));
                    }
                    self.metrics.cache("load");
                    let flight = self.start(key.clone(), load());
                    state.flights.insert(key, flight.clone());
                    flight
                }
            }
        };
        flight.await
    }

    fn start(
        self: &Arc<Self>,
        key: K,
        load: impl Future<Output = Result<V, Problem>> + Send + 'static,
    ) -> Flight<V> {
        let cache = self.clone();
        let task = tokio::spawn(async move {
            let answer = load.await.map(Arc::new).map_err(Arc::new);
            match &answer {
                Ok(value) => cache.keep(&key, value.clone()),
                Err(_) => {
                    tokio::spawn(async move {
                        tokio::time::sleep(FAILURE).await;
                        cache.state().flights.remove(&key);
                    });
                }
            }
            answer
        });
        let joined = task.map(|done| done.expect("a load does not panic"));
        joined.boxed().shared()
    }

    fn keep(&self, key: &K, value: Arc<V>) {
        let mut state = self.state();
        state.flights.remove(key);
        let size = value.size();
        if size > self.room {
            return;
        }
        state.clock += 1;
        let at = state.clock;
        state.kept.insert(key.clone(), (value, at));
        state.order.insert(at, key.clone());
        state.bytes += size;
        while state.bytes > self.room {
            let Some((_, oldest)) = state.order.pop_first() else {
                break;
            };
            if let Some((value, _)) = state.kept.remove(&oldest) {
                state.bytes -= value.size();
            }
        }
    }
}

impl<K: Clone + Eq + Hash, V> State<K, V> {
    fn touch(&mut self, key: &K) -> Option<Arc<V>> {
        let (value, at) = self.kept.get_mut(key)?;
        self.clock += 1;
        if let Some(key) = self.order.remove(at) {
            self.order.insert(self.clock, key);
        }
        *at = self.clock;
        Some(value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    struct Room(u64);
    impl Weighed for Room {
        fn size(&self) -> u64 {
            self.0
        }
    }

    fn cache(room: u64, loads: usize) -> Arc<Cache<u32, Room>> {
        let metrics = Metrics::new().unwrap();
        Cache::new(room, loads, Held::new(1000), metrics)
    }

    #[tokio::test(start_paused = true)]
    async fn readers_of_one_key_share_one_load_even_if_the_first_goes_away() {
        let cache = cache(100, 2);
        let loads = Arc::new(AtomicUsize::new(0));
        let load = || {
            let loads = loads.clone();
            async move {
                loads.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(10)).await;
                Ok(Room(10))
            }
        };
        let first = tokio::time::timeout(Duration::from_secs(1), cache.get(1, load));
        assert!(first.await.is_err(), "the first reader goes away");
        let all = futures::future::join_all((0..50).map(|_| cache.get(1, load)));
        assert!(all.await.iter().all(Result::is_ok));
        assert!(cache.get(1, load).await.is_ok());
        assert_eq!(loads.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_for_a_second_and_then_tried_again() {
        let cache = cache(100, 1);
        let loads = Arc::new(AtomicUsize::new(0));
        let load = || {
            let n = loads.fetch_add(1, Ordering::Relaxed);
            async move {
                match n {
                    0 => Err(Problem::new(Kind::StoreAway, "away")),
                    _ => Ok(Room(1)),
                }
            }
        };
        for _ in 0..20 {
            assert!(cache.get(1, load).await.is_err());
        }
        tokio::time::sleep(FAILURE * 2).await;
        assert!(cache.get(1, load).await.is_ok());
        assert_eq!(loads.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn what_was_not_read_for_longest_makes_room() {
        let cache = cache(30, 9);
        for key in [1, 2, 3, 1, 4] {
            cache.get(key, || async { Ok(Room(10)) }).await.unwrap();
        }
        let kept = || {
            let mut keys: Vec<u32> = cache.state().kept.keys().copied().collect();
            keys.sort();
            keys
        };
        assert_eq!(kept(), [1, 3, 4]);
        // One that would push out all the others is handed on and not kept.
        cache.get(5, || async { Ok(Room(31)) }).await.unwrap();
        assert_eq!(kept(), [1, 3, 4]);
        assert_eq!(cache.state().bytes, 30);
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_loads_and_too_much_in_slow_hands_are_refused() {
        let cache = cache(100, 2);
        let slow = || async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            Ok(Room(1))
        };
        let busy = |answer: Answer<Room>| {
            answer.is_err_and(|problem| problem.kind == Kind::Busy.to_string())
        };
        let (a, b, c) = tokio::join!(cache.get(1, slow), cache.get(2, slow), cache.get(3, slow));
        assert!(a.is_ok() && b.is_ok() && busy(c));
        let held = cache.held.hold(vec![0; 1001]);
        assert!(busy(cache.get(4, slow).await));
        assert!(
            cache.get(1, slow).await.is_ok(),
            "what is here costs nothing"
        );
        drop(held);
        assert!(cache.get(4, slow).await.is_ok());
    }
}
