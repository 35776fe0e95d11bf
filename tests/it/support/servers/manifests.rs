//! Parts of manifests/install.yaml, which is what the chart gives for the default install.

use std::path::Path;

/// Accounts and what RBAC lets them ask for.
pub fn accounts() -> String {
    accounts_of(&install())
}

/// The admission policies and their bindings.
pub fn policies() -> String {
    policies_of(&install())
}

/// The definition of KernelHeader.
pub fn kernel_header() -> String {
    of_kinds(&install(), &["CustomResourceDefinition"])
}

/// All of it.
pub fn install() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/install.yaml");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn accounts_of(yaml: &str) -> String {
    let kinds = [
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
    ];
    of_kinds(yaml, &kinds)
}

pub fn policies_of(yaml: &str) -> String {
    let kinds = [
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ];
    of_kinds(yaml, &kinds)
}

fn of_kinds(yaml: &str, kinds: &[&str]) -> String {
    let is_one = |document: &&str| {
        let mut lines = document.lines();
        let kind = lines.find_map(|line| line.strip_prefix("kind: "));
        kind.is_some_and(|kind| kinds.contains(&kind))
    };
    let found: Vec<&str> = yaml.split("\n---\n").filter(is_one).collect();
    assert!(!found.is_empty(), "no {kinds:?} in\n{yaml}");
    found.join("\n---\n")
}
