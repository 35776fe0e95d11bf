//! The round trip: a kernel's BTF, its header, clang, and the BTF that clang makes of it must all say the same.

use super::cc;
use super::compare::Comparison;
use super::header::Header;
use super::kinds::{Class, by_name, class};
use super::layout;
use super::refbtf::{self, Btf, Kind};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// What goes round.
pub struct Trip<'a> {
    pub kernel: &'a [u8],
    /// A module's base.
    pub base: Option<&'a [u8]>,
    pub header: &'a Header,
    pub clang: &'a str,
    /// `-target`; by default the BPF target of the BTF's byte order.
    pub target: Option<&'a str>,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Report {
    /// Named structs, unions, enums and typedefs; equal ones of one name count once.
    pub checked: usize,
    pub right: usize,
    /// Each wrong definition, and its first difference.
    pub wrong: Vec<String>,
    pub kfuncs_checked: usize,
    pub kfuncs_right: usize,
    pub kfuncs_wrong: Vec<String>,
}

impl Report {
    pub fn is_perfect(&self) -> bool {
        self.checked == self.right && self.kfuncs_checked == self.kfuncs_right
    }
}

/// How many faults a report shows: enough to see what they have in common.
const SHOWN: usize = 50;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} definitions right", self.right, self.checked)?;
        write!(
            f,
            ", {} of {} kfuncs",
            self.kfuncs_right, self.kfuncs_checked
        )?;
        for list in [&self.wrong, &self.kfuncs_wrong] {
            for wrong in list.iter().take(SHOWN) {
                write!(f, "\n  {wrong}")?;
            }
            if list.len() > SHOWN {
                write!(f, "\n  … and {} more", list.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

/// Compiles a C file that uses every definition of the header and compares what clang saw with the kernel's BTF.
/// An error is a header that does not compile.
pub fn check(trip: &Trip<'_>) -> Result<Report, String> {
    let base = trip.base.map(|bytes| Btf::parse(bytes, None));
    let kernel = Btf::parse(trip.kernel, base.as_ref());
    let seen = compile(trip, &kernel)?;
    let comparison = Comparison::new(&kernel, &seen);

    let lost = layout::lost_qualifiers(trip.header, &kernel)?;

    let mut report = Report::default();
    for id in distinct_definitions(&kernel) {
        report.checked += 1;
        let lost = lost
            .contains(&id)
            .then(|| "const or volatile of an unnamed member is lost".to_owned());
        match comparison.difference(id).or(lost) {
            None => report.right += 1,
            Some(why) => {
                let ty = kernel.get(id);
                let (class, _) = class(&ty.kind).expect("only named types are compared");
                report
                    .wrong
                    .push(format!("{} {}: {why}", class.keyword(), ty.name));
            }
        }
    }
    let prototypes = ksyms(&seen);
    for (id, proto) in kernel.kfuncs() {
        let name = &kernel.get(id).name;
        report.kfuncs_checked += 1;
        let verdict = kfunc_names(trip.header, name)
            .iter()
            .filter_map(|name| prototypes.get(name))
            .map(|&seen| comparison.prototype(proto, seen))
            .reduce(|one, other| one.or(other))
            .unwrap_or_else(|| Err("is not in the header".to_owned()));
        match verdict {
            Ok(()) => report.kfuncs_right += 1,
            Err(why) => report.kfuncs_wrong.push(format!("kfunc {name}: {why}")),
        }
    }
    Ok(report)
}

/// One id for each definition that is the BTF's own and unlike the others of its name.
fn distinct_definitions(kernel: &Btf) -> Vec<u32> {
    let itself = Comparison::new(kernel, kernel);
    let mut distinct: Vec<u32> = Vec::new();
    for ids in by_name(kernel).into_values() {
        let mut kept: Vec<u32> = Vec::new();
        for id in ids
            .into_iter()
            .filter(|&id| !matches!(kernel.kind(id), Kind::Fwd { .. }))
        {
            if !kept.iter().any(|&other| itself.equal(id, other)) {
                kept.push(id);
            }
        }
        distinct.extend(kept.into_iter().filter(|&id| id >= kernel.first_own));
    }
    distinct
}

/// Extern functions of the section `.ksyms`, with their prototypes.
fn ksyms(seen: &Btf) -> HashMap<String, u32> {
    let sections = seen.types.iter().filter(|ty| ty.name == ".ksyms");
    let members = sections.filter_map(|ty| match &ty.kind {
        Kind::DataSec(members) => Some(members),
        _ => None,
    });
    members
        .flatten()
        .filter_map(|&id| match seen.kind(id) {
            Kind::Func(proto) => Some((seen.get(id).name.clone(), *proto)),
            _ => None,
        })
        .collect()
}

/// What a kfunc may be called: the escaped name, where there is one, for `unix` by itself is a number; and with a
/// suffix, where something else has the name. A keyword of C23 is a plain name here.
fn kfunc_names(header: &Header, name: &str) -> Vec<String> {
    let c23 = header.has_word(&format!("__btfleet__c23_{name}"));
    let spelling = match c23 {
        true => Some(name.to_owned()),
        false => header.spellings(name).pop(),
    };
    let spelling = spelling.unwrap_or_default();
    let suffixed = (2..5).map(|n| format!("{spelling}___{n}"));
    std::iter::once(spelling.clone()).chain(suffixed).collect()
}

/// Each definition that the header may hold, as a pointer to it, in the order of the kernel's type ids.
fn pointers(kernel: &Btf, header: &Header) -> Vec<String> {
    // Tags share a namespace, so a struct may be called `name___2` because of an enum `name`.
    let mut crowds: BTreeMap<(bool, String), (BTreeSet<Class>, Vec<u32>)> = BTreeMap::new();
    for ((class, name), ids) in by_name(kernel) {
        let crowd = crowds.entry((class == Class::Typedef, name)).or_default();
        crowd.0.insert(class);
        crowd.1.extend(ids);
    }
    let mut crowds: Vec<_> = crowds.into_iter().collect();
    crowds.sort_by_key(|(_, (_, ids))| ids[0]);
    let mut pointers = Vec::new();
    // What a base defines is only referred to, by name; where there are twins it takes their content to tell them.
    crowds.retain(|(_, (_, ids))| ids.len() > 1 || ids[0] >= kernel.first_own);
    for ((_, name), (classes, ids)) in crowds {
        for (class, name) in classes.iter().flat_map(|class| {
            header
                .spellings(&name)
                .into_iter()
                .map(move |name| (class, name))
        }) {
            let keyword = if *class == Class::Typedef {
                ""
            } else {
                class.keyword()
            };
            pointers.push(format!("{keyword} {name} *"));
            pointers.extend((2..=ids.len()).map(|n| format!("{keyword} {name}___{n} *")));
        }
    }
    pointers
}

/// How many definitions to use in one file. Clang looks for each string of the BTF that it writes in a list of
/// those so far: many files are three times as quick as one.
const CHUNK: usize = 1500;

/// The header's definitions as clang's BTF has them.
fn compile(trip: &Trip<'_>, kernel: &Btf) -> Result<Btf, String> {
    let dir = cc::scratch();
    let includes = trip.header.includes();
    trip.header.write(dir.path());
    let target = trip.target.unwrap_or(cc::bpf_target(kernel.big_endian));
    let clang = |mode: &str, name: &str, text: &str| -> Result<Vec<u8>, String> {
        let (source, object) = (format!("{name}.c"), format!("{name}.o"));
        std::fs::write(dir.path().join(&source), format!("{includes}{text}\n")).unwrap();
        let flags = [
            "-target",
            target,
            "-std=gnu11",
            "-g",
            "-O2",
            "-w",
            "-ferror-limit=0",
            "-fno-caret-diagnostics",
        ];
        let out = cc::run(
            trip.clang,
            &[&flags[..], &[mode, &source, "-o", &object]].concat(),
            dir.path(),
        );
        if !out.status.success() {
            return Err(cc::text(&out.stderr));
        }
        Ok(std::fs::read(dir.path().join(&object)).unwrap_or_default())
    };

    let mut pointers = pointers(kernel, trip.header);
    let mut kfuncs: Vec<String> = kernel
        .kfuncs()
        .iter()
        .flat_map(|(id, _)| kfunc_names(trip.header, &kernel.get(*id).name))
        .collect();
    // What is not in the header is an error on its own line, and is left out.
    let globals = pointers
        .iter()
        .enumerate()
        .map(|(i, pointer)| format!("{pointer}round_trip_{i};"));
    // What has its name but is no function cannot be declared so.
    let calls = kfuncs
        .iter()
        .map(|name| format!("extern __typeof__({name}) {name};"));
    let probe: Vec<String> = globals.chain(calls).collect();
    if let Err(errors) = clang("-fsyntax-only", "probe", &probe.join("\n")) {
        let (ours, theirs): (Vec<&str>, Vec<&str>) = errors
            .lines()
            .filter(|l| l.contains("error: "))
            .partition(|l| l.starts_with("probe.c:"));
        if !theirs.is_empty() || ours.is_empty() {
            return Err(cc::head(&errors, 20));
        }
        let first = includes.lines().count() + 1;
        let missing: BTreeSet<usize> = ours
            .iter()
            .filter_map(|l| Some(l.split(':').nth(1)?.parse::<usize>().ok()? - first))
            .collect();
        let split = pointers.len();
        let mut at = 0..;
        pointers.retain(|_| !missing.contains(&at.next().unwrap()));
        let mut at = split..;
        kfuncs.retain(|_| !missing.contains(&at.next().unwrap()));
    }

    // A parameter that is a pointer makes clang describe what it points at, and asks nothing of its size.
    let mut files: Vec<String> = pointers
        .chunks(CHUNK)
        .map(|chunk| format!("void (*round_trip)(\n{}\n);", chunk.join(",\n")))
        .collect();
    // The address of a function, taken in a function, brings its prototype.
    let taken: Vec<String> = kfuncs
        .iter()
        .map(|name| format!("sink = {name};"))
        .collect();
    files.push(format!(
        "void *volatile sink; void round_trip(void) {{\n{}\n}}",
        taken.join("\n")
    ));
    let files: Vec<(usize, String)> = files.into_iter().enumerate().collect();
    let objects = cc::in_parallel(&files, |(i, text)| clang("-c", &format!("use{i}"), text));
    let mut seen: Option<Btf> = None;
    for object in objects {
        let part = Btf::parse(&refbtf::elf_section(&object?, ".BTF"), None);
        match &mut seen {
            None => seen = Some(part),
            Some(seen) => seen.append(part),
        }
    }
    seen.ok_or_else(|| "the BTF has no types".to_owned())
}
