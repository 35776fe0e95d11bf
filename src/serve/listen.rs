//! Connections: so many at most, none for longer than it is used.

use super::metrics::Metrics;
use super::patient::Patient;
use crate::ops::Shutdown;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// The most bytes of a request's line and headers.
const HEAD: usize = 16 << 10;
/// The most headers.
const HEADERS: usize = 64;
/// How long requests that are under way may hold up the end.
const DRAIN: Duration = Duration::from_secs(20);
/// How long to wait when the system gives no more sockets.
const SHORT: Duration = Duration::from_millis(100);

/// What one client can cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; who comes then waits for one to end.
    pub connections: usize,
    /// How long a client may take for the head of a request, or between two.
    pub idle: Duration,
    /// How long a client may take no bytes that wait for it.
    pub stall: Duration,
}

/// Serves until the end, and then what is under way.
pub async fn listen(
    listener: TcpListener,
    tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    app: Router,
    limits: Limits,
    metrics: Metrics,
    shutdown: Shutdown,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let mut open = JoinSet::new();
    loop {
        let Some(place) = shutdown.or(room.clone().acquire_owned()).await else {
            break;
        };
        let socket = match shutdown.or(listener.accept()).await {
            None => break,
            Some(Ok((socket, _))) => socket,
            Some(Err(e)) => {
                tracing::warn!(error = %e, "no connection can be accepted");
                tokio::time::sleep(SHORT).await;
                continue;
            }
        };
        // Those that ended.
        while open.try_join_next().is_some() {}
        let tls = tls.as_ref().map(|tls| tls.borrow().clone());
        let (app, metrics, shutdown) = (app.clone(), metrics.clone(), shutdown.clone());
        open.spawn(async move {
            metrics.connected(1);
            let done = accept(socket, tls, app, limits, shutdown).await;
            metrics.connected(-1);
            if let Err(reason) = done {
                metrics.cut(reason);
            }
            drop(place);
        });
    }
    drop(listener);
    let drained = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!(connections = open.len(), "connections are cut at the end");
    }
}

async fn accept(
    socket: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    app: Router,
    limits: Limits,
    shutdown: Shutdown,
) -> Result<(), &'static str> {
    // Without it the end of an answer can wait for an acknowledgement.
    let _ = socket.set_nodelay(true);
    let socket = Patient::new(socket, limits.stall);
    match tls {
        None => talk(socket, app, limits, shutdown).await,
        // Apart, since a connection without it would take as much memory.
        Some(config) => {
            let shaken = Box::pin(TlsAcceptor::from(config).accept(socket));
            let shaken = tokio::time::timeout(limits.idle, shaken).await;
            let socket = shaken.map_err(|_| "tls-timeout")?.map_err(|_| "tls")?;
            Box::pin(talk(socket, app, limits, shutdown)).await
        }
    }
}

async fn talk(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    app: Router,
    limits: Limits,
    shutdown: Shutdown,
) -> Result<(), &'static str> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(HEAD)
        .max_headers(HEADERS)
        // Otherwise each request waits with a second buffer of 8 KiB, to hear of a client that goes away while it is
        // answered. The next write tells as well.
        .half_close(true)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(app));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(|e| match () {
        () if e.is_timeout() => "idle",
        () if e.is_parse() => "request",
        () if is_stall(&e) => "stall",
        () => "connection",
    })
}

fn is_stall(e: &hyper::Error) -> bool {
    let io = std::error::Error::source(e).and_then(|e| e.downcast_ref::<std::io::Error>());
    io.is_some_and(|e| e.kind() == std::io::ErrorKind::TimedOut)
}
