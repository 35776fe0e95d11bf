//! Smaller graphs that fail alike: what a failing property is reported with.

use super::btfgen::{Graph, Id, Kind};

/// Leaves out what can be left out: types that nothing refers to, members, parameters; redirects pointers.
pub fn shrink(graph: &Graph, fails: impl Fn(&Graph) -> bool) -> Graph {
    let mut small = graph.clone();
    loop {
        let before = small.clone();
        for i in (0..small.types.len()).rev() {
            for candidate in [without(&small, i), lighter(&small, i), loose(&small, i)] {
                if let Some(candidate) = candidate
                    && fails(&candidate)
                {
                    small = candidate;
                    break;
                }
            }
        }
        if small == before {
            return small;
        }
    }
}

/// Without its `i`-th type, if nothing refers to it.
fn without(g: &Graph, i: usize) -> Option<Graph> {
    let gone = g.base + 1 + i as Id;
    let mut g = g.clone();
    if i >= g.types.len() {
        return None;
    }
    g.types.remove(i);
    let mut used = false;
    for ty in &mut g.types {
        ty.kind.for_each_id(|id| {
            used |= *id == gone;
            *id -= u32::from(*id > gone);
        });
    }
    (!used).then_some(g)
}

/// With the last member, parameter or enumerator of its `i`-th type gone.
fn lighter(g: &Graph, i: usize) -> Option<Graph> {
    let mut g = g.clone();
    let gone = match &mut g.types.get_mut(i)?.kind {
        Kind::Record(r) => r.members.pop().is_some(),
        Kind::Proto { params, .. } => params.pop().is_some(),
        Kind::Enum { values, .. } => values.pop().is_some(),
        _ => false,
    };
    gone.then_some(g)
}

/// With its `i`-th type, a pointer or a prototype, referring to type 1.
fn loose(g: &Graph, i: usize) -> Option<Graph> {
    let mut g = g.clone();
    let to = match &mut g.types.get_mut(i)?.kind {
        Kind::Ptr(to) | Kind::Typedef(to) | Kind::Proto { ret: to, .. } => to,
        _ => return None,
    };
    (*to != 1).then(|| *to = 1)?;
    Some(g)
}
