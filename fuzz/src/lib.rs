//! Fuzzer bytes → BTF blobs that get past the parser.

// The tests' writer and generators, by path: they depend on nothing but std.
#[allow(dead_code)]
#[path = "../../tests/it/support/btfgen.rs"]
mod btfgen;
#[allow(dead_code)]
#[path = "../../tests/it/support/btfwrite.rs"]
mod btfwrite;
#[allow(dead_code)]
#[path = "../../tests/it/support/typegen/mod.rs"]
mod typegen;

// What holds of `minimize` in the tests too.
#[path = "../../tests/it/support/kept.rs"]
pub mod kept;

use btfgen::{Graph, Kind, Rng};
use btfwrite::{Form, write};
use typegen::World;

/// A BTF to print, with its base if it is split.
pub struct Input {
    pub btf: Vec<u8>,
    pub base: Option<Vec<u8>>,
    /// It is such that C can express it, so a header must come of it.
    pub valid: bool,
}

/// A header's text is printable ASCII, tabs and newlines.
pub fn assert_plain(text: &[u8]) {
    let is_odd = |b: &u8| !matches!(b, b'\n' | b'\t' | b' '..=b'~');
    assert_eq!(
        text.iter().position(is_odd),
        None,
        "a byte that is not plain text"
    );
}

/// BTF as it is, or a graph grown from the bytes: whole or split, as C has it or spoilt.
pub fn input(data: &[u8]) -> Input {
    let raw = |btf: &[u8]| Input {
        btf: btf.to_vec(),
        base: None,
        valid: false,
    };
    let [mode, seed, rest @ ..] = data else {
        return raw(data);
    };
    if matches!(data, [0x9f, 0xeb, ..] | [0xeb, 0x9f, ..]) {
        return raw(data);
    }
    let (big, wide, spoilt, split) = (mode & 1 != 0, mode & 2 == 0, mode & 4 != 0, mode & 8 != 0);
    let mut made = typegen::graph(rest, World { big, wide });
    if spoilt {
        spoil(&mut made.graph, rest);
    }
    let form = Form::any(big, u64::from(*seed));
    let cut = if split {
        made.cuts.get(made.cuts.len() / 2).copied()
    } else {
        None
    };
    let Some(cut) = cut else {
        return Input {
            btf: write(&made.graph, &form, b"").bytes,
            base: None,
            valid: !spoilt,
        };
    };
    let own = Graph {
        base: cut as u32,
        types: made.graph.types.split_off(cut),
    };
    let base = write(&made.graph, &form, b"");
    let strings = base.bytes[base.strings.clone()].to_vec();
    let btf = write(&own, &form, &strings).bytes;
    Input {
        btf,
        base: Some(base.bytes),
        valid: !spoilt,
    }
}

/// Redirects references and changes sizes, within what a parser must accept.
fn spoil(graph: &mut Graph, data: &[u8]) {
    let hash = data.iter().fold(0xcbf2_9ce4_8422_2325, |h: u64, &b| {
        (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
    });
    let mut rng = Rng(hash);
    let count = graph.types.len();
    for _ in 0..1 + rng.below(6) {
        let ty = &mut graph.types[rng.below(count)];
        if rng.below(4) == 0
            && let Kind::Record(r) = &mut ty.kind
        {
            r.size = [0, 1, r.size / 2, u32::MAX, r.size.wrapping_add(1)][rng.below(5)];
            if let Some(m) = r.members.last_mut() {
                m.offset = [0, 1, m.offset.wrapping_add(7), 0xff_ffff, u32::MAX][rng.below(5)];
            }
            continue;
        }
        let to = rng.below(count + 1) as u32;
        ty.kind
            .for_each_id(|id| *id = if rng.below(2) == 0 { to } else { *id });
    }
}
