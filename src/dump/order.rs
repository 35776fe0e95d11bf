//! The order of definitions: C wants a type whole before it is used by value, and a typedef before it is
//! used at all. Within that, definitions come in the order of their names.

use super::defs::{Def, DefClass, Defs, Memo, Slot, State};
use super::error::{Error, in_words};
use super::layout::{self, Layout};
use super::survey::Survey;
use crate::btf::{Btf, Kind, Member, TypeId, soon};

/// How deep an unnamed record may stand in another, and how long a chain of pointers, arrays and
/// prototypes may be. Compilers have limits of their own (clang: 256 brackets); the kernel needs 10.
pub(super) const MAX_DEPTH: u32 = 100;

/// Marks a need for the type whole.
const BY_VALUE: Slot = 1 << 31;

/// What is printed, in which order.
#[derive(Default)]
pub(super) struct Order {
    /// Records and typedefs.
    pub body: Vec<Slot>,
    /// Enums that are mentioned, where only some types are printed.
    pub enums: Vec<Slot>,
    /// Records that are mentioned but need not be whole, where only some types are printed.
    pub pointed_at: Vec<Slot>,
}

/// Walks definitions so that each comes behind those it needs.
pub(super) struct Walk<'w, 'b> {
    pub btf: &'w Btf<'b>,
    pub defs: &'w mut Defs,
    pub order: Order,
    /// Keep account of enums and of what is pointed at.
    partial: bool,
    /// What is known before the walk; nothing of a partial one.
    survey: Option<Survey>,
    /// What the definitions under way need, in the order in which they mention it.
    needs: Vec<Slot>,
    /// Unnamed records in the definitions under way, outer before inner.
    inner: Vec<Slot>,
    root: Slot,
    /// Room for the definitions under way.
    frames: Vec<Frame>,
    /// How many more members of unnamed records will be looked at: they are printed wherever they are
    /// mentioned, so that a few bytes of BTF can ask for any amount of text.
    budget: u64,
}

/// A definition under way: its part of the stack of needs, and where its unnamed records begin.
struct Frame {
    slot: Slot,
    start: usize,
    next: usize,
    end: usize,
    inner: usize,
    laid_out: bool,
}

/// How a type is mentioned.
#[derive(Clone, Copy)]
struct Mention {
    /// It must be whole.
    by_value: bool,
    /// In a parameter list, whose end is the end of every tag that is first seen in it.
    in_params: bool,
    depth: u32,
}

impl<'w, 'b> Walk<'w, 'b> {
    pub fn new(
        btf: &'w Btf<'b>,
        defs: &'w mut Defs,
        survey: Option<Survey>,
        partial: bool,
    ) -> Walk<'w, 'b> {
        let budget = 500_000 + 16 * u64::from(btf.end_id());
        Walk {
            btf,
            defs,
            order: Order::default(),
            partial,
            survey,
            needs: Vec::new(),
            inner: Vec::new(),
            root: 0,
            frames: Vec::new(),
            budget,
        }
    }

    /// Puts records and typedefs, and all that they need before them, into the order.
    pub fn visit_all(&mut self, roots: &[Slot]) -> Result<(), Error> {
        for (n, root) in roots.iter().enumerate() {
            let ahead = |by: usize| roots.get(n + by).copied().unwrap_or(0);
            if let Some(survey) = &self.survey {
                survey.soon(ahead(12), ahead(6));
            }
            soon(self.defs.get(ahead(12)));
            self.visit(*root)?;
        }
        Ok(())
    }

    /// Puts a record or typedef, and all that it needs before it, into the order.
    pub fn visit(&mut self, root: Slot) -> Result<(), Error> {
        if self.is_next(root) {
            self.done(root);
            self.order.body.push(root);
            return Ok(());
        }
        if self.defs.get(root).state != State::New {
            return Ok(());
        }
        let first = self.open(root)?;
        if first.next == first.end {
            return self.close(&first);
        }
        self.run(first)
    }

    /// Whether it is known of a definition that it needs nothing that is not there already, which is so of
    /// most.
    #[inline]
    fn is_next(&self, slot: Slot) -> bool {
        let Some(survey) = &self.survey else {
            return false;
        };
        !survey.is_done(slot)
            && survey
                .needs(slot)
                .is_some_and(|needs| needs.iter().all(|need| survey.has(self.defs, *need)))
    }

    #[inline]
    fn done(&mut self, slot: Slot) {
        self.defs.get_mut(slot).state = State::Done;
        if let Some(survey) = &mut self.survey {
            survey.set_done(slot);
        }
    }

    /// Puts what a prototype needs into the order.
    pub fn visit_prototype(&mut self, func: TypeId) -> Result<(), Error> {
        self.root = 0;
        let mention = Mention {
            by_value: false,
            in_params: false,
            depth: 0,
        };
        self.mention(self.btf.ty(func).target(), mention)?;
        for need in std::mem::take(&mut self.needs) {
            self.visit(need & !BY_VALUE)?;
            let whole = self.defs.get(need & !BY_VALUE).needs;
            if need & BY_VALUE != 0 && whole != 0 {
                self.visit(whole)?;
            }
        }
        self.lay_out_inner(0)
    }

    fn run(&mut self, first: Frame) -> Result<(), Error> {
        let mut stack = std::mem::take(&mut self.frames);
        stack.push(first);
        while let Some(frame) = stack.last_mut() {
            if frame.next == frame.end {
                self.close(frame)?;
                self.needs.truncate(frame.start);
                stack.pop();
                continue;
            }
            let need = self.needs[frame.next];
            let of = need & !BY_VALUE;
            let whole = match need & BY_VALUE {
                0 => 0,
                _ => self.defs.get(of).needs,
            };
            // A typedef's record is known once the typedef itself is done, so look at that first.
            let open = [of, whole]
                .into_iter()
                .find(|s| *s != 0 && self.defs.get(*s).state != State::Done);
            match open {
                None => frame.next += 1,
                Some(slot) if self.defs.get(slot).state == State::Open => {
                    let id = self.defs.get(slot).id;
                    let what = format!(
                        "{} cannot be defined: it holds itself",
                        in_words(self.btf, id)
                    );
                    return Err(Error::new(self.btf, id, what));
                }
                Some(slot) => {
                    let frame = self.open(slot)?;
                    stack.push(frame);
                }
            }
        }
        self.frames = stack;
        Ok(())
    }

    /// Begins a definition: notes what it needs.
    fn open(&mut self, slot: Slot) -> Result<Frame, Error> {
        let def = self.defs.get_mut(slot);
        def.state = State::Open;
        let (id, class) = (def.id, def.class);
        let incomplete = def.is(Def::INCOMPLETE);
        let (start, inner) = (self.needs.len(), self.inner.len());
        self.root = slot;
        let mut laid_out = self.open_ready(slot);
        match class {
            _ if incomplete || laid_out => {}
            DefClass::Typedef => {
                let mention = Mention {
                    by_value: false,
                    in_params: false,
                    depth: 0,
                };
                self.mention(self.btf.ty(id).target(), mention)?;
            }
            _ => laid_out = self.open_record(slot, id)?,
        }
        let end = self.needs.len();
        Ok(Frame {
            slot,
            start,
            next: start,
            end,
            inner,
            laid_out,
        })
    }

    /// Notes what a definition needs that is not there yet, if that is known before.
    fn open_ready(&mut self, slot: Slot) -> bool {
        let survey = self.survey.as_ref();
        let Some((survey, needs)) = survey.and_then(|s| Some((s, s.needs(slot)?))) else {
            return false;
        };
        for need in needs {
            let of = need.slot();
            if survey.has(self.defs, *need) {
                continue;
            }
            if !need.in_params() {
                self.needs.push(match need.by_value() {
                    true => of | BY_VALUE,
                    false => of,
                });
            } else if of != slot {
                self.defs.get_mut(of).flags |= Def::FORWARD;
            }
        }
        true
    }

    /// Notes what a record needs, and lays it out as long as all of that is there already. True if it was
    /// laid out to its end.
    fn open_record(&mut self, slot: Slot, id: TypeId) -> Result<bool, Error> {
        let (needs, inner) = (self.needs.len(), self.inner.len());
        let mut layout = Layout::of(self.btf, self.defs.get(slot));
        let usual = !self.partial && !self.defs.odd_members;
        let mut whole = true;
        for m in self.btf.ty(id).members() {
            let memo = self.defs.memo(m.ty);
            if usual && whole && memo.is_settled(Memo::BY_VALUE) && layout.usual(&m, memo) {
                continue;
            }
            self.member(&m, false, 0)?;
            whole &= self.needs.len() == needs;
            let memo = self.defs.memo(m.ty);
            if whole && !(usual && layout.usual(&m, memo)) {
                self.lay_out_inner(inner)?;
                layout.member(self.btf, self.defs, id, &m)?;
            }
        }
        if whole {
            layout.finish(self.btf, self.defs, slot);
        }
        Ok(whole)
    }

    /// Ends a definition: all that it needs is known, so it can be laid out.
    fn close(&mut self, frame: &Frame) -> Result<(), Error> {
        let slot = frame.slot;
        self.lay_out_inner(frame.inner)?;
        let def = self.defs.get(slot);
        if !def.is(Def::INCOMPLETE) {
            match def.class {
                _ if frame.laid_out => {}
                DefClass::Typedef => layout::lay_out_typedef(self.btf, self.defs, slot)?,
                _ => layout::lay_out_record(self.btf, self.defs, slot)?,
            }
            self.order.body.push(slot);
        } else if self.partial {
            self.order.pointed_at.push(slot);
        }
        self.done(slot);
        Ok(())
    }

    fn lay_out_inner(&mut self, from: usize) -> Result<(), Error> {
        // Noted outer before inner, laid out inner before outer.
        while self.inner.len() > from {
            let Some(slot) = self.inner.pop() else { break };
            if self.defs.get(slot).state != State::Done {
                layout::lay_out_record(self.btf, self.defs, slot)?;
                self.done(slot);
            }
        }
        Ok(())
    }

    fn members(&mut self, record: TypeId, in_params: bool, depth: u32) -> Result<(), Error> {
        for m in self.btf.ty(record).members() {
            self.member(&m, in_params, depth)?;
        }
        Ok(())
    }

    fn member(&mut self, m: &Member, in_params: bool, depth: u32) -> Result<(), Error> {
        let mention = Mention {
            by_value: true,
            in_params,
            depth: depth + 1,
        };
        if m.name.is_none() || self.defs.odd_members && !self.btf.is_named(m.name) {
            // Unnamed: a record's members are the outer one's too; of anything else nothing can be said.
            let Some(named) = unnamed_member(self.btf, self.defs, m.ty) else {
                return Ok(());
            };
            if self.defs.get(self.defs.slot_of(named)).len > 0 {
                // Printed once more in place, as C without -fms-extensions has no other way.
                self.needs.push(self.defs.slot_of(named));
                self.spend(named, depth)?;
                return self.members(named, in_params, depth + 1);
            }
            return self.mention(named, mention).map(|_| ());
        }
        let remember = !in_params && !self.partial && self.survey.is_none();
        if remember && self.defs.memo(m.ty).is_settled(Memo::BY_VALUE) {
            return Ok(());
        }
        if self.mention(m.ty, mention)? && remember {
            self.defs.settle(m.ty, Memo::BY_VALUE);
        }
        Ok(())
    }

    fn spend(&mut self, record: TypeId, depth: u32) -> Result<(), Error> {
        let cost = u64::from(self.btf.ty(record).vlen()) + 1;
        match self.budget.checked_sub(cost) {
            Some(left) if depth < MAX_DEPTH => self.budget = left,
            _ => {
                let what = format!(
                    "{} stands in so many others that no C compiler could read it",
                    in_words(self.btf, record)
                );
                return Err(Error::new(self.btf, record, what));
            }
        }
        Ok(())
    }

    /// Follows a type to the definitions that it is made of. True if another mention of it like this one
    /// would change nothing: all it needs is there, and none of it is counted.
    fn mention(&mut self, id: TypeId, how: Mention) -> Result<bool, Error> {
        let Mention {
            mut by_value,
            in_params,
            mut depth,
        } = how;
        let mut at = id;
        loop {
            match self.btf.kind(at) {
                Kind::Int | Kind::Float => return Ok(true),
                Kind::Ptr => by_value = false,
                Kind::Array => {
                    let element = self.btf.ty(at).array().map(|a| a.element);
                    by_value = true;
                    at = element.unwrap_or_default();
                    depth = self.deeper(id, depth)?;
                    continue;
                }
                Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {}
                Kind::Struct | Kind::Union | Kind::Fwd => {
                    return self.record(at, by_value, in_params, depth);
                }
                Kind::Enum | Kind::Enum64 => {
                    let slot = self.defs.slot_of(at);
                    let def = self.defs.get_mut(slot);
                    def.uses = def.uses.saturating_add(1);
                    if in_params && !def.is(Def::BASE) && def.len == 0 {
                        def.flags |= Def::HOISTED;
                    }
                    let plain = !def.is(Def::COUNTED);
                    if self.partial {
                        self.order.enums.push(slot);
                    }
                    return Ok(plain);
                }
                Kind::Typedef => {
                    let slot = self.defs.slot_of(at);
                    let def = self.defs.get_mut(slot);
                    def.uses = def.uses.saturating_add(1);
                    let (done, whole) = (def.state == State::Done, def.needs);
                    let plain = !def.is(Def::COUNTED);
                    let whole = by_value && whole != 0 && self.defs.get(whole).state != State::Done;
                    if !done || whole {
                        self.needs
                            .push(if by_value { slot | BY_VALUE } else { slot });
                    }
                    return Ok(plain && done && !whole);
                }
                Kind::FuncProto if !by_value => {
                    let ty = self.btf.ty(at);
                    let depth = self.deeper(id, depth)?;
                    self.spend(at, depth)?;
                    let of = |in_params| Mention {
                        by_value: false,
                        in_params,
                        depth,
                    };
                    let mut plain = self.mention(ty.target(), of(in_params))?;
                    let remember = !self.partial && self.survey.is_none();
                    for p in ty.params() {
                        let memo = self.defs.memo(p.ty);
                        if remember && memo.is_settled(Memo::IN_PARAMS) {
                            continue;
                        }
                        let settled = self.mention(p.ty, of(true))?;
                        if settled && remember {
                            self.defs.settle(p.ty, Memo::IN_PARAMS);
                        }
                        plain &= settled;
                    }
                    return Ok(plain);
                }
                Kind::Void if !by_value => return Ok(true),
                kind => {
                    let what = match kind {
                        Kind::Void | Kind::FuncProto => "an object, but no object has that type",
                        _ => "a type, but is none",
                    };
                    let what = format!("{} is used as {what}", in_words(self.btf, at));
                    let about = if at == TypeId::VOID { id } else { at };
                    return Err(Error::new(self.btf, about, what));
                }
            }
            at = self.btf.target(at);
            depth = self.deeper(id, depth)?;
        }
    }

    fn deeper(&self, id: TypeId, depth: u32) -> Result<u32, Error> {
        if depth >= MAX_DEPTH {
            let what = format!(
                "{} is nested over {MAX_DEPTH} levels deep, more than C compilers take",
                in_words(self.btf, id)
            );
            return Err(Error::new(self.btf, id, what));
        }
        Ok(depth + 1)
    }

    fn record(
        &mut self,
        id: TypeId,
        by_value: bool,
        in_params: bool,
        depth: u32,
    ) -> Result<bool, Error> {
        let slot = self.defs.slot_of(id);
        let def = self.defs.get_mut(slot);
        if def.len == 0 {
            self.spend(id, depth)?;
            self.inner.push(slot);
            self.members(id, in_params, depth + 1)?;
            return Ok(false);
        }
        def.uses = def.uses.saturating_add(1);
        if by_value {
            if def.is(Def::INCOMPLETE) {
                let what = format!(
                    "{} is used by value, but only declared",
                    in_words(self.btf, id)
                );
                return Err(Error::new(self.btf, id, what));
            }
            let (done, plain) = (def.state == State::Done, !def.is(Def::COUNTED));
            if !done {
                self.needs.push(slot);
            }
            return Ok(done && plain);
        }
        if in_params && def.state != State::Done && slot != self.root {
            def.flags |= Def::FORWARD;
        }
        let declared = !in_params || def.state == State::Done || def.is(Def::FORWARD);
        let plain = declared && !def.is(Def::COUNTED);
        if self.partial {
            self.order.pointed_at.push(slot);
        }
        Ok(plain)
    }
}

/// The record that an unnamed member of this type stands for, if it is one.
pub(super) fn unnamed_member(btf: &Btf<'_>, defs: &Defs, mut id: TypeId) -> Option<TypeId> {
    for _ in 0..MAX_DEPTH {
        match btf.kind(id) {
            Kind::Struct | Kind::Union => return Some(id),
            Kind::Fwd => {
                let def = defs.get(defs.slot_of(id));
                return (!def.is(Def::INCOMPLETE)).then_some(def.id);
            }
            Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag | Kind::Typedef => {
                id = btf.ty(id).target();
            }
            _ => return None,
        }
    }
    None
}
