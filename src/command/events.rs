//! `btfleet events`: what the agents and the controller told of Nodes and KernelHeaders.

use super::inventory::{cluster, say};
use super::printable;
use super::table::{age, table};
use crate::cli::Events;
use anyhow::{Context, Result, bail};
use btfleet::cluster::watch::each;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::ListParams;
use kube::core::Request;
use serde::Deserialize;
use std::io::{self, Write};
use std::process::ExitCode;

/// Who tells, as the field `reportingController` has it.
const TELLERS: [&str; 2] = ["btfleet.dev/agent", "btfleet.dev/controller"];

/// Events about what has no namespace live in this one.
const PATH: &str = "/api/v1/namespaces/default/events";

/// An Event, as core/v1 has it.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Event {
    #[serde(rename = "type")]
    pub kind: String,
    pub reason: String,
    pub message: String,
    pub involved_object: About,
    count: Option<u64>,
    series: Option<Series>,
    event_time: Option<Timestamp>,
    last_timestamp: Option<Timestamp>,
}

/// What an Event is about.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub struct About {
    pub kind: String,
    pub name: String,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Series {
    count: u64,
    last_observed_time: Option<Timestamp>,
}

impl Event {
    /// When it was told last.
    pub fn last(&self) -> Option<Timestamp> {
        let series = self.series.as_ref().and_then(|s| s.last_observed_time);
        series.or(self.last_timestamp).or(self.event_time)
    }

    fn times(&self) -> u64 {
        let series = self.series.as_ref().map(|s| s.count);
        series.or(self.count).unwrap_or(1).max(1)
    }

    fn object(&self) -> String {
        let about = &self.involved_object;
        format!("{}/{}", about.kind.to_lowercase(), about.name)
    }
}

/// btfleet's Events, of one object or of all, the newest last.
pub async fn list(client: &Client, name: Option<&str>) -> kube::Result<Vec<Event>> {
    let mut all: Vec<Event> = Vec::new();
    for teller in TELLERS {
        let mut fields = format!("reportingComponent={teller}");
        if let Some(name) = name {
            fields += &format!(",involvedObject.name={name}");
        }
        let params = ListParams::default().fields(&fields);
        each(client, &Request::new(PATH), params, |e| all.push(e)).await?;
    }
    all.sort_by_key(Event::last);
    Ok(all)
}

pub async fn run(args: Events) -> Result<ExitCode> {
    let Some(client) = cluster(&args.cluster).await? else {
        bail!("no cluster is known here: set KUBECONFIG or give --kubeconfig");
    };
    say(&args.cluster);
    let name = args.name.as_deref();
    // A name goes into a field selector, which has no quotes.
    let name = name.map(|n| n.rsplit_once('/').map_or(n, |(_, name)| name));
    if let Some(name) = name
        && !name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
    {
        bail!("{name:?} is no name of a node or a kernel id");
    }
    let events = list(&client, name).await.context("cannot list Events")?;
    if events.is_empty() {
        let of = name.map_or(String::new(), |name| format!(" about {name}"));
        super::note(&format!(
            "no Events{of}: the API server keeps them for an hour, unless it is told otherwise"
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let head = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "TIMES", "MESSAGE"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    let now = Timestamp::now();
    lines.extend(events.iter().map(|event| {
        let ago = event.last().map(|at| age(now.as_second() - at.as_second()));
        vec![
            ago.unwrap_or_else(|| "-".to_owned()),
            event.kind.clone(),
            event.reason.clone(),
            event.object(),
            event.times().to_string(),
            printable(&event.message).into_owned(),
        ]
    }));
    io::stdout().write_all(table(&lines).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
