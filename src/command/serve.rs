//! `btfleet serve`.

use super::inventory;
use crate::cli;
use anyhow::{Context, Result, bail};
use btfleet::ops::{self, Backoff, Trigger};
use btfleet::serve::{Files, Limits, Metrics, Parts, serve};
use btfleet::store::S3Options;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};

/// How long what still runs on other threads may hold up the end.
const LINGER: Duration = Duration::from_millis(500);
/// Connections that wait to be accepted; the system may have a lower bound (net.core.somaxconn, mostly 4096).
const QUEUE: u32 = 4096;
/// How long a reader waits for the store at most.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn run(args: &cli::Serve) -> Result<ExitCode> {
    super::agent::log(&args.log);
    super::memory::give_back_large_pieces();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()
        .context("cannot start")?;
    let done = runtime.block_on(work(args));
    // A disk that does not answer must not hold up the end.
    runtime.shutdown_timeout(LINGER);
    done
}

/// After a rollout a thousand pods come at once: who does not fit in the queue comes again a second later.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

async fn work(args: &cli::Serve) -> Result<ExitCode> {
    // First of all, so that no moment is without it.
    let signal = ops::on_signal().context("cannot handle signals")?;
    let (end, shutdown) = Trigger::new();
    let options = S3Options {
        call_timeout: PATIENCE,
        read_timeout: PATIENCE,
        attempts: 3,
        ..super::s3_options(&args.store)
    };
    let cluster = inventory::cluster(&args.cluster).await?;
    match (&cluster, &args.store.store) {
        (Some(_), _) => inventory::say(&args.cluster),
        (None, Some(_)) => super::note("no cluster is known here: serving a store alone"),
        (None, None) => bail!("what to serve? Give --store s3://BUCKET/PREFIX or file://DIR"),
    }
    let store = btfleet::store::open(args.store.place(), &options).await?;
    super::note(&format!("reading store {}", store.place()));
    let metrics = Metrics::new().context("cannot count")?;
    let (mut tls, mut reload) = (None, None);
    if let (Some(cert), Some(key)) = (&args.tls_cert, &args.tls_key) {
        let (cert, key) = (cert.clone(), key.clone());
        let files = Files { cert, key };
        let (told, look) = files.load(args.tls_reload_every, metrics.clone())?;
        (tls, reload) = (Some(told), Some(look));
    }
    let listener =
        bind(args.listen).with_context(|| format!("cannot listen on {}", args.listen))?;
    tracing::info!(address = %listener.local_addr()?, tls = tls.is_some(), "listening");
    let parts = Parts {
        store,
        cluster,
        room: args.cache << 20,
        limits: Limits {
            connections: args.max_connections as usize,
            idle: args.idle_timeout,
            stall: args.stall_timeout,
        },
        tls,
        metrics,
        pause: Backoff::new(
            Duration::from_secs(1),
            Duration::from_secs(10),
            fastrand::u64(..),
        ),
    };
    let ends = async {
        let name = signal.await;
        tracing::info!("{name}: ending");
        end.pull();
        std::future::pending::<()>().await
    };
    let reloads = async {
        match reload {
            Some(look) => look.await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = serve(listener, parts, shutdown) => {}
        () = ends => {}
        () = reloads => {}
    }
    Ok(ExitCode::SUCCESS)
}
