//! The controller's times, as parameters.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// The clock by which the controller's work is timed: retention, verification, references, status writes. (The Lease,
/// and pauses after a failure, go by the machine's own.) In tests it runs faster, and its wall clock jumps.
#[derive(Debug, Clone)]
pub struct Clock {
    began: Instant,
    rate: u32,
    jump: Arc<AtomicI64>,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::at_rate(1)
    }
}

impl Clock {
    /// One on which `rate` seconds pass in one.
    pub fn at_rate(rate: u32) -> Clock {
        Clock {
            began: Instant::now(),
            rate: rate.max(1),
            jump: Arc::default(),
        }
    }

    /// Monotonic.
    pub fn now(&self) -> Instant {
        self.began + self.began.elapsed() * self.rate
    }

    /// The wall clock: it may be wrong, and jump.
    pub fn wall(&self) -> SystemTime {
        let jump = self.jump.load(Ordering::Relaxed);
        let by = Duration::from_secs(jump.unsigned_abs());
        let now = SystemTime::now();
        match jump < 0 {
            true => now.checked_sub(by),
            false => now.checked_add(by),
        }
        .unwrap_or(now)
    }

    /// Lets the wall clock jump to so many seconds from the machine's.
    pub fn jump(&self, seconds: i64) {
        self.jump.store(seconds, Ordering::Relaxed);
    }

    /// Until so much has passed on this clock.
    pub async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time / self.rate).await;
    }
}
