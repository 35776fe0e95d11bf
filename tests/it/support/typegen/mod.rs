//! Any bytes → a type graph that C can express, and what must hold of its header.
//!
//! The layouts are those that a compiler would have given (System V and AAPCS rules), computed here apart from
//! `src/`. Bytes are the source of chance, so that proptest and a fuzzer shrink and steer it alike; when they
//! run out every choice is the first. It depends on nothing but `std` and the writer, for the fuzz targets.

use super::btfgen::{BOOL, CHAR, Graph, Id, Kind, SIGNED};

mod names;
mod record;

/// What kernel the types are of.
#[derive(Clone, Copy, Debug)]
pub struct World {
    pub big: bool,
    /// 64-bit.
    pub wide: bool,
}

/// A claim about a header: to be compiled after it.
#[derive(Clone, Debug)]
pub enum Fact {
    Size {
        keyword: &'static str,
        name: String,
        size: u32,
    },
    Align {
        keyword: &'static str,
        name: String,
        align: u32,
    },
    Offset {
        keyword: &'static str,
        name: String,
        member: String,
        offset: u32,
    },
    Value {
        name: String,
        value: i128,
    },
}

impl Fact {
    pub fn assertion(&self) -> String {
        let claim = match self {
            Fact::Size {
                keyword,
                name,
                size,
            } => format!("sizeof({keyword} {name}) == {size}"),
            Fact::Align {
                keyword,
                name,
                align,
            } => format!("_Alignof({keyword} {name}) == {align}"),
            Fact::Offset {
                keyword,
                name,
                member,
                offset,
            } => {
                format!("__builtin_offsetof({keyword} {name}, {member}) == {offset}")
            }
            Fact::Value {
                name,
                value: value @ 0..,
            } => format!("{name} == {value}ULL"),
            Fact::Value { name, value } => format!("{name} < 0 && {name} == {}LL - 1", value + 1),
        };
        format!("_Static_assert({claim}, \"{}\");\n", claim.replace('"', ""))
    }
}

pub struct Made {
    pub graph: Graph,
    /// How many types come before each place at which the graph may be cut into a base and a split BTF.
    pub cuts: Vec<usize>,
    pub facts: Vec<Fact>,
}

/// The bytes, taken one choice at a time.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn below(&mut self, n: usize) -> usize {
        match self.0 {
            [first, rest @ ..] => {
                self.0 = rest;
                usize::from(*first) % n
            }
            [] => 0,
        }
    }

    fn one_in(&mut self, n: usize) -> bool {
        // The last of the choices: where bytes run out nothing special happens.
        self.below(n) == n - 1 && n > 1
    }
}

/// A type of which there may be a member.
#[derive(Clone)]
struct Shape {
    id: Id,
    size: u32,
    align: u32,
    /// How wide a bit-field of it may be, or 0.
    bits: u32,
    /// Whether any compiler that knows only the members gives it this size and alignment.
    natural: bool,
    /// It ends in a flexible array.
    flexible: bool,
    /// Of a record: its members' names, those of unnamed members included, and the byte offsets of those
    /// that have one.
    members: Option<Vec<(String, Option<u32>)>>,
}

struct Gen<'a> {
    graph: Graph,
    source: Source<'a>,
    world: World,
    shapes: Vec<Shape>,
    /// What a pointer may lead to beyond the shapes: void, forward declarations, prototypes.
    far: Vec<Id>,
    facts: Vec<Fact>,
    counter: u32,
}

/// A graph of some tens to hundreds of types.
pub fn graph(bytes: &[u8], world: World) -> Made {
    let mut g = Gen {
        graph: Graph::new(),
        source: Source(bytes),
        world,
        shapes: Vec::new(),
        far: vec![0],
        facts: Vec::new(),
        counter: 0,
    };
    g.scalars();
    let mut cuts = vec![];
    while !g.source.0.is_empty() && g.graph.types.len() < 2000 {
        cuts.push(g.graph.types.len());
        match g.source.below(16) {
            0..=5 => g.named_record(),
            6 => g.enumeration(),
            7 => g.typedef(),
            8 => g.array(),
            9 => g.pointer(),
            10 => g.forward(),
            11 => _ = g.prototype(),
            12 => g.kfunc(),
            13 => g.variable(),
            14 => g.twin(),
            _ => g.modified(),
        }
    }
    Made {
        graph: g.graph,
        cuts,
        facts: g.facts,
    }
}

impl Gen<'_> {
    fn scalars(&mut self) {
        let long = if self.world.wide { 8 } else { 4 };
        let ints: [(&str, u32, u8); 12] = [
            ("int", 4, SIGNED),
            ("long unsigned int", long, 0),
            ("char", 1, CHAR),
            ("unsigned char", 1, 0),
            ("signed char", 1, SIGNED),
            ("short int", 2, SIGNED),
            ("short unsigned int", 2, 0),
            ("unsigned int", 4, 0),
            ("long int", long, SIGNED),
            ("long long int", 8, SIGNED),
            ("long long unsigned int", 8, 0),
            ("_Bool", 1, BOOL),
        ];
        for (name, size, encoding) in ints {
            let id = self.graph.int(name, size, encoding);
            let bits = if encoding == BOOL { 1 } else { 8 * size };
            self.scalar(id, size, bits);
        }
        if self.world.wide {
            let id = self.graph.int("__int128", 16, SIGNED);
            self.scalar(id, 16, 0);
            let id = self.graph.int("__int128 unsigned", 16, 0);
            self.scalar(id, 16, 0);
        }
        for (name, size) in [("float", 4), ("double", 8)] {
            let id = self.graph.add(name, Kind::Float { size });
            self.scalar(id, size, 0);
        }
    }

    fn scalar(&mut self, id: Id, size: u32, bits: u32) {
        let shape = Shape {
            id,
            size,
            align: size,
            bits,
            natural: true,
            flexible: false,
            members: None,
        };
        self.shapes.push(shape);
    }

    fn pointer_size(&self) -> u32 {
        if self.world.wide { 8 } else { 4 }
    }

    /// A type to have a member of: a recent one rather than an old one.
    fn shape(&mut self) -> Shape {
        let n = self.shapes.len();
        let back = if self.source.one_in(3) { n } else { n.min(12) };
        let shape = self.shapes[n - 1 - self.source.below(back)].clone();
        // What contains what contains … soon grows beyond all bounds.
        if shape.size > 2048 {
            self.shapes[0].clone()
        } else {
            shape
        }
    }

    /// What a pointer may lead to.
    fn pointee(&mut self) -> Id {
        let id = match self.source.below(3) {
            0 => self.far[self.far.len() - 1 - self.source.below(self.far.len())],
            _ => self.shape().id,
        };
        match self.source.below(8) {
            // On a function these mean something else, and C has no place for a tag of an array or an enum
            // without a name.
            5..=7 if self.is_function(id) => id,
            7 if self.is_untaggable(id) => id,
            5 => self.graph.add("", Kind::Const(id)),
            6 => self.graph.add("", Kind::Volatile(id)),
            7 => {
                let tags: [(&[u8], bool); 4] = [
                    (b"user", false),
                    (b"rcu", false),
                    (b"percpu", false),
                    (b"address_space(1)", true),
                ];
                let (name, attribute) = tags[self.source.below(4)];
                self.graph.add(name, Kind::TypeTag { ty: id, attribute })
            }
            _ => id,
        }
    }

    fn pointer(&mut self) {
        let to = self.pointee();
        let mut id = self.graph.ptr(to);
        // restrict is for pointers to objects.
        if self.source.one_in(6) && !self.is_function(to) {
            id = self.graph.add("", Kind::Restrict(id));
        }
        self.scalar(id, self.pointer_size(), 0);
    }

    fn is_function(&self, mut id: Id) -> bool {
        loop {
            match self.graph.get(id).map(|ty| &ty.kind) {
                Some(Kind::Proto { .. }) => return true,
                Some(Kind::Typedef(to) | Kind::Const(to) | Kind::Volatile(to)) => id = *to,
                Some(Kind::TypeTag { ty, .. }) => id = *ty,
                _ => return false,
            }
        }
    }

    fn is_untaggable(&self, mut id: Id) -> bool {
        loop {
            match self.graph.get(id).map(|ty| (&ty.kind, ty.name.is_empty())) {
                Some((Kind::Array { .. }, _)) => return true,
                Some((Kind::Enum { .. } | Kind::Enum64 { .. }, unnamed)) => return unnamed,
                Some((Kind::Const(to) | Kind::Volatile(to), _)) => id = *to,
                Some((Kind::TypeTag { ty, .. }, _)) => id = *ty,
                _ => return false,
            }
        }
    }

    fn array(&mut self) {
        let elem = self.shape();
        let count = 1 + self.source.below(5) as u32;
        if elem.flexible || elem.size == 0 {
            return;
        }
        let id = self.graph.array(elem.id, 1, count);
        self.shapes.push(Shape {
            id,
            size: elem.size * count,
            bits: 0,
            members: None,
            ..elem
        });
    }

    /// const, volatile or both over something there may be a member of.
    fn modified(&mut self) {
        let shape = self.shape();
        // A compiler qualifies an array's elements, and nothing twice.
        let over = self.graph.get(shape.id).map(|ty| &ty.kind);
        if let Some(Kind::Array { .. } | Kind::Const(_) | Kind::Volatile(_)) = over {
            return;
        }
        let mut id = match self.source.below(2) {
            0 => self.graph.add("", Kind::Const(shape.id)),
            _ => self.graph.add("", Kind::Volatile(shape.id)),
        };
        if self.source.one_in(4) && matches!(self.graph.get_mut(id).kind, Kind::Volatile(_)) {
            id = self.graph.add("", Kind::Const(id));
        }
        // Without `members`: it shall not be taken for an unnamed member.
        self.shapes.push(Shape {
            id,
            members: None,
            ..shape
        });
    }

    fn forward(&mut self) {
        let name = self.tag_name("f");
        let union = self.source.one_in(3);
        let id = self.graph.add(name, Kind::Fwd { union });
        self.far.push(id);
    }

    fn typedef(&mut self) {
        if self.source.one_in(4) {
            let to = self.far[self.source.below(self.far.len())];
            let name = self.plain_name("t");
            let id = self.graph.add(name, Kind::Typedef(to));
            return self.far.push(id);
        }
        let to = match self.source.below(3) {
            0 => self.record(1),
            _ => self.shape(),
        };
        let name = self.ordinary_name("t");
        let id = self.graph.add(name.as_bytes(), Kind::Typedef(to.id));
        if let Some(members) = &to.members {
            self.claim("", &name, &to, &members.clone());
        }
        self.shapes.push(Shape {
            id,
            members: None,
            ..to
        });
    }

    fn prototype(&mut self) -> Id {
        let ret = match self.source.below(4) {
            0 => 0,
            1 => self.value(),
            2 => {
                let value = self.value();
                self.graph.add("", Kind::Const(value))
            }
            _ => {
                let to = self.pointee();
                self.graph.ptr(to)
            }
        };
        let mut params = Vec::new();
        for _ in 0..self.source.below(5) {
            let ty = self.value();
            let name = if self.source.one_in(4) {
                Vec::new()
            } else {
                self.member_name().into_bytes()
            };
            if !params.iter().any(|(n, _)| *n == name && !name.is_empty()) {
                params.push((name, ty));
            }
        }
        if !params.is_empty() && self.source.one_in(6) {
            params.push((Vec::new(), 0));
        }
        let id = self.graph.add("", Kind::Proto { ret, params });
        self.far.push(id);
        id
    }

    /// A type that may be passed and returned: no array.
    fn value(&mut self) -> Id {
        let id = self.shape().id;
        let mut at = id;
        loop {
            match self.graph.get(at).map(|ty| &ty.kind) {
                Some(Kind::Array { .. }) => return self.graph.ptr(id),
                Some(Kind::Typedef(to) | Kind::Const(to) | Kind::Volatile(to)) => at = *to,
                _ => return id,
            }
        }
    }

    fn kfunc(&mut self) {
        let proto = self.prototype();
        let name = self.ordinary_name("kfunc");
        let ty = self.graph.add(name, Kind::Func { proto, linkage: 1 });
        let component = u32::MAX;
        self.graph.add(
            "bpf_kfunc",
            Kind::DeclTag {
                ty,
                component,
                attribute: false,
            },
        );
        if self.source.one_in(3) {
            self.graph.add(
                "bpf_fastcall",
                Kind::DeclTag {
                    ty,
                    component,
                    attribute: false,
                },
            );
        }
    }

    /// What makes no text: a function that is no kfunc, a variable and its section.
    fn variable(&mut self) {
        let proto = self.prototype();
        let name = self.plain_name("func");
        self.graph.add(name, Kind::Func { proto, linkage: 0 });
        let shape = self.shape();
        let name = self.plain_name("var");
        let var = self.graph.add(
            name,
            Kind::Var {
                ty: shape.id,
                linkage: 1,
            },
        );
        let vars = vec![(var, 0, shape.size)];
        self.graph.add(
            ".data..percpu",
            Kind::Datasec {
                size: shape.size,
                vars,
            },
        );
    }

    /// A record again under its own name: with the same members, or fewer.
    fn twin(&mut self) {
        let named =
            |ty: &&super::btfgen::Ty| matches!(ty.kind, Kind::Record(_)) && !ty.name.is_empty();
        let records: Vec<_> = self.graph.types.iter().filter(named).cloned().collect();
        if records.is_empty() {
            return;
        }
        let mut twin = records[self.source.below(records.len())].clone();
        if let (Kind::Record(r), true) = (&mut twin.kind, self.source.one_in(2)) {
            // It keeps its size: a hole is where a member was.
            r.members.pop();
        }
        let name = String::from_utf8_lossy(&twin.name).into_owned();
        self.facts.retain(|fact| !fact.is_of(&name));
        let id = self.graph.add(&twin.name, twin.kind);
        self.far.push(id);
    }

    fn enumeration(&mut self) {
        let (size, signed) = ([4, 4, 1, 2, 8][self.source.below(5)], self.source.one_in(3));
        let bits = 8 * size;
        let high = if signed {
            (1i128 << (bits - 1)) - 1
        } else {
            (1i128 << bits) - 1
        };
        let low = if signed { -(1i128 << (bits - 1)) } else { 0 };
        // What a compiler needs to choose this size and this sign.
        let mut values = vec![if size == 4 { 3 } else { high }];
        if signed {
            values.push(if size == 4 { -1 } else { low });
        }
        for _ in 0..self.source.below(5) {
            let near = self.source.below(256) as i128;
            values.push([near.min(high), high - near.min(high), low][self.source.below(3)]);
        }
        let named: Vec<(String, i128)> = values
            .iter()
            .map(|&v| (self.ordinary_name("E"), v))
            .collect();
        for (name, value) in &named {
            if names::is_plain(name) {
                self.facts.push(Fact::Value {
                    name: name.clone(),
                    value: *value,
                });
            }
        }
        let named = named.into_iter().map(|(n, v)| (n.into_bytes(), v));
        let kind = match size {
            8 => Kind::Enum64 {
                size,
                signed,
                values: named.map(|(n, v)| (n, v as u64)).collect(),
            },
            _ => Kind::Enum {
                size,
                signed,
                values: named.map(|(n, v)| (n, v as u32)).collect(),
            },
        };
        let name = if self.source.one_in(4) {
            String::new()
        } else {
            self.tag_name("e")
        };
        let id = self.graph.add(name.as_bytes(), kind);
        if names::is_plain(&name) {
            self.facts.push(Fact::Size {
                keyword: "enum",
                name,
                size,
            });
        }
        self.scalar(id, size, bits);
    }
}

impl Fact {
    fn is_of(&self, tag: &str) -> bool {
        match self {
            Fact::Size { name, .. } | Fact::Align { name, .. } | Fact::Offset { name, .. } => {
                name == tag
            }
            Fact::Value { .. } => false,
        }
    }
}
