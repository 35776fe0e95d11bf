#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::arithmetic_side_effects)]

use crate::btf::{Btf, ErrorKind, Kind, TypeId};

/// A BTF of these words, and of strings that are `len` bytes long.
fn btf_of(words: &[u32], len: u32) -> Vec<u8> {
    let types = words.len() as u32 * 4;
    let mut blob = vec![0x9f, 0xeb, 1, 0];
    for word in [24, 0, types, types, len].iter().chain(words) {
        blob.extend(word.to_le_bytes());
    }
    blob.extend((0..len).map(|n| if n % 2 == 0 { 0 } else { b'a' }));
    blob.pop();
    blob.push(0);
    blob
}

fn proto(params: &[[u32; 2]]) -> Vec<u32> {
    let info = (Kind::FuncProto as u32) << 24 | params.len() as u32;
    let mut words = vec![0, info, 0];
    words.extend(params.iter().flatten());
    words
}

#[test]
fn each_parameter_is_checked_and_nothing_behind_the_last() {
    for count in 0..9 {
        // What follows would be bad as a parameter: a float of many bytes.
        let float = [1, (Kind::Float as u32) << 24, u32::MAX].repeat(8);
        let good = [proto(&vec![[1, 1]; count]), float.clone()].concat();
        assert!(Btf::parse(&btf_of(&good, 8)).is_ok(), "{count}");
        for bad in 0..count {
            for (row, is_string) in [([8, 1], true), ([1, 10], false)] {
                let mut params = vec![[1, 1]; count];
                params[bad] = row;
                for behind in [&float[..], &[]] {
                    let words = [proto(&params), behind.to_vec()].concat();
                    let Err(e) = Btf::parse(&btf_of(&words, 8)) else {
                        panic!("{count} {bad}")
                    };
                    match e.kind() {
                        ErrorKind::StringOffset { at: 8, .. } => assert!(is_string),
                        ErrorKind::TypeId { .. } => assert!(!is_string),
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
    }
}

/// Types that are so long that they are walked from several places at a time.
fn long() -> Vec<u32> {
    // Rows that look like a pointer, a struct and its member, all to what is not there.
    let row = [
        (Kind::Ptr as u32) << 24,
        (Kind::Struct as u32) << 24 | 1,
        (Kind::Func as u32) << 24,
    ];
    let mut words = Vec::new();
    for n in 0..400u32 {
        words.extend([0, (Kind::Enum64 as u32) << 24 | 100, 8]);
        let rows = row.iter().copied().cycle().skip(n as usize % 3);
        words.extend(rows.map(|word| [0, word, u32::MAX]).take(100).flatten());
        // INTs, of which one is a long.
        words.extend([1, (Kind::Int as u32) << 24, 8, 64]);
        words.extend([0, (Kind::Ptr as u32) << 24, n]);
    }
    words
}

#[test]
fn types_are_found_wherever_a_walk_begins() {
    for more in 0..40 {
        // What seems to be a pointer is one, or a row's part; each time another is the first in the middle.
        let words = [proto(&vec![[0, 0]; more * 7]), long()].concat();
        let blob = btf_of(&words, 8);
        for btf in [Btf::parse(&blob), Btf::unchecked(&blob)] {
            let btf = btf.unwrap();
            assert_eq!(btf.types().len(), 1 + 400 * 3, "{more}");
            let kinds = [Kind::Enum64, Kind::Int, Kind::Ptr].iter().cycle();
            let found = btf.types().skip(1).map(|ty| ty.kind());
            assert!(found.zip(kinds).all(|(is, kind)| is == *kind), "{more}");
            btf.check().unwrap();
        }
    }
}

#[test]
fn a_bad_reference_is_found_wherever_a_walk_begins() {
    let words = long();
    // Types and offsets of the words that refer to types: one in each round.
    for round in (0..400).step_by(37) {
        let at = round * (words.len() / 400) + 3 + 300 + 4 + 2;
        let mut bad = words.clone();
        bad[at] = 5000;
        let blob = btf_of(&bad, 8);
        for error in [
            Btf::parse(&blob).err(),
            Btf::unchecked(&blob).unwrap().check().err(),
        ] {
            let error = error.unwrap();
            assert!(matches!(error.kind(), ErrorKind::TypeId { .. }), "{error}");
            assert_eq!(error.type_id(), Some(TypeId(round as u32 * 3 + 3)));
        }
    }
}

#[test]
fn batches_join_without_a_seam() {
    let pointer = [0, (Kind::Ptr as u32) << 24, 0];
    for types in (505..520).chain(1017..1030) {
        let words = pointer.repeat(types);
        let blob = btf_of(&words, 2);
        let btf = Btf::parse(&blob).unwrap();
        assert_eq!(btf.types().len(), types);
        assert!(btf.types().all(|ty| ty.kind() == Kind::Ptr));
        // A last one that goes on beyond the end, is cut short, or is of a kind that no one knows.
        let two_members = (Kind::Struct as u32) << 24 | 2;
        let ends: [(&[u32], usize, &str); 3] = [
            (
                &[0, two_members, 8, 1, 1],
                0,
                "it needs 36 bytes, there are 20,",
            ),
            (&[0, 1], 0, "it needs 12 bytes, there are 8,"),
            (&[0, 99 << 24, 0], 4, "kind 99"),
        ];
        for (end, behind, what) in ends {
            let blob = btf_of(&[&words, end].concat(), 2);
            let Err(e) = Btf::parse(&blob) else {
                panic!("{types} {what}")
            };
            assert_eq!(e.type_id(), Some(TypeId(types as u32 + 1)), "{e}");
            assert_eq!(e.offset(), 24 + types * 12 + behind, "{e}");
            assert!(e.to_string().contains(what), "{e}");
        }
    }
}
