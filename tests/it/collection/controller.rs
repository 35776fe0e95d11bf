//! A cluster's controller: the loop around the plans, a request at a time.

use super::objects::{
    CLUSTERS, HEADERS, KERNELS, ORIGINALS, Set, claims, header_number, manifest, reference, set,
};
use super::plans::{Answer, Ask};
use super::publisher::Who;
use super::world::{Bounds, Next, State, What, World};
use btfleet::controller::collect::{Claims, Outcome};

/// A rule that the model breaks, to see what it is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fault {
    #[default]
    None,
    /// The look after the removal is not made: it is taken to have found nothing.
    NoLastLook,
    /// What was set aside is not put back.
    NoPutBack,
    /// What is set aside is in memory only: whoever dies takes it along.
    InMemory,
    /// That another cluster is collecting the same kernel is not seen.
    NoMark,
    /// Publishers look at the reference and at all else at the same time.
    LookAtOnce,
}

const NOBODY: u16 = u16::MAX;
const IDLE: u16 = u16::MAX - 1;

/// The controller that leads in a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Controller {
    /// The state of the plan that runs; [`IDLE`]; [`NOBODY`] where the next leader is still to come.
    plan: u16,
    /// What a step of several requests has found so far.
    half: u16,
    /// The removal of the plan that runs has begun.
    removed: bool,
    /// What was on its way when the last leader died: an object's number and 1, and whether it is removed.
    late: (u8, bool),
    collections: u8,
    sweeps: u8,
    crashes: u8,
}

impl Controller {
    pub fn new(bounds: &Bounds, cluster: usize) -> Controller {
        Controller {
            plan: IDLE,
            half: 0,
            removed: false,
            late: (0, false),
            collections: bounds.collections[cluster],
            sweeps: bounds.sweeps[cluster],
            crashes: bounds.controller_crashes[cluster],
        }
    }

    pub fn rests(&self) -> bool {
        self.plan == IDLE
    }
}

/// Bits of [`Controller::half`] while looking.
const REFS_READ: u16 = 1;
const OWN: u16 = 2;
const OTHERS: u16 = 4;
const NODES_READ: u16 = 8;
const NAMED: u16 = 16;
const ASIDE_READ: u16 = 32;
const RIVAL: u16 = 64;
const MANIFESTS_READ: u16 = 128;
const PUBLISHED: u16 = 256;
const ALL_READ: u16 = REFS_READ | NODES_READ | ASIDE_READ | MANIFESTS_READ;

impl World {
    fn named(&self, state: &State, cluster: usize, kernel: usize) -> bool {
        let publishers = self.bounds.publishers.iter().zip(&state.publishers);
        let mut agents = publishers.filter(|((who, _), _)| *who == Who::Agent(cluster));
        agents.any(|(_, agent)| agent.names() == Some(kernel))
    }

    /// Whether nobody else can notice the next step of this cluster's controller, or change what comes of it.
    pub(super) fn is_unnoticed(&self, state: &State, cluster: usize) -> bool {
        let plan = state.controllers[cluster].plan;
        if plan == IDLE || plan == NOBODY {
            return false;
        }
        match self.plans.borrow().ask(plan) {
            Ask::Put(bit) | Ask::Remove(bit) => {
                // The mark is what the other cluster looks for.
                let mark = self.aside_ref[cluster].iter().sum::<Set>();
                set(bit) & (ORIGINALS | mark) == 0
            }
            Ask::Forget | Ask::End(_) => true,
            _ => false,
        }
    }

    pub(super) fn control(&self, state: &State, cluster: usize, next: &mut Next) {
        let me = state.controllers[cluster];
        let mut push = |store: Set, controller: Controller, what: What| {
            let mut state = State { store, ..*state };
            state.controllers[cluster] = controller;
            next.push((state, ("controller", cluster as u8, what)));
        };
        let same = state.store;
        let mut plans = self.plans.borrow_mut();
        match me.plan {
            NOBODY => {
                let (object, removed) = me.late;
                if object != 0 {
                    let bit = u32::from(object - 1);
                    let landed = Controller {
                        late: (0, false),
                        ..me
                    };
                    match removed {
                        true => push(
                            same & !set(bit),
                            landed,
                            What::Object("lands late: removal of", bit),
                        ),
                        false => push(same | set(bit), landed, What::Object("lands late:", bit)),
                    }
                }
                let plan = plans.resume(cluster);
                push(
                    same,
                    Controller {
                        plan,
                        late: (0, false),
                        ..me
                    },
                    What::Says("the next one leads"),
                );
                return;
            }
            IDLE => {
                if me.collections > 0 {
                    for kernel in self.bounds.targets {
                        let plan = plans.collection(cluster, *kernel);
                        let collections = me.collections - 1;
                        push(
                            same,
                            Controller {
                                plan,
                                collections,
                                ..me
                            },
                            What::Says("takes a kernel for unused"),
                        );
                    }
                }
                if me.sweeps > 0 {
                    let (plan, sweeps) = (plans.sweep(cluster), me.sweeps - 1);
                    push(
                        same,
                        Controller { plan, sweeps, ..me },
                        What::Says("sweeps"),
                    );
                }
                return;
            }
            _ => {}
        }
        let ask = plans.ask(me.plan);
        let verb = |text| What::Plan(text, me.plan);
        let mut answer = |answer: Answer| Controller {
            plan: plans.answer(me.plan, answer),
            half: 0,
            ..me
        };
        let mut on_its_way = (0, false);
        match ask {
            Ask::Look(_) if self.bounds.fault == Fault::NoLastLook && me.removed => {
                push(
                    same,
                    answer(Answer::Claims(Claims::default())),
                    verb("does not: "),
                );
            }
            Ask::Look(kernel) => {
                let flag = |condition: bool, bit: u16| if condition { bit } else { 0 };
                let own = set(reference(kernel, cluster));
                let mut read = |half: u16, text| {
                    if half & ALL_READ != ALL_READ {
                        return push(same, Controller { half, ..me }, verb(text));
                    }
                    let claims = Claims {
                        own: half & OWN != 0,
                        others: half & OTHERS != 0,
                        named: half & NAMED != 0,
                        pinned: false,
                        published: half & PUBLISHED != 0,
                        rival: half & RIVAL != 0,
                    };
                    push(same, answer(Answer::Claims(claims)), verb(text));
                };
                if me.half & REFS_READ == 0 {
                    let found = flag(same & own != 0, OWN)
                        | flag(same & claims(kernel) & !own != 0, OTHERS);
                    read(me.half | REFS_READ | found, "lists references: ");
                }
                if me.half & ASIDE_READ == 0 {
                    let rival = self.aside_ref[1 - cluster][kernel];
                    let blind = self.bounds.fault == Fault::NoMark;
                    let found = flag(same & rival != 0 && !blind, RIVAL);
                    read(me.half | ASIDE_READ | found, "lists what is set aside: ");
                }
                if me.half & MANIFESTS_READ == 0 {
                    let found = flag(same & set(manifest(kernel)) != 0, PUBLISHED);
                    read(me.half | MANIFESTS_READ | found, "lists manifests: ");
                }
                if me.half & NODES_READ == 0 {
                    let named = self.named(state, cluster, kernel);
                    read(me.half | NODES_READ | flag(named, NAMED), "lists Nodes: ");
                }
            }
            Ask::List(folder) => push(same, answer(Answer::Objects(same & folder)), verb("")),
            Ask::Read { manifest, kernel } => {
                let there = same & set(manifest) != 0;
                push(same, answer(Answer::Manifest(kernel, there)), verb(""));
            }
            Ask::ReadAll => {
                // A manifest at a time: the number of the kernel in the low bits, what was named above.
                let (kernel, mut named) = (usize::from(me.half & 7), me.half >> 3);
                if same & set(manifest(kernel)) != 0 {
                    named |= 1 << header_number(kernel);
                }
                if kernel + 1 < KERNELS {
                    let half = (kernel as u16 + 1) | named << 3;
                    push(same, Controller { half, ..me }, verb("one by one: "));
                } else {
                    assert!(named < 1 << HEADERS);
                    push(
                        same,
                        answer(Answer::Named(named as u8)),
                        verb("the last one: "),
                    );
                }
            }
            Ask::Put(bit) | Ask::Copy { to: bit, .. }
                if self.bounds.fault == Fault::NoPutBack && set(bit) & ORIGINALS != 0 =>
            {
                push(same, answer(Answer::Done), verb("does not: "));
            }
            Ask::Put(bit) => {
                on_its_way = (bit as u8 + 1, false);
                push(same | set(bit), answer(Answer::Done), verb(""));
            }
            Ask::Copy { from, to } => match same & set(from) != 0 {
                // Read and written at once: what is written is this cluster's alone, or what is read is.
                true => {
                    on_its_way = (to as u8 + 1, false);
                    push(same | set(to), answer(Answer::Done), verb(""));
                }
                false => push(same, answer(Answer::Absent), verb("finds nothing: ")),
            },
            Ask::Remove(bit) => {
                if let Err(wrong) = self.may_remove(state, cluster, bit) {
                    panic!("{wrong}");
                }
                on_its_way = (bit as u8 + 1, true);
                let removed = me.removed || set(bit) & ORIGINALS != 0;
                push(
                    same & !set(bit),
                    Controller {
                        removed,
                        ..answer(Answer::Done)
                    },
                    verb(""),
                );
            }
            Ask::Forget => push(same, answer(Answer::Done), verb("")),
            Ask::End(outcome) => {
                assert!(!matches!(outcome, Outcome::CutShort(_)), "{outcome:?}");
                push(
                    same,
                    Controller {
                        plan: IDLE,
                        half: 0,
                        removed: false,
                        ..me
                    },
                    verb(""),
                );
            }
        }
        if me.crashes > 0 {
            for late in [(0, false), on_its_way] {
                let mut state = *state;
                let crashes = me.crashes - 1;
                state.controllers[cluster] = Controller {
                    plan: NOBODY,
                    half: 0,
                    removed: false,
                    late,
                    crashes,
                    ..me
                };
                if self.bounds.fault == Fault::InMemory {
                    state.store &= !self.aside[cluster];
                }
                next.push((state, ("controller", cluster as u8, What::Says("dies"))));
                if on_its_way == (0, false) {
                    break;
                }
            }
        }
    }
}

const _: () = assert!(CLUSTERS == 2);
