//! Whether what each program asks of a kernel is there, and if not, whether it can be reached.

use super::effort::FINDING;
use super::finding::{Finding, Place, Program, Subject, Verdict};
use super::insn::{CALL, Patched};
use super::object::{ExternKind, Object, Reference, Relocation, StructOps};
use super::reach::{Place as At, Presence, World, reached};
use super::{Effort, Refusal, Target, Value, all_outcomes, hint, names};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

pub(super) struct Check<'a, 'd> {
    object: &'a Object<'d>,
    target: &'a Target<'a>,
    /// What is wrong, by function and relocation.
    refused: Vec<(At, usize, Refusal)>,
    poisoned: BTreeMap<At, Vec<(usize, Value)>>,
    patched: HashMap<At, Patched>,
    externs: Vec<(Presence, Option<Finding>)>,
    /// Where each extern is first named in each function.
    uses: Vec<BTreeMap<usize, usize>>,
    struct_ops: Vec<Option<Finding>>,
    effort: &'a Effort,
}

impl<'a, 'd> Check<'a, 'd> {
    pub(super) fn new(
        object: &'a Object<'d>,
        target: &'a Target<'a>,
        effort: &'a Effort,
    ) -> Check<'a, 'd> {
        let externs = object.externs.iter();
        let maps = object.struct_ops.iter();
        let mut uses = vec![BTreeMap::new(); object.externs.len()];
        for (n, function) in object.functions.iter().enumerate() {
            for (&at, reference) in &function.references {
                if let Reference::Extern(named) = reference
                    && let Some(uses) = uses.get_mut(*named)
                {
                    let first = uses.entry(n).or_insert(at);
                    *first = at.min(*first);
                }
            }
        }
        let mut check = Check {
            object,
            target,
            refused: Vec::new(),
            poisoned: BTreeMap::new(),
            patched: HashMap::new(),
            externs: externs
                .map(|e| names::presence(object, e, target, effort))
                .collect(),
            uses,
            struct_ops: maps
                .map(|map| names::struct_ops(object, map, target, effort))
                .collect(),
            effort,
        };
        for outcome in all_outcomes(object, target, effort) {
            let (function, relocation) = (outcome.function, outcome.relocation);
            let at = object.functions[function].relocations[relocation].insn;
            let place = (function, at);
            match (outcome.patched, outcome.value) {
                (Ok(Patched::Poison), Ok(value)) => {
                    let missing = check.poisoned.entry(place).or_default();
                    missing.push((relocation, value));
                    check.patched.insert(place, Patched::Poison);
                }
                (Ok(patched), _) => {
                    check.patched.entry(place).or_insert(patched);
                }
                (Err(refusal), _) => check.refused.push((place, relocation, refusal)),
            }
        }
        check
    }

    pub(super) fn programs(&self) -> Vec<Program> {
        let programs = self.object.functions.iter().enumerate();
        let programs = programs.filter(|(_, f)| f.is_program);
        let programs = programs.take_while(|_| !self.effort.is_spent());
        programs.map(|(n, _)| self.program(n)).collect()
    }

    /// The functions that a program is made of, itself first.
    fn parts(&self, program: usize) -> Vec<usize> {
        let (mut parts, mut seen) = (vec![program], BTreeSet::from([program]));
        let mut next = 0;
        while let Some(&part) = parts.get(next) {
            next += 1;
            let references = &self.object.functions[part].references;
            if !self.effort.take(1 + references.len()) {
                break;
            }
            for reference in references.values() {
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
            findings.extend(names::attach(function, self.target, self.effort));
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
            self.effort.take(1 + map.callbacks.len());
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
            let Some(uses) = self.uses.get(n).filter(|_| self.effort.take(parts.len())) else {
                break;
            };
            let own = parts.iter().find_map(|part| uses.get_key_value(part));
            let used = match finding.verdict {
                Verdict::Fails => own.or_else(|| uses.first_key_value()),
                _ if own.is_none() => continue,
                _ => own,
            };
            let place = used.map(|(function, at)| self.place((*function, *at)));
            found.extend(self.keep(|| Finding {
                place,
                ..finding.clone()
            }));
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
        self.effort.take(self.refused.len());
        refused
            .map_while(|refused| self.keep(|| finding(refused)))
            .collect()
    }

    /// Poisoned instructions: whether the program can reach them.
    fn poison(&self, program: usize, parts: &[usize]) -> Vec<Finding> {
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
        let of_part = |part: &usize| self.poisoned.range((*part, 0)..=(*part, usize::MAX));
        let mut poisoned: Vec<_> = parts.iter().flat_map(of_part).collect();
        poisoned.sort_unstable_by_key(|(place, _)| **place);
        if poisoned.is_empty() && weak.is_empty() {
            return Vec::new();
        }
        self.effort.take(self.externs.len());
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
                effort: self.effort,
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
        for (&place, relocations) in poisoned {
            let verdict = match (hits(&without, &place), hits(&with, &place)) {
                (true, true) => Verdict::Fails,
                (false, false) => Verdict::Guarded,
                _ => Verdict::Unknown,
            };
            for (relocation, value) in relocations {
                found.extend(self.keep(|| self.missing(place, *relocation, value, verdict)));
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
            let finding = || Finding {
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
            };
            found.extend(self.keep(finding));
        }
        found
    }

    /// A finding, if there is room for one more.
    fn keep(&self, finding: impl FnOnce() -> Finding) -> Option<Finding> {
        self.effort.take(FINDING).then(finding)
    }

    fn relocation(&self, place: At, relocation: usize) -> &Relocation<'d> {
        &self.object.functions[place.0].relocations[relocation]
    }

    fn missing(&self, place: At, relocation: usize, value: &Value, verdict: Verdict) -> Finding {
        let relocation = self.relocation(place, relocation);
        let local = &self.object.btf;
        let (reason, instead) = if value.poison {
            // Nobody looks for what is not missed.
            let wanted = verdict != Verdict::Guarded && self.effort.hint();
            hint::missing(local, relocation, self.target, wanted)
        } else {
            // It is there, but of a size that the access cannot take.
            let reason = format!(
                "it is {} bytes wide, {} in the program, and not both unsigned",
                value.new_size, value.original_size
            );
            (reason, Some(format!("{} bytes", value.new_size)))
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
        Place {
            function: hint::text(function.name.as_bytes()),
            insn,
            source: line.map(|line| (hint::text(line.file), line.line)),
            text: line.map_or(String::new(), |line| hint::text(line.text.trim_ascii())),
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
