//! BTF and headers as they are sent: read or made once, checked, in each coding that somebody asked for.

use super::cache::{Cache, Held, Weighed};
use super::metrics::Metrics;
use crate::artifact::{BlobError, BtfDigest, HeaderDigest, Manifest, compress};
use crate::btf::Btf;
use crate::consumer::wire::{Kind, Problem};
use crate::dump;
use crate::store::{self, Kernel, ReadError, Store, read};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::io::{self, Write};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Objects that are read from the store at a time.
const READS: usize = 4;
/// Headers that are made and blobs that are compressed at a time.
const WORKS: usize = 2;
/// Different things that may be wanted at a time and are not there yet.
const LOADS: usize = 64;

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// The BTF of this digest.
    Btf(BtfDigest),
    /// The header of this digest, by whichever generator.
    Header(HeaderDigest),
    /// The header that our generator makes of this BTF.
    Made(BtfDigest),
    /// The smallest header with these types, likewise; sorted, each once.
    Minimal(BtfDigest, Vec<String>),
}

/// How it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Coding {
    /// As it is.
    Identity,
    /// zstd with a window of at most 8 MiB (RFC 9659).
    Zstd,
    /// gzip
    Gzip,
}

impl Coding {
    /// As `Content-Encoding` has it; nothing is said of identity.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Coding::Identity => None,
            Coding::Zstd => Some("zstd"),
            Coding::Gzip => Some("gzip"),
        }
    }
}

/// Bytes to send.
#[derive(Debug)]
pub struct Blob {
    /// Coded.
    pub bytes: Bytes,
    /// SHA-256 of what they are uncoded.
    pub identity: [u8; 32],
    /// SHA-256 of them.
    pub sent: [u8; 32],
    /// Of a header made here: what it is and of what.
    pub manifest: Option<Manifest>,
}

impl Weighed for Blob {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// Where blobs come from.
#[derive(Debug)]
pub struct Blobs {
    store: Arc<dyn Store>,
    /// What nodes run.
    whole: Arc<Cache<(What, Coding), Blob>>,
    /// What anybody can think of: it pushes out nothing but its own kind.
    minimal: Arc<Cache<(What, Coding), Blob>>,
    held: Arc<Held>,
    /// The largest blob, uncompressed.
    limit: u64,
    reads: Semaphore,
    works: Semaphore,
    metrics: Metrics,
}

type Answer = Result<Arc<Blob>, Arc<Problem>>;

impl Blobs {
    /// Over a store, with room for so many bytes of blobs. Readers that are slow may hold as much again.
    pub fn new(store: Arc<dyn Store>, room: u64, metrics: Metrics) -> Arc<Blobs> {
        let held = Held::new(room.saturating_mul(2));
        let cache = |room| Cache::new(room, LOADS, held.clone(), metrics.clone());
        Arc::new(Blobs {
            whole: cache(room / 8 * 7),
            minimal: cache(room / 8),
            store,
            limit: room / 4,
            reads: Semaphore::new(READS),
            works: Semaphore::new(WORKS),
            held: held.clone(),
            metrics,
        })
    }

    /// A blob in a coding. A header that is missing is made of `btf`, if that is given: only where our generator
    /// made it.
    ///
    /// # Errors
    /// Why there is none.
    pub fn get(
        self: &Arc<Self>,
        what: &What,
        coding: Coding,
        btf: Option<BtfDigest>,
    ) -> BoxFuture<'static, Answer> {
        let (blobs, what) = (self.clone(), what.clone());
        let cache = match what {
            What::Minimal(..) => self.minimal.clone(),
            _ => self.whole.clone(),
        };
        async move {
            let key = (what.clone(), coding);
            cache
                .get(key, || async move { blobs.load(what, coding, btf).await })
                .await
        }
        .boxed()
    }

    /// A kernel's BTF, for one look at it: it pushes nothing out.
    pub(super) async fn btf_once(&self, digest: &BtfDigest) -> Result<Bytes, Problem> {
        let btf = read::btf(&*self.store, digest, Some(self.limit));
        self.read("btf", btf).await
    }

    /// What all of them may hold together.
    pub(super) fn held(&self) -> Arc<Held> {
        self.held.clone()
    }

    /// Brings the metrics to what is held.
    pub fn measure(&self) {
        self.metrics.held(self.held.bytes());
    }

    async fn load(
        self: Arc<Self>,
        what: What,
        coding: Coding,
        btf: Option<BtfDigest>,
    ) -> Result<Blob, Problem> {
        if coding != Coding::Identity {
            let plain = self.get(&what, Coding::Identity, btf).await;
            let plain = plain.map_err(|e| (*e).clone())?;
            let bytes = plain.bytes.clone();
            let coded = self.work(move || {
                let coded = code(&bytes, coding)?;
                let sent = *HeaderDigest::of(&coded).as_bytes();
                Ok::<_, io::Error>((coded, sent))
            });
            let (coded, sent) = coded.await?.map_err(|e| {
                Problem::new(Kind::Busy, format!("it could not be compressed: {e}"))
            })?;
            return Ok(Blob {
                bytes: self.held.hold(coded),
                identity: plain.identity,
                sent,
                manifest: None,
            });
        }
        match what {
            What::Btf(digest) => {
                let btf = read::btf(&*self.store, &digest, Some(self.limit));
                Ok(self.plain_blob(
                    self.read("btf", btf).await?.into(),
                    *digest.as_bytes(),
                    None,
                ))
            }
            What::Header(digest) => {
                let header = read::header(&*self.store, &digest, Some(self.limit));
                let missing = match self.read("header", header).await {
                    Ok(header) => {
                        return Ok(self.plain_blob(header.into(), *digest.as_bytes(), None));
                    }
                    Err(problem) => problem,
                };
                let from = btf.filter(|_| missing.kind == Kind::Missing.to_string());
                let Some(from) = from else {
                    return Err(missing);
                };
                let made = self.plain(&What::Made(from)).await?;
                match made.identity == *digest.as_bytes() {
                    true => Ok(Blob {
                        bytes: made.bytes.clone(),
                        identity: made.identity,
                        sent: made.sent,
                        manifest: made.manifest.clone(),
                    }),
                    false => Err(Problem::new(
                        Kind::Damaged,
                        format!(
                            "{digest} is named as the header of BTF {from} and is not in the store; the header that this BTF makes is another"
                        ),
                    )),
                }
            }
            What::Made(digest) => {
                let btf = self.plain(&What::Btf(digest)).await?.bytes.clone();
                let made = self.work(move || {
                    let kernel = Kernel::new(btf).map_err(|e| e.to_string())?;
                    kernel.made.ok_or_else(|| "it is raw".to_owned())
                });
                let made = made.await?.map_err(|why| unreadable(&digest, &why))?;
                let digest = *made.manifest.header_digest.as_bytes();
                Ok(self.plain_blob(made.header.into(), digest, Some(made.manifest)))
            }
            What::Minimal(digest, types) => {
                let btf = self.plain(&What::Btf(digest)).await?.bytes.clone();
                let made = self.work(move || {
                    let btf = Btf::parse(&btf).map_err(|e| unreadable(&digest, &e.to_string()))?;
                    let names: Vec<&str> = types.iter().map(String::as_str).collect();
                    let header = dump::header_for(&btf, &names).map_err(|e| match e.type_id() {
                        None => Problem::new(Kind::UnknownType, e.to_string()),
                        Some(_) => unreadable(&digest, &e.to_string()),
                    })?;
                    let digest = *HeaderDigest::of(&header).as_bytes();
                    Ok::<_, Problem>((header, digest))
                });
                let (header, digest) = made.await??;
                Ok(self.plain_blob(header, digest, None))
            }
        }
    }

    async fn plain(self: &Arc<Self>, what: &What) -> Result<Arc<Blob>, Problem> {
        let got = self.get(what, Coding::Identity, None).await;
        got.map_err(|e| (*e).clone())
    }

    /// Bytes that are sent as they are, and whose digest was checked or just computed.
    fn plain_blob(&self, bytes: Vec<u8>, digest: [u8; 32], manifest: Option<Manifest>) -> Blob {
        Blob {
            bytes: self.held.hold(bytes),
            identity: digest,
            sent: digest,
            manifest,
        }
    }

    /// One object of the store.
    async fn read(
        &self,
        object: &str,
        read: impl Future<Output = Result<Bytes, ReadError>>,
    ) -> Result<Bytes, Problem> {
        let _turn = self.reads.acquire().await;
        let got = read.await;
        self.metrics.read(object, got.is_ok());
        got.map_err(|e| problem(&e))
    }

    /// Work for the processor, where nothing waits for the thread.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let _turn = self.works.acquire().await;
        let done = tokio::task::spawn_blocking(work).await;
        // In a released binary a panic ends the process anyhow.
        Ok(done.expect("making a blob does not panic"))
    }
}

fn code(bytes: &[u8], coding: Coding) -> io::Result<Vec<u8>> {
    match coding {
        Coding::Identity => Ok(bytes.to_vec()),
        // What a store holds is another writer's: its bytes could differ from server to server, and one strong
        // ETag names one sequence of bytes.
        Coding::Zstd => compress(bytes),
        Coding::Gzip => {
            let room = Vec::with_capacity(bytes.len() / 3);
            let mut to = GzEncoder::new(room, Compression::default());
            to.write_all(bytes)?;
            to.finish()
        }
    }
}

fn unreadable(btf: &BtfDigest, why: &str) -> Problem {
    let detail = format!("no header can be made of BTF {btf}: {why}");
    Problem::new(Kind::UnreadableBtf, detail)
}

/// What a store's fault is to a client. The details are the log's too: somebody should look.
fn problem(e: &ReadError) -> Problem {
    let kind = match e {
        ReadError::Missing { .. } => Kind::Missing,
        ReadError::Blob {
            source: BlobError::TooLarge { .. },
            ..
        }
        | ReadError::Store(store::Error::TooLarge { .. }) => Kind::TooLarge,
        ReadError::Blob { .. } | ReadError::Manifest { .. } => Kind::Damaged,
        ReadError::Store(e) => of_store(e),
    };
    tracing::warn!(error = %e, "the store does not give what was asked for");
    Problem::new(kind, e.to_string())
}

/// Likewise, for a listing.
pub(super) fn of_store(e: &store::Error) -> Kind {
    match e.is_transient() {
        true => Kind::StoreAway,
        false => Kind::StoreRefused,
    }
}
