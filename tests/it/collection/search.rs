//! Breadth-first search of every state that a world can get into.

use super::world::{Label, State, World};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Instant;

/// What was found.
pub struct Found {
    pub resting: usize,
    /// The shortest way to a state of rest that breaks an invariant.
    pub wrong: Option<String>,
}

/// Looks at every state. Stops at the first that is wrong.
pub fn search(name: &str, world: &World) -> Found {
    let started = Instant::now();
    let begin = world.begin();
    let mut numbers: HashMap<State, u32, BuildHasherDefault<Mix>> = HashMap::default();
    let mut states = vec![(begin, 0u32)];
    numbers.insert(begin, 0);
    let mut next = Vec::new();
    let mut resting = 0;
    let mut wrong = None;
    let mut at = 0;
    while let Some(&(state, _)) = states.get(at) {
        let rests = world.at_rest(&state);
        if rests {
            resting += 1;
            wrong = world.wrong(&state);
            if let Some(what) = &mut wrong {
                what.push_str(&trace(world, &states, at));
                break;
            }
        }
        next.clear();
        world.next(&state, &mut next);
        assert!(
            rests || !next.is_empty(),
            "nothing can happen, and yet: {state:?}"
        );
        for (after, _) in &next {
            let number = states.len() as u32;
            numbers.entry(*after).or_insert_with(|| {
                states.push((*after, at as u32));
                number
            });
        }
        at += 1;
    }
    println!(
        "collection model: {name}: {} states, {resting} at rest, {:.1} s{}",
        states.len(),
        started.elapsed().as_secs_f32(),
        if wrong.is_some() { ", WRONG" } else { "" },
    );
    Found { resting, wrong }
}

/// What happened on the way to a state.
fn trace(world: &World, states: &[(State, u32)], end: usize) -> String {
    let mut way = vec![end];
    let mut at = end;
    while at != 0 {
        at = states[at].1 as usize;
        way.push(at);
    }
    let mut lines = String::new();
    let mut next: Vec<(State, Label)> = Vec::new();
    for step in way.windows(2).rev() {
        next.clear();
        world.next(&states[step[1]].0, &mut next);
        let (_, label) = next.iter().find(|(s, _)| *s == states[step[0]].0).unwrap();
        lines.push_str(&format!("\n  {}", world.describe(*label)));
    }
    lines
}

/// A quick hash: the states are our own.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.write_u64(u64::from(n));
    }

    fn write_u16(&mut self, n: u16) {
        self.write_u64(u64::from(n));
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    fn write_isize(&mut self, n: isize) {
        self.write_u64(n as u64);
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}
