//! What definitions need, as the survey found it and the walk along names asks for it.

use super::defs::{Def, DefClass, Defs, Slot, State};
use crate::btf::soon;

/// What definitions need, by slot.
pub(super) struct Survey {
    pub needs: Vec<Need>,
    /// From where to where in `needs`.
    pub of: Vec<(u32, u32)>,
    pub briefs: Vec<Brief>,
}

/// What definitions are asked most, in a byte each, so that all of it stays at hand.
#[derive(Clone, Copy)]
pub(super) struct Brief(pub u8);

impl Brief {
    pub const DONE: u8 = 1;
    pub const OPEN: u8 = 2;
    /// What it needs is known, and it is laid out.
    pub const READY: u8 = 4;
    pub const NAMED: u8 = 8;
    pub const INCOMPLETE: u8 = 16;
    pub const COUNTED: u8 = 32;
    /// A typedef that has a record that must be whole where the typedef is used by value.
    pub const NEEDS: u8 = 64;

    pub fn of(def: &Def) -> Brief {
        let bit = |is: bool, bit: u8| if is { bit } else { 0 };
        Brief(
            bit(def.state == State::Done, Brief::DONE)
                | bit(def.len > 0, Brief::NAMED)
                | bit(def.is(Def::INCOMPLETE), Brief::INCOMPLETE)
                | bit(def.is(Def::COUNTED), Brief::COUNTED)
                | bit(
                    def.class == DefClass::Typedef && def.needs != 0,
                    Brief::NEEDS,
                ),
        )
    }

    #[inline]
    pub fn is(self, flag: u8) -> bool {
        self.0 & flag != 0
    }
}

/// What a definition needs; or what the mention of a type comes to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Need(pub u32);

impl Need {
    pub const BY_VALUE: u32 = 1 << 31;
    pub const IN_PARAMS: u32 = 1 << 30;
    /// Not only a mention that is counted.
    pub const COMES_FIRST: u32 = 1 << 29;
    pub const KNOWN: u32 = 1 << 28;
    /// To be followed each time.
    pub const DEEP: Need = Need(1 << 27);
    /// Below what the bits above mean. There are fewer types than that.
    pub const SLOT: u32 = (1 << 27) - 1;

    pub const NOTHING: Need = Need(Need::KNOWN);

    pub fn first(slot: Slot, how: u32) -> Need {
        Need(slot | Need::KNOWN | Need::COMES_FIRST | how)
    }

    pub fn counted(slot: Slot) -> Need {
        Need(slot | Need::KNOWN)
    }

    #[inline]
    pub fn slot(self) -> Slot {
        self.0 & Need::SLOT
    }

    /// A typedef whose type must be whole.
    #[inline]
    pub fn by_value(self) -> bool {
        self.0 & Need::BY_VALUE != 0
    }

    /// Only a mention in a parameter list.
    #[inline]
    pub fn in_params(self) -> bool {
        self.0 & Need::IN_PARAMS != 0
    }

    #[inline]
    pub fn comes_first(self) -> bool {
        self.0 & Need::COMES_FIRST != 0
    }

    #[inline]
    pub fn is_known(self) -> bool {
        self.0 & Need::KNOWN != 0
    }
}

impl Survey {
    /// What a definition needs; `None` where the survey does not know.
    #[inline]
    pub fn needs(&self, slot: Slot) -> Option<&[Need]> {
        let (from, to) = self.of[slot as usize];
        let is_ready = self.briefs[slot as usize].is(Brief::READY);
        is_ready.then(|| &self.needs[from as usize..to as usize])
    }

    /// What `next` needs will be asked for soon, and before that where it is, of `later`.
    #[inline(always)]
    pub fn soon(&self, later: Slot, next: Slot) {
        soon(&self.of[later as usize]);
        let (from, _) = self.of[next as usize];
        self.needs.get(from as usize).into_iter().for_each(soon);
    }

    /// Whether a definition, and of a typedef by value its record, is done.
    #[inline]
    pub fn has(&self, defs: &Defs, need: Need) -> bool {
        let brief = self.briefs[need.slot() as usize];
        brief.is(Brief::DONE)
            && (!need.by_value() || !brief.is(Brief::NEEDS) || {
                let record = defs.get(need.slot()).needs;
                self.briefs[record as usize].is(Brief::DONE)
            })
    }

    /// Whether a definition is done.
    #[inline]
    pub fn is_done(&self, slot: Slot) -> bool {
        self.briefs[slot as usize].is(Brief::DONE)
    }

    /// Notes that a definition is done.
    #[inline]
    pub fn set_done(&mut self, slot: Slot) {
        self.briefs[slot as usize].0 |= Brief::DONE;
    }
}
