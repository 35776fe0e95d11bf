//! `btfleet store …`: looking after a store.

mod doctor;
mod forget;
#[cfg(all(feature = "cluster", feature = "s3"))]
mod init;
mod pin;
mod refs;

use crate::cli::StoreTask;
use anyhow::Result;
use std::process::ExitCode;
use std::time::SystemTime;

pub async fn run(task: &StoreTask) -> Result<ExitCode> {
    match task {
        StoreTask::Doctor(args) => doctor::run(args).await,
        StoreTask::Refs(args) => refs::run(args, SystemTime::now()).await,
        StoreTask::Forget(args) => forget::run(args, SystemTime::now()).await,
        StoreTask::Pin(args) => pin::pin(args).await,
        StoreTask::Unpin(args) => pin::unpin(args).await,
        #[cfg(all(feature = "cluster", feature = "s3"))]
        StoreTask::Init(args) => init::run(args).await,
    }
}
