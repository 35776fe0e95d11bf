//! Which instructions of a program can be reached, given what relocation put into them.
//!
//! An abstract interpretation: a register is a known number, an address in the function's own stack, something that is
//! not 0, or anything; at a branch on known numbers one way only is taken. It knows no more than the kernel's verifier
//! does of the same code, and where it does not know, everything can be reached: what it calls unreachable is so.

use super::insn::{ALU, ALU64, CALL, EXIT, Insn, JMP, JMP32, LD, LD_IMM64, LDX, Patched, ST, STX};
use super::object::{Object, Reference};
use std::collections::{HashMap, HashSet};

/// What is known of an extern's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// It is there.
    Present,
    /// It is not: its address is 0, and a call of it is poisoned.
    Absent,
    /// Nobody knows.
    Unknown,
}

/// What relocation made of an object's instructions.
pub(super) struct World<'a, 'd> {
    pub object: &'a Object<'d>,
    /// By function and instruction.
    pub patched: &'a HashMap<(usize, usize), Patched>,
    /// By index of the extern.
    pub externs: &'a [Presence],
}

/// A poisoned instruction: its function, and where in it.
pub(super) type Place = (usize, usize);

/// Steps after which everything counts as reachable: far more than any program takes.
const MAX_STEPS: usize = 1 << 24;
/// Most places of the stack that are remembered: all that a frame has.
const MAX_SLOTS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Number(u64),
    /// An address in this function's frame.
    Stack(i32),
    NonZero,
    /// Anything but an address in this function's frame.
    Other,
    Anything,
}

use Known::{Anything, NonZero, Number, Other, Stack};

impl Known {
    fn may_be_stack(self) -> bool {
        matches!(self, Stack(_) | Anything)
    }

    /// What another function sees of it.
    fn outside(self) -> Known {
        match self {
            Stack(_) => NonZero,
            Anything => Other,
            other => other,
        }
    }

    fn join(self, other: Known) -> Known {
        let is_nonzero = |k| match k {
            Number(n) => n != 0,
            k => k == NonZero,
        };
        match (self, other) {
            (a, b) if a == b => a,
            (a, b) if a.may_be_stack() || b.may_be_stack() => Anything,
            (a, b) if is_nonzero(a) && is_nonzero(b) => NonZero,
            _ => Other,
        }
    }
}

#[derive(Clone, PartialEq)]
struct State {
    regs: [Known; 16],
    /// 8 bytes each, by offset from the frame's end.
    slots: Vec<(i32, Known)>,
}

impl State {
    fn entry(args: [Known; 5]) -> State {
        let mut regs = [Other; 16];
        regs[1..6].copy_from_slice(&args);
        regs[10] = Stack(0);
        State {
            regs,
            slots: Vec::new(),
        }
    }

    fn reg(&self, n: u8) -> Known {
        self.regs[usize::from(n & 15)]
    }

    fn set(&mut self, n: u8, value: Known) {
        // The frame's address cannot be changed.
        if n != 10 {
            self.regs[usize::from(n & 15)] = value;
        }
    }

    /// Joins another into this one; whether that changed it.
    fn join(&mut self, other: &State) -> bool {
        let before = self.clone();
        for (mine, theirs) in self.regs.iter_mut().zip(other.regs) {
            *mine = mine.join(theirs);
        }
        self.slots.retain_mut(|(at, value)| {
            let theirs = other.slots.iter().find(|(a, _)| a == at);
            theirs.is_some_and(|(_, theirs)| {
                *value = value.join(*theirs);
                true
            })
        });
        *self != before
    }

    fn store(&mut self, to: Known, off: i16, width: u32, value: Option<Known>) {
        let at = match to {
            Stack(base) => base.saturating_add(off.into()),
            Anything => return self.slots.clear(),
            _ => return,
        };
        let end = at.saturating_add(width as i32);
        self.slots
            .retain(|(slot, _)| *slot >= end || slot.saturating_add(8) <= at);
        if let Some(value) = value
            && width == 8
            && self.slots.len() < MAX_SLOTS
        {
            self.slots.push((at, value));
        }
    }

    fn load(&self, from: Known, off: i16, width: u32) -> Known {
        // Less than 8 bytes are no address.
        let unknown = if width == 8 { Anything } else { Other };
        match from {
            Stack(base) if width == 8 => {
                let at = base.saturating_add(off.into());
                let found = self.slots.iter().find(|(slot, _)| *slot == at);
                found.map_or(unknown, |(_, value)| *value)
            }
            Stack(_) | Anything => unknown,
            _ => Other,
        }
    }

    /// What a call leaves: it can write to whatever it was given an address in.
    fn after_call(&mut self, result: Known) {
        if self.regs[1..6].iter().any(|arg| arg.may_be_stack()) {
            self.slots.clear();
        }
        self.regs[1..6].fill(Other);
        self.regs[0] = result;
    }
}

/// One function, as far as it was followed.
#[derive(Default)]
struct Frame {
    /// What is known where ways meet.
    at: HashMap<usize, State>,
    /// Where ways meet: targets of jumps, calls.
    leaders: HashSet<usize>,
    result: Option<Known>,
    callers: HashSet<Place>,
}

struct Walk<'w, 'a, 'd> {
    world: &'w World<'a, 'd>,
    frames: HashMap<usize, Frame>,
    todo: Vec<Place>,
    reached: HashSet<Place>,
    steps: usize,
}

/// The poisoned instructions that a program can reach; `None` if that could not be found out. `called` are the functions
/// that it calls, directly or not.
pub(super) fn reached(
    world: &World<'_, '_>,
    program: usize,
    called: &[usize],
) -> Option<HashSet<Place>> {
    let mut walk = Walk {
        world,
        frames: HashMap::new(),
        todo: Vec::new(),
        reached: HashSet::new(),
        steps: 0,
    };
    walk.enter(program, [Other; 5]);
    // Kernels before 6.8 verify these, whether a call of them can be reached or not.
    let functions = &world.object.functions;
    for &function in called {
        if functions.get(function).is_some_and(|f| f.is_global) {
            walk.enter(function, [Other; 5]);
        }
    }
    while let Some(place) = walk.todo.pop() {
        walk.follow(place)?;
    }
    Some(walk.reached)
}

impl Walk<'_, '_, '_> {
    fn enter(&mut self, function: usize, args: [Known; 5]) {
        self.meet((function, 0), State::entry(args));
    }

    fn frame(&mut self, function: usize) -> &mut Frame {
        let insns = &self.world.object.functions[function].insns;
        self.frames.entry(function).or_insert_with(|| Frame {
            leaders: leaders(insns),
            ..Frame::default()
        })
    }

    /// Another way leads here.
    fn meet(&mut self, place: Place, state: State) {
        let frame = self.frame(place.0);
        let changed = match frame.at.get_mut(&place.1) {
            Some(known) => known.join(&state),
            None => {
                frame.at.insert(place.1, state);
                true
            }
        };
        if changed {
            self.todo.push(place);
        }
    }

    /// Follows the code from here to where ways meet.
    fn follow(&mut self, (function, mut at): Place) -> Option<()> {
        let world = self.world;
        let insns = &world.object.functions.get(function)?.insns;
        let mut state = self.frame(function).at.get(&at)?.clone();
        let first = at;
        loop {
            self.steps += 1 + state.slots.len() / 8;
            if self.steps > MAX_STEPS {
                return None;
            }
            if at != first && self.frame(function).leaders.contains(&at) {
                self.meet((function, at), state);
                return Some(());
            }
            // Beyond the end there is nothing that the verifier would take.
            let Some(insn) = insns.get(at).copied() else {
                return Some(());
            };
            let mut upper = insns.get(at + 1).map_or(0, |i| i.imm);
            let mut insn = insn;
            match world.patched.get(&(function, at)) {
                Some(Patched::Poison) => {
                    self.reached.insert((function, at));
                    state.set(insn.dst, Anything);
                    state.set(0, Anything);
                    at += if insn.is_wide() { 2 } else { 1 };
                    continue;
                }
                Some(Patched::Insn(new, high)) => {
                    insn = *new;
                    upper = *high;
                }
                None => {}
            }
            let reference = world.object.functions[function]
                .references
                .get(&at)
                .copied();
            match insn.class() {
                ALU | ALU64 => alu(&mut state, insn),
                LDX => {
                    let value = state.load(state.reg(insn.src), insn.off, insn.width());
                    state.set(insn.dst, value);
                }
                ST => {
                    let zero = (insn.imm == 0).then_some(Number(0));
                    state.store(state.reg(insn.dst), insn.off, insn.width(), zero);
                }
                STX if insn.code & 0xe0 == 0x60 => {
                    let value = Some(state.reg(insn.src));
                    state.store(state.reg(insn.dst), insn.off, insn.width(), value);
                }
                STX => {
                    // Atomic: it may also load, into the source, r0 or the destination.
                    state.store(state.reg(insn.dst), insn.off, 8, None);
                    for reg in [0, insn.src] {
                        state.set(reg, Anything);
                    }
                    if insn.imm == 0x100 {
                        state.set(insn.dst, Anything);
                    }
                }
                LD if insn.code == LD_IMM64 => {
                    let value = self.load_address(insn, upper, reference);
                    state.set(insn.dst, value);
                    at += 1;
                }
                LD => state.after_call(Other),
                JMP | JMP32 if insn.code == EXIT => {
                    self.leave(function, state.reg(0));
                    return Some(());
                }
                JMP if insn.code & 0xf7 == CALL => {
                    if !self.call((function, at), insn, reference, &mut state) {
                        return Some(());
                    }
                }
                _ => {
                    let ways = branch(&state, insn);
                    if ways.taken {
                        let jump = match insn.code & 0xf7 {
                            0x06 => insn.imm,
                            _ => insn.off.into(),
                        };
                        let target = (at as i64)
                            .saturating_add(i64::from(jump))
                            .saturating_add(1);
                        let mut state = state.clone();
                        refine(&mut state, insn, true);
                        if let Ok(target) = usize::try_from(target) {
                            self.meet((function, target), state);
                        }
                    }
                    if !ways.passed {
                        return Some(());
                    }
                    refine(&mut state, insn, false);
                }
            }
            at += 1;
        }
    }

    fn load_address(&mut self, insn: Insn, upper: i32, reference: Option<Reference>) -> Known {
        match reference {
            // Called from elsewhere, with anything.
            Some(Reference::Function(callback)) => {
                self.enter(callback, [Other; 5]);
                NonZero
            }
            Some(Reference::Extern(n)) => match self.world.externs.get(n) {
                Some(Presence::Present) => NonZero,
                Some(Presence::Absent) => Number(0),
                _ => Other,
            },
            Some(Reference::Data) => Other,
            None if insn.src == 0 => {
                Number(u64::from(insn.imm as u32) | u64::from(upper as u32) << 32)
            }
            None => Other,
        }
    }

    /// Whether the call comes back, as far as is known yet.
    fn call(
        &mut self,
        place: Place,
        insn: Insn,
        reference: Option<Reference>,
        state: &mut State,
    ) -> bool {
        let result = match reference {
            Some(Reference::Function(callee)) if insn.src == 1 => {
                let is_global = self.world.object.functions[callee].is_global;
                let args = match is_global {
                    true => [Other; 5],
                    false => std::array::from_fn(|n| state.regs[n + 1].outside()),
                };
                self.enter(callee, args);
                let frame = self.frame(callee);
                frame.callers.insert(place);
                if is_global { Some(Other) } else { frame.result }
            }
            Some(Reference::Extern(n)) => {
                if self.world.externs.get(n) == Some(&Presence::Absent) {
                    self.reached.insert(place);
                }
                Some(Other)
            }
            _ => Some(Other),
        };
        match result {
            Some(result) => {
                state.after_call(result);
                true
            }
            None => false,
        }
    }

    fn leave(&mut self, function: usize, result: Known) {
        let frame = self.frame(function);
        let result = result.outside();
        let joined = frame.result.map_or(result, |known| known.join(result));
        if frame.result != Some(joined) {
            frame.result = Some(joined);
            let callers: Vec<Place> = frame.callers.iter().copied().collect();
            self.todo.extend(callers);
        }
    }
}

/// Where ways meet.
fn leaders(insns: &[Insn]) -> HashSet<usize> {
    let mut found = HashSet::new();
    let mut at = 0;
    while let Some(insn) = insns.get(at) {
        if matches!(insn.class(), JMP | JMP32) {
            if insn.code & 0xf7 == CALL {
                found.insert(at);
            } else if insn.code != EXIT {
                let jump = if insn.code & 0xf7 == 0x06 {
                    insn.imm
                } else {
                    insn.off.into()
                };
                let target = (at as i64)
                    .saturating_add(i64::from(jump))
                    .saturating_add(1);
                found.extend(usize::try_from(target).ok());
            }
        }
        at += if insn.is_wide() { 2 } else { 1 };
    }
    found
}

fn operand(state: &State, insn: Insn) -> Known {
    match insn.code & 8 {
        0 => Number(i64::from(insn.imm) as u64),
        _ => state.reg(insn.src),
    }
}

fn alu(state: &mut State, insn: Insn) {
    let wide = insn.class() == ALU64;
    let (a, b) = (state.reg(insn.dst), operand(state, insn));
    let op = insn.code >> 4;
    // Half an address is a number.
    let lost = match a.may_be_stack() || (b.may_be_stack() && insn.code & 8 != 0) {
        true if wide => Anything,
        _ => Other,
    };
    let cut = |n: u64| Number(if wide { n } else { u64::from(n as u32) });
    let bits: u32 = if wide { 64 } else { 32 };
    let value = match (op, a, b) {
        // Moves; with an offset they extend a sign.
        (0xb, _, Number(n)) if insn.off == 0 => cut(n),
        (0xb, _, b) if wide && insn.off == 0 => b,
        (0xb, _, b) => match b.may_be_stack() && wide {
            true => Anything,
            false => Other,
        },
        (0xa, ..) if insn.code & 8 != 0 && insn.src == insn.dst => Number(0),
        (0x0, Stack(at), Number(n)) if wide => add(at, n),
        (0x1, Stack(at), Number(n)) if wide => add(at, n.wrapping_neg()),
        (0x2 | 0x5, _, Number(0)) | (0x2 | 0x5, Number(0), _) if lost == Other => Number(0),
        (op, Number(a), Number(b)) => {
            let (a, b) = match wide {
                true => (a, b),
                false => (u64::from(a as u32), u64::from(b as u32)),
            };
            let shift = (b as u32) & (bits - 1);
            match op {
                0x0 => cut(a.wrapping_add(b)),
                0x1 => cut(a.wrapping_sub(b)),
                0x2 => cut(a.wrapping_mul(b)),
                0x4 => cut(a | b),
                0x5 => cut(a & b),
                0x6 => cut(a << shift),
                0x7 => cut(a >> shift),
                0xa => cut(a ^ b),
                0xc if wide => cut(((a as i64) >> shift) as u64),
                0xc => cut(u64::from(((a as u32 as i32) >> shift) as u32)),
                // The verifier follows division, negation and swaps in newer kernels only.
                _ => Other,
            }
        }
        _ => lost,
    };
    state.set(insn.dst, value);
}

fn add(at: i32, n: u64) -> Known {
    let sum = i64::from(at).wrapping_add(n as i64);
    i32::try_from(sum).map_or(Anything, Stack)
}

/// Which ways a branch can go.
struct Ways {
    taken: bool,
    passed: bool,
}

fn branch(state: &State, insn: Insn) -> Ways {
    let (op, is_wide) = (insn.code >> 4, insn.class() == JMP);
    const BOTH: Ways = Ways {
        taken: true,
        passed: true,
    };
    if op == 0 {
        return Ways {
            taken: true,
            passed: false,
        };
    }
    let taken = match (state.reg(insn.dst), operand(state, insn)) {
        (Number(a), Number(b)) if is_wide => compare(op, a, b, a as i64, b as i64),
        (Number(a), Number(b)) => {
            let (x, y) = (a as u32, b as u32);
            compare(op, x.into(), y.into(), (x as i32).into(), (y as i32).into())
        }
        (NonZero | Stack(_), Number(0)) if is_wide => match op {
            0x1 | 0xb => Some(false),
            0x5 | 0x2 => Some(true),
            _ => None,
        },
        _ => None,
    };
    taken.map_or(BOTH, |taken| Ways {
        taken,
        passed: !taken,
    })
}

fn compare(op: u8, a: u64, b: u64, x: i64, y: i64) -> Option<bool> {
    Some(match op {
        0x1 => a == b,
        0x2 => a > b,
        0x3 => a >= b,
        0x4 => a & b != 0,
        0x5 => a != b,
        0x6 => x > y,
        0x7 => x >= y,
        0xa => a < b,
        0xb => a <= b,
        0xc => x < y,
        0xd => x <= y,
        _ => return None,
    })
}

/// What a comparison with a number tells of the register on either way.
fn refine(state: &mut State, insn: Insn, taken: bool) {
    if insn.class() != JMP || insn.code & 8 != 0 {
        return;
    }
    let equal = match insn.code >> 4 {
        0x1 => taken,
        0x5 => !taken,
        _ => return,
    };
    let known = state.reg(insn.dst);
    match (equal, known) {
        (true, Other | NonZero) => state.set(insn.dst, Number(i64::from(insn.imm) as u64)),
        (false, Other) if insn.imm == 0 => state.set(insn.dst, NonZero),
        _ => {}
    }
}
