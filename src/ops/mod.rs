//! What every long-running command needs: pauses between tries, logs, metrics, health, shutdown.

mod backoff;
mod health;
mod log;
mod registrar;
mod shutdown;

pub use backoff::Backoff;
pub use health::{Probe, Pulse, routes, serve};
pub use log::{LogFormat, log_to_stderr};
pub use registrar::Registrar;
pub use shutdown::{Shutdown, Trigger, on_signal};
