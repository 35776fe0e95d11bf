//! Where C puts members, and what it takes to make it put them where the kernel has them.
//!
//! Alignment is natural wherever size and offsets allow it, and less where they demand it: a record in
//! which some member cannot lie where the kernel has it is packed. Holes that C would not leave by itself
//! are filled with unnamed bit-fields, never wider than the record's own alignment, so that they change
//! no alignment on any target. Compilers for 32 bits disagree about types of 64 bits (arm aligns them to 8
//! bytes, i386 to 4), and BTF does not say which it was: the holes that only some of them leave are filled too.

use super::defs::{Def, DefClass, Defs, Memo, Slot};
use super::error::{Error, in_words, shown};
use super::order::{MAX_DEPTH, unnamed_member};
use crate::btf::{Btf, Kind, Member, TypeId};

/// How a type lies in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Size in bytes.
    pub size: u64,
    /// Alignment in bytes.
    pub align: u64,
    /// Objects can have it: it is no `void`, function or incomplete type.
    pub object: bool,
    /// An integer or enum, as bit-fields are.
    pub integer: bool,
}

impl Shape {
    const NONE: Shape = Shape {
        size: 0,
        align: 1,
        object: false,
        integer: false,
    };
}

/// How a type lies in memory; the records that it holds are laid out already.
#[inline]
pub(super) fn shape(btf: &Btf<'_>, defs: &Defs, id: TypeId) -> Shape {
    let mut at = id;
    let mut times: u64 = 1;
    let mut array = false;
    for _ in 0..=MAX_DEPTH {
        let def = match btf.kind(at) {
            Kind::Ptr => {
                let size = u64::from(btf.pointer_size());
                return Shape {
                    size: size.saturating_mul(times),
                    align: size,
                    object: true,
                    integer: false,
                };
            }
            Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                at = btf.target(at);
                continue;
            }
            Kind::Array => {
                let Some(of) = btf.ty(at).array() else {
                    return Shape::NONE;
                };
                times = times.saturating_mul(u64::from(of.count));
                array = true;
                at = of.element;
                continue;
            }
            Kind::Typedef => {
                let def = defs.get(defs.slot_of(at));
                if def.needs != 0 {
                    defs.get(def.needs)
                } else {
                    def
                }
            }
            Kind::Void | Kind::FuncProto => return Shape::NONE,
            _ => defs.get(defs.slot_of(at)),
        };
        let ends_in = match def.class {
            DefClass::Typedef => def.text,
            _ => btf.kind(def.id) as u32,
        };
        let is = |kinds: &[Kind]| kinds.iter().any(|k| *k as u32 == ends_in);
        return Shape {
            size: def.size.saturating_mul(times),
            align: u64::from(def.align),
            object: !is(&[Kind::Void, Kind::FuncProto, Kind::Fwd]),
            integer: is(&[Kind::Int, Kind::Enum, Kind::Enum64]) && !array,
        };
    }
    Shape::NONE
}

/// Notes what a typedef's objects are like.
///
/// # Errors
/// A typedef of an array of a typedef of an array, and so on, further than compilers take well.
pub(super) fn lay_out_typedef(btf: &Btf<'_>, defs: &mut Defs, slot: Slot) -> Result<(), Error> {
    let target = btf.ty(defs.get(slot).id).target();
    // A record that is only named, not used, may come later: whoever uses the typedef looks there.
    let mut at = target;
    let mut needs = 0;
    for _ in 0..=MAX_DEPTH {
        match btf.kind(at) {
            Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => at = btf.target(at),
            Kind::Struct | Kind::Union | Kind::Fwd => {
                let of = defs.slot_of(at);
                if defs.get(of).len > 0 {
                    needs = of;
                }
                break;
            }
            Kind::Typedef => {
                needs = defs.get(defs.slot_of(at)).needs;
                break;
            }
            _ => break,
        }
    }
    let ends_in = match btf.kind(at) {
        Kind::Typedef => defs.get(defs.slot_of(at)).text,
        kind => kind as u32,
    };
    let shape = match needs {
        0 => shape(btf, defs, target),
        _ => Shape::NONE,
    };
    let id = defs.get(slot).id;
    if let Some(element) = array_element(btf, target) {
        let depth = defs
            .array_depth
            .get(&defs.slot_of(element))
            .map_or(1, |depth| depth + 1);
        if depth > MAX_DEPTH {
            let what = format!(
                "{} is an array of arrays over {MAX_DEPTH} levels deep",
                in_words(btf, id)
            );
            return Err(Error::new(btf, id, what));
        }
        defs.array_depth.insert(slot, depth);
    } else if ends_in == Kind::Array as u32
        && let Some(depth) = defs.array_depth.get(&defs.slot_of(at)).copied()
    {
        defs.array_depth.insert(slot, depth);
    }
    let def = defs.get_mut(slot);
    (def.needs, def.text) = (needs, ends_in);
    (def.size, def.align) = (shape.size, shape.align as u8);
    Ok(())
}

/// What an array, and what it is an array of, and so on, is made of in the end; `None` for no array.
fn array_element(btf: &Btf<'_>, mut id: TypeId) -> Option<TypeId> {
    let mut element = None;
    for _ in 0..=MAX_DEPTH {
        match btf.kind(id) {
            Kind::Array => {
                id = btf.ty(id).array()?.element;
                element = Some(id);
            }
            kind if kind.is_modifier() => id = btf.target(id),
            _ => break,
        }
    }
    element.map(|_| id)
}

/// The kind of type that modifiers and typedefs end in.
pub(super) fn ends_in(btf: &Btf<'_>, defs: &Defs, mut id: TypeId) -> u32 {
    for _ in 0..=MAX_DEPTH {
        match btf.kind(id) {
            Kind::Typedef => return defs.get(defs.slot_of(id)).text,
            kind if kind.is_modifier() => id = btf.target(id),
            kind => return kind as u32,
        }
    }
    Kind::Void as u32
}

/// A member as C lays it out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    /// First bit.
    pub start: u64,
    /// Width in bits, for a bit-field.
    pub width: Option<u64>,
    /// Size of the member's type in bits.
    pub size: u64,
    /// Alignment of the member's type in bits.
    pub align: u64,
}

impl Placed {
    pub fn end(&self) -> u64 {
        self.start + self.width.unwrap_or(self.size)
    }
}

/// Where a member lies; `None` for an unnamed one that C cannot declare.
pub(super) fn place(btf: &Btf<'_>, defs: &Defs, m: &Member) -> Result<Option<Placed>, String> {
    let of = match btf.is_named(m.name) {
        true => m.ty,
        false => match unnamed_member(btf, defs, m.ty) {
            Some(record) => record,
            None => return Ok(None),
        },
    };
    let shape = shape(btf, defs, of);
    if !shape.object {
        return Err("has a type that no object has".into());
    }
    let (mut start, mut width) = (u64::from(m.bit_offset), u64::from(m.width));
    if width == 0 && shape.integer && defs.old_bit_fields {
        // Before kind_flag, an INT of fewer bits than it has room for was a bit-field's.
        if let Some((offset, bits)) = old_bit_field(btf, m.ty, shape.size) {
            (start, width) = (start + offset, bits);
        }
    }
    let size = shape.size.saturating_mul(8);
    let size_of_value = if width > 1 && is_bool(btf, m.ty) {
        1
    } else {
        size
    };
    if width > 0 && (!shape.integer || width > size_of_value) {
        return Err(format!(
            "is a bit-field of {width} bits, its type cannot be"
        ));
    }
    if width == 0 && !start.is_multiple_of(8) {
        return Err(format!("starts at bit {start} and is no bit-field"));
    }
    Ok(Some(Placed {
        start,
        width: (width > 0).then_some(width),
        size,
        align: shape.align * 8,
    }))
}

/// Whether a type ends in `_Bool`, of which one bit counts.
fn is_bool(btf: &Btf<'_>, mut id: TypeId) -> bool {
    for _ in 0..=MAX_DEPTH {
        match btf.kind(id) {
            Kind::Typedef | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                id = btf.target(id)
            }
            _ => break,
        }
    }
    btf.ty(id).int().is_some_and(|i| i.is_bool() && i.size == 1)
}

/// Offset and width in bits that an INT itself gives to a bit-field of its type.
fn old_bit_field(btf: &Btf<'_>, mut id: TypeId, size: u64) -> Option<(u64, u64)> {
    for _ in 0..=MAX_DEPTH {
        let ty = btf.ty(id);
        match ty.kind() {
            Kind::Int => {
                let int = ty.int()?;
                let (offset, bits) = (u64::from(int.bit_offset()), u64::from(int.bits()));
                return (bits > 0 && (bits < size * 8 || offset > 0)).then_some((offset, bits));
            }
            Kind::Typedef => id = ty.target(),
            kind if kind.is_modifier() => id = ty.target(),
            _ => return None,
        }
    }
    None
}

/// The alignment, in bits, that every compiler for such a kernel gives a type that naturally has `align`.
pub(super) fn sure_align(btf: &Btf<'_>, align: u64) -> u64 {
    match btf.pointer_size() {
        4 => align.min(32),
        _ => align,
    }
}

/// Where C puts the next member if nothing is said: the first bit from `cursor` on.
#[inline]
pub(super) fn natural_start(cursor: u64, m: &Placed) -> u64 {
    match m.width {
        // A bit-field does not cross the boundary of its type's size, counted in its alignment.
        Some(width) if (cursor & (m.align - 1)) + width <= m.size => cursor,
        _ => cursor.next_multiple_of(m.align),
    }
}

/// How a record is printed: its alignment, whether packed, whether padding has to be said; as far as its
/// members that were added tell. In bits.
pub(super) struct Layout {
    size: u64,
    /// All ones for a struct, zero for a union, whose members all lie at its start.
    row: u64,
    align: u64,
    /// The most that every compiler aligns to.
    sure: u64,
    cursor: u64,
    packed: bool,
    ordered: bool,
    overlaps: bool,
    natural: bool,
}

impl Layout {
    pub fn of(btf: &Btf<'_>, def: &Def) -> Layout {
        Layout {
            size: def.size * 8,
            row: match def.class {
                DefClass::Union => 0,
                _ => u64::MAX,
            },
            align: 8,
            sure: sure_align(btf, u64::MAX),
            cursor: 0,
            packed: false,
            ordered: true,
            overlaps: false,
            natural: true,
        }
    }

    /// Adds a named member of a type that is known to be so large, if it is no bit-field and lies where C
    /// puts it: most do. No other is added.
    #[inline(always)]
    pub fn usual(&mut self, m: &Member, memo: Memo) -> bool {
        let Some((size, align)) = memo.shape() else {
            return false;
        };
        let (size, align) = (size * 8, align * 8);
        let sure = align.min(self.sure);
        let start = (self.cursor + sure - 1) & !(sure - 1) & self.row;
        let end = start + size;
        let fits = start == u64::from(m.bit_offset) && start & (align - 1) == 0 && end <= self.size;
        if !fits || m.width > 0 || m.name.is_none() {
            return false;
        }
        self.align = self.align.max(align);
        self.cursor = self.cursor.max(end);
        true
    }

    /// Adds any member.
    ///
    /// # Errors
    /// One that C cannot put there.
    pub fn member(
        &mut self,
        btf: &Btf<'_>,
        defs: &mut Defs,
        record: TypeId,
        m: &Member,
    ) -> Result<(), Error> {
        let placed = match place(btf, defs, m) {
            Ok(Some(placed)) => placed,
            Ok(None) => {
                self.natural = false;
                return Ok(());
            }
            Err(what) => return Err(member_error(btf, record, m, &what)),
        };
        if btf.is_named(m.name) {
            let memo = Memo::new(placed.size / 8, (placed.align / 8) as u8);
            defs.note(m.ty, memo);
        }
        if placed.end() > self.size {
            let what = format!("ends at bit {}, the record at {}", placed.end(), self.size);
            return Err(member_error(btf, record, m, &what));
        }
        self.align = self.align.max(placed.align);
        self.packed |= match placed.width {
            None => placed.start & (placed.align - 1) != 0,
            Some(width) => (placed.start & (placed.align - 1)) + width > placed.size,
        };
        if self.row == 0 {
            self.natural &= placed.start == 0;
            self.overlaps |= placed.start != 0;
        } else {
            self.ordered &= placed.start >= self.cursor;
            let sure = Placed {
                align: placed.align.min(self.sure),
                ..placed
            };
            self.natural &= placed.start == natural_start(self.cursor, &placed)
                && placed.start == natural_start(self.cursor, &sure);
        }
        self.cursor = self.cursor.max(placed.end());
        Ok(())
    }

    /// Notes what became of it.
    pub fn finish(mut self, btf: &Btf<'_>, defs: &mut Defs, slot: Slot) {
        let id = defs.get(slot).id;
        // Alignments are powers of two.
        let rounds = |n: u64, align: u64| (n + align - 1) & !(align - 1);
        self.packed |= rounds(self.size, self.align) != self.size;
        if !self.ordered {
            self.overlaps = overlap(btf, defs, id);
            self.natural = false;
        }
        if self.overlaps || self.packed {
            self.align = 8;
            self.packed = true;
        }
        let sure = self.align.min(self.sure);
        let padded = self.packed || !self.natural || rounds(self.cursor, sure) != self.size;
        let def = defs.get_mut(slot);
        def.align = (self.align / 8) as u8;
        // Where nothing is aligned, packing changes nothing but how wide padding may be.
        if self.packed || padded && self.align == 8 {
            def.flags |= Def::PACKED;
        }
        if self.overlaps {
            def.flags |= Def::OVERLAPS;
        }
        if padded {
            def.flags |= Def::PADDED;
        }
        let memo = Memo::new(def.size, def.align);
        defs.note(id, memo);
    }
}

/// Lays out a record.
pub(super) fn lay_out_record(btf: &Btf<'_>, defs: &mut Defs, slot: Slot) -> Result<(), Error> {
    let mut layout = Layout::of(btf, defs.get(slot));
    let id = defs.get(slot).id;
    for m in btf.ty(id).members() {
        let memo = defs.memo(m.ty);
        if defs.odd_members || !layout.usual(&m, memo) {
            layout.member(btf, defs, id, &m)?;
        }
    }
    layout.finish(btf, defs, slot);
    Ok(())
}

/// Whether a struct's members, wherever they were declared, share bits.
fn overlap(btf: &Btf<'_>, defs: &Defs, id: TypeId) -> bool {
    let mut spans: Vec<(u64, u64)> = members_by_offset(btf, defs, id)
        .into_iter()
        .map(|(_, p)| (p.start, p.end()))
        .collect();
    spans.retain(|(start, end)| start < end);
    spans.windows(2).any(|w| w[0].1 > w[1].0)
}

/// A struct's members in the order in which they lie.
pub(super) fn members_by_offset(btf: &Btf<'_>, defs: &Defs, id: TypeId) -> Vec<(Member, Placed)> {
    let mut members: Vec<(Member, Placed)> = btf
        .ty(id)
        .members()
        .filter_map(|m| Some((m, place(btf, defs, &m).ok()??)))
        .collect();
    members.sort_by_key(|(_, p)| p.start);
    members
}

fn member_error(btf: &Btf<'_>, record: TypeId, m: &Member, what: &str) -> Error {
    let name = shown(btf.name(m.name));
    Error::new(
        btf,
        record,
        format!("{}: member {name} {what}", in_words(btf, record)),
    )
}
