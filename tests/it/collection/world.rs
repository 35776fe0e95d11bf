//! The world of the model: who there is, what they have left to do, and what must hold.

use super::controller::{Controller, Fault};
use super::objects::{
    self, CLUSTERS, KERNELS, ORIGINALS, Objects, Set, header, manifest, set, whole,
};
use super::plans::Plans;
use super::publisher::{Publisher, Who};
use std::cell::RefCell;

pub const PUBLISHERS: usize = 3;

/// What can happen, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Publishers, and the kernels that each publishes in turn ([`GONE`](super::publisher::GONE): its Node is deleted).
    pub publishers: &'static [(Who, &'static [u8])],
    /// Kernels that are stored when it begins.
    pub stored: &'static [usize],
    /// References that are there when it begins: (kernel, cluster).
    pub references: &'static [(usize, usize)],
    /// Kernels that controllers may take for unused at any time, right or wrong.
    pub targets: &'static [usize],
    /// How many collections and sweeps each cluster's controller begins.
    pub collections: [u8; CLUSTERS],
    pub sweeps: [u8; CLUSTERS],
    /// How often a controller dies (or loses its Lease, or a step fails), and a publisher.
    pub controller_crashes: [u8; CLUSTERS],
    pub publisher_crashes: u8,
    pub fault: Fault,
}

/// Everything at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub store: Set,
    pub publishers: [Publisher; PUBLISHERS],
    pub controllers: [Controller; CLUSTERS],
    pub publisher_crashes: u8,
}

/// One thing that happened: who did it, and what.
pub type Label = (&'static str, u8, What);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    Says(&'static str),
    Object(&'static str, u32),
    /// A step of a plan, by the plan's state.
    Plan(&'static str, u16),
}

/// Where the next states are gathered.
pub type Next = Vec<(State, Label)>;

pub struct World {
    pub bounds: Bounds,
    pub objects: Objects,
    pub plans: RefCell<Plans>,
    pub aside: [Set; CLUSTERS],
    /// What marks a kernel as being collected, for each cluster.
    pub aside_ref: [[Set; KERNELS]; CLUSTERS],
}

impl World {
    pub fn new(bounds: Bounds) -> World {
        let objects = Objects::new();
        World {
            bounds,
            aside: [objects.aside(0), objects.aside(1)],
            aside_ref: [0, 1]
                .map(|c| [0, 1, 2].map(|k| set(objects.aside_bit(objects::reference(k, c), c)))),
            plans: RefCell::new(Plans::new(Objects::new())),
            objects,
        }
    }

    pub fn begin(&self) -> State {
        let Bounds {
            stored, references, ..
        } = self.bounds;
        let stored = stored.iter().map(|k| whole(*k));
        let references = references.iter();
        let mut state = State {
            store: stored.fold(0, |all, one| all | one),
            publishers: [Publisher::default(); PUBLISHERS],
            controllers: [0, 1].map(|c| Controller::new(&self.bounds, c)),
            publisher_crashes: self.bounds.publisher_crashes,
        };
        for (kernel, cluster) in references {
            state.store |= set(objects::reference(*kernel, *cluster));
        }
        state
    }

    /// All that can happen next.
    pub fn next(&self, state: &State, next: &mut Next) {
        if let Some(cluster) = self.unnoticed(state) {
            return self.control(state, cluster, next);
        }
        for (number, (who, kernels)) in self.bounds.publishers.iter().enumerate() {
            self.publish(state, number, *who, kernels, next);
        }
        for cluster in 0..CLUSTERS {
            self.control(state, cluster, next);
        }
    }

    /// The cluster, if there is one, whose controller's next step nobody else can notice: it only touches what that
    /// controller has set aside, or ends a plan. Such a step need not be tried after every step of the others.
    fn unnoticed(&self, state: &State) -> Option<usize> {
        (0..CLUSTERS).find(|cluster| self.is_unnoticed(state, *cluster))
    }

    /// Whether nobody is half way: what was begun is finished, and whoever died has come back (a person need not).
    pub fn at_rest(&self, state: &State) -> bool {
        let publishers = self.bounds.publishers.iter().zip(&state.publishers);
        let mut publishers = publishers.map(|((who, _), publisher)| publisher.rests(*who));
        publishers.all(|rests| rests) && state.controllers.iter().all(Controller::rests)
    }

    /// What is wrong with a state of rest.
    pub fn wrong(&self, state: &State) -> Option<String> {
        let has = |objects: Set| state.store & objects == objects;
        for (cluster, aside) in self.aside.iter().enumerate() {
            if state.store & aside != 0 {
                return Some(format!("cluster {cluster} forgot what it set aside"));
            }
        }
        for kernel in (0..KERNELS).filter(|kernel| has(set(manifest(*kernel)))) {
            // A person who dies between finding the header and writing the manifest was told nothing, and a header
            // can be made again from the BTF; the BTF itself cannot.
            let publishers = self.bounds.publishers.iter().zip(&state.publishers);
            let mut died = publishers.filter(|((who, kernels), publisher)| {
                publisher.claims(*who, kernels) == Some((kernel, false))
            });
            let header = if died.next().is_some() {
                0
            } else {
                set(header(kernel))
            };
            if !has(set(objects::btf(kernel)) | header) {
                return Some(format!("kernel {kernel} has a manifest and not both blobs"));
            }
        }
        for (number, (who, kernels)) in self.bounds.publishers.iter().enumerate() {
            let publisher = &state.publishers[number];
            let Some((kernel, done)) = publisher.claims(*who, kernels) else {
                continue;
            };
            let missing = (whole(kernel) | set(who.claim(kernel))) & !state.store;
            if done && missing != 0 {
                let missing = self.objects.in_set(missing);
                return Some(format!(
                    "{who:?} {number} lost of kernel {kernel}: {missing:?}"
                ));
            }
        }
        None
    }

    /// What an original must never suffer, whoever acts: removed by a stranger, or with no copy set aside.
    pub fn may_remove(&self, state: &State, cluster: usize, bit: u32) -> Result<(), String> {
        let object = &self.objects.in_set(set(bit))[0];
        let mine = set(bit) & ORIGINALS == 0 || {
            let foreign = (0..KERNELS).any(|k| {
                let own = set(objects::reference(k, cluster));
                objects::claims(k) & !own & set(bit) != 0
            });
            !foreign && state.store & set(self.objects.aside_bit(bit, cluster)) != 0
        };
        match mine {
            true => Ok(()),
            false => Err(format!(
                "cluster {cluster} removes {object:?}, which is not its own or not set aside"
            )),
        }
    }

    pub fn describe(&self, label: Label) -> String {
        let (who, number, what) = label;
        let what = match what {
            What::Says(text) => text.to_owned(),
            What::Object(verb, bit) => {
                format!(
                    "{verb} {}",
                    short(&self.objects.in_set(set(bit))[0].key().to_string())
                )
            }
            What::Plan(verb, state) => {
                short(&format!("{verb}{:?}", self.plans.borrow().step(state)))
            }
        };
        format!("{who} {number}: {what}")
    }
}

/// Digests as the few digits that tell them apart.
fn short(text: &str) -> String {
    let mut out = String::new();
    let mut digits = 0;
    for c in text.chars() {
        digits = if c.is_ascii_hexdigit() { digits + 1 } else { 0 };
        match digits {
            0..=8 => out.push(c),
            9 => out.push('…'),
            _ => {}
        }
    }
    out
}
