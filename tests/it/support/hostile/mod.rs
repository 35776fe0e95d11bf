//! Input that means harm: every shape that the safety promise names, as a list of named cases.
//!
//! Each must end quickly, in little memory, either in one error line or in a header that compiles; which of
//! the two is said only where it is certain. Written small: the builders below, not stored files.

use super::btfgen::{Graph, Id, Kind, SIGNED};
use super::btfwrite::{Form, encode};

pub mod cycles;
pub mod deep;
pub mod elf;
pub mod fanout;
pub mod links;
pub mod names;
pub mod numbers;
pub mod raw;
pub mod twins;

/// How a case must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// It is well formed, and what a compiler could have made: a header.
    Header,
    /// One line that names the byte offset too.
    Fault,
    /// One line that names the type id and the byte offset.
    TypeFault,
    /// One line, of whatever content: there is no offset to name.
    Refusal,
    /// A header that compiles, or an error as [`Want::TypeFault`].
    Either,
}

pub struct Case {
    pub name: String,
    pub input: Vec<u8>,
    pub base: Option<Vec<u8>>,
    pub want: Want,
}

impl Case {
    fn bytes(name: &str, input: Vec<u8>, want: Want) -> Case {
        Case {
            name: name.to_string(),
            input,
            base: None,
            want,
        }
    }

    fn graph(name: &str, graph: &Graph, want: Want) -> Case {
        Case::bytes(name, encode(graph, &Form::default()), want)
    }

    /// Built by `f` into a graph whose type 1 is `int`.
    fn of(name: &str, want: Want, f: impl FnOnce(&mut Graph)) -> Case {
        let mut g = with_int();
        f(&mut g);
        Case::graph(name, &g, want)
    }
}

/// The id of `int` in [`with_int`].
const INT: Id = 1;

fn with_int() -> Graph {
    let mut g = Graph::new();
    g.int("int", 4, SIGNED);
    g
}

/// A named struct that reaches `ty` by a pointer, so that nobody may leave it out.
fn user(g: &mut Graph, ty: Id) {
    let p = g.ptr(ty);
    g.record("user", 8, &[("p", p, 0)]);
}

fn typedef(to: Id) -> Kind {
    Kind::Typedef(to)
}

/// Every case, named apart.
pub fn all() -> Vec<Case> {
    let lists = [
        cycles::cases(),
        deep::cases(),
        fanout::cases(),
        twins::cases(),
        names::cases(),
        numbers::cases(),
        links::cases(),
        raw::cases(),
        elf::cases(),
    ];
    lists.into_iter().flatten().collect()
}

pub use raw::small;
