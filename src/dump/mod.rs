//! Printing C: types in, `vmlinux.h` out.
//!
//! The text is a function of the types alone: renumbering them, shuffling their strings or generating on
//! another machine changes no byte. See `docs/correctness.md` for what it promises and how that is checked.

mod arithmetic;
mod beside;
mod block;
mod decl;
mod defs;
mod enums;
mod error;
mod hash;
mod header;
mod layout;
mod line;
mod met;
mod names;
mod naming;
mod needs;
mod order;
mod ordinary;
mod padding;
mod pieces;
mod print;
mod seen;
mod sorted;
mod spelled;
mod survey;
mod text;
mod twins;
mod write;

use crate::btf::Btf;
use beside::Nobody;
use header::Plan;
use write::Draft;

pub use beside::{Aside, Hands, Job};
pub use error::Error;
pub use pieces::Writing;

/// The generator's number: raised whenever any input's header text would change.
pub const GENERATOR: u32 = 1;

/// The `vmlinux.h` of a kernel; of a split BTF, the module's own header, to be included behind its base's.
///
/// ```
/// # fn demo(bytes: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
/// let btf = btfleet::btf::Btf::parse(bytes)?;
/// let header: Vec<u8> = btfleet::dump::header(&btf)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// A type that C cannot express, such as a record that holds itself: which, and at which byte.
pub fn header(btf: &Btf<'_>) -> Result<Vec<u8>, Error> {
    let draft = Draft::of_all(btf, Plan::new(btf, &Nobody)?);
    text_of(draft)
}

fn text_of(draft: Draft<'_>) -> Result<Vec<u8>, Error> {
    // A kernel's definitions take some 180 bytes each. To grow is to move all of it.
    let mut text = Vec::with_capacity(draft.len() * 200);
    let take = |part: &[u8]| text.extend_from_slice(part);
    let writing = Writing::of(draft, vec![take]);
    let _ = writing.finish()?;
    Ok(text)
}

/// The smallest header that holds the types of these names and all that they need to compile and to be laid
/// out; what is only pointed at is only declared. A name may have `struct`, `union` or `enum` before it;
/// types bear the names that they have in [`header()`].
///
/// # Errors
/// As [`header()`], and a name that no type has.
pub fn header_for(btf: &Btf<'_>, names: &[&str]) -> Result<Vec<u8>, Error> {
    let mut plan = Plan::new(btf, &Nobody)?;
    plan.narrow(btf, names)?;
    text_of(Draft::of_some(btf, plan))
}
