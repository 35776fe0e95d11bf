//! RBAC gives each account what it needs and not one verb more: the API server's own authorizer says.

use crate::support::servers::kubernetes::{ControlPlane, Version};
use crate::support::servers::manifests;
use serde_json::json;

const VERBS: [&str; 8] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
];

/// Group, resource (with its subresource), namespace, name.
const OBJECTS: [(&str, &str, &str, &str); 22] = [
    ("", "nodes", "", ""),
    ("", "nodes/status", "", ""),
    ("", "nodes/proxy", "", ""),
    ("", "namespaces", "", "kube-system"),
    ("", "namespaces", "", "default"),
    ("", "events", "default", ""),
    ("", "events", "btfleet", ""),
    ("events.k8s.io", "events", "default", ""),
    ("events.k8s.io", "events", "kube-system", ""),
    ("btfleet.dev", "kernelheaders", "", ""),
    ("btfleet.dev", "kernelheaders/status", "", ""),
    ("coordination.k8s.io", "leases", "btfleet", ""),
    ("coordination.k8s.io", "leases", "kube-node-lease", ""),
    ("", "secrets", "btfleet", ""),
    ("", "secrets", "btfleet", "btfleet-store-root"),
    ("", "secrets", "btfleet", "another"),
    ("apps", "daemonsets", "btfleet", "btfleet-agent"),
    ("apps", "daemonsets", "btfleet", "another"),
    ("", "secrets", "kube-system", ""),
    ("", "pods", "btfleet", ""),
    ("", "serviceaccounts/token", "btfleet", ""),
    (
        "admissionregistration.k8s.io",
        "validatingadmissionpolicies",
        "",
        "",
    ),
];

/// What each may do of all that, a line an object.
const MAY: &str = "
agent        nodes                                get patch
agent        namespaces kube-system               get
agent        events default                       create patch
agent        events.k8s.io/events default         create patch
controller   nodes                                list watch
controller   namespaces kube-system               get
controller   events default                       create patch
controller   events.k8s.io/events default         create patch
controller   btfleet.dev/kernelheaders            get list watch create update patch delete
controller   btfleet.dev/kernelheaders/status     get update patch
controller   coordination.k8s.io/leases btfleet   get create update patch
server       nodes                                get list watch
server       btfleet.dev/kernelheaders            get list watch
cleanup      nodes                                list patch
cleanup      namespaces kube-system               get
cleanup      secrets btfleet btfleet-store-root   delete
cleanup      apps/daemonsets btfleet btfleet-agent get delete
store-init   secrets btfleet                      create
store-init   secrets btfleet btfleet-store-root   get create
store-init   secrets btfleet another              create
";

#[test]
fn each_account_may_what_it_needs_and_nothing_else() {
    let plane = ControlPlane::start(Version::Newest);
    let admin = plane.admin();
    let namespace = json!({"metadata": {"name": "btfleet"}});
    admin.post("/api/v1/namespaces", &namespace).success();
    admin.apply(&manifests::accounts());
    let may = |account: &str, (group, resource, namespace, name), verb: &str| {
        let (resource, subresource) = resource_and_sub(resource);
        let review = json!({"spec": {
            "user": format!("system:serviceaccount:btfleet:btfleet-{account}"),
            "groups": ["system:serviceaccounts", "system:serviceaccounts:btfleet", "system:authenticated"],
            "resourceAttributes": {
                "group": group, "resource": resource, "subresource": subresource,
                "namespace": namespace, "name": name, "verb": verb,
            },
        }});
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        admin.post(path, &review).success()["status"]["allowed"] == true
    };
    // The authorizer learns the last object of the file from a watch.
    let began = std::time::Instant::now();
    while !may("cleanup", OBJECTS[0], "patch") {
        assert!(began.elapsed().as_secs() < 30, "RBAC never took effect");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let mut found = String::from("\n");
    for account in ["agent", "controller", "server", "cleanup", "store-init"] {
        for object in OBJECTS {
            let verbs: Vec<&str> = VERBS
                .into_iter()
                .filter(|v| may(account, object, v))
                .collect();
            if !verbs.is_empty() {
                let (group, resource, namespace, name) = object;
                let slash = if group.is_empty() { "" } else { "/" };
                let space = if namespace.is_empty() || name.is_empty() {
                    ""
                } else {
                    " "
                };
                let what = format!("{group}{slash}{resource} {namespace}{space}{name}");
                found += &format!(
                    "{account:<12} {:<36} {}\n",
                    what.trim_end(),
                    verbs.join(" ")
                );
            }
        }
    }
    assert_eq!(found, MAY);

    // What the role view takes up, which the controller manager does: see the end-to-end test.
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let label = "rbac.authorization.k8s.io%2Faggregate-to-view%3Dtrue";
    let aggregated = admin
        .get(&format!("{roles}?labelSelector={label}"))
        .success();
    let rules = aggregated["items"].as_array().unwrap().iter();
    let rules: Vec<_> = rules
        .flat_map(|role| role["rules"].as_array().unwrap())
        .collect();
    let ours = |rule: &&&serde_json::Value| rule["apiGroups"] == json!(["btfleet.dev"]);
    let ours: Vec<_> = rules.iter().filter(ours).collect();
    let sees = json!({"apiGroups": ["btfleet.dev"], "resources": ["kernelheaders"], "verbs": ["get", "list", "watch"]});
    assert_eq!(ours, [&&sees]);
}

fn resource_and_sub(resource: &str) -> (&str, &str) {
    resource.split_once('/').unwrap_or((resource, ""))
}
