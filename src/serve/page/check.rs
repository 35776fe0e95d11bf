//! The page that an object file is dropped on, and the table of its programs and kernels.

use super::{Part, counted, site, troubles};
use crate::artifact::{CheckReport, KernelReport, ProgramReport};
use crate::consumer::wire::Problem;
use crate::relo::check::Verdict;
use maud::{Markup, html};
use std::cmp::Reverse;

/// The most rows of the table.
const ROWS: usize = 2000;

/// The page, with the answer once an object was sent: its name and what was found.
pub fn check(
    kernels: usize,
    said: &[String],
    found: Option<(&str, Result<&CheckReport, &Problem>)>,
) -> String {
    let body = html! {
        (troubles(said))
        p {
            "Is a compiled eBPF object CO-RE compatible with the " (counted(kernels, "kernel"))
            " known here? That says what its relocations and the names that it uses come to; not that a kernel will load it."
        }
        form #check .search .drop method="post" enctype="multipart/form-data" {
            label for="object" { "An object file (.o), chosen or dropped here" }
            input #object type="file" name="object" accept=".o" required;
            button { "Check" }
        }
        div #results aria-live="polite" {
            @match found {
                None => {}
                Some((name, Err(problem))) => p .no role="alert" { (name) ": " (problem.detail) },
                Some((name, Ok(report))) => (table(name, report)),
            }
        }
    };
    site("", Part::Check, "Check", &body)
}

fn table(name: &str, report: &CheckReport) -> Markup {
    let counts = &report.counts;
    let counts: Vec<String> = [
        (counts.fails, Verdict::Fails),
        (counts.unknown, Verdict::Unknown),
        (counts.guarded, Verdict::Guarded),
        (counts.resolves, Verdict::Resolves),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, verdict)| format!("{n} {}", verdict.name()))
    .collect();
    let mut rows: Vec<(&KernelReport, &ProgramReport)> = report
        .kernels
        .iter()
        .flat_map(|kernel| kernel.objects.iter().map(move |object| (kernel, object)))
        .flat_map(|(kernel, object)| object.programs.iter().map(move |program| (kernel, program)))
        .collect();
    rows.sort_by_key(|(kernel, program)| {
        Reverse((program.selected, program.verdict, kernel.nodes))
    });
    html! {
        p role="status" { (name) ": " @if counts.is_empty() { "no program counts" } @else { (counts.join(", ")) } }
        @for kernel in &report.kernels {
            @if let Some(error) = &kernel.error { p .no { (kernel.name) ": " (error) } }
        }
        table {
            caption { "Programs and kernels, the worst first" }
            thead { tr { @for name in ["Verdict", "Kernel", "Nodes", "Program", "What", "Where", "Instead"] { th scope="col" { (name) } } } }
            tbody { @for (kernel, program) in rows.iter().take(ROWS) { (row(kernel, program)) } }
        }
        @if rows.len() > ROWS { p { "… and " (rows.len() - ROWS) " more: POST /v1/check has them all." } }
    }
}

fn row(kernel: &KernelReport, program: &ProgramReport) -> Markup {
    let finding = program.findings.first();
    let verdict = program.verdict.name();
    html! {
        tr {
            td class={ "verdict-" (verdict) } { @if program.selected { (verdict) } @else { "(" (verdict) ")" } }
            td {
                @match &kernel.kernel_id {
                    Some(id) => a href={ "kernels/" (id) } { (kernel.name) },
                    None => (kernel.name),
                }
            }
            td .number { @if let Some(nodes) = kernel.nodes { (nodes) } }
            th scope="row" { (program.name) }
            td { @if let Some(f) = finding { (f.subject) " " (f.name) ": " (f.reason) } }
            td { @if let Some((file, line)) = finding.and_then(|f| Some((f.file.as_ref()?, f.line?))) { (file) ":" (line) } }
            td { @if let Some(instead) = finding.and_then(|f| f.instead.as_ref()) { (instead) } }
        }
    }
}
