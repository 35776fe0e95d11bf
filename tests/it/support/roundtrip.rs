//! The round trip: a kernel's BTF, its header, clang, and the BTF that clang makes of it must all say the same.

use super::cc;
use super::compare::{Class, Comparison, by_name, class};
use super::refbtf::{self, Btf, Kind};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// What goes round.
pub struct Trip<'a> {
    pub kernel: &'a [u8],
    /// A module's base.
    pub base: Option<&'a [u8]>,
    pub header: &'a str,
    /// The base's header, included first.
    pub base_header: Option<&'a str>,
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

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} definitions right", self.right, self.checked)?;
        write!(f, ", {} of {} kfuncs", self.kfuncs_right, self.kfuncs_checked)?;
        for wrong in self.wrong.iter().chain(&self.kfuncs_wrong) {
            write!(f, "\n  {wrong}")?;
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
    let comparison = Comparison::new(&kernel, &seen, &spelled);

    let mut report = Report::default();
    for ids in distinct_definitions(&kernel) {
        report.checked += 1;
        match comparison.difference(ids) {
            None => report.right += 1,
            Some(why) => {
                let ty = kernel.get(ids);
                let (class, _) = class(&ty.kind).expect("only named types are compared");
                report.wrong.push(format!("{} {}: {why}", class.keyword(), ty.name));
            }
        }
    }
    let prototypes = ksyms(&seen);
    for (id, proto) in kernel.kfuncs() {
        let name = &kernel.get(id).name;
        report.kfuncs_checked += 1;
        let verdict = match prototypes.get(&spelled(name)) {
            None => Err("is not in the header".to_owned()),
            Some(&seen) => comparison.prototype(proto, seen),
        };
        match verdict {
            Ok(()) => report.kfuncs_right += 1,
            Err(why) => report.kfuncs_wrong.push(format!("kfunc {name}: {why}")),
        }
    }
    Ok(report)
}

/// One id for each definition that is the BTF's own and unlike the others of its name.
fn distinct_definitions(kernel: &Btf) -> Vec<u32> {
    let itself = Comparison::new(kernel, kernel, &str::to_owned);
    let mut distinct: Vec<u32> = Vec::new();
    for ids in by_name(kernel).into_values() {
        let mut kept: Vec<u32> = Vec::new();
        for id in ids.into_iter().filter(|&id| !matches!(kernel.kind(id), Kind::Fwd { .. })) {
            if !kept.iter().any(|&other| itself.equal(id, other)) {
                kept.push(id);
            }
        }
        distinct.extend(kept.into_iter().filter(|&id| id >= kernel.first_own));
    }
    distinct
}

/// The header's spelling of a kernel's name.
fn spelled(name: &str) -> String {
    name.to_owned()
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

/// One use a line: the line number of a compiler's error tells which one does not exist in the header.
fn uses(kernel: &Btf) -> Vec<String> {
    // Tags share a namespace, so a struct may be called `name___2` because of an enum `name`.
    let mut crowds: BTreeMap<(bool, String), (BTreeSet<Class>, usize)> = BTreeMap::new();
    for ((class, name), ids) in by_name(kernel) {
        let crowd = crowds.entry((class == Class::Typedef, name)).or_default();
        crowd.0.insert(class);
        crowd.1 += ids.len();
    }
    let mut lines = Vec::new();
    for ((_, name), (classes, count)) in crowds {
        let name = spelled(&name);
        for (class, n) in classes.iter().flat_map(|class| (1..=count).map(move |n| (class, n))) {
            let keyword = if *class == Class::Typedef { "" } else { class.keyword() };
            let twin = if n == 1 { name.clone() } else { format!("{name}___{n}") };
            // A pointer at file scope makes clang describe what it points at, and asks nothing of its size.
            lines.push(format!("{keyword} {twin} *round_trip_{};", lines.len()));
        }
    }
    lines
}

fn compile(trip: &Trip<'_>, kernel: &Btf) -> Result<Btf, String> {
    let dir = cc::scratch();
    let mut prologue = 0;
    let mut includes = String::new();
    for (file, text) in [("base.h", trip.base_header), ("vmlinux.h", Some(trip.header))] {
        if let Some(text) = text {
            std::fs::write(dir.path().join(file), text).unwrap();
            includes += &format!("#include \"{file}\"\n");
            prologue += 1;
        }
    }
    let mut lines = uses(kernel);
    let first_call = lines.len();
    // The address of a function, taken in a function, brings its prototype into BTF.
    lines.push("static void *volatile round_trip_sink; void round_trip(void) {".to_owned());
    lines.extend(kernel.kfuncs().iter().map(|(id, _)| format!("round_trip_sink = {};", spelled(&kernel.get(*id).name))));
    lines.push("}".to_owned());

    let target = trip.target.unwrap_or(cc::bpf_target(kernel.big_endian));
    let flags = ["-target", target, "-std=gnu11", "-g", "-O2", "-w", "-ferror-limit=0", "-fno-caret-diagnostics"];
    // What is not in the header is an error on its own line. Without those lines the rest has to compile.
    for attempt in ["-fsyntax-only", "-c"] {
        std::fs::write(dir.path().join("use.c"), format!("{includes}{}\n", lines.join("\n"))).unwrap();
        let args = [&flags[..], &[attempt, "use.c", "-o", "use.o"]].concat();
        let out = cc::run(trip.clang, &args, dir.path());
        if out.status.success() {
            continue;
        }
        let errors = cc::text(&out.stderr);
        let (ours, theirs): (Vec<&str>, Vec<&str>) =
            errors.lines().filter(|l| l.contains("error: ")).partition(|l| l.starts_with("use.c:"));
        if attempt == "-c" || !theirs.is_empty() || ours.is_empty() {
            return Err(format!("{} {}\n{}", trip.clang, args.join(" "), cc::head(&errors, 20)));
        }
        for line in ours.iter().filter_map(|l| l.split(':').nth(1)?.parse::<usize>().ok()) {
            let at = line - 1 - prologue;
            assert!(at != first_call, "{errors}");
            lines[at] = String::new();
        }
    }
    let object = std::fs::read(dir.path().join("use.o")).unwrap();
    Ok(Btf::parse(&refbtf::elf_section(&object, ".BTF"), None))
}
