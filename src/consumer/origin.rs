//! Where a header comes from that is not this kernel's own: a server, or a store by what the Node says.

use super::http::Address;
use super::rules::{Named, Word};
use super::wire::{KernelList, Kind, NodeKernel, Problem};
use crate::artifact::{
    Arch, BtfDigest, Generator, HeaderDigest, MAX_BLOB, Object, Release, decompress,
};
use crate::cluster::client::{Answer as ApiAnswer, ask};
use crate::cluster::{Node, State};
use crate::store::{ReadError, Store, read};
use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use kube::Client;
use kube::api::GetParams;
use kube::core::Request;
use std::fmt;
use std::sync::Arc;

/// The most that a server's JSON may have.
const MAX_JSON: u64 = 16 << 20;
/// The most that is taken of a blob on its way, compressed or not: ten times what the largest kernels have.
const MAX_WAY: u64 = 64 << 20;

/// What kept somebody from giving what was asked for. Each may pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nobody answered, or not with what was asked for.
    #[error("{0}")]
    Away(String),
    /// What came is not what its digest says: no byte of it was used.
    #[error("{0}")]
    Wrong(String),
}

/// Somebody who can be asked for what is not here.
#[async_trait]
pub trait Origin: fmt::Debug + Send + Sync {
    /// The place, for people.
    fn place(&self) -> String;

    /// What the cluster says of a node.
    async fn word(&self, node: &str) -> Word;

    /// What a store's manifest says of a kernel's header, where that is for this origin to know.
    async fn stored(&self, btf: &BtfDigest) -> Option<(HeaderDigest, Generator)>;

    /// A kernel's BTF, its digest checked.
    async fn btf(&self, digest: &BtfDigest) -> Result<Bytes, Trouble>;

    /// The header that a node names, its digest checked.
    async fn header(&self, node: &str, named: &Named) -> Result<Bytes, Trouble>;

    /// The kernels of an arch and release.
    async fn of_release(&self, arch: &Arch, release: &Release) -> Result<Vec<BtfDigest>, Trouble>;
}

/// `btfleet serve`.
#[derive(Debug)]
pub struct Server(pub Address);

impl Server {
    async fn json<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Result<T, Problem>, String> {
        let answer = self.0.get(path, MAX_JSON).await?;
        let unread = |e: serde_json::Error| {
            format!(
                "{} of {path} is not what btfleet serve says: {e}",
                answer.status
            )
        };
        match answer.status {
            200 => serde_json::from_slice(&answer.body).map(Ok).map_err(unread),
            _ => serde_json::from_slice(&answer.body)
                .map(Err)
                .map_err(unread),
        }
    }

    async fn blob(&self, path: &str, digest: &[u8; 32], what: &str) -> Result<Bytes, Trouble> {
        let away = |problem: String| Trouble::Away(format!("{}: {what}: {problem}", self.place()));
        let answer = self.0.get(path, MAX_WAY).await.map_err(away)?;
        if answer.status != 200 {
            let said = serde_json::from_slice::<Problem>(&answer.body);
            let said = said.map_or(answer.status.to_string(), |p| p.detail);
            return Err(away(said));
        }
        let (digest, zstd) = (*digest, answer.is_zstd);
        let wrong = |e: String| Trouble::Wrong(format!("{}: {what}: {e}", self.place()));
        let checked = tokio::task::spawn_blocking(move || match zstd {
            true => decompress(&answer.body, &digest, MAX_BLOB)
                .map(Bytes::from)
                .map_err(|e| e.to_string()),
            false => match BtfDigest::of(&answer.body).as_bytes() == &digest {
                true => Ok(answer.body),
                false => Err("its contents are wrong".to_owned()),
            },
        });
        checked
            .await
            .expect("decompressing does not panic")
            .map_err(wrong)
    }
}

#[async_trait]
impl Origin for Server {
    fn place(&self) -> String {
        self.0.url().to_owned()
    }

    async fn word(&self, node: &str) -> Word {
        let said = self
            .json::<NodeKernel>(&format!("/v1/nodes/{node}/manifest"))
            .await;
        match said {
            Err(why) => Word::Away(format!("{}: {why}", self.place())),
            Ok(Ok(said)) => Word::Ready {
                boot_id: said.boot_id,
                kernel: Named {
                    btf: said.btf_digest,
                    header: said.header_digest,
                    generator: said.generator,
                },
            },
            Ok(Err(problem)) => match Kind::of(&problem.kind) {
                Some(Kind::UnknownNode) => Word::Unknown,
                Some(Kind::NotReported) => Word::NotReported,
                Some(Kind::Stale) => Word::Stale,
                Some(Kind::NoBtf) => Word::NoBtf(problem.boot_id),
                Some(Kind::NodeError) => Word::Error(problem.detail),
                _ => Word::Away(format!("{}: {}", self.place(), problem.detail)),
            },
        }
    }

    async fn stored(&self, _: &BtfDigest) -> Option<(HeaderDigest, Generator)> {
        // A server believes no manifest: it makes headers itself.
        None
    }

    async fn btf(&self, digest: &BtfDigest) -> Result<Bytes, Trouble> {
        let path = format!("/v1/kernels/{digest}/vmlinux.btf");
        self.blob(&path, digest.as_bytes(), &format!("BTF {digest}"))
            .await
    }

    async fn header(&self, node: &str, named: &Named) -> Result<Bytes, Trouble> {
        let path = format!("/v1/nodes/{node}/vmlinux.h");
        let what = format!("header {}", named.header);
        self.blob(&path, named.header.as_bytes(), &what).await
    }

    async fn of_release(&self, arch: &Arch, release: &Release) -> Result<Vec<BtfDigest>, Trouble> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("arch", arch.as_str())
            .append_pair("release", release.as_str())
            .finish();
        let path = format!("/v1/kernels?{query}");
        match self.json::<KernelList>(&path).await {
            Ok(Ok(list)) => Ok(list.kernels.iter().map(|k| k.btf_digest).collect()),
            // A release that cannot be asked for is no kernel's name.
            Ok(Err(problem)) if Kind::of(&problem.kind) == Some(Kind::Question) => Ok(Vec::new()),
            Ok(Err(problem)) => Err(Trouble::Away(problem.detail)),
            Err(why) => Err(Trouble::Away(format!("{}: {why}", self.place()))),
        }
    }
}

/// A store, and the cluster's API server for what the Node says.
pub struct Kept {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The API server, or why there is none; nobody is asked if there is neither.
    pub cluster: Option<Result<Client, String>>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

fn trouble(e: ReadError) -> Trouble {
    match &e {
        ReadError::Blob { .. } => Trouble::Wrong(e.to_string()),
        _ => Trouble::Away(e.to_string()),
    }
}

#[async_trait]
impl Origin for Kept {
    fn place(&self) -> String {
        self.store.place().to_owned()
    }

    async fn word(&self, node: &str) -> Word {
        let client = match &self.cluster {
            None => return Word::NotAsked,
            Some(Err(why)) => return Word::Away(why.clone()),
            Some(Ok(client)) => client,
        };
        let request = Request::new("/api/v1/nodes").get(node, &GetParams::default());
        let node: Node = match ask(client, request).await {
            Ok(node) => node,
            Err(e) if e.answer == ApiAnswer::Absent => return Word::Unknown,
            Err(e) => return Word::Away(e.to_string()),
        };
        word_of(&node)
    }

    async fn stored(&self, btf: &BtfDigest) -> Option<(HeaderDigest, Generator)> {
        let said = read::manifest(&*self.store, btf, Generator::OWN).await.ok();
        said.map(|m| (m.header_digest, m.generator))
    }

    async fn btf(&self, digest: &BtfDigest) -> Result<Bytes, Trouble> {
        read::btf(&*self.store, digest, None).await.map_err(trouble)
    }

    async fn header(&self, _: &str, named: &Named) -> Result<Bytes, Trouble> {
        let header = read::header(&*self.store, &named.header, None).await;
        header.map_err(trouble)
    }

    async fn of_release(&self, arch: &Arch, release: &Release) -> Result<Vec<BtfDigest>, Trouble> {
        let folder = Object::index_of(arch, release);
        let mut listed = self.store.list(Some(&folder));
        let mut found = Vec::new();
        // Three tell as much as all of them: one, or several.
        while let Some(entry) = listed
            .try_next()
            .await
            .map_err(|e| Trouble::Away(e.to_string()))?
        {
            if let Some(Object::Index(_, _, btf)) = Object::parse(&entry.key) {
                found.push(btf);
            }
            if found.len() == 3 {
                break;
            }
        }
        Ok(found)
    }
}

/// What a Node says, as a reader takes it.
pub fn word_of(node: &Node) -> Word {
    let boot_id = node.status.node_info.boot_id.clone();
    match node.state() {
        State::Ready {
            btf,
            header,
            generator,
        } => Word::Ready {
            boot_id,
            kernel: Named {
                btf,
                header,
                generator,
            },
        },
        State::NoBtf => Word::NoBtf(Some(boot_id)),
        State::Error(reason) => Word::Error(reason),
        State::Stale => Word::Stale,
        State::NotReported(_) => Word::NotReported,
    }
}
