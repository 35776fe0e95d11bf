//! The table: kernel × program, failures first.

use crate::command::printable;
use crate::command::table::table;
use btfleet::artifact::{CheckReport, FindingReport, KernelReport, ProgramReport};
use btfleet::relo::check::Verdict;
use std::path::Path;

/// One line of the table.
struct Row<'r> {
    kernel: &'r KernelReport,
    object: &'r str,
    program: &'r ProgramReport,
}

pub fn print(report: &CheckReport) -> String {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for kernel in &report.kernels {
        for object in &kernel.objects {
            rows.extend(object.programs.iter().map(|program| Row {
                kernel,
                object: &object.object,
                program,
            }));
        }
    }
    // Failures first; among them those that strike most nodes.
    rows.sort_by_key(|row| {
        let nodes = row.kernel.nodes.unwrap_or(0);
        let worst = std::cmp::Reverse((row.program.selected, row.program.verdict, nodes));
        (worst, row.object, &row.kernel.name)
    });
    let knows_nodes = report.kernels.iter().any(|k| k.nodes.is_some());
    let mut head = vec!["VERDICT", "KERNEL"];
    if knows_nodes {
        head.push("NODES");
    }
    head.extend(["OBJECT", "PROGRAM", "WHAT", "WHERE", "INSTEAD"]);
    let mut lines = vec![head.into_iter().map(str::to_owned).collect()];
    lines.extend(rows.iter().map(|row| cells(row, knows_nodes)));
    table(&lines)
}

fn cells(row: &Row<'_>, knows_nodes: bool) -> Vec<String> {
    let finding = row.program.findings.first();
    let dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let verdict = match row.program.selected {
        true => row.program.verdict.name().to_owned(),
        false => format!("({})", row.program.verdict.name()),
    };
    let mut cells = vec![verdict, row.kernel.name.clone()];
    if knows_nodes {
        cells.push(dash(row.kernel.nodes.map(|n| n.to_string())));
    }
    cells.extend([
        row.object.to_owned(),
        row.program.name.clone(),
        dash(finding.map(what)),
        dash(finding.and_then(place)),
        dash(finding.and_then(|f| f.instead.clone())),
    ]);
    cells
        .iter()
        .map(|cell| printable(cell).into_owned())
        .collect()
}

/// What is amiss, in one line.
pub fn what(finding: &FindingReport) -> String {
    format!("{} {}: {}", finding.subject, finding.name, finding.reason)
}

/// Where, in one word: from here, where that is below.
pub fn place(finding: &FindingReport) -> Option<String> {
    match (&finding.file, finding.line, &finding.function) {
        (Some(file), Some(line), _) => {
            let here = std::env::current_dir().unwrap_or_default();
            let file = Path::new(file);
            let file = file.strip_prefix(here).unwrap_or(file);
            Some(format!("{}:{line}", file.display()))
        }
        (_, _, Some(function)) => Some(format!("{function}+{}", finding.insn.unwrap_or(0))),
        _ => None,
    }
}

/// The whole in a line or two.
pub fn summary(report: &CheckReport) -> String {
    let worst = |kernel: &&KernelReport| {
        let programs = kernel.objects.iter().flat_map(|o| &o.programs);
        let selected = programs.filter(|p| p.selected).map(|p| p.verdict);
        selected.max().unwrap_or(Verdict::Resolves)
    };
    let all = report.kernels.len();
    let good = report
        .kernels
        .iter()
        .filter(|k| worst(k) <= Verdict::Guarded);
    let failing: Vec<&KernelReport> = report
        .kernels
        .iter()
        .filter(|k| worst(k) == Verdict::Fails)
        .collect();
    let nodes: u64 = failing.iter().filter_map(|k| k.nodes).sum();
    let strikes = match failing.iter().any(|k| k.nodes.is_some()) {
        true => format!(" ({nodes} nodes)"),
        false => String::new(),
    };
    let n = &report.counts;
    format!(
        "CO-RE compatible with {} of {all} kernels; fails on {}{strikes}: {} resolve, {} guarded, {} unknown, {} fail",
        good.count(),
        failing.len(),
        n.resolves,
        n.guarded,
        n.unknown,
        n.fails
    )
}
