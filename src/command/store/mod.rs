//! `btfleet store …`: looking after a store.

mod doctor;

use crate::cli::StoreTask;
use anyhow::Result;
use std::process::ExitCode;

pub async fn run(task: &StoreTask) -> Result<ExitCode> {
    match task {
        StoreTask::Doctor(args) => doctor::run(args).await,
    }
}
