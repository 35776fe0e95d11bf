//! Sizes, offsets and enumerators of a header, asserted in C: what any compiler can check, without BTF.

use super::cc;
use super::header::Header;
use super::kinds::{Class, by_name};
use super::refbtf::{Btf, Kind, Member};
use std::collections::{BTreeSet, HashMap};

/// How many assertions there were, and those that do not hold.
pub struct Layout {
    pub checked: usize,
    pub wrong: Vec<String>,
}

/// Compiles the header with assertions about everything in the BTF that has a name of its own. Twins are left to
/// the round trip, which knows which is which.
pub fn check(compiler: &[&str], header: &Header, kernel: &Btf) -> Layout {
    let asserts = assertions(kernel, header);
    let failed = compile(compiler, header, &asserts).unwrap_or_else(|e| panic!("{e}"));
    let wrong = failed.iter().map(|&i| asserts[i].clone()).collect();
    Layout {
        checked: asserts.len(),
        wrong,
    }
}

/// Which of these lines, below the header, are errors.
fn compile(
    compiler: &[&str],
    header: &Header,
    lines: &[String],
) -> Result<BTreeSet<usize>, String> {
    let dir = cc::scratch();
    header.write(dir.path());
    let text = format!("{}{}\n", header.includes(), lines.join("\n"));
    std::fs::write(dir.path().join("layout.c"), text).unwrap();
    let args = [&compiler[1..], &["-w", "-fsyntax-only", "layout.c"]].concat();
    let out = cc::run(compiler[0], &args, dir.path());
    let first = header.includes().lines().count() + 1;
    let errors = cc::text(&out.stderr);
    let mut failed = BTreeSet::new();
    for error in errors.lines().filter(|l| l.contains("error: ")) {
        let line = error
            .strip_prefix("layout.c:")
            .and_then(|rest| rest.split(':').next());
        let line = line.and_then(|n| n.parse::<usize>().ok());
        failed.insert(line.ok_or_else(|| cc::head(&errors, 20))? - first);
    }
    if out.status.success() || !failed.is_empty() {
        Ok(failed)
    } else {
        Err(errors)
    }
}

/// Records of the BTF whose header lost the const or volatile of an unnamed member. Clang drops it by itself,
/// so that a round trip cannot see it; gcc keeps it, in the type of what is inside.
pub fn lost_qualifiers(header: &Header, kernel: &Btf) -> Result<BTreeSet<u32>, String> {
    let names = by_name(kernel);
    let (mut ids, mut lines) = (Vec::new(), Vec::new());
    for ((class, name), twins) in &names {
        let (Kind::Struct { members, .. } | Kind::Union { members, .. }) = kernel.kind(twins[0])
        else {
            continue;
        };
        // What may be escaped is left out: of an error it could not be said whose it is.
        let plain = |name: &str| header.spellings(name) == [name];
        if !plain(name) {
            continue;
        }
        for (member, qualifiers) in qualified(kernel, members, twins.len() == 1) {
            if !plain(member) {
                continue;
            }
            let member = format!("&(({} {name} *)0)->{member}", class.keyword());
            ids.push(twins[0]);
            lines.push(format!(
                "_Static_assert(_Generic(1 ? {member} : (void *)1, {qualifiers} void *: 1, default: 0), \"\");"
            ));
        }
    }
    if lines.is_empty() {
        return Ok(BTreeSet::new());
    }
    let failed = compile(&["gcc-12", "-fmax-errors=0"], header, &lines)?;
    Ok(failed.into_iter().map(|i| ids[i]).collect())
}

/// For each unnamed member that is const or volatile a member inside whose address tells.
fn qualified<'k>(
    kernel: &'k Btf,
    members: &'k [Member],
    alone: bool,
) -> Vec<(&'k str, &'static str)> {
    let unnamed = members.iter().filter(|m| alone && m.name.is_empty());
    unnamed
        .filter_map(|outer| {
            let (mut id, mut const_, mut volatile) = (outer.ty, false, false);
            loop {
                id = match kernel.kind(id) {
                    Kind::Const(inner) => (const_ = true, *inner).1,
                    Kind::Volatile(inner) => (volatile = true, *inner).1,
                    _ => break,
                };
            }
            let qualifiers = match (const_, volatile) {
                (false, false) => return None,
                (true, false) => "const",
                (false, true) => "volatile",
                (true, true) => "const volatile",
            };
            let (Kind::Struct { members, .. } | Kind::Union { members, .. }) = kernel.kind(id)
            else {
                return None;
            };
            let tells = |m: &&Member| {
                !m.name.is_empty()
                    && m.bit_width == 0
                    && matches!(kernel.kind(m.ty), Kind::Ptr(_) | Kind::Int { .. })
            };
            members
                .iter()
                .find(tells)
                .map(|m| (m.name.as_str(), qualifiers))
        })
        .collect()
}

fn assertions(kernel: &Btf, header: &Header) -> Vec<String> {
    let mut lines = Vec::new();
    // A name that may be escaped is left to the round trip too.
    let plain = |name: &str| header.spellings(name) == [name];
    let names = by_name(kernel);
    let mut crowds: HashMap<&str, usize> = HashMap::new();
    for ((class, name), ids) in &names {
        if *class != Class::Typedef {
            *crowds.entry(name).or_default() += ids.len();
        }
    }
    for ((class, name), ids) in &names {
        if *class == Class::Typedef || crowds[name.as_str()] > 1 || !plain(name) {
            continue;
        }
        let (Kind::Struct { size, members } | Kind::Union { size, members }) = kernel.kind(ids[0])
        else {
            continue;
        };
        let tag = format!("{} {}", class.keyword(), name);
        lines.push(format!("_Static_assert(sizeof({tag}) == {size}, \"\");"));
        offsets(kernel, members, 0, &mut |member, bytes| {
            if !plain(member) {
                return;
            }
            lines.push(format!(
                "_Static_assert(__builtin_offsetof({tag}, {member}) == {bytes}, \"\");"
            ));
        });
    }
    let mut values: HashMap<&str, Vec<i128>> = HashMap::new();
    for ty in &kernel.types {
        if let Kind::Enum { values: list, .. } = &ty.kind {
            list.iter()
                .for_each(|(name, value)| values.entry(name).or_default().push(*value));
        }
    }
    let mut single: Vec<(&str, i128)> = values
        .into_iter()
        .filter(|(name, all)| all.len() == 1 && plain(name))
        .map(|(name, all)| (name, all[0]))
        .collect();
    single.sort_unstable();
    for (name, value) in single {
        // As bits, for C has no literal for the least of all numbers.
        let bits = value as u64;
        lines.push(format!(
            "_Static_assert((unsigned long long)({}) == {bits}ULL, \"\");",
            name
        ));
    }
    lines
}

/// Each named member that has an address, those of unnamed members too.
fn offsets(kernel: &Btf, members: &[Member], base: u32, found: &mut dyn FnMut(&str, u32)) {
    for member in members {
        let bit = base + member.bit_offset;
        if !member.name.is_empty() {
            if member.bit_width == 0 && bit.is_multiple_of(8) {
                found(&member.name, bit / 8);
            }
            continue;
        }
        let mut id = member.ty;
        while let Kind::Const(inner) | Kind::Volatile(inner) = kernel.kind(id) {
            id = *inner;
        }
        if let Kind::Struct { members, .. } | Kind::Union { members, .. } = kernel.kind(id) {
            offsets(kernel, members, bit, found);
        }
    }
}
