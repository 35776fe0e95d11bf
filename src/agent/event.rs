//! Events about the agent's own Node: each says what a person can do, and repeats are gathered.

use crate::cluster::event::{Sending, Telling};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// What an Event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The kernel was built without BTF.
    NoBtf,
    /// Its BTF cannot be read, or no header can be made of it.
    UnreadableBtf,
    /// Boot ids cannot agree.
    BootMismatch,
    /// The store's manifest says something else than this node's kernel.
    ManifestDisagrees,
    /// The store says no.
    StoreRefused,
    /// The store does not answer.
    StoreAway,
    /// The API server refuses the patch of the Node.
    NodeRefused,
}

impl Reason {
    /// Every reason there is.
    pub const ALL: [Reason; 7] = [
        Reason::NoBtf,
        Reason::UnreadableBtf,
        Reason::BootMismatch,
        Reason::ManifestDisagrees,
        Reason::StoreRefused,
        Reason::StoreAway,
        Reason::NodeRefused,
    ];

    /// As `kubectl get events` shows it.
    pub fn word(self) -> &'static str {
        match self {
            Reason::NoBtf => "NoBTF",
            Reason::UnreadableBtf => "UnreadableBTF",
            Reason::BootMismatch => "BootMismatch",
            Reason::ManifestDisagrees => "ManifestDisagrees",
            Reason::StoreRefused => "StoreRefused",
            Reason::StoreAway => "StoreAway",
            Reason::NodeRefused => "NodeRefused",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Reason::NoBtf => {
                "Use a kernel with CONFIG_DEBUG_INFO_BTF=y; eBPF programs that need types cannot run on this node"
            }
            Reason::UnreadableBtf => {
                "The raw BTF is kept in the store where it could be hashed: report it with the btf-digest"
            }
            Reason::BootMismatch => {
                "Run the agent with the node's own runtime class, and the kubelet where it sees the kernel's boot id"
            }
            Reason::ManifestDisagrees => {
                "The controller judges it; if this returns, somebody else writes to the store"
            }
            Reason::StoreRefused => {
                "`btfleet store doctor` with the agent's settings tells which permission or setting is wrong"
            }
            Reason::StoreAway => "The agent goes on trying; see that nodes reach the store",
            Reason::NodeRefused => {
                "See that the chart's ClusterRole, its binding and its admission policies are as shipped"
            }
        }
    }
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its kind.
    pub reason: Reason,
    /// What happened.
    pub what: String,
}

/// The Node that Events are about, and who tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The Node's name.
    pub node: String,
    /// Its uid.
    pub uid: String,
}

/// How soon an Event of the same kind and words is sent again, as a count.
const AGAIN: Duration = Duration::from_secs(600);
/// How soon an Event of the same kind and other words is sent.
const OTHER: Duration = Duration::from_secs(60);

/// Remembers what was told, one Event of a kind, so that an API server is not told the same over and over.
#[derive(Debug, Default)]
pub struct Recorder {
    told: BTreeMap<Reason, Told>,
}

#[derive(Debug)]
struct Told {
    what: String,
    name: String,
    sent: Instant,
    count: u32,
}

impl Recorder {
    /// It happened; gives what is to be sent, if anything. `now` decides, `stamp` (RFC 3339 with
    /// microseconds) is written.
    pub fn tell(
        &mut self,
        event: &Event,
        about: &About,
        now: Instant,
        stamp: &str,
    ) -> Option<Sending> {
        if let Some(told) = self.told.get_mut(&event.reason) {
            told.count += 1;
            let same = told.what == event.what;
            let passed = now.saturating_duration_since(told.sent);
            if passed < if same { AGAIN } else { OTHER } {
                return None;
            }
            if same {
                told.sent = now;
                return Some(Sending::again(&told.name, told.count, stamp));
            }
        }
        let regarding =
            json!({"apiVersion": "v1", "kind": "Node", "name": about.node, "uid": about.uid});
        let telling = Telling {
            about: &about.node,
            regarding: &regarding,
            kind: "Warning",
            reason: event.reason.word(),
            action: "Publish",
            what: &event.what,
            advice: event.reason.advice(),
            controller: "btfleet.dev/agent",
            instance: &about.node,
        };
        let (name, sending) = telling.new_event(stamp);
        let told = Told {
            what: event.what.clone(),
            name,
            sent: now,
            count: 1,
        };
        self.told.insert(event.reason, told);
        Some(sending)
    }

    /// The API server no longer has an Event of this kind (they last an hour): the next is a new one.
    pub fn forget(&mut self, reason: Reason) {
        self.told.remove(&reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: &str = "2026-01-02T03:04:05.678901Z";

    fn about() -> About {
        About {
            node: "a".to_owned(),
            uid: "u".to_owned(),
        }
    }

    fn event(what: &str) -> Event {
        Event {
            reason: Reason::StoreAway,
            what: what.to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn repeats_are_gathered_and_what_is_new_is_told_within_a_minute() {
        let mut recorder = Recorder::default();
        let mut after = async |seconds, what: &str| {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            recorder.tell(&event(what), &about(), Instant::now(), STAMP)
        };
        assert!(matches!(after(0, "x").await, Some(Sending::New(_))));
        for _ in 0..59 {
            assert_eq!(after(10, "x").await, None);
        }
        let again = after(10, "x").await;
        let Some(Sending::Again(name, patch)) = again else {
            panic!("{again:?}");
        };
        assert_eq!(name, "a.storeaway.20260102030405678901");
        assert_eq!(
            patch,
            json!({"series": {"count": 61, "lastObservedTime": STAMP}})
        );
        assert_eq!(after(59, "y").await, None);
        assert!(matches!(after(1, "y").await, Some(Sending::New(_))));
        // The old one is gone from the API server.
        recorder.forget(Reason::StoreAway);
        let new = recorder.tell(&event("y"), &about(), Instant::now(), STAMP);
        assert!(matches!(new, Some(Sending::New(_))));
    }

    #[test]
    fn what_an_event_holds_is_within_the_api_servers_limits() {
        let long = About {
            node: "n".repeat(253),
            uid: "u".to_owned(),
        };
        for reason in Reason::ALL {
            let event = Event {
                reason,
                what: "é\n".repeat(2000),
            };
            let told = Recorder::default().tell(&event, &long, Instant::now(), STAMP);
            let Some(Sending::New(body)) = told else {
                panic!("{told:?}");
            };
            let len = |field: &str| body[field].as_str().unwrap().len();
            assert!(len("note") <= 1024 && len("reportingInstance") <= 128);
            let name = body["metadata"]["name"].as_str().unwrap();
            assert!(name.len() <= 253 && name.is_ascii());
            assert!(
                body["note"]
                    .as_str()
                    .unwrap()
                    .ends_with(&format!("{}.", reason.advice()))
            );
        }
    }
}
