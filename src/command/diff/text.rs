//! A difference for people.

use crate::command::printable;
use btfleet::relo::diff::{Change, Changes, Class, Diff, MemberDiff, Place, Shape, TypeDiff};
use std::fmt::Write as _;

pub fn print(diff: &Diff) -> String {
    let mut out = String::new();
    let mut counts = [0; 3];
    for (title, count) in ["appeared", "vanished", "changed"]
        .into_iter()
        .zip(&mut counts)
    {
        let rows: Vec<&TypeDiff> = diff
            .types
            .iter()
            .filter(|row| group(&row.change) == title)
            .collect();
        *count = rows.len();
        if rows.is_empty() {
            continue;
        }
        line(&mut out, format_args!("{title}:"));
        for row in rows {
            type_diff(&mut out, row);
        }
        line(&mut out, format_args!(""));
    }
    let [appeared, vanished, changed] = counts;
    let same = diff.same;
    match appeared + vanished + changed {
        0 if same == 1 => line(&mut out, format_args!("no difference in 1 type")),
        0 => line(&mut out, format_args!("no difference in {same} types")),
        _ => line(
            &mut out,
            format_args!(
                "{appeared} appeared, {vanished} vanished, {changed} changed, {same} the same"
            ),
        ),
    }
    out
}

fn group(change: &Change) -> &'static str {
    match change {
        Change::Appeared(_) => "appeared",
        Change::Vanished(_) => "vanished",
        Change::Changed(_) => "changed",
    }
}

fn line(out: &mut String, args: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}", printable(&args.to_string()));
}

fn type_diff(out: &mut String, ty: &TypeDiff) {
    let title = match ty.class {
        Class::Constants => "enumerators of enums without a name".to_owned(),
        class => format!("{class} {}", ty.name),
    };
    match &ty.change {
        Change::Appeared(shape) => self::shape(out, "+", &title, shape),
        Change::Vanished(shape) => self::shape(out, "-", &title, shape),
        Change::Changed(changes) => self::changes(out, &title, changes),
    }
}

fn shape(out: &mut String, mark: &str, title: &str, shape: &Shape) {
    let size = match shape.size {
        0 => String::new(),
        n => format!(" ({n} bytes)"),
    };
    match &shape.text {
        // A kfunc's prototype says its name itself.
        Some(text) if title.starts_with("kfunc ") => line(out, format_args!("  {mark} {text}")),
        Some(text) => line(out, format_args!("  {mark} {title} = {text}{size}")),
        None => line(out, format_args!("  {mark} {title}{size}")),
    }
}

fn changes(out: &mut String, title: &str, c: &Changes) {
    let mut head = Vec::new();
    if let Some((from, to)) = c.size {
        head.push(format!("size {from} → {to}"));
    }
    if let Some((from, to)) = c.signed {
        let name = |signed| if signed { "signed" } else { "unsigned" };
        head.push(format!("{} → {}", name(from), name(to)));
    }
    if let Some((from, to)) = &c.text {
        head.push(format!("{from} → {to}"));
    }
    let colon = if head.is_empty() { "" } else { ": " };
    line(out, format_args!("  {title}{colon}{}", head.join(", ")));
    for m in &c.members {
        member(out, m);
    }
    for e in &c.enumerators {
        let name = &e.name;
        match (e.from, e.to) {
            (None, Some(to)) => line(out, format_args!("    + {name} = {to}")),
            (Some(from), None) => line(out, format_args!("    - {name} = {from}")),
            (Some(from), Some(to)) => line(out, format_args!("    {name}: {from} → {to}")),
            (None, None) => {}
        }
    }
}

fn member(out: &mut String, m: &MemberDiff) {
    let name = &m.name;
    let whole = |p: &Place| format!("{}, at {}, {}", p.ty, offset(p), size(p));
    match (&m.from, &m.to) {
        (None, Some(to)) => line(out, format_args!("    + {name}: {}", whole(to))),
        (Some(from), None) => line(out, format_args!("    - {name}: {}", whole(from))),
        (Some(from), Some(to)) => {
            let mut what = Vec::new();
            if from.bit_offset != to.bit_offset {
                what.push(format!("at {} → {}", offset(from), offset(to)));
            }
            if (from.bit_size, from.bit_field) != (to.bit_size, to.bit_field) {
                what.push(format!("{} → {}", size(from), size(to)));
            }
            if from.ty != to.ty {
                what.push(format!("{} → {}", from.ty, to.ty));
            }
            if what.is_empty() {
                what.push(format!("{}, whose contents changed", from.ty));
            }
            line(out, format_args!("    {name}: {}", what.join(", ")));
        }
        (None, None) => {}
    }
}

/// In bytes where that says it, else in bits.
fn offset(p: &Place) -> String {
    match p.bit_offset.is_multiple_of(8) && !p.bit_field {
        true => (p.bit_offset / 8).to_string(),
        false => format!("bit {}", p.bit_offset),
    }
}

fn size(p: &Place) -> String {
    match p.bit_field {
        true => format!("{} bits", p.bit_size),
        false => format!("{} bytes", p.bit_size / 8),
    }
}
