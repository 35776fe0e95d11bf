//! Events, as they are sent: `events.k8s.io/v1`, in the namespace `default`, where those about objects without a
//! namespace belong.

use super::client::{Refusal, ask};
use kube::Client;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

/// What is to be sent to the API server.
#[derive(Debug, Clone, PartialEq)]
pub enum Sending {
    /// A new Event.
    New(Value),
    /// It happened again: this merge patch of the Event of that name.
    Again(String, Value),
}

/// An Event that was not told yet. Names may have 253 characters, notes 1024 bytes: what is longer is cut.
#[derive(Debug, Clone, Copy)]
pub struct Telling<'a> {
    /// The name of the object that it is about.
    pub about: &'a str,
    /// That object, as an ObjectReference.
    pub regarding: &'a Value,
    /// `Normal` or `Warning`.
    pub kind: &'a str,
    /// One word.
    pub reason: &'a str,
    /// What was being done.
    pub action: &'a str,
    /// What happened.
    pub what: &'a str,
    /// What to do about it.
    pub advice: &'a str,
    /// The part of btfleet that tells.
    pub controller: &'a str,
    /// Which process of it.
    pub instance: &'a str,
}

impl Telling<'_> {
    /// Its name, which no other Event has, and what to send. `stamp`: now, in RFC 3339 with microseconds.
    pub fn new_event(&self, stamp: &str) -> (String, Sending) {
        let digits: String = stamp.chars().filter(char::is_ascii_digit).collect();
        let tail = format!("{}.{digits}", self.reason.to_lowercase());
        let room = 252usize.saturating_sub(tail.len());
        let about: String = self.about.chars().take(room).collect();
        let name = format!("{about}.{tail}");
        let printable = |c| if (' '..='~').contains(&c) { c } else { '?' };
        let what: String = self.what.chars().map(printable).take(800).collect();
        let instance: String = self.instance.chars().take(128).collect();
        let body = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": "default"},
            "eventTime": stamp,
            "type": self.kind,
            "reason": self.reason,
            "action": self.action,
            "note": format!("{}. {}.", what.trim_end_matches('.'), self.advice),
            "regarding": self.regarding,
            "reportingController": self.controller,
            "reportingInstance": instance,
        });
        (name, Sending::New(body))
    }
}

impl Sending {
    /// The Event of this name happened `count` times.
    pub fn again(name: &str, count: u32, stamp: &str) -> Sending {
        let series = json!({"count": count, "lastObservedTime": stamp});
        Sending::Again(name.to_owned(), json!({ "series": series }))
    }

    /// The verb of its request.
    pub fn verb(&self) -> &'static str {
        match self {
            Sending::New(_) => "create",
            Sending::Again(..) => "patch",
        }
    }

    /// Sends it, once.
    ///
    /// # Errors
    /// The API server's.
    pub async fn send(&self, client: &Client) -> Result<(), Refusal> {
        let events = Request::new("/apis/events.k8s.io/v1/namespaces/default/events");
        let request = match self {
            Sending::New(body) => {
                events.create(&PostParams::default(), body.to_string().into_bytes())
            }
            Sending::Again(name, patch) => {
                events.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            }
        };
        ask::<IgnoredAny>(client, request).await.map(|_| ())
    }
}
