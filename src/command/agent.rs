//! `btfleet agent`.

use crate::cli;
use anyhow::{Context, Result, bail};
use btfleet::agent::{KubeCluster, Metrics, Parts, Settings, Source, run as publish_for_ever};
use btfleet::artifact::Owner;
use btfleet::cluster::{State, client};
use btfleet::ops::{self, LogFormat, Probe, Pulse, Trigger};
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long what still runs on other threads may hold up the end.
const LINGER: Duration = Duration::from_millis(500);

pub fn run(args: &cli::Agent) -> Result<ExitCode> {
    log(&args.log);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Two blobs are compressed at a time.
        .max_blocking_threads(2)
        .thread_keep_alive(Duration::from_secs(1))
        .build()
        .context("cannot start")?;
    let done = runtime.block_on(work(args));
    // A disk that does not answer must not hold up the end.
    runtime.shutdown_timeout(LINGER);
    done
}

/// Sends the log where the command line says.
pub fn log(args: &cli::Log) {
    let format = match args.log_format {
        cli::TextFormat::Text => LogFormat::Text,
        cli::TextFormat::Json => LogFormat::Json,
    };
    let level = match args.log_level {
        cli::LogLevel::Error => tracing::Level::ERROR,
        cli::LogLevel::Warn => tracing::Level::WARN,
        cli::LogLevel::Info => tracing::Level::INFO,
        cli::LogLevel::Debug => tracing::Level::DEBUG,
        cli::LogLevel::Trace => tracing::Level::TRACE,
    };
    ops::log_to_stderr(format, level);
}

async fn work(args: &cli::Agent) -> Result<ExitCode> {
    // First of all, so that no moment is without it.
    let signal = ops::on_signal().context("cannot handle signals")?;
    tokio::select! {
        biased;
        name = signal => {
            tracing::info!("{name}: ending");
            Ok(ExitCode::SUCCESS)
        }
        done = agent(args) => done,
    }
}

/// Ends only by an error, or with `--once`.
async fn agent(args: &cli::Agent) -> Result<ExitCode> {
    let settings = settings(args)?;
    let metrics = Metrics::new().context("cannot count")?;
    let ready = Probe::failing("this node's kernel is not published yet");
    let live = Pulse::new(Duration::from_secs(60));
    let (_end, shutdown) = Trigger::new();
    let registry = metrics.registry();
    let served = match args.listen {
        None => None,
        Some(address) => {
            let listener = TcpListener::bind(address).await;
            let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
            let served = ops::serve(listener, registry, live.clone(), ready.clone(), shutdown);
            Some(served)
        }
    };
    let client = client::client().await?;
    let parts = Parts {
        source: args.kernel.source(),
        store: super::open(&args.store).await?,
        cluster: KubeCluster::new(client, &settings.node, metrics.clone()),
        metrics,
        ready,
        live,
    };
    let serve = async {
        match served {
            Some(served) => served.await.context("the metrics server ended"),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        done = publish_for_ever(&settings, parts) => match done? {
            State::Ready { .. } | State::NoBtf => Ok(ExitCode::SUCCESS),
            State::Error(why) => bail!("{why}"),
            state => bail!("the Node is {}", state.word()),
        },
        done = serve => done.and_then(|()| bail!("the metrics server ended")),
    }
}

fn settings(args: &cli::Agent) -> Result<Settings> {
    let node = match &args.node_name {
        Some(name) => Some(name.clone()),
        None => std::env::var("NODE_NAME").ok(),
    };
    let Some(node) = node.filter(|name| !name.is_empty()) else {
        bail!(
            "which Node is this? Give --node-name, or NODE_NAME from the pod's spec.nodeName (a fieldRef)"
        );
    };
    if args.store.store.is_none() {
        bail!("where to publish? Give --store s3://BUCKET/PREFIX or file://DIR");
    }
    let cluster_id = args.cluster_id.as_deref().map(cluster_id).transpose()?;
    Ok(Settings {
        node,
        cluster_id,
        arch: Source::arch(),
        spread: args.spread,
        look_every: args.look_every,
        resync_every: args.resync_every,
        once: args.once,
    })
}

/// A cluster's name, from the command line.
pub fn cluster_id(text: &str) -> Result<Owner> {
    let owner: Owner = text.parse()?;
    match owner.pin_name() {
        Some(_) => bail!("--cluster-id {text}: names that begin with pin- are for `publish --pin`"),
        None => Ok(owner),
    }
}
