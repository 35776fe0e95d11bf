//! Getting the running kernel's header and BTF, or a clear no.

use super::origin::{Origin, Trouble};
use super::rules::{self, Decision, Match, Named, No, Own, Running, Why, Word};
use crate::agent::{Source, plan::Finding};
use crate::artifact::{BtfDigest, Generator, HeaderDigest, Release};
use crate::cluster::node::may_be_written;
use crate::ops::Backoff;
use crate::store::{Kernel, KernelError};
use bytes::Bytes;
use serde::Serialize;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long somebody is waited for whose word is welcome and not needed; and the least that one try may take.
const MOMENT: Duration = Duration::from_secs(5);

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The Node that this runs on, where somebody is to be asked about it.
    pub node: Option<String>,
    /// Where to look.
    pub from: From,
    /// How sure it must be.
    pub by: Match,
    /// How long to wait for what may still come. Zero is one try.
    pub timeout: Duration,
}

/// Where to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// This kernel's own BTF where it can be read; otherwise whoever is asked.
    Auto,
    /// This kernel's own BTF alone.
    Own,
    /// Whoever is asked, by what the Node says.
    Node,
}

/// A header and the BTF it belongs to, both checked.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// `vmlinux.h`
    pub header: Bytes,
    /// The kernel's BTF.
    pub btf: Bytes,
    /// What they are and how they were found.
    pub record: Record,
}

/// What was fetched, and how: `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Why this is taken for the running kernel's.
    pub matched: Matched,
    /// Where the BTF was read: `kernel`, a server's URL or a store's place.
    pub source: String,
    /// The Node, where one was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// This boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// The machine, in Kubernetes' spelling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// `uname -r`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_release: Option<String>,
    /// The first 32 digits of the BTF digest.
    pub kernel_id: String,
    /// Of the BTF.
    pub btf_digest: BtfDigest,
    /// Its bytes.
    pub btf_size: usize,
    /// Of the header.
    pub header_digest: HeaderDigest,
    /// Its bytes.
    pub header_size: usize,
    /// That made the header.
    pub generator: Generator,
}

/// Why a header is taken for the running kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Matched {
    /// It was made of the running kernel's own BTF.
    Kernel,
    /// The Node names its digests, in this boot.
    Node,
    /// It bears the arch and release of this kernel, which has no BTF itself. No proof.
    Release,
}

/// Why there is nothing. No byte was handed on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel has no BTF, and nothing stands in for it.
    #[error("{0}")]
    NoBtf(No),
    /// The Node does not speak of this boot yet.
    #[error("{0} (waited {1:.0?})")]
    NotReady(Why, Duration),
    /// Nobody who could give it was reached.
    #[error("{0} (waited {1:.0?})")]
    Unreachable(String, Duration),
    /// What is said and what is there contradict each other.
    #[error("{0}: nothing was written")]
    Mismatch(String),
    /// No header can be made of the BTF.
    #[error("no header can be made of BTF {0}: {1}")]
    Unreadable(BtfDigest, String),
    /// Nobody was given to ask.
    #[error("{0}")]
    Nobody(No),
}

/// How one try ended that may go better.
enum Later {
    Why(Why),
    Trouble(Trouble),
}

impl Later {
    fn text(&self) -> String {
        match self {
            Later::Why(why) => why.to_string(),
            Later::Trouble(trouble) => trouble.to_string(),
        }
    }

    /// The time is up.
    fn end(self, waited: Duration) -> Error {
        match self {
            Later::Why(Why::Away(why)) => Error::Unreachable(why, waited),
            Later::Why(why) => Error::NotReady(why, waited),
            Later::Trouble(Trouble::Away(why)) => Error::Unreachable(why, waited),
            Later::Trouble(Trouble::Wrong(why)) => Error::Mismatch(why),
        }
    }
}

/// Gets the running kernel's header and BTF. `host` is where the kernel describes itself, `origin` who is asked
/// for what it does not say; `tell` hears what is waited for.
///
/// # Errors
/// [`Error`]; nothing unchecked has been handed on.
pub async fn fetch(
    settings: &Settings,
    host: &Source,
    origin: Option<&dyn Origin>,
    mut pause: Backoff,
    mut tell: impl FnMut(&str),
) -> Result<Fetched, Error> {
    let began = Instant::now();
    let (running, own) = look(settings.from, host, &mut tell).await?;
    let origin = origin.filter(|_| settings.from != From::Own);
    let asker = Asker {
        settings,
        running: &running,
        origin,
    };
    if let Some(kernel) = own {
        return asker.own(kernel).await;
    }
    let deadline = began + settings.timeout;
    let mut told = String::new();
    loop {
        let limit = deadline.max(Instant::now() + MOMENT);
        let later = match timeout_at(limit, asker.ask()).await {
            Ok(Ok(fetched)) => return Ok(fetched),
            Ok(Err(Step::Never(e))) => return Err(e),
            Ok(Err(Step::Later(later))) => later,
            Err(_) => Later::Why(Why::Away("no answer in time".to_owned())),
        };
        let pause = pause.pause();
        let now = Instant::now();
        if now + pause > deadline {
            return Err(later.end(now - began));
        }
        let text = later.text();
        if text != told {
            tell(&format!("waiting: {text}"));
            told = text;
        }
        tokio::time::sleep(pause).await;
    }
}

/// What runs here, and its own kernel if it may be and can be read.
async fn look(
    from: From,
    host: &Source,
    tell: &mut impl FnMut(&str),
) -> Result<(Running, Option<Kernel>), Error> {
    let said = host.host();
    let mut running = Running {
        boot_id: said.boot_id,
        arch: Source::arch(),
        // Others are in no index.
        release: said
            .release
            .filter(|r| may_be_written(r))
            .and_then(|r| r.parse().ok()),
        own: Own::Unseen,
    };
    if from == From::Node {
        return Ok((running, None));
    }
    let host = host.clone();
    let examined = tokio::task::spawn_blocking(move || host.examine()).await;
    let (finding, kernel) = examined.expect("reading does not panic");
    match finding {
        Finding::Kernel { said, why: None } => {
            if let Some((header, _)) = said.header {
                running.own = Own::Kernel(said.btf, header);
            }
            Ok((running, kernel))
        }
        Finding::Kernel {
            said,
            why: Some(why),
        } => Err(Error::Unreadable(said.btf, why)),
        Finding::NoBtf => {
            running.own = Own::Absent;
            Ok((running, None))
        }
        Finding::Unreadable(why) => {
            tell(&format!("this kernel's own BTF is not used: {why}"));
            Ok((running, None))
        }
    }
}

/// How one try did not end well.
enum Step {
    Never(Error),
    Later(Later),
}

impl std::convert::From<Trouble> for Step {
    fn from(trouble: Trouble) -> Step {
        Step::Later(Later::Trouble(trouble))
    }
}

fn never(no: No) -> Step {
    Step::Never(match no {
        No::NoBtf(_) => Error::NoBtf(no),
        No::Mismatch(problem) => Error::Mismatch(problem),
        No::Nobody => Error::Nobody(no),
    })
}

struct Asker<'a> {
    settings: &'a Settings,
    running: &'a Running,
    origin: Option<&'a dyn Origin>,
}

impl Asker<'_> {
    async fn word(&self) -> Word {
        match (self.origin, &self.settings.node) {
            (Some(origin), Some(node)) => origin.word(node).await,
            _ => Word::NotAsked,
        }
    }

    /// This kernel's own, compared with what others say of it if they are there to say it.
    async fn own(&self, kernel: Kernel) -> Result<Fetched, Error> {
        let soon = Instant::now() + MOMENT;
        let word = timeout_at(soon, self.word()).await;
        let word = word.unwrap_or(Word::NotAsked);
        let stored = async { self.origin?.stored(&kernel.digest).await };
        let stored = timeout_at(soon, stored).await.ok().flatten();
        match rules::decide(self.running, &word, stored, self.settings.by) {
            Decision::No(No::Mismatch(problem)) => Err(Error::Mismatch(problem)),
            _ => self.made(kernel, Matched::Kernel, "kernel".to_owned()),
        }
    }

    /// One try with the help of others.
    async fn ask(&self) -> Result<Fetched, Step> {
        let word = self.word().await;
        let decision = rules::decide(self.running, &word, None, self.settings.by);
        let wait = |why| Err(Step::Later(Later::Why(why)));
        let origin = match (self.origin, &decision) {
            (_, Decision::No(no)) => return Err(never(no.clone())),
            (_, Decision::Wait(why)) => return wait(why.clone()),
            (Some(origin), _) => origin,
            (None, _) => return Err(never(No::Nobody)),
        };
        match decision {
            Decision::Named(named) => self.named(origin, &named).await,
            Decision::ByRelease(arch, release) => {
                let found = origin.of_release(&arch, &release).await?;
                let btf = rules::only(&arch, &release, &found).map_err(never)?;
                let kernel = kernel(origin.btf(&btf).await?).await;
                let kernel = kernel.map_err(|e| unreadable(btf, &e))?;
                if let Some(made) = &kernel.made {
                    let m = &made.manifest;
                    rules::fits(&arch, m.pointer_size, m.byte_order).map_err(never)?;
                }
                let made = self.made(kernel, Matched::Release, origin.place());
                made.map_err(Step::Never)
            }
            // No own BTF was read, or this would not be asked.
            Decision::Own | Decision::No(_) | Decision::Wait(_) => Err(never(No::Nobody)),
        }
    }

    async fn named(&self, origin: &dyn Origin, named: &Named) -> Result<Fetched, Step> {
        let btf = origin.btf(&named.btf).await?;
        if named.generator != Generator::OWN {
            let node = self.settings.node.as_deref().unwrap_or_default();
            let header = origin.header(node, named).await?;
            return Ok(self.fetched(header, btf, named, Matched::Node, origin.place()));
        }
        // Made here it is sure to be this BTF's, and need not be sent.
        let kernel = kernel(btf).await.map_err(|e| unreadable(named.btf, &e))?;
        let header = kernel.made.as_ref().map(|m| m.manifest.header_digest);
        if header != Some(named.header) {
            let made = header.map(|h| h.to_string()).unwrap_or_default();
            return Err(never(No::Mismatch(format!(
                "the Node says that the header of BTF {} is {}, and it is {made}",
                named.btf, named.header
            ))));
        }
        let made = self.made(kernel, Matched::Node, origin.place());
        made.map_err(Step::Never)
    }

    fn made(&self, kernel: Kernel, matched: Matched, source: String) -> Result<Fetched, Error> {
        let Some(made) = kernel.made else {
            return Err(Error::Unreadable(kernel.digest, "it is raw".to_owned()));
        };
        let named = Named {
            btf: kernel.digest,
            header: made.manifest.header_digest,
            generator: made.manifest.generator,
        };
        Ok(self.fetched(made.header, kernel.btf, &named, matched, source))
    }

    fn fetched(
        &self,
        header: Bytes,
        btf: Bytes,
        named: &Named,
        matched: Matched,
        source: String,
    ) -> Fetched {
        let running = self.running;
        let record = Record {
            matched,
            source,
            node: self.settings.node.clone(),
            boot_id: running.boot_id.clone(),
            arch: running.arch.as_ref().map(|a| a.to_string()),
            kernel_release: running.release.as_ref().map(Release::to_string),
            kernel_id: named.btf.kernel_id().to_string(),
            btf_digest: named.btf,
            btf_size: btf.len(),
            header_digest: named.header,
            header_size: header.len(),
            generator: named.generator,
        };
        Fetched {
            header,
            btf,
            record,
        }
    }
}

fn unreadable(btf: BtfDigest, e: &KernelError) -> Step {
    Step::Never(Error::Unreadable(btf, e.to_string()))
}

/// Makes the header, where nobody waits for the thread.
async fn kernel(btf: Bytes) -> Result<Kernel, KernelError> {
    let made = tokio::task::spawn_blocking(move || Kernel::new(btf)).await;
    made.expect("making a header does not panic")
}
