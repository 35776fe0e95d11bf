//! Work that a second thread can do while the first does something else.

use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A piece of work for another thread.
pub type Job<'b> = Box<dyn FnOnce() + Send + 'b>;

/// Whoever may have jobs done by another thread.
pub trait Hands<'b> {
    /// Has a job done soon, or drops it: what nobody has begun when it is needed, its owner does.
    fn offer(&self, job: Job<'b>);
}

/// Nobody: all is done by the thread that calls.
pub(super) struct Nobody;

impl Hands<'_> for Nobody {
    fn offer(&self, _: Job<'_>) {}
}

/// Work that was offered, and what comes of it.
pub struct Aside<'b, T> {
    work: Arc<Mutex<Option<Job<'b>>>>,
    result: Receiver<T>,
}

impl<'b, T: Send + 'b> Aside<'b, T> {
    /// Offers work.
    pub fn offer(hands: &dyn Hands<'b>, work: impl FnOnce() -> T + Send + 'b) -> Aside<'b, T> {
        let (send, result) = mpsc::sync_channel(1);
        let job: Job<'b> = Box::new(move || {
            // Nobody listens only where the owner is gone.
            let _ = send.send(work());
        });
        let work = Arc::new(Mutex::new(Some(job)));
        let theirs = Arc::clone(&work);
        hands.offer(Box::new(move || run(&theirs)));
        Aside { work, result }
    }

    /// The result, once somebody has it.
    pub fn finish(self) -> T {
        run(&self.work);
        let done = self.result.recv();
        done.expect("whoever takes the work sends its result, or panics")
    }
}

/// Does the work, unless somebody else has begun it.
fn run(work: &Mutex<Option<Job<'_>>>) {
    let job = lock(work).take();
    if let Some(job) = job {
        job();
    }
}

/// Nothing is left half done where a thread could panic, so a lock that it held is as good as any.
pub(super) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn work_is_done_once_by_whoever_begins_it() {
        struct Later<'b>(RefCell<Vec<Job<'b>>>);
        impl<'b> Hands<'b> for Later<'b> {
            fn offer(&self, job: Job<'b>) {
                self.0.borrow_mut().push(job);
            }
        }
        for taken in [false, true] {
            let times = Mutex::new(0);
            let later = Later(RefCell::default());
            let aside = Aside::offer(&later, || {
                *times.lock().unwrap() += 1;
                7
            });
            let jobs = later.0.take();
            assert_eq!(jobs.len(), 1);
            let mut jobs = jobs.into_iter();
            if taken {
                jobs.next().unwrap()();
            }
            assert_eq!(aside.finish(), 7);
            jobs.for_each(|late| late());
            assert_eq!(*times.lock().unwrap(), 1, "taken: {taken}");
        }
        assert_eq!(Aside::offer(&Nobody, || 8).finish(), 8);
    }
}
