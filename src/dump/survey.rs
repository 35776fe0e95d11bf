//! What definitions need, and how they are laid out, found in one pass over them as they lie in the BTF.
//!
//! The order of definitions follows their names, in which order types are all over the BTF; so what the walk
//! along it asks of a definition is gathered first, in a few words each. A definition that is odd in any way,
//! wrong for one, is left to that walk, which says what is wrong with it.

use super::defs::{Def, DefClass, Defs, Memo, Slot, State};
use super::layout::{self, Layout};
use super::needs::{Brief, Need};
use super::order::unnamed_member;
use crate::btf::{Btf, Kind, Member, TypeId};

pub(super) use super::needs::Survey;

impl Survey {
    /// Looks at all of a BTF's own definitions. Nothing, if one is odd.
    pub fn new(btf: &Btf<'_>, defs: &mut Defs) -> Option<Survey> {
        if defs.odd_members {
            return None;
        }
        let count = defs.defs.len();
        let mut surveyor = Surveyor {
            btf,
            as_member: vec![0; defs.end],
            as_param: vec![0; defs.end],
            uses: vec![0; count],
            pending: vec![Need::NOTHING; 64],
            top: 0,
            last: Need::NOTHING,
            budget: 500_000,
            survey: Survey {
                needs: Vec::with_capacity(count * 2),
                of: vec![(0, 0); count],
                briefs: defs.defs.iter().map(Brief::of).collect(),
            },
            defs: &mut *defs,
        };
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
        let Surveyor { uses, survey, .. } = surveyor;
        // Mentions that count for nothing were counted for slot 0, which is nobody's.
        for (def, uses) in defs.defs.iter_mut().zip(uses).skip(1) {
            def.uses = def.uses.saturating_add(uses);
        }
        Some(survey)
    }
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
    /// For each type id what the mention as a member's type comes to: a [`Need`]. (Of plain numbers, the
    /// allocator gives zeros for nothing.)
    as_member: Vec<u32>,
    /// And as a parameter's.
    as_param: Vec<u32>,
    /// Mentions of each slot.
    uses: Vec<u32>,
    /// Needs of the definitions under way, up to `top`.
    pending: Vec<Need>,
    top: usize,
    /// The last need of the definition under way, if it is sure that it is one.
    last: Need,
    /// How many more members and parameters will be looked at that may be looked at again.
    budget: u32,
    survey: Survey,
}

impl Surveyor<'_, '_> {
    #[inline]
    fn brief(&mut self, slot: Slot) -> &mut Brief {
        &mut self.survey.briefs[slot as usize]
    }

    /// Surveys a definition. Nothing, if it is odd.
    fn definition(&mut self, slot: Slot, depth: u32) -> Option<()> {
        let brief = self.brief(slot);
        if brief.is(Brief::DONE | Brief::READY) {
            return Some(());
        }
        if brief.is(Brief::OPEN) || depth > DEEP {
            return None;
        }
        brief.0 |= Brief::OPEN;
        let def = self.defs.get(slot);
        let (id, class) = (def.id, def.class);
        let start = self.top;
        self.last = Need::NOTHING;
        match class {
            DefClass::Typedef => self.typedef(slot, id, depth)?,
            _ => {
                let how = How {
                    by_value: true,
                    in_params: false,
                    depth,
                };
                self.record(slot, id, how)?;
            }
        }
        let brief = self.brief(slot);
        brief.0 = brief.0 & !Brief::OPEN | Brief::READY;
        let needs = &mut self.survey.needs;
        let from = needs.len() as u32;
        needs.extend_from_slice(&self.pending[start..self.top]);
        self.survey.of[slot as usize] = (from, needs.len() as u32);
        (self.top, self.last) = (start, Need::NOTHING);
        Some(())
    }

    /// Counts a mention, and notes what comes first for it; without a branch.
    #[inline(always)]
    fn note(&mut self, need: Need) {
        self.uses[need.slot() as usize] += 1;
        if self.top == self.pending.len() {
            self.pending.resize(self.top * 2, Need::NOTHING);
        }
        self.pending[self.top] = need;
        // Once more the same says nothing new.
        let new = need.comes_first() && need != self.last;
        self.top += usize::from(new);
        self.last = if new { need } else { self.last };
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
        layout::lay_out_typedef(self.btf, self.defs, slot).ok()?;
        if self.defs.get(slot).needs != 0 {
            self.brief(slot).0 |= Brief::NEEDS;
        }
        Some(())
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
        let mut members = btf.ty(id).members();
        loop {
            let odd = match how.in_params {
                true => members.next(),
                false => self.usual_members(&mut members, &mut layout),
            };
            let Some(m) = odd else { break };
            if m.name.is_none() {
                self.unnamed(m.ty, how)?;
            } else {
                self.mention(m.ty, how)?;
                let mut memo = self.defs.memo(m.ty);
                if memo.shape().is_none() {
                    self.whole(m.ty, how.depth)?;
                    // A name can be empty too.
                    if btf.is_named(m.name) {
                        memo = self.shape(m.ty)?;
                    }
                }
                if layout.usual(&m, memo) {
                    continue;
                }
            }
            layout.member(btf, self.defs, id, &m).ok()?;
        }
        layout.finish(btf, self.defs, slot);
        Some(())
    }

    /// Notes what members need and lays them out, up to the first that must be looked at more closely: that one.
    #[inline]
    fn usual_members(
        &mut self,
        members: &mut (impl ExactSizeIterator<Item = Member> + Clone),
        layout: &mut Layout,
    ) -> Option<Member> {
        let room = self.top + members.len();
        if self.pending.len() <= room {
            self.pending.resize(room * 2, Need::NOTHING);
        }
        let (as_member, memos) = (&*self.as_member, self.defs.memos());
        let (uses, pending) = (&mut *self.uses, &mut *self.pending);
        let (mut top, mut last) = (self.top, self.last);
        let odd = loop {
            let Some(m) = members.next() else { break None };
            let at = m.ty.0 as usize;
            let (Some(known), Some(memo)) = (as_member.get(at), memos.get(at)) else {
                break Some(m);
            };
            let known = Need(*known);
            if !known.is_known() || !layout.usual(&m, Memo(*memo)) {
                break Some(m);
            }
            uses[known.slot() as usize] += 1;
            pending[top] = known;
            let new = known.comes_first() && known != last;
            top += usize::from(new);
            last = if new { known } else { last };
        };
        (self.top, self.last) = (top, last);
        odd
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
        self.note(Need::first(slot, 0));
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
        let table = match (how.in_params, how.by_value) {
            (false, true) => &self.as_member,
            (true, false) => &self.as_param,
            // A member of an unnamed record in a parameter list, or a typedef's type: there are few.
            _ => return self.look(id, how),
        };
        let known = Need(table.get(id.0 as usize).copied().unwrap_or(0));
        if known.is_known() {
            self.note(known);
            return Some(());
        }
        match known {
            Need::DEEP => self.follow(id, how),
            _ => self.look(id, how),
        }
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
                *known = look.0;
            }
        }
        match look {
            Need::DEEP => self.follow(id, how),
            known => {
                self.note(known);
                Some(())
            }
        }
    }

    fn find(&mut self, id: TypeId, how: How) -> Option<Need> {
        let (mut at, mut by_value) = (id, how.by_value);
        for _ in 0..DEEP {
            let kind = self.btf.kind(at);
            match kind {
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
                Kind::Int | Kind::Float => return Some(Need::NOTHING),
                Kind::Void => return (!by_value).then_some(Need::NOTHING),
                _ => {}
            }
            let slot = self.defs.slot_of(at);
            let brief = *self.brief(slot);
            return Some(match kind {
                Kind::Struct | Kind::Union | Kind::Fwd if brief.is(Brief::NAMED) => {
                    match by_value {
                        true if brief.is(Brief::INCOMPLETE) => return None,
                        true => Need::first(slot, 0),
                        false if how.in_params => Need::first(slot, Need::IN_PARAMS),
                        false if brief.is(Brief::COUNTED) => Need::counted(slot),
                        false => Need::NOTHING,
                    }
                }
                Kind::Typedef if by_value => Need::first(slot, Need::BY_VALUE),
                Kind::Typedef => Need::first(slot, 0),
                Kind::Enum | Kind::Enum64 => {
                    let def = self.defs.get_mut(slot);
                    if how.in_params && !def.is(Def::BASE) && def.len == 0 {
                        def.flags |= Def::HOISTED;
                    }
                    Need::counted(slot)
                }
                _ => Need::DEEP,
            });
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
                    if self.brief(slot).is(Brief::DONE) {
                        return self.members(at, how);
                    }
                    self.spend(0, how)?;
                    self.record(slot, at, how)?;
                    self.defs.get_mut(slot).state = State::Done;
                    self.brief(slot).0 |= Brief::DONE;
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

    /// What objects of this type are like, none of which was met before, and all that is in them laid out.
    fn shape(&mut self, id: TypeId) -> Option<Memo> {
        let shape = layout::shape(self.btf, self.defs, id);
        let memo = match shape.object {
            true => Memo::new(shape.size, shape.align as u8),
            false => return None,
        };
        self.defs.note(id, memo);
        Some(memo)
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
                    let brief = *self.brief(slot);
                    return match brief.is(Brief::NAMED) {
                        _ if brief.is(Brief::INCOMPLETE) => None,
                        false => brief.is(Brief::DONE).then_some(()),
                        true => self.definition(slot, depth),
                    };
                }
                Kind::Typedef => {
                    let slot = self.defs.slot_of(at);
                    self.definition(slot, depth)?;
                    let needs = self.defs.get(slot).needs;
                    return match needs {
                        0 => Some(()),
                        _ if self.brief(needs).is(Brief::INCOMPLETE) => None,
                        _ => self.definition(needs, depth),
                    };
                }
                _ => return Some(()),
            };
        }
        None
    }
}
