//! Completion for kubectl: `kubectl_complete-btfleet WORDS…`, as kubectl asks its plugins (a line for each
//! candidate, a tab before what describes it, and last `:4`: no names of files).

use super::inventory::cluster;
use crate::cli::{self, Cli};
use btfleet::cluster::watch::each;
use btfleet::cluster::{KernelHeader, Node};
use clap::CommandFactory;
use kube::Client;
use kube::api::ListParams;
use kube::core::Request;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// The longest that somebody at a terminal waits for a list of names.
const PATIENCE: Duration = Duration::from_secs(3);

/// Candidates for the last of the words.
pub async fn run(words: &[String]) -> anyhow::Result<ExitCode> {
    let (last, before) = match words.split_last() {
        Some((last, before)) => (last.as_str(), before),
        None => ("", &[][..]),
    };
    let mut found = match place(before) {
        Place::Command(command) => commands(&command, last),
        Place::Names(kinds) => {
            let named = tokio::time::timeout(PATIENCE, names(kinds)).await;
            named.unwrap_or_default()
        }
        Place::Nothing => Vec::new(),
    };
    found.retain(|(word, _)| word.starts_with(last));
    found.sort();
    let mut out = io::stdout().lock();
    for (word, about) in found {
        match about.is_empty() {
            true => writeln!(out, "{word}")?,
            false => writeln!(out, "{word}\t{about}")?,
        }
    }
    writeln!(out, ":4")?;
    Ok(ExitCode::SUCCESS)
}

/// What may stand next.
enum Place {
    /// A command below this one, or one of its flags.
    Command(Box<clap::Command>),
    Names(Kinds),
    Nothing,
}

#[derive(Clone, Copy)]
enum Kinds {
    /// `NAME`.
    Nodes,
    /// `node/NAME` and kernel ids.
    All,
}

fn place(before: &[String]) -> Place {
    let mut command = Cli::command();
    let mut path = Vec::new();
    for word in before {
        // Names and flags' values lead to no other command.
        if let Some(next) = command.find_subcommand(word) {
            path.push(word.as_str());
            command = next.clone();
        }
    }
    let takes_value = |word: &String| {
        let flag = word.trim_start_matches('-');
        let mut args = command.get_arguments();
        word.starts_with('-')
            && args.any(|a| {
                let is_it = a.get_long() == Some(flag)
                    || a.get_short().is_some_and(|c| flag == c.to_string());
                is_it && a.get_action().takes_values()
            })
    };
    if before.last().is_some_and(takes_value) {
        return Place::Nothing;
    }
    match path.as_slice() {
        ["doctor"] => Place::Names(Kinds::Nodes),
        ["get" | "diff" | "events"] => Place::Names(Kinds::All),
        _ => Place::Command(Box::new(command)),
    }
}

fn commands(command: &clap::Command, last: &str) -> Vec<(String, String)> {
    if last.starts_with('-') {
        let flags = command
            .get_arguments()
            .filter_map(|a| Some((a.get_long()?, a.get_help())));
        let about = |help: Option<&clap::builder::StyledStr>| first_line(help);
        return flags
            .map(|(flag, help)| (format!("--{flag}"), about(help)))
            .collect();
    }
    let below = command.get_subcommands().filter(|c| !c.is_hide_set());
    below
        .map(|c| (c.get_name().to_owned(), first_line(c.get_about())))
        .collect()
}

fn first_line(text: Option<&clap::builder::StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

/// Names in the cluster; none if it cannot be asked.
async fn names(kinds: Kinds) -> Vec<(String, String)> {
    let default = cli::Cluster {
        kubeconfig: None,
        context: None,
    };
    let Ok(Some(client)) = cluster(&default).await else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let prefix = match kinds {
        Kinds::Nodes => "",
        Kinds::All => "node/",
    };
    let node = |node: Node| {
        let about = format!(
            "{}, {}",
            node.state().word(),
            node.status.node_info.kernel_version
        );
        found.push((format!("{prefix}{}", node.metadata.name), about));
    };
    list::<Node>(&client, "/api/v1/nodes", node).await;
    if matches!(kinds, Kinds::All) {
        let kernel = |kernel: KernelHeader| {
            let releases = kernel.status.map(|s| s.releases.join(", "));
            found.push((
                kernel.metadata.name.unwrap_or_default(),
                releases.unwrap_or_default(),
            ));
        };
        list(&client, "/apis/btfleet.dev/v1alpha1/kernelheaders", kernel).await;
    }
    found
}

async fn list<K: serde::de::DeserializeOwned>(
    client: &Client,
    path: &'static str,
    add: impl FnMut(K),
) {
    // Whoever presses Tab is told of names, not of trouble.
    let _ = each(client, &Request::new(path), ListParams::default(), add).await;
}
