//! How much is done for one object on one kernel: objects come from anybody, and a server checks them.

use std::cell::Cell;

/// Steps after which an object is given up: a second or two of work. One is two types looked at beside each other.
const STEPS: u64 = 1 << 27;
/// For how many findings it is worth looking for what is there instead: nobody reads more.
const HINTS: u32 = 64;
/// What a finding costs, in steps: it is kept.
pub(super) const FINDING: usize = 512;

/// The object asks for more than can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the programs of an object ask for more than is looked at: put fewer into one object")]
pub struct TooMuch;

/// What may still be done.
pub(in crate::relo) struct Effort {
    steps: Cell<u64>,
    hints: Cell<u32>,
}

impl Effort {
    pub fn new() -> Effort {
        Effort {
            steps: Cell::new(STEPS),
            hints: Cell::new(HINTS),
        }
    }

    /// Takes so many steps; whether there were as many.
    pub fn take(&self, steps: usize) -> bool {
        self.steps.update(|left| left.saturating_sub(steps as u64));
        !self.is_spent()
    }

    /// Whether there was enough of it.
    pub fn enough(&self) -> Result<(), TooMuch> {
        match self.is_spent() {
            true => Err(TooMuch),
            false => Ok(()),
        }
    }

    pub fn is_spent(&self) -> bool {
        self.steps.get() == 0
    }

    /// Whether to look for what is there instead, once more.
    pub fn hint(&self) -> bool {
        let left = self.hints.get();
        self.hints.set(left.saturating_sub(1));
        left > 0
    }

    /// What is there instead, if that is worth looking for.
    pub fn instead(&self, look: impl FnOnce() -> Option<String>) -> Option<String> {
        self.hint().then(look).flatten()
    }
}
