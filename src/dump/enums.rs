//! Enums as C text.

use super::block::judge_whole;
use super::defs::{Def, Slot};
use super::error::{Error, in_words};
use super::print::{Printer, TABS};
use super::text::short_name;
use crate::btf::{Enumerator, StrOffset};

impl Printer<'_, '_> {
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
}
