//! What a kernel has instead of what it lacks; and names for people.

use super::compat::{essential, skip};
use super::object::{CoreKind, Relocation};
use super::spec::Spec;
use super::target::Target;
use crate::btf::{Btf, Kind, Member, TypeId};
use std::collections::HashSet;

/// The longest name, path or line of source that is told whole, in bytes.
const LONG: usize = 512;

/// Text for people.
pub(super) fn text(name: &[u8]) -> String {
    match name.get(..LONG) {
        Some(first) if name.len() > LONG => format!("{}…", String::from_utf8_lossy(first)),
        _ => String::from_utf8_lossy(name).into_owned(),
    }
}

/// The name that is most like another, if any is much like it.
pub(super) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n [u8]>) -> Option<String> {
    let most = name.len() / 4 + 1;
    let mut best: Option<(usize, &[u8])> = None;
    for other in names {
        if other.len().abs_diff(name.len()) > most || other == name.as_bytes() {
            continue;
        }
        let limit = best.map_or(most, |(d, _)| d.saturating_sub(1));
        if let Some(d) = distance(name.as_bytes(), other, limit)
            && best.is_none_or(|b| (d, other) < b)
        {
            best = Some((d, other));
        }
    }
    best.map(|(_, name)| text(name))
}

/// How many letters are put in, taken out or changed between two names, if no more than `limit`.
fn distance(a: &[u8], b: &[u8], limit: usize) -> Option<usize> {
    // Longer names than these are not compared.
    if a.len() > 128 || b.len() > 128 {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut before = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        let mut least = i + 1;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b) {
            let here = (before + usize::from(x != y)).min(*cell + 1).min(left + 1);
            before = *cell;
            *cell = here;
            left = here;
            least = least.min(here);
        }
        if least > limit {
            return None;
        }
    }
    row.last().copied().filter(|d| *d <= limit)
}

/// A type in a few words: `struct sock *`, `int[4]`.
pub(super) fn type_name(btf: &Btf<'_>, id: TypeId) -> String {
    let (mut id, mut after) = (id, String::new());
    for _ in 0..8 {
        let ty = btf.ty(id);
        let name = btf.name(ty.name());
        let shown = if name.is_empty() {
            "(unnamed)".to_owned()
        } else {
            text(name)
        };
        let word = match ty.kind() {
            Kind::Void => "void".to_owned(),
            Kind::Struct => format!("struct {shown}"),
            Kind::Union => format!("union {shown}"),
            Kind::Fwd if ty.kind_flag() => format!("union {shown}"),
            Kind::Fwd => format!("struct {shown}"),
            Kind::Enum | Kind::Enum64 => format!("enum {shown}"),
            Kind::Ptr => {
                after.insert(0, '*');
                id = ty.target();
                continue;
            }
            Kind::Array => {
                let array = ty.array();
                after.push_str(&format!("[{}]", array.map_or(0, |a| a.count)));
                id = array.map_or(TypeId::VOID, |a| a.element);
                continue;
            }
            k if k.is_modifier() => {
                id = ty.target();
                continue;
            }
            Kind::FuncProto => "a function".to_owned(),
            _ => shown,
        };
        let space = if after.is_empty() || after.starts_with('[') {
            ""
        } else {
            " "
        };
        return format!("{word}{space}{after}");
    }
    "a type of many levels".to_owned()
}

/// A prototype in a few words.
pub(super) fn prototype(btf: &Btf<'_>, id: TypeId) -> String {
    let ty = btf.ty(id);
    let params: Vec<String> = ty.params().take(12).map(|p| type_name(btf, p.ty)).collect();
    let params = if params.is_empty() {
        "void".to_owned()
    } else {
        params.join(", ")
    };
    format!("{} ({params})", type_name(btf, ty.target()))
}

/// What a relocation is about, as people write it: `task_struct.se.vruntime`, `enum.NAME`.
pub(super) fn spell(btf: &Btf<'_>, relocation: &Relocation<'_>) -> String {
    let root = text(btf.name(btf.ty(relocation.ty).name()));
    let Ok(spec) = Spec::parse(btf, relocation.kind, relocation.ty, relocation.access) else {
        return root;
    };
    let mut spelt = root;
    for (n, step) in spec.steps.iter().enumerate() {
        match step.name {
            Some(name) => {
                spelt.push('.');
                spelt.push_str(&text(name));
            }
            None if n == 0 && step.index == 0 => {}
            None => spelt.push_str(&format!("[{}]", step.index)),
        }
    }
    text(spelt.as_bytes())
}

/// Why a relocation finds nothing, and what is there instead, if that is `wanted`: to look through all names takes time.
pub(super) fn missing(
    local: &Btf<'_>,
    relocation: &Relocation<'_>,
    target: &Target<'_>,
    wanted: bool,
) -> (String, Option<String>) {
    let own = local.ty(relocation.ty);
    let name = essential(local.name(own.name()));
    let root = text(name);
    let word = match own.kind() {
        Kind::Union => "union",
        Kind::Enum | Kind::Enum64 => "enum",
        Kind::Struct => "struct",
        _ => "type",
    };
    let candidates = target.candidates(local, relocation.ty);
    let Some(&first) = candidates.first() else {
        let instead = || match target.any(name) {
            Some(other) => Some(type_name(target.btf(other), other.id)),
            None => {
                let kind = own.kind();
                let names = target.names(|k| super::compat::same_kind(k, kind));
                nearest(&root, names).map(|near| format!("{word} {near}"))
            }
        };
        let instead = wanted.then(instead).flatten();
        return (format!("no {word} {root}"), instead);
    };
    let btf = target.btf(first);
    let kind = relocation.kind;
    let Ok(spec) = Spec::parse(local, kind, relocation.ty, relocation.access) else {
        return ("the access string is damaged".into(), None);
    };
    if kind.is_enumerator() {
        let name = spec.steps.first().and_then(|s| s.name).unwrap_or_default();
        let name = text(essential(name));
        let id = skip(btf, first.id).unwrap_or_default();
        let names = btf.ty(id).enumerators().map(|e| btf.name(e.name));
        let near = wanted.then(|| nearest(&name, names)).flatten();
        return (format!("{word} {root} has no {name}"), near);
    }
    if !kind.is_field() || kind == CoreKind::TypeMatches {
        return (format!("{word} {root} is of another shape"), None);
    }
    let (reason, instead) = follow(local, &spec, btf, first.id, &root);
    let instead = wanted.then(|| instead.find(btf)).flatten();
    (reason, instead)
}

/// Where to look for what is there instead.
enum Instead<'n> {
    /// The type that is there.
    Type(TypeId),
    /// So many elements.
    Elements(u32),
    /// A member of this name that went elsewhere, or one of a like name.
    Member(TypeId, &'n [u8]),
}

impl Instead<'_> {
    fn find(self, btf: &Btf<'_>) -> Option<String> {
        match self {
            Instead::Type(id) => Some(type_name(btf, id)),
            Instead::Elements(count) => Some(format!("{count} elements")),
            Instead::Member(id, name) => moved(btf, id, name).or_else(|| {
                let names = members(btf, id).into_iter().map(|m| btf.name(m.name));
                nearest(&text(name), names)
            }),
        }
    }
}

/// Follows the names as far as they lead.
fn follow<'n>(
    local: &Btf<'_>,
    spec: &Spec<'n>,
    btf: &Btf<'_>,
    root: TypeId,
    shown: &str,
) -> (String, Instead<'n>) {
    let (mut id, mut shown) = (root, shown.to_owned());
    for (n, step) in spec.steps.iter().enumerate() {
        id = skip(btf, id).unwrap_or_default();
        let Some(name) = step.name else {
            if n == 0 {
                continue;
            }
            let Some(array) = btf.ty(id).array() else {
                return (format!("{shown} is no array"), Instead::Type(id));
            };
            if step.index >= array.count && array.count > 0 {
                let has = Instead::Elements(array.count);
                return (format!("{shown} has no element {}", step.index), has);
            }
            shown.push_str(&format!("[{}]", step.index));
            id = array.element;
            continue;
        };
        let Some(member) = find(btf, id, name) else {
            let instead = Instead::Member(id, name);
            return (format!("{shown} has no {}", text(name)), instead);
        };
        shown = format!("{shown}.{}", text(name));
        let is_last = n + 1 == spec.steps.len();
        id = member.ty;
        if is_last {
            break;
        }
    }
    let own = spec.steps.iter().rev().find_map(|s| {
        let mut members = local.ty(s.ty).members();
        s.name.and_then(|_| members.nth(s.index as usize))
    });
    let own = own.map_or(String::new(), |m| {
        format!(" ({} in the program)", type_name(local, m.ty))
    });
    (
        format!("{shown} is of another kind{own}"),
        Instead::Type(id),
    )
}

/// Members of a record, those of unnamed ones in it too.
fn members(btf: &Btf<'_>, id: TypeId) -> Vec<Member> {
    let (mut found, mut todo) = (Vec::new(), vec![id]);
    // Once each: a record may lie in itself, where types come from somebody who means harm.
    let mut seen = HashSet::new();
    while let Some(id) = todo.pop() {
        if !seen.insert(id) {
            continue;
        }
        for member in btf.ty(id).members() {
            if btf.name(member.name).is_empty() {
                todo.extend(skip(btf, member.ty).ok());
            } else {
                found.push(member);
            }
        }
    }
    found
}

fn find(btf: &Btf<'_>, id: TypeId, name: &[u8]) -> Option<Member> {
    members(btf, id)
        .into_iter()
        .find(|m| btf.name(m.name) == name)
}

/// Where a member went: into a record that is a member itself.
fn moved(btf: &Btf<'_>, id: TypeId, name: &[u8]) -> Option<String> {
    let mut seen = HashSet::new();
    members(btf, id).into_iter().find_map(|outer| {
        let inner = skip(btf, outer.ty).ok()?;
        if !seen.insert(inner) {
            return None;
        }
        find(btf, inner, name)?;
        Some(format!("{}.{}", text(btf.name(outer.name)), text(name)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_with_fewest_changes() {
        let names = [&b"__state"[..], b"stack", b"prio"];
        assert_eq!(
            nearest("state", names.into_iter()).as_deref(),
            Some("__state")
        );
        assert_eq!(nearest("nothing_like_it", names.into_iter()), None);
        assert_eq!(distance(b"kitten", b"sitting", 3), Some(3));
        assert_eq!(distance(b"kitten", b"sitting", 2), None);
    }
}
