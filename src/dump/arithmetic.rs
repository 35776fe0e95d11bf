//! Arithmetic types as C spells them, and their alignment.

use crate::btf::{Btf, Kind, Type};

/// Whether this is the typedef that compilers declare by themselves under this name.
pub(super) fn is_int128(btf: &Btf<'_>, ty: &Type<'_>) -> bool {
    let target = btf.ty(ty.target());
    let signed = match btf.name(ty.name()) {
        b"__int128_t" => true,
        b"__uint128_t" => false,
        _ => return false,
    };
    ty.kind() == Kind::Typedef
        && target.size() == 16
        && target.int().is_some_and(|i| i.is_signed() == signed)
}

/// The alignment that C gives a scalar of this size on the `bpf` target and on 64-bit machines.
pub(super) fn natural_align(size: u64) -> u8 {
    match size {
        2 | 4 | 8 | 16 => size as u8,
        12 => 4,
        _ => 1,
    }
}

/// The C spelling of an integer by its size.
pub(super) fn int_text(size: u64, unsigned: bool) -> Option<&'static str> {
    Some(match (size, unsigned) {
        (1, false) => "signed char",
        (1, true) => "unsigned char",
        (2, false) => "short",
        (2, true) => "unsigned short",
        (4, false) => "int",
        (4, true) => "unsigned int",
        (8, false) => "long long",
        (8, true) => "unsigned long long",
        (16, false) => "__int128",
        (16, true) => "unsigned __int128",
        _ => return None,
    })
}

/// The C spelling of an INT: its own name where that is a C type of that size and sign, else one that is.
pub(super) fn integer_text(
    name: &[u8],
    size: u32,
    signed: bool,
    bool: bool,
    pointer_size: u32,
) -> Option<String> {
    if bool && size == 1 {
        return Some("_Bool".into());
    }
    if size == 1 && name == b"char" {
        return Some("char".into());
    }
    let words = std::str::from_utf8(name).unwrap_or("");
    let is_int = |w: &str| {
        matches!(
            w,
            "long" | "short" | "int" | "unsigned" | "signed" | "char" | "__int128"
        )
    };
    if !words.is_empty() && words.split(' ').all(is_int) {
        let count = |w: &str| words.split(' ').filter(|x| *x == w).count();
        let natural = match (
            count("long"),
            count("short"),
            count("char"),
            count("__int128"),
        ) {
            (0, 0, 0, 1) => 16,
            (1, 0, 0, 0) => pointer_size,
            (2, 0, 0, 0) => 8,
            (0, 1, 0, 0) => 2,
            (0, 0, 1, 0) => 1,
            (0, 0, 0, 0) => 4,
            _ => 0,
        };
        let plain_char = natural == 1 && count("signed") + count("unsigned") == 0;
        if natural == size && (count("unsigned") > 0) != signed && !plain_char {
            return Some(words.to_string());
        }
    }
    int_text(u64::from(size), !signed).map(str::to_string)
}

/// The C spelling of a FLOAT. What the `bpf` target lacks becomes an integer of the same size.
pub(super) fn float_text(name: &[u8], size: u32) -> Option<String> {
    Some(match (name, size) {
        (_, 4) => "float".into(),
        (_, 8) => "double".into(),
        (_, 2 | 16) => int_text(u64::from(size), true)?.into(),
        (_, 12) => "struct { unsigned int w[3]; }".into(),
        _ => return None,
    })
}
