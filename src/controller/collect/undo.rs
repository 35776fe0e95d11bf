//! What was set aside, put back or dropped.

use super::Step;
use crate::artifact::{Object, Owner};
use std::collections::VecDeque;

/// Where an object stands in the order in which things are set aside and put back; they are dropped the other way
/// round. The reference comes first: it protects what follows from other clusters' collectors. A manifest comes after
/// its blobs, so that one is never there without them, however far this got.
fn rank(object: &Object) -> u8 {
    match object {
        Object::Ref(..) => 0,
        Object::Btf(_) | Object::Header(_) => 1,
        Object::Manifest(..) => 2,
        Object::Index(..) | Object::Aside(..) => 3,
    }
}

/// Orders objects as they are set aside.
pub(super) fn in_order(objects: &mut [Object]) {
    objects.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.cmp(b)));
}

/// Copies an object, if there is none at `to`. References and index entries are empty: they are written, whether or
/// not there is one at `from`.
fn copy(from: Object, to: Object, original: &Object) -> Step {
    match original {
        Object::Ref(..) | Object::Index(..) => Step::Put(to),
        _ => Step::Copy { from, to },
    }
}

/// Sets an object aside.
pub(super) fn set_aside(object: &Object, me: &Owner) -> Step {
    copy(object.clone(), object.aside(me), object)
}

/// Puts back some of what was set aside, in order, and drops all of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Undo {
    me: Owner,
    restore: VecDeque<Object>,
    drop: Vec<Object>,
}

impl Undo {
    /// Puts back `restore`, then drops `aside`; both as [`in_order`] orders them.
    pub(super) fn new(me: &Owner, restore: Vec<Object>, aside: Vec<Object>) -> Undo {
        Undo {
            me: me.clone(),
            restore: restore.into(),
            drop: aside,
        }
    }

    /// The next step, if there is one.
    pub(super) fn next(&mut self) -> Option<Step> {
        if let Some(object) = self.restore.pop_front() {
            return Some(copy(object.aside(&self.me), object.clone(), &object));
        }
        let object = self.drop.pop()?;
        Some(Step::Remove(object.aside(&self.me)))
    }
}
