//! What the cluster's API server knows: which cluster, and `btfleet kernels` of it.

use super::table::{age, table};
use crate::cli::{self, Kernels, ListFormat};
use anyhow::{Context, Result};
use btfleet::cluster::watch::{Change, Watched, each, watch_some};
use btfleet::cluster::{KernelHeader, client};
use btfleet::ops::Backoff;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::ListParams;
use kube::core::Request;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// The cluster that the command line or the environment names; `None` if there is none.
///
/// One that is named and cannot be used is an error.
pub async fn cluster(args: &cli::Cluster) -> Result<Option<Client>> {
    let named = args.kubeconfig.is_some() || args.context.is_some();
    match client::client_of(args.kubeconfig.as_deref(), args.context.as_deref()).await {
        Ok(client) => Ok(Some(client)),
        Err(client::Error::Config(_)) if !named && !is_configured() => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Somebody meant a cluster to be known here: what is wrong with it must not go unsaid.
fn is_configured() -> bool {
    let home = || Some(std::path::Path::new(&std::env::var_os("HOME")?).join(".kube/config"));
    std::env::var_os("KUBECONFIG").is_some_and(|v| !v.is_empty())
        || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
        || home().is_some_and(|path| path.exists())
}

/// Says which cluster is read.
pub fn say(args: &cli::Cluster) {
    let context = args
        .context
        .as_ref()
        .map(|name| format!(" (context {name})"));
    let place = match &args.kubeconfig {
        Some(path) => path.display().to_string(),
        None => std::env::var("KUBECONFIG").unwrap_or_else(|_| {
            let pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
            if pod { "this pod's" } else { "~/.kube/config" }.to_owned()
        }),
    };
    super::note(&format!(
        "reading cluster {place}{}",
        context.unwrap_or_default()
    ));
}

/// How objects of a kind are shown.
pub struct Shown<K> {
    /// Where the API server has them.
    pub path: &'static str,
    /// `node`, as in `-o name`.
    pub singular: &'static str,
    /// The plural, as JSON has it.
    pub plural: &'static str,
    /// The table's head; the second is for `-o wide`.
    pub heads: [&'static [&'static str]; 2],
    /// One line of it.
    pub cells: fn(&K, bool) -> Vec<String>,
    /// For other programs.
    pub json: fn(&K) -> serde_json::Value,
    /// What sorts them; begins with what must come first.
    pub order: fn(&K) -> (u8, String),
    /// What to say if there are none.
    pub none: &'static str,
}

/// Prints the objects as they are, and with `watch` each that changes.
pub async fn show<K: Watched>(
    client: &Client,
    shown: &Shown<K>,
    selector: Option<&str>,
    output: ListFormat,
    watch: bool,
) -> Result<ExitCode> {
    if watch {
        return follow(client, shown, selector, output).await;
    }
    let mut all: Vec<K> = Vec::new();
    let params = ListParams {
        label_selector: selector.map(str::to_owned),
        ..ListParams::default()
    };
    let listed = each(client, &Request::new(shown.path), params, |k| all.push(k)).await;
    listed.with_context(|| format!("cannot list {}", shown.plural))?;
    all.sort_by_cached_key(shown.order);
    print(shown, &all, output, true)?;
    Ok(ExitCode::SUCCESS)
}

/// All first, then each change as it comes; ends only by a signal or a closed pipe.
async fn follow<K: Watched>(
    client: &Client,
    shown: &Shown<K>,
    selector: Option<&str>,
    output: ListFormat,
) -> Result<ExitCode> {
    // What was printed last of each, so that a Node's heartbeats print nothing.
    let mut printed: BTreeMap<(u8, String), serde_json::Value> = BTreeMap::new();
    let mut first: Option<Vec<K>> = Some(Vec::new());
    let (failed, mut failure) = tokio::sync::mpsc::unbounded_channel();
    let mut one = |change: Change<K>| -> Result<()> {
        match change {
            Change::Is(k) => match &mut first {
                Some(all) => all.push(k),
                None => {
                    let json = (shown.json)(&k);
                    let name = (shown.order)(&k).1;
                    if printed.get(&(0, name.clone())) != Some(&json) {
                        printed.insert((0, name), json);
                        print(shown, &[k], output, false)?;
                    }
                }
            },
            Change::Listed => {
                if let Some(mut all) = first.take() {
                    all.sort_by_cached_key(shown.order);
                    for k in &all {
                        printed.insert((0, (shown.order)(k).1), (shown.json)(k));
                    }
                    print(shown, &all, output, true)?;
                }
            }
            Change::Gone(k) => {
                let name = (shown.order)(&k).1;
                printed.remove(&(0, name.clone()));
                super::note(&format!("{}/{name} is gone", shown.singular));
            }
            Change::Trouble(why) => super::complain(&why),
            Change::Listing => {}
        }
        Ok(())
    };
    let pause = Backoff::new(
        Duration::from_secs(1),
        Duration::from_secs(30),
        fastrand::u64(..),
    );
    let watching = watch_some(client, shown.path, selector, pause, |change| {
        if let Err(e) = one(change) {
            // The receiver lives as long as the watch.
            let _ = failed.send(e);
        }
    });
    tokio::select! {
        () = watching => Ok(ExitCode::SUCCESS),
        Some(e) = failure.recv() => Err(e),
    }
}

fn print<K>(shown: &Shown<K>, all: &[K], output: ListFormat, whole: bool) -> Result<()> {
    let json = || all.iter().map(shown.json).collect::<Vec<_>>();
    let wrap = |all: Vec<serde_json::Value>| serde_json::json!({ shown.plural: all });
    let text = match output {
        ListFormat::Name => all
            .iter()
            .map(|k| format!("{}/{}\n", shown.singular, (shown.order)(k).1))
            .collect(),
        // While watching: one object a line, or a document each.
        ListFormat::Json if !whole => json().iter().map(|v| format!("{v}\n")).collect(),
        ListFormat::Yaml if !whole => {
            let mut text = String::new();
            for value in json() {
                text.push_str("---\n");
                text.push_str(&super::output::yaml(&value)?);
            }
            text
        }
        ListFormat::Json => serde_json::to_string_pretty(&wrap(json()))? + "\n",
        ListFormat::Yaml => super::output::yaml(&wrap(json()))?,
        ListFormat::Table | ListFormat::Wide if all.is_empty() => {
            super::note(shown.none);
            String::new()
        }
        ListFormat::Table | ListFormat::Wide => {
            let wide = output == ListFormat::Wide;
            let heads = shown.heads[usize::from(wide)];
            let head = heads.iter().map(|&cell| cell.to_owned()).collect();
            let mut lines: Vec<Vec<String>> = vec![head];
            lines.extend(all.iter().map(|k| (shown.cells)(k, wide)));
            let text = table(&lines);
            match whole {
                true => text,
                false => text
                    .lines()
                    .skip(1)
                    .map(|line| format!("{line}\n"))
                    .collect(),
            }
        }
    };
    let mut out = io::stdout().lock();
    out.write_all(super::printable_text(&text).as_bytes())?;
    out.flush()?;
    Ok(())
}

/// `btfleet kernels` of a cluster: what `kubectl get kernelheaders` shows.
pub async fn kernels(client: Client, args: &Kernels) -> Result<ExitCode> {
    say(&args.cluster);
    let shown = Shown::<KernelHeader> {
        path: "/apis/btfleet.dev/v1alpha1/kernelheaders",
        singular: "kernelheader",
        plural: "kernels",
        heads: [
            &[
                "NAME", "ARCH", "RELEASES", "NODES", "HEADER", "SIZE", "VERIFIED", "AGE",
            ],
            &[
                "NAME",
                "ARCH",
                "RELEASES",
                "NODES",
                "HEADER",
                "SIZE",
                "VERIFIED",
                "AGE",
                "BTF-DIGEST",
                "BTF-SIZE",
                "UNUSED-SINCE",
            ],
        ],
        cells: |kh, wide| kernel_cells(kh, wide, Timestamp::now()),
        json: |kh| {
            let kh = serde_json::to_value(kh);
            // Strings and numbers only.
            kh.unwrap_or_default()
        },
        order: |kh| (0, kh.metadata.name.clone().unwrap_or_default()),
        none: "no kernels there yet: is the controller running?",
    };
    let selector = args.selector.as_deref();
    show(&client, &shown, selector, args.output, args.watch).await
}

fn kernel_cells(kh: &KernelHeader, wide: bool, now: Timestamp) -> Vec<String> {
    let dash = |text: String| if text.is_empty() { "-".into() } else { text };
    let status = kh.status.clone().unwrap_or_default();
    let display = status.display.unwrap_or_default();
    let verified = status.conditions.iter().find(|c| c.type_ == "Verified");
    let made = kh.metadata.creation_timestamp.as_ref();
    let made = made.map(|t| age(now.as_second() - t.0.as_second()));
    let mut cells = vec![
        kh.metadata.name.clone().unwrap_or_default(),
        dash(status.arch.unwrap_or_default()),
        dash(display.releases),
        status.nodes.to_string(),
        dash(display.header),
        dash(display.size),
        dash(verified.map(|c| c.status.clone()).unwrap_or_default()),
        dash(made.unwrap_or_default()),
    ];
    if wide {
        cells.extend([
            kh.spec.btf_digest.clone(),
            dash(status.btf_size.map(|n| n.to_string()).unwrap_or_default()),
            dash(status.unused_since.unwrap_or_default()),
        ]);
    }
    cells
}
