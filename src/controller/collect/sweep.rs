//! Removing headers that no manifest names.

use super::undo::{Undo, set_aside};
use super::{Moment, Outcome, Plan, Seen, Step};
use crate::artifact::{HeaderDigest, Object, Owner};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// Things that nobody claimed when this leader looked, and since when: headers that no manifest names; kernels (BTF or
/// manifests) that have no reference at all. A leader keeps it from one sweep to the next; a new leader begins anew.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Unclaimed<T>(BTreeMap<T, Instant>);

impl<T> Default for Unclaimed<T> {
    fn default() -> Unclaimed<T> {
        Unclaimed(BTreeMap::new())
    }
}

impl<T: Ord + Copy> Unclaimed<T> {
    /// What is there goes once it was claimed by nothing in two sweeps that are this far apart: a publisher that is at
    /// work has long written its claim by then.
    pub const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

    /// Takes what is there unclaimed at `now`, and gives what was so in a sweep long before.
    pub fn note(&mut self, unclaimed: impl Iterator<Item = T>, now: Instant) -> Vec<T> {
        let since = |thing| (thing, self.0.get(&thing).copied().unwrap_or(now));
        self.0 = unclaimed.map(since).collect();
        let due = |since: Instant| now.saturating_duration_since(since) >= Unclaimed::<T>::PATIENCE;
        let due = self.0.iter().filter(|(_, since)| due(**since));
        due.map(|(thing, _)| *thing).collect()
    }
}

/// A sweep through all headers, once a day: list headers → read all manifests → set aside and remove what none of them
/// named yesterday either → read all manifests again → put back what is named now, drop the rest.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Sweep {
    me: Owner,
    dry_run: bool,
    unnamed: Unclaimed<HeaderDigest>,
    stage: Stage,
    aside: Vec<Object>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Stage {
    Begin,
    Listing,
    Reading(BTreeSet<HeaderDigest>),
    SettingAside { now: Object, then: VecDeque<Object> },
    Removing { todo: VecDeque<Object> },
    ReadingAgain,
    Ending { undo: Undo, removed: usize },
    Ended(Outcome),
}

impl Sweep {
    /// By the controller of the cluster `me`; a dry run ends where something would be written.
    pub fn new(me: Owner, unnamed: Unclaimed<HeaderDigest>, dry_run: bool) -> Sweep {
        Sweep {
            me,
            dry_run,
            unnamed,
            stage: Stage::Begin,
            aside: Vec::new(),
        }
    }

    /// What the next sweep has to know.
    pub fn into_unnamed(self) -> Unclaimed<HeaderDigest> {
        self.unnamed
    }

    fn next_stage(&mut self, seen: Seen, at: Moment) -> Step {
        let stage = std::mem::replace(&mut self.stage, Stage::Begin);
        match (stage, seen) {
            (Stage::Begin, Seen::Nothing) => {
                self.stage = Stage::Listing;
                Step::List(Object::headers())
            }
            (Stage::Listing, Seen::Objects(listed)) => {
                let header = |object| match object {
                    Object::Header(digest) => Some(digest),
                    _ => None,
                };
                self.stage = Stage::Reading(listed.into_iter().filter_map(header).collect());
                Step::ReadAll
            }
            (Stage::Reading(present), Seen::Named(named)) => {
                let doomed = self
                    .unnamed
                    .note(present.difference(&named).copied(), at.now);
                match self.dry_run {
                    true => Step::End(Outcome::WouldSweep(doomed.len())),
                    false => self.set_aside(doomed.into_iter().map(Object::Header).collect()),
                }
            }
            (Stage::SettingAside { now, then }, seen @ (Seen::Done | Seen::Absent)) => {
                if seen == Seen::Done {
                    self.aside.push(now);
                }
                self.set_aside(then)
            }
            (Stage::Removing { todo }, Seen::Done) => self.remove(todo),
            (Stage::ReadingAgain, Seen::Named(named)) => {
                let aside = std::mem::take(&mut self.aside);
                let all = aside.len();
                let back =
                    |object: &Object| matches!(object, Object::Header(h) if named.contains(h));
                let undo = Undo::new(&self.me, aside, back);
                let removed = all.saturating_sub(undo.left());
                self.end_with(undo, removed)
            }
            (Stage::Ending { undo, removed }, Seen::Done) => self.end_with(undo, removed),
            (Stage::Ended(outcome), _) => Step::End(outcome),
            _ => Step::End(Outcome::CutShort(
                "the answer does not belong to the question",
            )),
        }
    }

    fn set_aside(&mut self, mut then: VecDeque<Object>) -> Step {
        let Some(now) = then.pop_front() else {
            return self.remove(self.aside.clone().into());
        };
        let step = set_aside(&now, &self.me);
        self.stage = Stage::SettingAside { now, then };
        step
    }

    fn remove(&mut self, mut todo: VecDeque<Object>) -> Step {
        match todo.pop_front() {
            Some(object) => {
                self.stage = Stage::Removing { todo };
                Step::Remove(object)
            }
            None if self.aside.is_empty() => Step::End(Outcome::Swept(0)),
            None => {
                self.stage = Stage::ReadingAgain;
                Step::ReadAll
            }
        }
    }

    fn end_with(&mut self, mut undo: Undo, removed: usize) -> Step {
        match undo.next() {
            Some(step) => {
                self.stage = Stage::Ending { undo, removed };
                step
            }
            None => Step::End(Outcome::Swept(removed)),
        }
    }
}

impl Plan for Sweep {
    fn next(&mut self, seen: Seen, at: Moment) -> Step {
        let step = self.next_stage(seen, at).fenced(at);
        if let Step::End(outcome) = step {
            self.stage = Stage::Ended(outcome);
        }
        step
    }
}
