//! The forms that BTF may have. (ELF files and standard input are in `cli`, damage is in `hostile`.)

use super::*;
use crate::support::btfgen::SIGNED;

fn small() -> Graph {
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    let s = g.record("s", 8, &[("a", int, 0), ("b", int, 32)]);
    g.typedef("t", s);
    g
}

#[test]
fn headers_of_every_length_and_sections_in_any_order_give_one_text() {
    let g = small();
    let first = encode(&g, &Form::default());
    for big in [false, true] {
        for length in [24, 28, 32, 36, 40, 128] {
            for strings_first in [false, true] {
                let form = Form {
                    big,
                    header: length,
                    strings_first,
                    gap: 8,
                    ..Form::default()
                };
                let text = header(&encode(&g, &form), None)
                    .unwrap_or_else(|e| panic!("header of {length} bytes: {e}"));
                assert_eq!(
                    text,
                    header(&first, None).unwrap(),
                    "{length} {strings_first}"
                );
            }
        }
    }
}

#[test]
fn sections_that_overlap_are_refused() {
    let whole = encode(&small(), &Form::default());
    // `str_off` is the fourth of the header's 32-bit words behind magic, version and flags.
    let at = 16;
    let offset = u32::from_le_bytes(whole[at..at + 4].try_into().unwrap());
    let mut overlaps = whole.clone();
    overlaps[at..at + 4].copy_from_slice(&(offset - 4).to_le_bytes());
    assert!(header(&whole, None).is_ok());
    let why = header(&overlaps, None).expect_err("types and strings overlap");
    assert!(why.contains("byte offset"), "{why}");
}

#[test]
fn a_base_of_the_other_byte_order_is_refused() {
    let base = small();
    let mut own = Graph::over(&base);
    own.typedef("of_module", 1);
    let (little, module) = encode_split(&base, &own);
    assert!(header(&module, Some(&little)).is_ok());
    let big = encode(&base, &Form::big());
    let why = header(&module, Some(&big)).expect_err("byte orders differ");
    assert!(
        why.contains("endian") || why.contains("byte order"),
        "{why}"
    );
}
