//! Alerts and dashboard ask for metrics that there are, and each alert has its page.

use crate::support::chart::{folder, objects, render};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn repository(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// Metrics by name, each with the labels that docs/operations.md gives it; a test of the documents compares that with
/// what the processes have.
fn metrics() -> Vec<(String, String)> {
    let doc = repository("docs/operations.md");
    let row = |line: &str| {
        let name = line.strip_prefix("| `btfleet_")?.split('`').next()?;
        Some((format!("btfleet_{name}"), line.to_owned()))
    };
    doc.lines().filter_map(row).collect()
}

/// The names of metrics in a query.
fn asked(query: &str) -> BTreeSet<&str> {
    let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("btfleet_")).collect()
}

#[track_caller]
fn check(query: &str, metrics: &[(String, String)]) {
    let names = asked(query);
    assert!(!names.is_empty(), "{query} asks for nothing of ours");
    let mut rows = String::new();
    for name in names {
        let plain = name.strip_suffix("_bucket").unwrap_or(name);
        let found = metrics.iter().find(|(known, _)| known == plain);
        let (_, row) = found.unwrap_or_else(|| panic!("there is no metric {name}: {query}"));
        rows += row;
    }
    // Labels that are selected or summed by, and the values that are selected.
    for group in query.split("by (").skip(1) {
        for label in group.split(')').next().unwrap().split(',') {
            let label = label.trim();
            let known = label == "le" || rows.contains(&format!("`{label}`"));
            assert!(known, "no label {label}: {query}");
        }
    }
    for selector in query.split('{').skip(1) {
        let selector = selector.split('}').next().unwrap();
        let (label, values) = selector.split_once('=').unwrap();
        assert!(
            rows.contains(&format!("`{label}`")),
            "no label {label}: {query}"
        );
        for value in values.trim_start_matches('~').trim_matches('"').split('|') {
            assert!(
                rows.contains(&format!("`{value}`")),
                "no {label} {value}: {query}"
            );
        }
    }
}

fn alerts() -> Vec<Value> {
    let flags = ["--set=metrics.rules.enabled=true"];
    let all = objects(&render("btfleet", "btfleet", &flags));
    let rule = all.iter().find(|o| o["kind"] == "PrometheusRule").unwrap();
    let rules = rule.pointer("/spec/groups/0/rules").unwrap();
    rules.as_array().unwrap().clone()
}

#[test]
fn every_alert_asks_for_metrics_that_there_are_and_has_a_section_that_says_what_to_do() {
    let (metrics, page) = (metrics(), repository("docs/alerts.md"));
    let alerts = alerts();
    assert!(alerts.len() >= 6);
    let mut sections: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    for alert in &alerts {
        check(alert["expr"].as_str().unwrap(), &metrics);
        let name = alert["alert"].as_str().unwrap();
        assert!(sections.remove(name), "docs/alerts.md: no section {name}");
        let book = alert["annotations"]["runbook_url"].as_str().unwrap();
        let end = format!("/docs/alerts.md#{}", name.to_lowercase());
        assert!(book.ends_with(&end), "{book}");
    }
    assert!(sections.is_empty(), "no such alerts: {sections:?}");
}

#[test]
fn every_query_of_the_dashboard_asks_for_metrics_that_there_are() {
    let metrics = metrics();
    let text = fs::read_to_string(folder().join("files/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut queries = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            check(target["expr"].as_str().unwrap(), &metrics);
            queries += 1;
        }
    }
    assert!(queries > 15, "{queries}");
    // And it reaches the cluster as it is.
    let flags = ["--set=metrics.dashboard.enabled=true"];
    let all = objects(&render("btfleet", "btfleet", &flags));
    let map = all.iter().find(|o| o["kind"] == "ConfigMap").unwrap();
    let sent: Value = serde_json::from_str(map["data"]["btfleet.json"].as_str().unwrap()).unwrap();
    assert_eq!(sent, dashboard);
}

#[test]
fn without_policies_there_is_no_alert_about_them() {
    let flags = ["--set=metrics.rules.enabled=true,admissionPolicies.enabled=false"];
    let text = render("btfleet", "btfleet", &flags);
    assert!(text.contains("BtfleetNoLeader") && !text.contains("BtfleetPolicyAbsent"));
}
