//! What was set aside, put back or dropped.

use super::Step;
use crate::artifact::{Object, Owner};
use std::collections::VecDeque;

/// Where an object stands in the order in which things are put back. The reference comes first: it protects what
/// follows from other clusters' collectors. A manifest comes after its blobs, so that one is never there without them,
/// however far this got.
fn rank(object: &Object) -> u8 {
    match object {
        Object::Ref(..) => 0,
        Object::Btf(_) | Object::Header(_) => 1,
        Object::Manifest(..) => 2,
        Object::Index(..) | Object::Aside(..) => 3,
    }
}

/// Orders objects as they are put back.
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

/// Puts back some of what was set aside, and drops all of it.
///
/// The copy of the own reference is the mark of a collection: written before anything else is set aside, dropped before
/// anything else is dropped. Where it is, something may have been removed, and all of it can be put back.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Undo {
    me: Owner,
    restore: VecDeque<Object>,
    drop: VecDeque<Object>,
}

impl Undo {
    /// Puts back those of `aside` that `back` says, and drops them all.
    pub(super) fn new(me: &Owner, mut aside: Vec<Object>, back: impl Fn(&Object) -> bool) -> Undo {
        in_order(&mut aside);
        let mut restore: Vec<Object> = aside.iter().filter(|o| back(o)).cloned().collect();
        // A sweep of another cluster that came before the manifests may have taken their headers.
        if restore.iter().any(|o| matches!(o, Object::Manifest(..))) {
            let headers = restore.iter().filter(|o| matches!(o, Object::Header(_)));
            restore.extend(headers.cloned().collect::<Vec<_>>());
        }
        Undo {
            me: me.clone(),
            restore: restore.into(),
            drop: aside.into(),
        }
    }

    /// How many are still to be put back.
    pub(super) fn left(&self) -> usize {
        self.restore.len()
    }

    /// The next step, if there is one.
    pub(super) fn next(&mut self) -> Option<Step> {
        if let Some(object) = self.restore.pop_front() {
            return Some(copy(object.aside(&self.me), object.clone(), &object));
        }
        let object = self.drop.pop_front()?;
        Some(Step::Remove(object.aside(&self.me)))
    }
}
