//! The header's text: what stands where.

use super::GENERATOR;
use super::defs::{Def, DefClass, Defs, Slot, State};
use super::error::Error;
use super::hash::Hash;
use super::header::Plan;
use super::naming;
use super::print::Printer;
use super::sorted::Named;
use super::text::{Text, scan};
use crate::btf::{Btf, Kind, TypeId};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

impl Plan {
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
        let records = self.has_records(&parts);
        let (front, back) = self.order.body.split_at(self.middle(&parts));
        if front.is_empty() || btf.base().is_some() {
            let mut p = Printer::new(btf, &self.defs, &self.naming, room);
            self.write_front(&mut p, &parts, records, &self.order.body, &mut None)?;
            self.write_back(&mut p, records, &[], &mut None)?;
            if btf.base().is_some() {
                guard_module(&mut p.out);
            }
            p.check_length(TypeId::VOID)?;
            part(p.out.part());
            return Ok(());
        }
        let (room, back_room) = room.split_at_mut(room.len() / 2);
        let mut p = Printer::new(btf, &self.defs, &self.naming, room);
        let (send, sent) = mpsc::channel();
        // Made here, so that the thread that prints it need not begin with a heap of its own.
        let rest = Printer::new(btf, &self.defs, &self.naming, back_room);
        let rest = Mutex::new(Some((rest, send)));
        let write_rest = || {
            let rest = rest.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some((mut p, send)) = rest else {
                return Ok(());
            };
            let mut part = |text| {
                // Whoever waits for it does so to the end.
                let _ = send.send(text);
            };
            self.write_back(&mut p, records, back, &mut Some(&mut part))?;
            p.check_length(TypeId::VOID)?;
            part(p.out.part());
            Ok(())
        };
        thread::scope(|scope| {
            // Where no thread can be had, one after the other does as well.
            let helper = thread::Builder::new().spawn_scoped(scope, write_rest).ok();
            self.write_front(&mut p, &parts, records, front, &mut Some(&mut *part))?;
            part(p.out.part());
            match helper {
                Some(helper) => {
                    sent.iter().for_each(&mut *part);
                    helper
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                }
                None => {
                    let done = write_rest();
                    sent.try_iter().for_each(&mut *part);
                    done
                }
            }
        })
    }

    /// Whether any record is declared or defined.
    fn has_records(&self, parts: &Parts<'_>) -> bool {
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
        body.any(|s| record(s) || unnamed_record(s)) || parts.declared.iter().any(record)
    }

    /// What stands before records and typedefs, and the first of those.
    fn write_front<'t>(
        &self,
        p: &mut Printer<'_, '_, 't>,
        parts: &Parts<'_>,
        records: bool,
        body: &[Slot],
        part: &mut Option<Part<'_, 't>>,
    ) -> Result<(), Error> {
        let (btf, defs) = (p.btf, &self.defs);
        if btf.base().is_none() {
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
        if records {
            p.out.str(PUSH);
        }
        if parts.bool {
            p.out.str(BOOL);
        }
        self.write_repeats(btf, p);
        for slot in parts.enums {
            p.define_enum(*slot)?;
            hand_on(p, part);
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
        self.write_body(p, body, part)
    }

    /// The last records and typedefs, and what stands behind those.
    fn write_back<'t>(
        &self,
        p: &mut Printer<'_, '_, 't>,
        records: bool,
        body: &[Slot],
        part: &mut Option<Part<'_, 't>>,
    ) -> Result<(), Error> {
        self.write_body(p, body, part)?;
        self.write_kfuncs(p.btf, p)?;
        if records {
            p.out.str(POP);
        }
        if p.btf.base().is_none() {
            p.out.str("#endif /* __VMLINUX_H__ */\n");
        }
        Ok(())
    }

    fn write_body<'t>(
        &self,
        p: &mut Printer<'_, '_, 't>,
        slots: &[Slot],
        part: &mut Option<Part<'_, 't>>,
    ) -> Result<(), Error> {
        for slot in slots.iter().filter(|s| **s != self.naming.bool_typedef) {
            p.define(*slot)?;
            hand_on(p, part);
        }
        Ok(())
    }

    /// Where a large body is halved, for two processors: about as much to print before as behind. What is
    /// where does not depend on how many there are. A small one is all behind.
    fn middle(&self, parts: &Parts<'_>) -> usize {
        const SMALL: usize = 1000;
        let body = &self.order.body;
        if body.len() < SMALL {
            return 0;
        }
        let cost = |slot: &Slot| 2 + self.defs.get(*slot).rows as usize;
        let mut before: usize = parts.enums.iter().map(cost).sum();
        let all: usize = before + body.iter().map(cost).sum::<usize>();
        body.iter()
            .take_while(|slot| {
                before += cost(slot);
                before * 2 < all
            })
            .count()
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
            let mut text = |func: TypeId| {
                let (start, has) = (p.out.len(), std::mem::take(&mut p.has));
                p.kfunc(func, 0)?;
                let text = p.out.as_bytes().get(start..).unwrap_or_default().to_vec();
                p.out.take_back(text.len());
                p.has = has;
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

/// Hands on what is there, if that is enough to be worth it; it is in the processor's cache still.
fn hand_on<'t>(p: &mut Printer<'_, '_, 't>, part: &mut Option<Part<'_, 't>>) {
    const ENOUGH: usize = 128 << 10;
    if let Some(part) = part
        && p.out.len() >= ENOUGH
    {
        part(p.out.part());
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
