//! Sizes, offsets and enumerators of a header, asserted in C: what any compiler can check, without BTF.

use super::cc;
use super::compare::{Class, by_name};
use super::header::Header;
use super::refbtf::{Btf, Kind, Member};
use std::collections::HashMap;

/// How many assertions there were, and those that do not hold.
pub struct Layout {
    pub checked: usize,
    pub wrong: Vec<String>,
}

/// Compiles the header with assertions about everything in the BTF that has a name of its own. Twins are left to
/// the round trip, which knows which is which.
pub fn check(compiler: &[&str], header: &Header, kernel: &Btf) -> Layout {
    let asserts = assertions(kernel, header);
    let dir = cc::scratch();
    header.write(dir.path());
    let lines: Vec<&str> = asserts.iter().map(String::as_str).collect();
    std::fs::write(
        dir.path().join("layout.c"),
        format!("{}{}\n", header.includes(), lines.join("\n")),
    )
    .unwrap();
    let out = cc::run(
        compiler[0],
        &[&compiler[1..], &["-w", "-fsyntax-only", "layout.c"]].concat(),
        dir.path(),
    );
    let first = header.includes().lines().count() + 1;
    let errors = cc::text(&out.stderr);
    let mut wrong = Vec::new();
    for error in errors.lines().filter(|l| l.contains("error: ")) {
        let line = error
            .strip_prefix("layout.c:")
            .and_then(|rest| rest.split(':').next()?.parse::<usize>().ok());
        wrong.push(match line {
            Some(line) => asserts[line - first].clone(),
            None => error.to_owned(),
        });
    }
    assert!(
        out.status.success() || !wrong.is_empty(),
        "{compiler:?} failed: {}",
        cc::head(&errors, 20)
    );
    wrong.dedup();
    Layout {
        checked: asserts.len(),
        wrong,
    }
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
                found(&&member.name, bit / 8);
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
