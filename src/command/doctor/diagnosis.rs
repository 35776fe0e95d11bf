//! From what was seen to what is wrong and what to do about it; pure.

use btfleet::cluster::{KernelHeader, Node, State};
use serde::Deserialize;
use std::collections::BTreeSet;

/// Something wrong, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    pub problem: String,
    pub advice: String,
    /// False of what this account cannot see.
    pub is_seen: bool,
}

fn finding(problem: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding {
        problem: problem.into(),
        advice: advice.into(),
        is_seen: true,
    }
}

/// What was seen, or why it could not be.
#[derive(Debug, Clone)]
pub enum Known<T> {
    Is(T),
    Hidden(String),
}

impl<T> Known<T> {
    pub fn map<U>(&self, of: impl FnOnce(&T) -> U) -> Known<U> {
        match self {
            Known::Is(what) => Known::Is(of(what)),
            Known::Hidden(why) => Known::Hidden(why.clone()),
        }
    }
}

/// A Pod, as far as it says why it does not work.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub struct Pod {
    metadata: Metadata,
    spec: Spec,
    status: PodStatus,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
    namespace: String,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    node_name: String,
    affinity: Option<serde_json::Value>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodStatus {
    phase: String,
    reason: String,
    message: String,
    conditions: Vec<Condition>,
    container_statuses: Vec<Container>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
    message: String,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Container {
    ready: bool,
    state: ContainerState,
    last_state: ContainerState,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
struct ContainerState {
    waiting: Option<Why>,
    terminated: Option<Why>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Why {
    reason: String,
    message: String,
    exit_code: Option<i64>,
}

impl Why {
    fn text(&self) -> String {
        let code = self.exit_code.map(|code| format!("exit code {code}"));
        let parts = [Some(self.reason.clone()), code, Some(self.message.clone())];
        let parts: Vec<String> = parts
            .into_iter()
            .flatten()
            .filter(|p| !p.is_empty())
            .collect();
        parts.join(": ")
    }
}

impl Pod {
    /// The node that it is on, or that a DaemonSet made it for.
    pub fn node(&self) -> String {
        if !self.spec.node_name.is_empty() {
            return self.spec.node_name.clone();
        }
        // A DaemonSet's pod that is not scheduled yet names its node in an affinity to metadata.name.
        let affinity = self.spec.affinity.as_ref();
        let terms = affinity.and_then(|a| {
            a.pointer(
                "/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms",
            )
        });
        let fields = terms.and_then(|terms| terms.pointer("/0/matchFields/0/values/0"));
        fields
            .and_then(|v| v.as_str())
            .unwrap_or_default()
            .to_owned()
    }

    fn name(&self) -> String {
        format!("{}/{}", self.metadata.namespace, self.metadata.name)
    }

    fn is_ready(&self) -> bool {
        self.status
            .conditions
            .iter()
            .any(|c| c.kind == "Ready" && c.status == "True")
    }

    /// Why it does not do its work; `None` if it seems to.
    fn trouble(&self) -> Option<Finding> {
        let (namespace, name) = (&self.metadata.namespace, &self.metadata.name);
        let describe = format!("kubectl describe pod -n {namespace} {name}");
        let logs = format!("kubectl logs -n {namespace} {name}");
        let who = self.name();
        if !self.status.reason.is_empty() {
            let why = [&*self.status.reason, &*self.status.message];
            let why = why.join(": ");
            return Some(finding(format!("its pod {who} failed: {why}"), describe));
        }
        let unscheduled = |c: &&Condition| c.kind == "PodScheduled" && c.status == "False";
        if let Some(c) = self.status.conditions.iter().find(unscheduled) {
            let why = format!("{}: {}", c.reason, c.message);
            return Some(finding(
                format!("its pod {who} is not scheduled: {why}"),
                describe,
            ));
        }
        for container in &self.status.container_statuses {
            let before = container.last_state.terminated.as_ref().map(Why::text);
            if let Some(waiting) = &container.state.waiting {
                let before = before.map_or(String::new(), |b| format!("; it ended before: {b}"));
                let problem = format!("its pod {who} waits: {}{before}", waiting.text());
                let crashed = waiting.reason == "CrashLoopBackOff";
                let advice = if crashed {
                    logs + " --previous"
                } else {
                    describe
                };
                return Some(finding(problem, advice));
            }
            if let Some(ended) = &container.state.terminated {
                let problem = format!("its pod {who} ended: {}", ended.text());
                return Some(finding(problem, logs));
            }
            if !container.ready {
                let problem = format!("its pod {who} runs and is not ready");
                return Some(finding(
                    problem,
                    format!("Its log says what it waits for: {logs}"),
                ));
            }
        }
        if self.status.phase == "Pending" {
            return Some(finding(format!("its pod {who} is Pending"), describe));
        }
        None
    }
}

/// A node and how it stands, in one line.
pub fn headline(node: &Node) -> String {
    let name = &node.metadata.name;
    match node.state() {
        State::Ready { btf, .. } => format!("{name}: Ready, kernel {}", btf.kernel_id()),
        State::NoBtf => format!("{name}: NoBTF"),
        State::Error(why) => format!("{name}: Error: {why}"),
        State::Stale => format!("{name}: Stale"),
        State::NotReported(_) => format!("{name}: NotReported"),
    }
}

/// Why a node is not Ready, or not all it could be.
pub fn of_node(
    node: &Node,
    pods: &Known<Vec<Pod>>,
    kernel: Option<&Known<Option<KernelHeader>>>,
) -> Vec<Finding> {
    match node.state() {
        State::Ready { .. } => kernel.and_then(of_kernel).into_iter().collect(),
        State::NoBtf => vec![finding(
            "its kernel was built without CONFIG_DEBUG_INFO_BTF: it has no /sys/kernel/btf/vmlinux",
            "Boot a kernel with BTF; or, where its BTF is published elsewhere (BTFHub), `btfleet import` it",
        )],
        State::Error(why) => {
            let store = why.starts_with("store");
            let advice = match store {
                true => {
                    "Try the store from here: `btfleet store doctor --role agent`. The agent goes on trying"
                }
                false => "docs/operations.md explains each error",
            };
            let mut found = vec![finding("its agent could not publish its kernel", advice)];
            found.extend(of_agent(pods, None));
            found
        }
        State::Stale => {
            let problem = "what it says is of its last boot: its agent has not spoken since";
            of_agent(pods, Some(problem))
        }
        State::NotReported(Some(malformed)) => {
            let mut found = of_agent(pods, None);
            found.push(finding(
                malformed.to_string(),
                "Wait for that (10 minutes); if it returns, see who else writes to the Node",
            ));
            found
        }
        State::NotReported(None) => of_agent(pods, Some("its agent has not spoken yet")),
    }
}

/// Why an agent does not speak. `silent` is what to say if nothing is wrong with its pod.
fn of_agent(pods: &Known<Vec<Pod>>, silent: Option<&str>) -> Vec<Finding> {
    let pods = match pods {
        Known::Is(pods) => pods,
        Known::Hidden(why) => {
            let problem = silent.unwrap_or("its agent's pod");
            return vec![finding(
                format!("{problem}; this account cannot see its pod ({why})"),
                "Ask somebody who may list pods",
            )];
        }
    };
    if pods.is_empty() {
        return vec![finding(
            "there is no agent's pod for it",
            "Is the DaemonSet installed, and does it select this node? kubectl get daemonset -A -l app.kubernetes.io/name=btfleet",
        )];
    }
    let troubles: Vec<Finding> = pods.iter().filter_map(Pod::trouble).collect();
    match (troubles.is_empty(), silent, pods.first()) {
        (true, Some(silent), Some(pod)) => {
            let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
            vec![finding(
                format!("{silent}, though its pod {} runs", pod.name()),
                format!(
                    "A first look takes up to a minute; else its log: kubectl logs -n {namespace} {name}"
                ),
            )]
        }
        _ => troubles,
    }
}

/// What the controller thinks of a Ready node's kernel.
fn of_kernel(kernel: &Known<Option<KernelHeader>>) -> Option<Finding> {
    let Known::Is(kernel) = kernel else {
        return None; // The node is Ready, whatever the inventory says.
    };
    let Some(kernel) = kernel else {
        return Some(finding(
            "its kernel has no KernelHeader yet",
            "The controller makes one within a minute, once it has read and checked the BTF: see its log and `btfleet events`",
        ));
    };
    let conditions = kernel.status.iter().flat_map(|s| &s.conditions);
    let bad = conditions.filter(|c| c.status == "False");
    let bad = bad
        .map(|c| format!("{}: {}: {}", c.type_, c.reason, c.message))
        .next()?;
    Some(finding(
        format!("its kernel is not well stored: {bad}"),
        "The controller and the agents repair that within an hour; if not, `btfleet store doctor` and docs/operations.md",
    ))
}

pub fn of_crd(there: &Known<bool>) -> Option<Finding> {
    match there {
        Known::Is(true) => None,
        Known::Is(false) => Some(finding(
            "the resource KernelHeader is not defined: there is no inventory",
            "btfleet crd | kubectl apply -f -",
        )),
        Known::Hidden(why) => Some(hidden("whether KernelHeader is defined", why)),
    }
}

/// The admission policies by the ends of their names; what comes before is the installation's.
const POLICIES: [(&str, &str); 4] = [
    ("agent-own-node", "a node's agent may write to other Nodes"),
    (
        "agent-own-events",
        "a node's agent may tell Events about other Nodes",
    ),
    (
        "keys",
        "anybody who may patch Nodes may say what their kernel is",
    ),
    (
        "cleanup",
        "the account that cleans up may write anything to Nodes",
    ),
];

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub struct Named {
    metadata: Metadata,
    spec: Binding,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Binding {
    policy_name: String,
    validation_actions: Vec<String>,
}

/// The installation's admission policies that are there, and those that are bound.
#[derive(Debug, Default, Clone)]
pub struct Policies {
    there: BTreeSet<String>,
    bound: BTreeSet<String>,
}

impl Policies {
    pub fn add(&mut self, policy: Named) {
        self.there.insert(policy.metadata.name);
    }

    pub fn bind(&mut self, binding: Named) {
        if binding.spec.validation_actions.iter().any(|a| a == "Deny") {
            self.bound.insert(binding.spec.policy_name);
        }
    }

    fn works(&self, end: &str) -> bool {
        let ours = |name: &&String| name.ends_with(&format!("-{end}"));
        self.there
            .iter()
            .filter(ours)
            .any(|name| self.bound.contains(name))
    }
}

pub fn of_policies(policies: &Known<Policies>) -> Vec<Finding> {
    let policies = match policies {
        Known::Is(policies) => policies,
        Known::Hidden(why) => return vec![hidden("whether the admission policies are there", why)],
    };
    let missing = POLICIES.iter().filter(|(end, _)| !policies.works(end));
    missing
        .map(|(end, means)| {
            finding(
                format!(
                    "the admission policy btfleet-{end} is not there, or bound to nothing: {means}"
                ),
                "Install the chart with admissionPolicies.enabled, or apply manifests/install.yaml",
            )
        })
        .collect()
}

pub fn of_controller(pods: &Known<Vec<Pod>>) -> Option<Finding> {
    let pods = match pods {
        Known::Is(pods) => pods,
        Known::Hidden(why) => return Some(hidden("whether a controller runs", why)),
    };
    if pods.iter().any(Pod::is_ready) {
        return None;
    }
    let problem =
        "no controller is ready: kernels are published, and not verified, counted or collected";
    Some(match pods.iter().find_map(Pod::trouble) {
        Some(trouble) => finding(
            format!("{problem}; {}", trouble.problem.replacen("its", "the", 1)),
            trouble.advice,
        ),
        None => finding(
            problem,
            "kubectl get deployment -A -l app.kubernetes.io/name=btfleet",
        ),
    })
}

fn hidden(what: &str, why: &str) -> Finding {
    Finding {
        is_seen: false,
        ..finding(
            format!("{what} cannot be seen with this account ({why})"),
            "Ask somebody who may see it; the rest was looked at all the same",
        )
    }
}
