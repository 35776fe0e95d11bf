//! Whoever publishes: an agent for its Node, or a person under a pin. As `store::publish` and the agent go about it:
//! reference → is there a manifest? → both blobs → manifest → index → (agent) its Node → look at the reference, then at
//! the rest, at once; anything missing: again from the reference. Each line is one request, and anything may come in between.

use super::controller::Fault;
use super::objects::{Set, btf, header, index, manifest, pin, reference, set};
use super::world::{Next, State, What, World};

/// In place of a kernel: the Node is deleted.
pub const GONE: u8 = 255;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// Of a Node of this cluster.
    Agent(usize),
    Person,
}

impl Who {
    /// The reference it creates.
    pub fn claim(self, kernel: usize) -> u32 {
        match self {
            Who::Agent(cluster) => reference(kernel, cluster),
            Who::Person => pin(kernel),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Who::Agent(_) => "agent",
            Who::Person => "person",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum At {
    /// Has not begun, or has done what it began last.
    #[default]
    Idle,
    Reference,
    Sign,
    /// Which blobs are left to be made.
    Blobs(u8),
    Manifest,
    Index,
    Node,
    /// Which of the five objects are left to be looked at: in any order, since all are asked for at once.
    Looking(u8),
    Dead,
    /// Its Node was deleted.
    Gone,
}

const ALL: u8 = 0b11111;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Publisher {
    at: At,
    /// There was a manifest when it looked.
    sign: bool,
    /// How many kernels it has begun.
    turn: u8,
    /// What its Node says: a kernel's number and 1.
    node: u8,
    /// What was on its way when it died: an object's number and 1; [`PATCH`].
    late: u8,
}

const PATCH: u8 = 255;

impl Publisher {
    pub fn rests(&self, who: Who) -> bool {
        let over = self.at == At::Idle || self.at == At::Gone;
        (over || (self.at == At::Dead && who == Who::Person)) && self.late == 0
    }

    /// What its Node, or a person's finished or unfinished publishing claims; and whether it was told that all is well.
    pub fn claims(&self, who: Who, kernels: &[u8]) -> Option<(usize, bool)> {
        match who {
            Who::Agent(_) => self.names().map(|kernel| (kernel, self.at == At::Idle)),
            Who::Person => {
                let kernel = kernels.get(usize::from(self.turn.checked_sub(1)?))?;
                Some((usize::from(*kernel), self.at == At::Idle))
            }
        }
    }

    /// What its Node says.
    pub fn names(&self) -> Option<usize> {
        self.node.checked_sub(1).map(usize::from)
    }
}

impl World {
    pub(super) fn publish(
        &self,
        state: &State,
        number: usize,
        who: Who,
        kernels: &[u8],
        next: &mut Next,
    ) {
        let me = state.publishers[number];
        let mut push = |store: Set, publisher: Publisher, what: What| {
            let mut state = State { store, ..*state };
            state.publishers[number] = publisher;
            next.push((state, (who.name(), number as u8, what)));
        };
        let same = state.store;
        let has = |bit: u32| same & set(bit) != 0;

        if me.late != 0 {
            let landed = Publisher { late: 0, ..me };
            match me.late {
                PATCH => {
                    let kernel = kernels[usize::from(me.turn - 1)];
                    let node = kernel + 1;
                    push(
                        same,
                        Publisher { node, ..landed },
                        What::Says("its last patch lands"),
                    );
                }
                object => {
                    let bit = u32::from(object - 1);
                    push(same | set(bit), landed, What::Object("lands late:", bit));
                }
            }
        }
        if matches!(me.at, At::Idle) {
            let Some(kernel) = kernels.get(usize::from(me.turn)) else {
                return;
            };
            let turn = me.turn + 1;
            match *kernel {
                GONE => {
                    let gone = Publisher {
                        at: At::Gone,
                        turn,
                        ..Publisher::default()
                    };
                    push(same, gone, What::Says("its Node is deleted"));
                }
                _ => {
                    let begun = Publisher {
                        at: At::Reference,
                        turn,
                        ..me
                    };
                    push(same, begun, What::Says("begins"));
                }
            }
            return;
        }
        let Some(kernel) = me
            .turn
            .checked_sub(1)
            .map(|turn| usize::from(kernels[usize::from(turn)]))
        else {
            return;
        };
        let claim = who.claim(kernel);
        let five = [
            claim,
            btf(kernel),
            header(kernel),
            manifest(kernel),
            index(kernel),
        ];
        let to = |at: At| Publisher { at, ..me };
        let mut on_its_way: [u8; 2] = [0; 2]; // objects' numbers and 1
        match me.at {
            At::Idle | At::Gone => return,
            At::Dead => {
                // A restart: where the Node says the same, it looks first.
                if let Who::Agent(_) = who {
                    let at = match me.names() == Some(kernel) {
                        true => At::Looking(ALL),
                        false => At::Reference,
                    };
                    push(
                        same,
                        Publisher {
                            at,
                            late: 0,
                            sign: false,
                            ..me
                        },
                        What::Says("is back"),
                    );
                }
                return;
            }
            At::Reference => {
                on_its_way[0] = claim as u8 + 1;
                push(same | set(claim), to(At::Sign), What::Object("puts", claim));
            }
            At::Sign => {
                let sign = has(manifest(kernel));
                // A header that is there and that nobody removes need not be found again and again.
                let stays = has(header(kernel)) && self.bounds.sweeps == [0, 0];
                let left = if stays { 0b01 } else { 0b11 };
                let says = match sign {
                    true => "finds a manifest",
                    false => "finds no manifest",
                };
                push(
                    same,
                    Publisher {
                        sign,
                        at: At::Blobs(left),
                        ..me
                    },
                    What::Says(says),
                );
            }
            At::Blobs(left) => {
                for (number, bit) in [btf(kernel), header(kernel)].into_iter().enumerate() {
                    if left & 1 << number == 0 {
                        continue;
                    }
                    let at = match left & !(1 << number) {
                        0 => match me.sign {
                            true => At::Index,
                            false => At::Manifest,
                        },
                        left => At::Blobs(left),
                    };
                    if !has(bit) {
                        on_its_way[number] = bit as u8 + 1;
                    }
                    push(
                        same | set(bit),
                        to(at),
                        What::Object(if has(bit) { "finds" } else { "puts" }, bit),
                    );
                }
            }
            At::Manifest => {
                let bit = manifest(kernel);
                on_its_way[0] = bit as u8 + 1;
                push(same | set(bit), to(At::Index), What::Object("puts", bit));
            }
            At::Index => {
                let bit = index(kernel);
                on_its_way[0] = bit as u8 + 1;
                let at = match who {
                    Who::Agent(_) => At::Node,
                    Who::Person => At::Looking(ALL),
                };
                push(same | set(bit), to(at), What::Object("puts", bit));
            }
            At::Node => {
                on_its_way[0] = PATCH;
                let node = kernel as u8 + 1;
                let patched = Publisher {
                    node,
                    at: At::Looking(ALL),
                    ..me
                };
                push(same, patched, What::Says("patches its Node"));
            }
            At::Looking(left) => {
                // The reference comes first: objects count that were there while it was. The others are asked for at
                // once, and answered in any order. Seeing one sooner than it might be seen takes no way out away: as
                // long as nothing is seen, any of them may be missed.
                let at_once = self.bounds.fault == Fault::LookAtOnce;
                let later = if left & 1 != 0 && !at_once {
                    left & !1
                } else {
                    0
                };
                let left = (0..5).filter(|n| (left & !later) & 1 << n != 0);
                let (there, gone): (Vec<usize>, Vec<usize>) = left.partition(|n| has(five[*n]));
                if !there.is_empty() {
                    let left = later | gone.iter().map(|n| 1 << n).sum::<u8>();
                    let (at, says) = match left {
                        0 => (At::Idle, "sees all of it"),
                        left => (At::Looking(left), "sees some of it"),
                    };
                    push(
                        same,
                        Publisher {
                            at,
                            sign: false,
                            ..me
                        },
                        What::Says(says),
                    );
                }
                if let Some(gone) = gone.first() {
                    let again = Publisher {
                        at: At::Reference,
                        sign: false,
                        ..me
                    };
                    push(same, again, What::Object("misses", five[*gone]));
                }
            }
        }
        if state.publisher_crashes > 0 {
            for late in [0]
                .into_iter()
                .chain(on_its_way.into_iter().filter(|late| *late != 0))
            {
                let mut state = *state;
                state.publisher_crashes -= 1;
                state.publishers[number] = Publisher {
                    at: At::Dead,
                    late,
                    sign: false,
                    ..me
                };
                next.push((state, (who.name(), number as u8, What::Says("dies"))));
            }
        }
    }
}
