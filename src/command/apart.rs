//! Where a second thread runs: beside the first, not in turns with it.
//!
//! On a virtual machine Linux can take an idle processor for one whose host has withdrawn it (KVM says so of every
//! processor that is halted), and then starts and wakes threads on the processor of whoever started or woke them,
//! where both run in turns until something moves one away. A run of 20 ms is over by then.

/// Every processor that this process may run on, but that of the thread that made this.
#[cfg(target_os = "linux")]
pub struct Apart(Option<rustix::thread::CpuSet>);

#[cfg(target_os = "linux")]
impl Apart {
    pub fn from_here() -> Apart {
        let others = rustix::thread::sched_getaffinity(None).ok().map(|mut all| {
            all.unset(rustix::thread::sched_getcpu());
            all
        });
        Apart(others.filter(|others| others.count() > 0))
    }

    /// Moves the calling thread there. Refused, it stays where it is.
    pub fn go(&self) {
        if let Some(others) = &self.0 {
            let _ = rustix::thread::sched_setaffinity(None, others);
        }
    }
}

/// Elsewhere it is left to the system.
#[cfg(not(target_os = "linux"))]
pub struct Apart;

#[cfg(not(target_os = "linux"))]
impl Apart {
    pub fn from_here() -> Apart {
        Apart
    }

    pub fn go(&self) {}
}
