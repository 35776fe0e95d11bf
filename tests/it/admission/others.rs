//! Everybody else: they cannot set our keys, and are not hindered otherwise.

use super::bed::{Who, published};
use super::row::{Expect, Request, Row, applied, request};
use crate::support::servers::api::{APPLY, JSON, JSON_PATCH, MERGE, STRATEGIC};
use serde_json::{Value, json};

const KEYS: Expect = Expect::Policy(
    403,
    "btfleet-keys",
    "btfleet.dev keys are written by btfleet's agent on that node; removing them is allowed",
);

pub fn rows() -> Vec<Row> {
    let mut rows = setting();
    rows.extend(creating());
    rows.extend(unhindered());
    rows.extend(without_rights());
    rows
}

fn patch(path: &str, kind: &'static str, body: Value) -> Request {
    request("PATCH", &format!("/api/v1/nodes/{path}"), kind, body)
}

fn status(value: impl Into<Value>) -> Value {
    json!({"metadata": {"annotations": {"btfleet.dev/status": value.into()}}})
}

fn label(value: impl Into<Value>) -> Value {
    json!({"metadata": {"labels": {"btfleet.dev/kernel": value.into()}}})
}

fn setting() -> Vec<Row> {
    let step = json!([{"op": "replace", "path": "/metadata/annotations/btfleet.dev~1status", "value": "NoBTF"}]);
    let mut rows: Vec<Row> = [
        (
            "our status by merge patch",
            patch("a", MERGE, status("NoBTF")),
        ),
        (
            "our status by strategic patch",
            patch("a", STRATEGIC, status("NoBTF")),
        ),
        ("our status by JSON patch", patch("a", JSON_PATCH, step)),
        (
            "our status by apply patch",
            patch(
                "a?fieldManager=me&force=true",
                APPLY,
                applied("a", status("NoBTF")),
            ),
        ),
        (
            "our status under our manager's name",
            patch("a?fieldManager=btfleet-agent", MERGE, status("NoBTF")),
        ),
        (
            "our status through /status",
            patch("a/status", MERGE, status("NoBTF")),
        ),
        ("our label", patch("a", MERGE, label("x"))),
        (
            "our label through /status",
            patch("a/status", STRATEGIC, label("x")),
        ),
        (
            "our keys on a node without any",
            patch("b", MERGE, published()),
        ),
    ]
    .into_iter()
    .map(|(name, request)| Row::new(name, Who::Patcher, request, KEYS))
    .collect();
    for key in published()["metadata"]["annotations"]
        .as_object()
        .unwrap()
        .keys()
    {
        let body = json!({"metadata": {"annotations": {key: "other"}}});
        rows.push(Row::new(key, Who::Patcher, patch("a", MERGE, body), KEYS));
    }
    for who in [Who::KubeletA, Who::ClusterAdmin] {
        rows.push(Row::new(
            "our status",
            who,
            patch("a", MERGE, status("NoBTF")),
            KEYS,
        ));
        rows.push(Row::new(
            "our label through /status",
            who,
            patch("a/status", MERGE, label("x")),
            KEYS,
        ));
    }
    rows
}

/// A kubelet that registers its node brings the labels of --node-labels.
fn creating() -> Vec<Row> {
    let new = |name: &str, metadata: Value| {
        let mut body = json!({"metadata": {"name": name}});
        let metadata = metadata["metadata"].as_object().unwrap().clone();
        body["metadata"].as_object_mut().unwrap().extend(metadata);
        request("POST", "/api/v1/nodes", JSON, body)
    };
    let plain = json!({"metadata": {"labels": {"example.com/pool": "green"}}});
    let gone = request("DELETE", "/api/v1/nodes/a", JSON, Value::Null);
    let by_kubelet = |name: &str, metadata, expect| {
        Row::new(name, Who::KubeletA, new("a", metadata), expect).before(gone.clone())
    };
    vec![
        by_kubelet(
            "registers without our keys",
            plain.clone(),
            Expect::Accepted,
        )
        .then("/metadata/labels/example.com~1pool", json!("green")),
        by_kubelet("registers with our label", label("x"), KEYS),
        by_kubelet("registers with our annotation", status("Ready"), KEYS),
        Row::new(
            "a new Node with our keys",
            Who::ClusterAdmin,
            new("c", published()),
            KEYS,
        ),
        Row::new(
            "a new Node",
            Who::ClusterAdmin,
            new("c", plain),
            Expect::Accepted,
        ),
        Row::new(
            "a new Node with our keys",
            Who::Masters,
            new("c", published()),
            Expect::Accepted,
        ),
    ]
}

fn unhindered() -> Vec<Row> {
    let allow = |name: &str, who, request| Row::new(name, who, request, Expect::Accepted);
    let theirs = json!({"metadata": {"labels": {"example.com/pool": "green"}}});
    let ready =
        json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "x"}]}});
    let cordon = json!({"spec": {"unschedulable": true}});
    let status_at = "/metadata/annotations/btfleet.dev~1status";
    let mut rows = vec![
        allow(
            "its status",
            Who::KubeletA,
            patch("a/status", STRATEGIC, ready),
        ),
        allow(
            "a label of its own",
            Who::KubeletA,
            patch("a", STRATEGIC, theirs.clone()),
        )
        .then("/metadata/labels/example.com~1pool", json!("green"))
        .then(status_at, json!("Ready")),
        Row::new(
            "a label on A",
            Who::KubeletB,
            patch("a", STRATEGIC, theirs.clone()),
            Expect::NodeRestriction,
        ),
        allow("another label", Who::Patcher, patch("a", MERGE, theirs))
            .then(status_at, json!("Ready")),
        allow("cordon", Who::ClusterAdmin, patch("a", MERGE, cordon))
            .then("/spec/unschedulable", json!(true)),
        allow(
            "DELETE",
            Who::ClusterAdmin,
            request("DELETE", "/api/v1/nodes/a", JSON, Value::Null),
        ),
        allow(
            "our status, the glass broken",
            Who::Masters,
            patch("a", MERGE, status("mine")),
        )
        .then(status_at, json!("mine")),
    ];
    for who in [Who::Patcher, Who::KubeletA, Who::ClusterAdmin] {
        let row = allow(
            "removes our status",
            who,
            patch("a", MERGE, status(Value::Null)),
        );
        rows.push(row.then(status_at, Value::Null));
    }
    let whole = |node: &Value| request("PUT", "/api/v1/nodes/a", JSON, node.clone());
    rows.push(Row::of(
        "PUT of what is there",
        Who::ClusterAdmin,
        whole,
        Expect::Accepted,
    ));
    rows
}

fn without_rights() -> Vec<Row> {
    let theirs = json!({"metadata": {"labels": {"example.com/pool": "green"}}});
    let mut rows = Vec::new();
    for who in [Who::Controller, Who::Serve] {
        rows.push(Row::new(
            "any patch",
            who,
            patch("a", MERGE, theirs.clone()),
            Expect::Rbac,
        ));
        rows.push(Row::new(
            "our status",
            who,
            patch("a", MERGE, status("NoBTF")),
            Expect::Rbac,
        ));
        rows.push(Row::new(
            "removing our status",
            who,
            patch("a", MERGE, status(Value::Null)),
            Expect::Rbac,
        ));
        rows.push(Row::new(
            "/status",
            who,
            patch("a/status", MERGE, theirs.clone()),
            Expect::Rbac,
        ));
    }
    rows
}
