//! A type in a few words of C, for messages and for pages.

use super::content::name_of;
use crate::btf::{Btf, Kind, TypeId};
use std::collections::VecDeque;

/// Most steps from a type to what it is made of; no C that people write comes near.
const STEPS: usize = 48;
/// Most function types within one another.
const DEPTH: usize = 3;
/// Longest text, in bytes, but for a name that is longer.
const LENGTH: usize = 240;

/// A piece of C.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The text.
    pub text: String,
    /// The type with a name that this text names.
    pub names: Option<TypeId>,
}

/// A type as C would write it in a cast: `const char *`, `int (*)(struct file *, u64)`, `struct {…}[4]`.
pub(super) fn describe(btf: &Btf<'_>, id: TypeId) -> String {
    let mut text = joined(&declare(btf, id, ""));
    if let Some((end, _)) = text.char_indices().find(|(at, _)| *at >= LENGTH) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// A function's prototype: `int name(struct file *, u64)`.
pub(super) fn prototype(btf: &Btf<'_>, id: TypeId, name: &str) -> String {
    joined(&declare(btf, id, name))
}

/// The declaration of something of this type and name; without a name, the type as in a cast.
pub(super) fn declare(btf: &Btf<'_>, id: TypeId, name: &str) -> Vec<Span> {
    let mut words = Words::default();
    words.before(name);
    with_declarator(btf, id, words, DEPTH).spans.into()
}

fn joined(spans: &[Span]) -> String {
    spans.iter().map(|span| span.text.as_str()).collect()
}

/// A declaration that grows at both ends, as C's do.
#[derive(Default)]
struct Words {
    spans: VecDeque<Span>,
    len: usize,
}

impl Words {
    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn starts_with(&self, c: char) -> bool {
        self.spans.front().is_some_and(|s| s.text.starts_with(c))
    }

    fn before(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.len += text.len();
        match self.spans.front_mut() {
            Some(first) if first.names.is_none() => first.text.insert_str(0, text),
            _ => self.spans.push_front(Span {
                text: text.to_owned(),
                names: None,
            }),
        }
    }

    fn behind(&mut self, text: &str) {
        self.len += text.len();
        match self.spans.back_mut() {
            Some(last) if last.names.is_none() => last.text.push_str(text),
            _ => self.spans.push_back(Span {
                text: text.to_owned(),
                names: None,
            }),
        }
    }

    fn append(&mut self, more: Words) {
        for span in more.spans {
            match span.names {
                None => self.behind(&span.text),
                Some(_) => {
                    self.len += span.text.len();
                    self.spans.push_back(span);
                }
            }
        }
    }

    /// In parentheses, where what follows would bind closer than a star.
    fn group(&mut self) {
        if self.starts_with('*') {
            self.before("(");
            self.behind(")");
        }
    }
}

fn with_declarator(btf: &Btf<'_>, id: TypeId, mut declarator: Words, depth: usize) -> Words {
    let mut id = id;
    let mut before = String::new();
    for _ in 0..STEPS {
        let ty = btf.ty(id);
        let name = String::from_utf8_lossy(name_of(btf, ty.name()));
        match ty.kind() {
            Kind::Ptr => {
                declarator.before("*");
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
                    if !declarator.is_empty() {
                        declarator.before(" ");
                    }
                    declarator.before(&word);
                } else {
                    before += &word;
                    before.push(' ');
                }
                id = ty.target();
            }
            Kind::Array => {
                let Some(array) = ty.array() else { break };
                declarator.group();
                declarator.behind(&format!("[{}]", array.count));
                id = array.element;
            }
            Kind::FuncProto => {
                declarator.group();
                declarator.behind("(");
                if ty.params().len() == 0 {
                    declarator.behind("void");
                }
                let mut len = 0;
                for (n, param) in ty.params().enumerate() {
                    if n > 0 {
                        declarator.behind(", ");
                    }
                    let variadic = param.ty == TypeId::VOID && name_of(btf, param.name).is_empty();
                    if len > LENGTH {
                        declarator.behind("…");
                        break;
                    }
                    let mut words = Words::default();
                    match depth {
                        0 => words.behind("…"),
                        _ if variadic => words.behind("..."),
                        _ => words = with_declarator(btf, param.ty, words, depth - 1),
                    }
                    len += words.len;
                    declarator.append(words);
                }
                declarator.behind(")");
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
                let named = match (kind, name.as_ref()) {
                    (Kind::Void, _) => "void",
                    (_, "") => "{…}",
                    (_, name) => name,
                };
                if !declarator.is_empty() && !declarator.starts_with('[') {
                    declarator.before(" ");
                }
                let is_named = kind != Kind::Void && !name.is_empty();
                let mut words = Words::default();
                words.before(&before);
                words.append(Words {
                    len: keyword.len() + named.len(),
                    spans: [Span {
                        text: format!("{keyword}{named}"),
                        names: is_named.then_some(id),
                    }]
                    .into(),
                });
                words.append(declarator);
                return words;
            }
        }
        if declarator.len > 4 * LENGTH {
            break;
        }
    }
    declarator.before(&format!("{before}… "));
    declarator
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
