#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::arithmetic_side_effects)]

use super::*;

/// Builds BTF, alone or over a base's ids and strings.
struct Builder {
    order: ByteOrder,
    next: u32,
    strings_from: u32,
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Builder {
    fn new(order: ByteOrder) -> Builder {
        Builder {
            order,
            next: 1,
            strings_from: 0,
            types: vec![],
            strings: vec![0],
        }
    }

    fn over(base: &Btf<'_>) -> Builder {
        Builder {
            order: base.byte_order(),
            next: base.end_id(),
            strings_from: base.end_str(),
            types: vec![],
            strings: vec![],
        }
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32 + self.strings_from;
        self.strings.extend(name.bytes().chain([0]));
        at
    }

    /// `vlen` and the kind flag are those of `rows` and `flag`; a row is words.
    fn ty(&mut self, kind: Kind, name: u32, flag: bool, size: u32, rows: &[&[u32]]) -> u32 {
        let vlen = match kind {
            Kind::Int | Kind::Array => 0,
            _ => rows.len() as u32,
        };
        let info = vlen | (kind as u32) << 24 | u32::from(flag) << 31;
        let words = [name, info, size];
        for word in words.iter().chain(rows.iter().copied().flatten()) {
            self.types.extend(write_word(*word, self.order));
        }
        self.next += 1;
        self.next - 1
    }

    fn named(&mut self, kind: Kind, name: &str, size: u32) -> u32 {
        let name = self.name(name);
        let rows: &[&[u32]] = if kind == Kind::Int { &[&[32]] } else { &[] };
        self.ty(kind, name, false, size, rows)
    }

    fn build(&self) -> Vec<u8> {
        blob(self.order, &self.types, &[&self.strings])
    }
}

/// A distilled base with `int`, `struct task`, `struct list`, `enum mode`, `union u` (forward).
fn distilled(order: ByteOrder) -> Vec<u8> {
    let mut b = Builder::new(order);
    b.named(Kind::Int, "int", 4);
    b.named(Kind::Struct, "task", 100);
    b.named(Kind::Struct, "list", 16);
    b.named(Kind::Enum, "mode", 8);
    let name = b.name("u");
    b.ty(Kind::Fwd, name, true, 0, &[]);
    b.build()
}

/// `struct mine { int task; struct task *t; list_t l[2]; enum mode; union u *; }`
fn split(distilled: &Btf<'_>) -> Vec<u8> {
    let mut s = Builder::over(distilled);
    let ptr = s.ty(Kind::Ptr, 0, false, 2, &[]);
    let list_t = s.name("list_t");
    let list_t = s.ty(Kind::Typedef, list_t, false, 3, &[]);
    let array = s.ty(Kind::Array, 0, false, 0, &[&[list_t, 1, 2]]);
    let union_ptr = s.ty(Kind::Ptr, 0, false, 5, &[]);
    // The name of the first member lies in the distilled base's strings, behind "\0int\0".
    let (t, l, m, u) = (s.name("t"), s.name("l"), s.name("m"), s.name("u"));
    let mine = s.name("mine");
    s.ty(
        Kind::Struct,
        mine,
        false,
        64,
        &[
            &[5, 1, 0],
            &[t, ptr, 64],
            &[l, array, 128],
            &[m, 4, 384],
            &[u, union_ptr, 448],
        ],
    );
    s.build()
}

/// A real base; `list` bytes in its list, and whatever else is asked for.
fn base(order: ByteOrder, list: u32, more: &[(Kind, &str, u32)]) -> Vec<u8> {
    let mut b = Builder::new(order);
    b.named(Kind::Int, "other", 4);
    b.named(Kind::Union, "u", 4);
    b.named(Kind::Enum64, "mode", 8);
    b.named(Kind::Struct, "list", list);
    // Pointed at only: may have grown.
    b.named(Kind::Struct, "task", 120);
    b.named(Kind::Int, "int", 4);
    for (kind, name, size) in more {
        b.named(*kind, name, *size);
    }
    b.build()
}

fn shape(btf: &Btf<'_>) -> Vec<(String, String, u32)> {
    let text = |name| String::from_utf8_lossy(btf.name(name)).into_owned();
    let ty = btf.types().last().unwrap();
    ty.members()
        .map(|m| {
            let mut at = btf.ty(m.ty);
            let mut path = String::new();
            loop {
                path += at.kind().name();
                path += " ";
                path += &text(at.name());
                at = match at.kind() {
                    Kind::Ptr | Kind::Typedef => btf.ty(at.target()),
                    Kind::Array => btf.ty(at.array().unwrap().element),
                    _ => break,
                };
                path += " → ";
            }
            (text(m.name), path, m.bit_offset)
        })
        .collect()
}

#[test]
fn a_split_means_the_same_over_the_real_base() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let (distilled_bytes, base_bytes) = (distilled(order), base(order, 16, &[]));
        let distilled = Btf::parse(&distilled_bytes).unwrap();
        let base = Btf::parse(&base_bytes).unwrap();
        let split = split(&distilled);
        let moved = relocate(&split, &distilled_bytes, &base).unwrap();
        let moved = Btf::parse_split(&moved, &base).unwrap();
        let want = [
            ("task", "INT int", 0),
            ("t", "PTR  → STRUCT task", 64),
            ("l", "ARRAY  → TYPEDEF list_t → STRUCT list", 128),
            ("m", "ENUM64 mode", 384),
            ("u", "PTR  → UNION u", 448),
        ];
        let want: Vec<_> = want
            .iter()
            .map(|(n, p, o)| ((*n).to_owned(), (*p).to_owned(), *o))
            .collect();
        assert_eq!(shape(&moved), want);
        let mine = moved.types().last().unwrap();
        assert_eq!(moved.name(mine.name()), b"mine");
        assert_eq!(mine.size(), 64);
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let order = ByteOrder::Little;
    let distilled_bytes = distilled(order);
    let distilled = Btf::parse(&distilled_bytes).unwrap();
    let split = split(&distilled);
    let tried = |base_bytes: &[u8]| {
        let base = Btf::parse(base_bytes).unwrap();
        relocate(&split, &distilled_bytes, &base).map(|_| ())
    };
    // A member by value of another size.
    let e = tried(&base(order, 24, &[])).unwrap_err();
    assert!(
        matches!(&e, RelocateError::Absent { name, .. } if name == "list"),
        "{e}"
    );
    // Two of one name: the size must tell, and 100 is neither's.
    let e = tried(&base(order, 16, &[(Kind::Struct, "task", 140)])).unwrap_err();
    assert!(
        matches!(&e, RelocateError::Absent { name, .. } if name == "task"),
        "{e}"
    );
    // Two of one name, one of them of the right size.
    tried(&base(order, 16, &[(Kind::Struct, "task", 100)])).unwrap();
    let twice = [(Kind::Struct, "task", 100), (Kind::Struct, "task", 100)];
    let e = tried(&base(order, 16, &twice)).unwrap_err();
    assert!(
        matches!(&e, RelocateError::Ambiguous { name, count: 2, .. } if name == "task"),
        "{e}"
    );
    // A union of that name is another thing, but makes the name ambiguous.
    let e = tried(&base(order, 16, &[(Kind::Union, "task", 100)])).unwrap_err();
    assert!(
        matches!(&e, RelocateError::Absent { name, .. } if name == "task"),
        "{e}"
    );
    let e = tried(&base(ByteOrder::Big, 16, &[])).unwrap_err();
    assert!(matches!(e, RelocateError::Btf(_)), "{e}");
    let e = tried(&Builder::new(order).build()).unwrap_err();
    assert!(
        matches!(&e, RelocateError::Absent { name, .. } if name == "int"),
        "{e}"
    );
}

#[test]
fn a_distilled_base_that_is_none_is_refused() {
    let order = ByteOrder::Little;
    let mut b = Builder::new(order);
    b.named(Kind::Typedef, "t", 0);
    let bytes = b.build();
    let distilled = Btf::parse(&bytes).unwrap();
    let split = Builder::over(&distilled).build();
    let e = relocate(&split, &bytes, &distilled).unwrap_err();
    assert!(matches!(e, RelocateError::Distilled { .. }), "{e}");
}

#[test]
fn circles_and_shared_chains_end() {
    let order = ByteOrder::Little;
    let bytes = distilled(order);
    let distilled = Btf::parse(&bytes).unwrap();
    let mut s = Builder::over(&distilled);
    let name = s.name("t");
    let first = s.next;
    let len = 50_000;
    for n in 0..len {
        // The last one closes the circle.
        let to = if n == 0 {
            first + len - 1
        } else {
            first + n - 1
        };
        s.ty(Kind::Typedef, name, false, to, &[]);
    }
    let last = [0, first + len - 1, 0];
    let rows = vec![&last[..]; 50_000];
    s.ty(Kind::Struct, name, false, 4, &rows);
    let base_bytes = base(order, 16, &[]);
    let base = Btf::parse(&base_bytes).unwrap();
    relocate(&s.build(), &bytes, &base).unwrap();
}

#[test]
fn damaged_input_is_an_error_or_parses_where_it_was_moved() {
    let order = ByteOrder::Little;
    let distilled_bytes = distilled(order);
    let split = split(&Btf::parse(&distilled_bytes).unwrap());
    let base_bytes = base(order, 16, &[(Kind::Struct, "task", 100)]);
    let base = Btf::parse(&base_bytes).unwrap();
    let mut state = 1u64;
    let mut chance = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    let mut moved = 0;
    for _ in 0..20_000 {
        let (mut s, mut d) = (split.clone(), distilled_bytes.clone());
        for _ in 0..=chance(3) {
            let blob = if chance(2) == 0 { &mut s } else { &mut d };
            let at = chance(blob.len());
            blob[at] = [0, 1, 4, 255, chance(256) as u8][chance(5)];
        }
        if let Ok(out) = relocate(&s, &d, &base) {
            moved += 1;
            Btf::parse_split(&out, &base).unwrap();
        }
    }
    assert!(moved > 100, "{moved}");
}
