//! Members of records, as C reaches them, side by side.

use super::content::{Side, name_of};
use super::diff::{MemberDiff, Place};
use super::text;
use crate::btf::{Kind, TypeId};
use std::collections::{HashMap, VecDeque};

/// A member as C reaches it, records without a name opened up.
struct Flat {
    name: String,
    ty: TypeId,
    bit_offset: u64,
    width: u8,
    /// Its type is a record without a name, whose members follow on their own.
    opened: bool,
}

/// What may still be opened up: hostile BTF can hold unnamed unions that double at each level.
pub(super) struct Flats {
    left: usize,
}

impl Default for Flats {
    fn default() -> Flats {
        Flats { left: 2_000_000 }
    }
}

impl Flats {
    /// Most members of one record, and levels of records within it, that are opened up.
    const MOST: usize = 20_000;
    const DEPTH: usize = 16;

    fn of(&mut self, side: &Side<'_>, id: TypeId) -> Vec<Flat> {
        let mut flats: Vec<Flat> = Vec::new();
        let mut stack = vec![(id, String::new(), 0u64, 0usize)];
        while let Some((record, prefix, base, depth)) = stack.pop() {
            // Opened later, in order; the list is sorted by place in the end.
            for m in side.btf.ty(record).members() {
                let name = String::from_utf8_lossy(name_of(side.btf, m.name));
                let bit_offset = base.saturating_add(u64::from(m.bit_offset));
                let inner = inner_record(side, m.ty, name.is_empty());
                let may = depth < Flats::DEPTH && flats.len() < Flats::MOST && self.left > 0;
                let inner = inner.filter(|_| may);
                if let Some((inner, array)) = inner {
                    self.left -= 1;
                    let prefix = match (name.as_ref(), array) {
                        ("", _) => prefix.clone(),
                        (name, false) => format!("{prefix}{name}."),
                        (name, true) => format!("{prefix}{name}[]."),
                    };
                    stack.push((inner, prefix, bit_offset, depth + 1));
                    if name.is_empty() {
                        continue;
                    }
                }
                self.left = self.left.saturating_sub(1);
                flats.push(Flat {
                    name: match name.as_ref() {
                        "" => format!("{prefix}(unnamed)"),
                        name => format!("{prefix}{name}"),
                    },
                    ty: m.ty,
                    bit_offset,
                    width: m.width,
                    opened: inner.is_some(),
                });
            }
        }
        flats.sort_by(|x, y| (x.bit_offset, &x.name).cmp(&(y.bit_offset, &y.name)));
        flats
    }
}

/// The record whose members are a member's own: one without a name, or of a member without a name; and
/// whether it is in an array.
fn inner_record(side: &Side<'_>, mut id: TypeId, unnamed_member: bool) -> Option<(TypeId, bool)> {
    let mut array = false;
    for _ in 0..Flats::DEPTH {
        let ty = side.btf.ty(id);
        id = match ty.kind() {
            Kind::Struct | Kind::Union => {
                let unnamed = name_of(side.btf, ty.name()).is_empty();
                return (unnamed || unnamed_member).then_some((id, array));
            }
            Kind::Array => {
                array = true;
                ty.array()?.element
            }
            kind if kind.is_modifier() => ty.target(),
            _ => return None,
        };
    }
    None
}

/// Members that differ between two records, by place.
pub(super) fn members(
    a: &mut Side<'_>,
    b: &mut Side<'_>,
    x: TypeId,
    y: TypeId,
    flats: &mut Flats,
) -> Vec<MemberDiff> {
    let (from, to) = (flats.of(a, x), flats.of(b, y));
    // Members of one name (only odd BTF has them) are paired in their order.
    let mut by_name: HashMap<&str, VecDeque<&Flat>> = HashMap::new();
    for flat in &to {
        by_name.entry(&flat.name).or_default().push_back(flat);
    }
    let mut found = Vec::new();
    for f in &from {
        let t = by_name
            .get_mut(f.name.as_str())
            .and_then(VecDeque::pop_front);
        let was = place(a, f);
        let is = t.map(|t| place(b, t));
        if let (Some(is), Some(t)) = (&is, t) {
            // What is inside an opened record is told of its members.
            let same_type = match f.opened && t.opened {
                true => was.ty == is.ty,
                false => a.reference(f.ty) == b.reference(t.ty),
            };
            if same_type && was == *is {
                continue;
            }
        }
        found.push(MemberDiff {
            name: f.name.clone(),
            from: Some(was),
            to: is,
        });
    }
    let new = by_name.into_values().flatten();
    let mut new: Vec<MemberDiff> = new
        .map(|t| MemberDiff {
            name: t.name.clone(),
            from: None,
            to: Some(place(b, t)),
        })
        .collect();
    found.append(&mut new);
    let key = |m: &MemberDiff| {
        let at = m.to.as_ref().or(m.from.as_ref()).map(|p| p.bit_offset);
        (at, m.to.is_some(), m.name.clone())
    };
    found.sort_by_cached_key(key);
    found
}

fn place(side: &mut Side<'_>, flat: &Flat) -> Place {
    Place {
        bit_offset: flat.bit_offset,
        bit_size: match flat.width {
            0 => side.size(flat.ty).saturating_mul(8),
            width => width.into(),
        },
        bit_field: flat.width > 0,
        ty: text::describe(side.btf, flat.ty),
    }
}
