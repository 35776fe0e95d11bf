//! The header as a whole: what stands where.

use super::{GENERATOR, ROOM};
use super::defs::{Def, DefClass, Defs, Slot, State};
use super::error::Error;
use super::hash::Hash;
use super::naming::{self, Naming};
use super::order::{Order, Walk};
use super::print::Printer;
use super::sorted::Named;
use super::text::{Text, scan};
use crate::btf::{Btf, Kind, TypeId};

/// All decisions about a header, before a byte of it is written.
pub(super) struct Plan {
    defs: Defs,
    order: Order,
    naming: Naming,
}

impl Plan {
    /// Plans the header of a BTF that stands alone.
    pub fn new(btf: &Btf<'_>) -> Result<Plan, Error> {
        match btf.base() {
            None => Plan::with(btf, Defs::new(btf)?, None),
            Some(base) => {
                let base = Plan::new(base)?;
                let defs = Defs::on_base(&base.defs, btf)?;
                Plan::with(btf, defs, Some(&base.naming))
            }
        }
    }

    fn with(btf: &Btf<'_>, mut defs: Defs, base: Option<&Naming>) -> Result<Plan, Error> {
        let mut naming = naming::enter(btf, &mut defs, base);
        let roots: Vec<Slot> = defs.own_named().collect();
        let kfuncs = defs.kfuncs.clone();
        let mut walk = Walk::new(btf, &mut defs, false);
        for slot in roots {
            if walk.defs.get(slot).class != DefClass::Enum {
                walk.visit(slot)?;
            }
        }
        for func in kfuncs {
            walk.visit_prototype(func)?;
        }
        let order = walk.order;
        for i in 0..defs.unnamed_enums.len() {
            let slot = defs.unnamed_enums[i];
            let def = defs.get_mut(slot);
            if !def.is(Def::BASE) && def.uses > 1 {
                def.flags |= Def::HOISTED;
            }
        }
        naming::settle(btf, &mut defs, &mut naming);
        Ok(Plan {
            defs,
            order,
            naming,
        })
    }

    /// Narrows the plan to these names and what they need.
    pub fn narrow(&mut self, btf: &Btf<'_>, names: &[&str]) -> Result<(), Error> {
        let mut roots: Vec<Slot> = Vec::new();
        let mut kfuncs: Vec<TypeId> = Vec::new();
        for name in names {
            let found = self.find(btf, name);
            let funcs = self.defs.kfuncs.iter().copied();
            let funcs: Vec<TypeId> = funcs
                .filter(|f| btf.name(btf.ty(*f).name()) == name.as_bytes())
                .collect();
            if found.is_empty() && funcs.is_empty() {
                return Err(Error::unknown(format!("there is no type called {name}")));
            }
            roots.extend(found);
            kfuncs.extend(funcs);
        }
        for def in &mut self.defs.defs {
            def.flags &= !Def::FORWARD;
            let enum_or_int = matches!(def.class, DefClass::Enum | DefClass::Arithmetic);
            // What the base's header has stays there.
            if !enum_or_int && !def.is(Def::BASE) {
                def.state = State::New;
            }
        }
        roots.sort_by(|a, b| self.compare(btf, *a, *b));
        kfuncs.sort_by(|a, b| btf.name(btf.ty(*a).name()).cmp(btf.name(btf.ty(*b).name())));
        let mut walk = Walk::new(btf, &mut self.defs, true);
        for slot in roots {
            match walk.defs.get(slot).class {
                DefClass::Enum => walk.order.enums.push(slot),
                _ => walk.visit(slot)?,
            }
        }
        for func in &kfuncs {
            walk.visit_prototype(*func)?;
        }
        self.order = walk.order;
        self.defs.kfuncs = kfuncs;
        Ok(())
    }

    /// The definitions that bear this name in the header, with or without `struct` and the like before it.
    fn find(&self, btf: &Btf<'_>, name: &str) -> Vec<Slot> {
        let (keyword, name) = match name.split_once(' ') {
            Some((keyword @ ("struct" | "union" | "enum"), name)) => (Some(keyword), name.trim()),
            _ => (None, name),
        };
        let fits = |slot: &Slot| {
            let def = self.defs.get(*slot);
            let class = match def.class {
                DefClass::Struct => Some("struct"),
                DefClass::Union => Some("union"),
                DefClass::Enum => Some("enum"),
                _ => None,
            };
            if keyword.is_some() && keyword != class {
                return false;
            }
            let bytes = btf.name(def.name);
            match def.suffix {
                0 | 1 => bytes == name.as_bytes(),
                n => [bytes, format!("___{n}").as_bytes()].concat() == name.as_bytes(),
            }
        };
        self.defs
            .named
            .iter()
            .map(Named::slot)
            .filter(fits)
            .collect()
    }

    fn compare(&self, btf: &Btf<'_>, a: Slot, b: Slot) -> std::cmp::Ordering {
        let key = |s: Slot| {
            let def = self.defs.get(s);
            (
                btf.name(def.name),
                def.class == DefClass::Typedef,
                def.suffix,
            )
        };
        key(a).cmp(&key(b))
    }

    /// Writes the header of everything.
    pub fn write_all<'t>(
        &self,
        btf: &Btf<'_>,
        room: &'t mut [u8],
        part: Part<'_, 't>,
    ) -> Result<(), Error> {
        let defs = &self.defs;
        let own = |slot: &Slot| !defs.get(*slot).is(Def::BASE);
        let alone = |s: &Slot| {
            let def = defs.get(*s);
            own(s) && *s != self.naming.bool_enum && (def.uses == 0 || def.is(Def::HOISTED))
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
        let aliases = self.aliases(btf);
        let parts = Parts {
            bool: btf.base().is_none(),
            enums: &enums,
            aliases: &aliases,
            declared: &declared,
        };
        self.write(btf, parts, room, part)
    }

    /// Writes the header of a narrowed plan.
    pub fn write_narrow<'t>(
        &self,
        btf: &Btf<'_>,
        room: &'t mut [u8],
        part: Part<'_, 't>,
    ) -> Result<(), Error> {
        let defs = &self.defs;
        let sorted = |slots: &[Slot], keep: &dyn Fn(&Def) -> bool| {
            let here = |s: &Slot| !defs.get(*s).is(Def::BASE) && keep(defs.get(*s));
            let mut slots: Vec<Slot> = slots.iter().copied().filter(here).collect();
            slots.sort_by(|a, b| self.compare(btf, *a, *b).then(a.cmp(b)));
            slots.dedup();
            slots
        };
        let name = |def: &Def| btf.name(def.name);
        let mut enums = sorted(&self.order.enums, &|d| {
            (!name(d).is_empty() || d.is(Def::HOISTED)) && !d.is(Def::INCOMPLETE)
        });
        enums.retain(|s| *s != self.naming.bool_enum);
        let declared = sorted(&self.order.pointed_at, &|d| {
            !name(d).is_empty()
                && (d.state != State::Done || d.is(Def::FORWARD) || d.is(Def::INCOMPLETE))
        });
        let parts = Parts {
            bool: self.naming.bool_typedef != 0
                && self.order.body.contains(&self.naming.bool_typedef),
            enums: &enums,
            aliases: &[],
            declared: &declared,
        };
        self.write(btf, parts, room, part)
    }

    fn write<'t>(
        &self,
        btf: &Btf<'_>,
        parts: Parts<'_>,
        room: &'t mut [u8],
        part: Part<'_, 't>,
    ) -> Result<(), Error> {
        /// So much at a time is handed on: enough to be worth it, and in the processor's cache still.
        const PART: usize = 128 << 10;
        let defs = &self.defs;
        let mut p = Printer::new(btf, defs, &self.naming, room);
        let module = btf.base().is_some();
        if !module {
            p.out
                .str("#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n\n");
        }
        p.out.str("/* Generated by btfleet (generator ");
        p.out.number(u64::from(GENERATOR));
        p.out.str(") from BTF: do not edit. */\n\n");
        if unsigned_enums(btf, defs) {
            p.out.str(
                "/* This kernel's BTF does not say which enums are signed: all their values are unsigned. */\n\n",
            );
        }
        let record = |s: &Slot| matches!(defs.get(*s).class, DefClass::Struct | DefClass::Union);
        let unnamed_record = |s: &Slot| {
            let def = defs.get(*s);
            let ends_in = [Kind::Struct as u32, Kind::Union as u32];
            def.class == DefClass::Typedef && ends_in.contains(&def.text)
        };
        let records = self
            .order
            .body
            .iter()
            .any(|s| record(s) || unnamed_record(s))
            || parts.declared.iter().any(record);
        if records {
            p.out.str(PUSH);
        }
        if parts.bool {
            p.out.str(BOOL);
        }
        self.write_repeats(btf, &mut p);
        for slot in parts.enums {
            p.define_enum(*slot)?;
        }
        let start = p.out.len();
        for (tail, text) in parts.aliases {
            p.out.str("typedef ");
            p.out.bytes(text);
            p.out.byte(b' ');
            p.write_name(tail, 0);
            p.out.str(";\n\n");
        }
        for slot in parts.declared {
            let def = defs.get(*slot);
            match def.class {
                DefClass::Enum => p.out.str("enum "),
                _ => p.record_keyword(def),
            }
            p.name_of(def);
            p.out.str(";\n");
        }
        if !parts.declared.is_empty() {
            p.out.byte(b'\n');
        }
        p.settle_wants(start);
        let body = self.order.body.iter();
        for slot in body.filter(|s| **s != self.naming.bool_typedef) {
            p.define(*slot)?;
            // A module's guard is not known before its end.
            if p.out.len() >= PART && !module {
                part(p.out.part());
            }
        }
        self.write_kfuncs(btf, &mut p)?;
        if records {
            p.out.str(POP);
        }
        match module {
            true => guard_module(&mut p.out),
            false => p.out.str("#endif /* __VMLINUX_H__ */\n"),
        }
        p.check_length(TypeId::VOID)?;
        part(p.out.part());
        Ok(())
    }

    /// Types that a module defines once more as its base has them are the base's; the name that another
    /// one of that name would have had leads there too, for those who count on it.
    fn write_repeats(&self, btf: &Btf<'_>, p: &mut Printer<'_, '_, '_>) {
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
            let last = tags.filter(|s| named(&s)).map(|s| defs.get(s).suffix.max(1)).max();
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

    fn write_kfuncs(&self, btf: &Btf<'_>, p: &mut Printer<'_, '_, '_>) -> Result<(), Error> {
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
            let text = |func: TypeId| {
                let mut room = vec![0; ROOM];
                let mut alone = Printer::new(btf, &self.defs, &self.naming, &mut room);
                alone.kfunc(func, 0)?;
                Ok(alone.out.as_bytes().to_vec())
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
    fn aliases<'b>(&self, btf: &Btf<'b>) -> Vec<(&'b [u8], &[u8])> {
        let defs = &self.defs;
        let mut out: Vec<(&'b [u8], &[u8])> = Vec::new();
        let arithmetic = |def: &&Def| def.class == DefClass::Arithmetic && !def.is(Def::BASE);
        for def in defs.defs[1..].iter().filter(arithmetic) {
            let name = btf.name(def.name);
            if name.is_empty() || btf.kind(def.id).is_enum() {
                continue;
            }
            let identifier = name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
                && !name[0].is_ascii_digit();
            let text = defs.texts[def.text as usize].as_bytes();
            let known = matches!(name, b"char" | b"float" | b"double" | b"_Bool") || text == name;
            // These the header declares itself.
            let known = known || matches!(name, b"bool" | b"true" | b"false");
            let words = matches!(
                name,
                b"int" | b"long" | b"short" | b"unsigned" | b"signed" | b"__int128"
            );
            if identifier && !known && !words && !self.naming.is_taken(btf, name) {
                out.push((btf.name_tail(def.name), text));
            }
        }
        let cut = |tail: &'b [u8]| &tail[..scan(tail).len];
        out.sort_by(|a, b| cut(a.0).cmp(cut(b.0)).then(a.1.cmp(b.1)));
        let unique = |i: usize| {
            let same = |j: usize| {
                out.get(j)
                    .is_some_and(|o| cut(o.0) == cut(out[i].0) && o.1 != out[i].1)
            };
            !(same(i + 1) || i > 0 && same(i - 1))
        };
        let mut kept: Vec<(&'b [u8], &[u8])> = (0..out.len())
            .filter(|i| unique(*i))
            .map(|i| out[i])
            .collect();
        kept.dedup_by(|a, b| cut(a.0) == cut(b.0));
        kept
    }
}

/// Takes a text's parts.
type Part<'f, 't> = &'f mut dyn FnMut(&'t [u8]);

struct Parts<'p> {
    bool: bool,
    enums: &'p [Slot],
    aliases: &'p [(&'p [u8], &'p [u8])],
    declared: &'p [Slot],
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
fn guard_module(text: &mut Text<'_>) {
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
