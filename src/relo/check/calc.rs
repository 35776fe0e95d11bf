//! What a relocation comes to on a kernel: `bpf_core_calc_relo_insn`.

use super::compat::{Refusal, size, skip};
use super::effort::Effort;
use super::object::{CoreKind, Relocation};
use super::spec::Spec;
use super::target::{Candidate, Target};
use crate::btf::{Btf, ByteOrder, Kind, TypeId};

/// What a relocation comes to: libbpf's `struct bpf_core_relo_res`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Value {
    /// By the program's own types.
    pub original: u64,
    /// By the kernel's.
    pub new: u64,
    /// The kernel has nothing to put there: the instruction becomes one that the kernel refuses, if it can be reached.
    pub poison: bool,
    /// The instruction must hold `original`.
    pub validate: bool,
    /// A load or store there would have to change its width, and cannot safely (`fail_memsz_adjust`).
    pub is_missized: bool,
    /// Bytes of the field by the program's own types, where an offset is meant.
    pub original_size: u32,
    /// Bytes of the field by the kernel's.
    pub new_size: u32,
}

/// A relocation's value, and the way in the kernel's types where there is one.
#[derive(Debug, Clone)]
pub(in crate::relo) struct Resolved<'t> {
    /// The value.
    pub value: Value,
    /// Where it is from; `None` where no candidate fits.
    pub found: Option<(Candidate, Spec<'t>)>,
}

/// What one side says.
struct Side {
    value: u64,
    size: u32,
    ty: TypeId,
    validate: bool,
}

impl Side {
    fn of(value: u64, validate: bool) -> Side {
        Side {
            value,
            size: 0,
            ty: TypeId::VOID,
            validate,
        }
    }
}

/// Resolves a relocation against a kernel. `candidates` are those that [`Target::candidates`] found for its type; those that
/// do not fit are taken out if any fits, as libbpf does for the next relocation of the same type.
///
/// # Errors
/// What libbpf refuses the whole object for.
pub(in crate::relo) fn resolve<'t>(
    local: &Btf<'_>,
    relocation: &Relocation<'_>,
    target: &'t Target<'t>,
    candidates: &mut Vec<Candidate>,
    effort: &Effort,
) -> Result<Resolved<'t>, Refusal> {
    // A kernel's types of one name are few; and they are kept.
    effort.take(8 * candidates.len());
    let (kind, id) = (relocation.kind, relocation.ty);
    // Whatever is wrong with the access string, libbpf calls it EINVAL.
    let own = Spec::parse(local, kind, id, relocation.access).map_err(|refusal| match refusal {
        Refusal::TooBig(why) => Refusal::Invalid(why),
        other => other,
    })?;
    if kind == CoreKind::TypeIdLocal {
        let id = u64::from(id.0);
        let value = Value {
            original: id,
            new: id,
            ..Value::default()
        };
        return Ok(Resolved { value, found: None });
    }
    if local.name(local.ty(id).name()).is_empty() {
        return Err(Refusal::Unsupported(
            "a relocation on a type without a name",
        ));
    }
    let mut fitting = Vec::new();
    let mut first: Option<(Value, Candidate, Spec<'t>)> = None;
    for &candidate in candidates.iter() {
        let btf = target.btf(candidate);
        let Some(spec) = own.find(kind, local, btf, candidate.id, effort)? else {
            continue;
        };
        let value = calc(local, kind, &own, Some((btf, &spec)))?;
        match &first {
            None => first = Some((value, candidate, spec)),
            Some((_, _, other)) if other.bits != spec.bits => {
                return Err(Refusal::Ambiguous(other.bits.into(), spec.bits.into()));
            }
            Some((other, ..)) if (other.poison, other.new) != (value.poison, value.new) => {
                return Err(Refusal::Ambiguous(other.new, value.new));
            }
            Some(_) => {}
        }
        fitting.push(candidate);
    }
    match first {
        Some((value, candidate, spec)) => {
            *candidates = fitting;
            let found = Some((candidate, spec));
            Ok(Resolved { value, found })
        }
        None => Ok(Resolved {
            value: calc(local, kind, &own, None)?,
            found: None,
        }),
    }
}

fn calc(
    local: &Btf<'_>,
    kind: CoreKind,
    own: &Spec<'_>,
    theirs: Option<(&Btf<'_>, &Spec<'_>)>,
) -> Result<Value, Refusal> {
    // Of shifts, the program's byte order decides: it runs on machines of that order only.
    let order = local.byte_order();
    let side = |btf: &Btf<'_>, pointer: u32, spec: &Spec<'_>| match kind {
        k if k.is_field() => field(btf, pointer, order, kind, spec),
        k if k.is_enumerator() => enumerator(btf, kind, spec),
        _ => type_side(btf, pointer, kind, spec),
    };
    let mine = side(local, 8, own)?;
    let mut value = Value {
        original: mine.value,
        validate: mine.validate,
        original_size: mine.size,
        ..Value::default()
    };
    let Some((btf, spec)) = theirs else {
        // Existence and a type's id and size are 0 where there is none.
        value.poison = kind.needs_target();
        return Ok(value);
    };
    let there = side(btf, btf.pointer_size(), spec)?;
    value.new = there.value;
    value.new_size = there.size;
    if kind.is_field() && mine.size != there.size {
        let (a, b) = (local.ty(mine.ty), btf.ty(there.ty));
        let pointers = a.kind() == Kind::Ptr && b.kind() == Kind::Ptr;
        // As the kernel has it: signed and nothing besides.
        let is_signed = |int: crate::btf::Int| int.is_signed() && !int.is_char() && !int.is_bool();
        let unsigned =
            matches!((a.int(), b.int()), (Some(a), Some(b)) if !is_signed(a) && !is_signed(b));
        value.is_missized = !pointers && !unsigned;
    }
    Ok(value)
}

/// Size of what is loaded or stored: of an array, of one element.
fn element_size(btf: &Btf<'_>, pointer: u32, id: TypeId) -> Result<u32, Refusal> {
    let mut id = skip(btf, id)?;
    for _ in 0..super::compat::MAX_DEPTH {
        match btf.ty(id).array() {
            Some(array) => id = skip(btf, array.element)?,
            None => return Ok(size(btf, pointer, id).map_err(no_size)? as u32),
        }
    }
    Err(Refusal::Invalid("arrays nested too deeply"))
}

fn no_size(_: Refusal) -> Refusal {
    Refusal::Invalid("a field without a size")
}

fn field(
    btf: &Btf<'_>,
    pointer: u32,
    order: ByteOrder,
    kind: CoreKind,
    spec: &Spec<'_>,
) -> Result<Side, Refusal> {
    if kind == CoreKind::FieldExists {
        return Ok(Side::of(1, true));
    }
    let Some(last) = spec.steps.last() else {
        return Err(Refusal::Invalid("an empty access"));
    };
    if last.name.is_none() {
        return match kind {
            CoreKind::FieldByteOffset => Ok(Side {
                value: u64::from(spec.bits / 8),
                size: element_size(btf, pointer, last.ty)?,
                ty: last.ty,
                validate: true,
            }),
            CoreKind::FieldByteSize => Ok(Side::of(
                size(btf, pointer, last.ty).map_err(no_size)?,
                true,
            )),
            _ => Err(Refusal::Invalid(
                "this cannot be asked of an array's element",
            )),
        };
    }
    let Some(member) = btf.ty(last.ty).members().nth(last.index as usize) else {
        return Err(Refusal::Invalid("an access to no member"));
    };
    let id = skip(btf, member.ty)?;
    let ty = btf.ty(id);
    let (at, mut width) = (spec.bits, u32::from(member.width));
    let is_bit_field = width > 0;
    let (mut bytes, mut offset);
    if is_bit_field {
        bytes = ty.size();
        let begin = |bytes: u32| (at / 8).checked_div(bytes).map(|n| n.wrapping_mul(bytes));
        const EMPTY: Refusal = Refusal::Invalid("a bit-field of a type without a size");
        offset = begin(bytes).ok_or(EMPTY)?;
        // The smallest integer that has all of it.
        while at.wrapping_add(width).wrapping_sub(offset.wrapping_mul(8)) > bytes.wrapping_mul(8) {
            if bytes >= 8 {
                return Err(Refusal::TooBig("a bit-field that no 64-bit load can read"));
            }
            bytes *= 2;
            offset = begin(bytes).ok_or(EMPTY)?;
        }
    } else {
        bytes = size(btf, pointer, id).map_err(no_size)? as u32;
        offset = at / 8;
        width = bytes.wrapping_mul(8);
    }
    let mut side = Side::of(0, !is_bit_field);
    match kind {
        CoreKind::FieldByteOffset => {
            side.value = offset.into();
            if !is_bit_field {
                side.size = element_size(btf, pointer, id)?;
                side.ty = id;
            }
        }
        CoreKind::FieldByteSize => side.value = bytes.into(),
        CoreKind::FieldSigned => {
            let signed = match ty.kind().is_enum() {
                true => ty.kind_flag(),
                false => ty.int().is_some_and(|int| int.is_signed()),
            };
            side.value = signed.into();
            side.validate = true;
        }
        CoreKind::FieldLshift => {
            let before = at.wrapping_sub(offset.wrapping_mul(8));
            let shift = match order {
                ByteOrder::Little => 64u32.wrapping_sub(before.wrapping_add(width)),
                ByteOrder::Big => 8u32
                    .wrapping_sub(bytes)
                    .wrapping_mul(8)
                    .wrapping_add(before),
            };
            side.value = shift.into();
        }
        _ => {
            side.value = 64u32.wrapping_sub(width).into();
            side.validate = true;
        }
    }
    Ok(side)
}

fn type_side(
    btf: &Btf<'_>,
    pointer: u32,
    kind: CoreKind,
    spec: &Spec<'_>,
) -> Result<Side, Refusal> {
    Ok(match kind {
        // Linking may have changed the program's own id.
        CoreKind::TypeIdTarget => Side::of(spec.root.0.into(), false),
        CoreKind::TypeSize => Side::of(size(btf, pointer, spec.root).map_err(no_size)?, true),
        _ => Side::of(1, true),
    })
}

fn enumerator(btf: &Btf<'_>, kind: CoreKind, spec: &Spec<'_>) -> Result<Side, Refusal> {
    if kind == CoreKind::EnumeratorExists {
        return Ok(Side::of(1, true));
    }
    let step = spec.steps.first();
    let found = step.and_then(|s| Some((s, btf.ty(s.ty).enumerators().nth(s.index as usize)?)));
    let Some((step, found)) = found else {
        return Err(Refusal::Invalid("an access to no enumerator"));
    };
    let value = match btf.kind(step.ty) {
        // An enumerator of 32 bits is read as an `int`, whatever its sign.
        Kind::Enum => i64::from(found.value as i32) as u64,
        _ => found.value as u64,
    };
    Ok(Side::of(value, true))
}
