//! Access strings (`0:1:2`), and the way that they take through a program's types and through a kernel's.

use super::compat::{
    Budget, MAX_DEPTH, Pair, Refusal, essential, fields_are_compat, size, skip, types_are_compat,
    types_match,
};
use super::effort::Effort;
use super::object::CoreKind;
use crate::btf::{Array, Btf, TypeId};

/// Most steps of a way.
const MAX_LEN: usize = 64;

/// A turning point: a named member, an element of an array, an enumerator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<'b> {
    /// The record whose member it is; of an element its own type; of an enumerator its enum.
    pub ty: TypeId,
    /// Which one.
    pub index: u32,
    /// Its name; elements of arrays have none.
    pub name: Option<&'b [u8]>,
}

/// A way through types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec<'b> {
    /// The type where it begins.
    pub root: TypeId,
    /// Turning points. None, where a type as such is meant.
    pub steps: Vec<Step<'b>>,
    /// Every step, those through unnamed members too.
    pub raw: Vec<u32>,
    /// How far it leads, in bits.
    pub bits: u32,
}

fn numbers(text: &[u8]) -> Result<Vec<u32>, Refusal> {
    const BAD: Refusal = Refusal::Invalid("the access string is not numbers with colons between");
    let mut all = Vec::new();
    for part in text.split(|b| *b == b':') {
        let digits = std::str::from_utf8(part).map_err(|_| BAD)?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BAD);
        }
        if all.len() == MAX_LEN {
            return Err(Refusal::TooBig("an access of more than 64 steps"));
        }
        // As an `int`.
        let number: i32 = digits.parse().map_err(|_| BAD)?;
        all.push(number as u32);
    }
    Ok(all)
}

/// An array of no known length at the end of a record: any index will do.
fn is_flexible(btf: &Btf<'_>, before: Option<&Step<'_>>, array: &Array) -> bool {
    let Some(step) = before.filter(|step| step.name.is_some()) else {
        return false;
    };
    array.count == 0 && step.index.checked_add(1) == Some(btf.ty(step.ty).vlen())
}

fn element_bits(btf: &Btf<'_>, pointer: u32, id: TypeId, index: u32) -> Result<u32, Refusal> {
    let size = size(btf, pointer, id)?;
    Ok(size.wrapping_mul(index.into()).wrapping_mul(8) as u32)
}

impl<'b> Spec<'b> {
    /// `bpf_core_parse_spec`: what a relocation says of the program's own types.
    pub(super) fn parse(
        btf: &'b Btf<'b>,
        kind: CoreKind,
        root: TypeId,
        access: &[u8],
    ) -> Result<Spec<'b>, Refusal> {
        let mut spec = Spec {
            root,
            steps: Vec::new(),
            raw: Vec::new(),
            bits: 0,
        };
        if kind.is_type() {
            return match access {
                b"0" => Ok(spec),
                _ => Err(Refusal::Invalid("a type's access string must be \"0\"")),
            };
        }
        spec.raw = numbers(access)?;
        let mut id = skip(btf, root)?;
        let Some((&first, rest)) = spec.raw.split_first() else {
            return Err(Refusal::Invalid("the access string is empty"));
        };
        let mut begin = Step {
            ty: id,
            index: first,
            name: None,
        };
        if kind.is_enumerator() {
            let ty = btf.ty(id);
            let named = ty.enumerators().nth(first as usize);
            let Some(named) = named.filter(|_| rest.is_empty()) else {
                return Err(Refusal::Invalid("the access string names no enumerator"));
            };
            begin.name = Some(btf.name(named.name));
            spec.steps.push(begin);
            return Ok(spec);
        }
        spec.bits = element_bits(btf, 8, id, first)?;
        spec.steps.push(begin);
        for &index in rest {
            id = skip(btf, id)?;
            let ty = btf.ty(id);
            if ty.kind().is_record() {
                let Some(member) = ty.members().nth(index as usize) else {
                    return Err(Refusal::Invalid("the access string leads to no member"));
                };
                spec.bits = spec.bits.wrapping_add(member.bit_offset);
                if !member.name.is_none() {
                    let name = btf.name(member.name);
                    if name.is_empty() {
                        return Err(Refusal::Invalid("a member's name is empty"));
                    }
                    spec.steps.push(Step {
                        ty: id,
                        index,
                        name: Some(name),
                    });
                }
                id = member.ty;
            } else if let Some(array) = ty.array() {
                id = skip(btf, array.element)?;
                if !is_flexible(btf, spec.steps.last(), &array) && index >= array.count {
                    return Err(Refusal::Invalid(
                        "the access string leads behind an array's end",
                    ));
                }
                spec.steps.push(Step {
                    ty: id,
                    index,
                    name: None,
                });
                let bits = element_bits(btf, 8, id, index)?;
                spec.bits = spec.bits.wrapping_add(bits);
            } else {
                return Err(Refusal::Invalid(
                    "the access string leads into a type that has no parts",
                ));
            }
        }
        Ok(spec)
    }

    /// `bpf_core_spec_match`: the same way in a kernel's type, if it has it.
    pub(super) fn find<'t>(
        &self,
        kind: CoreKind,
        local: &Btf<'_>,
        target: &'t Btf<'t>,
        root: TypeId,
        effort: &Effort,
    ) -> Result<Option<Spec<'t>>, Refusal> {
        let pair = Pair { local, target };
        let mut budget = Budget::new(effort);
        budget.take()?;
        let mut found = Spec {
            root,
            steps: Vec::new(),
            raw: Vec::new(),
            bits: 0,
        };
        if kind.is_type() {
            let fits = match kind {
                CoreKind::TypeMatches => {
                    types_match(pair, self.root, root, false, MAX_DEPTH as i32, &mut budget)?
                }
                _ => types_are_compat(pair, self.root, root, MAX_DEPTH, &mut budget)?,
            };
            return Ok(fits.then_some(found));
        }
        if kind.is_enumerator() {
            return self.find_enumerator(target, found);
        }
        let pointer = target.pointer_size();
        let mut id = root;
        for (at, step) in self.steps.iter().enumerate() {
            id = skip(target, id)?;
            if step.name.is_some() {
                match find_member(local, step, target, id, &mut found, &mut budget)? {
                    Some(next) => id = next,
                    None => return Ok(None),
                }
                continue;
            }
            // The first step counts whole types, from the pointer.
            if at > 0 {
                let Some(array) = target.ty(id).array() else {
                    return Ok(None);
                };
                let flexible = is_flexible(target, found.steps.last(), &array);
                if !flexible && step.index >= array.count {
                    return Ok(None);
                }
                id = skip(target, array.element)?;
            }
            found.push_raw(step.index)?;
            found.steps.push(Step {
                ty: id,
                index: step.index,
                name: None,
            });
            let bits = element_bits(target, pointer, id, step.index)?;
            found.bits = found.bits.wrapping_add(bits);
        }
        Ok(Some(found))
    }

    fn find_enumerator<'t>(
        &self,
        target: &'t Btf<'t>,
        mut found: Spec<'t>,
    ) -> Result<Option<Spec<'t>>, Refusal> {
        let id = skip(target, found.root)?;
        let wanted = self.steps.first().and_then(|step| step.name);
        let wanted = essential(wanted.unwrap_or_default());
        for (index, has) in target.ty(id).enumerators().enumerate() {
            let name = target.name(has.name);
            if essential(name) == wanted {
                found.raw.push(index as u32);
                found.steps.push(Step {
                    ty: id,
                    index: index as u32,
                    name: Some(name),
                });
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn push_raw(&mut self, index: u32) -> Result<(), Refusal> {
        if self.raw.len() == MAX_LEN {
            return Err(Refusal::TooBig("an access of more than 64 steps"));
        }
        self.raw.push(index);
        Ok(())
    }
}

/// `bpf_core_match_member`: looks for a member by name, through unnamed ones. Gives its type, and adds the way to it
/// to `found`.
fn find_member<'t>(
    local: &Btf<'_>,
    step: &Step<'_>,
    target: &'t Btf<'t>,
    root: TypeId,
    found: &mut Spec<'t>,
    budget: &mut Budget<'_>,
) -> Result<Option<TypeId>, Refusal> {
    let Some(own) = local.ty(step.ty).members().nth(step.index as usize) else {
        return Ok(None);
    };
    let wanted = step.name.unwrap_or_default();
    let open = |id: TypeId, bits: u32| (id, target.ty(id).members().enumerate(), bits);
    let mut levels = vec![open(root, 0)];
    while let Some((record, members, into)) = levels.last_mut() {
        budget.take()?;
        let Some((index, member)) = members.next() else {
            // Not in here: back to the record that this one lies in.
            found.bits = found.bits.wrapping_sub(*into);
            levels.pop();
            if !levels.is_empty() {
                found.raw.pop();
            }
            continue;
        };
        let record = *record;
        found.push_raw(index as u32)?;
        let name = target.name(member.name);
        if name.is_empty() {
            found.bits = found.bits.wrapping_add(member.bit_offset);
            levels.push(open(skip(target, member.ty)?, member.bit_offset));
            continue;
        }
        if name == wanted {
            let pair = Pair { local, target };
            if !fields_are_compat(pair, own.ty, member.ty, budget)? {
                return Ok(None);
            }
            found.bits = found.bits.wrapping_add(member.bit_offset);
            found.steps.push(Step {
                ty: record,
                index: index as u32,
                name: Some(name),
            });
            return Ok(Some(member.ty));
        }
        found.raw.pop();
    }
    Ok(None)
}
