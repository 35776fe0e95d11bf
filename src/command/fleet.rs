//! Kernels that the cluster knows by name, and their bytes: out of the store that was named, or from btfleet's server
//! by way of the API server, which takes a person there without a port of their own. The digests are the API
//! server's word; whatever brings the bytes, they are checked against them.

use super::{aside, inventory, node, note};
use crate::cli;
use anyhow::{Context, Result, bail};
use btfleet::artifact::{BtfDigest, Generator, HeaderDigest, MAX_BLOB, Release};
use btfleet::btf::Btf;
use btfleet::cluster::watch::each;
use btfleet::cluster::{KernelHeader, KernelHeaderStatus};
use btfleet::store::{Store, read};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use kube::Client;
use kube::api::ListParams;
use kube::core::Request;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// A kernel of the cluster.
pub struct Kernel {
    btf: BtfDigest,
    header: Option<(HeaderDigest, Generator)>,
    from: From,
}

enum From {
    Store(Arc<dyn Store>),
    /// What the server calls it, below `/v1/`.
    Server(Client, String),
}

/// The kernel that a name means in the cluster. `None` if the cluster was not asked: a store was named, or no
/// cluster is known here; a node's name is always the cluster's.
pub async fn find(args: &cli::Cluster, store: &cli::Store, name: &str) -> Result<Option<Kernel>> {
    let on = name.strip_prefix("node/");
    if on.is_none() && store.store.is_some() {
        return Ok(None);
    }
    let Some(client) = inventory::cluster(args).await? else {
        match on {
            Some(_) => {
                bail!("{name}: no cluster is known here: set KUBECONFIG or give --kubeconfig")
            }
            None => return Ok(None),
        }
    };
    let (btf, header, route) = match on {
        Some(on) => {
            let (btf, header) = node::kernel_of(&client, on).await?;
            (btf, Some(header), format!("nodes/{on}"))
        }
        None => {
            let (btf, header) = of_inventory(&client, name).await?;
            (btf, header, format!("kernels/{btf}"))
        }
    };
    let from = match &store.store {
        Some(_) => From::Store(super::open_to_read(store).await?),
        None => {
            inventory::say(args);
            From::Server(client, route)
        }
    };
    Ok(Some(Kernel { btf, header, from }))
}

/// All kernels of the cluster's inventory. `None` if the cluster was not asked: a store was named, or no cluster is known
/// here.
pub async fn all(
    args: &cli::Cluster,
    store: &cli::Store,
) -> Result<Option<Vec<(Kernel, KernelHeaderStatus)>>> {
    if store.store.is_some() {
        return Ok(None);
    }
    let Some(client) = inventory::cluster(args).await? else {
        return Ok(None);
    };
    inventory::say(args);
    let mut found = Vec::new();
    let request = Request::new("/apis/btfleet.dev/v1alpha1/kernelheaders");
    let add = |kernel: KernelHeader| {
        if let Some(btf) = kernel.btf() {
            let from = From::Server(client.clone(), format!("kernels/{btf}"));
            let header = None;
            found.push((
                Kernel { btf, header, from },
                kernel.status.unwrap_or_default(),
            ));
        }
    };
    let listed = each(&client, &request, ListParams::default(), add).await;
    listed.context("cannot list KernelHeaders")?;
    Ok(Some(found))
}

/// The one KernelHeader that a name fits.
async fn of_inventory(
    client: &Client,
    name: &str,
) -> Result<(BtfDigest, Option<(HeaderDigest, Generator)>)> {
    let mut found: Vec<(BtfDigest, Option<(HeaderDigest, Generator)>)> = Vec::new();
    let request = Request::new("/apis/btfleet.dev/v1alpha1/kernelheaders");
    let add = |kernel: KernelHeader| {
        if let Some(btf) = kernel.btf()
            && let Some(header) = fits(&kernel, &btf, name)
        {
            found.push((btf, header));
        }
    };
    let listed = each(client, &request, ListParams::default(), add).await;
    listed.context("cannot list KernelHeaders")?;
    match found.as_slice() {
        [one] => Ok(*one),
        [] => bail!("no kernel {name:?} in the cluster: `btfleet kernels` lists what is there"),
        several => {
            let ids: Vec<String> = several
                .iter()
                .map(|(btf, _)| btf.kernel_id().to_string())
                .collect();
            bail!(
                "{name:?} fits {} kernels: {}; give one of these",
                ids.len(),
                ids.join(", ")
            )
        }
    }
}

/// Fewest digits of a kernel id that are taken for one.
const SHORTEST: usize = 8;

/// Whether a KernelHeader is what a name means; and then which of its headers.
fn fits(
    kernel: &KernelHeader,
    btf: &BtfDigest,
    name: &str,
) -> Option<Option<(HeaderDigest, Generator)>> {
    let status = kernel.status.as_ref();
    let headers = status.iter().flat_map(|s| &s.headers).filter_map(|h| {
        let generator = Generator::new(u32::try_from(h.generator).ok()?).ok()?;
        Some((h.digest.parse::<HeaderDigest>().ok()?, generator))
    });
    let headers: Vec<(HeaderDigest, Generator)> = headers.collect();
    let newest = headers
        .iter()
        .max_by_key(|(_, generator)| *generator)
        .copied();
    if name.starts_with("sha256:") {
        if btf.to_string() == name {
            return Some(newest);
        }
        let named = headers
            .into_iter()
            .find(|(digest, _)| digest.to_string() == name);
        return named.map(Some);
    }
    let runs = |release: &str| status.is_some_and(|s| s.releases.iter().any(|r| r == release));
    if let Some(rest) = name.strip_prefix("release/") {
        let (arch, release) = rest.split_once('/')?;
        let arch: btfleet::artifact::Arch = arch.parse().ok()?;
        let is_arch = status.and_then(|s| s.arch.as_deref()) == Some(&arch.to_string());
        return (is_arch && runs(release)).then_some(newest);
    }
    let is_id = name.len() >= SHORTEST && btf.hex().starts_with(name);
    let is_release = name.parse::<Release>().is_ok() && runs(name);
    (is_id || is_release).then_some(newest)
}

impl Kernel {
    /// Which it is.
    pub fn digest(&self) -> BtfDigest {
        self.btf
    }

    /// Its BTF, checked.
    pub async fn btf(&self) -> Result<Bytes> {
        let bytes = match &self.from {
            From::Store(store) => return Ok(read::btf(&**store, &self.btf, None).await?),
            From::Server(client, route) => get(client, &format!("{route}/vmlinux.btf")).await?,
        };
        let got = BtfDigest::of(&bytes);
        if got != self.btf {
            bail!(
                "the server gave BTF {got} for {}: nothing was written",
                self.btf
            );
        }
        Ok(bytes)
    }

    /// Its header, checked; of this generator, or of the one that the cluster names.
    pub async fn header(&self, generator: Option<Generator>) -> Result<Bytes> {
        let named = self
            .header
            .filter(|(_, g)| generator.is_none_or(|asked| asked == *g));
        let Some((digest, _)) = named else {
            if let Some(asked) = generator.filter(|asked| *asked != Generator::OWN) {
                bail!("the cluster names no header of generator {asked} for this kernel");
            }
            // Nobody names one: it is a pure function of the BTF.
            let btf = self.btf().await?;
            let make = move || Ok::<_, anyhow::Error>(btfleet::dump::header(&Btf::parse(&btf)?)?);
            return Ok(aside(make).await?.into());
        };
        let bytes = match &self.from {
            From::Store(store) => return Ok(read::header(&**store, &digest, None).await?),
            From::Server(client, route) => get(client, &format!("{route}/vmlinux.h")).await?,
        };
        let got = HeaderDigest::of(&bytes);
        if got != digest {
            bail!("the server gave header {got} for {digest}: nothing was written");
        }
        Ok(bytes)
    }

    /// Its manifest: what the server or the store says, which is a hint.
    pub async fn manifest(&self, generator: Option<Generator>) -> Result<Bytes> {
        match &self.from {
            From::Store(store) => {
                let named = self.header.map(|(_, generator)| generator);
                let generator = generator.or(named).unwrap_or(Generator::OWN);
                let manifest = read::manifest(&**store, &self.btf, generator).await?;
                Ok(manifest.to_json().into())
            }
            From::Server(client, route) => get(client, &format!("{route}/manifest")).await,
        }
    }
}

/// Service, as far as it says how to get there.
#[derive(Deserialize)]
struct Service {
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata {
    name: String,
    namespace: String,
}

/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// Gets a file of btfleet's server through the API server's proxy of its Service.
async fn get(client: &Client, path: &str) -> Result<Bytes> {
    let labels = "app.kubernetes.io/name=btfleet,app.kubernetes.io/component=server";
    let mut services: Vec<Service> = Vec::new();
    let request = Request::new("/api/v1/services");
    let params = ListParams::default().labels(labels);
    let listed = each(client, &request, params, |s| services.push(s)).await;
    listed.context("cannot find btfleet's server; --store reads the store itself")?;
    let Some(service) = services.first() else {
        bail!("no Service of btfleet's server in this cluster: --store reads the store itself");
    };
    let Metadata { name, namespace } = &service.metadata;
    let url = format!("/api/v1/namespaces/{namespace}/services/http:{name}:http/proxy/v1/{path}");
    let who = format!("the server {namespace}/{name}");
    note(&format!("reading {path} from {who}"));
    let request = http::Request::get(&url).body(kube::client::Body::empty())?;
    let sent = tokio::time::timeout(SILENCE, client.send(request));
    let response = sent
        .await
        .with_context(|| format!("{who} does not answer"))??;
    let status = response.status();
    let mut body = response.into_body();
    let mut bytes = BytesMut::new();
    let broke = || format!("{who} broke off");
    while let Some(frame) = tokio::time::timeout(SILENCE, body.frame())
        .await
        .with_context(broke)?
    {
        if let Ok(data) = frame.with_context(broke)?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() as u64 > MAX_BLOB {
            bail!("{who} sends more than {MAX_BLOB} bytes");
        }
    }
    if !status.is_success() {
        bail!("{who} answered {status}: {}", said(&bytes));
    }
    Ok(bytes.freeze())
}

/// What an error's body says: a problem as the server writes it, or a Status of the API server.
fn said(body: &[u8]) -> String {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Said {
        title: String,
        detail: String,
        message: String,
    }
    let said: Said = serde_json::from_slice(body).unwrap_or_default();
    let parts = [said.title, said.detail, said.message];
    let parts: Vec<String> = parts.into_iter().filter(|p| !p.is_empty()).collect();
    match parts.is_empty() {
        true => String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned(),
        false => parts.join(": "),
    }
}
