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
    controller_crashes: 0,
    publisher_crashes: 0,
    fault: Fault::None,
};

fn holds(name: &str, bounds: Bounds) {
    let found = search(name, &World::new(bounds));
    assert!(found.wrong.is_none(), "{}", found.wrong.unwrap_or_default());
    assert!(found.resting > 1);
}

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
            publishers: &[(Who::Agent(0), &[0])],
            collections: [2, 0],
            controller_crashes: 1,
            publisher_crashes: 1,
            ..NONE
        },
    );
    holds(
        "agent+person",
        Bounds {
            publishers: &[(Who::Agent(0), &[0]), (Who::Person, &[0])],
            collections: [1, 0],
            ..NONE
        },
    );
    holds(
        "agent+person, crash",
        Bounds {
            publishers: &[(Who::Agent(0), &[0]), (Who::Person, &[0])],
            collections: [1, 0],
            controller_crashes: 1,
            ..NONE
        },
    );
}

#[test]
fn two_clusters() {
    holds(
        "2 clusters",
        Bounds {
            publishers: &[(Who::Agent(0), &[0])],
            references: &[(0, 0), (0, 1)],
            collections: [1, 1],
            ..NONE
        },
    );
    holds(
        "2 clusters, agent each",
        Bounds {
            publishers: &[(Who::Agent(0), &[0]), (Who::Agent(1), &[0])],
            references: &[(0, 0), (0, 1)],
            collections: [1, 1],
            ..NONE
        },
    );
    holds(
        "2 clusters, crash",
        Bounds {
            publishers: &[(Who::Agent(0), &[0])],
            references: &[(0, 0), (0, 1)],
            collections: [1, 1],
            controller_crashes: 1,
            ..NONE
        },
    );
}
