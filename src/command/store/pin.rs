//! `btfleet store pin` and `unpin`: what a person keeps.

use crate::cli::StorePin;
use crate::command::name::{self, Named, objects};
use crate::command::open;
use anyhow::{Result, bail};
use btfleet::artifact::{BtfDigest, Key, Object, Owner};
use btfleet::store::{Put, Store};
use bytes::Bytes;
use std::io::{self, Write};
use std::process::ExitCode;

pub async fn pin(args: &StorePin) -> Result<ExitCode> {
    let (store, owner) = (open(&args.store).await?, Owner::pin(&args.pin)?);
    for btf in kernels(&*store, &args.names).await? {
        let key = Object::Ref(btf, owner.clone()).key();
        let put = store.put_if_absent(&key, Bytes::new()).await?;
        // A collection may have been faster: a reference to nothing would look like a kernel that is kept.
        if store.head(&Object::Btf(btf).key()).await?.is_none() {
            store.delete(&key).await?;
            bail!(
                "{}: its BTF is not in the store, so there is nothing to keep",
                btf.kernel_id()
            );
        }
        let told = match put {
            Put::Created => "pinned",
            Put::Existed => "was pinned",
        };
        writeln!(io::stdout(), "{}: {told} as {owner}", btf.kernel_id())?;
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn unpin(args: &StorePin) -> Result<ExitCode> {
    let (store, owner) = (open(&args.store).await?, Owner::pin(&args.pin)?);
    for btf in kernels(&*store, &args.names).await? {
        let id = btf.kernel_id();
        let key = Object::Ref(btf, owner.clone()).key();
        if store.head(&key).await?.is_none() {
            bail!("{id} is not pinned as {owner}: `btfleet store refs` tells who keeps it");
        }
        store.delete(&key).await?;
        let left = objects(
            &*store,
            &Key::new(&format!("{}{}/", Object::REFS, btf.hex()))?,
        )
        .await?;
        let left = match left.len() {
            0 => "nobody uses it any more, and a controller may collect it".to_owned(),
            n => format!(
                "{n} other reference{} left",
                if n == 1 { " is" } else { "s are" }
            ),
        };
        writeln!(io::stdout(), "{id}: no longer pinned as {owner}; {left}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All names are understood before anything is changed.
async fn kernels(store: &dyn Store, names: &[String]) -> Result<Vec<BtfDigest>> {
    let mut kernels = Vec::new();
    for name in names {
        match name::expect(store, name).await? {
            Named::Kernel(btf) => kernels.push(btf),
            Named::Header(_) => bail!("{name} is a header: name its kernel"),
        }
    }
    Ok(kernels)
}
