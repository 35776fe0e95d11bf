//! Which instructions of a program can be reached, given what relocation put into them.
//!
//! An abstract interpretation: a register is a known number, an address in the function's own stack, something that is
//! not 0, or anything; at a branch on known numbers one way only is taken. It knows no more than the kernel's verifier
//! does of the same code, and where it does not know, everything can be reached: what it calls unreachable is so.

mod domain;

use super::effort::Effort;
use super::insn::{ALU, ALU64, CALL, EXIT, Insn, JMP, JMP32, LD, LD_IMM64, LDX, Patched, ST, STX};
use super::object::{Object, Reference};
use domain::Known::{self, Anything, NonZero, Number, Other};
use domain::{State, alu, branch, refine};
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
    pub effort: &'a Effort,
}

/// A poisoned instruction: its function, and where in it.
pub(super) type Place = (usize, usize);

/// Steps after which everything counts as reachable: far more than any program takes.
const MAX_STEPS: usize = 1 << 24;

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
            let cost = 1 + state.slots.len() / 8;
            self.steps += cost;
            if self.steps > MAX_STEPS || !world.effort.take(2 * cost) {
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
                        let mut state = state.clone();
                        refine(&mut state, insn, true);
                        if let Some(target) = target(at, insn) {
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

/// Where a jump leads; `None` if that is before the function.
fn target(at: usize, insn: Insn) -> Option<usize> {
    let jump = match insn.code & 0xf7 {
        0x06 => insn.imm,
        _ => insn.off.into(),
    };
    let target = (at as i64)
        .saturating_add(i64::from(jump))
        .saturating_add(1);
    usize::try_from(target).ok()
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
                found.extend(target(at, *insn));
            }
        }
        at += if insn.is_wide() { 2 } else { 1 };
    }
    found
}
