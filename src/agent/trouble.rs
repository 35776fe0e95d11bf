//! What keeps an agent from its work, and whether waiting helps.

use super::event::Reason;
use crate::cluster::client::{Answer, Refusal};
use crate::store::{self, PublishError, Store};
use std::time::Duration;

/// What went wrong in one look.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}")]
pub struct Trouble {
    /// What went wrong, for a person.
    pub what: String,
    /// Waiting alone will hardly help: somebody must do something.
    pub lasts: bool,
    /// How long a server asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The kind of Event that it is worth.
    pub reason: Option<Reason>,
    /// It is the store's.
    pub of_store: bool,
    /// The Node is not the one that was looked at.
    pub is_conflict: bool,
}

impl Trouble {
    fn new(what: String) -> Trouble {
        Trouble {
            what,
            lasts: false,
            retry_after: None,
            reason: None,
            of_store: false,
            is_conflict: false,
        }
    }

    /// The API server did not give, or take, the Node.
    pub(super) fn of_node(name: &str, e: Refusal) -> Trouble {
        let what = match e.answer {
            Answer::Absent => format!("there is no Node {name}: is --node-name right?"),
            Answer::Forbidden => format!(
                "{e}: is this the agent's own Node, and are its role and admission policy as shipped?"
            ),
            _ => e.to_string(),
        };
        let lasts = matches!(
            e.answer,
            Answer::Forbidden | Answer::Invalid | Answer::Other
        );
        Trouble {
            lasts,
            retry_after: e.retry_after,
            reason: lasts.then_some(Reason::NodeRefused),
            is_conflict: e.answer == Answer::Conflict,
            ..Trouble::new(what)
        }
    }

    /// The API server did not give the cluster's id.
    pub(super) fn of_id(e: Refusal) -> Trouble {
        let lasts = !matches!(e.answer, Answer::Away);
        Trouble {
            lasts,
            retry_after: e.retry_after,
            ..Trouble::new(format!(
                "the cluster's id is not known: {e} (--cluster-id can give it)"
            ))
        }
    }

    /// The store failed.
    pub(super) fn of_store(e: store::Error) -> Trouble {
        let is_away = e.is_transient();
        let retry_after = match &e {
            store::Error::Away { retry_after, .. } => *retry_after,
            _ => None,
        };
        Trouble {
            lasts: !is_away,
            retry_after,
            reason: Some(match is_away {
                true => Reason::StoreAway,
                false => Reason::StoreRefused,
            }),
            of_store: true,
            ..Trouble::new(e.to_string())
        }
    }

    /// The kernel was not published.
    pub(super) fn of_publishing(e: PublishError) -> Trouble {
        match e {
            PublishError::Store(e) => Trouble::of_store(e),
            e => Trouble {
                lasts: !e.is_transient(),
                of_store: true,
                ..Trouble::new(e.to_string())
            },
        }
    }

    /// What is published does not stay.
    pub(super) fn vanishing(store: &dyn Store) -> Trouble {
        Trouble {
            lasts: true,
            reason: Some(Reason::StoreRefused),
            of_store: true,
            ..Trouble::new(format!(
                "what is written to {} is gone again: is something else removing objects there?",
                store.place()
            ))
        }
    }

    /// The Node does not stay as it was patched.
    pub(super) fn restless(name: &str) -> Trouble {
        Trouble {
            lasts: true,
            reason: Some(Reason::NodeRefused),
            ..Trouble::new(format!(
                "Node {name} does not keep what is written: is a webhook changing it?"
            ))
        }
    }
}
