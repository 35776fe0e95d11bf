//! The controller's own plans, as the model runs them: every state that one gets into has a number, and what it
//! answers to what it saw is asked once.

use super::objects::{Objects, Set};
use btfleet::artifact::{BtfDigest, HeaderDigest, Object, Owner};
use btfleet::controller::collect::{
    Claims, Collection, Moment, Outcome, Plan, Resume, Seen, Step, Sweep, Unclaimed,
};
use std::collections::HashMap;
use std::time::Instant;

/// A plan at some point.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Running {
    Collection(Collection),
    Sweep(Sweep),
    Resume(Resume),
}

/// What a plan asks for, in terms of the model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ask {
    Look(usize),
    List(Set),
    Read { manifest: u32, kernel: usize },
    ReadAll,
    Put(u32),
    Copy { from: u32, to: u32 },
    Remove(u32),
    Forget,
    End(Outcome),
}

/// What the model answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Answer {
    Done,
    Absent,
    Claims(Claims),
    Objects(Set),
    /// The manifest of this kernel was there, or not.
    Manifest(usize, bool),
    /// Headers, as bits.
    Named(u8),
}

/// All states of plans that were met.
pub struct Plans {
    objects: Objects,
    at: Moment,
    unnamed: Vec<Unclaimed<HeaderDigest>>,
    states: Vec<(Running, Step, Ask)>,
    numbers: HashMap<(Running, Step), u16>,
    answers: HashMap<(u16, Answer), u16>,
}

impl Plans {
    pub fn new(objects: Objects) -> Plans {
        let start = Instant::now();
        let now = start + Unclaimed::<HeaderDigest>::PATIENCE;
        let at = |now| Moment { now, lease: now };
        // Every header was seen unnamed a day ago: the hardest case.
        let unnamed = (0..2).map(|cluster| {
            let me = objects.cluster(cluster);
            let mut sweep = Sweep::new(me, Unclaimed::default(), false);
            sweep.next(Seen::Nothing, at(start));
            sweep.next(Seen::Objects(objects.all_headers()), at(start));
            let end = sweep.next(Seen::Named([].into()), at(start));
            assert_eq!(end, Step::End(Outcome::Swept(0)));
            sweep.into_unnamed()
        });
        Plans {
            unnamed: unnamed.collect(),
            at: at(now),
            objects,
            states: Vec::new(),
            numbers: HashMap::new(),
            answers: HashMap::new(),
        }
    }

    pub fn collection(&mut self, cluster: usize, kernel: usize) -> u16 {
        let (me, kernel) = (self.me(cluster), self.objects.kernel(kernel));
        self.begin(Running::Collection(Collection::new(kernel, me, false)))
    }

    pub fn sweep(&mut self, cluster: usize) -> u16 {
        let unnamed = self.unnamed[cluster].clone();
        self.begin(Running::Sweep(Sweep::new(self.me(cluster), unnamed, false)))
    }

    pub fn resume(&mut self, cluster: usize) -> u16 {
        self.begin(Running::Resume(Resume::new(self.me(cluster))))
    }

    fn me(&self, cluster: usize) -> Owner {
        self.objects.cluster(cluster)
    }

    /// What the plan asks for in this state.
    pub fn ask(&self, state: u16) -> Ask {
        self.states[usize::from(state)].2
    }

    /// The same, in the plan's own words.
    pub fn step(&self, state: u16) -> &Step {
        &self.states[usize::from(state)].1
    }

    /// The plan's state after this answer.
    pub fn answer(&mut self, state: u16, answer: Answer) -> u16 {
        if let Some(next) = self.answers.get(&(state, answer)) {
            return *next;
        }
        let mut running = self.states[usize::from(state)].0.clone();
        let seen = match answer {
            Answer::Done => Seen::Done,
            Answer::Absent => Seen::Absent,
            Answer::Claims(claims) => Seen::Claims(claims),
            Answer::Objects(set) => Seen::Objects(self.objects.in_set(set)),
            Answer::Manifest(kernel, there) => {
                Seen::Names(there.then(|| self.objects.header_of(kernel)))
            }
            Answer::Named(headers) => Seen::Named(self.objects.headers(headers)),
        };
        let step = self.next(&mut running, seen);
        let next = self.number(running, step);
        self.answers.insert((state, answer), next);
        next
    }

    fn begin(&mut self, mut running: Running) -> u16 {
        let step = self.next(&mut running, Seen::Nothing);
        self.number(running, step)
    }

    fn next(&self, running: &mut Running, seen: Seen) -> Step {
        match running {
            Running::Collection(plan) => plan.next(seen, self.at),
            Running::Sweep(plan) => plan.next(seen, self.at),
            Running::Resume(plan) => plan.next(seen, self.at),
        }
    }

    fn number(&mut self, running: Running, step: Step) -> u16 {
        let key = (running, step);
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let number = u16::try_from(self.states.len()).expect("few states of plans");
        let ask = self.ask_of(&key.1);
        self.states.push((key.0.clone(), key.1.clone(), ask));
        self.numbers.insert(key, number);
        number
    }

    fn ask_of(&self, step: &Step) -> Ask {
        let bit = |object: &Object| self.objects.bit(object);
        let kernel = |btf: &BtfDigest| self.objects.number(btf);
        match step {
            Step::Look(btf) => Ask::Look(kernel(btf)),
            Step::List(folder) => Ask::List(self.objects.under(folder)),
            Step::Read(btf, manifest) => Ask::Read {
                manifest: bit(manifest),
                kernel: kernel(btf),
            },
            Step::ReadAll => Ask::ReadAll,
            Step::Put(object) => Ask::Put(bit(object)),
            Step::Copy { from, to } => Ask::Copy {
                from: bit(from),
                to: bit(to),
            },
            Step::Remove(object) => Ask::Remove(bit(object)),
            Step::RemoveKernelHeader(_) => Ask::Forget,
            Step::End(outcome) => Ask::End(*outcome),
        }
    }
}
