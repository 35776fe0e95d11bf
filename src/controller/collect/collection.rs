//! Removing one kernel.

use super::undo::{Undo, in_order, set_aside};
use super::{Claims, FENCE, Moment, Outcome, Plan, Seen, Step};
use crate::artifact::{BtfDigest, Object, Owner};
use std::collections::VecDeque;
use std::time::Instant;

/// Removes a kernel that no own Node named for long: mark it → look who wants it → set everything aside → remove the
/// own reference, manifests, index entries and BTF → look again → put all of it back, or drop it and the KernelHeader.
///
/// Where others have references, only the own one is removed: the last of them collects. Headers stay, since other
/// kernels may share them ([`super::Sweep`]); they are set aside all the same, so that what is put back is whole.
/// Nothing is removed that was not set aside.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Collection {
    kernel: BtfDigest,
    me: Owner,
    dry_run: bool,
    stage: Stage,
    /// When the answer to the last look came.
    looked: Option<Instant>,
    /// Others have references.
    shared: bool,
    /// What was set aside.
    aside: Vec<Object>,
    /// Something was removed: from now on the own reference is a claim like any other.
    removed: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Stage {
    Begin,
    Marking,
    FirstLook,
    Manifests,
    Reading {
        found: Vec<Object>,
        unread: Vec<Object>,
    },
    Index {
        found: Vec<Object>,
    },
    SettingAside {
        now: Object,
        then: VecDeque<Object>,
    },
    /// Asks for a look where the last one is too old to remove anything on.
    AnotherLook {
        todo: VecDeque<Object>,
    },
    Removing {
        todo: VecDeque<Object>,
    },
    LastLook,
    Ending(Undo, Outcome),
    Forgetting,
    Ended(Outcome),
}

impl Collection {
    /// Of `kernel`, by the controller of the cluster `me`; a dry run ends where something would be written.
    pub fn new(kernel: BtfDigest, me: Owner, dry_run: bool) -> Collection {
        Collection {
            kernel,
            me,
            dry_run,
            stage: Stage::Begin,
            looked: None,
            shared: false,
            aside: Vec::new(),
            removed: false,
        }
    }

    fn own_ref(&self) -> Object {
        Object::Ref(self.kernel, self.me.clone())
    }

    fn next_stage(&mut self, seen: Seen, at: Moment) -> Step {
        let stage = std::mem::replace(&mut self.stage, Stage::Begin);
        match (stage, seen) {
            (Stage::Begin, Seen::Nothing) if self.dry_run => self.look(Stage::FirstLook),
            (Stage::Begin, Seen::Nothing) => {
                self.stage = Stage::Marking;
                set_aside(&self.own_ref(), &self.me)
            }
            (Stage::Marking, Seen::Done) => {
                self.aside.push(self.own_ref());
                self.look(Stage::FirstLook)
            }
            (Stage::FirstLook, Seen::Claims(claims)) => {
                self.looked = Some(at.now);
                let rival = claims.rival.then_some(Outcome::Rival);
                match rival.or_else(|| self.judge(claims)) {
                    Some(outcome) => self.drop_aside(outcome),
                    None if self.dry_run => self.end(Outcome::Would),
                    None => {
                        self.stage = Stage::Manifests;
                        Step::List(Object::manifests_of(&self.kernel))
                    }
                }
            }
            (Stage::Manifests, Seen::Objects(mut listed)) => {
                listed.retain(
                    |object| matches!(object, Object::Manifest(btf, _) if *btf == self.kernel),
                );
                let found = vec![Object::Btf(self.kernel)];
                self.read([found, listed.clone()].concat(), listed)
            }
            (Stage::Reading { mut found, unread }, Seen::Names(header)) => {
                let header = header.map(Object::Header);
                found.extend(header.filter(|header| !found.contains(header)));
                self.read(found, unread)
            }
            (Stage::Index { mut found }, Seen::Objects(listed)) => {
                let named = |object: &Object| matches!(object, Object::Index(_, _, btf) if *btf == self.kernel);
                found.extend(listed.into_iter().filter(named));
                in_order(&mut found);
                self.set_aside(found.into(), at)
            }
            (Stage::SettingAside { now, then }, seen @ (Seen::Done | Seen::Absent)) => {
                if seen == Seen::Done {
                    self.aside.push(now);
                }
                self.set_aside(then, at)
            }
            (Stage::AnotherLook { todo }, Seen::Claims(claims)) => {
                self.looked = Some(at.now);
                match (self.removed, self.claimed(claims)) {
                    (true, true) => self.put_back(),
                    (true, false) => self.removing(todo, at),
                    (false, _) => match self.judge(claims) {
                        Some(outcome) => self.drop_aside(outcome),
                        None => self.remove(at),
                    },
                }
            }
            (Stage::Removing { todo }, Seen::Done) => self.removing(todo, at),
            (Stage::LastLook, Seen::Claims(claims)) => {
                match (self.claimed_at_last(claims), self.shared) {
                    (true, _) => self.put_back(),
                    (false, true) => self.drop_aside(Outcome::Shared),
                    (false, false) => self.drop_aside(Outcome::Collected),
                }
            }
            (Stage::Ending(undo, outcome), Seen::Done) => self.ending(undo, outcome),
            (Stage::Forgetting, Seen::Done) => self.end(Outcome::Collected),
            (Stage::Ended(outcome), _) => self.end(outcome),
            _ => self.end(Outcome::CutShort(
                "the answer does not belong to the question",
            )),
        }
    }

    /// What the look before any removal decides; `None`: go on. Sets whether others have references.
    fn judge(&mut self, claims: Claims) -> Option<Outcome> {
        self.shared = claims.others;
        if claims.here() {
            return Some(Outcome::Kept);
        }
        (claims.others && !claims.own).then_some(Outcome::Shared)
    }

    fn look(&mut self, then: Stage) -> Step {
        self.stage = then;
        Step::Look(self.kernel)
    }

    fn read(&mut self, found: Vec<Object>, mut unread: Vec<Object>) -> Step {
        if let Some(manifest) = unread.pop() {
            self.stage = Stage::Reading { found, unread };
            return Step::Read(self.kernel, manifest);
        }
        self.stage = Stage::Index { found };
        Step::List(Object::index())
    }

    fn set_aside(&mut self, mut then: VecDeque<Object>, at: Moment) -> Step {
        let Some(now) = then.pop_front() else {
            return self.remove(at);
        };
        let step = set_aside(&now, &self.me);
        self.stage = Stage::SettingAside { now, then };
        step
    }

    /// Begins to remove: of what was set aside all but the headers; of what others use the own reference alone.
    /// Manifests go before the BTF they speak of.
    fn remove(&mut self, at: Moment) -> Step {
        let goes = |object: &&Object| match object {
            Object::Ref(..) => true,
            Object::Header(_) => false,
            _ => !self.shared,
        };
        let mut todo: Vec<Object> = self.aside.iter().filter(goes).cloned().collect();
        in_order(&mut todo);
        todo.sort_by_key(|object| matches!(object, Object::Btf(_)));
        self.removing(todo.into(), at)
    }

    fn removing(&mut self, mut todo: VecDeque<Object>, at: Moment) -> Step {
        let Some(object) = todo.front() else {
            return self.look(Stage::LastLook);
        };
        let fresh = |looked| at.now.saturating_duration_since(looked) <= FENCE;
        if !self.looked.is_some_and(fresh) {
            return self.look(Stage::AnotherLook { todo });
        }
        let step = Step::Remove(object.clone());
        todo.pop_front();
        self.removed = true;
        self.stage = Stage::Removing { todo };
        step
    }

    /// Whether a look after a removal found a claim. Where only the own reference went, only one from here counts.
    fn claimed(&self, claims: Claims) -> bool {
        claims.here() || (!self.shared && (claims.own || claims.others))
    }

    /// The same once all is removed: a manifest that is there by now has lost its BTF.
    fn claimed_at_last(&self, claims: Claims) -> bool {
        self.claimed(claims) || (!self.shared && claims.published)
    }

    fn put_back(&mut self) -> Step {
        let aside = std::mem::take(&mut self.aside);
        let undo = Undo::new(&self.me, aside, |_| true);
        self.ending(undo, Outcome::PutBack)
    }

    fn drop_aside(&mut self, outcome: Outcome) -> Step {
        let undo = Undo::new(&self.me, std::mem::take(&mut self.aside), |_| false);
        self.ending(undo, outcome)
    }

    fn ending(&mut self, mut undo: Undo, outcome: Outcome) -> Step {
        match undo.next() {
            Some(step) => {
                self.stage = Stage::Ending(undo, outcome);
                step
            }
            None if outcome == Outcome::Collected => {
                self.stage = Stage::Forgetting;
                Step::RemoveKernelHeader(self.kernel)
            }
            None => self.end(outcome),
        }
    }

    fn end(&mut self, outcome: Outcome) -> Step {
        self.stage = Stage::Ended(outcome);
        Step::End(outcome)
    }
}

impl Plan for Collection {
    fn next(&mut self, seen: Seen, at: Moment) -> Step {
        let step = self.next_stage(seen, at).fenced(at);
        if let Step::End(outcome) = step {
            self.stage = Stage::Ended(outcome);
        }
        step
    }
}
