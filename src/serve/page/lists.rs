//! Tables of nodes and of kernels.

use super::model::{KernelRow, NodeRow};
use super::table::{Page, Query};
use super::{Part, bytes, counted, segment, short, site, troubles};
use crate::cluster::State;
use maud::{Markup, html};

/// The nodes.
pub fn nodes(page: &Page<NodeRow>, query: &Query, said: &[String]) -> String {
    let body = html! {
        (troubles(said))
        (search("nodes", query, "Name, release or kernel", html! {
            (select("status", "Status", query, &State::WORDS))
        }))
        div #results {
            (count(page, "node", query, "nodes"))
            @if page.all == 0 {
                p { "The cluster has no nodes yet, or none is known: see above." }
            } @else {
                table {
                    caption .hidden { "Nodes" }
                    thead { tr {
                        (head("nodes", query, "name", "Node"))
                        (head("nodes", query, "status", "Status"))
                        (head("nodes", query, "kernel", "Kernel"))
                        (head("nodes", query, "release", "Release"))
                        (head("nodes", query, "arch", "Arch"))
                        th scope="col" { "Header" }
                    } }
                    tbody { @for row in &page.rows {
                        tr {
                            th scope="row" { (row.name) }
                            td {
                                span class={ "state state-" (row.record.state.word()) } { (row.record.state.word()) }
                                @let why = row.why();
                                @if !why.is_empty() { " " (why) }
                            }
                            td { @if let Some(id) = row.kernel() { a href={ "kernels/" (id) } { (short(&id.to_string())) } } }
                            td { (row.record.release) }
                            td { (row.record.arch) }
                            td { @if row.kernel().is_some() {
                                a href={ "v1/nodes/" (segment(&row.name)) "/vmlinux.h" } download={ "vmlinux-" (row.name) ".h" } { "vmlinux.h" }
                            } }
                        }
                    } }
                }
            }
            (pages("nodes", page, query))
        }
    };
    site("", Part::Nodes, "Nodes", &body)
}

/// The kernels.
pub fn kernels(page: &Page<KernelRow>, query: &Query, said: &[String]) -> String {
    let body = html! {
        (troubles(said))
        (search("kernels", query, "Release, id or digest", html! {
            (select("verified", "Verified", query, &["yes", "not yet", "BtfMissing", "BtfWrong"]))
        }))
        div #results {
            (count(page, "kernel", query, "kernels"))
            @if page.all == 0 {
                p { "No kernel is published yet." }
            } @else {
                table {
                    caption .hidden { "Kernels" }
                    thead { tr {
                        (head("kernels", query, "kernel", "Kernel"))
                        (head("kernels", query, "names", "Names"))
                        (head("kernels", query, "nodes", "Nodes"))
                        (head("kernels", query, "header", "Header"))
                        (head("kernels", query, "size", "Size"))
                        (head("kernels", query, "verified", "Verified"))
                    } }
                    tbody { @for row in &page.rows {
                        tr {
                            th scope="row" { a href={ "kernels/" (row.id) } { (short(&row.id.to_string())) } }
                            td {
                                @let (names, more) = row.few_names();
                                (names.join(", "))
                                @if more > 0 { " and " (more) " more" }
                            }
                            td .number { @if let Some(n) = row.nodes { (n) } }
                            td { @if let Some((digest, _)) = row.header() { (short(digest)) } }
                            td .number { @if let Some((_, size)) = row.header() { (bytes(u64::try_from(size).unwrap_or(0))) } }
                            td { (row.verified()) }
                        }
                    } }
                }
            }
            (pages("kernels", page, query))
        }
    };
    site("", Part::Kernels, "Kernels", &body)
}

/// The form above a table: what it is searched and filtered by.
fn search(path: &str, query: &Query, hint: &str, more: Markup) -> Markup {
    html! {
        form .search method="get" action=(path) role="search" data-live {
            label for="q" { "Search" }
            input #q type="search" name="q" value=(query.q) placeholder=(hint) autocomplete="off" maxlength="200";
            (more)
            @if !query.sort.is_empty() {
                input type="hidden" name="sort" value={ @if query.is_reversed { "-" } (query.sort) };
            }
            @for (name, value) in query.filters.iter().filter(|(n, _)| n == "kernel" || n == "release" || n == "arch") {
                input type="hidden" name=(name) value=(value);
            }
            button { "Find" }
        }
    }
}

fn select(name: &str, label: &str, query: &Query, values: &[&str]) -> Markup {
    let is = query.filter(name);
    let other = is.filter(|value| !values.contains(value));
    html! {
        label for=(name) { (label) }
        select id=(name) name=(name) {
            option value="" { "any" }
            @for value in values.iter().copied().chain(other) {
                option value=(value) selected[is == Some(value)] { (value) }
            }
        }
    }
}

fn count<R>(page: &Page<R>, one: &str, query: &Query, path: &str) -> Markup {
    html! {
        p role="status" aria-live="polite" {
            @if page.found == page.all { (counted(page.all, one)) }
            @else { (page.found) " of " (counted(page.all, one)) }
            @for (name, value) in &query.filters {
                " · " (name) " is " strong { (value) }
            }
            @if !query.filters.is_empty() || !query.q.is_empty() {
                " · " a href=(path) { "show all" }
            }
        }
    }
}

fn head(path: &str, query: &Query, column: &str, name: &str) -> Markup {
    let sorted = (query.sort == column).then_some(match query.is_reversed {
        true => "descending",
        false => "ascending",
    });
    html! {
        th scope="col" aria-sort=[sorted] {
            a href={ (path) (query.sorted_by(column).url()) } data-live { (name) }
        }
    }
}

fn pages<R>(path: &str, page: &Page<R>, query: &Query) -> Markup {
    html! {
        @if page.pages > 1 {
            nav .pages aria-label="Pages of the table" {
                @if page.page > 1 {
                    a href={ (path) (query.on_page(page.page - 1).url()) } rel="prev" data-live { "Before" }
                }
                span { "Page " (page.page) " of " (page.pages) }
                @if page.page < page.pages {
                    a href={ (path) (query.on_page(page.page + 1).url()) } rel="next" data-live { "Next" }
                }
            }
        }
    }
}
