//! What is said of eBPF programs on kernels, for other programs: docs/json.md.

use crate::relo::check::{Finding, Program, Verdict};
use serde::{Serialize, Serializer};

/// Raised when a reader of the last one would misread it; a field more is no such change.
const SCHEMA: u32 = 1;

/// Objects on kernels.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    schema: u32,
    /// The worst verdict of a selected program.
    #[serde(serialize_with = "word")]
    pub verdict: Verdict,
    /// How many selected programs, on how many kernels each, came to which verdict.
    pub counts: Counts,
    /// By kernel.
    pub kernels: Vec<KernelReport>,
}

/// Programs on kernels, by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Counts {
    pub resolves: u64,
    pub guarded: u64,
    pub unknown: u64,
    pub fails: u64,
}

/// What is said of one kernel.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KernelReport {
    /// How it is called: a file's name, a release, a kernel id.
    pub name: String,
    /// Its id, where it is of a store or a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_id: Option<String>,
    /// Likewise its digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub btf_digest: Option<String>,
    /// Its machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// Its releases.
    pub releases: Vec<String>,
    /// How many nodes run it, where the cluster is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u64>,
    /// Why nothing is said of it: its BTF could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// By object.
    pub objects: Vec<ObjectReport>,
}

/// What is said of one object on one kernel.
#[derive(Debug, Clone, Serialize)]
pub struct ObjectReport {
    /// How it is called.
    pub object: String,
    /// By program, as they lie in it.
    pub programs: Vec<ProgramReport>,
}

/// What is said of one program on one kernel.
#[derive(Debug, Clone, Serialize)]
pub struct ProgramReport {
    /// Its function.
    pub name: String,
    /// Its section, without `?`.
    pub section: String,
    /// `SEC("?…")`.
    pub optional: bool,
    /// Whether it counts.
    pub selected: bool,
    /// The worst of its findings.
    #[serde(serialize_with = "word")]
    pub verdict: Verdict,
    /// Worst first.
    pub findings: Vec<FindingReport>,
}

/// Something that a kernel lacks, or that cannot be known of it.
#[derive(Debug, Clone, Serialize)]
pub struct FindingReport {
    /// What it means.
    #[serde(serialize_with = "word")]
    pub verdict: Verdict,
    /// What it is about.
    pub subject: &'static str,
    /// Its name.
    pub name: String,
    /// What is amiss.
    pub reason: String,
    /// What the kernel has instead.
    pub instead: Option<String>,
    /// Where in the object it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Which instruction of the function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insn: Option<usize>,
    /// The source file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What is written there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

fn word<S: Serializer>(verdict: &Verdict, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(verdict.name())
}

impl From<Finding> for FindingReport {
    fn from(finding: Finding) -> FindingReport {
        let place = finding.place.as_ref();
        let source = place.and_then(|p| p.source.clone());
        FindingReport {
            verdict: finding.verdict,
            subject: finding.subject.name(),
            name: finding.name,
            reason: finding.reason,
            instead: finding.instead,
            function: place.map(|p| p.function.clone()),
            insn: place.map(|p| p.insn),
            file: source.as_ref().map(|(file, _)| file.clone()),
            line: source.map(|(_, line)| line),
            text: place
                .map(|p| p.text.clone())
                .filter(|text| !text.is_empty()),
        }
    }
}

impl ObjectReport {
    /// What was found of an object. `selected` names the programs that count; where it is empty, all that are loaded by
    /// default.
    pub fn new(object: &str, programs: Vec<Program>, selected: &[String]) -> ObjectReport {
        let counts = |program: &Program| match selected {
            [] => !program.is_optional,
            names => names.contains(&program.name),
        };
        let report = |program: Program| ProgramReport {
            selected: counts(&program),
            name: program.name,
            section: program.section,
            optional: program.is_optional,
            verdict: program.verdict,
            findings: program
                .findings
                .into_iter()
                .map(FindingReport::from)
                .collect(),
        };
        ObjectReport {
            object: object.to_owned(),
            programs: programs.into_iter().map(report).collect(),
        }
    }
}

impl CheckReport {
    /// Gathers what was found.
    pub fn new(kernels: Vec<KernelReport>) -> CheckReport {
        let mut report = CheckReport {
            schema: SCHEMA,
            verdict: Verdict::Resolves,
            counts: Counts::default(),
            kernels,
        };
        let objects = report.kernels.iter().flat_map(|kernel| &kernel.objects);
        let programs = objects.flat_map(|object| &object.programs);
        for program in programs.filter(|program| program.selected) {
            report.verdict = report.verdict.max(program.verdict);
            let counts = &mut report.counts;
            let count = match program.verdict {
                Verdict::Resolves => &mut counts.resolves,
                Verdict::Guarded => &mut counts.guarded,
                Verdict::Unknown => &mut counts.unknown,
                Verdict::Fails => &mut counts.fails,
            };
            *count += 1;
        }
        report
    }
}
