//! JUnit XML, as CI systems read it: a suite a kernel, a case a program.

use super::text::{place, what};
use btfleet::artifact::{CheckReport, ProgramReport};
use btfleet::relo::check::Verdict;
use std::fmt::Write as _;

pub fn print(report: &CheckReport, strict: bool) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"btfleet check\">\n",
    );
    for kernel in &report.kernels {
        let cases: Vec<(&str, &ProgramReport)> = kernel
            .objects
            .iter()
            .flat_map(|o| o.programs.iter().map(|p| (o.object.as_str(), p)))
            .collect();
        let count = |is: fn(Outcome) -> bool| {
            let of = cases.iter().filter(|(_, p)| is(outcome(p, strict)));
            of.count()
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
            escape(&kernel.name),
            cases.len() + usize::from(kernel.error.is_some()),
            count(|o| o == Outcome::Failure),
            u8::from(kernel.error.is_some()),
            count(|o| o == Outcome::Skipped),
        );
        if let Some(error) = &kernel.error {
            let _ = writeln!(
                out,
                "    <testcase classname=\"kernel\" name=\"BTF\"><error message=\"{}\"/></testcase>",
                escape(error)
            );
        }
        for (object, program) in &cases {
            let _ = write!(
                out,
                "    <testcase classname=\"{}\" name=\"{}\"",
                escape(object),
                escape(&program.name)
            );
            let _ = match outcome(program, strict) {
                Outcome::Success => writeln!(out, "/>"),
                other => {
                    let (tag, text) = (other.tag(), findings(program));
                    let first = program.findings.first().map(what).unwrap_or_default();
                    let message = escape(&first);
                    writeln!(
                        out,
                        "><{tag} message=\"{message}\">{}</{tag}></testcase>",
                        escape(&text)
                    )
                }
            };
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
    Skipped,
}

impl Outcome {
    fn tag(self) -> &'static str {
        match self {
            Outcome::Failure => "failure",
            _ => "skipped",
        }
    }
}

fn outcome(program: &ProgramReport, strict: bool) -> Outcome {
    match program.verdict {
        Verdict::Resolves | Verdict::Guarded => Outcome::Success,
        _ if !program.selected => Outcome::Skipped,
        Verdict::Unknown if !strict => Outcome::Skipped,
        _ => Outcome::Failure,
    }
}

fn findings(program: &ProgramReport) -> String {
    let mut lines = Vec::new();
    for finding in &program.findings {
        let mut line = format!("{}: {}", finding.verdict.name(), what(finding));
        if let Some(place) = place(finding) {
            line += &format!(", {place}");
        }
        if let Some(instead) = &finding.instead {
            line += &format!(" (the kernel has {instead})");
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// Text in XML; what XML cannot hold is replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
