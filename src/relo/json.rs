//! The types as JSON, for other programs. The schema is docs/json.md.

use super::content::name_of;
use crate::btf::{Btf, ByteOrder, Kind, StrOffset, Type, TypeId};
use std::io::{self, Write};

/// Raised when a reader of the last one would misread it; a field more is no such change.
const SCHEMA: u32 = 1;

/// Why types were not, or not wholly, printed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name was asked for that no type has.
    #[error("there is no type {0:?} in it")]
    Absent(String),
    /// The output failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes all types of a BTF (of a split one, its own), or those of `names` and what they need: wholly what
/// they hold, by name what they point at. A name may have `struct`, `union` or `enum` before it.
///
/// Writes piece by piece: give it something buffered.
///
/// # Errors
/// A name that no type has, before anything is written; and the output's.
pub fn write(btf: &Btf<'_>, names: &[&str], out: &mut impl Write) -> Result<(), Error> {
    let rows = match names {
        [] => Rows::Own,
        names => Rows::Needed(needed(btf, names)?),
    };
    Ok(print(btf, &rows, out)?)
}

/// Which types are printed.
enum Rows {
    /// All that are not a base's.
    Own,
    /// These.
    Needed(Vec<Need>),
}

/// What is needed of a type, by id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Nothing,
    /// That it exists: it is only pointed at.
    Name,
    /// All of it.
    Definition,
}

fn print(btf: &Btf<'_>, rows: &Rows, out: &mut impl Write) -> io::Result<()> {
    let order = match btf.byte_order() {
        ByteOrder::Little => "little",
        ByteOrder::Big => "big",
    };
    write!(
        out,
        "{{\"schema\":{SCHEMA},\"byteOrder\":\"{order}\",\"pointerSize\":{},\"firstId\":{},\"types\":[",
        btf.pointer_size(),
        btf.first_id()
    )?;
    let mut separator = "\n";
    let mut row = |ty: &Type<'_>, whole: bool| {
        out.write_all(separator.as_bytes())?;
        separator = ",\n";
        print_type(btf, ty, whole, out)
    };
    match rows {
        Rows::Own => {
            for ty in btf.types() {
                row(&ty, true)?;
            }
        }
        Rows::Needed(needs) => {
            for (id, need) in (0..).map(TypeId).zip(needs) {
                if *need > Need::Nothing {
                    row(&btf.ty(id), *need == Need::Definition)?;
                }
            }
        }
    }
    out.write_all(b"\n]}\n")
}

/// The types of these names and what they need: wholly what they hold, by name what they point at.
fn needed(btf: &Btf<'_>, names: &[&str]) -> Result<Vec<Need>, Error> {
    let mut needs = vec![Need::Nothing; btf.end_id() as usize];
    let mut work = Vec::new();
    for name in names {
        let (kinds, bare): (&[Kind], _) = match name.split_once(' ') {
            Some(("struct", bare)) => (&[Kind::Struct], bare),
            Some(("union", bare)) => (&[Kind::Union], bare),
            Some(("enum", bare)) => (&[Kind::Enum, Kind::Enum64], bare),
            _ => (&[], *name),
        };
        let before = work.len();
        for id in (1..btf.end_id()).map(TypeId) {
            let kind = btf.kind(id);
            let fits = match kinds {
                [] => !matches!(kind, Kind::DeclTag | Kind::TypeTag | Kind::Fwd),
                kinds => kinds.contains(&kind),
            };
            if fits && name_of(btf, btf.ty(id).name()) == bare.as_bytes() {
                work.push((id, Need::Definition));
            }
        }
        if work.len() == before {
            return Err(Error::Absent((*name).to_owned()));
        }
    }
    while let Some((id, need)) = work.pop() {
        let ty = btf.ty(id);
        // Nobody can point at what has no name but by its definition.
        let named = !name_of(btf, ty.name()).is_empty();
        let need = match ty.kind() {
            Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 if named => need,
            _ => need.max(Need::Name),
        };
        let Some(have) = needs.get_mut(id.0 as usize) else {
            continue;
        };
        if *have >= need || id == TypeId::VOID {
            continue;
        }
        *have = need;
        let record = ty.kind().is_record();
        if record && named && need == Need::Name {
            continue;
        }
        // Behind a pointer or in a prototype a record's name will do.
        let behind = match ty.kind() {
            Kind::Ptr | Kind::FuncProto | Kind::Func => Need::Name,
            _ if record => Need::Definition,
            _ => need,
        };
        work.extend(ty.references().map(|to| (to, behind)));
    }
    Ok(needs)
}

fn print_type(btf: &Btf<'_>, ty: &Type<'_>, whole: bool, out: &mut impl Write) -> io::Result<()> {
    let kind = ty.kind();
    let kind_name = kind.name().to_ascii_lowercase();
    write!(out, "{{\"id\":{},\"kind\":\"{kind_name}\"", ty.id())?;
    name(btf, ty.name(), out)?;
    match kind {
        Kind::Int
        | Kind::Struct
        | Kind::Union
        | Kind::Enum
        | Kind::Enum64
        | Kind::Float
        | Kind::Datasec => write!(out, ",\"size\":{}", ty.size())?,
        Kind::Ptr
        | Kind::Typedef
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::Func
        | Kind::Var
        | Kind::DeclTag
        | Kind::TypeTag => write!(out, ",\"type\":{}", ty.target())?,
        _ => {}
    }
    match kind {
        Kind::Int => {
            if let Some(int) = ty.int() {
                write!(
                    out,
                    ",\"bits\":{},\"signed\":{},\"char\":{},\"bool\":{}",
                    int.bits(),
                    int.is_signed(),
                    int.is_char(),
                    int.is_bool()
                )?;
            }
        }
        Kind::Array => {
            if let Some(array) = ty.array() {
                let (of, index, count) = (array.element, array.index, array.count);
                write!(out, ",\"type\":{of},\"index\":{index},\"count\":{count}")?;
            }
        }
        Kind::Fwd => {
            let of = if ty.kind_flag() { "union" } else { "struct" };
            write!(out, ",\"of\":\"{of}\"")?;
        }
        Kind::Func => {
            let linkage = match ty.vlen() {
                0 => "static",
                1 => "global",
                2 => "extern",
                _ => "unknown",
            };
            write!(out, ",\"linkage\":\"{linkage}\"")?;
        }
        Kind::DeclTag | Kind::TypeTag => {
            if let Some(n) = ty.component() {
                write!(out, ",\"component\":{n}")?;
            }
            if ty.kind_flag() {
                out.write_all(b",\"attribute\":true")?;
            }
        }
        Kind::Struct | Kind::Union if whole => list(out, "members", ty.members(), |m, out| {
            write!(out, "\"type\":{},\"bitOffset\":{}", m.ty, m.bit_offset)?;
            if m.width > 0 {
                write!(out, ",\"bitWidth\":{}", m.width)?;
            }
            name(btf, m.name, out)
        })?,
        Kind::Enum | Kind::Enum64 => {
            write!(out, ",\"signed\":{}", ty.kind_flag())?;
            if whole {
                list(out, "values", ty.enumerators(), |e, out| {
                    write!(out, "\"value\":{}", e.value)?;
                    name(btf, e.name, out)
                })?;
            }
        }
        Kind::FuncProto => {
            let variadic = (ty.params().last())
                .is_some_and(|p| p.ty == TypeId::VOID && name_of(btf, p.name).is_empty());
            let params = ty.params().len() - usize::from(variadic);
            write!(out, ",\"returns\":{},\"variadic\":{variadic}", ty.target())?;
            list(out, "params", ty.params().take(params), |p, out| {
                write!(out, "\"type\":{}", p.ty)?;
                name(btf, p.name, out)
            })?;
        }
        Kind::Datasec => list(out, "variables", ty.section_vars(), |v, out| {
            let (ty, offset, size) = (v.ty, v.offset, v.size);
            write!(out, "\"type\":{ty},\"offset\":{offset},\"size\":{size}")
        })?,
        _ => {}
    }
    if !whole && (kind.is_record() || kind.is_enum()) {
        out.write_all(b",\"declaration\":true")?;
    }
    out.write_all(b"}")
}

fn list<W: Write, T>(
    out: &mut W,
    field: &str,
    items: impl Iterator<Item = T>,
    mut each: impl FnMut(T, &mut W) -> io::Result<()>,
) -> io::Result<()> {
    write!(out, ",\"{field}\":[")?;
    for (n, item) in items.enumerate() {
        out.write_all(if n == 0 { b"{" } else { b",{" })?;
        each(item, out)?;
        out.write_all(b"}")?;
    }
    out.write_all(b"]")
}

/// A name, if there is one. What is not UTF-8 in it becomes U+FFFD: JSON has no other bytes.
fn name(btf: &Btf<'_>, at: StrOffset, out: &mut impl Write) -> io::Result<()> {
    let name = name_of(btf, at);
    if name.is_empty() {
        return Ok(());
    }
    out.write_all(b",\"name\":\"")?;
    let text = String::from_utf8_lossy(name);
    let special = |c: char| c == '"' || c == '\\' || c.is_control();
    if !text.contains(special) {
        out.write_all(text.as_bytes())?;
        return out.write_all(b"\"");
    }
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(out, "\\{c}")?,
            c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c))?,
            c => write!(out, "{c}")?,
        }
    }
    out.write_all(b"\"")
}
