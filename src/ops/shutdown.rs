//! The end of a long-running command: a future that is handed in, never a global.

use std::future::Future;
use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Pulled once, it ends everything that holds its [`Shutdown`]. Dropping it does the same.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// Waits for the end. Cloned for every task.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Trigger {
    /// A trigger and what it ends.
    pub fn new() -> (Trigger, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (Trigger(sender), Shutdown(receiver))
    }

    /// Ends everything.
    pub fn pull(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Ready when it is time to end.
    pub async fn wait(mut self) {
        // An error says that nobody can pull it any more.
        let _ = self.0.wait_for(|over| *over).await;
    }

    /// Whether it is time to end.
    pub fn is_over(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Runs `work` unless it is time to end; `None` if that came first. The work is dropped then.
    pub async fn or<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.clone().wait() => None,
            done = work => Some(done),
        }
    }
}

/// Ready at the first SIGTERM or SIGINT; the handlers stand when this returns.
///
/// # Errors
/// The system lets no handler be set.
pub fn on_signal() -> io::Result<impl Future<Output = &'static str>> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = int.recv() => "SIGINT",
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_ends_at_the_trigger_or_with_its_owner() {
        let (trigger, shutdown) = Trigger::new();
        assert_eq!(shutdown.or(async { 1 }).await, Some(1));
        assert!(!shutdown.is_over());
        trigger.pull();
        assert_eq!(shutdown.or(std::future::pending::<()>()).await, None);
        assert_eq!(shutdown.or(async { 1 }).await, None);
        assert!(shutdown.is_over());
        let (trigger, shutdown) = Trigger::new();
        drop(trigger);
        assert_eq!(shutdown.or(std::future::pending::<()>()).await, None);
        assert!(shutdown.is_over());
    }
}
