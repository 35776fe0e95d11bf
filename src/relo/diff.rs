//! What changed between two kernels: types, members, enumerators and kfuncs.
//!
//! Types are compared by what they say, down to the names that they refer to, and never by their ids: two
//! BTFs of the same types in another order do not differ.

use super::content::{Side, name_of};
use super::enumerators::{Values, add_values, compare_values};
use super::members::{Flats, members};
use super::text;
use crate::btf::{Btf, Kind, TypeId};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;

/// What differs, in a stable order, and how much does not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// By class, then name.
    pub types: Vec<TypeDiff>,
    /// Types that are the same in both.
    pub same: usize,
}

/// The classes of what is compared; each has names of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// `struct NAME`
    Struct,
    /// `union NAME`
    Union,
    /// `enum NAME`
    Enum,
    /// Enumerators of enums without a name, all together under an empty name.
    Constants,
    /// A typedef.
    Typedef,
    /// A function that BPF programs may call (with the tag `bpf_kfunc`).
    Kfunc,
}

impl Class {
    /// Of a kind of type; of functions, that of kfuncs.
    pub(super) fn of(kind: Kind) -> Option<Class> {
        Some(match kind {
            Kind::Struct => Class::Struct,
            Kind::Union => Class::Union,
            Kind::Enum | Kind::Enum64 => Class::Enum,
            Kind::Typedef => Class::Typedef,
            Kind::Func => Class::Kfunc,
            _ => return None,
        })
    }

    /// The class that `struct`, `union` or `enum` before a name tells, and the bare name.
    pub fn split(name: &str) -> (Option<Class>, &str) {
        match name.split_once(' ') {
            Some(("struct", bare)) => (Some(Class::Struct), bare),
            Some(("union", bare)) => (Some(Class::Union), bare),
            Some(("enum", bare)) => (Some(Class::Enum), bare),
            _ => (None, name),
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Struct => "struct",
            Class::Union => "union",
            Class::Enum => "enum",
            Class::Constants => "constants",
            Class::Typedef => "typedef",
            Class::Kfunc => "kfunc",
        })
    }
}

/// A type that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeDiff {
    /// What it is.
    pub class: Class,
    /// Its name; bytes that are no UTF-8 are replaced.
    pub name: String,
    /// How it differs.
    pub change: Change,
}

/// How a type differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Only the second has it.
    Appeared(Shape),
    /// Only the first has it.
    Vanished(Shape),
    /// Both have it, and not the same.
    Changed(Box<Changes>),
}

/// A type that only one side has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Size in bytes; 0 for a kfunc.
    pub size: u64,
    /// What a typedef stands for, or a kfunc's prototype.
    pub text: Option<String>,
}

/// First the older, then the newer.
pub type FromTo<T> = (T, T);

/// What changed in a type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Size in bytes.
    pub size: Option<FromTo<u64>>,
    /// What a typedef stands for, or a kfunc's prototype.
    pub text: Option<FromTo<String>>,
    /// Whether an enum's values are signed.
    pub signed: Option<FromTo<bool>>,
    /// Members, by where they are.
    pub members: Vec<MemberDiff>,
    /// Enumerators, by name.
    pub enumerators: Vec<EnumeratorDiff>,
}

/// A member that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDiff {
    /// Its name; `a.b` where `a` has a record type without a name, `a[].b` for an array of them.
    pub name: String,
    /// As it was, if it was there.
    pub from: Option<Place>,
    /// As it is, if it is there.
    pub to: Option<Place>,
}

/// Where a member is and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Offset in bits from the start of the record.
    pub bit_offset: u64,
    /// Size in bits; of a bit-field, its width.
    pub bit_size: u64,
    /// It is a bit-field.
    pub bit_field: bool,
    /// Its type, in a few words of C.
    pub ty: String,
}

/// An enumerator that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumeratorDiff {
    /// Its name.
    pub name: String,
    /// Its value, if it was there.
    pub from: Option<i128>,
    /// Its value, if it is there.
    pub to: Option<i128>,
}

/// Compares the types of two BTFs (of split ones, their own): of all names, or only of `names`, each of
/// which may have `struct`, `union` or `enum` before it.
///
/// Time and memory are linear in the two, but for sorting.
pub fn diff(a: &Btf<'_>, b: &Btf<'_>, names: Option<&[&str]>) -> Diff {
    let mut flats = Flats::new(a, b);
    let (mut a, mut b) = (Side::new(a), Side::new(b));
    let mut both: BTreeMap<(Class, &[u8]), FromTo<Vec<Twin>>> = BTreeMap::new();
    collect(&mut a, names, |key, twin| {
        both.entry(key).or_default().0.push(twin)
    });
    collect(&mut b, names, |key, twin| {
        both.entry(key).or_default().1.push(twin)
    });
    let mut found = Diff::default();
    for ((class, name), (from, to)) in both {
        let name = String::from_utf8_lossy(name).into_owned();
        if class == Class::Constants {
            constants(&a, &b, &from, &to, &mut found);
            continue;
        }
        let (pairs, same) = pair(from, to);
        found.same += same;
        for (from, to) in pairs {
            let change = match (from, to) {
                (Some(x), Some(y)) => {
                    Change::Changed(Box::new(changes(&mut a, &mut b, x, y, &mut flats)))
                }
                (Some(x), None) => Change::Vanished(shape(&mut a, x, &name)),
                (None, Some(y)) => Change::Appeared(shape(&mut b, y, &name)),
                (None, None) => continue,
            };
            let name = name.clone();
            found.types.push(TypeDiff {
                class,
                name,
                change,
            });
        }
    }
    found
}

/// Whether a BTF has, among its own, something to compare under this name.
pub fn has(btf: &Btf<'_>, name: &str) -> bool {
    let mut any = false;
    collect(&mut Side::new(btf), Some(&[name]), |_, _| any = true);
    any
}

/// One of the types that share a name.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Twin {
    id: TypeId,
    content: u64,
    size: u64,
}

/// What tells a definition from another of its name: equal for two that say the same, down to the names that they refer
/// to and the sizes of their members, in whichever BTF.
pub fn versions(btf: &Btf<'_>) -> Vec<((Class, Vec<u8>), u64)> {
    let mut all = Vec::new();
    collect(&mut Side::new(btf), None, |(class, name), twin| {
        // Enums without a name are no definition of a name.
        if class != Class::Constants {
            all.push(((class, name.to_vec()), twin.content));
        }
    });
    all
}

/// The functions that BPF programs may call.
pub fn kfuncs(btf: &Btf<'_>) -> HashSet<TypeId> {
    btf.types()
        .filter(|ty| ty.kind() == Kind::DeclTag && name_of(btf, ty.name()) == b"bpf_kfunc")
        .map(|tag| tag.target())
        .collect()
}

/// What was asked for: names with their classes, where given.
fn wanted(names: &[&str]) -> HashSet<(Option<Class>, Vec<u8>)> {
    names
        .iter()
        .map(|name| {
            let (class, bare) = Class::split(name);
            (class, bare.into())
        })
        .collect()
}

fn collect<'b>(
    side: &mut Side<'b>,
    names: Option<&[&str]>,
    mut each: impl FnMut((Class, &'b [u8]), Twin),
) {
    let wanted = names.map(wanted);
    let btf = side.btf;
    let kfuncs = kfuncs(btf);
    for ty in btf.types() {
        let id = ty.id();
        let Some(mut class) = Class::of(ty.kind()) else {
            continue;
        };
        let name = name_of(btf, ty.name());
        match class {
            Class::Kfunc if !kfuncs.contains(&id) => continue,
            Class::Enum if name.is_empty() => class = Class::Constants,
            _ if name.is_empty() => continue,
            _ => {}
        }
        if let Some(wanted) = &wanted
            && !wanted.contains(&(None, name.to_vec()))
            && !wanted.contains(&(Some(class), name.to_vec()))
        {
            continue;
        }
        let size = match class {
            Class::Kfunc => 0,
            _ => side.size(id),
        };
        let content = side.definition(id);
        each((class, name), Twin { id, content, size });
    }
}

type Pair = (Option<Twin>, Option<Twin>);

/// Pairs the types that share a name: the equal first, then those of the same size, then the rest in the
/// order of their sizes. Gives the pairs that differ and the number of those that do not.
fn pair(from: Vec<Twin>, to: Vec<Twin>) -> (Vec<Pair>, usize) {
    let contents = |twins: &[Twin]| twins.iter().map(|t| t.content).collect::<HashSet<_>>();
    let (in_from, in_to) = (contents(&from), contents(&to));
    let same = in_from.intersection(&in_to).count();
    // Equal twins of one BTF are one; what both have is done with.
    let rest = |twins: Vec<Twin>, other: &HashSet<u64>| {
        let mut rest = twins;
        rest.retain(|t| !other.contains(&t.content));
        rest.sort_by_key(|t| (t.size, t.content));
        rest.dedup_by_key(|t| t.content);
        rest
    };
    let (from, to) = (rest(from, &in_to), rest(to, &in_from));
    let mut pairs = Vec::new();
    let mut by_size: HashMap<u64, VecDeque<Twin>> = HashMap::new();
    for t in &to {
        by_size.entry(t.size).or_default().push_back(*t);
    }
    let mut taken = HashSet::new();
    let mut lone = Vec::new();
    for f in from {
        match by_size.get_mut(&f.size).and_then(VecDeque::pop_front) {
            Some(t) => {
                taken.insert(t.id);
                pairs.push((Some(f), Some(t)));
            }
            None => lone.push(f),
        }
    }
    let mut lone = lone.into_iter();
    for t in to.into_iter().filter(|t| !taken.contains(&t.id)) {
        pairs.push((lone.next(), Some(t)));
    }
    pairs.extend(lone.map(|f| (Some(f), None)));
    (pairs, same)
}

fn shape(side: &mut Side<'_>, twin: Twin, name: &str) -> Shape {
    let ty = side.btf.ty(twin.id);
    let text = match ty.kind() {
        Kind::Typedef => Some(text::describe(side.btf, ty.target())),
        Kind::Func => Some(text::prototype(side.btf, ty.target(), name)),
        _ => None,
    };
    let size = twin.size;
    Shape { size, text }
}

fn changes(a: &mut Side<'_>, b: &mut Side<'_>, x: Twin, y: Twin, flats: &mut Flats) -> Changes {
    let mut found = Changes {
        size: differ(x.size, y.size),
        ..Changes::default()
    };
    let (tx, ty) = (a.btf.ty(x.id), b.btf.ty(y.id));
    match tx.kind() {
        Kind::Func => {
            let name = String::from_utf8_lossy(name_of(a.btf, tx.name())).into_owned();
            found.text = Some((
                text::prototype(a.btf, tx.target(), &name),
                text::prototype(b.btf, ty.target(), &name),
            ));
        }
        Kind::Typedef => {
            let (x, y) = (tx.target(), ty.target());
            found.text = differ(text::describe(a.btf, x), text::describe(b.btf, y));
            // `typedef struct { … } name`: its members are the typedef's.
            if unnamed_record(a, x) && unnamed_record(b, y) {
                found.members = members(a, b, x, y, flats);
            }
            if unnamed_enum(a, x) && unnamed_enum(b, y) {
                enumerators(a, b, x, y, &mut found);
            }
        }
        Kind::Enum | Kind::Enum64 => enumerators(a, b, x.id, y.id, &mut found),
        _ => found.members = members(a, b, x.id, y.id, flats),
    }
    found
}

fn differ<T: PartialEq>(x: T, y: T) -> Option<FromTo<T>> {
    (x != y).then_some((x, y))
}

fn unnamed_record(side: &Side<'_>, id: TypeId) -> bool {
    let ty = side.btf.ty(id);
    ty.kind().is_record() && name_of(side.btf, ty.name()).is_empty()
}

fn unnamed_enum(side: &Side<'_>, id: TypeId) -> bool {
    let ty = side.btf.ty(id);
    ty.kind().is_enum() && name_of(side.btf, ty.name()).is_empty()
}

fn enumerators(a: &Side<'_>, b: &Side<'_>, x: TypeId, y: TypeId, found: &mut Changes) {
    let (tx, ty) = (a.btf.ty(x), b.btf.ty(y));
    found.signed = differ(tx.kind_flag(), ty.kind_flag());
    let values = |side: &Side<'_>, id| {
        let mut values = Values::default();
        add_values(side, id, &mut values);
        values
    };
    found.enumerators = compare_values(values(a, x), values(b, y));
}

/// Enumerators of enums without a name: nothing but they tell which enum is which.
fn constants(a: &Side<'_>, b: &Side<'_>, from: &[Twin], to: &[Twin], found: &mut Diff) {
    let values = |side: &Side<'_>, twins: &[Twin]| {
        let mut values = Values::default();
        for twin in twins {
            add_values(side, twin.id, &mut values);
        }
        values
    };
    let enumerators = compare_values(values(a, from), values(b, to));
    if enumerators.is_empty() {
        return;
    }
    let changes = Changes {
        enumerators,
        ..Changes::default()
    };
    found.types.push(TypeDiff {
        class: Class::Constants,
        name: String::new(),
        change: Change::Changed(Box::new(changes)),
    });
}
