//! Which types stand for which: the rules of libbpf's `relo_core.c`.

use super::effort::Effort;
use crate::btf::{Btf, Kind, StrOffset, Type, TypeId};

/// Why a relocation cannot even be tried; libbpf refuses the whole object then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The access string or what it leads through makes no sense (`EINVAL`).
    #[error("{0}")]
    Invalid(&'static str),
    /// Too deep, too many steps, a bit-field wider than 64 bits (`E2BIG`).
    #[error("{0}")]
    TooBig(&'static str),
    /// A kind of relocation that libbpf does not know, or on a type without a name (`EOPNOTSUPP`).
    #[error("{0}")]
    Unsupported(&'static str),
    /// An offset that does not fit into the instruction (`ERANGE`).
    #[error("the offset {0} does not fit into the instruction")]
    Range(u64),
    /// The kernel has several types of the name, which give different values (`EINVAL`).
    #[error("the kernel has several types of that name, which disagree: {0} and {1}")]
    Ambiguous(u64, u64),
    /// The instruction does not hold what the object's own types say (`EINVAL`).
    #[error("the instruction holds {got}, where the object's own types say {expected}")]
    Unexpected {
        /// What the instruction holds.
        got: u64,
        /// What it should hold.
        expected: u64,
    },
}

impl Refusal {
    /// The error number that libbpf gives.
    pub fn errno(&self) -> i32 {
        match self {
            Refusal::Invalid(_) | Refusal::Ambiguous(..) | Refusal::Unexpected { .. } => 22,
            Refusal::TooBig(_) => 7,
            Refusal::Unsupported(_) => 95,
            Refusal::Range(_) => 34,
        }
    }
}

/// Most levels of types that libbpf looks through.
pub(super) const MAX_DEPTH: u32 = 32;
/// Modifiers and typedefs that may follow each other.
const MAX_MODIFIERS: u32 = 256;

/// A program's types and a kernel's, and how much may still be compared: types from outside can fan out without end.
#[derive(Clone, Copy)]
pub(super) struct Pair<'b> {
    pub local: &'b Btf<'b>,
    pub target: &'b Btf<'b>,
}

/// What one comparison may cost.
pub(super) struct Budget<'e> {
    left: u32,
    effort: &'e Effort,
}

impl Budget<'_> {
    pub fn new(effort: &Effort) -> Budget<'_> {
        Budget {
            left: 1 << 18,
            effort,
        }
    }

    pub fn take(&mut self) -> Result<(), Refusal> {
        const FAR: Refusal = Refusal::TooBig("the types fan out too far to be compared");
        self.left = self.left.checked_sub(1).ok_or(FAR)?;
        self.effort.take(1).then_some(()).ok_or(FAR)
    }
}

/// The type behind modifiers and typedefs.
pub(super) fn skip(btf: &Btf<'_>, mut id: TypeId) -> Result<TypeId, Refusal> {
    for _ in 0..MAX_MODIFIERS {
        let kind = btf.kind(id);
        if !kind.is_modifier() && kind != Kind::Typedef {
            return Ok(id);
        }
        id = btf.target(id);
    }
    Err(Refusal::Invalid("a type that stands for itself"))
}

/// Size in bytes of a variable of this type. `pointer` is a pointer's size.
pub(super) fn size(btf: &Btf<'_>, pointer: u32, mut id: TypeId) -> Result<u64, Refusal> {
    const NONE: Refusal = Refusal::Invalid("a type without a size");
    const LARGE: Refusal = Refusal::TooBig("a type larger than 4 GiB");
    let mut count: u32 = 1;
    for _ in 0..MAX_DEPTH {
        let ty = btf.ty(id);
        let size = match ty.kind() {
            Kind::Int
            | Kind::Struct
            | Kind::Union
            | Kind::Enum
            | Kind::Enum64
            | Kind::Datasec
            | Kind::Float => ty.size(),
            Kind::Ptr => pointer,
            Kind::Array => {
                let array = ty.array().ok_or(NONE)?;
                count = match count {
                    0 => 0,
                    n => n.checked_mul(array.count).ok_or(LARGE)?,
                };
                id = array.element;
                continue;
            }
            kind if kind.refers() && kind != Kind::Func && kind != Kind::FuncProto => {
                id = ty.target();
                continue;
            }
            _ => return Err(NONE),
        };
        return match count.checked_mul(size) {
            Some(size) => Ok(size.into()),
            None => Err(LARGE),
        };
    }
    Err(NONE)
}

/// Length of a name without its flavour, what follows the last `___` that has something other than `_` on either side.
pub fn essential(name: &[u8]) -> &[u8] {
    let is_separator = |w: &[u8]| w[0] != b'_' && w[1..4] == *b"___" && w[4] != b'_';
    match name.windows(5).rposition(is_separator) {
        Some(at) => name.get(..=at).unwrap_or(name),
        None => name,
    }
}

/// Of the same kind; the two kinds of enum count as one.
pub(super) fn same_kind(a: Kind, b: Kind) -> bool {
    a == b || (a.is_enum() && b.is_enum())
}

fn is_plain_int(ty: &Type<'_>) -> bool {
    ty.int().is_some_and(|int| int.bit_offset() == 0)
}

/// `bpf_core_types_are_compat`: what is asked of types that are named as such, and of prototypes.
pub(super) fn types_are_compat(
    pair: Pair<'_>,
    local: TypeId,
    target: TypeId,
    level: u32,
    budget: &mut Budget<'_>,
) -> Result<bool, Refusal> {
    let (mut local, mut target) = (local, target);
    if !same_kind(pair.local.kind(local), pair.target.kind(target)) {
        return Ok(false);
    }
    for _ in 0..MAX_DEPTH {
        budget.take()?;
        local = skip(pair.local, local)?;
        target = skip(pair.target, target)?;
        let (l, t) = (pair.local.ty(local), pair.target.ty(target));
        if !same_kind(l.kind(), t.kind()) {
            return Ok(false);
        }
        match l.kind() {
            Kind::Void | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Fwd => {
                return Ok(true);
            }
            Kind::Int => return Ok(is_plain_int(&l) && is_plain_int(&t)),
            Kind::Ptr => (local, target) = (l.target(), t.target()),
            Kind::Array => (local, target) = (element(&l), element(&t)),
            Kind::FuncProto => {
                if l.vlen() != t.vlen() {
                    return Ok(false);
                }
                for (l, t) in l.params().zip(t.params()) {
                    let Some(deeper) = level.checked_sub(1) else {
                        return Err(Refusal::Invalid("prototypes nested too deeply"));
                    };
                    let (l, t) = (skip(pair.local, l.ty)?, skip(pair.target, t.ty)?);
                    if !types_are_compat(pair, l, t, deeper, budget)? {
                        return Ok(false);
                    }
                }
                local = skip(pair.local, l.target())?;
                target = skip(pair.target, t.target())?;
            }
            _ => return Ok(false),
        }
    }
    Err(Refusal::Invalid("types nested too deeply"))
}

fn element(ty: &Type<'_>) -> TypeId {
    ty.array().map_or(TypeId::VOID, |a| a.element)
}

/// `bpf_core_fields_are_compat`: what is asked of a field.
pub(super) fn fields_are_compat(
    pair: Pair<'_>,
    local: TypeId,
    target: TypeId,
    budget: &mut Budget<'_>,
) -> Result<bool, Refusal> {
    let (mut local, mut target) = (local, target);
    loop {
        budget.take()?;
        local = skip(pair.local, local)?;
        target = skip(pair.target, target)?;
        let (l, t) = (pair.local.ty(local), pair.target.ty(target));
        if l.kind().is_record() && t.kind().is_record() {
            return Ok(true);
        }
        if !same_kind(l.kind(), t.kind()) {
            return Ok(false);
        }
        return Ok(match l.kind() {
            Kind::Ptr | Kind::Float => true,
            Kind::Fwd | Kind::Enum | Kind::Enum64 => {
                let l = essential(pair.local.name(l.name()));
                let t = essential(pair.target.name(t.name()));
                l.is_empty() || t.is_empty() || l == t
            }
            Kind::Int => is_plain_int(&l) && is_plain_int(&t),
            Kind::Array => {
                (local, target) = (element(&l), element(&t));
                continue;
            }
            _ => false,
        });
    }
}

fn names_match(pair: Pair<'_>, local: StrOffset, target: StrOffset) -> bool {
    let (local, target) = (pair.local.name(local), pair.target.name(target));
    match target.is_empty() {
        true => local.is_empty(),
        false => essential(local) == essential(target),
    }
}

/// `bpf_core_types_match`: the same names and shapes, as far as the program's own type goes.
pub(super) fn types_match(
    pair: Pair<'_>,
    local: TypeId,
    target: TypeId,
    behind_pointer: bool,
    level: i32,
    budget: &mut Budget<'_>,
) -> Result<bool, Refusal> {
    const DEEP: Refusal = Refusal::Invalid("types nested too deeply");
    let (mut local, mut target, mut behind_pointer) = (local, target, behind_pointer);
    if level <= 0 {
        return Err(DEEP);
    }
    for _ in 0..MAX_DEPTH {
        budget.take()?;
        local = skip(pair.local, local)?;
        target = skip(pair.target, target)?;
        let (l, t) = (pair.local.ty(local), pair.target.ty(target));
        if !names_match(pair, l.name(), t.name()) {
            return Ok(false);
        }
        let (lk, tk) = (l.kind(), t.kind());
        let is_union = |flag: bool| if flag { Kind::Union } else { Kind::Struct };
        match lk {
            Kind::Void => return Ok(lk == tk),
            Kind::Fwd if lk == tk => return Ok(l.kind_flag() == t.kind_flag()),
            Kind::Fwd => return Ok(behind_pointer && tk == is_union(l.kind_flag())),
            Kind::Enum | Kind::Enum64 => {
                return Ok(tk.is_enum() && enums_match(pair, &l, &t, budget)?);
            }
            Kind::Struct | Kind::Union if behind_pointer => {
                let forward = tk == Kind::Fwd && is_union(t.kind_flag()) == lk;
                return Ok(lk == tk || forward);
            }
            Kind::Struct | Kind::Union => {
                return Ok(lk == tk && records_match(pair, &l, &t, level, budget)?);
            }
            _ if lk != tk => return Ok(false),
            Kind::Int => {
                let signed = |ty: &Type<'_>| ty.int().is_some_and(|int| int.is_signed());
                return Ok(l.size() == t.size() && signed(&l) == signed(&t));
            }
            Kind::Ptr => {
                behind_pointer = true;
                (local, target) = (l.target(), t.target());
            }
            Kind::Array => {
                if l.array().map(|a| a.count) != t.array().map(|a| a.count) {
                    return Ok(false);
                }
                (local, target) = (element(&l), element(&t));
            }
            Kind::FuncProto => {
                if l.vlen() != t.vlen() {
                    return Ok(false);
                }
                for (l, t) in l.params().zip(t.params()) {
                    if !types_match(pair, l.ty, t.ty, behind_pointer, level - 1, budget)? {
                        return Ok(false);
                    }
                }
                (local, target) = (l.target(), t.target());
            }
            _ => return Ok(false),
        }
    }
    Err(DEEP)
}

fn enums_match(
    pair: Pair<'_>,
    local: &Type<'_>,
    target: &Type<'_>,
    budget: &mut Budget<'_>,
) -> Result<bool, Refusal> {
    if local.size() != target.size() || local.vlen() > target.vlen() {
        return Ok(false);
    }
    for l in local.enumerators() {
        let mut found = false;
        for t in target.enumerators() {
            budget.take()?;
            if names_match(pair, l.name, t.name) {
                found = true;
                break;
            }
        }
        if !found {
            return Ok(false);
        }
    }
    Ok(true)
}

fn records_match(
    pair: Pair<'_>,
    local: &Type<'_>,
    target: &Type<'_>,
    level: i32,
    budget: &mut Budget<'_>,
) -> Result<bool, Refusal> {
    if local.vlen() > target.vlen() {
        return Ok(false);
    }
    for l in local.members() {
        let mut found = false;
        for t in target.members() {
            budget.take()?;
            if names_match(pair, l.name, t.name)
                && types_match(pair, l.ty, t.ty, false, level - 1, budget)?
            {
                found = true;
                break;
            }
        }
        if !found {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::essential;

    #[test]
    fn a_flavour_is_what_follows_three_underscores() {
        for (name, want) in [
            ("task_struct", "task_struct"),
            ("task_struct___old", "task_struct"),
            ("a___b", "a"),
            ("a___b___c", "a___b"),
            ("a____b", "a____b"),
            ("___b", "___b"),
            ("a___", "a___"),
            ("", ""),
        ] {
            assert_eq!(essential(name.as_bytes()), want.as_bytes(), "{name}");
        }
    }
}
