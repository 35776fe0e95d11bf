//! Bytes that are not quite BTF: headers that lie, sections that overlap.
//!
//! Every truncation and every spoilt byte of [`small`] are tried too, but by `tests/it/hostile.rs` itself.

use super::super::btfgen::{BOOL, Graph, Kind, Member, Record, SIGNED};
use super::super::btfwrite::{Form, encode, write};
use super::{Case, Want};

/// A valid graph with one of every kind.
pub fn small() -> Graph {
    let mut g = super::with_int();
    let b = g.int("_Bool", 1, BOOL);
    let long = g.int("long unsigned int", 8, 0);
    let p = g.ptr(1);
    let array = g.array(b, 1, 3);
    let inner = g.union("", 8, &[("word", long, 0), ("pointer", p, 0)]);
    let field = |name: &str, offset, bits| Member {
        name: name.into(),
        ty: 1,
        offset,
        bits,
    };
    let mut members = vec![field("low", 0, 3), field("high", 3, 5)];
    members.push(Member {
        name: Vec::new(),
        ty: inner,
        offset: 64,
        bits: 0,
    });
    members.push(Member {
        name: b"flags".to_vec(),
        ty: array,
        offset: 128,
        bits: 0,
    });
    let s = g.add(
        "s",
        Kind::Record(Record {
            union: false,
            size: 24,
            widths: true,
            members,
        }),
    );
    let e = g.enumeration("e", 4, &[("A", 0), ("B", 7)]);
    let values = vec![
        (b"NEGATIVE".to_vec(), u64::MAX),
        (b"LARGE".to_vec(), 1 << 40),
    ];
    g.add(
        "e64",
        Kind::Enum64 {
            size: 8,
            signed: true,
            values,
        },
    );
    let fwd = g.add("opaque", Kind::Fwd { union: false });
    let c = g.add("", Kind::Const(s));
    let v = g.add("", Kind::Volatile(c));
    let pv = g.ptr(v);
    let r = g.add("", Kind::Restrict(pv));
    let t = g.typedef("s_pointer", r);
    let tag = g.add(
        "user",
        Kind::TypeTag {
            ty: fwd,
            attribute: false,
        },
    );
    let tagged = g.ptr(tag);
    let proto = g.proto(e, &[("a", t), ("b", tagged), ("", 0)]);
    let f = g.add("kfunc", Kind::Func { proto, linkage: 1 });
    g.add(
        "bpf_kfunc",
        Kind::DeclTag {
            ty: f,
            component: u32::MAX,
            attribute: false,
        },
    );
    g.add("double", Kind::Float { size: 8 });
    let var = g.add("counter", Kind::Var { ty: 1, linkage: 1 });
    g.add(
        ".data",
        Kind::Datasec {
            size: 4,
            vars: vec![(var, 0, 4)],
        },
    );
    g.int("unsigned int", 4, 0);
    g.int("char", 1, SIGNED);
    g
}

pub fn cases() -> Vec<Case> {
    use Want::{Either, Fault, Header, Refusal};
    let good = encode(&small(), &Form::default());
    let mut cases = vec![
        Case::bytes("whole", good.clone(), Header),
        Case::bytes("whole-big-endian", encode(&small(), &Form::big()), Header),
        Case::bytes("whole-with-a-32-byte-header", with_header(32), Header),
        Case::bytes("whole-with-a-4-KiB-header", with_header(4096), Header),
        Case::bytes("no-types", encode(&Graph::new(), &Form::default()), Either),
        Case::bytes("empty", Vec::new(), Refusal),
        Case::bytes("one-byte", vec![0x9f], Refusal),
        Case::bytes("magic-alone", vec![0x9f, 0xeb], Fault),
        Case::bytes("text", b"struct not_btf { int a; };\n".to_vec(), Refusal),
        Case::bytes("zeros", vec![0; 4096], Refusal),
        Case::bytes("ones", vec![0xff; 4096], Refusal),
        Case::bytes("gzip", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], Refusal),
        Case::bytes(
            "trailing-garbage",
            [good.clone(), vec![0xa5; 4096]].concat(),
            Either,
        ),
        Case::bytes("version-2", patched(&good, 2, &[2]), Fault),
        Case::bytes("flags", patched(&good, 3, &[1]), Either),
    ];
    let fields = [
        ("hdr_len", 4),
        ("type_off", 8),
        ("type_len", 12),
        ("str_off", 16),
        ("str_len", 20),
    ];
    let extremes: [u32; 8] = [
        0,
        1,
        23,
        0x7fff_ffff,
        0x8000_0000,
        u32::MAX,
        u32::MAX - 3,
        u32::MAX - 23,
    ];
    for (name, at) in fields {
        for value in extremes {
            let want = match (name, value) {
                ("type_off", 0) => Header,
                ("type_len", 0) => Either,
                _ => Fault,
            };
            let input = patched(&good, at, &value.to_le_bytes());
            cases.push(Case::bytes(&format!("{name}-{value:#x}"), input, want));
        }
    }
    cases.extend(sections(&good));
    for kind in [0, 20, 31] {
        let mut written = write(&small(), &Form::default(), b"");
        let info = written.types[3] + 4;
        written.set(info, kind << 24, false);
        cases.push(Case::bytes(
            &format!("kind-{kind}"),
            written.bytes,
            Want::TypeFault,
        ));
    }
    for info in [
        0x0200_0001,
        0x8200_0000,
        0x0280_0000,
        0x2200_0000,
        0x4200_0000,
        0x02ff_ffff,
    ] {
        let mut written = write(&small(), &Form::default(), b"");
        let at = written.types[3] + 4;
        written.set(at, info, false);
        cases.push(Case::bytes(
            &format!("pointer-with-info-{info:#x}"),
            written.bytes,
            Either,
        ));
    }
    cases
}

/// Sections that overlap each other, or reach beyond the end.
fn sections(good: &[u8]) -> Vec<Case> {
    let word = |at: usize| u32::from_le_bytes(good[at..at + 4].try_into().expect("four bytes"));
    let (types_len, strings_off, strings_len) = (word(12), word(16), word(20));
    let set = |pairs: &[(usize, u32)]| {
        let patch = |b: Vec<u8>, &(at, v): &(usize, u32)| patched(&b, at, &v.to_le_bytes());
        pairs.iter().fold(good.to_vec(), patch)
    };
    let case = |name: &str, pairs: &[(usize, u32)]| {
        Case::bytes(&format!("sections-{name}"), set(pairs), Want::Fault)
    };
    vec![
        case("strings-over-types", &[(16, 0)]),
        case(
            "strings-over-the-last-type",
            &[(16, strings_off - 4), (20, strings_len + 4)],
        ),
        case("types-over-strings", &[(12, types_len + 4)]),
        case(
            "both-the-whole-file",
            &[
                (12, types_len + strings_len),
                (16, 0),
                (20, types_len + strings_len),
            ],
        ),
        case("strings-one-beyond-the-end", &[(20, strings_len + 1)]),
        case("types-not-aligned", &[(8, 1)]),
        case(
            "offset-and-length-that-wrap",
            &[(16, u32::MAX - 8), (20, 16)],
        ),
        case("types-that-wrap", &[(8, u32::MAX - 7), (12, 16)]),
        case("types-cut-in-a-record", &[(12, types_len - 4)]),
    ]
}

fn with_header(length: u32) -> Vec<u8> {
    encode(
        &small(),
        &Form {
            header: length,
            ..Form::default()
        },
    )
}

fn patched(bytes: &[u8], at: usize, patch: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + patch.len()].copy_from_slice(patch);
    bytes
}
