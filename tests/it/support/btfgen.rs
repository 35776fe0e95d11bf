//! BTF for tests: a model of a type graph, and a writer with every freedom that the format leaves.
//!
//! Written from `Documentation/bpf/btf.rst` and apart from `src/`, so that a misreading there cannot hide here.
//! It checks nothing: a graph with wild ids, sizes and names encodes just as well, which is what hostile input is.
//! It depends on nothing but `std`: the fuzz targets include it by path.

/// A type id: 0 is void.
pub type Id = u32;

/// The types of one BTF blob. `types[i]` has the id `base + 1 + i`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// How many types come before these: those of the base of a split BTF, or 0.
    pub base: u32,
    pub types: Vec<Ty>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ty {
    pub name: Vec<u8>,
    pub kind: Kind,
}

/// What a type is, with the fields as the format has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Int {
        size: u32,
        encoding: u8,
        offset: u8,
        bits: u8,
    },
    Ptr(Id),
    Array {
        elem: Id,
        index: Id,
        count: u32,
    },
    Record(Record),
    Enum {
        size: u32,
        signed: bool,
        values: Vec<(Vec<u8>, u32)>,
    },
    Fwd {
        union: bool,
    },
    Typedef(Id),
    Volatile(Id),
    Const(Id),
    Restrict(Id),
    Func {
        proto: Id,
        linkage: u16,
    },
    Proto {
        ret: Id,
        params: Vec<(Vec<u8>, Id)>,
    },
    Var {
        ty: Id,
        linkage: u32,
    },
    Datasec {
        size: u32,
        vars: Vec<(Id, u32, u32)>,
    },
    Float {
        size: u32,
    },
    DeclTag {
        ty: Id,
        component: u32,
        attribute: bool,
    },
    TypeTag {
        ty: Id,
        attribute: bool,
    },
    Enum64 {
        size: u32,
        signed: bool,
        values: Vec<(Vec<u8>, u64)>,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub union: bool,
    pub size: u32,
    /// kind_flag: member offsets hold 8 bits of bit-field width above 24 bits of offset.
    pub widths: bool,
    pub members: Vec<Member>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    pub name: Vec<u8>,
    pub ty: Id,
    /// In bits from the record's start.
    pub offset: u32,
    /// The bit-field's width, or 0; written only where the record has `widths`.
    pub bits: u8,
}

pub const SIGNED: u8 = 1;
pub const CHAR: u8 = 2;
pub const BOOL: u8 = 4;

impl Kind {
    /// Calls `f` on every type id in here.
    pub fn for_each_id(&mut self, mut f: impl FnMut(&mut Id)) {
        match self {
            Kind::Int { .. } | Kind::Enum { .. } | Kind::Enum64 { .. } => {}
            Kind::Fwd { .. } | Kind::Float { .. } => {}
            Kind::Ptr(t) | Kind::Typedef(t) => f(t),
            Kind::Volatile(t) | Kind::Const(t) | Kind::Restrict(t) => f(t),
            Kind::Func { proto: t, .. } | Kind::Var { ty: t, .. } => f(t),
            Kind::DeclTag { ty: t, .. } | Kind::TypeTag { ty: t, .. } => f(t),
            Kind::Array { elem, index, .. } => {
                f(elem);
                f(index);
            }
            Kind::Record(r) => r.members.iter_mut().for_each(|m| f(&mut m.ty)),
            Kind::Proto { ret, params } => {
                f(ret);
                params.iter_mut().for_each(|(_, t)| f(t));
            }
            Kind::Datasec { vars, .. } => vars.iter_mut().for_each(|(t, _, _)| f(t)),
        }
    }
}

impl Graph {
    pub fn new() -> Graph {
        Graph::default()
    }

    /// An empty graph whose ids go on after `base`'s.
    pub fn over(base: &Graph) -> Graph {
        Graph {
            base: base.end() - 1,
            types: Vec::new(),
        }
    }

    /// The id that the next type gets.
    pub fn end(&self) -> Id {
        self.base + 1 + self.types.len() as u32
    }

    pub fn add(&mut self, name: impl AsRef<[u8]>, kind: Kind) -> Id {
        let id = self.end();
        self.types.push(Ty {
            name: name.as_ref().to_vec(),
            kind,
        });
        id
    }

    pub fn get(&self, id: Id) -> Option<&Ty> {
        self.types.get((id.checked_sub(self.base + 1)?) as usize)
    }

    /// Panics on an id that is not in this graph.
    pub fn get_mut(&mut self, id: Id) -> &mut Ty {
        &mut self.types[(id - self.base - 1) as usize]
    }

    /// The same types in another order: what was at `order[i]` comes to `i`, and every reference follows.
    pub fn reordered(&self, order: &[usize]) -> Graph {
        assert_eq!(order.len(), self.types.len());
        let types = order.iter().map(|&old| self.types[old].clone()).collect();
        let mut graph = Graph {
            base: self.base,
            types,
        };
        graph.redirect(self.base + 1, order);
        graph
    }

    /// Follows a base that was `reordered` so.
    pub fn follow(&mut self, order: &[usize]) {
        self.redirect(1, order);
    }

    /// Changes each reference to the old place of a type into its new one.
    fn redirect(&mut self, first: Id, order: &[usize]) {
        let mut new_id = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            new_id[old] = first + new as Id;
        }
        for ty in &mut self.types {
            ty.kind.for_each_id(|id| {
                let old = id.checked_sub(first);
                if let Some(&new) = old.and_then(|old| new_id.get(old as usize)) {
                    *id = new;
                }
            });
        }
    }

    /// The same types under ids dealt out anew.
    pub fn shuffled(&self, seed: u64) -> Graph {
        let mut order: Vec<usize> = (0..self.types.len()).collect();
        Rng(seed).shuffle(&mut order);
        self.reordered(&order)
    }

    // Shorthands for the kinds that tests write most.

    pub fn int(&mut self, name: &str, size: u32, encoding: u8) -> Id {
        self.add(
            name,
            Kind::Int {
                size,
                encoding,
                offset: 0,
                bits: (size * 8) as u8,
            },
        )
    }

    pub fn ptr(&mut self, to: Id) -> Id {
        self.add("", Kind::Ptr(to))
    }

    pub fn array(&mut self, elem: Id, index: Id, count: u32) -> Id {
        self.add("", Kind::Array { elem, index, count })
    }

    /// A struct of `(name, type, offset in bits)`.
    pub fn record(&mut self, name: &str, size: u32, members: &[(&str, Id, u32)]) -> Id {
        self.add(name, record(false, size, members))
    }

    pub fn union(&mut self, name: &str, size: u32, members: &[(&str, Id, u32)]) -> Id {
        self.add(name, record(true, size, members))
    }

    pub fn typedef(&mut self, name: &str, to: Id) -> Id {
        self.add(name, Kind::Typedef(to))
    }

    pub fn proto(&mut self, ret: Id, params: &[(&str, Id)]) -> Id {
        let params = params
            .iter()
            .map(|(n, t)| (n.as_bytes().to_vec(), *t))
            .collect();
        self.add("", Kind::Proto { ret, params })
    }

    pub fn enumeration(&mut self, name: &str, size: u32, values: &[(&str, u32)]) -> Id {
        let values = values
            .iter()
            .map(|(n, v)| (n.as_bytes().to_vec(), *v))
            .collect();
        self.add(
            name,
            Kind::Enum {
                size,
                signed: false,
                values,
            },
        )
    }
}

pub fn record(union: bool, size: u32, members: &[(&str, Id, u32)]) -> Kind {
    let members = members
        .iter()
        .map(|&(n, ty, offset)| Member {
            name: n.as_bytes().to_vec(),
            ty,
            offset,
            bits: 0,
        })
        .collect();
    Kind::Record(Record {
        union,
        size,
        widths: false,
        members,
    })
}

/// A small generator of chance with a seed: SplitMix64 (Steele, Lea, Flood: "Fast splittable PRNGs", 2014).
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not 0. (The bias is of no matter here.)
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}
