//! What is known where, and what an instruction makes of it: the abstract domain of [`super`].

use crate::relo::check::insn::{ALU64, Insn, JMP};

/// Most places of the stack that are remembered: all that a frame has.
const MAX_SLOTS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
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
    pub(super) fn outside(self) -> Known {
        match self {
            Stack(_) => NonZero,
            Anything => Other,
            other => other,
        }
    }

    pub(super) fn join(self, other: Known) -> Known {
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
pub(super) struct State {
    pub(super) regs: [Known; 16],
    /// 8 bytes each, by offset from the frame's end.
    pub(super) slots: Vec<(i32, Known)>,
}

impl State {
    pub(super) fn entry(args: [Known; 5]) -> State {
        let mut regs = [Other; 16];
        regs[1..6].copy_from_slice(&args);
        regs[10] = Stack(0);
        State {
            regs,
            slots: Vec::new(),
        }
    }

    pub(super) fn reg(&self, n: u8) -> Known {
        self.regs[usize::from(n & 15)]
    }

    pub(super) fn set(&mut self, n: u8, value: Known) {
        // The frame's address cannot be changed.
        if n != 10 {
            self.regs[usize::from(n & 15)] = value;
        }
    }

    /// Joins another into this one; whether that changed it.
    pub(super) fn join(&mut self, other: &State) -> bool {
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

    pub(super) fn store(&mut self, to: Known, off: i16, width: u32, value: Option<Known>) {
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

    pub(super) fn load(&self, from: Known, off: i16, width: u32) -> Known {
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
    pub(super) fn after_call(&mut self, result: Known) {
        if self.regs[1..6].iter().any(|arg| arg.may_be_stack()) {
            self.slots.clear();
        }
        self.regs[1..6].fill(Other);
        self.regs[0] = result;
    }
}

fn operand(state: &State, insn: Insn) -> Known {
    match insn.code & 8 {
        0 => Number(i64::from(insn.imm) as u64),
        _ => state.reg(insn.src),
    }
}

pub(super) fn alu(state: &mut State, insn: Insn) {
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
pub(super) struct Ways {
    pub(super) taken: bool,
    pub(super) passed: bool,
}

pub(super) fn branch(state: &State, insn: Insn) -> Ways {
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
pub(super) fn refine(state: &mut State, insn: Insn, taken: bool) {
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
