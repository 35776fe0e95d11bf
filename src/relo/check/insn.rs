//! eBPF instructions, as far as CO-RE and the question what is reachable need them.

use super::calc::Value;
use super::compat::Refusal;

/// An instruction. A 64-bit load takes two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Insn {
    /// Opcode.
    pub code: u8,
    /// Destination register.
    pub dst: u8,
    /// Source register, or what an immediate means.
    pub src: u8,
    /// Offset of a jump or an access.
    pub off: i16,
    /// Immediate.
    pub imm: i32,
}

/// Bytes of an instruction.
pub const INSN: usize = 8;

pub(super) const LD: u8 = 0;
pub(super) const LDX: u8 = 1;
pub(super) const ST: u8 = 2;
pub(super) const STX: u8 = 3;
pub(super) const ALU: u8 = 4;
pub(super) const JMP: u8 = 5;
pub(super) const JMP32: u8 = 6;
pub(super) const ALU64: u8 = 7;
/// `rX = imm64`.
pub(super) const LD_IMM64: u8 = 0x18;
pub(super) const CALL: u8 = 0x85;
pub(super) const EXIT: u8 = 0x95;

impl Insn {
    /// Reads one, in the object's byte order.
    pub(super) fn read(bytes: [u8; INSN], big: bool) -> Insn {
        let [code, regs, o0, o1, i0, i1, i2, i3] = bytes;
        let (low, high) = (regs & 15, regs >> 4);
        match big {
            false => Insn {
                code,
                dst: low,
                src: high,
                off: i16::from_le_bytes([o0, o1]),
                imm: i32::from_le_bytes([i0, i1, i2, i3]),
            },
            true => Insn {
                code,
                dst: high,
                src: low,
                off: i16::from_be_bytes([o0, o1]),
                imm: i32::from_be_bytes([i0, i1, i2, i3]),
            },
        }
    }

    pub(super) fn class(self) -> u8 {
        self.code & 7
    }

    pub(super) fn is_wide(self) -> bool {
        self.code == LD_IMM64
    }

    /// Bytes that a load or store moves.
    pub(super) fn width(self) -> u32 {
        match self.code & 0x18 {
            0x00 => 4,
            0x08 => 2,
            0x10 => 1,
            _ => 8,
        }
    }
}

/// What becomes of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patched {
    /// This instruction; of a 64-bit load also the upper half of its value.
    Insn(Insn, i32),
    /// One that the kernel refuses, if it can be reached.
    Poison,
}

/// `bpf_core_patch_insn`: puts a relocation's value into its instruction.
///
/// # Errors
/// The instruction is none that can be relocated, or does not hold what it should.
pub fn patch(insn: Insn, second: Option<Insn>, value: &Value) -> Result<Patched, Refusal> {
    if value.poison {
        return Ok(Patched::Poison);
    }
    let expect = |got: u64| match value.validate && got != value.original {
        true => Err(Refusal::Unexpected {
            got,
            expected: value.original,
        }),
        false => Ok(()),
    };
    let mut new = insn;
    match insn.class() {
        ALU | ALU64 => {
            if insn.code & 8 != 0 {
                return Err(Refusal::Invalid("an operation on registers is relocated"));
            }
            expect(i64::from(insn.imm) as u64)?;
            new.imm = value.new as i32;
            Ok(Patched::Insn(new, 0))
        }
        LDX | ST | STX => {
            expect(i64::from(insn.off) as u64)?;
            let Ok(off) = i16::try_from(value.new) else {
                return Err(Refusal::Range(value.new));
            };
            if value.is_missized {
                return Ok(Patched::Poison);
            }
            new.off = off;
            if value.new_size != value.original_size {
                if insn.width() != value.original_size {
                    return Err(Refusal::Invalid(
                        "an access as wide as the field was expected",
                    ));
                }
                let size = match value.new_size {
                    8 => 0x18,
                    4 => 0x00,
                    2 => 0x08,
                    1 => 0x10,
                    _ => return Err(Refusal::Invalid("a field of a size that no access has")),
                };
                new.code = insn.code & !0x18 | size;
            }
            Ok(Patched::Insn(new, 0))
        }
        LD => {
            let plain = |i: Insn| i.src == 0 && i.off == 0;
            let Some(second) = second.filter(|s| {
                insn.is_wide() && plain(insn) && s.code == 0 && s.dst == 0 && plain(*s)
            }) else {
                return Err(Refusal::Invalid("a 64-bit load of an unexpected form"));
            };
            expect(u64::from(insn.imm as u32) | u64::from(second.imm as u32) << 32)?;
            new.imm = value.new as i32;
            Ok(Patched::Insn(new, (value.new >> 32) as i32))
        }
        _ => Err(Refusal::Invalid("an instruction that cannot be relocated")),
    }
}
