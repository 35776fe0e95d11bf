//! Who may write what: manifests/rbac.yaml and manifests/policies.yaml on real API servers, row by row.
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

use crate::support::servers::kubernetes::Version;
use bed::Bed;
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

fn every_row_holds(version: Version) {
    let bed = Bed::new(version);
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
    every_row_holds(Version::Oldest);
}

#[test]
fn every_row_holds_on_the_newest_kubernetes() {
    every_row_holds(Version::Newest);
}

/// A row that would pass whatever happens proves nothing.
#[test]
fn without_the_policies_every_row_that_a_policy_refuses_fails() {
    let bed = Bed::without_policies(Version::Newest);
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
        serde_saphyr::from_multiple(&bed::manifest("policies.yaml")).unwrap();
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
