//! Whether what each program asks of a kernel is there, and if not, whether it can be reached.

use super::finding::{Finding, Place, Program, Subject, Verdict};
use super::insn::{CALL, Patched};
use super::object::{ExternKind, Object, Reference, Relocation, StructOps};
use super::reach::{Place as At, Presence, World, reached};
use super::{Refusal, Resolved, Target, hint, names, outcomes, resolve};
use std::collections::{BTreeSet, HashMap, HashSet};

pub(super) struct Check<'a, 'd> {
    object: &'a Object<'d>,
    target: &'a Target<'a>,
    /// What is wrong, by function and relocation.
    refused: Vec<(At, usize, Refusal)>,
    poisoned: HashMap<At, Vec<usize>>,
    patched: HashMap<At, Patched>,
    externs: Vec<(Presence, Option<Finding>)>,
    struct_ops: Vec<Option<Finding>>,
}

impl<'a, 'd> Check<'a, 'd> {
    pub(super) fn new(object: &'a Object<'d>, target: &'a Target<'a>) -> Check<'a, 'd> {
        let externs = object.externs.iter();
        let maps = object.struct_ops.iter();
        let mut check = Check {
            object,
            target,
            refused: Vec::new(),
            poisoned: HashMap::new(),
            patched: HashMap::new(),
            externs: externs
                .map(|e| names::presence(object, e, target))
                .collect(),
            struct_ops: maps
                .map(|map| names::struct_ops(object, map, target))
                .collect(),
        };
        for outcome in outcomes(object, target) {
            let (function, relocation) = (outcome.function, outcome.relocation);
            let at = object.functions[function].relocations[relocation].insn;
            let place = (function, at);
            match outcome.patched {
                Ok(Patched::Poison) => {
                    check.poisoned.entry(place).or_default().push(relocation);
                    check.patched.insert(place, Patched::Poison);
                }
                Ok(patched) => {
                    check.patched.entry(place).or_insert(patched);
                }
                Err(refusal) => check.refused.push((place, relocation, refusal)),
            }
        }
        check
    }

    pub(super) fn programs(&self) -> Vec<Program> {
        let programs = self.object.functions.iter().enumerate();
        let programs = programs.filter(|(_, f)| f.is_program);
        programs.map(|(n, _)| self.program(n)).collect()
    }

    /// The functions that a program is made of, itself first.
    fn parts(&self, program: usize) -> Vec<usize> {
        let (mut parts, mut seen) = (vec![program], BTreeSet::from([program]));
        let mut next = 0;
        while let Some(&part) = parts.get(next) {
            next += 1;
            let references = self.object.functions[part].references.values();
            for reference in references {
                if let Reference::Function(callee) = reference
                    && seen.insert(*callee)
                {
                    parts.push(*callee);
                }
            }
        }
        parts[1..].sort_unstable();
        parts
    }

    fn program(&self, n: usize) -> Program {
        let function = &self.object.functions[n];
        let parts = self.parts(n);
        let mut findings = Vec::new();
        if !self.object.fits(self.target.kernel()) {
            findings.push(Finding {
                verdict: Verdict::Fails,
                subject: Subject::ByteOrder,
                name: format!("{}-endian", self.object.btf.byte_order()),
                reason: "the object is for machines of the other byte order".into(),
                instead: Some(format!("{}-endian", self.target.kernel().byte_order())),
                place: None,
            });
        } else {
            findings.extend(names::attach(function, self.target));
            findings.extend(self.callbacks(n));
            findings.extend(self.named(&parts));
            findings.extend(self.refusals(n));
            findings.extend(self.poison(n, &parts));
        }
        // In the source's order, where they are equally bad.
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
        Program {
            name: function.name.to_owned(),
            section: function.section.to_owned(),
            is_optional: function.is_optional,
            verdict: findings.first().map_or(Verdict::Resolves, |f| f.verdict),
            findings,
        }
    }

    /// Maps of callbacks that the program is set in, and those that are created whatever programs are loaded.
    fn callbacks(&self, program: usize) -> Vec<Finding> {
        let maps = self.object.struct_ops.iter().zip(&self.struct_ops);
        let concerns = |map: &StructOps<'_>| {
            let is_set = map.callbacks.iter().any(|(_, f)| *f == program);
            is_set || (map.callbacks.is_empty() && !map.is_optional)
        };
        let concerned = maps.filter(|(map, _)| concerns(map));
        concerned
            .filter_map(|(_, finding)| finding.clone())
            .collect()
    }

    /// What is amiss with what the program names. libbpf looks everything up that any part of the object names: what
    /// certainly fails there fails all of it.
    fn named(&self, parts: &[usize]) -> Vec<Finding> {
        let mut found = Vec::new();
        for (n, (_, finding)) in self.externs.iter().enumerate() {
            let Some(finding) = finding else { continue };
            let is = |r: &Reference| *r == Reference::Extern(n);
            let place = |part: usize| {
                let references = &self.object.functions[part].references;
                let first = references
                    .iter()
                    .filter(|(_, r)| is(r))
                    .map(|(at, _)| *at)
                    .min();
                first.map(|at| self.place((part, at)))
            };
            let own = parts.iter().find_map(|&part| place(part));
            let all = || (0..self.object.functions.len()).find_map(place);
            let place = match finding.verdict {
                Verdict::Fails => own.or_else(all),
                _ if own.is_none() => continue,
                _ => own,
            };
            let mut finding = finding.clone();
            finding.place = place;
            found.push(finding);
        }
        found
    }

    /// Relocations for which libbpf refuses the object: those of every function that is loaded count, reached or not.
    fn refusals(&self, program: usize) -> Vec<Finding> {
        let counts =
            |function: usize| function == program || !self.object.functions[function].is_optional;
        let refused = self.refused.iter().filter(|(place, ..)| counts(place.0));
        let finding = |(place, relocation, refusal): &(At, usize, Refusal)| Finding {
            verdict: Verdict::Fails,
            subject: subject(self.relocation(*place, *relocation)),
            name: hint::spell(&self.object.btf, self.relocation(*place, *relocation)),
            reason: refusal.to_string(),
            instead: None,
            place: Some(self.place(*place)),
        };
        refused.map(finding).collect()
    }

    /// Poisoned instructions: whether the program can reach them.
    fn poison(&self, program: usize, parts: &[usize]) -> Vec<Finding> {
        let is_part = |place: &At| parts.contains(&place.0);
        let calls = parts.iter().flat_map(|&part| {
            let references = self.object.functions[part].references.iter();
            references.filter_map(move |(at, r)| match r {
                Reference::Extern(n) => Some(((part, *at), *n)),
                _ => None,
            })
        });
        // Weak functions that this kernel lacks: calls of them are poisoned.
        let lacks = |n: usize| {
            let (presence, _) = self.externs[n];
            let named = &self.object.externs[n];
            let is_kfunc = matches!(named.kind, ExternKind::Kfunc(_));
            is_kfunc && named.is_weak && presence != Presence::Present
        };
        let is_call = |place: &At| {
            let insn = self.object.functions[place.0].insns.get(place.1);
            insn.is_some_and(|insn| insn.code == CALL)
        };
        let mut weak: Vec<(At, usize)> = calls.filter(|(at, n)| lacks(*n) && is_call(at)).collect();
        weak.sort_unstable();
        let mut places: Vec<At> = self.poisoned.keys().copied().filter(is_part).collect();
        places.sort_unstable();
        if places.is_empty() && weak.is_empty() {
            return Vec::new();
        }
        // What a module may or may not bring: as if none did, and as if one did.
        let world = |unknown: Presence| {
            let presence = self.externs.iter().zip(&self.object.externs);
            let externs = presence.map(|((presence, _), named)| {
                let typed = !matches!(named.kind, ExternKind::Symbol | ExternKind::Config);
                match presence {
                    Presence::Unknown if typed && named.is_weak => unknown,
                    // Without it nothing is loaded.
                    Presence::Unknown if typed => Presence::Present,
                    other => *other,
                }
            });
            externs.collect::<Vec<_>>()
        };
        let run = |externs: &[Presence]| {
            let world = World {
                object: self.object,
                patched: &self.patched,
                externs,
            };
            reached(&world, program, &parts[1..])
        };
        let (absent, present) = (world(Presence::Absent), world(Presence::Present));
        let without = run(&absent);
        let with = match absent == present {
            true => without.clone(),
            false => run(&present),
        };
        let hits = |set: &Option<HashSet<At>>, place: &At| {
            set.as_ref().is_none_or(|set| set.contains(place))
        };
        let mut found = Vec::new();
        for place in places {
            let verdict = match (hits(&without, &place), hits(&with, &place)) {
                (true, true) => Verdict::Fails,
                (false, false) => Verdict::Guarded,
                _ => Verdict::Unknown,
            };
            for &relocation in self.poisoned.get(&place).into_iter().flatten() {
                found.push(self.missing(place, relocation, verdict));
            }
        }
        for (place, n) in weak {
            let is_absent = self.externs[n].0 == Presence::Absent;
            let verdict = match (hits(&without, &place), is_absent) {
                (false, _) => Verdict::Guarded,
                (true, true) => Verdict::Fails,
                (true, false) => Verdict::Unknown,
            };
            let named = &self.object.externs[n];
            found.push(Finding {
                verdict,
                subject: Subject::Kfunc,
                name: named.name.to_owned(),
                reason: match is_absent {
                    true => "no such kfunc, or of another prototype".to_owned(),
                    false => {
                        "the kernel itself has no such kfunc; a module of it may have".to_owned()
                    }
                },
                instead: None,
                place: Some(self.place(place)),
            });
        }
        found
    }

    fn relocation(&self, place: At, relocation: usize) -> &Relocation<'d> {
        &self.object.functions[place.0].relocations[relocation]
    }

    fn missing(&self, place: At, relocation: usize, verdict: Verdict) -> Finding {
        let relocation = self.relocation(place, relocation);
        let (local, target) = (&self.object.btf, self.target);
        let mut candidates = target.candidates(local, relocation.ty);
        let resolved = resolve(local, relocation, target, &mut candidates);
        let (reason, instead) = match resolved {
            // It is there, but of a size that the access cannot take.
            Ok(Resolved {
                value,
                found: Some(_),
                ..
            }) => (
                format!(
                    "it is {} bytes wide, {} in the program, and not both unsigned",
                    value.new_size, value.original_size
                ),
                Some(format!("{} bytes", value.new_size)),
            ),
            // Nobody looks for what is not missed.
            _ => hint::missing(local, relocation, target, verdict != Verdict::Guarded),
        };
        Finding {
            verdict,
            subject: subject(relocation),
            name: hint::spell(local, relocation),
            reason,
            instead,
            place: Some(self.place(place)),
        }
    }

    fn place(&self, (function, insn): At) -> Place {
        let function = &self.object.functions[function];
        let line = function.line(insn);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Place {
            function: function.name.to_owned(),
            insn,
            source: line.map(|line| (text(line.file), line.line)),
            text: line.map_or(String::new(), |line| text(line.text).trim().to_owned()),
        }
    }
}

fn subject(relocation: &Relocation<'_>) -> Subject {
    match relocation.kind {
        kind if kind.is_field() => Subject::Field,
        kind if kind.is_enumerator() => Subject::Enumerator,
        _ => Subject::Type,
    }
}
