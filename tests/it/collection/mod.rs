//! Collection, searched exhaustively: the plans that the controller runs, against publishers, other clusters and
//! crashes, a request at a time.

mod controller;
mod objects;
mod plans;
mod publisher;
mod search;
mod world;

use controller::Fault;
use publisher::{GONE, Who};
use search::search;
use world::{Bounds, World};

const NONE: Bounds = Bounds {
    publishers: &[],
    stored: &[0],
    references: &[(0, 0)],
    targets: &[0],
    collections: [1, 0],
    sweeps: [0, 0],
    controller_crashes: [0, 0],
    publisher_crashes: 0,
    fault: Fault::None,
};

fn holds(name: &str, bounds: Bounds) {
    let found = search(name, &World::new(bounds));
    assert!(found.wrong.is_none(), "{}", found.wrong.unwrap_or_default());
    assert!(found.resting > 1);
}

const AGENT: (Who, &[u8]) = (Who::Agent(0), &[0]);
const OTHER: (Who, &[u8]) = (Who::Agent(1), &[0]);
const PERSON: (Who, &[u8]) = (Who::Person, &[0]);
const BOTH: &[(usize, usize)] = &[(0, 0), (0, 1)];

#[test]
fn one_cluster() {
    holds(
        "agent",
        Bounds {
            publishers: &[(Who::Agent(0), &[0, GONE])],
            collections: [2, 0],
            ..NONE
        },
    );
    holds(
        "agent, crashes",
        Bounds {
            publishers: &[AGENT],
            collections: [2, 0],
            controller_crashes: [2, 0],
            publisher_crashes: 1,
            ..NONE
        },
    );
    holds(
        "agent+person",
        Bounds {
            publishers: &[AGENT, PERSON],
            collections: [2, 0],
            ..NONE
        },
    );
    holds(
        "agent+person, crash",
        Bounds {
            publishers: &[AGENT, PERSON],
            collections: [1, 0],
            controller_crashes: [1, 0],
            publisher_crashes: 1,
            ..NONE
        },
    );
}

#[test]
fn two_clusters() {
    holds(
        "2 clusters",
        Bounds {
            publishers: &[AGENT],
            references: BOTH,
            collections: [1, 1],
            ..NONE
        },
    );
    holds(
        "2 clusters, crash",
        Bounds {
            publishers: &[AGENT],
            references: BOTH,
            collections: [1, 1],
            controller_crashes: [1, 0],
            ..NONE
        },
    );
    holds(
        "2 clusters, crash 2",
        Bounds {
            publishers: &[AGENT],
            references: BOTH,
            collections: [1, 1],
            controller_crashes: [0, 1],
            ..NONE
        },
    );
    holds(
        "2 clusters, person, crash",
        Bounds {
            publishers: &[PERSON],
            references: BOTH,
            collections: [1, 1],
            controller_crashes: [1, 0],
            ..NONE
        },
    );
    holds(
        "2 clusters, 2 each",
        Bounds {
            publishers: &[AGENT],
            references: BOTH,
            collections: [2, 2],
            ..NONE
        },
    );
    holds(
        "2 clusters, agent each",
        Bounds {
            publishers: &[AGENT, OTHER],
            references: BOTH,
            collections: [1, 1],
            ..NONE
        },
    );
    holds(
        "2 clusters, agent+person",
        Bounds {
            publishers: &[AGENT, PERSON],
            references: BOTH,
            collections: [1, 1],
            ..NONE
        },
    );
}

#[test]
fn sweeps() {
    holds(
        "sweep",
        Bounds {
            publishers: &[(Who::Agent(0), &[1])],
            collections: [1, 0],
            sweeps: [1, 0],
            ..NONE
        },
    );
    holds(
        "sweep crash",
        Bounds {
            publishers: &[(Who::Agent(0), &[1])],
            collections: [1, 0],
            sweeps: [1, 0],
            controller_crashes: [1, 0],
            ..NONE
        },
    );
    holds(
        "sweeps",
        Bounds {
            publishers: &[(Who::Agent(0), &[1])],
            collections: [1, 0],
            sweeps: [1, 1],
            ..NONE
        },
    );
    holds(
        "sweeps, crash",
        Bounds {
            publishers: &[(Who::Agent(0), &[1])],
            collections: [1, 0],
            sweeps: [1, 1],
            controller_crashes: [1, 0],
            ..NONE
        },
    );
    holds(
        "sweeps, person",
        Bounds {
            publishers: &[(Who::Person, &[1])],
            collections: [1, 0],
            sweeps: [1, 1],
            controller_crashes: [0, 1],
            ..NONE
        },
    );
    holds(
        "sweep + reboot",
        Bounds {
            publishers: &[(Who::Agent(0), &[2, 1, 0])],
            targets: &[0, 1],
            collections: [2, 0],
            sweeps: [1, 0],
            ..NONE
        },
    );
}
