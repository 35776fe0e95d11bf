//! What is due: which kernel is collected next, which references are written.

use crate::artifact::BtfDigest;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime};

/// Whether there is collection: `on`, `dry-run` or `off`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// What is due is removed.
    #[default]
    On,
    /// What is due is looked at, and said.
    DryRun,
    /// Nothing is looked at.
    Off,
}

/// Some other word than `on`, `dry-run` and `off`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no mode of collection: on, dry-run and off are")]
pub struct NotAMode(String);

impl FromStr for Mode {
    type Err = NotAMode;

    fn from_str(text: &str) -> Result<Mode, NotAMode> {
        match text {
            "on" => Ok(Mode::On),
            "dry-run" => Ok(Mode::DryRun),
            "off" => Ok(Mode::Off),
            other => Err(NotAMode(other.to_owned())),
        }
    }
}

/// A kernel that no own Node names: one that has a KernelHeader; or has none, but a stray reference
/// ([`OwnRefs::strays`]), or objects in the store and no reference of anyone ([`super::Unclaimed`]), as an unpinned
/// kernel has, or what a publisher left that died.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unused {
    /// The kernel.
    pub kernel: BtfDigest,
    /// Since when, as its KernelHeader's status says; of a stray reference, when that was written.
    pub since: SystemTime,
    /// Since when this leader has seen it so without a break.
    pub seen: Instant,
    /// Its KernelHeader is annotated `btfleet.dev/pin`.
    pub pinned: bool,
    /// When this leader last tried to collect it.
    pub tried: Option<Instant>,
}

/// When kernels are collected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// Whether at all.
    pub mode: Mode,
    /// How long a kernel must have been unused.
    pub retention: Duration,
}

impl Schedule {
    /// How long this leader must have seen a kernel unused: what it watches may be late, and its predecessor's word
    /// of "unused since" a mistake.
    pub const SEEN: Duration = Duration::from_secs(10 * 60);
    /// From one collection to the next.
    pub const GAP: Duration = Duration::from_secs(15 * 60);
    /// From one try of a kernel to the next: others may go on using it for years.
    pub const RETRY: Duration = Duration::from_secs(24 * 60 * 60);

    /// The kernel to be collected next, if one is due: the one that was unused longest. `last` is when the last
    /// collection, of whichever kernel, began. (A wall clock that jumps ahead makes kernels due early; those that
    /// Nodes name are not touched even so.)
    pub fn next(
        &self,
        unused: &[Unused],
        last: Option<Instant>,
        wall: SystemTime,
        now: Instant,
    ) -> Option<BtfDigest> {
        let long = |since: Instant, least| now.saturating_duration_since(since) >= least;
        if self.mode == Mode::Off || last.is_some_and(|last| !long(last, Schedule::GAP)) {
            return None;
        }
        let due = |kernel: &&Unused| {
            !kernel.pinned
                && long(kernel.seen, Schedule::SEEN)
                && kernel
                    .tried
                    .is_none_or(|tried| long(tried, Schedule::RETRY))
                && wall
                    .duration_since(kernel.since)
                    .is_ok_and(|unused| unused >= self.retention)
        };
        let oldest = |kernel: &&Unused| (kernel.since, kernel.kernel);
        let next = unused.iter().filter(due).min_by_key(oldest);
        next.map(|unused| unused.kernel)
    }
}

/// This cluster's references beside what it uses, looked at every [`OwnRefs::EVERY`].
#[derive(Clone, Copy, Debug)]
pub struct OwnRefs<'a> {
    /// Those in the store, and when each was written last, where the store tells.
    pub refs: &'a BTreeMap<BtfDigest, Option<SystemTime>>,
    /// Kernels that own Nodes name.
    pub named: &'a BTreeSet<BtfDigest>,
    /// Kernels that have a KernelHeader.
    pub known: &'a BTreeSet<BtfDigest>,
    /// The kernel that is being collected: nobody else writes its reference.
    pub busy: Option<BtfDigest>,
}

/// A reference that is to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefWrite {
    /// It is missing: write it if absent.
    PutBack(BtfDigest),
    /// It is old: write it over.
    Renew(BtfDigest),
}

impl OwnRefs<'_> {
    /// How often this is looked at.
    pub const EVERY: Duration = Duration::from_secs(10 * 60);
    /// A reference that is older is written anew, so that its age tells whether its cluster lives.
    pub const RENEWED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

    /// What is to be written: the missing references of kernels that Nodes name, and those that are old, but not
    /// stray ones.
    pub fn due(&self, wall: SystemTime) -> Vec<RefWrite> {
        let missing = self.named.iter().filter(|k| !self.refs.contains_key(*k));
        let old = |modified: SystemTime| {
            wall.duration_since(modified)
                .is_ok_and(|age| age > OwnRefs::RENEWED)
        };
        let renewed = self.refs.iter().filter(|(kernel, modified)| {
            (self.named.contains(*kernel) || self.known.contains(*kernel))
                && modified.is_some_and(old)
        });
        let missing = missing.map(|kernel| RefWrite::PutBack(*kernel));
        let renewed = renewed.map(|(kernel, _)| RefWrite::Renew(*kernel));
        let busy = self.busy;
        let free = |write: &RefWrite| {
            let (RefWrite::PutBack(kernel) | RefWrite::Renew(kernel)) = write;
            busy != Some(*kernel)
        };
        missing.chain(renewed).filter(free).collect()
    }

    /// References of kernels that have no KernelHeader and that no Node names, and when each was written: an agent
    /// died between its reference and its Node. Nobody renews them, so they are due ([`Unused`]) in the end.
    pub fn strays(&self) -> Vec<(BtfDigest, SystemTime)> {
        let used = |kernel| self.named.contains(kernel) || self.known.contains(kernel);
        let stray = self.refs.iter().filter(|(kernel, _)| !used(kernel));
        stray
            .filter_map(|(kernel, modified)| Some((*kernel, (*modified)?)))
            .collect()
    }
}
