//! Who may write what: the accounts and policies of an installation on real API servers, row by row.
//!
//! Each row says which guard refuses, not only that something does; and the whole table runs twice, the second time
//! with every verb on Nodes granted, so that RBAC cannot stand in for a policy that does not hold.

mod agent;
mod bed;
mod cleanup;
mod events;
mod managed_fields;
mod others;
mod rbac;
mod row;

use crate::support::chart;
use crate::support::servers::kubernetes::Version;
use crate::support::servers::manifests;
use bed::{Bed, Installation};
use row::{Grant, Row};

fn rows() -> Vec<Row> {
    let parts = [
        agent::rows(),
        managed_fields::rows(),
        events::rows(),
        others::rows(),
        cleanup::rows(),
    ];
    parts.into_iter().flatten().collect()
}

fn every_row_holds(version: Version, installed: Installation) {
    let bed = Bed::new(version, installed);
    let mut failures = Vec::new();
    let rows = rows();
    for grant in [Grant::Shipped, Grant::EveryVerbOnNodes] {
        bed.grant(grant);
        for row in &rows {
            if let Err(why) = row.check(&bed, grant) {
                failures.push(format!("{grant:?}: {}: {why}", row.name));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} rows on {version:?}:\n{}",
        failures.len(),
        2 * rows.len(),
        failures.join("\n")
    );
}

#[test]
fn every_row_holds_on_the_oldest_kubernetes() {
    every_row_holds(Version::Oldest, Installation::shipped());
}

#[test]
fn every_row_holds_on_the_newest_kubernetes() {
    every_row_holds(Version::Newest, Installation::shipped());
}

/// Names come from the release.
#[test]
fn every_row_holds_of_a_release_of_another_name_in_another_namespace() {
    let installed = Installation {
        namespace: "kernels",
        name: "fleet2-btfleet",
        yaml: chart::render("fleet2", "kernels", &[]),
    };
    every_row_holds(Version::Newest, installed);
}

/// A row that would pass whatever happens proves nothing.
#[test]
fn without_the_policies_every_row_that_a_policy_refuses_fails() {
    let bed = Bed::without_policies(Version::Newest, Installation::shipped());
    bed.grant(Grant::EveryVerbOnNodes);
    let mut passed = Vec::new();
    for row in rows() {
        if row.is_refused_by_a_policy(Grant::EveryVerbOnNodes)
            && row.check(&bed, Grant::EveryVerbOnNodes).is_ok()
        {
            passed.push(row.name);
        }
    }
    assert!(passed.is_empty(), "{passed:?}");
}

#[test]
fn every_validation_of_every_policy_has_a_row() {
    let objects: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(&manifests::policies()).unwrap();
    let rows = rows();
    let mut validations = 0;
    for policy in objects
        .iter()
        .filter(|o| o["spec"]["validations"].is_array())
    {
        let name = policy["metadata"]["name"].as_str().unwrap();
        for validation in policy["spec"]["validations"].as_array().unwrap() {
            validations += 1;
            let message = validation["message"].as_str();
            // The one with a messageExpression names the node.
            let message = message.unwrap_or("this token is for node a, not for b");
            let found = rows.iter().any(|row| row.is_refused_by(name, message));
            assert!(found, "{name}: no row is refused with {message:?}");
        }
    }
    assert!(validations > 15, "{validations}");
}
