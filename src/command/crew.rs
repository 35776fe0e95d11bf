//! A second thread, for as long as a run lasts: it does the jobs that are offered to it, and between them what can be
//! done at any time.
//!
//! It is started once and kept busy, since to start or wake one takes longer than most of its jobs. On a virtual machine
//! that can be milliseconds: Linux may take an idle processor for one whose host has withdrawn it (KVM says so of every
//! processor that is halted), and then starts and wakes threads on the processor of whoever started or woke them, where
//! both run in turns until something moves one away.

use btfleet::dump::{Hands, Job};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};

/// Where jobs are offered and taken.
#[derive(Default)]
pub struct Crew<'b> {
    jobs: Mutex<Jobs<'b>>,
    /// There may be something in `jobs` that its reader has not seen.
    news: AtomicBool,
    more: Condvar,
}

#[derive(Default)]
struct Jobs<'b> {
    open: VecDeque<Job<'b>>,
    closed: bool,
}

/// A crew at work. Closes its list of jobs, however a run ends.
pub struct Started<'c, 'b> {
    crew: &'c Crew<'b>,
    /// There is a second thread.
    pub helps: bool,
}

impl Drop for Started<'_, '_> {
    fn drop(&mut self) {
        self.crew.change(|jobs| jobs.closed = true);
    }
}

impl<'b> Hands<'b> for Crew<'b> {
    fn offer(&self, job: Job<'b>) {
        self.change(|jobs| jobs.open.push_back(job));
    }
}

impl<'b> Crew<'b> {
    /// Starts the thread, if there is a second processor to run it on; `filler` is done piece by piece while nothing is
    /// offered, until it says that there is no more of it.
    pub fn start<'s, 'e>(
        &'s self,
        scope: &'s Scope<'s, 'e>,
        filler: impl FnMut() -> bool + Send + 's,
    ) -> Started<'s, 'b> {
        let mut helps = false;
        if let Some(go) = elsewhere() {
            let run = move || {
                go();
                self.work(filler);
            };
            // Where no thread can be had, jobs are left to those who offer them.
            helps = thread::Builder::new().spawn_scoped(scope, run).is_ok();
            // It may have been put on this processor, where it would have to wait for its turn to go elsewhere.
            thread::yield_now();
        }
        Started { crew: self, helps }
    }

    fn work(&self, mut filler: impl FnMut() -> bool) {
        let mut filling = true;
        while let Some(job) = self.next(filling) {
            match job {
                Some(job) => job(),
                None => filling = filler(),
            }
        }
    }

    /// The next job, or that it is time to fill; nothing once the list is closed.
    fn next(&self, filling: bool) -> Option<Option<Job<'b>>> {
        // A run has long ended by then; one that takes longer has no need of haste.
        const TURNS: u32 = 20_000;
        if filling && !self.news.load(Ordering::Acquire) {
            return Some(None);
        }
        for _ in 0..TURNS {
            if self.news.load(Ordering::Acquire) {
                break;
            }
            thread::yield_now();
        }
        let mut jobs = lock(&self.jobs);
        loop {
            self.news.store(false, Ordering::Release);
            match jobs.open.pop_front() {
                Some(job) => {
                    self.news
                        .store(!jobs.open.is_empty() || jobs.closed, Ordering::Release);
                    return Some(Some(job));
                }
                None if jobs.closed => return None,
                None if filling => return Some(None),
                None => jobs = self.more.wait(jobs).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn change(&self, how: impl FnOnce(&mut Jobs<'b>)) {
        how(&mut lock(&self.jobs));
        self.news.store(true, Ordering::Release);
        self.more.notify_one();
    }
}

/// Nothing is left half done where a thread could panic, so a lock that it held is as good as any.
pub(super) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What moves a thread to another processor than that of the calling one; nothing if this process has no other.
#[cfg(target_os = "linux")]
fn elsewhere() -> Option<impl FnOnce() + Send> {
    use rustix::thread::{sched_getaffinity, sched_getcpu, sched_setaffinity};
    let mut others = sched_getaffinity(None).ok()?;
    others.unset(sched_getcpu());
    (others.count() > 0).then_some(move || {
        // Refused, it stays where it is.
        let _ = sched_setaffinity(None, &others);
    })
}

/// Elsewhere it is left to the system.
#[cfg(not(target_os = "linux"))]
fn elsewhere() -> Option<impl FnOnce() + Send> {
    let processors = thread::available_parallelism().ok()?;
    (processors.get() > 1).then_some(|| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn jobs_are_done_while_there_is_something_to_fill_with_and_when_there_is_not() {
        let (send, done) = mpsc::channel();
        let left = AtomicUsize::new(1000);
        let crew = Crew::default();
        thread::scope(|s| {
            let more = || left.fetch_sub(1, Ordering::Relaxed) > 1;
            let _started = crew.start(s, more);
            if elsewhere().is_none() {
                // One processor: jobs are left to those who offer them.
                crew.offer(Box::new(move || send.send(0).unwrap()));
                assert!(done.recv_timeout(Duration::from_millis(50)).is_err());
                left.store(0, Ordering::Relaxed);
                return;
            }
            // The last ones find it asleep.
            for (n, pause) in [0, 0, 1, 50, 50].into_iter().enumerate() {
                thread::sleep(Duration::from_millis(pause));
                let send = send.clone();
                crew.offer(Box::new(move || send.send(n).unwrap()));
                assert_eq!(done.recv(), Ok(n));
            }
        });
        assert_eq!(left.into_inner(), 0);
    }

    #[test]
    fn closing_ends_it_though_it_could_fill_for_ever() {
        let crew = Crew::default();
        thread::scope(|s| {
            let started = crew.start(s, || true);
            thread::sleep(Duration::from_millis(1));
            drop(started);
        });
    }
}
