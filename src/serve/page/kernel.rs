//! One kernel: what is known of it, and how it is pulled.

use super::model::KernelRow;
use super::{Part, bytes, counted, segment, site, troubles};
use crate::artifact::Manifest;
use maud::html;

/// What the page shows.
#[derive(Debug)]
pub struct Detail {
    /// The kernel.
    pub row: KernelRow,
    /// What our generator makes of it, where that could be had.
    pub manifest: Option<Manifest>,
    /// Some of the nodes that run it.
    pub nodes: Vec<String>,
    /// Other kernels, for comparing: id and name.
    pub others: Vec<(String, String)>,
    /// What does not answer.
    pub troubles: Vec<String>,
}

/// The page.
pub fn kernel(shown: &Detail) -> String {
    let row = &shown.row;
    let id = row.id.to_string();
    let api = format!("../v1/kernels/{id}");
    let said = row.said.as_ref();
    let body = html! {
        (troubles(&shown.troubles))
        form .search method="get" action={ (id) "/types" } role="search" {
            label for="q" { "Look up a type" }
            input #q type="search" name="q" placeholder="task_struct" autocomplete="off" maxlength="200";
            button { "Find" }
        }
        dl {
            dt { "Names" } dd { @if row.names.is_empty() { "none" } @else { (row.names.iter().cloned().collect::<Vec<_>>().join(", ")) } }
            dt { "Kernel id" } dd { code { (id) } }
            dt { "BTF digest" } dd { code { (row.btf) } }
            @if let Some(manifest) = &shown.manifest {
                dt { "BTF" } dd { (bytes(manifest.btf_size)) }
                dt { "Header" } dd { (bytes(manifest.header_size)) ", by generator " (manifest.generator) }
                dt { "Header digest" } dd { code { (manifest.header_digest) } }
            }
            @if let Some(n) = row.nodes {
                dt { "Nodes" }
                dd {
                    a href={ "../nodes?kernel=" (id) } { (counted(n, "node")) }
                    @if !shown.nodes.is_empty() { ": " (shown.nodes.join(", ")) @if n > shown.nodes.len() { ", …" } }
                }
            }
            @if let Some(since) = said.and_then(|s| s.first_seen.as_ref()) { dt { "First seen" } dd { time datetime=(since) { (since) } } }
            @if let Some(since) = said.and_then(|s| s.unused_since.as_ref()) { dt { "Unused since" } dd { time datetime=(since) { (since) } } }
            @if let Some(at) = said.and_then(|s| s.verified_at.as_ref()) { dt { "Verified last" } dd { time datetime=(at) { (at) } } }
        }
        @if let Some(said) = said.filter(|s| !s.conditions.is_empty()) {
            section aria-labelledby="verification" {
                h2 id="verification" { "Verification" }
                table {
                    caption .hidden { "Conditions" }
                    thead { tr { th scope="col" { "Condition" } th scope="col" { "Status" } th scope="col" { "Since" } th scope="col" { "Why" } } }
                    tbody { @for c in &said.conditions {
                        tr {
                            th scope="row" { (c.type_) }
                            td { (c.status) }
                            td { time datetime=(c.last_transition_time) { (c.last_transition_time) } }
                            td { (c.reason) ": " (c.message) }
                        }
                    } }
                }
                @if !said.history.is_empty() {
                    table {
                        caption { "What verifications found, the newest first" }
                        thead { tr { th scope="col" { "When" } th scope="col" { "Result" } th scope="col" { "What" } } }
                        tbody { @for past in &said.history {
                            tr { td { time datetime=(past.at) { (past.at) } } td { (past.reason) } td { (past.message) } }
                        } }
                    }
                }
                @if said.headers.len() > 1 {
                    p { "Headers by other generators: " @for h in &said.headers { code { (h.digest) } " (generator " (h.generator) ", " (bytes(u64::try_from(h.size).unwrap_or(0))) ") " } }
                }
            }
        }
        section aria-labelledby="pull" {
            h2 id="pull" { "Pull it" }
            ul {
                li { a href={ (api) "/vmlinux.h" } download="vmlinux.h" { "vmlinux.h" } }
                li { a href={ (api) "/vmlinux.btf" } download="vmlinux.btf" { "vmlinux.btf" } ", for libbpf's btf_custom_path" }
                li { a href={ (api) "/manifest" } { "manifest" } }
            }
            pre tabindex="0" aria-label="Commands" {
                "kubectl btfleet get " (id) " -o vmlinux.h\n"
                "curl -fsS --compressed $BTFLEET/v1/kernels/" (id) "/vmlinux.h -o vmlinux.h"
                @for node in shown.nodes.iter().take(1) {
                    "\n# on the node itself, whatever it runs by then\ncurl -fsS --compressed $BTFLEET/v1/nodes/" (segment(node)) "/vmlinux.h -o vmlinux.h"
                }
            }
        }
        @if !shown.others.is_empty() {
            section aria-labelledby="compare" {
                h2 id="compare" { "Compare a type with another kernel" }
                form .search method="get" action={ (id) "/types" } {
                    label for="type" { "Type" }
                    input #type type="search" name="q" value="struct task_struct" maxlength="200";
                    label for="with" { "with" }
                    select #with name="with" { @for (other, name) in &shown.others { option value=(other) { (name) } } }
                    button { "Compare" }
                }
            }
        }
    };
    let title = match row.names.iter().next() {
        Some(name) => format!("Kernel {name}"),
        None => format!("Kernel {id}"),
    };
    site("../", Part::Kernels, &title, &body)
}
