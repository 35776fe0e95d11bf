//! What to do next for a node, from what is known of it: a pure function.

use crate::cluster::node::{KernelSaid, Keys, Node, NodeInfo, Said, State, Status, may_be_written};
use std::time::Duration;

/// What the host says of its boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// `/proc/sys/kernel/random/boot_id`; `None` if there is none that could be written on a Node.
    pub boot_id: Option<String>,
    /// `uname -r`.
    pub release: Option<String>,
}

/// What became of the BTF. It cannot change within a boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It was read and hashed.
    Kernel {
        /// The digests.
        said: KernelSaid,
        /// Why there is no header.
        why: Option<String>,
    },
    /// The kernel was built without.
    NoBtf,
    /// It is there and cannot be read.
    Unreadable(String),
}

/// What is known of the kernel's objects in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InStore {
    /// They were there when they were looked at last, which is not too long ago.
    Settled,
    /// It is time to look.
    Due,
    /// Some are absent.
    Lacking,
    /// They were written, or found, one by one: since then, any may have been removed.
    Published,
    /// All were seen there just now, after the Node had named them.
    Whole,
}

/// All that a decision is made from.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// This host.
    pub host: &'a Host,
    /// Its BTF; `None`: not looked at yet.
    pub finding: Option<&'a Finding>,
    /// The Node as the API server has it.
    pub node: &'a Node,
    /// How long, and in how many looks before this, its `nodeInfo` did not fit this host.
    pub unlike: (Duration, u32),
    /// What the store holds.
    pub store: InStore,
    /// Why the store cannot be used; to be said on a Node that is not ready anyhow.
    pub trouble: Option<&'a str>,
}

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// `nodeInfo` is of another boot still: look at the Node again after this time.
    Wait(Duration, String),
    /// Read the BTF.
    Examine,
    /// Write what is absent of the kernel's objects.
    Publish,
    /// Look whether all of them are there.
    Look,
    /// Patch the Node so that its keys are these.
    Say(Box<Keys>),
    /// Nothing, until the next look.
    Rest,
}

/// How long `nodeInfo` may lag behind a reboot.
const LATE: Duration = Duration::from_secs(300);
/// The pauses while it does, in seconds; the last one repeats.
const PAUSES: [u64; 5] = [2, 5, 10, 20, 30];
/// What a status begins with that speaks of the store.
const STORE: &str = "store: ";

/// What to do next.
pub fn next(seen: Seen<'_>) -> Act {
    let info = &seen.node.status.node_info;
    match compare(seen.host, info, seen.unlike.0) {
        Fit::Same => {}
        Fit::Late(why) => {
            let pause = PAUSES.get(seen.unlike.1 as usize).or(PAUSES.last());
            return Act::Wait(Duration::from_secs(*pause.unwrap_or(&30)), why);
        }
        Fit::Never(why) => return say(seen.node, unlike(why).keys()),
    }
    let Some(finding) = seen.finding else {
        return Act::Examine;
    };
    let said = wanted(seen.host, finding);
    let says = seen.node.keys() == said.keys();
    if said.kernel.is_none() {
        return say(seen.node, said.keys());
    }
    if let Some(why) = seen.trouble {
        // What a Node says of this boot stays true while the store is away.
        return match seen.node.state() {
            State::Ready { .. } => Act::Rest,
            _ if says || speaks_of_store(seen.node, &said) => Act::Rest,
            _ => {
                let status = Status::Error(format!("{STORE}{why}"));
                say(seen.node, Said { status, ..said }.keys())
            }
        };
    }
    match (seen.store, says) {
        (InStore::Settled | InStore::Whole, true) => Act::Rest,
        (InStore::Due, true) | (InStore::Published, true) => Act::Look,
        (InStore::Published, false) => say(seen.node, said.keys()),
        // Before a Node names a kernel its objects are seen to, and looked at again afterwards.
        (InStore::Lacking, _) | (_, false) => Act::Publish,
    }
}

fn say(node: &Node, keys: Keys) -> Act {
    match node.keys() == keys {
        true => Act::Rest,
        false => Act::Say(Box::new(keys)),
    }
}

/// Whether the Node says the same of the kernel already, with some trouble of the store: its words may differ
/// from one try to the next, and are not worth a patch each.
fn speaks_of_store(node: &Node, said: &Said) -> bool {
    match node.keys().said() {
        Ok(Some(Said {
            status: Status::Error(reason),
            kernel,
            release,
            boot_id,
        })) => {
            let same = (kernel, &boot_id) == (said.kernel, &said.boot_id);
            same && release == said.keys().annotations.kernel_release && reason.starts_with(STORE)
        }
        _ => false,
    }
}

/// What the Node should say, once the kernel's objects are in the store.
pub fn wanted(host: &Host, finding: &Finding) -> Said {
    let (status, kernel) = match finding {
        Finding::NoBtf => (Status::NoBtf, None),
        Finding::Unreadable(why) => (Status::Error(why.clone()), None),
        Finding::Kernel { said, why: None } => (Status::Ready, Some(*said)),
        Finding::Kernel { said, why: Some(w) } => (Status::Error(w.clone()), Some(*said)),
    };
    Said {
        status,
        kernel,
        release: host.release.clone().filter(|r| may_be_written(r)),
        boot_id: host.boot_id.clone(),
    }
}

/// An error that says that boot ids cannot agree: it carries none.
fn unlike(why: String) -> Said {
    Said {
        status: Status::Error(why),
        kernel: None,
        release: None,
        boot_id: None,
    }
}

enum Fit {
    /// The Node's kernel is this one.
    Same,
    /// It is not, so far.
    Late(String),
    /// It will not be.
    Never(String),
}

/// Whether `nodeInfo` speaks of this host's boot, having been seen not to for some time.
fn compare(host: &Host, info: &NodeInfo, since: Duration) -> Fit {
    let Some(boot) = &host.boot_id else {
        return Fit::Never("no boot id in /proc/sys/kernel/random/boot_id: a sandbox?".to_owned());
    };
    let release = host.release.as_deref().unwrap_or("?");
    let (same_boot, same_release) = (info.boot_id == *boot, info.kernel_version == release);
    if same_boot && same_release {
        return Fit::Same;
    }
    let theirs = match info.kernel_version.as_str() {
        "" => "?",
        theirs => theirs,
    };
    if since < LATE {
        return Fit::Late(match same_release {
            true => "the Node still names another boot".to_owned(),
            false => format!("the Node still names kernel {theirs}, and {release} runs here"),
        });
    }
    match (same_boot, same_release) {
        // It is this boot, whatever it calls its release.
        (true, _) => Fit::Same,
        _ if info.boot_id.is_empty() => Fit::Never("the kubelet reports no boot id".to_owned()),
        (false, true) => Fit::Never(
            "the kubelet reports another boot id than this pod sees: a container as node?"
                .to_owned(),
        ),
        (false, false) => Fit::Never(format!(
            "a sandbox with a kernel of its own: {release} here, {theirs} on the node"
        )),
    }
}

/// Whether this Node's `nodeInfo` speaks of this host's boot and release.
pub fn fits(host: &Host, info: &NodeInfo) -> bool {
    matches!(compare(host, info, Duration::ZERO), Fit::Same)
}

#[cfg(test)]
mod tests;
