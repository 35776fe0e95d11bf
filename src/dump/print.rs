//! Definitions as C text.

use super::block::{BLOCK, judge};
use super::decl::Wants;
use super::defs::{Def, DefClass, Defs, Slot};
use super::error::{Error, in_words, shown};
use super::layout;
use super::names;
use super::naming::Naming;
use super::order::unnamed_member;
use super::seen::Seen;
use super::spelled::Spelled;
use super::text::{MAX_TEXT, Text, Word, short_name};
use crate::btf::{Btf, Member, TypeId};
use std::ops::Range;

pub(super) const STRUCT: Word = Word::new("struct ");
pub(super) const UNION: Word = Word::new("union ");
pub(super) const ENUM: Word = Word::new("enum ");

/// What stands before a line, as far as it is usual.
pub(super) const TABS: &[u8; 8] = &[b'\t'; 8];

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
        let inside = self.seen.open();
        self.indent += 1;
        self.members(slot)?;
        self.indent -= 1;
        self.seen.close(inside);
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
    pub fn lines(
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
    pub fn member(&mut self, slot: Slot, m: &Member, width: u64) -> Result<(), Error> {
        let tail = self.btf.name_tail(m.name);
        if matches!(tail, [] | [0, ..]) {
            if !m.name.is_none() && !self.defs.odd_members {
                // Laid out as a member with a name; the kernel refuses such BTF too.
                let id = self.defs.get(slot).id;
                let what = format!(
                    "{} has a member whose name, at string offset {}, is empty: a member without a name has offset 0",
                    in_words(self.btf, id),
                    m.name.0
                );
                return Err(Error::new(self.btf, id, what));
            }
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
