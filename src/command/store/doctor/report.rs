//! What the doctor says.

use super::ROLES;
use super::check::{Finding, Outcome};
use super::place::Opened;
use crate::cli::Role;
use crate::command::printable;
use clap::ValueEnum;
use serde::Serialize;
use std::fmt::Write as _;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    store: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retries: Option<u64>,
    checks: Vec<Line>,
    roles: Vec<RoleLine>,
    /// Probes that could not be removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    leftovers: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(flatten)]
    finding: Finding,
    #[serde(skip_serializing_if = "Option::is_none")]
    costs: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RoleLine {
    role: String,
    /// Whether the exit code is about it.
    asked: bool,
    ok: bool,
    lacks: Vec<&'static str>,
}

impl Report {
    pub fn new(
        opened: &Opened,
        findings: Vec<Finding>,
        asked: &[Role],
        leftovers: Vec<String>,
    ) -> Report {
        let lacks = |role: Role| {
            let lacking = findings.iter().filter(|f| {
                // What could not be tried, for want of something else, is told but held against nobody: who may
                // not write finds out by reading.
                f.outcome == Outcome::Lacking && f.check.needed_by(role)
            });
            let mut names: Vec<&str> = lacking.map(|f| f.check.name()).collect();
            names.dedup();
            names
        };
        let roles = ROLES.map(|role| RoleLine {
            role: name(role),
            asked: asked.contains(&role),
            ok: lacks(role).is_empty(),
            lacks: lacks(role),
        });
        let is_s3 = opened.is_s3();
        let checks = findings.into_iter().map(|finding| {
            let bad = matches!(finding.outcome, Outcome::Doubtful | Outcome::Lacking);
            Line {
                costs: bad.then(|| finding.check.costs()),
                mend: bad.then(|| finding.check.mend(is_s3)),
                finding,
            }
        });
        let requests = opened.requests();
        Report {
            store: opened.title(),
            requests: requests.map(|r| r.0),
            retries: requests.map(|r| r.1),
            checks: checks.collect(),
            roles: roles.into(),
            leftovers,
        }
    }

    /// Every role asked for has what it needs.
    pub fn is_well(&self) -> bool {
        self.roles.iter().all(|role| role.ok || !role.asked)
    }

    pub fn text(&self) -> String {
        let mut out = format!("store {}\n", printable(&self.store));
        for Line {
            finding,
            costs,
            mend,
        } in &self.checks
        {
            let outcome = match finding.outcome {
                Outcome::Ok => "ok",
                Outcome::Doubtful => "doubtful",
                Outcome::Lacking => "LACKING",
                Outcome::Untried => "untried",
            };
            let name = finding.check.name();
            let detail = printable(&finding.detail);
            // Writing to a string does not fail.
            let _ = writeln!(out, "{outcome:<9}{name:<21}{detail}");
            for (what, text) in [("costs", costs), ("mend", mend)] {
                if let Some(text) = text {
                    let _ = writeln!(out, "{:<9}  {what}: {text}", "");
                }
            }
        }
        for role in self.roles.iter().filter(|role| role.asked) {
            let verdict = match role.ok {
                true => "has all it needs".to_owned(),
                false => format!("lacks: {}", role.lacks.join(", ")),
            };
            let _ = writeln!(out, "{:<12}{verdict}", role.role);
        }
        for key in &self.leftovers {
            let _ = writeln!(out, "left behind, to be removed by hand: {key}");
        }
        if let (Some(requests), Some(retries)) = (self.requests, self.retries) {
            let _ = writeln!(out, "{requests} requests, {retries} of them sent again");
        }
        out
    }
}

fn name(role: Role) -> String {
    let value = role.to_possible_value();
    value.map(|v| v.get_name().to_owned()).unwrap_or_default()
}
