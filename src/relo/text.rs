//! A type in a few words of C, for messages.

use super::content::name_of;
use crate::btf::{Btf, Kind, TypeId};

/// Most steps from a type to what it is made of; no C that people write comes near.
const STEPS: usize = 48;
/// Most function types within one another.
const DEPTH: usize = 3;
/// Longest text, in bytes, but for a name that is longer.
const LENGTH: usize = 240;

/// A type as C would write it in a cast: `const char *`, `int (*)(struct file *, u64)`, `struct {…}[4]`.
pub(super) fn describe(btf: &Btf<'_>, id: TypeId) -> String {
    let mut text = with_declarator(btf, id, String::new(), DEPTH);
    if let Some((end, _)) = text.char_indices().find(|(at, _)| *at >= LENGTH) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// A function's prototype: `int name(struct file *, u64)`.
pub(super) fn prototype(btf: &Btf<'_>, id: TypeId, name: &str) -> String {
    with_declarator(btf, id, name.to_owned(), DEPTH)
}

fn with_declarator(btf: &Btf<'_>, id: TypeId, mut declarator: String, depth: usize) -> String {
    let mut id = id;
    let mut before = String::new();
    for _ in 0..STEPS {
        let ty = btf.ty(id);
        let name = String::from_utf8_lossy(name_of(btf, ty.name()));
        match ty.kind() {
            Kind::Ptr => {
                declarator = format!("*{declarator}");
                id = ty.target();
            }
            kind if kind.is_modifier() => {
                let word = match kind {
                    Kind::Const => "const".into(),
                    Kind::Volatile => "volatile".into(),
                    Kind::Restrict => "restrict".into(),
                    _ if name == "user" => "__user".into(),
                    _ if name == "rcu" => "__rcu".into(),
                    _ if name == "percpu" => "__percpu".into(),
                    _ => format!("__tag({name})"),
                };
                // What is said of a pointer stands behind its star.
                if leads_to_pointer(btf, ty.target()) {
                    let space = if declarator.is_empty() { "" } else { " " };
                    declarator = format!("{word}{space}{declarator}");
                } else {
                    before += &word;
                    before.push(' ');
                }
                id = ty.target();
            }
            Kind::Array => {
                let Some(array) = ty.array() else { break };
                declarator = format!("{}[{}]", grouped(declarator), array.count);
                id = array.element;
            }
            Kind::FuncProto => {
                let mut params = Vec::new();
                let mut len = 0;
                for param in ty.params() {
                    let variadic = param.ty == TypeId::VOID && name_of(btf, param.name).is_empty();
                    params.push(match depth {
                        _ if len > LENGTH => "…".into(),
                        0 => "…".into(),
                        _ if variadic => "...".into(),
                        _ => with_declarator(btf, param.ty, String::new(), depth - 1),
                    });
                    let last = params.last().map_or(0, String::len);
                    if len > LENGTH {
                        break;
                    }
                    len += last;
                }
                let params = if params.is_empty() {
                    "void".into()
                } else {
                    params.join(", ")
                };
                declarator = format!("{}({params})", grouped(declarator));
                id = ty.target();
            }
            kind => {
                let keyword = match kind {
                    Kind::Struct => "struct ",
                    Kind::Union => "union ",
                    Kind::Enum | Kind::Enum64 => "enum ",
                    Kind::Fwd if ty.kind_flag() => "union ",
                    Kind::Fwd => "struct ",
                    _ => "",
                };
                let name = match (kind, name.as_ref()) {
                    (Kind::Void, _) => "void",
                    (_, "") => "{…}",
                    (_, name) => name,
                };
                let space = match declarator.chars().next() {
                    None | Some('[') => "",
                    _ => " ",
                };
                return format!("{before}{keyword}{name}{space}{declarator}");
            }
        }
        if declarator.len() > 4 * LENGTH {
            break;
        }
    }
    format!("{before}… {declarator}")
}

fn grouped(declarator: String) -> String {
    match declarator.starts_with('*') {
        true => format!("({declarator})"),
        false => declarator,
    }
}

fn leads_to_pointer(btf: &Btf<'_>, mut id: TypeId) -> bool {
    for _ in 0..STEPS {
        let ty = btf.ty(id);
        if !ty.kind().is_modifier() {
            return ty.kind() == Kind::Ptr;
        }
        id = ty.target();
    }
    false
}
