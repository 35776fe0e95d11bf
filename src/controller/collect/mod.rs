//! Collection: removing from the store what no Node and no reference names any more.
//!
//! Everything here is decided, nothing done: a [`Plan`] says the next [`Step`], a small loop elsewhere does it and
//! hands back what it [`Seen`]. Time comes in as a [`Moment`]. The same plans are searched exhaustively by
//! `tests/it/collection`, against publishing agents, people, other clusters and crashes.
//!
//! **Why it holds.** A publisher writes its claim (its reference, its Node's annotation), and then looks whether all
//! objects are there. A collector removes, and then looks whether there is a claim. Whichever looks last sees the
//! other. Before anything is removed it is set aside ([`Object::Aside`]), in the store and not in memory: so a claim
//! that was seen late is met in full, by this leader or, if it dies, by the next. And the first thing set aside is the
//! own reference: it marks the kernel as being collected, and of two clusters that do, one sees the other's mark.
//!
//! **What the loop around it promises.**
//! 1. One plan of a cluster at a time, and nothing else is written about its kernel meanwhile. [`Resume`] comes first
//!    under each leader, and again after a plan that broke off, by a failed step too (its request may still take
//!    effect); no sooner than [`TAKEOVER`] after the Lease was got, or the plan broke off.
//! 2. A write is sent right after the plan asked for it, and is given up, retries included, after [`DEADLINE`].
//! 3. [`Step::Look`] reads what is there when it is asked, not a watch: the store's listing, Nodes by quorum.

mod collection;
mod due;
mod resume;
mod sweep;
mod undo;

use crate::artifact::{BtfDigest, HeaderDigest, Key, Object};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

pub use collection::Collection;
pub use due::{Mode, NotAMode, OwnRefs, RefWrite, Schedule, Unused};
pub use resume::Resume;
pub use sweep::{Sweep, Unclaimed};

/// Nothing is removed on looks, and nothing written on a Lease, that are older than this.
pub const FENCE: Duration = Duration::from_secs(10);

/// A write has taken effect, or never will, this long after it was sent.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// How long a leader waits before [`Resume`]: what the last leader, or the plan that broke off, has sent is settled by
/// then. The last one sends nothing later than [`FENCE`] after its last renewal, and [`DEADLINE`] bounds the sending.
pub const TAKEOVER: Duration = Duration::from_secs(60);

/// A decision that takes several steps.
pub trait Plan {
    /// The next step, after `seen` came of the last one ([`Seen::Nothing`] at first). A step that failed ends the
    /// plan: it is dropped, and [`Resume`] comes before the next one.
    fn next(&mut self, seen: Seen, at: Moment) -> Step;
}

/// Now, on this process' monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time.
    pub now: Instant,
    /// When the Lease was renewed last: the time at which that request was sent.
    pub lease: Instant,
}

impl Moment {
    fn leads(self) -> bool {
        self.now.saturating_duration_since(self.lease) <= FENCE
    }
}

/// What is to be done next.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Step {
    /// List the kernel's references, its manifests, and what others have set aside; read its KernelHeader and all own
    /// Nodes, by quorum. In any order. Gives [`Seen::Claims`].
    Look(BtfDigest),
    /// List a folder. Gives [`Seen::Objects`].
    List(Key),
    /// Read a manifest. Gives [`Seen::Names`].
    Read(BtfDigest, Object),
    /// List and read all manifests; one that cannot be read is an error. Gives [`Seen::Named`].
    ReadAll,
    /// Write an empty object if absent. Gives [`Seen::Done`].
    Put(Object),
    /// Copy an object's bytes as they are, if there is none yet. Gives [`Seen::Done`], or [`Seen::Absent`] where there
    /// is nothing to copy.
    Copy {
        /// What is copied.
        from: Object,
        /// Its copy.
        to: Object,
    },
    /// Remove an object. One that is not there is no error. Gives [`Seen::Done`].
    Remove(Object),
    /// Remove the kernel's KernelHeader. One that is not there is no error. Gives [`Seen::Done`].
    RemoveKernelHeader(BtfDigest),
    /// There is nothing more to do.
    End(Outcome),
}

impl Step {
    fn writes(&self) -> bool {
        match self {
            Step::Look(_) | Step::List(_) | Step::Read(..) | Step::ReadAll | Step::End(_) => false,
            Step::Put(_) | Step::Copy { .. } | Step::Remove(_) | Step::RemoveKernelHeader(_) => {
                true
            }
        }
    }

    /// This step, or none if it would write and the Lease is old.
    fn fenced(self, at: Moment) -> Step {
        match self.writes() && !at.leads() {
            true => Step::End(Outcome::CutShort("the Lease was not renewed in time")),
            false => self,
        }
    }
}

/// What came of a step.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Seen {
    /// No step was taken yet.
    Nothing,
    /// It is done.
    Done,
    /// There was nothing to copy.
    Absent,
    /// Who wants the kernel.
    Claims(Claims),
    /// The objects in a folder.
    Objects(Vec<Object>),
    /// The header that a manifest names; `None` if the manifest is gone, or says nothing that can be read.
    Names(Option<HeaderDigest>),
    /// The headers that any manifest names.
    Named(BTreeSet<HeaderDigest>),
}

/// Who wants a kernel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Claims {
    /// There is this cluster's reference.
    pub own: bool,
    /// There is a reference of another cluster, or a person's pin.
    pub others: bool,
    /// An own Node names it, in whatever state that Node is.
    pub named: bool,
    /// Its KernelHeader is annotated `btfleet.dev/pin`.
    pub pinned: bool,
    /// It has a manifest.
    pub published: bool,
    /// Another cluster has set its reference to this kernel aside: it is collecting the kernel.
    pub rival: bool,
}

impl Claims {
    fn here(self) -> bool {
        self.named || self.pinned
    }
}

/// How a plan ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// A Node of this cluster names the kernel, or it is pinned here: it stays.
    Kept,
    /// Others want the kernel: only this cluster's reference was removed, if there was one.
    Shared,
    /// Another cluster is collecting it.
    Rival,
    /// It would have been removed, but for the dry run.
    Would,
    /// It was claimed while it was removed, and is whole again.
    PutBack,
    /// It was removed.
    Collected,
    /// So many headers were removed for good.
    Swept(usize),
    /// So many headers would have been removed, but for the dry run.
    WouldSweep(usize),
    /// So many objects that a plan before this one had set aside were put back.
    Resumed(usize),
    /// The plan broke off, for this reason; [`Resume`] must come next.
    CutShort(&'static str),
}
