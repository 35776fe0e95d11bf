//! Printing C: types in, `vmlinux.h` out.
//!
//! The text is a function of the types alone: renumbering them, shuffling their strings or generating on
//! another machine changes no byte. See `docs/correctness.md` for what it promises and how that is checked.

mod arithmetic;
mod block;
mod decl;
mod defs;
mod error;
mod hash;
mod header;
mod layout;
mod names;
mod naming;
mod order;
mod print;
mod sorted;
mod spelled;
mod text;
mod twins;
mod write;

use crate::btf::Btf;
use header::Plan;

pub use error::Error;

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
    let mut room = vec![0; ROOM];
    let mut text = Vec::new();
    header_parts(btf, &mut room, |part| text.push(part))?;
    Ok(text.concat())
}

/// As [`header()`], into `room`, of which it takes [`ROOM`] bytes. The text is handed to `part` piece by
/// piece as it is done.
///
/// # Errors
/// As [`header()`], and a room that is too small.
pub fn header_parts<'t>(
    btf: &Btf<'_>,
    room: &'t mut [u8],
    mut part: impl FnMut(&'t [u8]),
) -> Result<(), Error> {
    Plan::new(btf)?.write_all(btf, room, &mut part)
}

/// Room for any header: pages of it are used as the text gets there.
pub const ROOM: usize = print::MAX_TEXT + text::SLACK;

/// The smallest header that holds the types of these names and all that they need to compile and to be laid
/// out; what is only pointed at is only declared. A name may have `struct`, `union` or `enum` before it;
/// types bear the names that they have in [`header()`].
///
/// # Errors
/// As [`header()`], and a name that no type has.
pub fn header_for(btf: &Btf<'_>, names: &[&str]) -> Result<Vec<u8>, Error> {
    let mut plan = Plan::new(btf)?;
    plan.narrow(btf, names)?;
    let mut room = vec![0; ROOM];
    let mut text = Vec::new();
    plan.write_narrow(btf, &mut room, &mut |part| text.push(part))?;
    Ok(text.concat())
}
