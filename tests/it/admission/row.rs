//! One row of the table: who asks for what, and who refuses.

use super::bed::{Bed, Who};
use crate::support::servers::api::{APPLY, Answer, JSON, JSON_PATCH, MERGE, STRATEGIC};
use serde_json::{Value, json};

/// What RBAC gives the agent's and the cleanup's account on Nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grant {
    /// As installed.
    Shipped,
    /// That, and every verb on nodes and nodes/*.
    EveryVerbOnNodes,
}

#[derive(Clone)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    pub kind: &'static str,
    pub body: Value,
}

pub fn request(method: &'static str, path: &str, kind: &'static str, body: Value) -> Request {
    Request {
        method,
        path: path.to_owned(),
        kind,
        body,
    }
}

pub const A: &str = "/api/v1/nodes/a?fieldManager=btfleet-agent";

/// Patches of node A as the agent sends them.
pub fn merge(body: Value) -> Request {
    request("PATCH", A, MERGE, body)
}

pub fn strategic(body: Value) -> Request {
    request("PATCH", A, STRATEGIC, body)
}

pub fn json_patch(body: Value) -> Request {
    request("PATCH", A, JSON_PATCH, body)
}

pub fn apply(body: Value) -> Request {
    request(
        "PATCH",
        &format!("{A}&force=true"),
        APPLY,
        applied("a", body),
    )
}

/// An apply patch's body must say what it is.
pub fn applied(node: &str, mut body: Value) -> Value {
    body["apiVersion"] = json!("v1");
    body["kind"] = json!("Node");
    body["metadata"]["name"] = json!(node);
    body
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    Accepted,
    /// Status, policy, part of its message.
    Policy(u16, &'static str, &'static str),
    /// Two policies refuse, and the API server names one of them, now this and now that.
    EitherPolicy(u16, [(&'static str, &'static str); 2]),
    Rbac,
    NodeRestriction,
    /// The API server's own validation; part of its message.
    Server(u16, &'static str),
}

type Make = Box<dyn Fn(&Value) -> Request>;

pub struct Row {
    pub name: String,
    who: Who,
    /// What an administrator of system:masters does to the published Node first.
    before: Vec<Request>,
    /// Sees the Node as it then is.
    make: Make,
    shipped: Expect,
    granted: Expect,
    /// Where in the Node, and what must be there afterwards (null: nothing).
    effect: Vec<(&'static str, Value)>,
}

impl Row {
    pub fn new(name: &str, who: Who, request: Request, expect: Expect) -> Self {
        Row {
            name: format!("{who:?}: {name}"),
            who,
            before: Vec::new(),
            make: Box::new(move |_| request.clone()),
            shipped: expect,
            granted: expect,
            effect: Vec::new(),
        }
    }

    /// A request that depends on the Node as it is.
    pub fn of(
        name: &str,
        who: Who,
        make: impl Fn(&Value) -> Request + 'static,
        expect: Expect,
    ) -> Self {
        let unused = request("GET", "/", JSON, Value::Null);
        Row {
            make: Box::new(make),
            ..Row::new(name, who, unused, expect)
        }
    }

    /// The shipped RBAC does not let it come so far.
    pub fn shipped(mut self, expect: Expect) -> Self {
        self.shipped = expect;
        self
    }

    pub fn before(mut self, request: Request) -> Self {
        self.before.push(request);
        self
    }

    pub fn then(mut self, pointer: &'static str, value: Value) -> Self {
        self.effect.push((pointer, value));
        self
    }

    pub fn is_refused_by_a_policy(&self, grant: Grant) -> bool {
        use Expect::{EitherPolicy, Policy};
        matches!(self.expected(grant), Policy(..) | EitherPolicy(..))
    }

    /// By that policy's validation with that message.
    pub fn is_refused_by(&self, policy: &str, message: &str) -> bool {
        matches!(self.granted, Expect::Policy(_, by, part) if by == policy && !part.is_empty() && message.contains(part))
    }

    fn expected(&self, grant: Grant) -> Expect {
        match grant {
            Grant::Shipped => self.shipped,
            Grant::EveryVerbOnNodes => self.granted,
        }
    }

    pub fn check(&self, bed: &Bed, grant: Grant) -> Result<(), String> {
        bed.fresh_nodes();
        for step in &self.before {
            let done = bed.send(Who::Masters, step);
            if done.status >= 300 {
                return Err(format!("before: {} {}", done.status, done.message()));
            }
        }
        let before = bed.node("a");
        let others = bed.node("b");
        let answer = bed.send(self.who, &(self.make)(&before));
        judge(self.expected(grant), &answer, bed.installed.name)?;
        let after = bed.node("a");
        if bed.node("b") != others {
            return Err("node b changed".to_owned());
        }
        if self.expected(grant) != Expect::Accepted {
            return if after == before {
                Ok(())
            } else {
                Err("refused, and yet node a changed".to_owned())
            };
        }
        if self.who.is_ours() && without_our_keys(&after) != without_our_keys(&before) {
            return Err(format!("more than our keys changed:\n{before}\n{after}"));
        }
        for (pointer, value) in &self.effect {
            let found = after.pointer(pointer).unwrap_or(&Value::Null);
            if found != value {
                return Err(format!("{pointer} is {found}, not {value}"));
            }
        }
        Ok(())
    }
}

/// Whether the answer is the one expected; else what it was.
fn judge(expect: Expect, answer: &Answer, installed: &str) -> Result<(), String> {
    let message = answer.message();
    let held = match expect {
        Expect::Accepted => (200..300).contains(&answer.status),
        Expect::Policy(status, policy, part) => {
            answer.status == status && is_denied_by(message, installed, policy, part)
        }
        Expect::EitherPolicy(status, either) => {
            answer.status == status
                && either
                    .iter()
                    .any(|(policy, part)| is_denied_by(message, installed, policy, part))
        }
        // "… is forbidden: User "x" cannot patch resource "nodes" in API group "" at the cluster scope"
        Expect::Rbac => {
            answer.status == 403
                && message.contains("\" cannot ")
                && message.contains(" resource \"")
        }
        Expect::NodeRestriction => {
            answer.status == 403 && message.contains("is not allowed to modify node")
        }
        Expect::Server(status, part) => {
            answer.status == status
                && message.contains(part)
                && !message.contains("ValidatingAdmissionPolicy")
        }
    };
    if held {
        Ok(())
    } else {
        Err(format!(
            "expected {expect:?}, got {} {message}",
            answer.status
        ))
    }
}

/// Policies are named here as in the default install.
fn is_denied_by(message: &str, installed: &str, policy: &str, part: &str) -> bool {
    let policy = policy.replacen("btfleet", installed, 1);
    let denied =
        format!("ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: ");
    message
        .split_once(&denied)
        .is_some_and(|(_, said)| said.contains(part))
}

/// A Node without what the agent may change: our keys, and our keys in managedFields.
fn without_our_keys(node: &Value) -> Value {
    let mut node = node.clone();
    let metadata = &mut node["metadata"];
    metadata["resourceVersion"].take();
    for map in ["annotations", "labels"] {
        drop_ours(&mut metadata[map], "btfleet.dev/");
    }
    if let Some(entries) = metadata["managedFields"].as_array_mut() {
        if entries
            .iter()
            .filter(|e| e["operation"] == "Update")
            .count()
            >= 10
        {
            entries.clear(); // so many that the API server itself merges them
        }
        for entry in entries.iter_mut() {
            for map in ["f:annotations", "f:labels"] {
                if let Some(fields) = entry.pointer_mut(&format!("/fieldsV1/f:metadata/{map}")) {
                    drop_ours(fields, "f:btfleet.dev/");
                }
            }
        }
        // The agent's own, and whatever owned nothing but our keys.
        entries.retain(|entry| {
            let fields = entry["fieldsV1"].as_object().unwrap();
            let maps = entry["fieldsV1"]["f:metadata"].as_object();
            let left = maps.is_some_and(|maps| maps.values().any(|map| *map != json!({})));
            entry["manager"] != "btfleet-agent" && (left || fields.len() > 1)
        });
    }
    node
}

fn drop_ours(map: &mut Value, prefix: &str) {
    if let Some(map) = map.as_object_mut() {
        map.retain(|key, _| !key.starts_with(prefix));
    }
}
