//! `/livez`, `/readyz` and `/metrics`.

use super::Shutdown;
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Encoder, Registry, TextEncoder};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// How long open connections may hold up the end.
const LINGER: Duration = Duration::from_millis(500);

/// Whether something holds, and why not: set by those who know, read by `/readyz`.
#[derive(Debug, Clone)]
pub struct Probe(Arc<Mutex<Result<(), String>>>);

impl Probe {
    /// One that does not hold yet.
    pub fn failing(why: &str) -> Probe {
        Probe(Arc::new(Mutex::new(Err(why.to_owned()))))
    }

    /// It holds now, or does not, and why.
    pub fn set(&self, state: Result<(), String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Whether it holds.
    pub fn get(&self) -> Result<(), String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Whether a loop still turns: it beats, and is dead when it has not for too long.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<Mutex<Instant>>);

impl Pulse {
    /// Alive from now until `within` has passed without a beat.
    pub fn new(within: Duration) -> Pulse {
        Pulse(Arc::new(Mutex::new(Instant::now() + within)))
    }

    /// The loop turns: the next beat is due within this time.
    pub fn beat(&self, within: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + within;
    }

    /// Whether it turns.
    pub fn get(&self) -> Result<(), String> {
        let due = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match Instant::now().checked_duration_since(due) {
            Some(late) if !late.is_zero() => Err(format!(
                "no sign of life: the main loop is {} s late",
                late.as_secs()
            )),
            _ => Ok(()),
        }
    }
}

/// Answers `/livez`, `/readyz` and `/metrics` until the end.
///
/// # Errors
/// The listener's.
pub async fn serve(
    listener: TcpListener,
    registry: Registry,
    live: Pulse,
    ready: Probe,
    shutdown: Shutdown,
) -> io::Result<()> {
    let app = routes(registry, live, ready);
    let over = shutdown.clone().wait();
    let served = axum::serve(listener, app).with_graceful_shutdown(over);
    tokio::select! {
        done = served.into_future() => done,
        () = async { shutdown.wait().await; tokio::time::sleep(LINGER).await } => Ok(()),
    }
}

/// The three, to be answered beside others.
pub fn routes(registry: Registry, live: Pulse, ready: Probe) -> Router {
    Router::new()
        .route("/livez", get(move || async move { verdict(live.get()) }))
        .route("/readyz", get(move || async move { verdict(ready.get()) }))
        .route("/metrics", get(move || async move { metrics(&registry) }))
}

fn verdict(state: Result<(), String>) -> Response {
    match state {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

fn metrics(registry: &Registry) -> Response {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&registry.gather(), &mut text) {
        Ok(()) => ([("content-type", encoder.format_type().to_owned())], text).into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_not_beat_is_dead() {
        let pulse = Pulse::new(Duration::from_secs(10));
        assert!(pulse.get().is_ok());
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(pulse.get().unwrap_err().contains("1 s late"));
        pulse.beat(Duration::from_secs(10));
        assert!(pulse.get().is_ok());
    }
}
