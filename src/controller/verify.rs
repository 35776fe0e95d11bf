//! Verification of one kernel: what the store holds against its digests, and the header made again. What is wrong is
//! put right where the BTF tells how, and removed where only an agent can.

use super::status::{Because, Judged, Verdict};
use crate::artifact::{BtfDigest, Generator, HeaderDigest, Key, Manifest, Object, compress};
use crate::cluster::HeaderStatus;
use crate::store::{self, Kernel, KernelError, Made, ReadError, Store, read};
use bytes::Bytes;
use futures::TryStreamExt;
use std::fmt;
use std::io;
use std::time::SystemTime;

/// So many manifests of one kernel are looked at, the newest generators first: more are nobody's honest work.
const MANIFESTS: usize = 20;
/// So many headers a status lists.
const LISTED: usize = 5;

/// Something that verification had to do. Each counts as a failure of what was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// The BTF is not what its digest says: its manifests and then it itself were removed.
    RemovedBtf(String),
    /// The own generator's header was not what its digest says, and was written anew.
    ReplacedHeader(HeaderDigest),
    /// The own generator's manifest disagreed with the BTF, or could not be read, and was replaced.
    ReplacedManifest(String),
    /// A manifest was removed: it contradicts the BTF or what it names is not there.
    RemovedManifest(Generator, String),
    /// Another generator's header is not what its digest says: its manifest and then it itself were removed.
    RemovedHeader(HeaderDigest),
}

impl Repair {
    /// Which kind of object was wrong, for metrics and Events.
    pub fn object(&self) -> &'static str {
        match self {
            Repair::RemovedBtf(_) => "btf",
            Repair::ReplacedHeader(_) | Repair::RemovedHeader(_) => "header",
            Repair::ReplacedManifest(_) | Repair::RemovedManifest(..) => "manifest",
        }
    }

    /// Every kind there is.
    pub const OBJECTS: [&str; 3] = ["btf", "header", "manifest"];
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Repair::RemovedBtf(why) => write!(
                f,
                "the stored BTF was wrong ({why}) and was removed with its manifests; an agent of a node that runs this kernel brings it back at its next look at the store"
            ),
            Repair::ReplacedHeader(digest) => {
                write!(f, "the stored header {digest} was wrong and was made anew")
            }
            Repair::ReplacedManifest(why) => {
                write!(f, "the manifest was wrong ({why}) and was replaced")
            }
            Repair::RemovedManifest(generator, why) => {
                write!(
                    f,
                    "the manifest of generator {generator} was removed: {why}"
                )
            }
            Repair::RemovedHeader(digest) => write!(
                f,
                "the stored header {digest} of another generator was wrong and was removed with its manifest"
            ),
        }
    }
}

/// Why a kernel could not be verified now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A blob could not be compressed.
    #[error("cannot compress: {0}")]
    Compress(io::Error),
    /// This process may lead no longer.
    #[error("the Lease was not renewed in time")]
    NotLeading,
}

/// What was found, and what was done.
#[derive(Debug)]
pub struct Verification {
    /// What the KernelHeader is to say.
    pub verdict: Verdict,
    /// What was wrong.
    pub repairs: Vec<Repair>,
    /// Objects that were written because they were absent, such as the headers of a new generator.
    pub made: Vec<Object>,
}

/// Verifies a kernel. `leads` is asked before each write.
///
/// # Errors
/// [`VerifyError`]: nothing is known then that was not known before.
pub async fn verify(
    store: &dyn Store,
    digest: BtfDigest,
    wall: SystemTime,
    leads: &(dyn Fn() -> bool + Sync),
) -> Result<Verification, VerifyError> {
    let mut run = Run {
        store,
        digest,
        leads,
        repairs: Vec::new(),
        made: Vec::new(),
    };
    let mut verdict = run.verdict(wall).await?;
    verdict.repaired = run.repairs.iter().map(ToString::to_string).collect();
    Ok(Verification {
        verdict,
        repairs: run.repairs,
        made: run.made,
    })
}

struct Run<'a> {
    store: &'a dyn Store,
    digest: BtfDigest,
    leads: &'a (dyn Fn() -> bool + Sync),
    repairs: Vec<Repair>,
    made: Vec<Object>,
}

impl Run<'_> {
    async fn verdict(&mut self, wall: SystemTime) -> Result<Verdict, VerifyError> {
        let generators = self.generators().await?;
        let bad = |reason, message: String| Verdict {
            at: wall,
            stored: Judged::no(reason, message.clone()),
            verified: Judged::no(reason, message),
            btf_size: None,
            headers: None,
            repaired: Vec::new(),
        };
        let blob = match read::btf(self.store, &self.digest, None).await {
            Ok(blob) => blob,
            Err(ReadError::Store(e)) => match e {
                // Larger than any BTF: wrong, whatever it is.
                store::Error::TooLarge { .. } => {
                    return Ok(bad(
                        Because::BtfWrong,
                        self.remove_btf(generators, e.to_string()).await?,
                    ));
                }
                e => return Err(e.into()),
            },
            Err(ReadError::Missing { .. }) => {
                let why = "its BTF is not in the store";
                self.remove_manifests(generators, why).await?;
                let message = "The BTF is not in the store. An agent of a node that runs this kernel puts it there at its next look, within an hour";
                return Ok(bad(Because::BtfMissing, message.to_owned()));
            }
            Err(e) => {
                let message = self.remove_btf(generators, e.to_string()).await?;
                return Ok(bad(Because::BtfWrong, message));
            }
        };
        let size = blob.len() as u64;
        let made = tokio::task::spawn_blocking(move || Kernel::new(blob)).await;
        // Nothing in it panics, and a runtime that ends drops this future first.
        match made.expect("making a header does not panic") {
            Ok(kernel) => {
                let made = kernel.made.expect("Kernel::new makes a header, or fails");
                self.readable(made, generators, wall).await
            }
            Err(e) => self.unreadable(&e, size, generators, wall).await,
        }
    }

    /// The BTF is right, and so is what is made of it.
    async fn readable(
        &mut self,
        made: Made,
        generators: Vec<Generator>,
        wall: SystemTime,
    ) -> Result<Verdict, VerifyError> {
        let own = made.manifest.clone();
        self.header(&made).await?;
        self.manifest(&own).await?;
        let mut headers = vec![status(&own)];
        for generator in generators {
            if generator == own.generator {
                continue;
            }
            if let Some(manifest) = self.foreign(generator, &own).await? {
                headers.push(status(&manifest));
            }
        }
        headers.sort_by_key(|header| std::cmp::Reverse(header.generator));
        headers.truncate(LISTED);
        let count = headers.len();
        Ok(Verdict {
            at: wall,
            stored: Judged::yes(Because::Whole, "Manifest, BTF and header are in the store"),
            verified: Judged::yes(
                Because::DigestsMatch,
                format!(
                    "The BTF is what its digest says, and so are {count} header(s); that of generator {} was made again",
                    own.generator
                ),
            ),
            btf_size: Some(own.btf_size),
            headers: Some(headers),
            repaired: Vec::new(),
        })
    }

    /// The BTF is right, and nothing can be made of it.
    async fn unreadable(
        &mut self,
        why: &KernelError,
        size: u64,
        generators: Vec<Generator>,
        wall: SystemTime,
    ) -> Result<Verdict, VerifyError> {
        let own: Vec<Generator> = generators
            .into_iter()
            .filter(|g| *g == Generator::OWN)
            .collect();
        self.remove_manifests(own, "no header can be made of its BTF")
            .await?;
        Ok(Verdict {
            at: wall,
            stored: Judged::yes(
                Because::BtfOnly,
                "The BTF is in the store; there is no header of it",
            ),
            verified: Judged::yes(
                Because::Unreadable,
                format!("The BTF is what its digest says, but no header can be made of it: {why}"),
            ),
            btf_size: Some(size),
            headers: Some(Vec::new()),
            repaired: Vec::new(),
        })
    }

    /// The generators that have manifests, the newest first.
    async fn generators(&self) -> Result<Vec<Generator>, VerifyError> {
        let mut found = Vec::new();
        let folder = Object::manifests_of(&self.digest);
        let mut entries = self.store.list(Some(&folder));
        while let Some(entry) = entries.try_next().await? {
            match Object::parse(&entry.key) {
                Some(Object::Manifest(btf, generator)) if btf == self.digest => {
                    found.push(generator);
                }
                _ => {}
            }
        }
        found.sort_by(|a, b| b.cmp(a));
        found.truncate(MANIFESTS);
        Ok(found)
    }

    /// The header that was just made, against the one in the store.
    async fn header(&mut self, made: &Made) -> Result<(), VerifyError> {
        let digest = made.manifest.header_digest;
        let object = Object::Header(digest);
        let there = read::header(self.store, &digest, None).await;
        let is_wrong = match there {
            Ok(_) => return Ok(()),
            Err(ReadError::Missing { .. }) => false,
            Err(ReadError::Store(e)) if !matches!(e, store::Error::TooLarge { .. }) => {
                return Err(e.into());
            }
            Err(_) => true,
        };
        let header = made.header.clone();
        let body = tokio::task::spawn_blocking(move || compress(&header)).await;
        let body = body.expect("compressing does not panic");
        let body = Bytes::from(body.map_err(VerifyError::Compress)?);
        self.fenced()?;
        match is_wrong {
            true => {
                self.store.put(&object.key(), body).await?;
                self.repairs.push(Repair::ReplacedHeader(digest));
            }
            false => {
                self.store.put_if_absent(&object.key(), body).await?;
                self.made.push(object);
            }
        }
        Ok(())
    }

    /// The own generator's manifest, against the one in the store.
    async fn manifest(&mut self, own: &Manifest) -> Result<(), VerifyError> {
        let why = match read::manifest(self.store, &self.digest, own.generator).await {
            Ok(there) if there == *own => return Ok(()),
            Ok(_) => Some("it disagrees with the BTF".to_owned()),
            Err(ReadError::Missing { .. }) => None,
            Err(ReadError::Store(e)) if !matches!(e, store::Error::TooLarge { .. }) => {
                return Err(e.into());
            }
            Err(e) => Some(e.to_string()),
        };
        self.fenced()?;
        let key = own.object().key();
        let body = Bytes::from(own.to_json());
        match why {
            Some(why) => {
                self.store.put(&key, body).await?;
                self.repairs.push(Repair::ReplacedManifest(why));
            }
            None => {
                self.store.put_if_absent(&key, body).await?;
                self.made.push(own.object());
            }
        }
        Ok(())
    }

    /// Another generator's manifest: what it says of the BTF must be true, and its header what its digest says. Gives
    /// the manifest, if it may stay.
    async fn foreign(
        &mut self,
        generator: Generator,
        own: &Manifest,
    ) -> Result<Option<Manifest>, VerifyError> {
        let manifest = match read::manifest(self.store, &self.digest, generator).await {
            Ok(manifest) => manifest,
            Err(ReadError::Missing { .. }) => return Ok(None),
            Err(ReadError::Store(e)) if !matches!(e, store::Error::TooLarge { .. }) => {
                return Err(e.into());
            }
            Err(e) => {
                let why = e.to_string();
                self.remove_manifests(vec![generator], &why).await?;
                return Ok(None);
            }
        };
        let facts = |m: &Manifest| (m.btf_size, m.pointer_size, m.byte_order);
        if facts(&manifest) != facts(own) {
            let why = "it disagrees with the BTF";
            self.remove_manifests(vec![generator], why).await?;
            return Ok(None);
        }
        // Not with the manifest's size: one that is too small would make a right header look wrong.
        let digest = manifest.header_digest;
        match read::header(self.store, &digest, None).await {
            Ok(header) if header.len() as u64 == manifest.header_size => Ok(Some(manifest)),
            Ok(_) => {
                let why = "it is wrong about its header's size";
                self.remove_manifests(vec![generator], why).await?;
                Ok(None)
            }
            Err(ReadError::Missing { .. }) => {
                let why = "its header is not in the store";
                self.remove_manifests(vec![generator], why).await?;
                Ok(None)
            }
            Err(ReadError::Store(e)) if !matches!(e, store::Error::TooLarge { .. }) => {
                Err(e.into())
            }
            Err(e) => {
                let why = e.to_string();
                self.remove_manifests(vec![generator], &why).await?;
                self.remove(&Object::Header(digest).key()).await?;
                self.repairs.push(Repair::RemovedHeader(digest));
                Ok(None)
            }
        }
    }

    /// Manifests first: one must not be there without what it names.
    async fn remove_btf(
        &mut self,
        generators: Vec<Generator>,
        why: String,
    ) -> Result<String, VerifyError> {
        for generator in generators {
            let manifest = Object::Manifest(self.digest, generator);
            self.remove(&manifest.key()).await?;
        }
        self.remove(&Object::Btf(self.digest).key()).await?;
        let repair = Repair::RemovedBtf(why);
        let message = repair.to_string();
        self.repairs.push(repair);
        Ok(message)
    }

    async fn remove_manifests(
        &mut self,
        generators: Vec<Generator>,
        why: &str,
    ) -> Result<(), VerifyError> {
        for generator in generators {
            let manifest = Object::Manifest(self.digest, generator);
            self.remove(&manifest.key()).await?;
            let repair = Repair::RemovedManifest(generator, why.to_owned());
            self.repairs.push(repair);
        }
        Ok(())
    }

    async fn remove(&self, key: &Key) -> Result<(), VerifyError> {
        self.fenced()?;
        Ok(self.store.delete(key).await?)
    }

    fn fenced(&self) -> Result<(), VerifyError> {
        match (self.leads)() {
            true => Ok(()),
            false => Err(VerifyError::NotLeading),
        }
    }
}

fn status(manifest: &Manifest) -> HeaderStatus {
    HeaderStatus {
        generator: i64::from(u32::from(manifest.generator)),
        digest: manifest.header_digest.to_string(),
        size: i64::try_from(manifest.header_size).unwrap_or(i64::MAX),
    }
}
