//! The inventory as a page, for people. Every name is escaped; no script, nothing from elsewhere.

use super::catalog::Listed;
use super::fleet::Fleet;
use crate::cluster::State;
use std::fmt::Write as _;

/// The most rows of a table.
const ROWS: usize = 500;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #ddd;overflow-wrap:anywhere}\
code{font-size:13px}.no{color:#a00}";

/// The page.
pub fn inventory(place: &str, fleet: Option<&Fleet>, listed: &Listed) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>btfleet</title><style>{STYLE}</style></head><body>\n<h1>btfleet</h1>\n"
    );
    // Writing to a string does not fail.
    let _ = writeln!(
        html,
        "<p>Store {}. <a href=\"openapi.json\">openapi.json</a> says what can be asked for.</p>",
        escape(place)
    );
    if let Some(fleet) = fleet {
        nodes(fleet, &mut html);
    }
    kernels(fleet, listed, &mut html);
    html.push_str("</body></html>\n");
    html
}

fn nodes(fleet: &Fleet, html: &mut String) {
    let (counts, first) = fleet.overview(ROWS);
    html.push_str("<h2>Nodes</h2>\n<p>");
    if let Err(why) = fleet.is_current() {
        let _ = write!(html, "<strong class=\"no\">{}</strong>. ", escape(&why));
    }
    let words = State::WORDS.map(|word| format!("{word}: {}", counts.get(word).unwrap_or(&0)));
    let _ = writeln!(html, "{}</p>", words.join(", "));
    html.push_str("<table><tr><th>Node<th>Status<th>Kernel<th>Release<th>Arch<th></tr>\n");
    for (name, node) in &first {
        let (id, note) = match &node.state {
            State::Ready { btf, .. } => (btf.kernel_id().to_string(), String::new()),
            State::Error(why) => (String::new(), why.clone()),
            State::NotReported(Some(why)) => (String::new(), why.to_string()),
            _ => (String::new(), String::new()),
        };
        let class = match node.state {
            State::Ready { .. } => "",
            _ => " class=\"no\"",
        };
        let header = match id.is_empty() {
            true => String::new(),
            false => format!(
                "<a href=\"v1/nodes/{}/vmlinux.h\">vmlinux.h</a>",
                escape(name)
            ),
        };
        let _ = writeln!(
            html,
            "<tr><td>{}<td{class}>{}<td><code>{id}</code><td>{}<td>{}<td>{header}{}</tr>",
            escape(name),
            node.state.word(),
            escape(&node.release),
            escape(&node.arch),
            escape(&note),
        );
    }
    html.push_str("</table>\n");
    let all: usize = counts.values().sum();
    more(all, first.len(), html);
}

fn kernels(fleet: Option<&Fleet>, listed: &Listed, html: &mut String) {
    let running = fleet.map(Fleet::kernels);
    html.push_str(
        "<h2>Kernels</h2>\n<table><tr><th>Kernel<th>Names in the store<th>Nodes<th></tr>\n",
    );
    for (btf, names) in listed.kernels.iter().take(ROWS) {
        let names: Vec<String> = names
            .iter()
            .take(10)
            .map(|name| escape(&format!("{}/{}", name.arch, name.release)))
            .collect();
        let nodes = running.as_ref().map(|r| r.get(btf).copied().unwrap_or(0));
        let nodes = nodes.map(|n| n.to_string()).unwrap_or_default();
        let id = btf.kernel_id();
        let _ = writeln!(
            html,
            "<tr><td><code>{id}</code><td>{}<td>{nodes}<td><a href=\"v1/kernels/{id}/vmlinux.h\">vmlinux.h</a> <a href=\"v1/kernels/{id}/vmlinux.btf\">BTF</a></tr>",
            names.join(", ")
        );
    }
    html.push_str("</table>\n");
    more(listed.kernels.len(), ROWS.min(listed.kernels.len()), html);
}

fn more(all: usize, shown: usize, html: &mut String) {
    if all > shown {
        let _ = writeln!(html, "<p>… and {} more.</p>", all - shown);
    }
}

/// A text in which nothing acts as HTML, in an attribute neither.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::BtfDigest;
    use crate::consumer::wire::KernelName;

    #[test]
    fn names_from_outside_are_text() {
        let evil = "<script>alert('1')</script>\"&\n";
        let mut listed = Listed::default();
        let name = KernelName {
            arch: "amd64".to_owned(),
            release: evil.to_owned(),
        };
        listed.kernels.insert(BtfDigest::of(b"x"), [name].into());
        let html = inventory(evil, None, &listed);
        assert!(!html.contains("<script"), "{html}");
        assert_eq!(html.matches("&lt;script&gt;").count(), 2, "{html}");
        assert!(!escape("a\"'").contains(['"', '\'']));
    }
}
