//! The first page: how the fleet stands.

use super::model::{Attention, KernelRow};
use super::{Part, bar, bytes, counted, short, site, troubles};
use crate::cluster::State;
use maud::html;
use std::collections::BTreeMap;

/// Kernels that the chart tells apart.
const SHARES: usize = 7;

/// What the page shows.
#[derive(Debug)]
pub struct Overview {
    /// Where the store is.
    pub store: String,
    /// Nodes in each state; `None` without a cluster.
    pub states: Option<BTreeMap<&'static str, usize>>,
    /// The kernels, those that most nodes run first.
    pub kernels: Vec<KernelRow>,
    /// What to look at.
    pub attention: Vec<Attention>,
    /// Bytes and uploads that sharing saved.
    pub saved: (u64, usize),
    /// What does not answer.
    pub troubles: Vec<String>,
}

/// The page.
pub fn overview(shown: &Overview) -> String {
    let nodes: usize = shown.states.iter().flat_map(BTreeMap::values).sum();
    let in_use = shown.kernels.iter().filter(|k| k.nodes.unwrap_or(0) > 0);
    let mut shares: Vec<(String, usize)> = in_use
        .clone()
        .take(SHARES)
        .map(|k| (name(k), k.nodes.unwrap_or(0)))
        .collect();
    let rest: usize = in_use.clone().skip(SHARES).filter_map(|k| k.nodes).sum();
    if rest > 0 {
        shares.push(("other kernels".to_owned(), rest));
    }
    let body = html! {
        (troubles(&shown.troubles))
        @match &shown.states {
            None => p { "No cluster is known here: this server reads a store alone." },
            Some(_) if nodes == 0 => p { "The cluster has no nodes yet. As soon as one joins, its agent says which kernel it runs." },
            Some(states) => {
                section aria-labelledby="nodes" {
                    h2 id="nodes" { "Nodes" }
                    ul .cards {
                        @for word in State::WORDS {
                            li { a href={ "nodes?status=" (word) } {
                                strong { (states.get(word).copied().unwrap_or(0)) } " " (word)
                            } }
                        }
                    }
                }
                section aria-labelledby="attention" {
                    h2 id="attention" { "What needs attention" }
                    @if shown.attention.is_empty() {
                        p { "Nothing: every node is Ready, every kernel in use is verified." }
                    } @else {
                        ul .attention {
                            @for it in &shown.attention {
                                li {
                                    a href=(it.url) { strong { (counted(it.count, it.of)) } " · " (it.what) }
                                    p { (it.advice) }
                                }
                            }
                        }
                    }
                }
            }
        }
        section aria-labelledby="kernels" {
            h2 id="kernels" { "Kernels" }
            p {
                (counted(shown.kernels.len(), "distinct kernel"))
                @if shown.states.is_some() { ", " (in_use.clone().count()) " of them in use" }
                " · store " code { (shown.store) }
            }
            @if shown.saved.1 > 0 {
                p { "Sharing saved " strong { (bytes(shown.saved.0)) } " (uncompressed) in " (counted(shown.saved.1, "upload")) "." }
            }
            @if shares.is_empty() {
                @if shown.kernels.is_empty() { p { "No kernel is published yet." } }
            } @else {
                (bar(&shares))
                table {
                    caption { "Share of the nodes that are Ready" }
                    thead { tr { th scope="col" { "" } th scope="col" { "Kernel" } th scope="col" .number { "Nodes" } } }
                    tbody {
                        @for (n, (name, count)) in shares.iter().enumerate() {
                            tr {
                                td { svg .swatch viewBox="0 0 1 1" aria-hidden="true" { rect class={ "share share-" (n % 8) } width="1" height="1" {} } }
                                td {
                                    @match shown.kernels.get(n).filter(|_| n < SHARES) {
                                        Some(k) => { a href={ "kernels/" (k.id) } { (name) } " " (short(&k.id.to_string())) }
                                        None => (name),
                                    }
                                }
                                td .number { (count) }
                            }
                        }
                    }
                }
            }
        }
    };
    site("", Part::Overview, "The fleet", &body)
}

fn name(kernel: &KernelRow) -> String {
    let (first, more) = (
        kernel.names.iter().next(),
        kernel.names.len().saturating_sub(1),
    );
    match (first, more) {
        (None, _) => "a kernel without a name".to_owned(),
        (Some(name), 0) => name.clone(),
        (Some(name), more) => format!("{name} +{more}"),
    }
}
