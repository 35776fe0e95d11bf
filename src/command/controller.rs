//! `btfleet controller`.

use crate::cli;
use anyhow::{Context, Result, bail};
use btfleet::cluster::client::client;
use btfleet::controller::collect::Schedule;
use btfleet::controller::{Clock, Metrics, Parts, Settings, run as control};
use btfleet::ops::{Probe, Pulse, Trigger, on_signal, serve};
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long what keeps the processor busy may hold up the end.
const LINGER: Duration = Duration::from_millis(300);

pub fn run(args: &cli::Controller) -> Result<ExitCode> {
    super::agent::log(&args.log);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Headers are made one at a time; each thread more would keep memory of its own for it.
        .max_blocking_threads(1)
        .build()
        .context("cannot start")?;
    let done = runtime.block_on(work(args));
    runtime.shutdown_timeout(LINGER);
    done
}

async fn work(args: &cli::Controller) -> Result<ExitCode> {
    let signal = on_signal().context("cannot listen to signals")?;
    if args.store.store.is_none() {
        bail!("which store? Give --store s3://BUCKET/PREFIX or file://DIR");
    }
    let client = client().await?;
    let namespace = args.namespace.clone();
    let settings = Settings {
        namespace: namespace.unwrap_or_else(|| client.default_namespace().to_owned()),
        lease: args.lease_name.clone(),
        identity: args.identity.clone().unwrap_or_else(identity),
        cluster_id: args
            .cluster_id
            .as_deref()
            .map(super::agent::cluster_id)
            .transpose()?,
        schedule: Schedule {
            mode: args.collect,
            retention: args.retention,
        },
        verify_every: args.verify_every,
        policies: args.policies.clone(),
        clock: Clock::default(),
        seed: fastrand::u64(..),
    };
    let store = super::open(&args.store).await?;
    let metrics = Metrics::new().context("metrics")?;
    let ready = Probe::failing("starting");
    let live = Pulse::new(Duration::from_secs(60));
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", args.listen))?;
    tracing::info!(
        store = store.place(),
        namespace = settings.namespace,
        identity = settings.identity,
        listen = %args.listen,
        "controller"
    );
    let parts = Parts {
        client,
        store,
        metrics: metrics.clone(),
        ready: ready.clone(),
        live: live.clone(),
    };
    let (trigger, shutdown) = Trigger::new();
    let (end, over) = Trigger::new();
    let health = async {
        let served = serve(listener, metrics.registry(), live, ready, over).await;
        served.context("/livez, /readyz and /metrics")
    };
    let controller = async {
        control(&settings, parts, &shutdown).await;
        // Whoever asks is answered until the Lease is given back.
        end.pull();
        Ok(())
    };
    let ended = async { tokio::try_join!(health, controller) };
    let mut ended = std::pin::pin!(ended);
    tokio::select! {
        done = &mut ended => {
            done?;
        }
        signal = signal => {
            tracing::info!(signal, "asked to end");
            trigger.pull();
            ended.await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// No other process' name: the pod's, and some chance, since a container is started anew under the same one.
fn identity() -> String {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().into_owned();
    format!("{host}_{:08x}", fastrand::u32(..))
}
