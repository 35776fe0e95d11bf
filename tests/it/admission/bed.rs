//! An API server with the shipped manifests, two nodes, and everybody who asks something of it.

use super::row::{Grant, Request};
use crate::support::servers::api::{Answer, Api, JSON, MERGE};
use crate::support::servers::kubernetes::{ControlPlane, Version};
use crate::support::servers::manifests;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
pub const KERNEL: &str = "00112233445566778899aabbccddeeff";

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Who {
    /// The token of the agent's pod on node A.
    Agent,
    /// The agent's account, with a token bound to no pod.
    AgentWithoutPod,
    /// The agent's account, with the token of a pod that was not scheduled yet.
    AgentWithoutNode,
    Cleanup,
    Controller,
    Serve,
    KubeletA,
    KubeletB,
    /// May patch nodes and nodes/status, and nothing else.
    Patcher,
    /// Has the role cluster-admin, without being of system:masters.
    ClusterAdmin,
    /// Break glass.
    Masters,
}

impl Who {
    /// One of the two that may change nothing but our keys.
    pub fn is_ours(self) -> bool {
        use Who::{Agent, AgentWithoutNode, AgentWithoutPod, Cleanup};
        [Agent, AgentWithoutNode, AgentWithoutPod, Cleanup].contains(&self)
    }
}

/// An installation: where it is, how its objects' names begin, and what it consists of.
pub struct Installation {
    pub namespace: &'static str,
    pub name: &'static str,
    pub yaml: String,
}

impl Installation {
    /// manifests/install.yaml
    pub fn shipped() -> Self {
        Installation {
            namespace: "btfleet",
            name: "btfleet",
            yaml: manifests::install(),
        }
    }
}

pub struct Bed {
    pub plane: ControlPlane,
    pub installed: Installation,
    people: BTreeMap<Who, Api>,
}

impl Bed {
    pub fn new(version: Version, installed: Installation) -> Self {
        let bed = Self::without_policies(version, installed);
        let policies = manifests::policies_of(&bed.installed.yaml);
        bed.plane.admin().apply(&policies);
        bed.wait_for_policies();
        bed
    }

    pub fn without_policies(version: Version, installed: Installation) -> Self {
        let plane = ControlPlane::start(version);
        let admin = plane.admin();
        let namespace = json!({"metadata": {"name": installed.namespace}});
        admin.post("/api/v1/namespaces", &namespace).success();
        admin.apply(&manifests::accounts_of(&installed.yaml));
        admin.apply(PEOPLE);
        for node in ["a", "b"] {
            admin.post("/api/v1/nodes", &node_object(node)).success();
        }
        let people = people(&plane, &installed);
        Bed {
            plane,
            installed,
            people,
        }
    }

    pub fn send(&self, who: Who, request: &Request) -> Answer {
        let body = match &request.body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        self.people[&who].send(request.method, &request.path, request.kind, body)
    }

    pub fn node(&self, name: &str) -> Value {
        let answer = self.plane.admin().get(&format!("/api/v1/nodes/{name}"));
        // Its absence is a state too.
        if answer.status == 404 {
            Value::Null
        } else {
            answer.success()
        }
    }

    pub fn grant(&self, grant: Grant) {
        let admin = self.plane.admin();
        match grant {
            Grant::Shipped => {
                let binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/every-verb";
                let status = admin.delete(binding).status;
                assert!([200, 404].contains(&status));
            }
            Grant::EveryVerbOnNodes => {
                let Installation {
                    name, namespace, ..
                } = self.installed;
                let yaml = EVERY_VERB.replace("NAMESPACE", namespace);
                admin.apply(&yaml.replace("NAME", name));
            }
        }
        // The authorizer learns it from a watch.
        let expected = if grant == Grant::Shipped { 403 } else { 200 };
        wait_until("RBAC took effect", || {
            let listed = [Who::Agent, Who::Cleanup]
                .map(|who| self.people[&who].get("/api/v1/nodes/a/status").status);
            listed == [expected; 2]
        });
    }

    /// Both nodes as new: A with what kubelet, an operator and the agent say of it, B bare.
    pub fn fresh_nodes(&self) {
        let admin = self.plane.admin();
        for node in ["a", "b", "c"] {
            let status = admin
                .delete(&format!("/api/v1/nodes/{node}?gracePeriodSeconds=0"))
                .status;
            if status == 404 {
                continue;
            }
            assert_eq!(status, 200);
            // A row may have left a finalizer, if what it tries was not refused.
            let none = json!({"metadata": {"finalizers": null}});
            admin.patch(&format!("/api/v1/nodes/{node}"), MERGE, &none);
        }
        for node in ["a", "b"] {
            let path = "/api/v1/nodes?fieldManager=kubelet";
            admin.post(path, &node_object(node)).success();
        }
        let status = "/api/v1/nodes/a/status?fieldManager=kubelet";
        admin.patch(status, MERGE, &node_status()).success();
        let label = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "a", "labels": {"example.com/rack": "7"}},
        });
        let operator = "/api/v1/nodes/a?fieldManager=operator";
        let apply = crate::support::servers::api::APPLY;
        admin.patch(operator, apply, &label).success();
        let agent = "/api/v1/nodes/a?fieldManager=btfleet-agent";
        admin.patch(agent, MERGE, &published()).success();
    }

    // The API server compiles policies when its watch brings them, some time after they were written.
    fn wait_for_policies(&self) {
        let event = json!({
            "metadata": {"name": "probe"}, "involvedObject": {"kind": "Node", "name": "b"},
        });
        let ours = json!({"metadata": {"annotations": {"btfleet.dev/status": "Ready"}}});
        let probes = [
            (
                Who::Agent,
                "PATCH",
                "/api/v1/nodes/b?dryRun=All",
                MERGE,
                &ours,
            ),
            (
                Who::Agent,
                "POST",
                "/api/v1/namespaces/default/events?dryRun=All",
                JSON,
                &event,
            ),
            (
                Who::ClusterAdmin,
                "PATCH",
                "/api/v1/nodes/b?dryRun=All",
                MERGE,
                &ours,
            ),
            (
                Who::Cleanup,
                "PATCH",
                "/api/v1/nodes/b?dryRun=All",
                MERGE,
                &ours,
            ),
        ];
        wait_until("all four policies refuse", || {
            probes.iter().all(|(who, method, path, kind, body)| {
                let body = body.to_string().into_bytes();
                self.people[who].send(method, path, kind, body).status == 403
            })
        });
    }
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn people(plane: &ControlPlane, installed: &Installation) -> BTreeMap<Who, Api> {
    let Installation {
        namespace, name, ..
    } = installed;
    let token = |end: &str, bound| {
        let account = format!("{name}-{end}");
        plane.with_token(&plane.token(namespace, &account, bound))
    };
    let scheduled = agent_pod(plane, installed, "agent-a", Some("a"));
    let waiting = agent_pod(plane, installed, "agent-waiting", None);
    BTreeMap::from([
        (Who::Agent, token("agent", Some(scheduled))),
        (Who::AgentWithoutPod, token("agent", None)),
        (Who::AgentWithoutNode, token("agent", Some(waiting))),
        (Who::Cleanup, token("cleanup", None)),
        (Who::Controller, token("controller", None)),
        (Who::Serve, token("server", None)),
        (Who::KubeletA, plane.kubelet("a")),
        (Who::KubeletB, plane.kubelet("b")),
        (Who::Patcher, plane.user("patcher", None)),
        (Who::ClusterAdmin, plane.user("cluster-administrator", None)),
        (Who::Masters, plane.admin()),
    ])
}

/// A pod of the agent's account; the reference that a token is bound to.
fn agent_pod(
    plane: &ControlPlane,
    installed: &Installation,
    name: &str,
    node: Option<&str>,
) -> Value {
    let mut pod = json!({
        "metadata": {"name": name},
        "spec": {
            "serviceAccountName": format!("{}-agent", installed.name),
            "containers": [{"name": "agent", "image": "btfleet"}],
        },
    });
    if let Some(node) = node {
        pod["spec"]["nodeName"] = json!(node);
    }
    let pods = format!("/api/v1/namespaces/{}/pods", installed.namespace);
    let pod = plane.admin().post(&pods, &pod).success();
    json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": pod["metadata"]["uid"]})
}

fn node_object(name: &str) -> Value {
    json!({
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, "example.com/pool": "blue"},
            "annotations": {"example.com/note": "keep"},
        },
        "spec": {
            "podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"],
            "taints": [{"key": "example.com/gpu", "effect": "NoSchedule"}],
        },
    })
}

fn node_status() -> Value {
    let now = "2026-01-01T00:00:00Z";
    let conditions: Vec<Value> = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"]
        .map(|kind| {
            json!({
                "type": kind, "status": if kind == "Ready" { "True" } else { "False" },
                "lastHeartbeatTime": now, "lastTransitionTime": now,
                "reason": "Kubelet", "message": "as kubelet says",
            })
        })
        .into();
    // Real nodes carry up to 50 images of some names each: the bulk of their 15 KB.
    let images: Vec<Value> = (0..50)
        .map(|i| {
            let names =
                [0, 1].map(|n| format!("registry.example.com/team/image-{i}@sha256:{n:064}"));
            json!({"names": names, "sizeBytes": 100_000_000 + i})
        })
        .collect();
    json!({"status": {
        "conditions": conditions,
        "images": images,
        "capacity": {"cpu": "8", "memory": "32Gi", "pods": "110"},
        "allocatable": {"cpu": "8", "memory": "31Gi", "pods": "110"},
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": "a"}],
        "nodeInfo": {
            "architecture": "amd64", "bootID": "0f0e0d0c-0b0a-0908-0706-050403020100",
            "containerRuntimeVersion": "containerd://2.1", "kernelVersion": "6.18.0",
            "kubeProxyVersion": "", "kubeletVersion": "v1.34.4", "machineID": "m",
            "operatingSystem": "linux", "osImage": "Linux", "systemUUID": "u",
        },
    }})
}

/// What the agent writes.
pub fn published() -> Value {
    json!({"metadata": {
        "annotations": {
            "btfleet.dev/btf-digest": DIGEST,
            "btfleet.dev/header-digest": DIGEST,
            "btfleet.dev/generator": "1",
            "btfleet.dev/kernel-release": "6.18.0-1+deb~1_x",
            "btfleet.dev/boot-id": "0f0e0d0c-0b0a-0908-0706-050403020100",
            "btfleet.dev/status": "Ready",
        },
        "labels": {"btfleet.dev/kernel": KERNEL},
    }})
}

const PEOPLE: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: node-patcher}
rules:
- {apiGroups: [""], resources: [nodes, nodes/status], verbs: [patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: node-patcher}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: node-patcher}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: patcher}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: administrator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: cluster-administrator}]
"#;

// RBAC knows no "nodes/*": these are the subresources that the API server serves or asks about.
const EVERY_VERB: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: every-verb}
rules:
- apiGroups: [""]
  resources: [nodes, nodes/status, nodes/proxy, nodes/metrics, nodes/stats, nodes/log, nodes/spec, nodes/configz,
    nodes/healthz, nodes/pods, nodes/checkpoint]
  verbs: ["*"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: every-verb}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: every-verb}
subjects:
- {kind: ServiceAccount, name: NAME-agent, namespace: NAMESPACE}
- {kind: ServiceAccount, name: NAME-cleanup, namespace: NAMESPACE}
"#;
