//! Members of records, as C reaches them, side by side.

use super::content::{Side, name_of};
use super::diff::{MemberDiff, Place};
use super::text;
use crate::btf::{Btf, Kind, Member, TypeId};
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

/// How much may still be opened up, in bytes: hostile BTF can hold unnamed unions that double at each level, or
/// records that lie in themselves.
pub(super) struct Flats {
    left: usize,
}

impl Flats {
    /// What a member of an opened record costs besides its name.
    const EACH: usize = 64;
    /// Always; a small module's members may lie in unnamed records of the kernel.
    const LEAST: usize = 64 << 10;
    /// For each member that there is: twenty times what kernels need.
    const SHARE: usize = 256;
    /// Most in all.
    const MOST: usize = 64 << 20;
    /// Most levels of records within one record.
    const DEPTH: usize = 16;

    pub fn new(a: &Btf<'_>, b: &Btf<'_>) -> Flats {
        let members = |btf: &Btf<'_>| btf.types().map(|ty| ty.members().len()).sum::<usize>();
        let members = members(a).saturating_add(members(b));
        Flats {
            left: members
                .saturating_mul(Flats::SHARE)
                .clamp(Flats::LEAST, Flats::MOST),
        }
    }

    /// Takes what the members of this record cost, if that much is left. Once it is not, nothing is opened any more.
    fn take(&mut self, side: &Side<'_>, record: TypeId, prefix: &str) -> bool {
        let members = side.btf.ty(record).members();
        let each = Flats::EACH + prefix.len();
        let named = |m: Member| name_of(side.btf, m.name).len();
        self.left = self
            .left
            .saturating_sub((1 + members.len()).saturating_mul(each));
        if self.left > 0 {
            self.left = self.left.saturating_sub(members.map(named).sum());
        }
        self.left > 0
    }

    fn of(&mut self, side: &Side<'_>, id: TypeId) -> Vec<Flat> {
        let mut flats: Vec<Flat> = Vec::new();
        let mut stack = vec![(id, String::new(), 0u64, 0usize)];
        while let Some((record, prefix, base, depth)) = stack.pop() {
            // Opened later, in order; the list is sorted by place in the end.
            for m in side.btf.ty(record).members() {
                let name = String::from_utf8_lossy(name_of(side.btf, m.name));
                let bit_offset = base.saturating_add(u64::from(m.bit_offset));
                let may = depth < Flats::DEPTH && self.left > 0;
                let inner = may.then(|| inner_record(side, m.ty, name.is_empty()));
                let inner = inner.flatten().map(|(inner, array)| {
                    let prefix = match (name.as_ref(), array) {
                        ("", _) => prefix.clone(),
                        (name, false) => format!("{prefix}{name}."),
                        (name, true) => format!("{prefix}{name}[]."),
                    };
                    (inner, prefix)
                });
                let inner = inner.filter(|(inner, prefix)| self.take(side, *inner, prefix));
                let opened = inner.is_some();
                if let Some((inner, prefix)) = inner {
                    stack.push((inner, prefix, bit_offset, depth + 1));
                    if name.is_empty() {
                        continue;
                    }
                }
                flats.push(Flat {
                    name: match name.as_ref() {
                        "" => format!("{prefix}(unnamed)"),
                        name => format!("{prefix}{name}"),
                    },
                    ty: m.ty,
                    bit_offset,
                    width: m.width,
                    opened,
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
