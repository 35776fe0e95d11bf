//! Records whose layout C does not give by itself: their members, and what fills the holes between these.

use super::defs::{Def, DefClass, Slot};
use super::error::{Error, in_words};
use super::layout::{self, Placed, natural_start};
use super::print::Printer;
use super::text::Word;
use crate::btf::{Member, TypeId};

/// A hole is filled with this many unnamed bit-fields at most: 2 MiB of 64 bits each.
const MAX_PADS: u64 = 1 << 18;

impl Printer<'_, '_> {
    /// Members of a record whose layout C does not give by itself.
    pub fn padded_members(&mut self, slot: Slot) -> Result<(), Error> {
        let def = self.defs.get(slot);
        let size = def.size * 8;
        let unit = if def.is(Def::PACKED) {
            0
        } else {
            u64::from(def.align) * 8
        };
        if def.is(Def::OVERLAPS) {
            return self.overlapping_members(slot, size);
        }
        let mut cursor = 0;
        if def.class == DefClass::Union {
            for m in self.btf.ty(def.id).members() {
                let Ok(Some(placed)) = layout::place(self.btf, self.defs, &m) else {
                    continue;
                };
                self.member(slot, &m, placed.width.unwrap_or(0))?;
                cursor = cursor.max(placed.end());
            }
            if cursor.next_multiple_of(layout::sure_align(self.btf, unit.max(8))) < size {
                return self.pad_union(def.id, size, unit);
            }
            return Ok(());
        }
        let members = self.btf.ty(def.id).members();
        if self.defs.odd_members || !members.clone().is_sorted_by_key(|m| m.bit_offset) {
            for (m, placed) in layout::members_by_offset(self.btf, self.defs, def.id) {
                self.pad(def.id, cursor, &placed, unit)?;
                self.member(slot, &m, placed.width.unwrap_or(0))?;
                cursor = placed.end();
            }
        } else {
            cursor = self.padded_in_order(slot, members, unit)?;
        }
        let end = Placed {
            start: size,
            width: None,
            size: 0,
            align: unit.max(8),
        };
        self.pad(def.id, cursor, &end, unit)
    }

    /// Members that were declared in the order in which they lie. Most lie where C puts them.
    fn padded_in_order(
        &mut self,
        slot: Slot,
        mut members: impl ExactSizeIterator<Item = Member> + Clone,
        unit: u64,
    ) -> Result<u64, Error> {
        let id = self.defs.get(slot).id;
        let mut cursor: u64 = 0;
        loop {
            let mut natural = 0;
            for m in members.clone() {
                let Some((size, align)) = self.defs.memo(m.ty).shape() else {
                    break;
                };
                let align = match unit {
                    0 => 8,
                    _ => layout::sure_align(self.btf, align * 8),
                };
                let start = u64::from(m.bit_offset);
                if m.name.is_none() || m.width > 0 || cursor.next_multiple_of(align) != start {
                    break;
                }
                cursor = start + size * 8;
                natural += 1;
            }
            self.lines(slot, members.clone().take(natural))?;
            let Some(m) = members.nth(natural) else {
                return Ok(cursor);
            };
            if let Ok(Some(placed)) = layout::place(self.btf, self.defs, &m) {
                self.pad(id, cursor, &placed, unit)?;
                self.member(slot, &m, placed.width.unwrap_or(0))?;
                cursor = placed.end();
            }
        }
    }

    /// Members that share bytes without being a union's: each in a packed struct of its own, all in a union.
    fn overlapping_members(&mut self, slot: Slot, size: u64) -> Result<(), Error> {
        let def = self.defs.get(slot);
        let union = def.class == DefClass::Union;
        if !union {
            self.out.tabs(self.indent);
            self.out.lit(b"union {\n");
            self.indent += 1;
        }
        for (m, placed) in layout::members_by_offset(self.btf, self.defs, def.id) {
            self.out.tabs(self.indent);
            self.out.lit(b"struct {\n");
            self.indent += 1;
            self.pad(def.id, 0, &placed, 0)?;
            self.member(slot, &m, placed.width.unwrap_or(0))?;
            self.indent -= 1;
            self.out.tabs(self.indent);
            self.out.lit(b"} __attribute__((packed));\n");
        }
        self.pad_union(def.id, size, 0)?;
        if !union {
            self.indent -= 1;
            self.out.tabs(self.indent);
            self.out.lit(b"} __attribute__((packed));\n");
        }
        Ok(())
    }

    /// Makes a union as large as it should be.
    fn pad_union(&mut self, about: TypeId, size: u64, unit: u64) -> Result<(), Error> {
        let whole = Placed {
            start: size,
            width: None,
            size: 0,
            align: 8,
        };
        // A bit-field as large as the union where one can be, else a struct of several.
        if size <= 64 && (unit == 0 || size == unit) {
            return self.pad(about, 0, &whole, unit);
        }
        self.out.tabs(self.indent);
        self.out.lit(b"struct {\n");
        self.indent += 1;
        self.pad(about, 0, &whole, unit)?;
        self.indent -= 1;
        self.out.tabs(self.indent);
        self.out.str(if unit == 0 {
            "} __attribute__((packed));\n"
        } else {
            "};\n"
        });
        Ok(())
    }

    /// Fills bits from `cursor` on until C puts `next` where it belongs. `unit` is the widest bit-field to
    /// fill with; 0 in a packed record, where any will do.
    fn pad(
        &mut self,
        about: TypeId,
        mut cursor: u64,
        next: &Placed,
        unit: u64,
    ) -> Result<(), Error> {
        let packed = unit == 0;
        let next = match (packed, next.width) {
            (true, Some(_)) => Placed {
                align: 1,
                size: u64::MAX,
                ..*next
            },
            (true, None) => Placed { align: 8, ..*next },
            _ => Placed {
                align: layout::sure_align(self.btf, next.align),
                ..*next
            },
        };
        let widest = if packed { 64 } else { unit.clamp(8, 64) };
        if next.start.saturating_sub(cursor) / widest > MAX_PADS {
            let what = format!(
                "{} has a hole of {} bytes",
                in_words(self.btf, about),
                (next.start - cursor) / 8
            );
            return Err(Error::new(self.btf, about, what));
        }
        while natural_start(cursor, &next) < next.start {
            let left = next.start - cursor;
            let bits = match packed {
                true => left.min(64),
                // The widest that is aligned here and fits; the last bits of a byte by themselves.
                false => [64, 32, 16, 8]
                    .into_iter()
                    .find(|u| *u <= unit && cursor.is_multiple_of(*u) && *u <= left)
                    .unwrap_or((8 - cursor % 8).min(left)),
            };
            let ty = match (packed, bits) {
                (true, _) | (_, 64) => const { &Word::new("long long: ") },
                (_, 32) => const { &Word::new("int: ") },
                (_, 16) => const { &Word::new("short: ") },
                _ => const { &Word::new("char: ") },
            };
            // A run of equal ones stands on one line.
            let natural = |c: u64| natural_start(c, &next) >= next.start;
            let mut times = 1;
            while times < 16
                && bits == if packed { 64 } else { unit.min(64) }
                && left >= bits * (times + 1)
                && !natural(cursor + bits * times)
            {
                times += 1;
            }
            self.out.tabs(self.indent);
            self.out.word(ty);
            for i in 0..times {
                if i > 0 {
                    self.out.lit(b", : ");
                }
                self.out.number(bits);
            }
            self.out.lit(b";\n");
            cursor += bits * times;
        }
        Ok(())
    }
}
