//! `btfleet store init`.

mod gateway;
mod keys;
mod secrets;

use crate::cli::StoreInit;
use crate::command::{inventory, note};
use anyhow::{Context, Result, bail};
use btfleet::ops::Backoff;
use gateway::Gateway;
use keys::{Keys, ROLES, Role, bucket_policy, place, users_of_ours};
use secrets::{Kind, ensure};
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub async fn run(args: &StoreInit) -> Result<ExitCode> {
    let Some(client) = inventory::cluster(&args.cluster).await? else {
        bail!("which cluster? Set KUBECONFIG or give --kubeconfig, or run in a pod");
    };
    let (Some(store), Some(endpoint)) = (&args.store.store, &args.store.s3.endpoint) else {
        bail!("which store? Give --store s3://BUCKET/PREFIX and --s3-endpoint http://HOST:PORT");
    };
    let region = args.store.s3.region.as_deref().unwrap_or("us-east-1");
    let (bucket, prefix) = place(store)?;
    let namespace = match &args.namespace {
        Some(name) => name.clone(),
        None => client.default_namespace().to_owned(),
    };
    let mut told = Told::default();
    loop {
        let done = async {
            let root = ensure(&client, &namespace, &args.root_secret, Kind::Root).await?;
            told.made("Secret", &args.root_secret, root.1);
            let mut people = Vec::new();
            for role in ROLES {
                let name = match role {
                    Role::Agent => &args.agent_secret,
                    Role::Controller => &args.controller_secret,
                    Role::Server => &args.server_secret,
                };
                let (keys, made) = ensure(&client, &namespace, name, Kind::Of(role)).await?;
                told.made("Secret", name, made);
                people.push((role, keys));
            }
            let gateway = Gateway::new(endpoint, region, root.0)?;
            wait_for(&gateway, args.timeout).await?;
            set_up(&gateway, &bucket, &prefix, &people, &mut told).await
        };
        let done = done.await;
        match (done, args.every) {
            (Ok(()), None) => return Ok(ExitCode::SUCCESS),
            (Ok(()), Some(every)) => {
                told.first = false;
                tokio::time::sleep(every).await;
            }
            (Err(e), None) => return Err(e),
            // It has all the time there is.
            (Err(e), Some(every)) => {
                note(&format!("{e:#}"));
                tokio::time::sleep(every).await;
            }
        }
    }
}

/// What was said: each step in a line; later, only what was done.
struct Told {
    first: bool,
}

impl Default for Told {
    fn default() -> Told {
        Told { first: true }
    }
}

impl Told {
    fn made(&self, what: &str, name: &str, made: bool) {
        match (made, self.first) {
            (true, _) => println!("{what} {name}: made"),
            (false, true) => println!("{what} {name}: there already"),
            (false, false) => {}
        }
    }
}

/// Until the root user is known there.
async fn wait_for(gateway: &Gateway, patience: Duration) -> Result<()> {
    let began = Instant::now();
    let mut pause = Backoff::new(
        Duration::from_millis(500),
        Duration::from_secs(15),
        fastrand::u64(..),
    );
    let mut said = String::new();
    loop {
        let trouble = match gateway.send("GET", "/", "").await {
            Ok(answer) if answer.is_ok() => return Ok(()),
            // Also where it does not know the keys: somebody may be about to start it anew with those of the Secret.
            Ok(answer) => answer.problem(),
            Err(e) => e.to_string(),
        };
        if trouble != said {
            note(&format!("waiting for {}: {trouble}", gateway.endpoint()));
            said.clone_from(&trouble);
        }
        if began.elapsed() > patience {
            bail!(
                "{} was not ready within {} s: {trouble}. Does the store's pod run?",
                gateway.endpoint(),
                patience.as_secs()
            );
        }
        tokio::time::sleep(pause.pause()).await;
    }
}

/// Users, bucket, and who may do what in it.
async fn set_up(
    gateway: &Gateway,
    bucket: &str,
    prefix: &str,
    people: &[(Role, Keys)],
    told: &mut Told,
) -> Result<()> {
    for (role, keys) in people {
        let made = gateway.add_user(keys).await;
        let made = made.with_context(|| format!("user {} ({})", keys.access, role.word()))?;
        told.made("user", &keys.access, made);
    }
    let made = gateway.add_bucket(bucket).await;
    told.made(
        "bucket",
        bucket,
        made.with_context(|| format!("bucket {bucket}"))?,
    );
    let policy = bucket_policy(bucket, prefix, people);
    let put = gateway.put_policy(bucket, &policy).await;
    put.with_context(|| format!("policy of bucket {bucket}"))?;
    if told.first {
        println!("policy of bucket {bucket}: each user may what its role needs");
    }
    // Of Secrets that were removed or changed since.
    let named: Vec<&str> = people.iter().map(|(_, k)| k.access.as_str()).collect();
    for user in users_of_ours(&gateway.users().await.context("users")?) {
        if !named.contains(&user.as_str()) {
            let removed = gateway.remove_user(&user).await;
            removed.with_context(|| format!("user {user}"))?;
            println!("user {user}: removed, no Secret names it");
        }
    }
    for (role, keys) in people {
        let as_role = gateway.as_user(keys.clone());
        let tried = as_role.list(bucket, prefix).await;
        tried.with_context(|| format!("the {}'s keys do not work", role.word()))?;
    }
    if told.first {
        println!("all three users' keys work");
    }
    Ok(())
}
