//! What to do next to publish a kernel, from what is known so far: a pure function.
//!
//! The order is the promise: the reference first, so that a collection spares what follows; blobs before
//! the manifest that names them; the index, a mere hint, last. Whoever stops anywhere leaves nothing wrong.

use super::publish::Done;
use std::time::Duration;

/// What was found under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Absent,
    /// It is there, and as far as it was looked at, it is what it should be.
    Same,
    /// It is there and is something else.
    Other,
}

/// What is known so far. `None`: not looked at yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub reference: Option<Done>,
    /// What shows that the kernel is published: its manifest, or of BTF that cannot be read the BTF itself.
    pub sign: Option<Found>,
    /// How long this publisher has waited for it.
    pub waited: Duration,
    pub blobs: Option<Vec<Found>>,
    /// What became of the blobs.
    pub blobs_done: Option<Vec<Done>>,
    pub manifest: Option<Done>,
    /// How often the manifest appeared just when it was to be written.
    pub overtaken: u32,
    pub indexed: bool,
}

/// The kind of publisher that is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Habits {
    /// Replaces a manifest that disagrees, instead of leaving it to a judge.
    pub replaces: bool,
    /// How long it leaves the work to whoever made the reference.
    pub patience: Duration,
    /// There is a manifest to publish.
    pub has_manifest: bool,
}

/// The next thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Make the reference, if absent.
    Reference,
    /// Look whether the kernel is published.
    LookForSign,
    /// Wait a little; then look again.
    Wait,
    /// Look at the blobs.
    LookAtBlobs,
    /// Write those blobs that are absent or wrong.
    WriteBlobs,
    /// Write the manifest if absent.
    WriteManifest,
    /// Write it over what is there.
    ReplaceManifest,
    /// Leave the manifest as it is, and say what was found.
    LeaveManifest(Done),
    /// Make the index entries, if absent.
    Index,
    Finished,
}

/// A manifest that comes and goes this often is somebody's mischief: it is taken as it is.
const OVERTAKEN: u32 = 3;

pub(super) fn next(seen: &Seen, habits: Habits) -> Act {
    let Some(reference) = seen.reference else {
        return Act::Reference;
    };
    let Some(sign) = seen.sign else {
        return Act::LookForSign;
    };
    // Whoever made the reference is at it: hundreds of nodes that boot at once need not all send the bytes.
    let others_turn = reference == Done::Present && seen.waited < habits.patience;
    if sign == Found::Absent && seen.blobs.is_none() && others_turn {
        return Act::Wait;
    }
    if seen.blobs.is_none() {
        return Act::LookAtBlobs;
    }
    if seen.blobs_done.is_none() {
        return Act::WriteBlobs;
    }
    if habits.has_manifest && seen.manifest.is_none() {
        return match sign {
            Found::Same => Act::LeaveManifest(Done::Present),
            Found::Other if habits.replaces => Act::ReplaceManifest,
            Found::Other => Act::LeaveManifest(Done::Disagrees),
            Found::Absent if seen.overtaken >= OVERTAKEN => Act::LeaveManifest(Done::Disagrees),
            Found::Absent => Act::WriteManifest,
        };
    }
    match seen.indexed {
        false => Act::Index,
        true => Act::Finished,
    }
}

/// How long to wait before look number `look` (from 0), `chance` being anything in 0..1: a quarter of a second to half
/// of one at first, then twice as long each time. So whoever waits asks some six times, and no two at once.
pub(super) fn pause(look: u32, chance: f64) -> Duration {
    let base = Duration::from_millis(250).saturating_mul(1 << look.min(4));
    base.mul_f64(1.0 + chance.clamp(0.0, 1.0))
}

/// When patience ends. Whoever made the reference may have died, and then a few of those who wait should begin, be
/// they two or thousands: so the share of those whose patience ends by a time rises as its eighth power. Of 200 the
/// first loses it at half time or so, three within the next fifteenth of it.
pub(super) fn patience(most: Duration, chance: f64) -> Duration {
    most.mul_f64(chance.clamp(0.0, 1.0).sqrt().sqrt().sqrt())
}
