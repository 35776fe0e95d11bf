//! The account that cleans up: it takes our keys away and does nothing else.

use super::bed::{DIGEST, Who, published};
use super::row::{Expect, Request, Row, applied, request};
use crate::support::servers::api::{APPLY, JSON, JSON_PATCH, MERGE, STRATEGIC};
use serde_json::{Value, json};

const POLICY: &str = "btfleet-cleanup";
const A: &str = "/api/v1/nodes/a?fieldManager=btfleet-cleanup";

fn merge(body: Value) -> Request {
    request("PATCH", A, MERGE, body)
}

fn removal() -> Value {
    let mut body = published();
    for map in ["annotations", "labels"] {
        for (_, value) in body["metadata"][map].as_object_mut().unwrap() {
            value.take();
        }
    }
    body
}

pub fn rows() -> Vec<Row> {
    let allow = |name: &str, request| Row::new(name, Who::Cleanup, request, Expect::Accepted);
    let gone = |row: Row| {
        row.then("/metadata/annotations/btfleet.dev~1status", Value::Null)
            .then("/metadata/annotations/btfleet.dev~1btf-digest", Value::Null)
            .then("/metadata/labels/btfleet.dev~1kernel", Value::Null)
    };
    let steps: Vec<Value> = ["annotations", "labels"]
        .iter()
        .flat_map(|map| {
            let keys = published()["metadata"][map].as_object().unwrap().clone();
            keys.into_iter().map(move |(key, _)| {
                let key = key.replace('/', "~1");
                json!({"op": "remove", "path": format!("/metadata/{map}/{key}")})
            })
        })
        .collect();
    let by_hand = request(
        "PATCH",
        "/api/v1/nodes/a?fieldManager=kubectl-edit",
        MERGE,
        json!({"metadata": {"annotations": {"btfleet.dev/status": "mine", "example.com/mine": "1"}}}),
    );
    let mut rows = vec![
        gone(allow("all our keys by merge patch", merge(removal()))),
        gone(allow(
            "all our keys by strategic patch",
            request("PATCH", A, STRATEGIC, removal()),
        )),
        gone(allow(
            "all our keys by JSON patch",
            request("PATCH", A, JSON_PATCH, json!(steps)),
        )),
        gone(allow(
            "under any manager's name",
            request("PATCH", "/api/v1/nodes/a", MERGE, removal()),
        )),
        gone(allow("a key that was edited by hand", merge(removal())).before(by_hand)),
        allow(
            "one key",
            merge(json!({"metadata": {"labels": {"btfleet.dev/kernel": null}}})),
        )
        .then(
            "/metadata/annotations/btfleet.dev~1btf-digest",
            json!(DIGEST),
        ),
    ];
    rows.extend(refused());
    rows.extend(not_a_patch());
    rows
}

fn refused() -> Vec<Row> {
    const KEYS: &str = "this account only removes btfleet's annotations and label";
    const CHANGED: &str = "managedFields: an entry would change by more than btfleet's keys";
    const REMOVED: &str =
        "managedFields: an entry would be removed that names more than btfleet's keys";
    let row = |name: &str, part, body| {
        Row::new(
            name,
            Who::Cleanup,
            merge(body),
            Expect::Policy(403, POLICY, part),
        )
    };
    let annotation = |key: &str, value: Value| json!({"metadata": {"annotations": {key: value}}});
    let label = |key: &str, value: Value| json!({"metadata": {"labels": {key: value}}});
    let with_theirs = {
        let mut body = removal();
        body["metadata"]["annotations"]["example.com/note"] = Value::Null;
        body
    };
    let mut rows = vec![
        row(
            "somebody else's annotation",
            KEYS,
            annotation("example.com/note", Value::Null),
        ),
        row(
            "somebody else's label",
            KEYS,
            label("example.com/pool", Value::Null),
        ),
        row("theirs with ours", KEYS, with_theirs),
        row(
            "all annotations",
            KEYS,
            json!({"metadata": {"annotations": null}}),
        ),
        row("all labels", KEYS, json!({"metadata": {"labels": null}})),
        row(
            "a new annotation",
            KEYS,
            annotation("btfleet.dev/x", json!("1")),
        ),
        row("a new label", KEYS, label("example.com/x", json!("1"))),
        row(
            "a finalizer",
            "finalizers, ownerReferences or generateName would change",
            json!({"metadata": {"finalizers": ["example.com/x"]}}),
        ),
        row(
            "the taints",
            "spec or status would change",
            json!({"spec": {"taints": null}}),
        ),
        row(
            "managedFields emptied",
            REMOVED,
            json!({"metadata": {"managedFields": [{}]}}),
        ),
    ];
    for (name, body) in [
        (
            "setting our status",
            annotation("btfleet.dev/status", json!("NoBTF")),
        ),
        ("setting our label", label("btfleet.dev/kernel", json!("x"))),
    ] {
        let either = [
            (POLICY, KEYS),
            ("btfleet-keys", "btfleet.dev keys are written by"),
        ];
        let expect = Expect::EitherPolicy(403, either);
        rows.push(Row::new(name, Who::Cleanup, merge(body), expect));
    }
    let owning = applied("a", label("example.com/pool", json!("blue")));
    rows.push(Row::new(
        "applying somebody else's label as it is",
        Who::Cleanup,
        request("PATCH", A, APPLY, owning),
        Expect::Policy(403, POLICY, CHANGED),
    ));
    rows.push(Row::of(
        "the operator owns the taints",
        Who::Cleanup,
        |node| {
            let mut entries = node["metadata"]["managedFields"].clone();
            for entry in entries.as_array_mut().unwrap() {
                if entry["manager"] == "operator" {
                    entry["fieldsV1"]["f:spec"] = json!({"f:taints": {}});
                }
            }
            merge(json!({"metadata": {"managedFields": entries}}))
        },
        Expect::Policy(403, POLICY, CHANGED),
    ));
    rows
}

fn not_a_patch() -> Vec<Row> {
    let status = json!({"status": {"phase": "Running"}});
    let rows = [
        (
            "/status",
            request("PATCH", "/api/v1/nodes/a/status", MERGE, status),
        ),
        (
            "our keys through /status",
            request("PATCH", "/api/v1/nodes/a/status", MERGE, removal()),
        ),
        (
            "DELETE",
            request("DELETE", "/api/v1/nodes/a", JSON, Value::Null),
        ),
        (
            "DELETE of all",
            request("DELETE", "/api/v1/nodes", JSON, Value::Null),
        ),
        (
            "a new Node",
            request(
                "POST",
                "/api/v1/nodes",
                JSON,
                json!({"metadata": {"name": "c"}}),
            ),
        ),
        (
            "its kubelet",
            request("GET", "/api/v1/nodes/a/proxy/pods", JSON, Value::Null),
        ),
    ];
    rows.into_iter()
        .map(|(name, request)| {
            let refused = Expect::Policy(403, POLICY, "only a PATCH of the Node itself");
            Row::new(name, Who::Cleanup, request, refused).shipped(Expect::Rbac)
        })
        .collect()
}
