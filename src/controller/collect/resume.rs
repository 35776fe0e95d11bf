//! Taking over: what a plan that broke off had set aside is put back.

use super::undo::Undo;
use super::{Moment, Outcome, Plan, Seen, Step};
use crate::artifact::{Object, Owner};

/// The first plan of a new leader, and the next one after a plan that broke off: undoes it. Its kernel has its
/// KernelHeader still, and is collected another time. Runs in every [`super::Mode`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Resume {
    me: Owner,
    stage: Stage,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Stage {
    Begin,
    Listing,
    Undoing(Undo, usize),
}

impl Resume {
    /// For the cluster `me`.
    pub fn new(me: Owner) -> Resume {
        let stage = Stage::Begin;
        Resume { me, stage }
    }
}

impl Plan for Resume {
    fn next(&mut self, seen: Seen, at: Moment) -> Step {
        match (&mut self.stage, seen) {
            (Stage::Begin, _) => {
                self.stage = Stage::Listing;
                return Step::List(Object::aside_of(&self.me));
            }
            (Stage::Listing, Seen::Objects(listed)) => {
                let mine = |object| match object {
                    Object::Aside(owner, original) if owner == self.me => Some(*original),
                    _ => None,
                };
                let aside: Vec<Object> = listed.into_iter().filter_map(mine).collect();
                let marked = aside.iter().any(|object| matches!(object, Object::Ref(..)));
                // Without the mark a kernel is whole, or its removal stands. A sweep has no mark; a
                // header too many is no harm, the next sweep finds it.
                let back = |object: &Object| marked || matches!(object, Object::Header(_));
                let undo = Undo::new(&self.me, aside, back);
                let count = undo.left();
                self.stage = Stage::Undoing(undo, count);
            }
            (Stage::Listing, _) => return Step::End(Outcome::CutShort("no listing came")),
            (Stage::Undoing(..), _) => {}
        }
        let Stage::Undoing(undo, count) = &mut self.stage else {
            return Step::End(Outcome::CutShort("no listing came"));
        };
        let step = undo.next().unwrap_or(Step::End(Outcome::Resumed(*count)));
        step.fenced(at)
    }
}
