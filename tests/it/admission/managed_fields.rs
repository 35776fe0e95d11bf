//! The agent and managedFields: who owns a field decides what that owner's next apply removes or refuses.

use super::bed::{Who, published};
use super::row::{A, Expect, Request, Row, json_patch, merge, request};
use crate::support::servers::api::{APPLY, MERGE};
use serde_json::{Value, json};

const POLICY: &str = "btfleet-agent-own-node";
const CHANGED: &str = "managedFields: an entry would change by more than btfleet's keys";
const REMOVED: &str =
    "managedFields: an entry would be removed that names more than btfleet's keys";
const MANAGER: &str = "managedFields: use fieldManager=btfleet-agent";

pub fn rows() -> Vec<Row> {
    let mut rows = managers();
    rows.extend(entries());
    rows
}

fn managers() -> Vec<Row> {
    let a = "/api/v1/nodes/a";
    let merge_as = |query: &str| request("PATCH", &format!("{a}{query}"), MERGE, published());
    let apply_as = |manager: &str| {
        let mut body = super::row::applied("a", published());
        body["metadata"]["labels"]["example.com/rack"] = json!("7"); // what the operator applied
        request(
            "PATCH",
            &format!("{a}?force=true&fieldManager={manager}"),
            APPLY,
            body,
        )
    };
    [
        ("no field manager", merge_as("")),
        ("kubelet's name", merge_as("?fieldManager=kubelet")),
        ("a name of its own", merge_as("?fieldManager=me")),
        ("apply as the operator", apply_as("operator")),
    ]
    .into_iter()
    .map(|(name, request)| {
        Row::new(
            name,
            Who::Agent,
            request,
            Expect::Policy(403, POLICY, MANAGER),
        )
    })
    .collect()
}

/// A patch that sets managedFields to those that are there, changed.
fn rewrite(change: fn(&mut Vec<Value>)) -> impl Fn(&Value) -> Request {
    move |node| {
        let mut entries = node["metadata"]["managedFields"]
            .as_array()
            .unwrap()
            .clone();
        change(&mut entries);
        let mut body = published();
        body["metadata"]["annotations"]["btfleet.dev/status"] = json!("NoBTF");
        body["metadata"]["managedFields"] = json!(entries);
        merge(body)
    }
}

fn of<'a>(entries: &'a mut [Value], manager: &str) -> &'a mut Value {
    let found = entries.iter_mut().find(|e| e["manager"] == manager);
    found.expect("the bed's nodes have such an entry")
}

fn entry(manager: &str, operation: &str, fields: Value) -> Value {
    json!({
        "manager": manager, "operation": operation, "apiVersion": "v1",
        "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields,
    })
}

fn entries() -> Vec<Row> {
    let refused = |part| Expect::Policy(403, POLICY, part);
    let row = |name: &str, expect, change| Row::of(name, Who::Agent, rewrite(change), expect);
    let emptied = merge(json!({"metadata": {"managedFields": [{}]}}));
    let removed =
        json_patch(json!([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]));
    let guarded = {
        let metadata =
            json!({"finalizers": ["example.com/guard"], "labels": {"example.com/g": "1"}});
        let path = "/api/v1/nodes/a?fieldManager=guard";
        request("PATCH", path, MERGE, json!({"metadata": metadata}))
    };
    let mut rows = vec![
        Row::new("emptied", Who::Agent, emptied, refused(REMOVED)),
        Row::new(
            "emptied by JSON patch",
            Who::Agent,
            removed,
            refused(REMOVED),
        ),
        row("as they were", Expect::Accepted, |_| ()),
        row("a new manager", refused(CHANGED), |entries| {
            let fields = json!({"f:metadata": {"f:labels": {"f:example.com/pool": {}}}});
            entries.push(entry("me", "Update", fields));
        }),
        row(
            "a new manager by the name of the merged ones",
            refused(CHANGED),
            |entries| {
                let fields = json!({"f:spec": {"f:taints": {}}});
                entries.push(entry("ancient-changes", "Update", fields));
            },
        ),
        row("an entry removed", refused(REMOVED), |entries| {
            entries.retain(|e| e["manager"] != "operator");
        }),
        // The operator's next apply, which does not list them, would then remove them.
        row(
            "the operator owns taints and a label more",
            refused(CHANGED),
            |entries| {
                let operator = &mut of(entries, "operator")["fieldsV1"];
                operator["f:spec"] = json!({"f:taints": {}});
            },
        ),
        row(
            "the operator owns a label more",
            refused(CHANGED),
            |entries| {
                let operator = &mut of(entries, "operator")["fieldsV1"];
                operator["f:metadata"]["f:labels"]["f:example.com/pool"] = json!({});
            },
        ),
        row(
            "the operator owns a key of ours",
            refused(CHANGED),
            |entries| {
                let operator = &mut of(entries, "operator")["fieldsV1"];
                operator["f:metadata"]["f:annotations"]["f:btfleet.dev/generator"] = json!({});
            },
        ),
        row(
            "the operator owns a finalizer",
            refused(CHANGED),
            |entries| {
                let operator = &mut of(entries, "operator")["fieldsV1"];
                operator["f:metadata"]["f:finalizers"] = json!({"v:\"x\"": {}});
            },
        ),
        row(
            "the operator owns another label instead",
            refused(CHANGED),
            |entries| {
                let operator = &mut of(entries, "operator")["fieldsV1"];
                operator["f:metadata"]["f:labels"] = json!({"f:example.com/pool": {}});
            },
        ),
        row("kubelet owns less", refused(CHANGED), |entries| {
            let kubelet = &mut of(entries, "kubelet")["fieldsV1"];
            kubelet["f:spec"]
                .as_object_mut()
                .unwrap()
                .remove("f:taints");
        }),
        row("kubelet owns a label less", refused(CHANGED), |entries| {
            let kubelet = &mut of(entries, "kubelet")["fieldsV1"]["f:metadata"]["f:labels"];
            let labels = kubelet.as_object_mut().unwrap();
            labels.remove("f:example.com/pool").unwrap();
        }),
        row(
            "the guard owns its finalizer no more",
            refused(CHANGED),
            |entries| {
                let guard = &mut of(entries, "guard")["fieldsV1"]["f:metadata"];
                guard
                    .as_object_mut()
                    .unwrap()
                    .remove("f:finalizers")
                    .unwrap();
            },
        )
        .before(guarded),
        row(
            "kubelet's update is an apply",
            refused(CHANGED),
            |entries| {
                of(entries, "kubelet")["operation"] = json!("Apply");
            },
        ),
        row("kubelet's time is another", refused(CHANGED), |entries| {
            of(entries, "kubelet")["time"] = json!("2020-01-01T00:00:00Z");
        }),
        row("it owns a label of others", refused(CHANGED), |entries| {
            let own = &mut of(entries, "btfleet-agent")["fieldsV1"];
            own["f:metadata"]["f:labels"]["f:example.com/pool"] = json!({});
        }),
        row("it owns the taints", refused(CHANGED), |entries| {
            of(entries, "btfleet-agent")["fieldsV1"]["f:spec"] = json!({"f:taints": {}});
        }),
        row(
            "it applies a label of others",
            refused(CHANGED),
            |entries| {
                let fields = json!({"f:metadata": {"f:labels": {"f:example.com/pool": {}}}});
                entries.push(entry("btfleet-agent", "Apply", fields));
            },
        ),
        row("many entries of its name", refused(CHANGED), |entries| {
            let mut more = of(entries, "btfleet-agent").clone();
            more["subresource"] = json!("status");
            entries.push(more);
        }),
    ];
    let co_owner = json!({"metadata": {"labels": {"example.com/pool": "blue"}}});
    rows.push(Row::new(
        "applying a label of others as it is",
        Who::Agent,
        super::row::apply(co_owner),
        refused(CHANGED),
    ));
    // Emptied by an administrator, they stay so.
    rows.push(
        Row::new(
            "none to begin with",
            Who::Agent,
            merge(published()),
            Expect::Accepted,
        )
        .before(request(
            "PATCH",
            A,
            MERGE,
            json!({"metadata": {"managedFields": [{}]}}),
        )),
    );
    rows
}
