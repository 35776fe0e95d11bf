//! Will an eBPF object's CO-RE relocations and kernel-side names resolve on a kernel?
//!
//! [`Object::parse`] reads what clang made, [`Target`] indexes a kernel's BTF, [`check`] says of each program whether
//! what it asks of that kernel is there, as libbpf's relocation would find it. That is all it says: not that the kernel
//! will load the program.
//!
//! ```no_run
//! use btfleet::btf::Btf;
//! use btfleet::relo::check::{Object, Target, check};
//!
//! let (object, kernel) = (std::fs::read("probe.bpf.o")?, std::fs::read("/sys/kernel/btf/vmlinux")?);
//! let object = Object::parse(&object)?;
//! let kernel = Btf::parse(&kernel)?;
//! for program in check(&object, &Target::new(&kernel))? {
//!     println!("{}: {}", program.name, program.verdict.name());
//!     for finding in program.findings {
//!         println!("  {}: {}", finding.name, finding.reason);
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod calc;
mod compat;
mod effort;
mod ext;
mod finding;
mod hint;
mod insn;
mod names;
mod object;
mod programs;
mod reach;
mod spec;
mod target;

pub use calc::Value;
pub(super) use calc::resolve;
pub use compat::{Refusal, essential};
pub(super) use effort::Effort;
pub use effort::TooMuch;
pub use finding::{Finding, Place, Program, Subject, Verdict};
pub use insn::{Insn, Patched, patch};
pub use object::{
    CoreKind, Extern, ExternKind, Function, Line, Object, ObjectError, Relocation, StructOps,
};
pub use spec::{Spec, Step};
pub use target::{Candidate, Target};

use crate::btf::TypeId;
use programs::Check;
use std::collections::HashMap;

/// What a relocation came to on a kernel.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Which function of [`Object::functions`].
    pub function: usize,
    /// Which of its relocations.
    pub relocation: usize,
    /// Its value, or why libbpf refuses the object.
    pub value: Result<Value, Refusal>,
    /// What becomes of the instruction, or why libbpf refuses the object.
    pub patched: Result<Patched, Refusal>,
}

/// Resolves every relocation of an object, those of programs that are not loaded by default last.
///
/// # Errors
/// There are too many of them, or their types fan out.
pub fn outcomes(object: &Object<'_>, target: &Target<'_>) -> Result<Vec<Outcome>, TooMuch> {
    let effort = Effort::new();
    let found = all_outcomes(object, target, &effort);
    effort.enough()?;
    Ok(found)
}

fn all_outcomes(object: &Object<'_>, target: &Target<'_>, effort: &Effort) -> Vec<Outcome> {
    let mut candidates: HashMap<TypeId, Vec<Candidate>> = HashMap::new();
    // Programs ask for the same field again and again. What it came to once it comes to each time: candidates are taken
    // out in between, but of those that fit here, which agree, some stay.
    let mut known: HashMap<(TypeId, CoreKind, &[u8]), Result<Value, Refusal>> = HashMap::new();
    let mut found = Vec::new();
    for optional in [false, true] {
        for (n, function) in object.functions.iter().enumerate() {
            if function.is_optional != optional {
                continue;
            }
            for (r, relocation) in function.relocations.iter().enumerate() {
                if effort.is_spent() {
                    return found;
                }
                let key = (relocation.ty, relocation.kind, relocation.access);
                let value = *known.entry(key).or_insert_with(|| {
                    let of_type = candidates
                        .entry(relocation.ty)
                        .or_insert_with(|| target.candidates(&object.btf, relocation.ty));
                    let resolved = resolve(&object.btf, relocation, target, of_type, effort);
                    resolved.map(|resolved| resolved.value)
                });
                let at = relocation.insn;
                let insn = function.insns.get(at).copied().unwrap_or_default();
                let second = function.insns.get(at + 1).copied();
                let patched = value.and_then(|value| patch(insn, second, &value));
                found.push(Outcome {
                    function: n,
                    relocation: r,
                    value,
                    patched,
                });
            }
        }
    }
    found
}

/// Says of each program of an object whether what it asks of a kernel is there.
///
/// # Errors
/// It asks for more than can be looked at.
pub fn check(object: &Object<'_>, target: &Target<'_>) -> Result<Vec<Program>, TooMuch> {
    let effort = Effort::new();
    let programs = Check::new(object, target, &effort).programs();
    effort.enough()?;
    Ok(programs)
}
