//! Graph → raw BTF, in any of the forms that mean the same.

use std::collections::HashMap;

use super::btfgen::{Graph, Kind, Rng, Ty};

/// How to write: nothing here has a meaning, so no header may depend on it.
#[derive(Clone, Debug)]
pub struct Form {
    pub big: bool,
    /// 24, 32 or more; what is beyond the first 24 bytes is filled with zeros.
    pub header: u32,
    pub strings_first: bool,
    /// Unused bytes (0xa5) before each section; a multiple of 4, as types are aligned.
    pub gap: u32,
    /// The order in which the strings are laid out: none is order of first use.
    pub string_seed: Option<u64>,
    /// A string of its own for every use, where otherwise equal ones are one.
    pub duplicate: bool,
    /// A name that ends another lies inside it.
    pub suffixes: bool,
}

impl Default for Form {
    fn default() -> Form {
        Form {
            big: false,
            header: 24,
            strings_first: false,
            gap: 0,
            string_seed: None,
            duplicate: false,
            suffixes: false,
        }
    }
}

impl Form {
    pub fn big() -> Form {
        Form {
            big: true,
            ..Form::default()
        }
    }

    /// Any form in this byte order.
    pub fn any(big: bool, seed: u64) -> Form {
        let mut rng = Rng(seed);
        Form {
            big,
            header: [24, 32, 40, 128][rng.below(4)],
            strings_first: rng.below(2) == 1,
            gap: [0, 0, 4, 64][rng.below(4)],
            string_seed: Some(rng.next()),
            duplicate: rng.below(3) == 0,
            suffixes: rng.below(2) == 1,
        }
    }
}

/// A written BTF, and where its parts are, for those who want to spoil them.
pub struct Written {
    pub bytes: Vec<u8>,
    /// The byte offset of each type's record.
    pub types: Vec<usize>,
    pub strings: std::ops::Range<usize>,
}

impl Written {
    /// Overwrites the 32-bit word at `at`.
    pub fn set(&mut self, at: usize, value: u32, big: bool) {
        let word = if big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        };
        self.bytes[at..at + 4].copy_from_slice(&word);
    }
}

pub fn encode(graph: &Graph, form: &Form) -> Vec<u8> {
    write(graph, form, b"").bytes
}

/// With the strings of the base for a split BTF, and none otherwise.
pub fn write(graph: &Graph, form: &Form, base_strings: &[u8]) -> Written {
    let strings = Strings::lay_out(graph, form, base_strings);
    let mut types = Section {
        strings,
        big: form.big,
        out: Vec::new(),
        uses: 0,
    };
    let mut starts = Vec::with_capacity(graph.types.len());
    for ty in &graph.types {
        starts.push(types.out.len());
        types.ty(ty);
    }
    let Section {
        strings,
        out: types,
        ..
    } = types;

    let pad = |n: u32| n.next_multiple_of(4);
    let (types_len, strings_len) = (types.len() as u32, strings.bytes.len() as u32);
    let (types_off, strings_off) = match form.strings_first {
        true => (pad(form.gap + strings_len) + form.gap, form.gap),
        false => (form.gap, form.gap + types_len + form.gap),
    };
    let mut bytes = Vec::new();
    let half = |v: u16| {
        if form.big {
            v.to_be_bytes()
        } else {
            v.to_le_bytes()
        }
    };
    let word = |v: u32| {
        if form.big {
            v.to_be_bytes()
        } else {
            v.to_le_bytes()
        }
    };
    bytes.extend(half(0xeb9f));
    bytes.extend([1, 0]);
    for field in [form.header, types_off, types_len, strings_off, strings_len] {
        bytes.extend(word(field));
    }
    bytes.resize(form.header as usize, 0);
    let end = (types_off + types_len).max(strings_off + strings_len);
    bytes.resize((form.header + end) as usize, 0xa5);
    let place = |section: u32| (form.header + section) as usize;
    bytes[place(types_off)..][..types.len()].copy_from_slice(&types);
    bytes[place(strings_off)..][..strings.bytes.len()].copy_from_slice(&strings.bytes);
    for start in &mut starts {
        *start += place(types_off);
    }
    Written {
        bytes,
        types: starts,
        strings: place(strings_off)..place(strings_off + strings_len),
    }
}

/// The type section while it is written.
struct Section {
    strings: Strings,
    big: bool,
    out: Vec<u8>,
    uses: usize,
}

impl Section {
    fn word(&mut self, v: u32) {
        let bytes = if self.big {
            v.to_be_bytes()
        } else {
            v.to_le_bytes()
        };
        self.out.extend(bytes);
    }

    fn name(&mut self, name: &[u8]) {
        let at = self.strings.offset(name, self.uses);
        self.uses += 1;
        self.word(at);
    }

    fn head(&mut self, name: &[u8], kind: u32, flag: bool, vlen: usize, size_or_type: u32) {
        self.name(name);
        self.word(u32::from(flag) << 31 | kind << 24 | vlen as u32 & 0xffff);
        self.word(size_or_type);
    }

    fn ty(&mut self, ty: &Ty) {
        let name = &ty.name;
        match &ty.kind {
            Kind::Int {
                size,
                encoding,
                offset,
                bits,
            } => {
                self.head(name, 1, false, 0, *size);
                self.word(u32::from(*encoding) << 24 | u32::from(*offset) << 16 | u32::from(*bits));
            }
            Kind::Ptr(t) => self.head(name, 2, false, 0, *t),
            Kind::Array { elem, index, count } => {
                self.head(name, 3, false, 0, 0);
                [*elem, *index, *count]
                    .into_iter()
                    .for_each(|v| self.word(v));
            }
            Kind::Record(r) => {
                let kind = if r.union { 5 } else { 4 };
                self.head(name, kind, r.widths, r.members.len(), r.size);
                for m in &r.members {
                    self.name(&m.name);
                    self.word(m.ty);
                    match r.widths {
                        true => self.word(u32::from(m.bits) << 24 | m.offset & 0xff_ffff),
                        false => self.word(m.offset),
                    }
                }
            }
            Kind::Enum {
                size,
                signed,
                values,
            } => {
                self.head(name, 6, *signed, values.len(), *size);
                for (n, v) in values {
                    self.name(n);
                    self.word(*v);
                }
            }
            Kind::Fwd { union } => self.head(name, 7, *union, 0, 0),
            Kind::Typedef(t) => self.head(name, 8, false, 0, *t),
            Kind::Volatile(t) => self.head(name, 9, false, 0, *t),
            Kind::Const(t) => self.head(name, 10, false, 0, *t),
            Kind::Restrict(t) => self.head(name, 11, false, 0, *t),
            Kind::Func { proto, linkage } => {
                self.head(name, 12, false, usize::from(*linkage), *proto)
            }
            Kind::Proto { ret, params } => {
                self.head(name, 13, false, params.len(), *ret);
                for (n, t) in params {
                    self.name(n);
                    self.word(*t);
                }
            }
            Kind::Var { ty, linkage } => {
                self.head(name, 14, false, 0, *ty);
                self.word(*linkage);
            }
            Kind::Datasec { size, vars } => {
                self.head(name, 15, false, vars.len(), *size);
                for &(t, offset, size) in vars {
                    [t, offset, size].into_iter().for_each(|v| self.word(v));
                }
            }
            Kind::Float { size } => self.head(name, 16, false, 0, *size),
            Kind::DeclTag {
                ty,
                component,
                attribute,
            } => {
                self.head(name, 17, *attribute, 0, *ty);
                self.word(*component);
            }
            Kind::TypeTag { ty, attribute } => self.head(name, 18, *attribute, 0, *ty),
            Kind::Enum64 {
                size,
                signed,
                values,
            } => {
                self.head(name, 19, *signed, values.len(), *size);
                for (n, v) in values {
                    self.name(n);
                    self.word(*v as u32);
                    self.word((*v >> 32) as u32);
                }
            }
        }
    }
}

/// The string section: where each name is.
struct Strings {
    bytes: Vec<u8>,
    /// By content, where equal strings are one.
    shared: HashMap<Vec<u8>, u32>,
    /// By place of use, where each has its own.
    by_use: Vec<u32>,
}

impl Strings {
    fn offset(&self, name: &[u8], at_use: usize) -> u32 {
        match self.shared.get(name) {
            Some(&offset) => offset,
            None => self.by_use[at_use],
        }
    }

    fn lay_out(graph: &Graph, form: &Form, base: &[u8]) -> Strings {
        // The empty name is at offset 0 always: a split BTF takes it from its base.
        let mut shared = HashMap::from([(Vec::new(), 0)]);
        let mut bytes = if base.is_empty() { vec![0] } else { Vec::new() };
        let start = base.len() as u32;
        let mut at = 0;
        for name in base.split(|&b| b == 0) {
            if at < base.len() {
                shared.entry(name.to_vec()).or_insert(at as u32);
            }
            at += name.len() + 1;
        }

        let uses = names_in_order(graph);
        let mut by_use = vec![0; uses.len()];
        let mut order: Vec<usize> = (0..uses.len()).collect();
        if let Some(seed) = form.string_seed {
            Rng(seed).shuffle(&mut order);
        }
        if form.suffixes {
            // Longest first, so that what ends a name comes after it; stable, so the seed still counts.
            order.sort_by_key(|&i| std::cmp::Reverse(uses[i].len()));
        }
        for i in order {
            let name = uses[i];
            if shared.contains_key(name) {
                continue;
            }
            let offset = start + bytes.len() as u32;
            bytes.extend_from_slice(name);
            bytes.push(0);
            by_use[i] = offset;
            if form.duplicate {
                continue;
            }
            shared.insert(name.to_vec(), offset);
            // At the underscores: sharing every suffix of every name would take a table of them all.
            for (k, _) in name
                .iter()
                .enumerate()
                .filter(|&(_, &b)| form.suffixes && b == b'_')
            {
                shared
                    .entry(name[k..].to_vec())
                    .or_insert(offset + k as u32);
                shared
                    .entry(name[k + 1..].to_vec())
                    .or_insert(offset + k as u32 + 1);
            }
        }
        Strings {
            bytes,
            shared,
            by_use,
        }
    }
}

/// Every name, in the order in which [`Section::ty`] writes them.
fn names_in_order(graph: &Graph) -> Vec<&[u8]> {
    let mut names: Vec<&[u8]> = Vec::new();
    for ty in &graph.types {
        names.push(&ty.name);
        match &ty.kind {
            Kind::Record(r) => names.extend(r.members.iter().map(|m| m.name.as_slice())),
            Kind::Enum { values, .. } => names.extend(values.iter().map(|(n, _)| n.as_slice())),
            Kind::Enum64 { values, .. } => names.extend(values.iter().map(|(n, _)| n.as_slice())),
            Kind::Proto { params, .. } => names.extend(params.iter().map(|(n, _)| n.as_slice())),
            _ => {}
        }
    }
    names
}
