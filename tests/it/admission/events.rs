//! The agent and Events.

use super::bed::Who;
use super::row::{Expect, Request, Row, request};
use crate::support::servers::api::{JSON, MERGE};
use serde_json::{Value, json};

const REFUSED: Expect = Expect::Policy(
    403,
    "btfleet-agent-own-events",
    "an agent's Events are about its own Node",
);

fn about(kind: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "name": name})
}

/// Of events.k8s.io/v1.
fn new(namespace: &str, about: Value) -> Request {
    let body = json!({
        "metadata": {"generateName": "e-", "namespace": namespace},
        "regarding": about, "reason": "Published", "action": "Publish", "type": "Normal",
        "note": "published", "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "btfleet.dev/agent", "reportingInstance": "agent-a",
    });
    let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
    request("POST", &path, JSON, body)
}

/// Of the core API.
fn core(about: Value) -> Request {
    let body = json!({
        "metadata": {"generateName": "e-", "namespace": "default"},
        "involvedObject": about, "reason": "Published", "type": "Normal", "message": "published",
    });
    request("POST", "/api/v1/namespaces/default/events", JSON, body)
}

pub fn rows() -> Vec<Row> {
    let row = |name: &str, request, expect| Row::new(name, Who::Agent, request, expect);
    let mut nobody = new("default", Value::Null);
    nobody.body.as_object_mut().unwrap().remove("regarding");
    let mut rows = vec![
        row(
            "an Event about its own Node",
            new("default", about("Node", "a")),
            Expect::Accepted,
        ),
        row(
            "the same by the core API",
            core(about("Node", "a")),
            Expect::Accepted,
        ),
        row(
            "an Event about B",
            new("default", about("Node", "b")),
            REFUSED,
        ),
        row(
            "an Event about B by the core API",
            core(about("Node", "b")),
            REFUSED,
        ),
        row(
            "an Event about no object",
            nobody,
            Expect::Policy(403, "btfleet-agent-own-events", ""),
        ),
        row(
            "a pod that is called like the node",
            core(about("Pod", "a")),
            REFUSED,
        ),
        row(
            "another API's kind of the same name",
            new(
                "default",
                json!({"apiVersion": "example.com/v1", "kind": "Node", "name": "a"}),
            ),
            REFUSED,
        ),
        row(
            "in another namespace",
            new("kube-system", about("Node", "a")),
            Expect::Rbac,
        ),
    ];
    for who in [Who::AgentWithoutPod, Who::AgentWithoutNode] {
        let event = new("default", about("Node", "a"));
        rows.push(Row::new(
            "an Event by a token that names no node",
            who,
            event,
            REFUSED,
        ));
    }
    rows.extend(changes());
    rows
}

/// Patches of an Event that is there already. Each has one of its own: rows leave their Events behind.
fn changes() -> Vec<Row> {
    let cases = [
        (
            "another count of its own Event",
            "own",
            about("Node", "a"),
            json!({"message": "again"}),
            Expect::Accepted,
        ),
        (
            "an Event about B that is there",
            "b",
            about("Node", "b"),
            json!({"message": "x"}),
            REFUSED,
        ),
        (
            "an Event about a pod called like the node",
            "pod",
            about("Pod", "a"),
            json!({"message": "x"}),
            REFUSED,
        ),
        (
            "its own Event turned to B",
            "turned",
            about("Node", "a"),
            json!({"involvedObject": {"name": "b"}}),
            REFUSED,
        ),
        (
            "an Event about B made its own",
            "taken",
            about("Node", "b"),
            json!({"involvedObject": {"name": "a"}}),
            REFUSED,
        ),
    ];
    cases
        .into_iter()
        .map(|(name, id, object, patch, expect)| {
            let event = format!("/api/v1/namespaces/default/events/{id}");
            let mut there = core(object);
            there.method = "PUT"; // makes it, or puts it back
            there.path = event.clone();
            there.body["metadata"] = json!({"name": id, "namespace": "default"});
            let change = request(
                "PATCH",
                &format!("{event}?fieldManager=btfleet-agent"),
                MERGE,
                patch,
            );
            Row::new(name, Who::Agent, change, expect).before(there)
        })
        .collect()
}
