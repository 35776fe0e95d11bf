//! A small BTF reader for tests, after `Documentation/bpf/btf.rst`, written apart from the library: what checks
//! the library must not share its faults. It trusts its input and panics on nonsense.

use object::{Object, ObjectSection};

/// A member of a struct or union.
#[derive(Debug, Clone)]
pub struct Member {
    pub name: String,
    pub ty: u32,
    pub bit_offset: u32,
    /// Width of a bit-field, 0 for any other member.
    pub bit_width: u32,
}

/// What one type is, beyond its name.
#[derive(Debug, Clone)]
pub enum Kind {
    Void,
    Int {
        size: u32,
        signed: bool,
        bool_: bool,
    },
    Ptr(u32),
    Array {
        elem: u32,
        len: u32,
    },
    Struct {
        size: u32,
        members: Vec<Member>,
    },
    Union {
        size: u32,
        members: Vec<Member>,
    },
    Enum {
        size: u32,
        signed: bool,
        values: Vec<(String, i128)>,
    },
    Fwd {
        union_: bool,
    },
    Typedef(u32),
    Volatile(u32),
    Const(u32),
    Restrict(u32),
    Func(u32),
    FuncProto {
        ret: u32,
        params: Vec<(String, u32)>,
    },
    Var(u32),
    DataSec(Vec<u32>),
    Float(u32),
    DeclTag {
        target: u32,
        component: i32,
        attribute: bool,
    },
    TypeTag {
        target: u32,
        attribute: bool,
    },
}

impl Kind {
    /// Every type id in it.
    fn references(&mut self) -> Vec<&mut u32> {
        match self {
            Kind::Void
            | Kind::Int { .. }
            | Kind::Enum { .. }
            | Kind::Fwd { .. }
            | Kind::Float(_) => Vec::new(),
            Kind::Struct { members, .. } | Kind::Union { members, .. } => {
                members.iter_mut().map(|m| &mut m.ty).collect()
            }
            Kind::FuncProto { ret, params } => std::iter::once(ret)
                .chain(params.iter_mut().map(|(_, ty)| ty))
                .collect(),
            Kind::DataSec(ids) => ids.iter_mut().collect(),
            Kind::Array { elem: id, .. }
            | Kind::DeclTag { target: id, .. }
            | Kind::TypeTag { target: id, .. }
            | Kind::Ptr(id)
            | Kind::Typedef(id)
            | Kind::Volatile(id)
            | Kind::Const(id)
            | Kind::Restrict(id)
            | Kind::Func(id)
            | Kind::Var(id) => vec![id],
        }
    }
}

#[derive(Debug, Clone)]
pub struct Type {
    pub name: String,
    pub kind: Kind,
}

/// All types by id; those of the base come first.
#[derive(Debug, Clone)]
pub struct Btf {
    pub types: Vec<Type>,
    /// First id that is not the base's.
    pub first_own: u32,
    pub big_endian: bool,
    strings: Vec<u8>,
}

/// Bytes in one byte order.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    pub big_endian: bool,
}

impl Reader<'_> {
    pub fn u32(&mut self) -> u32 {
        let raw: [u8; 4] = self.bytes[self.at..self.at + 4].try_into().unwrap();
        self.at += 4;
        if self.big_endian {
            u32::from_be_bytes(raw)
        } else {
            u32::from_le_bytes(raw)
        }
    }
}

/// True if these bytes begin a big-endian BTF.
pub fn is_big_endian(bytes: &[u8]) -> bool {
    match bytes[..2] {
        [0x9f, 0xeb] => false,
        [0xeb, 0x9f] => true,
        _ => panic!("not BTF: it begins with {:02x?}", &bytes[..2]),
    }
}

impl Btf {
    /// Reads raw BTF; `base` makes it a split one.
    pub fn parse(bytes: &[u8], base: Option<&Btf>) -> Btf {
        let big_endian = is_big_endian(bytes);
        let mut header = Reader {
            bytes,
            at: 4,
            big_endian,
        };
        // Newer headers are longer; the fields up to here stay where they are.
        let header_len = header.u32() as usize;
        let [types_at, types_len, strings_at, strings_len] =
            std::array::from_fn(|_| header.u32() as usize);
        let body = &bytes[header_len..];

        let mut btf = match base {
            Some(base) => Btf {
                first_own: base.types.len() as u32,
                ..base.clone()
            },
            None => Btf {
                types: vec![Type {
                    name: String::new(),
                    kind: Kind::Void,
                }],
                first_own: 1,
                big_endian,
                strings: Vec::new(),
            },
        };
        btf.strings
            .extend_from_slice(&body[strings_at..strings_at + strings_len]);
        let mut reader = Reader {
            bytes: &body[types_at..types_at + types_len],
            at: 0,
            big_endian,
        };
        while reader.at < reader.bytes.len() {
            let ty = btf.read_type(&mut reader);
            btf.types.push(ty);
        }
        btf
    }

    /// Adds the types of another BTF after these; they refer to one another only.
    pub fn append(&mut self, other: Btf) {
        let shift = self.types.len() as u32 - 1;
        self.types
            .extend(other.types.into_iter().skip(1).map(|mut ty| {
                for id in ty.kind.references() {
                    *id = if *id == 0 { 0 } else { *id + shift };
                }
                ty
            }));
    }

    /// The string at an offset of the (base's and own) string section.
    pub fn string(&self, offset: u32) -> String {
        let tail = &self.strings[offset as usize..];
        let end = tail
            .iter()
            .position(|&b| b == 0)
            .expect("strings end in NUL");
        String::from_utf8_lossy(&tail[..end]).into_owned()
    }

    pub fn get(&self, id: u32) -> &Type {
        &self.types[id as usize]
    }

    pub fn kind(&self, id: u32) -> &Kind {
        &self.get(id).kind
    }

    fn read_type(&self, r: &mut Reader<'_>) -> Type {
        let name = self.string(r.u32());
        let info = r.u32();
        let size_or_type = r.u32();
        let vlen = (info & 0xffff) as usize;
        let kind_flag = info >> 31 == 1;
        let mut words = |n: usize| -> Vec<u32> { (0..n).map(|_| r.u32()).collect() };
        let kind = match (info >> 24) & 0x1f {
            1 => {
                let encoding = words(1)[0] >> 24;
                Kind::Int {
                    size: size_or_type,
                    signed: encoding & 1 != 0,
                    bool_: encoding & 4 != 0,
                }
            }
            2 => Kind::Ptr(size_or_type),
            3 => {
                let w = words(3);
                Kind::Array {
                    elem: w[0],
                    len: w[2],
                }
            }
            kind @ (4 | 5) => {
                let members = words(3 * vlen)
                    .chunks(3)
                    .map(|w| self.member(w, kind_flag))
                    .collect();
                if kind == 4 {
                    Kind::Struct {
                        size: size_or_type,
                        members,
                    }
                } else {
                    Kind::Union {
                        size: size_or_type,
                        members,
                    }
                }
            }
            6 => {
                let value = |v: u32| {
                    if kind_flag {
                        i128::from(v as i32)
                    } else {
                        i128::from(v)
                    }
                };
                let values = words(2 * vlen)
                    .chunks(2)
                    .map(|w| (self.string(w[0]), value(w[1])))
                    .collect();
                Kind::Enum {
                    size: size_or_type,
                    signed: kind_flag,
                    values,
                }
            }
            7 => Kind::Fwd { union_: kind_flag },
            8 => Kind::Typedef(size_or_type),
            9 => Kind::Volatile(size_or_type),
            10 => Kind::Const(size_or_type),
            11 => Kind::Restrict(size_or_type),
            12 => Kind::Func(size_or_type),
            13 => {
                let params = words(2 * vlen)
                    .chunks(2)
                    .map(|w| (self.string(w[0]), w[1]))
                    .collect();
                Kind::FuncProto {
                    ret: size_or_type,
                    params,
                }
            }
            14 => {
                words(1);
                Kind::Var(size_or_type)
            }
            15 => Kind::DataSec(words(3 * vlen).chunks(3).map(|w| w[0]).collect()),
            16 => Kind::Float(size_or_type),
            17 => {
                let component = words(1)[0] as i32;
                Kind::DeclTag {
                    target: size_or_type,
                    component,
                    attribute: kind_flag,
                }
            }
            18 => Kind::TypeTag {
                target: size_or_type,
                attribute: kind_flag,
            },
            19 => {
                let value = |lo: u32, hi: u32| {
                    let v = u64::from(lo) | u64::from(hi) << 32;
                    if kind_flag {
                        i128::from(v as i64)
                    } else {
                        i128::from(v)
                    }
                };
                let values = words(3 * vlen)
                    .chunks(3)
                    .map(|w| (self.string(w[0]), value(w[1], w[2])))
                    .collect();
                Kind::Enum {
                    size: size_or_type,
                    signed: kind_flag,
                    values,
                }
            }
            other => panic!("BTF kind {other} is not known to the tests"),
        };
        Type { name, kind }
    }

    fn member(&self, w: &[u32], kind_flag: bool) -> Member {
        let (bit_width, bit_offset) = if kind_flag {
            (w[2] >> 24, w[2] & 0xff_ffff)
        } else {
            (0, w[2])
        };
        Member {
            name: self.string(w[0]),
            ty: w[1],
            bit_offset,
            bit_width,
        }
    }

    /// The kfuncs: functions that carry the declaration tag `bpf_kfunc`, as (id of the FUNC, id of its prototype).
    pub fn kfuncs(&self) -> Vec<(u32, u32)> {
        let mut found: Vec<(u32, u32)> = self.types[self.first_own as usize..]
            .iter()
            .filter(|t| t.name == "bpf_kfunc")
            .filter_map(|t| match t.kind {
                Kind::DeclTag {
                    target,
                    component: -1,
                    attribute: false,
                } => Some(target),
                _ => None,
            })
            .filter_map(|id| match self.kind(id) {
                Kind::Func(proto) => Some((id, *proto)),
                _ => None,
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// One section of an ELF object.
pub fn elf_section(elf: &[u8], name: &str) -> Vec<u8> {
    let file = object::File::parse(elf).expect("the compiler writes an ELF object");
    let section = file
        .section_by_name(name)
        .unwrap_or_else(|| panic!("the object has no section {name}"));
    section
        .data()
        .expect("the section lies in the file")
        .to_vec()
}
