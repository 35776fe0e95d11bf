//! The inventory as pages, for people: HTML that works without a script, whose every name is escaped by the template
//! language. What is shown comes from `model` and `table`, which are pure.

mod check;
mod kernel;
mod lists;
pub(super) mod model;
mod overview;
pub(super) mod table;
mod types;

pub use check::check;
pub use kernel::{Detail, kernel};
pub use lists::{kernels, nodes};
pub use overview::{Overview, overview};
pub use types::{Across, Browse, Kernel, across, browse, found};

use crate::consumer::wire::Problem;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Nothing from elsewhere, no script and no style but our own two files.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The style sheet.
pub const STYLE: &str = include_str!("style.css");
/// The script: search as one types, sorting without a new page, a key for the search.
pub const SCRIPT: &str = include_str!("script.js");

/// What a tab shows.
pub const ICON: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\"><rect width=\"16\" height=\"16\" rx=\"3\" fill=\"#2f6fb0\"/><path d=\"M4 3v10h4a3 3 0 0 0 1-5.8A2.5 2.5 0 0 0 7.500 3z\" fill=\"#fff\"/></svg>\n";

/// The parts of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Overview,
    Nodes,
    Kernels,
    Types,
    Check,
}

const PARTS: [(Part, &str, &str); 5] = [
    (Part::Overview, "", "Overview"),
    (Part::Nodes, "nodes", "Nodes"),
    (Part::Kernels, "kernels", "Kernels"),
    (Part::Types, "types", "Types"),
    (Part::Check, "check", "Check"),
];

/// A whole page. `up` leads from it to the root: the site may lie under a path of a proxy's.
pub fn site(up: &str, part: Part, title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – btfleet" }
                link rel="icon" type="image/svg+xml" href={ (up) "assets/icon.svg" };
                link rel="stylesheet" href={ (up) "assets/style.css" };
                script src={ (up) "assets/script.js" } defer {}
            }
            body {
                a .skip href="#main" { "Skip to the content" }
                header {
                    a .brand href={ (up) "./" } { "btfleet" }
                    nav aria-label="Pages" {
                        @for (this, path, name) in PARTS {
                            a href={ (up) "./" (path) } aria-current=[(this == part).then_some("page")] { (name) }
                        }
                    }
                }
                main id="main" {
                    h1 { (title) }
                    (body)
                }
                footer {
                    "btfleet " (env!("CARGO_PKG_VERSION")) " · "
                    a href={ (up) "openapi.json" } { "openapi.json" } " says what else can be asked for"
                }
            }
        }
    };
    page.into_string()
}

/// A problem, for people.
pub fn problem(up: &str, problem: &Problem) -> String {
    let body = html! {
        p .no role="alert" { (problem.detail) }
        p { "Status " (problem.status) ". " a href={ (up) "./" } { "Back to the overview" } }
    };
    site(up, Part::Overview, &problem.title, &body)
}

/// What is shown although the API server, or the store, does not answer.
fn troubles(troubles: &[String]) -> Markup {
    html! {
        @for trouble in troubles {
            p .no role="status" { (trouble) }
        }
    }
}

fn bytes(n: u64) -> String {
    match n {
        0..1024 => format!("{n} B"),
        1024..1_048_576 => format!("{:.1} KiB", n as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", n as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", n as f64 / 1_073_741_824.0),
    }
}

/// `1 node`, `2 nodes`.
fn counted(n: usize, one: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        _ => match one.split_once(' ') {
            // Several kernels in use.
            Some((one, rest)) if rest.starts_with("in ") => format!("{n} {one}s {rest}"),
            _ => format!("{n} {one}s"),
        },
    }
}

/// Text in a path segment.
pub(super) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(b));
            }
            _ => out += &format!("%{b:02X}"),
        }
    }
    out
}

/// The first digits of a digest or an id, the rest for whoever copies it.
fn short(text: &str) -> Markup {
    let bare = text.strip_prefix("sha256:").unwrap_or(text);
    let first: String = bare.chars().take(12).collect();
    html! { code title=(text) { (first) } }
}

/// Shares as a bar: widths add up to 100.
fn bar(shares: &[(String, usize)]) -> Markup {
    let all: usize = shares.iter().map(|(_, n)| n).sum();
    let mut at = 0.0;
    let mut rects = String::new();
    for (n, (_, count)) in shares.iter().enumerate() {
        let width = *count as f64 * 100.0 / all.max(1) as f64;
        // Numbers alone.
        rects += &format!(
            "<rect class=\"share share-{}\" x=\"{at:.3}\" y=\"0\" width=\"{width:.3}\" height=\"8\"/>",
            n % 8
        );
        at += width;
    }
    let said: Vec<String> = shares
        .iter()
        .map(|(name, n)| format!("{name}: {n}"))
        .collect();
    html! {
        svg .bar viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=(said.join(", ")) {
            (PreEscaped(rects))
        }
    }
}
