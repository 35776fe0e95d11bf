//! The header's text: what stands where.

use super::GENERATOR;
use super::defs::{Def, DefClass, Defs, Slot, State};
use super::error::Error;
use super::hash::Hash;
use super::header::Plan;
use super::naming;
use super::ordinary::is_own;
use super::print::Printer;
use super::sorted::Named;
use super::text::{Text, Word, scan};
use crate::btf::{Btf, Kind, TypeId, soon};

/// A header that is decided upon, to be written: a list of items, and pieces of that list.
pub(super) struct Draft<'b> {
    pub btf: &'b Btf<'b>,
    plan: Plan,
    bool: bool,
    records: bool,
    enums: Vec<Slot>,
    aliases: Vec<(&'b [u8], Word)>,
    declared: Vec<Slot>,
}

/// What a header is written of, in this order.
enum Item {
    Start,
    Enum(Slot),
    Declarations,
    Body(Slot),
    End,
}

impl<'b> Draft<'b> {
    /// The header of everything.
    pub fn of_all(btf: &'b Btf<'b>, plan: Plan) -> Draft<'b> {
        let defs = &plan.defs;
        let own = |slot: &Slot| !defs.get(*slot).is(Def::BASE);
        let alone = |s: &Slot| {
            let def = defs.get(*s);
            own(s) && *s != plan.naming.bool_enum && (def.uses == 0 || def.is(Def::HOISTED))
        };
        let mut enums: Vec<Slot> = defs.unnamed_enums.iter().copied().filter(alone).collect();
        let mut declared: Vec<Slot> = Vec::new();
        for slot in defs.own_named() {
            let def = defs.get(slot);
            if def.is(Def::FORWARD) || def.is(Def::INCOMPLETE) {
                declared.push(slot);
            } else if def.class == DefClass::Enum {
                enums.push(slot);
            }
        }
        let aliases = plan.aliases(btf);
        Draft::new(btf, plan, btf.base().is_none(), enums, aliases, declared)
    }

    /// The header of a narrowed plan.
    pub fn of_some(btf: &'b Btf<'b>, plan: Plan) -> Draft<'b> {
        let defs = &plan.defs;
        let sorted = |slots: &[Slot], keep: &dyn Fn(&Def) -> bool| {
            let here = |s: &Slot| !defs.get(*s).is(Def::BASE) && keep(defs.get(*s));
            let mut slots: Vec<Slot> = slots.iter().copied().filter(here).collect();
            slots.sort_by(|a, b| plan.compare(btf, *a, *b).then(a.cmp(b)));
            slots.dedup();
            slots
        };
        let name = |def: &Def| btf.name(def.name);
        let mut enums = sorted(&plan.order.enums, &|d| {
            (!name(d).is_empty() || d.is(Def::HOISTED)) && !d.is(Def::INCOMPLETE)
        });
        enums.retain(|s| *s != plan.naming.bool_enum);
        let declared = sorted(&plan.order.pointed_at, &|d| {
            !name(d).is_empty()
                && (d.state != State::Done || d.is(Def::FORWARD) || d.is(Def::INCOMPLETE))
        });
        let bool =
            plan.naming.bool_typedef != 0 && plan.order.body.contains(&plan.naming.bool_typedef);
        Draft::new(btf, plan, bool, enums, Vec::new(), declared)
    }

    fn new(
        btf: &'b Btf<'b>,
        plan: Plan,
        bool: bool,
        enums: Vec<Slot>,
        aliases: Vec<(&'b [u8], Word)>,
        declared: Vec<Slot>,
    ) -> Draft<'b> {
        let records = plan.has_records(&declared);
        Draft {
            btf,
            plan,
            bool,
            records,
            enums,
            aliases,
            declared,
        }
    }

    pub fn printer(&self) -> Printer<'_, 'b> {
        Printer::new(self.btf, &self.plan.defs, &self.plan.naming)
    }

    /// How many items it has.
    pub fn len(&self) -> usize {
        self.enums.len() + self.plan.order.body.len() + 3
    }

    #[inline]
    fn item(&self, n: usize) -> Item {
        let body = self.enums.len() + 2;
        match n {
            0 => Item::Start,
            n if n + 1 < body => Item::Enum(self.enums[n - 1]),
            n if n + 1 == body => Item::Declarations,
            n => match self.plan.order.body.get(n - body) {
                Some(slot) => Item::Body(*slot),
                None => Item::End,
            },
        }
    }

    /// Pieces of about equal length, to be written by several at once: where each begins, and the end. A
    /// module's header is one piece, since its guard is made of all of its text.
    pub fn pieces(&self) -> Vec<usize> {
        // About 100 KB of text: it stays in a processor's cache until it is hashed and written.
        const ENOUGH: usize = 4000;
        let mut starts = vec![0];
        let mut cost = 0;
        let single = self.btf.base().is_some();
        for n in (0..self.len()).filter(|_| !single) {
            cost += match self.item(n) {
                Item::Enum(slot) | Item::Body(slot) => 2 + self.plan.defs.get(slot).rows as usize,
                _ => 0,
            };
            if cost > ENOUGH {
                starts.push(n + 1);
                cost = 0;
            }
        }
        starts.push(self.len());
        starts
    }

    /// Writes the items from `from` to `to`.
    pub fn write(&self, p: &mut Printer<'_, '_>, from: usize, to: usize) -> Result<(), Error> {
        for n in from..to {
            self.look_ahead(n);
            match self.item(n) {
                Item::Start => self.write_start(p),
                Item::Enum(slot) => p.define_enum(slot)?,
                Item::Declarations => self.write_declarations(p),
                Item::Body(slot) if slot == self.plan.naming.bool_typedef => {}
                Item::Body(slot) => p.define(slot)?,
                Item::End => self.write_end(p)?,
            }
        }
        p.check_length(TypeId::VOID)
    }

    /// Asks early for what the items behind the nth one will read: definitions in the order of their names lie anywhere.
    #[inline(always)]
    fn look_ahead(&self, n: usize) {
        let slot = |n: usize| match self.item(n) {
            Item::Enum(slot) | Item::Body(slot) => slot,
            _ => 0,
        };
        let def = |n: usize| self.plan.defs.get(slot(n));
        soon(def(n + 16));
        self.btf.place_soon(def(n + 10).id);
        let next = def(n + 5);
        self.btf.type_soon(next.id);
        self.btf.name_soon(next.name);
    }

    fn write_start(&self, p: &mut Printer<'_, '_>) {
        let btf = self.btf;
        if btf.base().is_none() {
            p.out
                .str("#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n\n");
        }
        p.out.str("/* Generated by btfleet (generator ");
        p.out.number(u64::from(GENERATOR));
        p.out.str(") from BTF: do not edit. */\n\n");
        if unsigned_enums(btf, &self.plan.defs) {
            p.out.str(
                "/* This kernel's BTF does not say which enums are signed: all their values are unsigned. */\n\n",
            );
        }
        if self.records {
            p.out.str(PUSH);
        }
        if self.bool {
            p.out.str(BOOL);
        }
        self.plan.write_repeats(btf, p);
    }

    fn write_declarations(&self, p: &mut Printer<'_, '_>) {
        let start = p.out.len();
        for (tail, text) in &self.aliases {
            p.out.str("typedef ");
            p.out.bytes(text.as_bytes());
            p.out.byte(b' ');
            p.write_name(tail, 0);
            p.out.str(";\n\n");
        }
        for slot in &self.declared {
            let def = self.plan.defs.get(*slot);
            match def.class {
                DefClass::Enum => p.out.str("enum "),
                _ => p.record_keyword(def),
            }
            p.name_of(def);
            p.out.str(";\n");
        }
        if !self.declared.is_empty() {
            p.out.byte(b'\n');
        }
        p.settle_wants(start);
    }

    fn write_end(&self, p: &mut Printer<'_, '_>) -> Result<(), Error> {
        self.plan.write_kfuncs(self.btf, p)?;
        if self.records {
            p.out.str(POP);
        }
        if self.btf.base().is_none() {
            p.out.str("#endif /* __VMLINUX_H__ */\n");
        } else {
            guard_module(&mut p.out);
            p.marks.clear();
        }
        Ok(())
    }
}

impl Plan {
    /// Whether any record is declared or defined.
    fn has_records(&self, declared: &[Slot]) -> bool {
        let record = |s: &Slot| {
            let class = self.defs.get(*s).class;
            matches!(class, DefClass::Struct | DefClass::Union)
        };
        let unnamed_record = |s: &Slot| {
            let def = self.defs.get(*s);
            let ends_in = [Kind::Struct as u32, Kind::Union as u32];
            def.class == DefClass::Typedef && ends_in.contains(&def.text)
        };
        let mut body = self.order.body.iter();
        body.any(|s| record(s) || unnamed_record(s)) || declared.iter().any(record)
    }

    /// Types that a module defines once more as its base has them are the base's; the name that another
    /// one of that name would have had leads there too, for those who count on it.
    fn write_repeats(&self, btf: &Btf<'_>, p: &mut Printer<'_, '_>) {
        let defs = &self.defs;
        let mut repeats = defs.repeats.clone();
        repeats.sort_by(|a, b| self.compare(btf, *a, *b));
        for slot in &repeats {
            let def = defs.get(*slot);
            let named = |n: &&Slot| btf.name(defs.get(**n).name) == btf.name(def.name);
            if def.class == DefClass::Typedef || def.is(Def::ESCAPED) {
                continue;
            }
            let tags = defs.named.iter().filter(|n| !n.typedef()).map(Named::slot);
            let last = tags
                .filter(|s| named(&s))
                .map(|s| defs.get(s).suffix.max(1))
                .max();
            let earlier = repeats
                .iter()
                .take_while(|s| *s != slot)
                .filter(named)
                .count() as u32;
            let name = btf.name(def.name);
            let taken = |tried: &[u8]| defs.is_taken(btf, tried, false);
            let suffix = naming::next_suffix(name, last.unwrap_or(1) + earlier, taken);
            p.out.str("#define ");
            p.out.bytes(name);
            p.out.str("___");
            p.out.number(u64::from(suffix));
            p.out.byte(b' ');
            p.name_of(def);
            p.out.str("\n\n");
        }
    }

    fn write_kfuncs(&self, btf: &Btf<'_>, p: &mut Printer<'_, '_>) -> Result<(), Error> {
        if self.defs.kfuncs.is_empty() {
            return Ok(());
        }
        p.out.str(KFUNCS);
        let name = |f: &TypeId| btf.name(btf.ty(*f).name());
        for same_named in self.defs.kfuncs.chunk_by(|a, b| name(a) == name(b)) {
            let given = self
                .naming
                .kfunc_suffix
                .iter()
                .find(|(at, _)| btf.name(**at) == name(&same_named[0]));
            let mut suffix = given.map_or(0, |(_, suffix)| *suffix);
            if suffix == 0
                && let [one] = same_named
            {
                p.kfunc(*one, 0)?;
                continue;
            }
            // Several of one name: each prototype once, in an order that is theirs and not their ids'.
            let mut text = |func: TypeId| {
                let (start, has) = (p.out.len(), std::mem::take(&mut p.has));
                let marks = p.marks.len();
                p.kfunc(func, 0)?;
                let text = p.out.as_bytes().get(start..).unwrap_or_default().to_vec();
                p.out.take_back(text.len());
                p.has = has;
                p.marks.truncate(marks);
                Ok(text)
            };
            let base = self
                .defs
                .base_kfuncs
                .iter()
                .filter(|f| name(f) == name(&same_named[0]));
            let base: Vec<Vec<u8>> = base.map(|f| text(*f)).collect::<Result<_, Error>>()?;
            let mut texts: Vec<(Vec<u8>, TypeId)> = Vec::new();
            for func in same_named {
                texts.push((text(*func)?, *func));
            }
            texts.sort();
            texts.dedup_by(|a, b| a.0 == b.0);
            for (_, func) in texts.iter().filter(|(text, _)| !base.contains(text)) {
                suffix = naming::next_suffix(name(func), suffix, |tried| {
                    self.naming.is_taken(btf, tried)
                });
                p.kfunc(*func, suffix)?;
            }
        }
        p.out.str("#endif /* BPF_NO_KFUNC_PROTOTYPES */\n\n");
        Ok(())
    }

    /// Arithmetic types that C does not know under their names, such as arm64's `__Poly128_t`: typedefs of
    /// the same size. Types that mention them are printed without them, so one that clashes is left out.
    fn aliases<'b>(&self, btf: &Btf<'b>) -> Vec<(&'b [u8], Word)> {
        let defs = &self.defs;
        let mut out: Vec<(&'b [u8], Word)> = Vec::new();
        for def in defs.arithmetic.iter().map(|slot| defs.get(*slot)) {
            let name = btf.name(def.name);
            if name.is_empty() || btf.kind(def.id).is_enum() {
                continue;
            }
            let identifier = name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
                && !name[0].is_ascii_digit();
            let text = defs.texts[def.text as usize];
            let known = matches!(name, b"char" | b"float" | b"double" | b"_Bool")
                || text.as_bytes() == name;
            // These the header declares itself.
            let known = known || is_own(name);
            let words = matches!(
                name,
                b"int" | b"long" | b"short" | b"unsigned" | b"signed" | b"__int128"
            );
            if identifier && !known && !words && !self.naming.is_taken(btf, name) {
                out.push((btf.name_tail(def.name), text));
            }
        }
        let cut = |tail: &'b [u8]| &tail[..scan(tail).len];
        out.sort_by(|a, b| {
            cut(a.0)
                .cmp(cut(b.0))
                .then(a.1.as_bytes().cmp(b.1.as_bytes()))
        });
        let unique = |i: usize| {
            let same = |j: usize| {
                out.get(j)
                    .is_some_and(|o| cut(o.0) == cut(out[i].0) && o.1 != out[i].1)
            };
            !(same(i + 1) || i > 0 && same(i - 1))
        };
        let mut kept: Vec<(&'b [u8], Word)> = (0..out.len())
            .filter(|i| unique(*i))
            .map(|i| out[i])
            .collect();
        kept.dedup_by(|a, b| cut(a.0) == cut(b.0));
        kept
    }
}

const PUSH: &str = "\
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#if defined(__clang__) && defined(__bpf__)
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif
#endif

";

const POP: &str = "\
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#if defined(__clang__) && defined(__bpf__)
#pragma clang attribute pop
#endif
#endif

";

// `true` is a keyword from C23 on, which is the one thing that tells: compilers on their way there all
// claimed the same `__STDC_VERSION__`, with and without it.
const BOOL: &str = "\
#if !true
typedef _Bool bool;

enum {
\tfalse = 0,
\ttrue = 1,
};
#endif

";

const KFUNCS: &str = "\
#ifndef BPF_NO_KFUNC_PROTOTYPES

#ifndef __ksym
#define __ksym __attribute__((section(\".ksyms\")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

#ifndef __bpf_fastcall
#ifdef __has_attribute
#if __has_attribute(bpf_fastcall)
#define __bpf_fastcall __attribute__((bpf_fastcall))
#endif
#endif
#endif
#ifndef __bpf_fastcall
#define __bpf_fastcall
#endif

";

/// Whether enums with values that may be negative are said to be unsigned, as before kernel 6.0.
fn unsigned_enums(btf: &Btf<'_>, defs: &Defs) -> bool {
    let mut any = false;
    for def in &defs.defs[1..] {
        if def.class == DefClass::Enum {
            let ty = btf.ty(def.id);
            if ty.kind() == Kind::Enum64 || ty.kind_flag() {
                return false;
            }
            any |= ty.vlen() > 0;
        }
    }
    any
}

/// Wraps a module's text into a guard that is named by the text itself.
fn guard_module(text: &mut Text) {
    let mut hash = Hash::new();
    hash.bytes(text.as_bytes());
    let guard = format!("__VMLINUX_MODULE_{:032X}_H__", hash.finish());
    text.insert(
        0,
        &format!(
            "#ifndef {guard}\n#define {guard}\n\n#ifndef __VMLINUX_H__\n#error \"include the vmlinux.h of the module's kernel first\"\n#endif\n\n"
        ),
    );
    text.str(&format!("#endif /* {guard} */\n"));
}
