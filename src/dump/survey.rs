//! What definitions need, and how they are laid out, found in one pass over them as they lie in the BTF.
//!
//! The order of definitions follows their names, in which order types are all over the BTF; so what the walk
//! along it asks of a definition is gathered first, in a few words each. A definition that is odd in any way,
//! wrong for one, is left to that walk, which says what is wrong with it.

use super::defs::{Def, DefClass, Defs, Slot, State};
use super::layout::{self, Layout};
use super::order::unnamed_member;
use crate::btf::{Btf, Kind, TypeId};

/// What definitions need, by slot.
pub(super) struct Survey {
    needs: Vec<Need>,
    of: Vec<(u32, u32)>,
}

/// What a definition needs.
#[derive(Clone, Copy)]
pub(super) struct Need(u32);

impl Need {
    const BY_VALUE: u32 = 1 << 31;
    const IN_PARAMS: u32 = 1 << 30;
    /// A mention to be counted.
    const COUNT: u32 = 1 << 29;
    const SLOT: u32 = (1 << 28) - 1;

    pub fn slot(self) -> Slot {
        self.0 & Need::SLOT
    }

    /// A typedef whose type must be whole.
    pub fn by_value(self) -> bool {
        self.0 & Need::BY_VALUE != 0
    }

    /// Only a mention in a parameter list.
    pub fn in_params(self) -> bool {
        self.0 & Need::IN_PARAMS != 0
    }
}

impl Survey {
    /// Looks at all of a BTF's own definitions. Nothing, if one is odd.
    pub fn new(btf: &Btf<'_>, defs: &mut Defs) -> Option<Survey> {
        let count = defs.defs.len();
        let mut surveyor = Surveyor {
            btf,
            as_member: vec![look::UNKNOWN; defs.end],
            as_param: vec![look::UNKNOWN; defs.end],
            uses: vec![0; count],
            pending: Vec::new(),
            budget: 500_000,
            survey: Survey {
                needs: Vec::with_capacity(count * 2),
                of: vec![(0, 0); count],
            },
            defs: &mut *defs,
        };
        if surveyor.defs.odd_members {
            return None;
        }
        {
            for slot in 1..count as Slot {
                let def = surveyor.defs.get(slot);
                let defined = match def.class {
                    DefClass::Struct | DefClass::Union => def.len > 0 && !def.is(Def::INCOMPLETE),
                    DefClass::Typedef => true,
                    _ => false,
                };
                if defined && surveyor.defs.slot_of(def.id) == slot {
                    surveyor.definition(slot, 0)?;
                }
            }
        }
        let Surveyor { uses, survey, .. } = surveyor;
        for (def, uses) in defs.defs.iter_mut().zip(uses) {
            def.uses = def.uses.saturating_add(uses);
        }
        Some(survey)
    }

    /// What a definition that is [`Def::READY`] needs.
    pub fn needs(&self, slot: Slot) -> &[Need] {
        let (from, to) = self.of[slot as usize];
        &self.needs[from as usize..to as usize]
    }
}

/// What the mention of a type comes to: a [`Need`], or one of these.
mod look {
    pub const UNKNOWN: u32 = 0;
    pub const NOTHING: u32 = 1 << 28;
    /// To be followed each time.
    pub const DEEP: u32 = 2 << 28;
}

/// How a type is mentioned.
#[derive(Clone, Copy)]
struct How {
    by_value: bool,
    in_params: bool,
    depth: u32,
}

/// Deeper than anything in a kernel; what goes deeper is odd.
const DEEP: u32 = 60;

struct Surveyor<'w, 'b> {
    btf: &'w Btf<'b>,
    defs: &'w mut Defs,
    /// For each type id what the mention as a member's type comes to.
    as_member: Vec<u32>,
    /// And as a parameter's.
    as_param: Vec<u32>,
    /// Mentions of each slot.
    uses: Vec<u32>,
    /// Needs of the definitions under way.
    pending: Vec<Need>,
    /// How many more members and parameters will be looked at that may be looked at again.
    budget: u32,
    survey: Survey,
}

impl Surveyor<'_, '_> {
    /// Surveys a definition. Nothing, if it is odd.
    fn definition(&mut self, slot: Slot, depth: u32) -> Option<()> {
        let def = self.defs.get_mut(slot);
        if def.state == State::Done || def.is(Def::READY) {
            return Some(());
        }
        if def.state == State::Open || def.is(Def::ODD) || depth > DEEP {
            return None;
        }
        def.state = State::Open;
        let (id, class) = (def.id, def.class);
        let start = self.pending.len();
        let done = match class {
            DefClass::Typedef => self.typedef(slot, id, depth),
            _ => {
                let how = How {
                    by_value: true,
                    in_params: false,
                    depth,
                };
                self.record(slot, id, how)
            }
        };
        let flag = if done.is_some() { Def::READY } else { Def::ODD };
        let def = self.defs.get_mut(slot);
        def.state = State::New;
        def.flags |= flag;
        if done.is_some() {
            let from = self.survey.needs.len() as u32;
            for need in &self.pending[start..] {
                self.uses[need.slot() as usize] += 1;
                if need.0 & Need::COUNT == 0 {
                    self.survey.needs.push(*need);
                }
            }
            self.survey.of[slot as usize] = (from, self.survey.needs.len() as u32);
        }
        self.pending.truncate(start);
        done
    }

    fn typedef(&mut self, slot: Slot, id: TypeId, depth: u32) -> Option<()> {
        let target = self.btf.target(id);
        let how = How {
            by_value: false,
            in_params: false,
            depth,
        };
        self.mention(target, how)?;
        let mut at = target;
        for _ in 0..DEEP {
            match self.btf.kind(at) {
                Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                    at = self.btf.target(at);
                }
                // A record need not be whole for that.
                Kind::Struct | Kind::Union | Kind::Fwd => break,
                Kind::Typedef => {
                    self.definition(self.defs.slot_of(at), depth + 1)?;
                    break;
                }
                Kind::Array => {
                    self.whole(at, depth + 1)?;
                    break;
                }
                _ => break,
            }
        }
        layout::lay_out_typedef(self.btf, self.defs, slot).ok()
    }

    /// Notes what a record's members need, and lays it out.
    fn record(&mut self, slot: Slot, id: TypeId, how: How) -> Option<()> {
        let mut layout = Layout::of(self.btf, self.defs.get(slot));
        let how = How {
            by_value: true,
            depth: how.depth + 1,
            ..how
        };
        let btf = self.btf;
        for m in btf.ty(id).members() {
            if m.name.is_none() {
                self.unnamed(m.ty, how)?;
            } else {
                self.mention(m.ty, how)?;
                if layout.usual(&m, self.defs.memo(m.ty)) {
                    continue;
                }
                self.whole(m.ty, how.depth)?;
            }
            layout.member(btf, self.defs, id, &m).ok()?;
        }
        layout.finish(btf, self.defs, slot);
        Some(())
    }

    fn unnamed(&mut self, id: TypeId, how: How) -> Option<()> {
        let Some(record) = unnamed_member(self.btf, self.defs, id) else {
            return Some(());
        };
        let slot = self.defs.slot_of(record);
        if self.defs.get(slot).len == 0 {
            return self.mention(record, how);
        }
        // Printed once more in place.
        self.definition(slot, how.depth)?;
        self.pending.push(Need(slot));
        self.members(record, how)
    }

    fn members(&mut self, record: TypeId, how: How) -> Option<()> {
        let btf = self.btf;
        let ty = btf.ty(record);
        self.spend(ty.vlen(), how)?;
        let how = How {
            by_value: true,
            depth: how.depth + 1,
            ..how
        };
        for m in ty.members() {
            match m.name.is_none() {
                true => self.unnamed(m.ty, how)?,
                false => self.mention(m.ty, how)?,
            }
        }
        Some(())
    }

    fn spend(&mut self, cost: u32, how: How) -> Option<()> {
        self.budget = self.budget.checked_sub(cost + 1)?;
        (how.depth < DEEP).then_some(())
    }

    /// Notes what the mention of a type needs.
    #[inline(always)]
    fn mention(&mut self, id: TypeId, how: How) -> Option<()> {
        let table = match how.in_params {
            true => &self.as_param,
            false => &self.as_member,
        };
        let known = match how.in_params == how.by_value {
            // A member of an unnamed record in a parameter list, or a typedef's type: there are few.
            true => look::UNKNOWN,
            false => table.get(id.0 as usize).copied().unwrap_or(look::UNKNOWN),
        };
        if known == look::NOTHING {
            return Some(());
        }
        if known & Need::SLOT != 0 {
            self.pending.push(Need(known));
            return Some(());
        }
        if known == look::DEEP {
            return self.follow(id, how);
        }
        self.look(id, how)
    }

    #[inline(never)]
    fn look(&mut self, id: TypeId, how: How) -> Option<()> {
        let look = self.find(id, how)?;
        if how.in_params != how.by_value {
            let table = match how.in_params {
                true => &mut self.as_param,
                false => &mut self.as_member,
            };
            if let Some(known) = table.get_mut(id.0 as usize) {
                *known = look;
            }
        }
        match look {
            look::NOTHING => Some(()),
            look::DEEP => self.follow(id, how),
            need => {
                self.pending.push(Need(need));
                Some(())
            }
        }
    }

    fn find(&mut self, id: TypeId, how: How) -> Option<u32> {
        let (mut at, mut by_value) = (id, how.by_value);
        for _ in 0..DEEP {
            let kind = self.btf.kind(at);
            let slot = self.defs.slot_of(at);
            let def = self.defs.get(slot);
            return match kind {
                Kind::Ptr => {
                    by_value = false;
                    at = self.btf.target(at);
                    continue;
                }
                Kind::Array => {
                    by_value = true;
                    at = self.btf.ty(at).array()?.element;
                    continue;
                }
                kind if kind.is_modifier() => {
                    at = self.btf.target(at);
                    continue;
                }
                Kind::Int | Kind::Float => Some(look::NOTHING),
                Kind::Struct | Kind::Union | Kind::Fwd if def.len > 0 => match by_value {
                    true if def.is(Def::INCOMPLETE) => None,
                    true => Some(slot),
                    false if how.in_params => Some(slot | Need::IN_PARAMS),
                    false if def.is(Def::COUNTED) => Some(slot | Need::COUNT),
                    false => Some(look::NOTHING),
                },
                Kind::Typedef if by_value => Some(slot | Need::BY_VALUE),
                Kind::Typedef => Some(slot),
                Kind::Enum | Kind::Enum64 => {
                    let unnamed = !def.is(Def::BASE) && def.len == 0;
                    if how.in_params && unnamed {
                        self.defs.get_mut(slot).flags |= Def::HOISTED;
                    }
                    Some(slot | Need::COUNT)
                }
                Kind::Void if by_value => None,
                Kind::Void => Some(look::NOTHING),
                _ => Some(look::DEEP),
            };
        }
        None
    }

    /// Notes what unnamed records and functions need.
    fn follow(&mut self, id: TypeId, mut how: How) -> Option<()> {
        let btf = self.btf;
        let mut at = id;
        for _ in 0..DEEP {
            at = match btf.kind(at) {
                Kind::Ptr => {
                    how.by_value = false;
                    btf.target(at)
                }
                Kind::Array => {
                    how.by_value = true;
                    btf.ty(at).array()?.element
                }
                kind if kind.is_modifier() => btf.target(at),
                Kind::Struct | Kind::Union => {
                    let slot = self.defs.slot_of(at);
                    if self.defs.get(slot).state == State::Done {
                        return self.members(at, how);
                    }
                    self.spend(0, how)?;
                    self.record(slot, at, how)?;
                    self.defs.get_mut(slot).state = State::Done;
                    return Some(());
                }
                Kind::FuncProto if !how.by_value => {
                    let ty = btf.ty(at);
                    self.spend(ty.vlen(), how)?;
                    let depth = how.depth + 1;
                    self.mention(ty.target(), How { depth, ..how })?;
                    let how = How {
                        in_params: true,
                        depth,
                        ..how
                    };
                    for p in ty.params() {
                        self.mention(p.ty, how)?;
                    }
                    return Some(());
                }
                _ => return None,
            };
        }
        None
    }

    /// Sees to it that all that is in an object of this type is laid out.
    fn whole(&mut self, id: TypeId, depth: u32) -> Option<()> {
        let mut at = id;
        for _ in 0..DEEP {
            at = match self.btf.kind(at) {
                Kind::Array => self.btf.ty(at).array()?.element,
                kind if kind.is_modifier() && kind != Kind::Typedef => self.btf.target(at),
                Kind::Struct | Kind::Union | Kind::Fwd => {
                    let slot = self.defs.slot_of(at);
                    let def = self.defs.get(slot);
                    return match def.len {
                        _ if def.is(Def::INCOMPLETE) => None,
                        0 => (def.state == State::Done).then_some(()),
                        _ => self.definition(slot, depth),
                    };
                }
                Kind::Typedef => {
                    let slot = self.defs.slot_of(at);
                    self.definition(slot, depth)?;
                    return match self.defs.get(slot).needs {
                        0 => Some(()),
                        needs if self.defs.get(needs).is(Def::INCOMPLETE) => None,
                        needs => self.definition(needs, depth),
                    };
                }
                _ => return Some(()),
            };
        }
        None
    }
}
