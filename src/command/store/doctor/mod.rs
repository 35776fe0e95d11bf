//! `btfleet store doctor`.

mod check;
mod place;
mod probe;
mod report;

use crate::cli::{Role, StoreDoctor, TextFormat};
use anyhow::Result;
use report::Report;
use std::io::{self, Write};
use std::process::ExitCode;

const ROLES: [Role; 3] = [Role::Agent, Role::Controller, Role::Reader];

pub async fn run(args: &StoreDoctor) -> Result<ExitCode> {
    let roles = match args.roles.as_slice() {
        [] => ROLES.to_vec(),
        roles => roles.to_vec(),
    };
    let opened = place::open(&args.store).await?;
    let probed = probe::probe(&opened).await;
    opened.tidy();
    let probed = probed?;
    let mut findings = opened.findings();
    findings.extend(probed.findings);
    let report = Report::new(&opened, findings, &roles, probed.leftovers);
    let out = match args.output {
        TextFormat::Json => format!("{}\n", serde_json::to_string_pretty(&report)?),
        TextFormat::Text => report.text(),
    };
    io::stdout().lock().write_all(out.as_bytes())?;
    Ok(match report.is_well() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
