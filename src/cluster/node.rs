//! What a Node says of its kernel: btfleet's annotations and its label.
//!
//! [`Keys`] are the values as they stand on the Node, [`Said`] is what they mean, [`State`] what a reader
//! may make of it, given the boot that the kubelet reports.

use crate::artifact::{BtfDigest, Generator, HeaderDigest};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The field manager of every patch of the agent; the admission policy insists on it.
pub const FIELD_MANAGER: &str = "btfleet-agent";
/// The label that holds the kernel id, for finding a kernel's nodes.
pub const LABEL: &str = "btfleet.dev/kernel";
/// The annotation that holds the status: the first that anybody looks at.
pub const STATUS: &str = "btfleet.dev/status";
/// The longest reason of an error: the admission policy allows no longer status.
const MAX_REASON: usize = 200;

/// btfleet's annotations as they stand on a Node; an absent one is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Annotations {
    /// BTF digest.
    #[serde(rename = "btfleet.dev/btf-digest")]
    pub btf_digest: Option<String>,
    /// Header digest.
    #[serde(rename = "btfleet.dev/header-digest")]
    pub header_digest: Option<String>,
    /// Generator of that header.
    #[serde(rename = "btfleet.dev/generator")]
    pub generator: Option<String>,
    /// `uname -r`.
    #[serde(rename = "btfleet.dev/kernel-release")]
    pub kernel_release: Option<String>,
    /// The boot that this describes.
    #[serde(rename = "btfleet.dev/boot-id")]
    pub boot_id: Option<String>,
    /// `Ready`, `NoBTF` or `Error: <reason>`.
    #[serde(rename = "btfleet.dev/status")]
    pub status: Option<String>,
}

/// btfleet's label as it stands on a Node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Labels {
    /// Kernel id.
    #[serde(rename = "btfleet.dev/kernel")]
    pub kernel: Option<String>,
}

/// All that btfleet may write on a Node. Serialized, an absent value is `null`: so a merge patch of it
/// writes every key or removes it, and nothing of an earlier kernel stays behind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Keys {
    /// The annotations.
    pub annotations: Annotations,
    /// The label.
    pub labels: Labels,
}

/// What a Node's status annotation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Its kernel is published, under the digests beside it.
    Ready,
    /// Its kernel has no BTF.
    NoBtf,
    /// It could not be published, and why.
    Error(String),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Ready => f.write_str("Ready"),
            Status::NoBtf => f.write_str("NoBTF"),
            Status::Error(reason) => write!(f, "Error: {}", reason_text(reason)),
        }
    }
}

/// A reason as the admission policy takes it: 1 to 200 printable ASCII characters.
fn reason_text(reason: &str) -> String {
    let text: String = reason
        .chars()
        .map(|c| match c {
            ' '..='~' => c,
            c if c.is_whitespace() => ' ',
            _ => '?',
        })
        .collect();
    match text.trim() {
        "" => "unknown".to_owned(),
        text if text.len() <= MAX_REASON => text.to_owned(),
        text => format!("{}...", &text[..MAX_REASON - 3]),
    }
}

/// What an agent says of its node's kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// How it stands.
    pub status: Status,
    /// The digests, where the BTF was read and hashed.
    pub kernel: Option<KernelSaid>,
    /// `uname -r`, if it is one that may be written.
    pub release: Option<String>,
    /// The boot that this describes. [`Status::Ready`] and [`Status::NoBtf`] always have one.
    pub boot_id: Option<String>,
}

/// The digests that a Node names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelSaid {
    /// Of its kernel's BTF.
    pub btf: BtfDigest,
    /// Of that kernel's header, where one could be made.
    pub header: Option<(HeaderDigest, Generator)>,
}

impl Said {
    /// The values to write.
    pub fn keys(&self) -> Keys {
        let header = self.kernel.and_then(|k| k.header);
        Keys {
            annotations: Annotations {
                btf_digest: self.kernel.map(|k| k.btf.to_string()),
                header_digest: header.map(|(digest, _)| digest.to_string()),
                generator: header.map(|(_, generator)| generator.to_string()),
                kernel_release: self.release.clone().filter(|r| may_be_written(r)),
                boot_id: self.boot_id.clone(),
                status: Some(self.status.to_string()),
            },
            labels: Labels {
                kernel: self.kernel.map(|k| k.btf.kernel_id().to_string()),
            },
        }
    }
}

/// Whether a release may stand in an annotation and an index key: others are left out of both.
pub fn may_be_written(release: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+~-".contains(&b);
    (1..=64).contains(&release.len()) && release.bytes().all(plain)
}

/// Whether a boot id may stand in an annotation: a UUID, as the kernel prints it.
pub fn is_boot_id(text: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => hex(b),
        })
}

impl Keys {
    /// No key is there.
    pub fn is_empty(&self) -> bool {
        *self == Keys::default()
    }

    /// What the keys mean; `None` if there is no status, and why not if they contradict each other or
    /// cannot be read (a hand edit).
    ///
    /// # Errors
    /// The key that is wrong.
    pub fn said(&self) -> Result<Option<Said>, Malformed> {
        let a = &self.annotations;
        let Some(status) = &a.status else {
            return Ok(None);
        };
        let status = match status.as_str() {
            "Ready" => Status::Ready,
            "NoBTF" => Status::NoBtf,
            text => match text.strip_prefix("Error: ") {
                Some(reason) => Status::Error(reason.to_owned()),
                None => return Err(Malformed("status")),
            },
        };
        let btf: Option<BtfDigest> = parse(a.btf_digest.as_deref(), "btf-digest")?;
        let digest: Option<HeaderDigest> = parse(a.header_digest.as_deref(), "header-digest")?;
        let generator: Option<Generator> = parse(a.generator.as_deref(), "generator")?;
        if status == Status::Ready && (digest.is_none() || generator.is_none() || btf.is_none()) {
            return Err(Malformed("status: Ready without digests"));
        }
        let has_boot_id = a.boot_id.as_deref().is_some_and(|id| !id.is_empty());
        if !has_boot_id && !matches!(status, Status::Error(_)) {
            return Err(Malformed("boot-id"));
        }
        Ok(Some(Said {
            status,
            kernel: btf.map(|btf| KernelSaid {
                btf,
                header: digest.zip(generator),
            }),
            release: a.kernel_release.clone(),
            boot_id: a.boot_id.clone(),
        }))
    }
}

fn parse<T: std::str::FromStr>(
    text: Option<&str>,
    key: &'static str,
) -> Result<Option<T>, Malformed> {
    text.map(|text| text.parse().map_err(|_| Malformed(key)))
        .transpose()
}

/// A btfleet key on a Node cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the Node's btfleet.dev/{0} is not what an agent writes; its agent repairs that at its next look"
)]
pub struct Malformed(&'static str);

/// What the kubelet reports of the running kernel: `status.nodeInfo`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeInfo {
    /// `/proc/sys/kernel/random/boot_id` as the kubelet read it; empty where it reports none.
    #[serde(rename = "bootID")]
    pub boot_id: String,
    /// `uname -r`.
    pub kernel_version: String,
    /// Kubernetes' spelling.
    pub architecture: String,
}

/// A Node, but for the 15 KB of it that are none of btfleet's business.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Node {
    /// Its metadata.
    pub metadata: Metadata,
    /// Its status.
    #[serde(default)]
    pub status: NodeStatus,
}

/// The part of a Node's metadata that btfleet reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// Its name.
    pub name: String,
    /// Its uid: a Node made anew under the same name has another.
    pub uid: String,
    /// Its version.
    pub resource_version: String,
    /// When it was asked to go.
    pub deletion_timestamp: Option<String>,
    /// btfleet's annotations.
    pub annotations: Annotations,
    /// btfleet's label.
    pub labels: Labels,
}

/// The part of a Node's status that btfleet reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeStatus {
    /// What the kubelet reports.
    pub node_info: NodeInfo,
}

impl Node {
    /// btfleet's keys on it.
    pub fn keys(&self) -> Keys {
        Keys {
            annotations: self.metadata.annotations.clone(),
            labels: self.metadata.labels.clone(),
        }
    }

    /// How it stands.
    pub fn state(&self) -> State {
        State::of(&self.keys(), &self.status.node_info.boot_id)
    }
}

/// How a Node stands, for every reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Its digests are those of the running kernel.
    Ready {
        /// Of the BTF.
        btf: BtfDigest,
        /// Of the header.
        header: HeaderDigest,
        /// Of that header.
        generator: Generator,
    },
    /// The running kernel has no BTF.
    NoBtf,
    /// The agent could not publish the running kernel.
    Error(String),
    /// What it says is of an earlier boot.
    Stale,
    /// It says nothing yet, or nothing that makes sense.
    NotReported(Option<Malformed>),
}

impl State {
    /// What keys mean on a Node whose kubelet reports this boot id.
    pub fn of(keys: &Keys, boot_id: &str) -> State {
        let said = match keys.said() {
            Ok(Some(said)) => said,
            Ok(None) => return State::NotReported(None),
            Err(why) => return State::NotReported(Some(why)),
        };
        // An error without a boot id says that boot ids cannot agree here.
        if said.boot_id.as_deref().is_some_and(|id| id != boot_id) {
            return State::Stale;
        }
        match (said.status, said.kernel) {
            (Status::NoBtf, _) => State::NoBtf,
            (Status::Error(reason), _) => State::Error(reason),
            (Status::Ready, Some(kernel)) => match kernel.header {
                Some((header, generator)) => State::Ready {
                    btf: kernel.btf,
                    header,
                    generator,
                },
                None => State::NotReported(None),
            },
            (Status::Ready, None) => State::NotReported(None),
        }
    }

    /// One word, as `btfleet nodes` and the metrics have it.
    pub fn word(&self) -> &'static str {
        match self {
            State::Ready { .. } => "Ready",
            State::NoBtf => "NoBTF",
            State::Error(_) => "Error",
            State::Stale => "Stale",
            State::NotReported(_) => "NotReported",
        }
    }

    /// Every word there is.
    pub const WORDS: [&str; 5] = ["Ready", "NoBTF", "Error", "Stale", "NotReported"];
}

/// A merge patch that makes a Node say this. `uid` makes the API server refuse (409) a Node that was made
/// anew under the same name.
pub fn patch(uid: &str, keys: &Keys) -> serde_json::Value {
    serde_json::json!({
        "metadata": { "uid": uid, "annotations": keys.annotations, "labels": keys.labels }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BOOT: &str = "0b0e2a9c-1111-4222-8333-444455556666";

    fn ready() -> Said {
        Said {
            status: Status::Ready,
            kernel: Some(KernelSaid {
                btf: BtfDigest::of(b"btf"),
                header: Some((HeaderDigest::of(b"header"), Generator::OWN)),
            }),
            release: Some("6.18.44+deb14~rc1".to_owned()),
            boot_id: Some(BOOT.to_owned()),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let error = |kernel| Said {
            status: Status::Error("type 7 at offset 36 is cut short".to_owned()),
            kernel,
            ..ready()
        };
        let btf_only = KernelSaid {
            btf: BtfDigest::of(b"btf"),
            header: None,
        };
        let no_btf = Said {
            status: Status::NoBtf,
            kernel: None,
            ..ready()
        };
        for said in [ready(), no_btf, error(None), error(Some(btf_only))] {
            assert_eq!(said.keys().said(), Ok(Some(said)));
        }
        assert_eq!(Keys::default().said(), Ok(None));
        assert!(Keys::default().is_empty());
    }

    #[test]
    fn a_patch_names_every_key_and_the_uid() {
        let no_btf = Said {
            status: Status::NoBtf,
            kernel: None,
            ..ready()
        };
        assert_eq!(
            patch("u-1", &no_btf.keys()),
            json!({"metadata": {"uid": "u-1",
                "annotations": {
                    "btfleet.dev/btf-digest": null,
                    "btfleet.dev/header-digest": null,
                    "btfleet.dev/generator": null,
                    "btfleet.dev/kernel-release": "6.18.44+deb14~rc1",
                    "btfleet.dev/boot-id": BOOT,
                    "btfleet.dev/status": "NoBTF",
                },
                "labels": {"btfleet.dev/kernel": null}}})
        );
    }

    #[test]
    fn a_node_is_believed_only_for_the_boot_it_speaks_of() {
        let state = |said: &Said, boot| State::of(&said.keys(), boot).word();
        assert_eq!(state(&ready(), BOOT), "Ready");
        assert_eq!(state(&ready(), "another"), "Stale");
        assert_eq!(state(&ready(), ""), "Stale");
        let error = Said {
            status: Status::Error("no boot id".to_owned()),
            ..ready()
        };
        assert_eq!(state(&error, BOOT), "Error");
        assert_eq!(state(&error, "another"), "Stale");
        let unbound = Said {
            boot_id: None,
            ..error
        };
        assert_eq!(state(&unbound, "another"), "Error");
        assert_eq!(State::of(&Keys::default(), BOOT).word(), "NotReported");
    }

    #[test]
    fn hand_edits_are_not_believed() {
        type Edit = fn(&mut Annotations);
        let edits: [Edit; 8] = [
            |a| a.status = Some("ready".into()),
            |a| a.status = Some(String::new()),
            |a| a.btf_digest = Some("sha256:0".into()),
            |a| a.btf_digest = None,
            |a| a.header_digest = None,
            |a| a.generator = Some("0".into()),
            |a| a.generator = None,
            |a| a.boot_id = None,
        ];
        for (i, edit) in edits.iter().enumerate() {
            let mut keys = ready().keys();
            edit(&mut keys.annotations);
            let state = State::of(&keys, BOOT);
            assert!(
                matches!(state, State::NotReported(Some(_))),
                "{i}: {state:?}"
            );
        }
    }

    #[test]
    fn a_reason_is_one_that_the_policy_takes() {
        let long = "é\n".repeat(300);
        for (reason, text) in [
            ("", "Error: unknown".to_owned()),
            ("a\tb\u{7f}é", "Error: a b??".to_owned()),
            (&long, format!("Error: {}...", &"? ".repeat(99)[..197])),
        ] {
            let status = Status::Error(reason.to_owned()).to_string();
            assert_eq!(status, text);
            assert!(status.len() <= "Error: ".len() + MAX_REASON);
        }
        for (release, fits) in [("6.1.0+x~y_z-1", true), ("", false), ("a b", false)] {
            assert_eq!(may_be_written(release), fits, "{release:?}");
        }
        let upper = BOOT.to_uppercase();
        for (id, fits) in [
            (BOOT, true),
            (&upper, false),
            (&BOOT[1..], false),
            ("", false),
        ] {
            assert_eq!(is_boot_id(id), fits, "{id:?}");
        }
    }

    #[test]
    fn a_node_is_decoded_without_what_is_not_ours() {
        let node: Node = serde_json::from_value(json!({
            "kind": "Node", "apiVersion": "v1",
            "metadata": {"name": "a", "uid": "u", "resourceVersion": "7", "managedFields": [{"x": 1}],
                "annotations": {"other": "x", "btfleet.dev/status": "NoBTF", "btfleet.dev/boot-id": BOOT},
                "labels": {"kubernetes.io/os": "linux"}},
            "spec": {"podCIDR": "10.0.0.0/24"},
            "status": {"nodeInfo": {"bootID": BOOT, "kernelVersion": "6.1", "architecture": "arm64",
                "osImage": "x"}}
        }))
        .unwrap();
        assert_eq!(node.state(), State::NoBtf);
        assert_eq!(node.status.node_info.architecture, "arm64");
        let bare: Node = serde_json::from_value(json!({"metadata": {"name": "b"}})).unwrap();
        assert_eq!(bare.state(), State::NotReported(None));
    }
}
