//! The type browser: search, a definition, two side by side, and one across all kernels.

use super::{Part, counted, segment, short, site, troubles};
use crate::relo::diff::Class;
use crate::relo::view::{Line, Place, Span, View, What};
use crate::serve::types::{FOUND, Found, Named, Shown};
use maud::{Markup, html};
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::collections::HashMap;

/// A kernel, as pages of types name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
}

/// What a page of a type shows.
#[derive(Debug)]
pub struct Browse {
    /// Whose type it is.
    pub kernel: Kernel,
    /// What it is, and its name.
    pub class: Class,
    pub name: String,
    /// As this kernel has it; `None` if it has none.
    pub shown: Option<Shown>,
    /// Another kernel, and the type as that has it.
    pub with: Option<(Kernel, Option<Shown>)>,
    /// Kernels to compare with.
    pub others: Vec<Kernel>,
}

/// Which kernels have which version of a type.
#[derive(Debug)]
pub struct Across {
    /// What it is, and its name.
    pub class: Class,
    pub name: String,
    /// A version: its kernels, and how many nodes run them; the one that most run first.
    pub versions: Vec<(Vec<Kernel>, Option<usize>)>,
    /// Kernels that have no such type, and how many nodes run them.
    pub without: (Vec<Kernel>, Option<usize>),
    /// Kernels that could not be looked at, and why.
    pub failed: Vec<(Kernel, String)>,
}

/// The form that looks types up. `up` leads to the root.
fn form(up: &str, kernels: &[Kernel], kernel: Option<&Kernel>, q: &str) -> Markup {
    html! {
        form .search method="get" action={ (up) "types" } role="search" data-live {
            label for="q" { "Type" }
            input #q type="search" name="q" value=(q) placeholder="task_struct" autocomplete="off" maxlength="200";
            label for="kernel" { "of kernel" }
            select #kernel name="kernel" {
                @for k in kernels {
                    option value=(k.id) selected[kernel == Some(k)] { (k.name) " " (k.id.chars().take(12).collect::<String>()) }
                }
            }
            button { "Find" }
        }
    }
}

/// What a search found, of a kernel.
pub fn found(
    up: &str,
    kernels: &[Kernel],
    kernel: Option<&Kernel>,
    q: &str,
    with: Option<&str>,
    found: &Found,
    said: &[String],
) -> String {
    let with = with
        .map(|id| format!("?with={}", segment(id)))
        .unwrap_or_default();
    let body = html! {
        (troubles(said))
        @if kernels.is_empty() {
            p { "No kernel is published yet: there is nothing to look up." }
        } @else {
            (form(up, kernels, kernel, q))
        }
        div #results {
            @if let Some(kernel) = kernel {
                p role="status" aria-live="polite" {
                    (counted(found.all, "type")) " of " a href={ (up) "kernels/" (kernel.id) } { (kernel.name) }
                    @if !q.is_empty() { " whose name begins with " strong { (q) } }
                    @if found.all > FOUND { "; the first " (FOUND) " are shown" }
                }
                @if !found.types.is_empty() {
                    table {
                        caption .hidden { "Types" }
                        thead { tr { th scope="col" { "Type" } th scope="col" .number { "Bytes" } th scope="col" { "" } } }
                        tbody { @for ty in &found.types {
                            tr {
                                th scope="row" {
                                    a href={ (up) "kernels/" (kernel.id) "/types/" (ty.class) "/" (segment(&ty.name)) (with) } { (ty.class) " " (ty.name) }
                                }
                                td .number { @if ty.size > 0 { (ty.size) } }
                                td { a href={ (up) "types/" (ty.class) "/" (segment(&ty.name)) } { "all kernels" } }
                            }
                        } }
                    }
                }
            }
        }
    };
    site(up, Part::Types, "Types", &body)
}

/// A definition, or two side by side.
pub fn browse(shown: &Browse) -> String {
    let up = "../../../../";
    let title = format!("{} {}", shown.class, shown.name);
    let here = segment(&shown.name);
    let body = html! {
        p {
            "of kernel " a href={ (up) "kernels/" (shown.kernel.id) } { (shown.kernel.name) } " " (short(&shown.kernel.id))
            " · " a href={ (up) "types/" (shown.class) "/" (here) } { "across all kernels" }
            @if let Some(size) = shown.shown.as_ref().and_then(|s| s.views.first()?.size) { " · " (counted(usize::try_from(size).unwrap_or(0), "byte")) }
        }
        @if !shown.others.is_empty() {
            form .search method="get" {
                label for="with" { "Side by side with" }
                select #with name="with" {
                    option value="" { "no other" }
                    @for k in &shown.others {
                        option value=(k.id) selected[shown.with.as_ref().is_some_and(|(w, _)| w == k)] { (k.name) " " (k.id.chars().take(12).collect::<String>()) }
                    }
                }
                button { "Compare" }
            }
        }
        @match (&shown.shown, &shown.with) {
            (None, None) => p .no { "This kernel has no " (shown.class) " " (shown.name) "." },
            (Some(one), None) => {
                @for (n, view) in one.views.iter().enumerate() {
                    @if n > 0 { p { "Another type of the same name:" } }
                    (definition(view, &links(up, &shown.kernel, one)))
                }
                (users(up, &shown.kernel, one))
            }
            (one, Some((other, two))) => (side_by_side(up, (&shown.kernel, one.as_ref()), (other, two.as_ref()))),
        }
    };
    site(up, Part::Types, &title, &body)
}

/// Where the names in a text lead.
type Links = HashMap<crate::btf::TypeId, String>;

fn links(up: &str, kernel: &Kernel, shown: &Shown) -> Links {
    let url = |(class, name): &(Class, String)| {
        format!("{up}kernels/{}/types/{class}/{}", kernel.id, segment(name))
    };
    shown.links.iter().map(|(id, to)| (*id, url(to))).collect()
}

fn definition(view: &View, links: &Links) -> Markup {
    html! {
        div .scroll tabindex="0" role="region" aria-label="Definition" {
            table .code {
                caption .hidden { "Definition with offsets and sizes in bytes" }
                thead { tr { th scope="col" { "C" } th scope="col" .number { "Offset" } th scope="col" .number { "Size" } } }
                tbody { @for line in &view.lines { (row(line, links)) } }
            }
        }
        @if view.truncated { p { "… and more than is shown here." } }
    }
}

fn row(line: &Line, links: &Links) -> Markup {
    html! {
        tr .note[matches!(line.what, What::Hole(..) | What::CacheLine(_))] {
            td { (text(line, links)) }
            @match &line.what {
                What::Member(_, place) => { td .number { (offset(place)) } td .number { (size(place)) } }
                What::Enumerator(_, value) => { td .number { (value) } td {} }
                _ => { td {} td {} }
            }
        }
    }
}

fn text(line: &Line, links: &Links) -> Markup {
    html! {
        span class={ "in-" (line.depth.min(12)) } {
            @match &line.what {
                What::Text(spans) | What::Member(spans, _) => @for span in spans { (linked(span, links)) },
                What::Enumerator(name, _) => { (name) "," },
                What::Hole(bytes, bits) => { "/* hole: " (amount(*bytes, *bits)) " */" },
                What::CacheLine(n) => { "/* cache line " (n) " */" },
            }
        }
    }
}

fn linked(span: &Span, links: &Links) -> Markup {
    match span.names.and_then(|id| links.get(&id)) {
        Some(url) => html! { a href=(url) { (span.text) } },
        None => html! { (span.text) },
    }
}

fn amount(bytes: u64, bits: u64) -> String {
    match (bytes, bits) {
        (0, bits) => counted(usize::try_from(bits).unwrap_or(0), "bit"),
        (n, 0) => counted(usize::try_from(n).unwrap_or(0), "byte"),
        (n, bits) => format!(
            "{} and {}",
            counted(usize::try_from(n).unwrap_or(0), "byte"),
            counted(usize::try_from(bits).unwrap_or(0), "bit")
        ),
    }
}

fn offset(place: &Place) -> String {
    match place.is_bit_field || !place.offset.is_multiple_of(8) {
        true => format!("{}:{}", place.offset / 8, place.offset % 8),
        false => (place.offset / 8).to_string(),
    }
}

fn size(place: &Place) -> String {
    match place.is_bit_field {
        true => format!("{} bit", place.size),
        false => (place.size / 8).to_string(),
    }
}

fn users(up: &str, kernel: &Kernel, shown: &Shown) -> Markup {
    let url = |ty: &Named| {
        format!(
            "{up}kernels/{}/types/{}/{}",
            kernel.id,
            ty.class,
            segment(&ty.name)
        )
    };
    // Functions that are no kfuncs have no page.
    let (types, functions): (Vec<&Named>, Vec<&Named>) =
        shown.users.iter().partition(|ty| ty.class != Class::Kfunc);
    html! {
        section aria-labelledby="users" {
            h2 id="users" { "Where it is used" }
            @if shown.users.is_empty() { p { "Nowhere in this kernel's BTF." } }
            ul .users { @for ty in &types { li { a href=(url(ty)) { (ty.class) " " (ty.name) } } } }
            @if !functions.is_empty() {
                p { "Functions: " (functions.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", ")) }
            }
            @if shown.more_users { p { "… and more." } }
        }
    }
}

/// How a line of one side stands to the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Same,
    Moved,
    Only,
}

fn side_by_side(
    up: &str,
    (one, a): (&Kernel, Option<&Shown>),
    (two, b): (&Kernel, Option<&Shown>),
) -> Markup {
    let none = View {
        class: Class::Struct,
        name: String::new(),
        size: None,
        lines: Vec::new(),
        truncated: false,
    };
    let first = |shown: Option<&Shown>| shown.and_then(|s| s.views.first().cloned());
    let (left, right) = (
        first(a).unwrap_or_else(|| none.clone()),
        first(b).unwrap_or(none),
    );
    let links_of =
        |kernel, shown: Option<&Shown>| shown.map(|s| links(up, kernel, s)).unwrap_or_default();
    let (left_links, right_links) = (links_of(one, a), links_of(two, b));
    let rows = pair(&left.lines, &right.lines);
    let changes = rows
        .iter()
        .filter(|(_, _, mark)| *mark != Mark::Same)
        .count();
    let cell = |line: Option<&Line>, links: &Links| {
        html! {
            @match line {
                None => { td {} td {} }
                Some(line) => {
                    td { (text(line, links)) }
                    td .number { @match &line.what {
                        What::Member(_, place) => (offset(place)),
                        What::Enumerator(_, value) => (value),
                        _ => "",
                    } }
                }
            }
        }
    };
    html! {
        @for (kernel, shown) in [(one, a), (two, b)] {
            @if shown.is_none() { p .no { (kernel.name) " has no such type." } }
        }
        p role="status" {
            @match changes { 0 => "The two are the same.", _ => (counted(changes, "line") + " differ: moved, changed, or in one of them only.") }
        }
        div .scroll tabindex="0" role="region" aria-label="Both definitions" {
            table .code .both {
                caption .hidden { "Both definitions, line by line, with offsets in bytes" }
                thead { tr {
                    th scope="col" { (one.name) } th scope="col" .number { "Offset" }
                    th scope="col" { (two.name) } th scope="col" .number { "Offset" }
                    th scope="col" { "" }
                } }
                tbody { @for (l, r, mark) in &rows {
                    tr class=[match mark { Mark::Same => None, Mark::Moved => Some("moved"), Mark::Only => Some("only") }] {
                        (cell(*l, &left_links)) (cell(*r, &right_links))
                        td { @match (mark, l) { (Mark::Same, _) => "", (Mark::Moved, _) => "moved", (_, Some(_)) => "left only", (_, None) => "right only" } }
                    }
                } }
            }
        }
    }
}

/// Lines side by side: what says the same stands in one row. Cache lines are no part of what is compared.
fn pair<'v>(
    left: &'v [Line],
    right: &'v [Line],
) -> Vec<(Option<&'v Line>, Option<&'v Line>, Mark)> {
    let is_told = |line: &&Line| !matches!(line.what, What::CacheLine(_));
    let left: Vec<&Line> = left.iter().filter(is_told).collect();
    let right: Vec<&Line> = right.iter().filter(is_told).collect();
    let keys = |lines: &[&Line]| lines.iter().map(|line| key(line)).collect::<Vec<_>>();
    let ops = capture_diff_slices(Algorithm::Myers, &keys(&left), &keys(&right));
    let mut rows = Vec::new();
    let at = |lines: &[&'v Line], n: usize| lines.get(n).copied();
    for op in ops {
        let (old, new) = (op.old_range(), op.new_range());
        match op {
            DiffOp::Equal { .. } => rows.extend(old.zip(new).map(|(l, r)| {
                let (l, r) = (at(&left, l), at(&right, r));
                let is_same = l.map(|l| &l.what) == r.map(|r| &r.what) || places(l) == places(r);
                (l, r, if is_same { Mark::Same } else { Mark::Moved })
            })),
            _ => {
                rows.extend(old.map(|l| (at(&left, l), None, Mark::Only)));
                rows.extend(new.map(|r| (None, at(&right, r), Mark::Only)));
            }
        }
    }
    rows
}

fn places(line: Option<&Line>) -> Option<(u64, u64)> {
    match line.map(|l| &l.what) {
        Some(What::Member(_, place)) => Some((place.offset, place.size)),
        Some(What::Enumerator(_, value)) => Some((*value as u64, 0)),
        _ => None,
    }
}

/// What a line says, its place left out.
fn key(line: &Line) -> (usize, String) {
    let spans = |spans: &[Span]| spans.iter().map(|s| s.text.as_str()).collect::<String>();
    let text = match &line.what {
        What::Text(text) | What::Member(text, _) => spans(text),
        What::Enumerator(name, _) => name.clone(),
        What::Hole(..) => "hole".to_owned(),
        What::CacheLine(_) => String::new(),
    };
    (line.depth, text)
}

/// A type across all kernels.
pub fn across(shown: &Across) -> String {
    let up = "../../";
    let title = format!("{} {} across kernels", shown.class, shown.name);
    let url = |kernel: &Kernel| {
        format!(
            "{up}kernels/{}/types/{}/{}",
            kernel.id,
            shown.class,
            segment(&shown.name)
        )
    };
    let first = shown
        .versions
        .first()
        .and_then(|(kernels, _)| kernels.first());
    let body = html! {
        p role="status" {
            @match shown.versions.len() {
                0 => "No kernel that could be looked at has it.",
                1 => "It is the same on every kernel that has it.",
                n => { (n) " versions of it" }
            }
        }
        @if !shown.versions.is_empty() {
            table {
                caption .hidden { "Versions" }
                thead { tr { th scope="col" { "Version" } th scope="col" .number { "Nodes" } th scope="col" { "Kernels" } th scope="col" { "" } } }
                tbody { @for (n, (kernels, nodes)) in shown.versions.iter().enumerate() {
                    tr {
                        th scope="row" { (n + 1) }
                        td .number { @if let Some(nodes) = nodes { (nodes) } }
                        td { @for kernel in kernels { a href=(url(kernel)) { (kernel.name) } " " } }
                        td {
                            @if let (Some(first), Some(this), true) = (first, kernels.first(), n > 0) {
                                a href={ (url(first)) "?with=" (this.id) } { "compare with version 1" }
                            }
                        }
                    }
                } }
            }
        }
        @if !shown.without.0.is_empty() {
            p {
                "Without it: " @for kernel in &shown.without.0 { a href={ (up) "kernels/" (kernel.id) } { (kernel.name) } " " }
                @if let Some(nodes) = shown.without.1 { "(" (counted(nodes, "node")) ")" }
            }
        }
        @for (kernel, why) in &shown.failed { p .no { (kernel.name) ": " (why) } }
        p { a href={ (up) "types" } { "Look up another type" } }
    };
    site(up, Part::Types, &title, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, offset: u64) -> Line {
        Line {
            depth: 1,
            what: What::Member(
                vec![Span {
                    text: format!("int {name};"),
                    names: None,
                }],
                Place {
                    offset: offset * 8,
                    size: 32,
                    is_bit_field: false,
                },
            ),
        }
    }

    #[test]
    fn lines_that_say_the_same_stand_side_by_side() {
        let left = [member("a", 0), member("b", 4), member("c", 8)];
        let right = [member("a", 0), member("x", 4), member("c", 12)];
        let marks: Vec<_> = pair(&left, &right)
            .into_iter()
            .map(|(l, r, mark)| (l.is_some(), r.is_some(), mark))
            .collect();
        assert_eq!(
            marks,
            [
                (true, true, Mark::Same),
                (true, false, Mark::Only),
                (false, true, Mark::Only),
                (true, true, Mark::Moved)
            ]
        );
        assert!(
            pair(&left, &left)
                .iter()
                .all(|(_, _, mark)| *mark == Mark::Same)
        );
    }
}
