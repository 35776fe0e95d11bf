//! What to do next to publish a kernel, from what is known so far: a pure function.
//!
//! The order is the promise: the reference first, so that a collection spares what follows; blobs before
//! the manifest that names them; the index, a mere hint, last. Whoever stops anywhere leaves nothing wrong.

use super::publish::Done;
use std::time::Duration;

/// What was found under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Found {
    Absent,
    /// It is there, and as far as it was looked at, it is what it should be.
    Same,
    /// It is there and is something else.
    Other,
}

/// What is known so far. `None`: not looked at yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// A store of one kernel's objects, and publishers of it that may die after every single write.
    #[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
    struct World {
        reference: bool,
        btf: bool,
        header: bool,
        manifest: bool,
        index: bool,
        publishers: [Seen; 3],
    }

    const HABITS: Habits = Habits {
        replaces: false,
        patience: Duration::from_secs(2),
        has_manifest: true,
    };

    fn put(there: &mut bool) -> Done {
        match std::mem::replace(there, true) {
            true => Done::Present,
            false => Done::Wrote,
        }
    }

    fn found(there: bool) -> Found {
        match there {
            true => Found::Same,
            false => Found::Absent,
        }
    }

    /// The worlds that one step of one publisher leads to. Writing two blobs is done in either order, or cut
    /// short between them.
    fn step(world: &World, who: usize) -> Vec<World> {
        let mut next = world.clone();
        let mut seen = next.publishers[who].clone();
        let act = super::next(&seen, HABITS);
        match act {
            Act::Reference => seen.reference = Some(put(&mut next.reference)),
            Act::LookForSign => seen.sign = Some(found(next.manifest)),
            Act::Wait => {
                seen.waited += Duration::from_secs(1);
                seen.sign = None;
            }
            Act::LookAtBlobs => seen.blobs = Some(vec![found(next.btf), found(next.header)]),
            Act::WriteBlobs => {
                let mut cut = Vec::new();
                let absent: Vec<bool> = seen
                    .blobs
                    .iter()
                    .flatten()
                    .map(|f| *f == Found::Absent)
                    .collect();
                for (btf, header) in [(true, false), (false, true)] {
                    let mut other = next.clone();
                    other.btf |= btf && absent[0];
                    other.header |= header && absent[1];
                    // It is dead, and begins anew.
                    other.publishers[who] = Seen::default();
                    cut.push(other);
                }
                next.btf |= absent[0];
                next.header |= absent[1];
                seen.blobs_done = Some(vec![Done::Wrote; 2]);
                next.publishers[who] = seen;
                cut.push(next);
                return cut;
            }
            Act::WriteManifest => match put(&mut next.manifest) {
                Done::Wrote => seen.manifest = Some(Done::Wrote),
                _ => {
                    seen.sign = None;
                    seen.overtaken += 1;
                }
            },
            Act::ReplaceManifest => unreachable!("agents replace nothing"),
            Act::LeaveManifest(done) => seen.manifest = Some(done),
            Act::Index => {
                next.index = true;
                seen.indexed = true;
            }
            Act::Finished => return vec![],
        }
        next.publishers[who] = seen;
        vec![next]
    }

    #[test]
    fn three_publishers_that_die_anywhere_never_leave_a_manifest_without_blobs_and_always_finish() {
        let mut known = HashSet::new();
        let mut todo = vec![World::default()];
        let mut finished = 0;
        while let Some(world) = todo.pop() {
            if !known.insert(world.clone()) {
                continue;
            }
            assert!(!world.manifest || (world.btf && world.header), "{world:?}");
            assert!(world.reference || !world.btf && !world.header, "{world:?}");
            let mut moved = false;
            for who in 0..world.publishers.len() {
                let steps = step(&world, who);
                moved |= !steps.is_empty();
                todo.extend(steps);
                // Or it dies here, and begins anew.
                let mut dead = world.clone();
                dead.publishers[who] = Seen::default();
                todo.push(dead);
            }
            // Once all have finished with nothing in the way, everything is there.
            if !moved {
                finished += 1;
                let all = [
                    world.reference,
                    world.btf,
                    world.header,
                    world.manifest,
                    world.index,
                ];
                assert_eq!(all, [true; 5], "{world:?}");
            }
        }
        println!("{} worlds, {finished} at rest", known.len());
        assert!(known.len() > 1000 && finished > 0);
    }

    #[test]
    fn a_wrong_manifest_is_replaced_by_who_knows_and_left_by_others() {
        let seen = Seen {
            reference: Some(Done::Present),
            sign: Some(Found::Other),
            blobs: Some(vec![]),
            blobs_done: Some(vec![]),
            ..Seen::default()
        };
        assert_eq!(next(&seen, HABITS), Act::LeaveManifest(Done::Disagrees));
        let person = Habits {
            replaces: true,
            ..HABITS
        };
        assert_eq!(next(&seen, person), Act::ReplaceManifest);
        // One that comes and goes ends too.
        let restless = Seen {
            sign: Some(Found::Absent),
            overtaken: OVERTAKEN,
            waited: HABITS.patience,
            ..seen
        };
        assert_eq!(next(&restless, person), Act::LeaveManifest(Done::Disagrees));
    }

    #[test]
    fn of_many_whose_patience_is_tried_a_few_lose_it_first() {
        let most = Duration::from_secs(15);
        let mut chance = super::super::chance::Chance::new(7);
        for (waiting, few) in [(200, 6), (5000, 10)] {
            let mut ends: Vec<Duration> = (0..waiting)
                .map(|_| patience(most, chance.next()))
                .collect();
            ends.sort();
            // By when the first has sent what is missing.
            let sent = ends[0] + Duration::from_secs(1);
            let begun = ends.iter().filter(|end| **end < sent).count();
            assert!(begun <= few, "{begun} of {waiting} began");
            assert!(*ends.last().unwrap() <= most);
        }
        assert!(
            pause(0, 0.5) < Duration::from_millis(500) && pause(99, 1.0) <= Duration::from_secs(8)
        );
    }
}
