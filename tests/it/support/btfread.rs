//! Raw BTF → [`Graph`]: for loading whole real kernels, to write them again in another form.
//!
//! For well-formed input: it panics on anything else.

use super::btfgen::{Graph, Kind, Member, Record, Ty};

/// A BTF that was read, with what a split BTF over it needs.
pub struct Loaded {
    pub graph: Graph,
    pub big: bool,
    /// The strings of this blob alone.
    pub strings: Vec<u8>,
}

pub fn read(bytes: &[u8]) -> Loaded {
    read_with(bytes, 0, &[])
}

pub fn read_split(bytes: &[u8], base: &Loaded) -> Loaded {
    read_with(bytes, base.graph.end() - 1, &base.strings)
}

fn read_with(bytes: &[u8], base: u32, base_strings: &[u8]) -> Loaded {
    let big = bytes[..2] == [0xeb, 0x9f];
    assert!(big || bytes[..2] == [0x9f, 0xeb], "not BTF");
    let mut at = Words { bytes, at: 4, big };
    let [header, types_off, types_len, strings_off, strings_len] = at.take();
    let section = |off: u32, len: u32| &bytes[(header + off) as usize..][..len as usize];
    let strings = section(strings_off, strings_len);
    let names = Names {
        base: base_strings,
        own: strings,
    };
    let mut words = Words {
        bytes: section(types_off, types_len),
        at: 0,
        big,
    };
    let mut graph = Graph {
        base,
        types: Vec::new(),
    };
    while words.at < words.bytes.len() {
        graph.types.push(one(&mut words, &names));
    }
    Loaded {
        graph,
        big,
        strings: strings.to_vec(),
    }
}

fn one(words: &mut Words, names: &Names) -> Ty {
    let [name, info, size] = words.take();
    let (kind, flag, vlen) = (info >> 24 & 0x1f, info >> 31 == 1, info & 0xffff);
    let name = names.at(name);
    let kind = match kind {
        1 => {
            let [v] = words.take();
            Kind::Int {
                size,
                encoding: (v >> 24) as u8,
                offset: (v >> 16) as u8,
                bits: v as u8,
            }
        }
        2 => Kind::Ptr(size),
        3 => {
            let [elem, index, count] = words.take();
            Kind::Array { elem, index, count }
        }
        4 | 5 => {
            let member = |[n, ty, offset]: [u32; 3]| {
                let (bits, offset) = if flag {
                    ((offset >> 24) as u8, offset & 0xff_ffff)
                } else {
                    (0, offset)
                };
                Member {
                    name: names.at(n),
                    ty,
                    offset,
                    bits,
                }
            };
            let members = (0..vlen).map(|_| member(words.take())).collect();
            Kind::Record(Record {
                union: kind == 5,
                size,
                widths: flag,
                members,
            })
        }
        6 => {
            let value = |[n, v]: [u32; 2]| (names.at(n), v);
            Kind::Enum {
                size,
                signed: flag,
                values: (0..vlen).map(|_| value(words.take())).collect(),
            }
        }
        7 => Kind::Fwd { union: flag },
        8 => Kind::Typedef(size),
        9 => Kind::Volatile(size),
        10 => Kind::Const(size),
        11 => Kind::Restrict(size),
        12 => Kind::Func {
            proto: size,
            linkage: vlen as u16,
        },
        13 => {
            let param = |[n, t]: [u32; 2]| (names.at(n), t);
            Kind::Proto {
                ret: size,
                params: (0..vlen).map(|_| param(words.take())).collect(),
            }
        }
        14 => {
            let [linkage] = words.take();
            Kind::Var { ty: size, linkage }
        }
        15 => {
            let var = |[t, offset, size]: [u32; 3]| (t, offset, size);
            Kind::Datasec {
                size,
                vars: (0..vlen).map(|_| var(words.take())).collect(),
            }
        }
        16 => Kind::Float { size },
        17 => {
            let [component] = words.take();
            Kind::DeclTag {
                ty: size,
                component,
                attribute: flag,
            }
        }
        18 => Kind::TypeTag {
            ty: size,
            attribute: flag,
        },
        19 => {
            let value =
                |[n, low, high]: [u32; 3]| (names.at(n), u64::from(high) << 32 | u64::from(low));
            Kind::Enum64 {
                size,
                signed: flag,
                values: (0..vlen).map(|_| value(words.take())).collect(),
            }
        }
        other => panic!("kind {other}"),
    };
    Ty { name, kind }
}

struct Words<'a> {
    bytes: &'a [u8],
    at: usize,
    big: bool,
}

impl Words<'_> {
    fn take<const N: usize>(&mut self) -> [u32; N] {
        std::array::from_fn(|_| {
            let word = self.bytes[self.at..self.at + 4]
                .try_into()
                .expect("four bytes");
            self.at += 4;
            if self.big {
                u32::from_be_bytes(word)
            } else {
                u32::from_le_bytes(word)
            }
        })
    }
}

struct Names<'a> {
    base: &'a [u8],
    own: &'a [u8],
}

impl Names<'_> {
    fn at(&self, offset: u32) -> Vec<u8> {
        let offset = offset as usize;
        let from = match offset.checked_sub(self.base.len()) {
            Some(own) => &self.own[own..],
            None => &self.base[offset..],
        };
        from.split(|&b| b == 0)
            .next()
            .expect("split gives one at least")
            .to_vec()
    }
}
