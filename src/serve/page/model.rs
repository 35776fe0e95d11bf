//! What the pages show, put together from what the nodes say, what the controller says and what the store lists. No I/O.

use super::table::Row;
use crate::artifact::{BtfDigest, Generator, KernelId};
use crate::cluster::{KernelHeaderStatus, State};
use crate::serve::catalog::Listed;
use crate::serve::fleet::Record;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// The most names of a kernel that a table shows.
const NAMES: usize = 10;

/// A node in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Its name.
    pub name: String,
    /// What is known of it.
    pub record: Record,
}

impl NodeRow {
    /// The columns of the nodes' table.
    pub const COLUMNS: [&'static str; 5] = ["name", "status", "kernel", "release", "arch"];

    /// The kernel that it runs, as it says.
    pub fn kernel(&self) -> Option<KernelId> {
        match &self.record.state {
            State::Ready { btf, .. } => Some(btf.kernel_id()),
            _ => None,
        }
    }

    /// Why it is not Ready, in its agent's words.
    pub fn why(&self) -> String {
        match &self.record.state {
            State::Error(why) => why.clone(),
            State::NotReported(Some(why)) => why.to_string(),
            _ => String::new(),
        }
    }
}

impl Row for NodeRow {
    fn cell(&self, column: &str) -> String {
        match column {
            "name" => self.name.clone(),
            "status" => self.record.state.word().to_owned(),
            "kernel" => self.kernel().map(|k| k.to_string()).unwrap_or_default(),
            "release" => self.record.release.clone(),
            _ => self.record.arch.clone(),
        }
    }
}

/// The nodes, those that are not Ready first.
pub fn nodes(nodes: Vec<(String, Record)>) -> Vec<NodeRow> {
    let mut rows: Vec<NodeRow> = nodes
        .into_iter()
        .map(|(name, record)| NodeRow { name, record })
        .collect();
    rows.sort_by_key(|row| matches!(row.record.state, State::Ready { .. }));
    rows
}

/// A kernel in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelRow {
    /// The first digits of the digest.
    pub id: KernelId,
    /// Of its BTF.
    pub btf: BtfDigest,
    /// `arch/release`, as nodes and the store's index have it.
    pub names: BTreeSet<String>,
    /// How many nodes run it; `None` without a cluster.
    pub nodes: Option<usize>,
    /// What the controller says of it.
    pub said: Option<KernelHeaderStatus>,
}

impl KernelRow {
    /// The columns of the kernels' table.
    pub const COLUMNS: [&'static str; 6] =
        ["kernel", "names", "nodes", "header", "size", "verified"];

    /// Digest and size of the header that our generator made; of the newest there is, otherwise.
    pub fn header(&self) -> Option<(&str, i64)> {
        let own = i64::from(u32::from(Generator::OWN));
        let headers = &self.said.as_ref()?.headers;
        let header = headers.iter().find(|h| h.generator == own);
        let header = header.or(headers.first())?;
        Some((header.digest.as_str(), header.size))
    }

    /// `yes`, the reason why not, or `not yet`; nothing where no controller speaks.
    pub fn verified(&self) -> String {
        let Some(said) = &self.said else {
            return String::new();
        };
        let condition = said.conditions.iter().find(|c| c.type_ == "Verified");
        match condition {
            None => "not yet".to_owned(),
            Some(c) if c.status == "True" => "yes".to_owned(),
            Some(c) => c.reason.clone(),
        }
    }

    /// Names for a cell: the first few and how many more.
    pub fn few_names(&self) -> (Vec<&str>, usize) {
        let first = self.names.iter().take(NAMES).map(String::as_str).collect();
        (first, self.names.len().saturating_sub(NAMES))
    }
}

impl Row for KernelRow {
    fn cell(&self, column: &str) -> String {
        match column {
            "kernel" => self.id.to_string(),
            "names" => self.names.iter().cloned().collect::<Vec<_>>().join(" "),
            "nodes" => self.nodes.map(|n| n.to_string()).unwrap_or_default(),
            "header" => self.header().map(|h| h.0.to_owned()).unwrap_or_default(),
            "size" => self.header().map(|h| h.1.to_string()).unwrap_or_default(),
            _ => self.verified(),
        }
    }

    fn compare(&self, other: &Self, column: &str) -> Ordering {
        match column {
            "nodes" => self.nodes.cmp(&other.nodes),
            "size" => {
                let size = |row: &KernelRow| row.header().map(|h| h.1);
                size(self).cmp(&size(other))
            }
            _ => self.cell(column).cmp(&other.cell(column)),
        }
    }
}

/// The kernels, those that most nodes run first.
pub fn kernels(
    listed: &Listed,
    nodes: Option<&[(String, Record)]>,
    said: &BTreeMap<KernelId, (BtfDigest, KernelHeaderStatus)>,
) -> Vec<KernelRow> {
    let mut rows: BTreeMap<BtfDigest, KernelRow> = BTreeMap::new();
    let is_cluster = nodes.is_some();
    let mut row = |btf: BtfDigest, change: &mut dyn FnMut(&mut KernelRow)| {
        change(rows.entry(btf).or_insert_with(|| KernelRow {
            id: btf.kernel_id(),
            btf,
            names: BTreeSet::new(),
            nodes: is_cluster.then_some(0),
            said: None,
        }));
    };
    for (btf, names) in &listed.kernels {
        row(*btf, &mut |row| {
            let names = names.iter().map(|n| format!("{}/{}", n.arch, n.release));
            row.names.extend(names);
        });
    }
    for (btf, status) in said.values() {
        row(*btf, &mut |row| {
            let arch = status.arch.as_deref().unwrap_or_default();
            let names = status.releases.iter().map(|r| format!("{arch}/{r}"));
            row.names.extend(names);
            row.said = Some(status.clone());
        });
    }
    for (_, record) in nodes.into_iter().flatten() {
        if let State::Ready { btf, .. } = record.state {
            row(btf, &mut |row| {
                row.nodes = row.nodes.map(|n| n + 1);
                if !record.release.is_empty() {
                    let name = format!("{}/{}", record.arch, record.release);
                    row.names.insert(name);
                }
            });
        }
    }
    let mut rows: Vec<KernelRow> = rows.into_values().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.nodes));
    rows
}

/// Something that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attention {
    /// How many.
    pub count: usize,
    /// Of what: a node, a kernel in use.
    pub of: &'static str,
    /// What is the matter with them.
    pub what: String,
    /// What to do.
    pub advice: &'static str,
    /// Where they are listed.
    pub url: String,
}

/// What needs attention, the worst first.
pub fn attention(nodes: &[(String, Record)], kernels: &[KernelRow]) -> Vec<Attention> {
    let mut found = Vec::new();
    let count = |word: &str| nodes.iter().filter(|(_, r)| r.state.word() == word).count();
    let states = [
        (
            "Error",
            "its agent could not publish its kernel",
            "The list says why; kubectl btfleet doctor tells more, the agent's log all of it.",
        ),
        (
            "Stale",
            "what it says is of an earlier boot",
            "Their agent has not spoken since the reboot, which takes some seconds; after that, see its pod on the node.",
        ),
        (
            "NotReported",
            "no agent has spoken of it",
            "See that the agent's pod runs there (tolerations?); keys that were edited by hand are mended within 10 minutes.",
        ),
        (
            "NoBTF",
            "its kernel has no BTF",
            "Use a kernel with CONFIG_DEBUG_INFO_BTF=y, or import its BTF with btfleet import.",
        ),
    ];
    for (word, what, advice) in states {
        let count = count(word);
        if count > 0 {
            found.push(Attention {
                count,
                what: format!("{word}: {what}"),
                of: "node",
                advice,
                url: format!("nodes?status={word}"),
            });
        }
    }
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for row in kernels.iter().filter(|row| row.nodes.unwrap_or(0) > 0) {
        let verified = row.verified();
        if !["yes", ""].contains(&verified.as_str()) {
            *reasons.entry(verified).or_default() += 1;
        }
    }
    for (reason, count) in reasons {
        found.push(Attention {
            count,
            what: format!("not verified: {reason}"),
            of: "kernel in use",
            advice: "The controller looks again within minutes, and agents bring back what is missing within an hour; after that see kubectl btfleet events.",
            url: format!("kernels?verified={}", reason.replace(' ', "+")),
        });
    }
    found
}

/// What sharing saved: bytes, uncompressed, and uploads of BTF and headers that nodes need not send since others have
/// the same.
pub fn saved(kernels: &[KernelRow]) -> (u64, usize) {
    let mut bytes = 0u64;
    let mut uploads = 0;
    let mut headers: BTreeSet<&str> = BTreeSet::new();
    for row in kernels {
        let others = row.nodes.unwrap_or(0).saturating_sub(1);
        let size = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        let btf = size(row.said.as_ref().and_then(|s| s.btf_size));
        let header = size(row.header().map(|h| h.1));
        bytes += (btf + header) * others as u64;
        uploads += 2 * others;
        if let Some((digest, size)) = row.header()
            && row.nodes.unwrap_or(0) > 0
            && !headers.insert(digest)
        {
            bytes += u64::try_from(size).unwrap_or(0);
            uploads += 1;
        }
    }
    (bytes, uploads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::HeaderDigest;
    use crate::cluster::{Condition, HeaderStatus};
    use crate::consumer::wire::KernelName;

    fn record(state: State) -> Record {
        Record::of(state, "6.1", "amd64")
    }

    fn ready(of: &[u8]) -> State {
        State::Ready {
            btf: BtfDigest::of(of),
            header: HeaderDigest::of(b"h"),
            generator: Generator::OWN,
        }
    }

    fn status(verified: &str) -> KernelHeaderStatus {
        KernelHeaderStatus {
            btf_size: Some(100),
            headers: vec![HeaderStatus {
                generator: 1,
                digest: HeaderDigest::of(b"h").to_string(),
                size: 10,
            }],
            conditions: vec![Condition {
                type_: "Verified".to_owned(),
                status: verified.to_owned(),
                reason: "BtfWrong".to_owned(),
                message: String::new(),
                last_transition_time: String::new(),
            }],
            ..KernelHeaderStatus::default()
        }
    }

    #[test]
    fn kernels_of_nodes_store_and_controller_are_one_list() {
        let nodes = vec![
            ("a".to_owned(), record(ready(b"x"))),
            ("b".to_owned(), record(ready(b"x"))),
            ("c".to_owned(), record(ready(b"y"))),
            ("d".to_owned(), record(State::Stale)),
            ("e".to_owned(), record(State::NoBtf)),
        ];
        let mut listed = Listed::default();
        let name = KernelName {
            arch: "arm64".to_owned(),
            release: "5.0".to_owned(),
        };
        listed.kernels.insert(BtfDigest::of(b"z"), [name].into());
        let mut said = BTreeMap::new();
        for (of, verified) in [(b"x", "True"), (b"y", "False")] {
            let btf = BtfDigest::of(of);
            said.insert(btf.kernel_id(), (btf, status(verified)));
        }
        let rows = kernels(&listed, Some(&nodes), &said);
        let counts: Vec<_> = rows.iter().map(|r| (r.nodes, r.verified())).collect();
        assert_eq!(
            counts,
            [
                (Some(2), "yes".to_owned()),
                (Some(1), "BtfWrong".to_owned()),
                (Some(0), String::new())
            ]
        );
        assert!(rows[2].names.contains("arm64/5.0"));
        // Two nodes share kernel x, and both kernels share a header.
        assert_eq!(saved(&rows), (110 + 10, 3));
        let found: Vec<_> = attention(&nodes, &rows)
            .into_iter()
            .map(|a| (a.count, a.url))
            .collect();
        let url = |s: &str| s.to_owned();
        assert_eq!(
            found,
            [
                (1, url("nodes?status=Stale")),
                (1, url("nodes?status=NoBTF")),
                (1, url("kernels?verified=BtfWrong"))
            ]
        );
        let alone = kernels(&listed, None, &BTreeMap::new());
        assert_eq!(alone[0].nodes, None);
    }
}
