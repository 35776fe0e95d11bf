//! Events about Nodes and KernelHeaders: each says what a person can do, and repeats are gathered.

use crate::cluster::event::{Sending, Telling};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What an Event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A Node names a kernel whose BTF is not in the store, or is wrong.
    Unverified,
    /// A Node introduces more unknown digests than a node may.
    TooManyDigests,
    /// A Node names a digest that begins like another kernel's.
    SameKernelId,
    /// What the store held of a kernel was wrong.
    Repaired,
    /// A kernel is not stored, or not what its digest says.
    NotStored,
    /// A kernel that nobody used was removed, or would have been.
    Collected,
    /// A removal was undone.
    PutBack,
}

impl Reason {
    /// Every reason there is.
    pub const ALL: [Reason; 7] = [
        Reason::Unverified,
        Reason::TooManyDigests,
        Reason::SameKernelId,
        Reason::Repaired,
        Reason::NotStored,
        Reason::Collected,
        Reason::PutBack,
    ];

    /// As `kubectl get events` shows it.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Unverified => "Unverified",
            Reason::TooManyDigests => "TooManyDigests",
            Reason::SameKernelId => "SameKernelID",
            Reason::Repaired => "Repaired",
            Reason::NotStored => "NotStored",
            Reason::Collected => "Collected",
            Reason::PutBack => "PutBack",
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Reason::Collected | Reason::PutBack => "Normal",
            _ => "Warning",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Reason::Unverified => {
                "If this lasts longer than an hour, read the log of the agent on that node: it is the one that stores BTF"
            }
            Reason::TooManyDigests => {
                "No honest agent does that: look at that node, and who has its agent's token"
            }
            Reason::SameKernelId => {
                "SHA-256 does not collide by chance: look at that node, and who has its agent's token"
            }
            Reason::Repaired => {
                "If this returns, somebody else writes to the store: see who has its credentials"
            }
            Reason::NotStored => {
                "The agents of nodes that run this kernel store it again at their next look, within an hour"
            }
            Reason::Collected => {
                "A node that runs it brings it back; the annotation btfleet.dev/pin on a KernelHeader keeps a kernel"
            }
            Reason::PutBack => "Nothing needs to be done",
        }
    }
}

/// The object that an Event is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// A Node, by name.
    Node(String),
    /// A KernelHeader, by name and uid.
    KernelHeader(String, String),
}

impl About {
    fn name(&self) -> &str {
        match self {
            About::Node(name) | About::KernelHeader(name, _) => name,
        }
    }

    fn regarding(&self) -> Value {
        match self {
            // As kubelets write it: the uid of an Event about a Node is its name.
            About::Node(name) => {
                json!({"apiVersion": "v1", "kind": "Node", "name": name, "uid": name})
            }
            About::KernelHeader(name, uid) => json!({
                "apiVersion": "btfleet.dev/v1alpha1", "kind": "KernelHeader", "name": name, "uid": uid
            }),
        }
    }
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its kind.
    pub reason: Reason,
    /// Whom it is about.
    pub about: About,
    /// What happened.
    pub what: String,
}

/// How soon the same is told again, as a count.
const AGAIN: Duration = Duration::from_secs(600);
/// An API server forgets Events after an hour, and so is done here.
const LASTS: Duration = Duration::from_secs(3600);
/// At most so many different Events are told in [`AGAIN`]: more say nothing that these do not.
const MOST: usize = 200;

#[derive(Debug)]
struct Told {
    name: String,
    sent: Instant,
    count: u32,
}

/// Remembers what was told, one Event a reason and object.
#[derive(Debug, Default)]
pub struct Recorder {
    told: BTreeMap<(Reason, About), Told>,
}

impl Recorder {
    /// It happened; gives what is to be sent, if anything. `now` decides, `stamp` (RFC 3339 with microseconds) is
    /// written, `me` tells.
    pub fn tell(&mut self, event: &Event, now: Instant, stamp: &str, me: &str) -> Option<Sending> {
        let age = |told: &Told| now.saturating_duration_since(told.sent);
        self.told.retain(|_, told| age(told) < LASTS);
        let key = (event.reason, event.about.clone());
        if let Some(told) = self.told.get_mut(&key) {
            told.count += 1;
            if age(told) < AGAIN {
                return None;
            }
            told.sent = now;
            return Some(Sending::again(&told.name, told.count, stamp));
        }
        if self.told.len() >= MOST {
            return None;
        }
        let telling = Telling {
            about: event.about.name(),
            regarding: &event.about.regarding(),
            kind: event.reason.kind(),
            reason: event.reason.word(),
            action: "Verify",
            what: &event.what,
            advice: event.reason.advice(),
            controller: "btfleet.dev/controller",
            instance: me,
        };
        let (name, sending) = telling.new_event(stamp);
        let told = Told {
            name,
            sent: now,
            count: 1,
        };
        self.told.insert(key, told);
        Some(sending)
    }

    /// The API server does not have what is to be told again.
    pub fn forget(&mut self, event: &Event) {
        self.told.remove(&(event.reason, event.about.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: &str = "2026-01-02T03:04:05.678901Z";

    fn event(node: &str) -> Event {
        Event {
            reason: Reason::TooManyDigests,
            about: About::Node(node.to_owned()),
            what: format!("é{}", "x".repeat(2000)),
        }
    }

    #[test]
    fn a_node_that_misbehaves_every_second_is_told_of_once_in_ten_minutes() {
        let mut recorder = Recorder::default();
        let start = Instant::now();
        let mut sent = 0;
        for second in 0..1800 {
            let now = start + Duration::from_secs(second);
            sent += usize::from(recorder.tell(&event("a"), now, STAMP, "me").is_some());
        }
        assert_eq!(sent, 3);
    }

    #[test]
    fn many_nodes_that_misbehave_do_not_fill_the_cluster_with_events() {
        let mut recorder = Recorder::default();
        let now = Instant::now();
        let told = (0..5000).filter(|n| {
            let node = format!("node-{n}");
            recorder.tell(&event(&node), now, STAMP, "me").is_some()
        });
        assert_eq!(told.count(), MOST);
    }

    #[test]
    fn what_an_event_holds_is_within_the_api_servers_limits() {
        let long = event(&"n".repeat(253));
        let sent = Recorder::default().tell(&long, Instant::now(), STAMP, &"m".repeat(300));
        let Some(Sending::New(body)) = sent else {
            panic!("{sent:?}");
        };
        assert!(body["metadata"]["name"].as_str().unwrap().len() <= 253);
        assert!(body["note"].as_str().unwrap().len() <= 1024);
        assert!(body["reportingInstance"].as_str().unwrap().len() <= 128);
    }
}
