//! Definitions as C text.

use super::block::{BLOCK, judge, judge_whole};
use super::decl::Wants;
use super::defs::{Def, DefClass, Defs, Slot};
use super::error::{Error, in_words, shown};
use super::layout::{self, Placed, natural_start};
use super::names;
use super::naming::Naming;
use super::order::unnamed_member;
use super::seen::Seen;
use super::spelled::Spelled;
use super::text::{MAX_TEXT, Text, Word, short_name};
use crate::btf::{Btf, Enumerator, Member, StrOffset, TypeId};
use std::ops::Range;

pub(super) const STRUCT: Word = Word::new("struct ");
pub(super) const UNION: Word = Word::new("union ");
pub(super) const ENUM: Word = Word::new("enum ");

/// What stands before a line, as far as it is usual.
const TABS: &[u8; 8] = &[b'\t'; 8];

/// A hole is filled with this many unnamed bit-fields at most: 2 MiB of 64 bits each.
const MAX_PADS: u64 = 1 << 18;

/// The text so far, and all that decides how the next definition looks.
pub(super) struct Printer<'p, 'b> {
    pub btf: &'p Btf<'b>,
    pub defs: &'p Defs,
    pub naming: &'p Naming,
    pub out: Text,
    /// What the definition under way needs around it.
    pub wants: Wants,
    /// Macros that the text has defined.
    pub has: Wants,
    /// Where it defines them.
    pub marks: Vec<Mark>,
    pub indent: usize,
    /// Types that were printed already.
    pub spelled: Spelled,
    /// How many types were printed in a way that depends on where they stand.
    pub in_place: usize,
    /// Names of the members of the records under way, to find one that is there twice.
    seen: Seen,
}

impl<'p, 'b> Printer<'p, 'b> {
    pub fn new(btf: &'p Btf<'b>, defs: &'p Defs, naming: &'p Naming) -> Printer<'p, 'b> {
        Printer {
            btf,
            defs,
            naming,
            out: Text::new(Vec::new()),
            wants: Wants::default(),
            has: Wants::default(),
            marks: Vec::new(),
            indent: 0,
            spelled: Spelled::new(defs.end),
            in_place: 0,
            seen: Seen::default(),
        }
    }

    /// Prints what `body` prints, with a blank line behind it and before it what it turned out to want.
    pub fn definition(
        &mut self,
        about: TypeId,
        body: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let start = self.out.len();
        body(self)?;
        self.out.lit(b"\n\n");
        self.settle_wants(start);
        self.check_length(about)
    }

    /// Puts around and before the text from `start` on what it turned out to want.
    #[inline]
    pub fn settle_wants(&mut self, start: usize) {
        if self.wants != Wants::default() {
            let wants = std::mem::take(&mut self.wants);
            self.wrap(start, wants);
        }
    }

    /// Refuses to go on where the text has become too long.
    #[inline]
    pub fn check_length(&self, about: TypeId) -> Result<(), Error> {
        match self.out.is_full() {
            false => Ok(()),
            true => Err(self.too_long(about)),
        }
    }

    #[cold]
    fn too_long(&self, about: TypeId) -> Error {
        let what = format!(
            "{} makes the header longer than {} MiB",
            in_words(self.btf, about),
            MAX_TEXT >> 20
        );
        Error::new(self.btf, about, what)
    }

    /// A record or typedef.
    pub fn define(&mut self, slot: Slot) -> Result<(), Error> {
        let def = self.defs.get(slot);
        let id = def.id;
        if def.class != DefClass::Typedef {
            let start = self.out.len();
            self.head(def);
            self.members_in_scope(slot)?;
            match def.is(Def::PACKED) {
                true => self.out.lit(b"} __attribute__((packed));\n\n"),
                false => self.out.lit(b"};\n\n"),
            }
            self.settle_wants(start);
            return self.check_length(id);
        }
        if self.usual_typedef(def) {
            return self.check_length(id);
        }
        self.definition(id, |p| {
            p.out.lit(b"typedef ");
            p.declare_as(p.btf.ty(id).target(), slot)?;
            p.out.byte(b';');
            Ok(())
        })
    }

    /// A record's definition up to its members.
    #[inline]
    fn head(&mut self, def: &Def) {
        if let Some(name) = self.usual_name(def)
            && let Some(mut line) = self.out.line()
        {
            match def.class {
                DefClass::Union => line.lit(b"union "),
                _ => line.lit(b"struct "),
            }
            line.block(name, def.len as usize);
            line.lit(b" {\n");
            let len = line.len();
            if self.out.end_line(len) {
                return;
            }
        }
        self.record_keyword(def);
        self.name_of(def);
        self.out.lit(b" {\n");
    }

    /// A definition's name and what lies behind it, if it is short and printed as it is.
    #[inline]
    pub fn usual_name(&self, def: &Def) -> Option<&'b [u8; BLOCK]> {
        let usual = !def.is(Def::ESCAPED) && def.suffix < 2 && def.len as usize <= BLOCK;
        usual.then(|| self.btf.name_block(def.name)).flatten()
    }

    /// Prints a typedef, if it is a usual one.
    fn usual_typedef(&mut self, def: &Def) -> bool {
        let target = self.btf.target(def.id);
        let Some(name) = self.usual_name(def) else {
            return false;
        };
        if !self.spell_usual(target) {
            return false;
        }
        let Some(spelling) = self.spelled.get(target) else {
            return false;
        };
        let Some(mut line) = self.out.line() else {
            return false;
        };
        line.lit(b"typedef ");
        line.copy::<32>(spelling.before_tail(), spelling.before());
        line.block(name, def.len as usize);
        line.copy::<16>(spelling.behind_tail(), spelling.to_end());
        line.lit(b"\n");
        let len = line.len();
        self.out.end_line(len)
    }

    #[inline]
    pub fn record_keyword(&mut self, def: &Def) {
        self.out.word(match def.class {
            DefClass::Union => &UNION,
            _ => &STRUCT,
        });
    }

    /// `{ … }` with its attributes.
    pub fn record_body(&mut self, slot: Slot) -> Result<(), Error> {
        self.out.lit(b"{\n");
        self.members_in_scope(slot)?;
        self.out.tabs(self.indent);
        self.out.byte(b'}');
        if self.defs.get(slot).is(Def::PACKED) {
            self.out.lit(b" __attribute__((packed))");
        }
        Ok(())
    }

    /// A record's members, which have names of their own.
    fn members_in_scope(&mut self, slot: Slot) -> Result<(), Error> {
        let scope = self.seen.open();
        self.indent += 1;
        self.members(slot)?;
        self.indent -= 1;
        self.seen.close(scope);
        Ok(())
    }

    fn members(&mut self, slot: Slot) -> Result<(), Error> {
        let def = self.defs.get(slot);
        if def.is(Def::PADDED) {
            return self.padded_members(slot);
        }
        self.lines(slot, self.btf.ty(def.id).members())
    }

    /// Members between which nothing has to be said.
    fn lines(
        &mut self,
        slot: Slot,
        mut members: impl Iterator<Item = Member> + Clone,
    ) -> Result<(), Error> {
        let width_in_type = self.defs.old_bit_fields;
        loop {
            if !width_in_type {
                self.usual_members(&mut members);
            }
            let Some(m) = members.next() else {
                return Ok(());
            };
            let width = match (m.width, width_in_type) {
                (0, true) => layout::place(self.btf, self.defs, &m)
                    .ok()
                    .flatten()
                    .and_then(|p| p.width)
                    .unwrap_or(0),
                (w, _) => u64::from(w),
            };
            self.member(slot, &m, width)?;
        }
    }

    /// One line: a member, or an unnamed record with its members.
    fn member(&mut self, slot: Slot, m: &Member, width: u64) -> Result<(), Error> {
        let tail = self.btf.name_tail(m.name);
        if matches!(tail, [] | [0, ..]) {
            return self.unnamed_member(m);
        }
        self.out.ensure_line();
        self.out.tabs(self.indent);
        let name = self.declare(m.ty, tail)?;
        if self.seen.repeats(self.btf, m.name, name.hash) {
            let id = self.defs.get(slot).id;
            let what = format!(
                "{} has two members called {}",
                in_words(self.btf, id),
                shown(&tail[..name.len])
            );
            return Err(Error::new(self.btf, id, what));
        }
        if width > 0 {
            self.out.lit(b": ");
            self.out.number(width);
        }
        self.out.lit(b";\n");
        Ok(())
    }

    /// Prints members up to one that is no usual one: of a type that takes more than a few words, without a
    /// name, or with one that is long or that C does not take as it is.
    #[inline(never)]
    fn usual_members(&mut self, members: &mut (impl Iterator<Item = Member> + Clone)) {
        let indent = self.indent;
        if indent > TABS.len() {
            return;
        }
        loop {
            // This calls nothing, so that what it works on stays in registers.
            let mut next = members.clone();
            let left = loop {
                let here = next.clone();
                let m = next.next();
                if !m.is_some_and(|m| self.usual_member(&m, indent)) {
                    *members = here;
                    break m;
                }
            };
            if !left.is_some_and(|m| self.spell_new(m.ty)) {
                return;
            }
        }
    }

    /// Prints a member, if it is a usual one.
    #[inline(always)]
    fn usual_member(&mut self, m: &Member, indent: usize) -> bool {
        let btf = self.btf;
        let Some(spelling) = self.spelled.get(m.ty) else {
            return false;
        };
        let Some(block) = btf.name_block(m.name) else {
            return false;
        };
        let Some(name) = short_name(block, judge(block)) else {
            return false;
        };
        let Some(mut line) = self.out.line() else {
            return false;
        };
        line.block(TABS, indent);
        line.copy::<32>(spelling.before_tail(), spelling.before());
        line.block(name.block, name.len);
        line.copy::<16>(spelling.behind_tail(), spelling.to_end());
        if m.width > 0 {
            line.take_back(2);
            line.lit(b": ");
            line.number(u32::from(m.width));
            line.lit(b";\n");
        }
        let len = line.len();
        len.is_some() && !self.seen.repeats(btf, m.name, name.hash) && self.out.end_line(len)
    }

    fn unnamed_member(&mut self, m: &Member) -> Result<(), Error> {
        let Some(record) = unnamed_member(self.btf, self.defs, m.ty) else {
            return Ok(());
        };
        self.out.tabs(self.indent);
        self.qualifiers_of(m.ty);
        let inner = self.defs.slot_of(record);
        self.record_keyword(self.defs.get(inner));
        self.out.lit(b"{\n");
        self.indent += 1;
        self.members(inner)?;
        self.indent -= 1;
        self.out.tabs(self.indent);
        self.out.byte(b'}');
        if self.defs.get(inner).is(Def::PACKED) {
            self.out.lit(b" __attribute__((packed))");
        }
        self.out.lit(b";\n");
        Ok(())
    }

    /// Members of a record whose layout C does not give by itself.
    fn padded_members(&mut self, slot: Slot) -> Result<(), Error> {
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

    /// A named enum, or an unnamed one that nothing refers to.
    pub fn define_enum(&mut self, slot: Slot) -> Result<(), Error> {
        let def = self.defs.get(slot);
        self.definition(def.id, |p| {
            if def.is(Def::HOISTED) {
                p.out.lit(b"extern ");
            }
            p.out.lit(b"enum ");
            if p.is_named(def) {
                p.name_of(def);
                p.out.byte(b' ');
            }
            p.enum_body(slot)?;
            if def.is(Def::HOISTED) && !p.is_named(def) {
                p.out.byte(b' ');
                p.hoisted_name(slot);
            }
            p.out.byte(b';');
            Ok(())
        })
    }

    /// `{ A = 0, … }` with its attributes.
    pub fn enum_body(&mut self, slot: Slot) -> Result<(), Error> {
        let def = self.defs.get(slot);
        let ty = self.btf.ty(def.id);
        self.out.lit(b"{\n");
        let suffixed = def.is(Def::SUFFIXED);
        let unsigned = !ty.kind_flag();
        let (mut least, mut most) = (0i128, 0i128);
        let mut rows = ty.enumerators();
        loop {
            if !suffixed {
                let largest = self.usual_enumerators(&mut rows, def.size);
                most = most.max(i128::from(largest));
            }
            let number = ty.vlen() - rows.len() as u32;
            let Some(e) = rows.next() else { break };
            self.out.ensure_line();
            self.out.tabs(self.indent + 1);
            let tail = self.btf.name_tail(e.name);
            let suffix = match suffixed {
                true => self.naming.suffix_of(slot, number),
                false => 0,
            };
            self.write_name(tail, suffix);
            self.out.lit(b" = ");
            let value = match def.size {
                // An enum of one or two bytes that says it is unsigned and holds more: before 6.0.
                n @ (1 | 2) if unsigned && e.value >> (8 * n) != 0 => i128::from(e.value as i32),
                _ => e.value,
            };
            (least, most) = (least.min(value), most.max(value));
            match u32::try_from(value) {
                Ok(small) => self.out.number(u64::from(small)),
                Err(_) => self.wide_value(value),
            }
            self.out.lit(b",\n");
        }
        self.out.tabs(self.indent);
        self.out.byte(b'}');
        // The bytes that C would take by itself, and packed.
        let bytes = |sizes: &[u64]| {
            sizes.iter().copied().find(|n| {
                let bits = 8 * *n as u32;
                match least < 0 {
                    true => least >= -(1i128 << (bits - 1)) && most < 1i128 << (bits - 1),
                    false => most < 1i128 << bits,
                }
            })
        };
        let (natural, packed) = (bytes(&[4, 8]), bytes(&[1, 2, 4, 8]));
        let attribute = match def.size {
            n if natural == Some(n) => "",
            n if packed == Some(n) => " __attribute__((packed))",
            2 if packed.is_some_and(|p| p < 2) => " __attribute__((mode(HI)))",
            8 if natural == Some(4) => " __attribute__((mode(DI)))",
            n => {
                let what = format!(
                    "{} has {n} bytes, which its values do not fit in C",
                    in_words(self.btf, def.id)
                );
                return Err(Error::new(self.btf, def.id, what));
            }
        };
        self.out.str(attribute);
        Ok(())
    }

    /// Prints enumerators up to one that is no usual one: with a name that C does not take as it is, or a
    /// value that is negative or large. Gives the largest value.
    #[inline(never)]
    fn usual_enumerators(
        &mut self,
        rows: &mut (impl Iterator<Item = Enumerator> + Clone),
        size: u64,
    ) -> u32 {
        let indent = self.indent + 1;
        let limit = if size < 4 { 1 << (8 * size) } else { 1 << 32 };
        let mut largest = 0;
        if indent > TABS.len() {
            return largest;
        }
        let mut next = rows.clone();
        *rows = loop {
            let here = next.clone();
            let Some(e) = next.next() else {
                break here;
            };
            if !(0..limit).contains(&e.value) {
                break here;
            }
            let value = e.value as u32;
            if !self.usual_enumerator(e.name, value, indent) {
                break here;
            }
            largest = largest.max(value);
        };
        largest
    }

    /// Prints an enumerator, if it is a usual one.
    #[inline(always)]
    fn usual_enumerator(&mut self, name: StrOffset, value: u32, indent: usize) -> bool {
        let (btf, at) = (self.btf, name);
        let Some(mut line) = self.out.line() else {
            return false;
        };
        line.block(TABS, indent);
        let name = btf.name_block(at);
        match name.and_then(|b| short_name(b, judge_whole(b))) {
            Some(name) => line.block(name.block, name.len),
            None if line.long_name(btf.name_tail(at)) => {}
            None => return false,
        }
        line.block(b" = \0", 3);
        line.number(value);
        line.lit(b",\n");
        let len = line.len();
        self.out.end_line(len)
    }

    /// An enumerator's value that is negative or needs more than 32 bits.
    fn wide_value(&mut self, value: i128) {
        if value == i128::from(i64::MIN) {
            self.out.lit(b"(-9223372036854775807LL - 1)");
            return;
        }
        if value < 0 {
            self.out.byte(b'-');
        }
        self.out.number(value.unsigned_abs() as u64);
        if value > 0 {
            self.out.lit(b"ULL");
        } else if value < i128::from(i32::MIN) {
            self.out.lit(b"LL");
        }
    }

    /// A kfunc's prototype.
    pub fn kfunc(&mut self, func: TypeId, suffix: u32) -> Result<(), Error> {
        let ty = self.btf.ty(func);
        self.wants.library |= names::is_library(self.btf.name(ty.name()));
        self.definition(func, |p| {
            p.out.lit(b"extern ");
            let tail = match p.btf.name(ty.name()) {
                // The one function whose type C itself says.
                b"main" => b"__btfleet_main\0".as_slice(),
                _ => p.btf.name_tail(ty.name()),
            };
            p.prototype(func, tail, suffix)?;
            if p.defs.fastcalls.contains(&func) {
                p.out.lit(b" __bpf_fastcall");
            }
            p.out.lit(b" __weak __ksym;");
            Ok(())
        })
    }

    pub fn is_named(&self, def: &Def) -> bool {
        def.len > 0
    }
}

/// A macro's definition in a text: to be left out where a text before has it.
pub(super) struct Mark {
    pub at: Range<usize>,
    pub defines: Wants,
}
