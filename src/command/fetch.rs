//! `btfleet fetch`.

use super::{complain, inventory, note};
use crate::cli::{Fetch, FetchMatch, FetchSource};
use anyhow::{Result, bail};
use btfleet::consumer::{
    Address, Error, Fetched, From, Kept, Match, Matched, Origin, Server, Settings, fetch,
};
use btfleet::ops::Backoff;
use std::process::ExitCode;
use std::time::Duration;

pub async fn run(args: Fetch) -> Result<ExitCode> {
    let settings = Settings {
        node: node(&args)?,
        from: match args.source {
            FetchSource::Auto => From::Auto,
            FetchSource::Own => From::Own,
            FetchSource::Node => From::Node,
        },
        by: match args.by {
            FetchMatch::Digest => Match::Digest,
            FetchMatch::Release => Match::Release,
        },
        timeout: args.timeout,
    };
    let host = args.kernel.source();
    let origin = origin(&args, &settings).await?;
    let pause = Backoff::new(
        Duration::from_millis(500),
        Duration::from_secs(10),
        fastrand::u64(..),
    );
    let fetched = fetch(&settings, &host, origin.as_deref(), pause, note).await;
    match fetched {
        Ok(fetched) => {
            fetched.write(&args.output)?;
            tell(&fetched, &args);
            Ok(ExitCode::from(match fetched.record.matched {
                Matched::Kernel | Matched::Node => 0,
                Matched::Release => 3,
            }))
        }
        Err(e) => {
            complain(&e.to_string());
            Ok(ExitCode::from(match e {
                Error::NoBtf(_) => 4,
                Error::NotReady(..) => 5,
                Error::Unreachable(..) => 6,
                Error::Mismatch(_) => 7,
                _ => 1,
            }))
        }
    }
}

/// The Node's name, which goes into a path.
fn node(args: &Fetch) -> Result<Option<String>> {
    let name = args
        .node_name
        .clone()
        .or_else(|| std::env::var("NODE_NAME").ok());
    let name = name.filter(|name| !name.is_empty());
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b);
    match &name {
        Some(name) if name.len() > 253 || !name.bytes().all(plain) || name.starts_with('.') => {
            bail!("{name:?} is no Node's name")
        }
        _ => Ok(name),
    }
}

/// Who is asked for what this kernel does not say itself.
async fn origin(args: &Fetch, settings: &Settings) -> Result<Option<Box<dyn Origin>>> {
    if settings.from == From::Own {
        return Ok(None);
    }
    if let Some(url) = &args.server {
        let address = Address::new(url, args.server_ca_file.as_deref())?;
        return Ok(Some(Box::new(Server(address))));
    }
    if args.store.store.is_none() {
        return Ok(None);
    }
    let store = super::open(&args.store).await?;
    let cluster = match &settings.node {
        None => None,
        // A pod's account that is not there is no reason to fail: its own BTF may do.
        Some(_) => match inventory::cluster(&args.cluster).await {
            Ok(client) => client.map(Ok),
            Err(e) => Some(Err(format!("{e:#}"))),
        },
    };
    let kept = Kept { store, cluster };
    Ok(Some(Box::new(kept)))
}

fn tell(fetched: &Fetched, args: &Fetch) {
    let record = &fetched.record;
    let how = match record.matched {
        Matched::Kernel => "this kernel's own BTF".to_owned(),
        Matched::Node => format!("what the Node names, from {}", record.source),
        Matched::Release => format!(
            "NOT proven to be this kernel's: the one kernel of its arch and release, from {}",
            record.source
        ),
    };
    note(&format!(
        "{}: kernel {}: {how}",
        args.output.display(),
        record.kernel_id
    ));
}
