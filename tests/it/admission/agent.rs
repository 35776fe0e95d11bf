//! The agent and Nodes.

use super::bed::{DIGEST, KERNEL, Who, published};
use super::row::{A, Expect, Request, Row, applied, apply, json_patch, merge, request, strategic};
use crate::support::servers::api::{APPLY, JSON, JSON_PATCH, MERGE, STRATEGIC};
use serde_json::{Value, json};

const POLICY: &str = "btfleet-agent-own-node";
const OTHER: &str = "sha256:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";
const OTHER_KERNEL: &str = "ffeeddccbbaa99887766554433221100";
const DIGEST_AT: &str = "/metadata/annotations/btfleet.dev~1btf-digest";
const STATUS_AT: &str = "/metadata/annotations/btfleet.dev~1status";
const KERNEL_AT: &str = "/metadata/labels/btfleet.dev~1kernel";

pub fn rows() -> Vec<Row> {
    let mut rows = allowed();
    rows.extend(of_another_node());
    rows.extend(not_our_keys());
    rows.extend(not_a_patch());
    rows.extend(malformed());
    rows
}

fn allow(name: &str, request: Request) -> Row {
    Row::new(name, Who::Agent, request, Expect::Accepted)
}

fn refuse(name: &str, part: &'static str, request: Request) -> Row {
    Row::new(name, Who::Agent, request, Expect::Policy(403, POLICY, part))
}

/// Another kernel's keys: a node after its upgrade.
fn upgraded() -> Value {
    let mut body = published();
    body["metadata"]["annotations"]["btfleet.dev/btf-digest"] = json!(OTHER);
    body["metadata"]["labels"]["btfleet.dev/kernel"] = json!(OTHER_KERNEL);
    body
}

fn annotation(key: &str, value: impl Into<Value>) -> Value {
    json!({"metadata": {"annotations": {key: value.into()}}})
}

fn label(key: &str, value: impl Into<Value>) -> Value {
    json!({"metadata": {"labels": {key: value.into()}}})
}

/// What `kubectl edit` of an administrator does.
fn by_hand(body: Value) -> Request {
    request(
        "PATCH",
        "/api/v1/nodes/a?fieldManager=kubectl-edit",
        MERGE,
        body,
    )
}

fn allowed() -> Vec<Row> {
    let steps = json!([
        {"op": "replace", "path": DIGEST_AT, "value": OTHER},
        {"op": "add", "path": KERNEL_AT, "value": OTHER_KERNEL},
    ]);
    let dropped = json!({"metadata": {
        "annotations": {
            "btfleet.dev/btf-digest": null, "btfleet.dev/header-digest": null,
            "btfleet.dev/generator": null, "btfleet.dev/status": "NoBTF",
        },
        "labels": {"btfleet.dev/kernel": null},
    }});
    let mut nothing = published();
    for map in ["annotations", "labels"] {
        for (_, value) in nothing["metadata"][map].as_object_mut().unwrap() {
            value.take();
        }
    }
    let owned_by_kubectl = |body| {
        let path = "/api/v1/nodes/a?fieldManager=kubectl&force=true";
        request("PATCH", path, APPLY, applied("a", body))
    };
    let mut rows = vec![
        allow("our keys by merge patch", merge(upgraded())).then(DIGEST_AT, json!(OTHER)),
        allow("our keys by strategic patch", strategic(upgraded())).then(DIGEST_AT, json!(OTHER)),
        allow("our keys by JSON patch", json_patch(steps)).then(DIGEST_AT, json!(OTHER)),
        allow("our keys by apply patch", apply(upgraded())).then(KERNEL_AT, json!(OTHER_KERNEL)),
        allow("the same once more", merge(published())).then(DIGEST_AT, json!(DIGEST)),
        allow("dropping digests and label", merge(dropped))
            .then(DIGEST_AT, Value::Null)
            .then(KERNEL_AT, Value::Null)
            .then(STATUS_AT, json!("NoBTF")),
        allow("dropping every key", merge(nothing.clone())).then(STATUS_AT, Value::Null),
        allow("the first keys of a node without any", merge(published()))
            .before(request("PATCH", "/api/v1/nodes/a", MERGE, nothing.clone()))
            .then(KERNEL_AT, json!(KERNEL)),
        allow("repairing a hand edit", merge(published()))
            .before(by_hand(annotation("btfleet.dev/status", "as I like it")))
            .before(by_hand(label("btfleet.dev/kernel", "mine")))
            .before(by_hand(annotation("btfleet.dev/btf-digest", Value::Null)))
            .then(STATUS_AT, json!("Ready"))
            .then(DIGEST_AT, json!(DIGEST))
            .then(KERNEL_AT, json!(KERNEL)),
        allow("repairing what kubectl apply wrote", merge(published()))
            .before(owned_by_kubectl(annotation("btfleet.dev/status", "mine")))
            .then(STATUS_AT, json!("Ready")),
        Row::of(
            "with the Node's own uid",
            Who::Agent,
            |node| {
                let mut body = upgraded();
                body["metadata"]["uid"] = node["metadata"]["uid"].clone();
                merge(body)
            },
            Expect::Accepted,
        )
        .then(DIGEST_AT, json!(OTHER)),
        allow(
            "status through the main resource, without effect",
            merge(json!({"status": {"phase": "Running", "nodeInfo": {"bootID": "x"}}})),
        )
        .then("/status/phase", Value::Null),
        allow(
            "an Error that says why",
            merge(annotation(
                "btfleet.dev/status",
                "Error: type 7 at 0x1c: bad",
            )),
        )
        .then(STATUS_AT, json!("Error: type 7 at 0x1c: bad")),
    ];
    // The agent is the eleventh then, and the API server merges the oldest two into one. The names come before ours
    // in the alphabet, which decides between two of the same second.
    let mut crowded = allow("on a node that ten others update", merge(upgraded())).before(request(
        "PATCH",
        "/api/v1/nodes/a",
        MERGE,
        nothing,
    ));
    for i in 0..10 {
        let path = format!("/api/v1/nodes/a?fieldManager=an-updater-{i}");
        let body = label(&format!("example.com/updater-{i}"), "1");
        crowded = crowded.before(request("PATCH", &path, MERGE, body));
    }
    rows.push(crowded.then(DIGEST_AT, json!(OTHER)));
    // Node feature discovery and its like write hundreds. The policies must still be within CEL's cost limits.
    let many: serde_json::Map<String, Value> = (0..400)
        .map(|i| (format!("feature.example.com/cpu-{i}"), json!("true")))
        .collect();
    let features = json!({"metadata": {"labels": many, "annotations": many}});
    let path = "/api/v1/nodes/a?fieldManager=feature-discovery";
    rows.push(
        allow(
            "on a node with hundreds of labels and annotations",
            merge(upgraded()),
        )
        .before(request("PATCH", path, MERGE, features))
        .then(DIGEST_AT, json!(OTHER)),
    );
    let borrowed = request("PATCH", A, MERGE, annotation("example.com/theirs", "1"));
    rows.push(
        allow(
            "although somebody used our manager's name for a key of theirs",
            merge(upgraded()),
        )
        .before(borrowed)
        .then(DIGEST_AT, json!(OTHER)),
    );
    rows
}

fn of_another_node() -> Vec<Row> {
    const B: &str = "/api/v1/nodes/b?fieldManager=btfleet-agent";
    let steps = json!([{"op": "add", "path": STATUS_AT, "value": "Ready"}]);
    let not_for = "this token is for node a, not for b";
    let mut rows = vec![
        refuse(
            "B by merge patch",
            not_for,
            request("PATCH", B, MERGE, published()),
        ),
        refuse(
            "B by strategic patch",
            not_for,
            request("PATCH", B, STRATEGIC, published()),
        ),
        refuse(
            "B by JSON patch",
            not_for,
            request("PATCH", B, JSON_PATCH, steps),
        ),
        refuse(
            "B by apply patch",
            not_for,
            request(
                "PATCH",
                &format!("{B}&force=true"),
                APPLY,
                applied("b", published()),
            ),
        ),
        refuse(
            "B, changing nothing",
            not_for,
            request("PATCH", B, MERGE, json!({})),
        ),
    ];
    let without_claim = Expect::Policy(
        403,
        POLICY,
        "this token is for node <no node-name claim>, not for a",
    );
    for who in [Who::AgentWithoutPod, Who::AgentWithoutNode] {
        rows.push(Row::new(
            "its token names no node",
            who,
            merge(upgraded()),
            without_claim,
        ));
    }
    rows
}

fn not_our_keys() -> Vec<Row> {
    const ANNOTATION: &str = "an annotation that is not btfleet's would change";
    const LABEL: &str = "a label that is not btfleet's would change";
    const METADATA: &str = "finalizers, ownerReferences or generateName would change";
    const SPEC: &str = "spec or status would change";
    let owner = json!([{"apiVersion": "v1", "kind": "Namespace", "name": "btfleet", "uid": "1"}]);
    let remove = |path: &str| json_patch(json!([{"op": "remove", "path": path}]));
    let taint = json!([{"key": "example.com/gpu", "effect": "NoExecute"}]);
    vec![
        refuse(
            "a new annotation",
            ANNOTATION,
            merge(annotation("example.com/x", "1")),
        ),
        refuse(
            "a new annotation by strategic patch",
            ANNOTATION,
            strategic(annotation("example.com/x", "1")),
        ),
        refuse(
            "a new annotation by apply patch",
            ANNOTATION,
            apply(annotation("example.com/x", "1")),
        ),
        refuse(
            "another annotation's value",
            ANNOTATION,
            merge(annotation("example.com/note", "other")),
        ),
        refuse(
            "another annotation under btfleet.dev/",
            ANNOTATION,
            merge(annotation("btfleet.dev/pin", "x")),
        ),
        refuse(
            "our label's name as an annotation",
            ANNOTATION,
            merge(annotation("btfleet.dev/kernel", KERNEL)),
        ),
        refuse(
            "removing somebody else's annotation",
            ANNOTATION,
            merge(annotation("example.com/note", Value::Null)),
        ),
        refuse(
            "removing somebody else's annotation by JSON patch",
            ANNOTATION,
            remove("/metadata/annotations/example.com~1note"),
        ),
        refuse(
            "nulling all annotations",
            ANNOTATION,
            merge(json!({"metadata": {"annotations": null}})),
        ),
        refuse("a new label", LABEL, merge(label("example.com/x", "1"))),
        refuse(
            "a new label by apply patch",
            LABEL,
            apply(label("example.com/x", "1")),
        ),
        refuse(
            "a node role",
            LABEL,
            merge(label("node-role.kubernetes.io/control-plane", "")),
        ),
        refuse(
            "another label's value",
            LABEL,
            merge(label("kubernetes.io/hostname", "b")),
        ),
        refuse(
            "another label under btfleet.dev/",
            LABEL,
            merge(label("btfleet.dev/status", "Ready")),
        ),
        refuse(
            "removing somebody else's label",
            LABEL,
            merge(label("example.com/pool", Value::Null)),
        ),
        refuse(
            "removing somebody else's label by JSON patch",
            LABEL,
            remove("/metadata/labels/example.com~1pool"),
        ),
        refuse(
            "nulling all labels",
            LABEL,
            merge(json!({"metadata": {"labels": null}})),
        ),
        refuse(
            "nulling all labels by strategic patch",
            LABEL,
            strategic(json!({"metadata": {"labels": null}})),
        ),
        refuse(
            "replacing all labels by strategic patch",
            LABEL,
            strategic(json!({"metadata": {"labels": {
                "$patch": "replace", "btfleet.dev/kernel": KERNEL,
            }}})),
        ),
        refuse(
            "a finalizer",
            METADATA,
            merge(json!({"metadata": {"finalizers": ["example.com/x"]}})),
        ),
        refuse(
            "an owner",
            METADATA,
            merge(json!({"metadata": {"ownerReferences": owner}})),
        ),
        refuse(
            "generateName",
            METADATA,
            merge(json!({"metadata": {"generateName": "a-"}})),
        ),
        refuse(
            "unschedulable",
            SPEC,
            merge(json!({"spec": {"unschedulable": true}})),
        ),
        refuse(
            "unschedulable by apply patch",
            SPEC,
            apply(json!({"spec": {"unschedulable": true}})),
        ),
        refuse(
            "removing the taints",
            SPEC,
            merge(json!({"spec": {"taints": null}})),
        ),
        refuse(
            "another taint by merge patch",
            SPEC,
            merge(json!({"spec": {"taints": taint}})),
        ),
        refuse(
            "another taint by strategic patch",
            SPEC,
            strategic(json!({"spec": {"taints": taint}})),
        ),
        refuse(
            "another taint by apply patch",
            SPEC,
            apply(json!({"spec": {"taints": taint}})),
        ),
        refuse("one change of theirs among ours", ANNOTATION, {
            let mut body = upgraded();
            body["metadata"]["annotations"]["example.com/note"] = json!("other");
            merge(body)
        }),
    ]
}

fn not_a_patch() -> Vec<Row> {
    const ONLY: &str = "only a PATCH of the Node itself";
    let status = json!({"status": {"phase": "Running"}});
    let at = |path: &str| format!("/api/v1/nodes{path}fieldManager=btfleet-agent");
    let new = |name: &str| json!({"metadata": {"name": name}});
    let patch_status = |kind, body| request("PATCH", &at("/a/status?"), kind, body);
    let rows = [
        (
            "/status by merge patch",
            patch_status(MERGE, status.clone()),
        ),
        ("our keys through /status", patch_status(MERGE, published())),
        (
            "/status by strategic patch",
            patch_status(STRATEGIC, status.clone()),
        ),
        (
            "/status by apply patch",
            patch_status(APPLY, applied("a", status)),
        ),
        (
            "DELETE of its own Node",
            request("DELETE", &at("/a?"), JSON, Value::Null),
        ),
        (
            "DELETE of B",
            request("DELETE", &at("/b?"), JSON, Value::Null),
        ),
        (
            "DELETE of all Nodes",
            request("DELETE", &at("?"), JSON, Value::Null),
        ),
        ("a new Node", request("POST", &at("?"), JSON, new("c"))),
        (
            "a new Node by apply",
            request(
                "PATCH",
                &at("/c?force=true&"),
                APPLY,
                applied("c", json!({"metadata": {}})),
            ),
        ),
        (
            "its kubelet through the API server",
            request("GET", &at("/a/proxy/pods?"), JSON, Value::Null),
        ),
    ];
    let mut rows: Vec<Row> = rows
        .into_iter()
        .map(|(name, request)| refuse(name, ONLY, request).shipped(Expect::Rbac))
        .collect();
    // To a policy PUT and PATCH are both UPDATE: what differs is refused, the rest is RBAC's.
    let put = |change: fn(&mut Value)| {
        move |node: &Value| {
            let mut node = node.clone();
            change(&mut node);
            request("PUT", A, JSON, node)
        }
    };
    let labelled = put(|node| node["metadata"]["labels"]["example.com/x"] = json!("1"));
    let part = "a label that is not btfleet's would change";
    let refused = Expect::Policy(403, POLICY, part);
    rows.push(Row::of("PUT with a new label", Who::Agent, labelled, refused).shipped(Expect::Rbac));
    let ours = put(|node| node["metadata"]["annotations"]["btfleet.dev/status"] = json!("NoBTF"));
    rows.push(
        Row::of("PUT with our keys", Who::Agent, ours, Expect::Accepted).shipped(Expect::Rbac),
    );
    rows
}

fn malformed() -> Vec<Row> {
    let invalid = Expect::Policy(422, POLICY, "a btfleet value is malformed");
    let row = |name: &str, body| Row::new(name, Who::Agent, merge(body), invalid);
    let values = [
        ("btfleet.dev/btf-digest", json!("sha256:0011")),
        ("btfleet.dev/btf-digest", json!(format!("{DIGEST}\n"))),
        ("btfleet.dev/btf-digest", json!(DIGEST.to_uppercase())),
        (
            "btfleet.dev/header-digest",
            json!(DIGEST.replace("sha256", "sha512")),
        ),
        ("btfleet.dev/header-digest", json!("")),
        ("btfleet.dev/generator", json!("0")),
        ("btfleet.dev/generator", json!("1000000")),
        ("btfleet.dev/generator", json!("-1")),
        ("btfleet.dev/kernel-release", json!("6.1 or so")),
        ("btfleet.dev/kernel-release", json!("6.1/../x")),
        ("btfleet.dev/kernel-release", json!("x".repeat(65))),
        (
            "btfleet.dev/boot-id",
            json!("0F0E0D0C-0B0A-0908-0706-050403020100"),
        ),
        ("btfleet.dev/boot-id", json!("0f0e0d0c")),
        ("btfleet.dev/status", json!("ready")),
        ("btfleet.dev/status", json!("Error: ")),
        ("btfleet.dev/status", json!("Error: a\nb")),
        ("btfleet.dev/status", json!("Error: <b>\u{e9}</b>")),
        (
            "btfleet.dev/status",
            json!(format!("Error: {}", "x".repeat(201))),
        ),
    ];
    let mut rows: Vec<Row> = values
        .into_iter()
        .map(|(key, value)| row(&format!("{key} of {value}"), annotation(key, value)))
        .collect();
    rows.extend([
        row(
            "a label that is not the digest's",
            label("btfleet.dev/kernel", OTHER_KERNEL),
        ),
        row(
            "a digest that is not the label's",
            annotation("btfleet.dev/btf-digest", OTHER),
        ),
        row(
            "a label without a digest",
            annotation("btfleet.dev/btf-digest", Value::Null),
        ),
        row(
            "a digest without a label",
            label("btfleet.dev/kernel", Value::Null),
        ),
    ]);
    let uid = json!({"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}});
    rows.push(Row::new(
        "a wrong uid",
        Who::Agent,
        merge(uid),
        Expect::Server(422, "uid"),
    ));
    rows
}
