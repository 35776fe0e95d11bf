//! Who leads: an election on a `coordination.k8s.io` Lease.
//!
//! A Lease is judged by this process' monotonic clock alone: it is taken once it did not change for as long as it
//! says, however wrong anybody's wall clock is. The times written in it are for people. [`decide`] is pure;
//! [`Election`] does the asking.

use super::client::{Answer, Refusal, ask};
use crate::ops::Shutdown;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{GetParams, PostParams};
use kube::core::Request;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::time::{sleep, timeout};

/// How long others wait for a leader that is silent.
pub const LASTS: Duration = Duration::from_secs(15);
/// A leader that could not renew for so long stops leading; the rest of [`LASTS`] is the margin.
pub const GIVES_UP: Duration = Duration::from_secs(10);
/// From one look, or renewal, to the next.
pub const EVERY: Duration = Duration::from_secs(2);
/// A Lease that says it lasts longer is not waited for longer: somebody wrote nonsense.
const LONGEST: Duration = Duration::from_secs(60);
/// How long one request may take: several fit in before a leader gives up.
const REQUEST: Duration = Duration::from_secs(4);
/// How long giving the Lease back may take, at the end of a process.
const GIVING_BACK: Duration = Duration::from_millis(800);

/// What decides about a Lease, of all it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; `None` where it was given back.
    pub holder: Option<String>,
    /// For how long after a renewal.
    pub lasts: Duration,
    /// Changes with every write.
    pub version: String,
}

/// What to do about a Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// There is none: make it.
    Create,
    /// Nobody holds it, or who does is silent: take it.
    Take,
    /// It is ours: renew it.
    Renew,
    /// Somebody else's.
    Wait,
}

/// Decides for the candidate `me`. `seen` is the Lease as it is, and since when it was seen so, unchanged.
pub fn decide(me: &str, seen: Option<(&Record, Instant)>, now: Instant) -> Act {
    let Some((record, since)) = seen else {
        return Act::Create;
    };
    match record.holder.as_deref() {
        None | Some("") => Act::Take,
        Some(holder) if holder == me => Act::Renew,
        Some(_) => match now.saturating_duration_since(since) > record.lasts.min(LONGEST) {
            true => Act::Take,
            false => Act::Wait,
        },
    }
}

/// Says since when this process leads for sure. Cloned into whatever acts as the leader.
#[derive(Debug, Clone)]
pub struct Fence(Arc<Mutex<Fenced>>);

#[derive(Debug, Clone, Copy)]
struct Fenced {
    got: Instant,
    renewed: Instant,
}

impl Fence {
    /// Of a Lease that was taken by a request sent at `sent`.
    pub fn new(sent: Instant) -> Fence {
        let fenced = Fenced {
            got: sent,
            renewed: sent,
        };
        Fence(Arc::new(Mutex::new(fenced)))
    }

    fn inner(&self) -> Fenced {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It was renewed by a request sent at `sent`.
    pub fn renew(&self, sent: Instant) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .renewed = sent;
    }

    /// When the request was sent that renewed the Lease last.
    pub fn renewed(&self) -> Instant {
        self.inner().renewed
    }

    /// When the request was sent that took the Lease.
    pub fn got(&self) -> Instant {
        self.inner().got
    }

    /// Whether nobody else can lead at `now`.
    pub fn holds(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.renewed()) < GIVES_UP
    }
}

/// How a candidacy ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended<T> {
    /// The end of the process was asked for. If this was the leader, the Lease was given back.
    Shutdown,
    /// The leader's work ended by itself.
    Work(T),
}

/// What a candidate tells of itself.
pub trait Telling: Send + Sync {
    /// It leads, or does not.
    fn leads(&self, leads: bool);
    /// A look or a renewal went through, or why not.
    fn looked(&self, result: Result<(), &Refusal>);
}

/// A candidate for a Lease.
pub struct Election {
    client: Client,
    requests: Request,
    name: String,
    me: String,
    seen: Option<(Lease, Record, Instant)>,
}

impl fmt::Debug for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Election")
            .field("name", &self.name)
            .field("me", &self.me)
            .finish_non_exhaustive()
    }
}

impl Election {
    /// `me` must be no other process' name, not even that of this pod's last container.
    pub fn new(client: Client, namespace: &str, name: &str, me: &str) -> Election {
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
        Election {
            client,
            requests: Request::new(path),
            name: name.to_owned(),
            me: me.to_owned(),
            seen: None,
        }
    }

    /// Does `work` whenever this process leads; it is dropped the moment it may lead no longer, and begins anew with
    /// the next term.
    pub async fn run<T, W: Future<Output = T>>(
        &mut self,
        shutdown: &Shutdown,
        telling: &dyn Telling,
        mut work: impl FnMut(Fence) -> W,
    ) -> Ended<T> {
        loop {
            let Some(fence) = shutdown.or(self.wait(telling)).await else {
                return Ended::Shutdown;
            };
            tracing::info!(lease = self.name, me = self.me, "leading");
            telling.leads(true);
            let ended = {
                let over = shutdown.clone();
                tokio::select! {
                    // After a long sleep of the process the Lease is judged before anything is done.
                    biased;
                    () = self.keep(&fence, telling) => None,
                    () = over.wait() => Some(Ended::Shutdown),
                    done = work(fence.clone()) => Some(Ended::Work(done)),
                }
            };
            telling.leads(false);
            match ended {
                None => tracing::warn!(lease = self.name, "not leading any more"),
                Some(ended) => {
                    // The work is dropped: nothing of it is sent after this.
                    if timeout(GIVING_BACK, self.give_back()).await.is_err() {
                        tracing::warn!(lease = self.name, "the Lease could not be given back");
                    }
                    return ended;
                }
            }
        }
    }

    /// Looks until the Lease is ours.
    async fn wait(&mut self, telling: &dyn Telling) -> Fence {
        let mut said = String::new();
        loop {
            let sent = Instant::now();
            match self.turn().await {
                Ok(true) => {
                    telling.looked(Ok(()));
                    return Fence::new(sent);
                }
                Ok(false) => telling.looked(Ok(())),
                Err(e) => {
                    telling.looked(Err(&e));
                    let text = e.to_string();
                    if text != said {
                        tracing::warn!(lease = self.name, "cannot stand for the Lease: {text}");
                        said = text;
                    }
                }
            }
            sleep(EVERY).await;
        }
    }

    /// Renews until it is ours no longer.
    async fn keep(&mut self, fence: &Fence, telling: &dyn Telling) {
        loop {
            let left = GIVES_UP.saturating_sub(fence.renewed().elapsed());
            sleep(EVERY.min(left)).await;
            if !fence.holds(Instant::now()) {
                return;
            }
            let sent = Instant::now();
            match self.turn().await {
                Ok(true) => {
                    fence.renew(sent);
                    telling.looked(Ok(()));
                }
                Ok(false) => {
                    telling.looked(Ok(()));
                    return;
                }
                Err(e) => {
                    telling.looked(Err(&e));
                    tracing::warn!(lease = self.name, "the Lease was not renewed: {e}");
                }
            }
        }
    }

    /// Looks, and takes or renews the Lease if that is due: whether it is ours now.
    async fn turn(&mut self) -> Result<bool, Refusal> {
        // A renewal needs no look: the version in it is refused if somebody else wrote.
        let me = self.me.clone();
        let ours = |seen: &(Lease, Record, Instant)| seen.1.holder.as_deref() == Some(&me);
        if !self.seen.as_ref().is_some_and(ours) {
            self.look().await?;
        }
        let seen = self
            .seen
            .as_ref()
            .map(|(_, record, since)| (record, *since));
        let act = decide(&self.me, seen, Instant::now());
        let written = match act {
            Act::Wait => return Ok(false),
            Act::Create | Act::Take | Act::Renew => self.write(act).await,
        };
        match written {
            Ok(()) => Ok(true),
            // Somebody was faster; or a renewal of ours took effect though its answer was lost.
            Err(e) if matches!(e.answer, Answer::Conflict | Answer::Absent) => {
                self.look().await?;
                match act == Act::Renew && self.seen.as_ref().is_some_and(ours) {
                    true => Err(e),
                    false => Ok(false),
                }
            }
            Err(e) => Err(e),
        }
    }

    async fn look(&mut self) -> Result<(), Refusal> {
        let request = self.requests.get(&self.name, &GetParams::default());
        match bounded(ask::<Lease>(&self.client, request)).await {
            Ok(lease) => {
                self.note(lease);
                Ok(())
            }
            Err(e) if e.answer == Answer::Absent => {
                self.seen = None;
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    fn note(&mut self, lease: Lease) {
        let record = record(&lease);
        let since = match &self.seen {
            Some((_, known, since)) if *known == record => *since,
            _ => Instant::now(),
        };
        self.seen = Some((lease, record, since));
    }

    async fn write(&mut self, act: Act) -> Result<(), Refusal> {
        let seen = self.seen.as_ref().map(|(lease, ..)| lease.clone());
        let lease = ours(seen, &self.name, &self.me, act, SystemTime::now());
        let body = serde_json::to_vec(&lease).unwrap_or_default();
        let request = match act {
            Act::Create => self.requests.create(&PostParams::default(), body),
            _ => self
                .requests
                .replace(&self.name, &PostParams::default(), body),
        };
        let written = bounded(ask::<Lease>(&self.client, request)).await?;
        self.note(written);
        Ok(())
    }

    /// Lets the next one lead at once.
    async fn give_back(&mut self) {
        let Some((mut lease, record, _)) = self.seen.clone() else {
            return;
        };
        if record.holder.as_deref() != Some(&self.me) {
            return;
        }
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = micro(SystemTime::now());
        let body = serde_json::to_vec(&lease).unwrap_or_default();
        let request = self
            .requests
            .replace(&self.name, &PostParams::default(), body);
        match ask::<Lease>(&self.client, request).await {
            Ok(_) => tracing::info!(lease = self.name, "gave the Lease back"),
            Err(e) => tracing::warn!(lease = self.name, "could not give the Lease back: {e}"),
        }
        self.seen = None;
    }
}

async fn bounded<T>(asking: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    timeout(REQUEST, asking).await.unwrap_or_else(|_| {
        Err(Refusal {
            what: "the Lease".to_owned(),
            answer: Answer::Away,
            code: None,
            retry_after: None,
            problem: format!("no answer within {} s", REQUEST.as_secs()),
        })
    })
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.as_ref();
    let seconds = spec.and_then(|s| s.lease_duration_seconds).unwrap_or(0);
    let holder = spec.and_then(|s| s.holder_identity.clone());
    Record {
        holder: holder.filter(|holder| !holder.is_empty()),
        lasts: Duration::from_secs(seconds.max(1).unsigned_abs().into()),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}

fn micro(wall: SystemTime) -> Option<MicroTime> {
    Timestamp::try_from(wall).ok().map(MicroTime)
}

/// The Lease as `me` writes it.
fn ours(seen: Option<Lease>, name: &str, me: &str, act: Act, wall: SystemTime) -> Lease {
    let mut lease = seen.unwrap_or_else(|| Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        spec: None,
    });
    let spec: &mut LeaseSpec = lease.spec.get_or_insert_default();
    if act != Act::Renew {
        spec.acquire_time = micro(wall);
        let terms = spec.lease_transitions.unwrap_or(0);
        spec.lease_transitions = Some(match act {
            Act::Create => 0,
            _ => terms.saturating_add(1),
        });
    }
    spec.holder_identity = Some(me.to_owned());
    spec.lease_duration_seconds = i32::try_from(LASTS.as_secs()).ok();
    spec.renew_time = micro(wall);
    lease
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_taken_when_nobody_has_it_or_its_holder_was_silent_for_as_long_as_it_lasts() {
        let now = Instant::now() + Duration::from_secs(1000);
        let held = |holder: Option<&str>, lasts| Record {
            holder: holder.map(str::to_owned),
            lasts: Duration::from_secs(lasts),
            version: "1".to_owned(),
        };
        let cases = [
            (None, 0, Act::Create),
            (Some(held(None, 1)), 0, Act::Take),
            (Some(held(Some("me"), 15)), 0, Act::Renew),
            (Some(held(Some("me"), 15)), 100, Act::Renew),
            (Some(held(Some("you"), 15)), 0, Act::Wait),
            (Some(held(Some("you"), 15)), 15, Act::Wait),
            (Some(held(Some("you"), 15)), 16, Act::Take),
            (Some(held(Some("you"), 1_000_000)), 60, Act::Wait),
            (Some(held(Some("you"), 1_000_000)), 61, Act::Take),
        ];
        for (record, age, act) in cases {
            let since = now - Duration::from_secs(age);
            let seen = record.as_ref().map(|record| (record, since));
            assert_eq!(decide("me", seen, now), act, "{record:?} {age}");
        }
    }

    #[test]
    fn a_fence_counts_from_when_the_renewal_was_sent() {
        let sent = Instant::now();
        let fence = Fence::new(sent);
        assert!(fence.holds(sent + GIVES_UP - Duration::from_millis(1)));
        assert!(!fence.holds(sent + GIVES_UP));
        fence.renew(sent + Duration::from_secs(5));
        assert!(fence.holds(sent + GIVES_UP));
        assert_eq!(fence.got(), sent);
    }

    #[test]
    fn a_term_is_counted_when_the_lease_changes_hands_and_not_when_it_is_renewed() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let made = ours(None, "l", "a", Act::Create, wall);
        let spec = made.spec.clone().unwrap();
        assert_eq!(spec.lease_transitions, Some(0));
        let renewed = ours(Some(made.clone()), "l", "a", Act::Renew, wall + LASTS);
        let again = renewed.spec.unwrap();
        assert_eq!(again.acquire_time, spec.acquire_time);
        assert_ne!(again.renew_time, spec.renew_time);
        let taken = ours(Some(made), "l", "b", Act::Take, wall).spec.unwrap();
        assert_eq!(taken.lease_transitions, Some(1));
        assert_eq!(taken.holder_identity.as_deref(), Some("b"));
    }
}
