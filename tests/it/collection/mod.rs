//! Collection, searched exhaustively: the plans that the controller runs, against publishers, other clusters and
//! crashes, a request at a time.
//!
//! What is searched. Every request of everybody is a step of its own (but for those that nobody else can notice), and
//! any order of steps is tried. A controller may take any kernel for unused at any time: so late is what it watches.
//! Whoever dies may do so between any two requests; the one that was on its way may take effect until the next leader
//! begins, or never. Then the next leader comes, and agents come back; people do not.
//!
//! What must hold, whenever nobody is half way: a manifest has both blobs; whoever was told that a kernel is published
//! (a Node, a person) finds its reference, manifest, index entry and blobs there; nothing is left set aside. Always: a
//! controller removes nothing that is another's, or that it has not set aside.
//!
//! `BTFLEET_MODEL=large` (`make model`) searches more.

mod controller;
mod objects;
mod plans;
mod publisher;
mod rules;
mod search;
mod world;

use controller::Fault;
use publisher::{GONE, Who};
use search::search;
use world::{Bounds, World};

/// A kernel that is stored and whose only claim is a reference of cluster 0, which collects it once.
const ONE: Bounds = Bounds {
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

/// The same with a reference of both clusters: both collect it.
const TWO: Bounds = Bounds {
    references: &[(0, 0), (0, 1)],
    collections: [1, 1],
    ..ONE
};

/// The same, but cluster 0 has left its reference to cluster 1 before.
const LEFT: Bounds = Bounds {
    references: &[(0, 1)],
    ..TWO
};

const AGENT: (Who, &[u8]) = (Who::Agent(0), &[0]);
const OTHER: (Who, &[u8]) = (Who::Agent(1), &[0]);
const PERSON: (Who, &[u8]) = (Who::Person, &[0]);
/// Kernel 1, which shares its header with kernel 0.
const TWIN: (Who, &[u8]) = (Who::Agent(0), &[1]);

/// Searches these worlds, and in `make model` the larger ones too.
fn nothing_is_lost(worlds: &[(&str, Bounds)], larger: &[(&str, Bounds)]) {
    let large = std::env::var("BTFLEET_MODEL").is_ok_and(|size| size == "large");
    let larger = if large { larger } else { &[] };
    for (name, bounds) in worlds.iter().chain(larger) {
        let found = search(name, &World::new(*bounds));
        assert!(found.wrong.is_none(), "{}", found.wrong.unwrap_or_default());
        assert!(found.resting > 1, "{name}: nothing ever ends");
    }
}

#[test]
fn one_cluster_loses_no_kernel_that_is_published_while_it_is_collected() {
    nothing_is_lost(
        &[
            (
                "an agent that comes and goes, two collections",
                Bounds {
                    publishers: &[(Who::Agent(0), &[0, GONE])],
                    collections: [2, 0],
                    ..ONE
                },
            ),
            (
                "an agent, two collections, three crashes",
                Bounds {
                    publishers: &[AGENT],
                    collections: [2, 0],
                    controller_crashes: [2, 0],
                    publisher_crashes: 1,
                    ..ONE
                },
            ),
            (
                "an agent and a person, two crashes",
                Bounds {
                    publishers: &[AGENT, PERSON],
                    controller_crashes: [1, 0],
                    publisher_crashes: 1,
                    ..ONE
                },
            ),
            (
                "nothing stored yet, an agent and a person, a crash",
                Bounds {
                    publishers: &[AGENT, PERSON],
                    stored: &[],
                    controller_crashes: [1, 0],
                    ..ONE
                },
            ),
        ],
        &[
            (
                "two agents and a person, a crash",
                Bounds {
                    publishers: &[AGENT, AGENT, PERSON],
                    controller_crashes: [1, 0],
                    ..ONE
                },
            ),
            (
                "an agent and a person, two collections, three crashes",
                Bounds {
                    publishers: &[AGENT, PERSON],
                    collections: [2, 0],
                    controller_crashes: [2, 0],
                    publisher_crashes: 1,
                    ..ONE
                },
            ),
        ],
    );
}

#[test]
fn two_clusters_that_collect_the_same_kernel_lose_nothing() {
    let agent = Bounds {
        publishers: &[AGENT],
        ..TWO
    };
    nothing_is_lost(
        &[
            (
                "two clusters, an agent, a crash in the first",
                Bounds {
                    controller_crashes: [1, 0],
                    publisher_crashes: 1,
                    ..agent
                },
            ),
            (
                "two clusters, an agent, a crash in the second",
                Bounds {
                    controller_crashes: [0, 1],
                    ..agent
                },
            ),
            (
                "two clusters, one of them back, an agent, a crash in each",
                Bounds {
                    publishers: &[AGENT],
                    controller_crashes: [1, 1],
                    ..LEFT
                },
            ),
            (
                "two clusters, a person, a crash in each",
                Bounds {
                    publishers: &[PERSON],
                    controller_crashes: [1, 1],
                    ..LEFT
                },
            ),
            (
                "two clusters, an agent in each",
                Bounds {
                    publishers: &[AGENT, OTHER],
                    ..TWO
                },
            ),
        ],
        &[
            (
                "two clusters, an agent, two collections in each",
                Bounds {
                    collections: [2, 2],
                    ..agent
                },
            ),
            (
                "two clusters, an agent, a crash in each",
                Bounds {
                    controller_crashes: [1, 1],
                    ..agent
                },
            ),
            (
                "two clusters, an agent in each, a crash",
                Bounds {
                    publishers: &[AGENT, OTHER],
                    controller_crashes: [1, 0],
                    ..TWO
                },
            ),
        ],
    );
}

#[test]
fn a_header_that_kernels_share_is_there_as_long_as_one_of_them_is() {
    let sweep = Bounds {
        publishers: &[TWIN],
        sweeps: [1, 0],
        ..ONE
    };
    nothing_is_lost(
        &[
            (
                "a sweep while a kernel goes and its twin comes, two crashes",
                Bounds {
                    controller_crashes: [1, 0],
                    publisher_crashes: 1,
                    ..sweep
                },
            ),
            (
                "a sweep in each cluster, a crash in each",
                Bounds {
                    sweeps: [1, 1],
                    controller_crashes: [1, 1],
                    ..sweep
                },
            ),
            (
                "a sweep in each cluster, a person, a crash",
                Bounds {
                    publishers: &[(Who::Person, &[1])],
                    sweeps: [1, 1],
                    controller_crashes: [0, 1],
                    publisher_crashes: 1,
                    ..sweep
                },
            ),
            (
                "twins that go, a node that boots all three kernels in turn",
                Bounds {
                    publishers: &[(Who::Agent(0), &[2, 1, 0])],
                    stored: &[0, 1],
                    targets: &[0, 1],
                    collections: [2, 0],
                    ..sweep
                },
            ),
        ],
        &[(
            "twins that go, a node that boots all three kernels in turn, a crash",
            Bounds {
                publishers: &[(Who::Agent(0), &[2, 1, 0])],
                stored: &[0, 1],
                targets: &[0, 1],
                collections: [2, 0],
                controller_crashes: [1, 0],
                ..sweep
            },
        )],
    );
}

/// Searches a world that breaks a rule, until something is lost.
fn is_lost(name: &str, bounds: Bounds) {
    let found = search(name, &World::new(bounds));
    let wrong = found.wrong.expect("this rule is good for nothing");
    assert!(wrong.contains("lost of kernel 0"), "{wrong}");
    println!("{wrong}");
}

#[test]
fn without_the_last_look_kernels_are_lost() {
    for publishers in [&[AGENT], &[PERSON]] {
        let fault = Fault::NoLastLook;
        is_lost(
            "no last look",
            Bounds {
                publishers,
                fault,
                ..ONE
            },
        );
    }
}

#[test]
fn without_putting_back_kernels_are_lost() {
    for publishers in [&[AGENT], &[PERSON]] {
        let fault = Fault::NoPutBack;
        is_lost(
            "no put-back",
            Bounds {
                publishers,
                fault,
                ..ONE
            },
        );
    }
}

#[test]
fn what_is_set_aside_in_memory_dies_with_its_holder() {
    let in_memory = Bounds {
        publishers: &[PERSON],
        controller_crashes: [1, 0],
        fault: Fault::InMemory,
        ..ONE
    };
    is_lost("set aside in memory", in_memory);
}

#[test]
fn collectors_that_do_not_see_each_other_lose_kernels() {
    let unseen = Bounds {
        publishers: &[AGENT],
        fault: Fault::NoMark,
        ..LEFT
    };
    is_lost("no mark", unseen);
}

#[test]
fn a_publisher_that_does_not_look_at_its_reference_first_can_be_deceived() {
    let at_once = Bounds {
        publishers: &[AGENT],
        collections: [2, 1],
        fault: Fault::LookAtOnce,
        ..TWO
    };
    is_lost("the reference is not looked at first", at_once);
}
