//! A definition as a person reads it: its C text, each member with its place, holes and cache lines, as pahole shows
//! them; and which types use it.

use super::content::{Side, name_of};
use super::diff::Class;
use super::text::declare;
use crate::btf::{Btf, Kind, Member, TypeId};
use std::collections::HashSet;

pub use super::text::Span;

/// Bytes of a cache line, as on most machines that run Linux.
pub const CACHE_LINE: u64 = 64;
/// The most lines of a definition.
const LINES: usize = 20_000;
/// The most records without a name within one another.
const DEPTH: usize = 32;

/// A definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// What it is.
    pub class: Class,
    /// Its name; bytes that are no UTF-8 are replaced.
    pub name: String,
    /// Bytes; `None` for a function.
    pub size: Option<u64>,
    /// Its text.
    pub lines: Vec<Line>,
    /// There are more lines than a view holds.
    pub truncated: bool,
}

/// A line of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How far it is indented.
    pub depth: usize,
    /// What it says.
    pub what: What,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// C.
    Text(Vec<Span>),
    /// A member: its declaration and its place.
    Member(Vec<Span>, Place),
    /// An enumerator.
    Enumerator(String, i128),
    /// Bytes, and bits beyond them, that no member has, before the next member or at the end.
    Hole(u64, u64),
    /// A cache line begins: its number.
    CacheLine(u64),
}

/// Where a member is, from the beginning of the outermost record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// In bits.
    pub offset: u64,
    /// In bits; a bit-field's is its width.
    pub size: u64,
    /// It is a bit-field.
    pub is_bit_field: bool,
}

/// The class of a type that has a definition and a name; of functions, that of kfuncs.
pub fn class_of(btf: &Btf<'_>, id: TypeId) -> Option<Class> {
    let ty = btf.ty(id);
    if name_of(btf, ty.name()).is_empty() {
        return None;
    }
    Class::of(ty.kind())
}

/// The definition of a type; `None` if it has none.
pub fn view(btf: &Btf<'_>, id: TypeId) -> Option<View> {
    let class = class_of(btf, id)?;
    let ty = btf.ty(id);
    let name = String::from_utf8_lossy(name_of(btf, ty.name())).into_owned();
    let mut draft = Draft {
        side: Side::new(btf),
        lines: Vec::new(),
        truncated: false,
    };
    let mut size = None;
    match ty.kind() {
        Kind::Struct | Kind::Union => {
            size = Some(u64::from(ty.size()));
            let keyword = keyword(ty.kind());
            draft.plain(0, format!("{keyword} {name} {{"));
            draft.members(id, 0, 0);
            draft.plain(0, "};".to_owned());
        }
        Kind::Enum | Kind::Enum64 => {
            size = Some(u64::from(ty.size()));
            draft.plain(0, format!("enum {name} {{"));
            draft.enumerators(id, 1);
            draft.plain(0, "};".to_owned());
        }
        Kind::Typedef => {
            size = Some(draft.side.size(id));
            draft.declared(ty.target(), &name, 0, "typedef ");
        }
        _ => draft.push(0, What::Text(ended(declare(btf, ty.target(), &name)))),
    }
    Some(View {
        class,
        name,
        size,
        lines: draft.lines,
        truncated: draft.truncated,
    })
}

fn keyword(kind: Kind) -> &'static str {
    match kind {
        Kind::Union => "union",
        Kind::Struct => "struct",
        _ => "enum",
    }
}

fn ended(mut spans: Vec<Span>) -> Vec<Span> {
    spans.push(plain(";"));
    spans
}

fn plain(text: &str) -> Span {
    Span {
        text: text.to_owned(),
        names: None,
    }
}

struct Draft<'b> {
    side: Side<'b>,
    lines: Vec<Line>,
    truncated: bool,
}

impl Draft<'_> {
    fn push(&mut self, depth: usize, what: What) {
        match self.lines.len() < LINES {
            true => self.lines.push(Line { depth, what }),
            false => self.truncated = true,
        }
    }

    fn plain(&mut self, depth: usize, text: String) {
        self.push(depth, What::Text(vec![plain(&text)]));
    }

    /// A declaration that is no member; a definition without a name is opened up.
    fn declared(&mut self, id: TypeId, name: &str, depth: usize, before: &str) {
        match self.unnamed(id) {
            Some((inner, prefix)) if depth < DEPTH => {
                self.opened(inner, &format!("{before}{prefix}"), 0, depth);
                let tail = self.behind(id, inner, name);
                self.plain(depth, format!("}} {tail};"));
            }
            _ => {
                let mut spans = declare(self.side.btf, id, name);
                if !before.is_empty() {
                    spans.insert(0, plain(before));
                }
                self.push(depth, What::Text(ended(spans)));
            }
        }
    }

    /// The record or enum without a name that a type is made of, and what is said of it before its keyword.
    fn unnamed(&self, mut id: TypeId) -> Option<(TypeId, String)> {
        let btf = self.side.btf;
        let mut before = String::new();
        for _ in 0..DEPTH {
            let ty = btf.ty(id);
            id = match ty.kind() {
                Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 => {
                    let is_unnamed = name_of(btf, ty.name()).is_empty();
                    return is_unnamed.then_some((id, before));
                }
                Kind::Array => ty.array()?.element,
                Kind::Const => {
                    before += "const ";
                    ty.target()
                }
                Kind::Volatile => {
                    before += "volatile ";
                    ty.target()
                }
                Kind::Ptr | Kind::TypeTag | Kind::Restrict => ty.target(),
                _ => return None,
            };
        }
        None
    }

    /// What stands behind the brace of a definition without a name: stars, name, arrays.
    fn behind(&self, id: TypeId, inner: TypeId, name: &str) -> String {
        let spans = declare(self.side.btf, id, name);
        let text: String = spans.iter().map(|s| s.text.as_str()).collect();
        let keyword = keyword(self.side.btf.kind(inner));
        let begin = format!("{keyword} {{…}}");
        let tail = text.split_once(&begin).map_or(name, |(_, tail)| tail);
        tail.trim_start().to_owned()
    }

    /// A definition without a name, up to its last brace.
    fn opened(&mut self, inner: TypeId, before: &str, base: u64, depth: usize) {
        let kind = self.side.btf.kind(inner);
        self.plain(depth, format!("{before}{} {{", keyword(kind)));
        match kind.is_enum() {
            true => self.enumerators(inner, depth + 1),
            false => self.members(inner, base, depth),
        }
    }

    fn enumerators(&mut self, id: TypeId, depth: usize) {
        let btf = self.side.btf;
        for e in btf.ty(id).enumerators() {
            let name = String::from_utf8_lossy(name_of(btf, e.name)).into_owned();
            self.push(depth, What::Enumerator(name, e.value));
        }
    }

    /// The members of a record that begins at bit `base` of the outermost.
    fn members(&mut self, id: TypeId, base: u64, depth: usize) {
        let ty = self.side.btf.ty(id);
        let is_struct = ty.kind() == Kind::Struct;
        // Where the last member ended.
        let mut end = 0u64;
        // Where it began.
        let mut before = 0u64;
        for member in ty.members() {
            if self.truncated {
                return;
            }
            let at = u64::from(member.bit_offset);
            if is_struct {
                self.hole(end, at, depth + 1);
            }
            if is_struct && depth == 0 {
                self.cache_line(before, at);
                before = at;
            }
            let size = self.member(&member, base.saturating_add(at), depth + 1);
            end = end.max(at.saturating_add(size));
        }
        if is_struct && ty.members().len() > 0 {
            self.hole(end, u64::from(ty.size()) * 8, depth + 1);
        }
    }

    /// What no member has.
    fn hole(&mut self, end: u64, at: u64, depth: usize) {
        if let Some(bits) = at.checked_sub(end).filter(|bits| *bits > 0) {
            self.push(depth, What::Hole(bits / 8, bits % 8));
        }
    }

    /// The cache line that the member at this bit is the first to begin in.
    fn cache_line(&mut self, before: u64, at: u64) {
        let line = CACHE_LINE * 8;
        if before / line < at / line {
            self.push(1, What::CacheLine(at / line));
        }
    }

    /// Gives its size in bits.
    fn member(&mut self, member: &Member, at: u64, depth: usize) -> u64 {
        let btf = self.side.btf;
        let name = String::from_utf8_lossy(name_of(btf, member.name)).into_owned();
        let size = match member.width {
            0 => self.side.size(member.ty).saturating_mul(8),
            width => u64::from(width),
        };
        let place = Place {
            offset: at,
            size,
            is_bit_field: member.width > 0,
        };
        match self.unnamed(member.ty) {
            Some((inner, before)) if depth < DEPTH && member.width == 0 => {
                let ty = btf.ty(inner);
                // Behind a pointer it begins anew.
                let is_here = self.side.size(member.ty) >= u64::from(ty.size());
                self.opened(inner, &before, if is_here { at } else { 0 }, depth);
                let tail = self.behind(member.ty, inner, &name);
                let text = match tail.is_empty() {
                    true => "};".to_owned(),
                    false => format!("}} {tail};"),
                };
                self.push(depth, What::Member(vec![plain(&text)], place));
            }
            _ => {
                let mut spans = declare(btf, member.ty, &name);
                if member.width > 0 {
                    spans.push(plain(&format!(":{}", member.width)));
                }
                self.push(depth, What::Member(ended(spans), place));
            }
        }
        size
    }
}

/// Types with a name that use this one: hold it, point at it, return or take it. At most `most` of them, in the order
/// of their ids, and whether there are more.
pub fn users(btf: &Btf<'_>, id: TypeId, most: usize) -> (Vec<TypeId>, bool) {
    let means = same(btf, id);
    let mut found = Vec::new();
    let mut reached = Reached::new(btf, &means);
    for ty in btf.types() {
        let user = ty.id();
        if means.contains(&user) || class_of(btf, user).is_none() {
            continue;
        }
        if ty.references().any(|to| reached.by(to)) {
            if found.len() == most {
                return (found, true);
            }
            found.push(user);
        }
    }
    (found, false)
}

/// The type itself, and forward declarations of it.
fn same(btf: &Btf<'_>, id: TypeId) -> HashSet<TypeId> {
    let ty = btf.ty(id);
    let mut means = HashSet::from([id]);
    if ty.kind().is_record() {
        let name = name_of(btf, ty.name());
        let is_union = ty.kind() == Kind::Union;
        let forward = btf.types().filter(|t| {
            t.kind() == Kind::Fwd && t.kind_flag() == is_union && name_of(btf, t.name()) == name
        });
        means.extend(forward.map(|t| t.id()));
    }
    means
}

/// Which types lead to the wanted ones without passing a name. Each is looked at once.
struct Reached<'a, 'b> {
    btf: &'a Btf<'b>,
    known: Vec<Option<bool>>,
}

impl<'a, 'b> Reached<'a, 'b> {
    fn new(btf: &'a Btf<'b>, wanted: &HashSet<TypeId>) -> Reached<'a, 'b> {
        let mut known = vec![None; btf.end_id() as usize];
        for id in wanted {
            if let Some(slot) = known.get_mut(id.0 as usize) {
                *slot = Some(true);
            }
        }
        Reached { btf, known }
    }

    fn by(&mut self, id: TypeId) -> bool {
        let mut stack = vec![(id, false)];
        while let Some((id, is_over)) = stack.pop() {
            let Some(slot) = self.known.get_mut(id.0 as usize) else {
                continue;
            };
            let ty = self.btf.ty(id);
            if is_over {
                let yes = ty.references().any(|to| self.knows(to));
                if let Some(slot) = self.known.get_mut(id.0 as usize) {
                    *slot = Some(yes);
                }
            } else if slot.is_none() {
                // Until it is known otherwise: a type that leads to itself alone leads nowhere.
                *slot = Some(false);
                if class_of(self.btf, id).is_none() {
                    stack.push((id, true));
                    stack.extend(ty.references().map(|to| (to, false)));
                }
            }
        }
        self.knows(id)
    }

    fn knows(&self, id: TypeId) -> bool {
        self.known.get(id.0 as usize).copied().flatten() == Some(true)
    }
}
