//! C's view of a name: which ones a compiler keeps for itself, and how those and all that are no C
//! identifiers are escaped.
//!
//! The escape: `__btfleet_`, then the name with every byte that is not an ASCII letter or digit written as
//! `_` and two lower-case hexadecimal digits. Nothing is lost, so no two names meet; and a name that begins
//! with `__btfleet_` by itself is escaped too. (libbpf ignores what follows `___` in a name; an escape never
//! holds that.)

use super::{block, text};

/// What every escaped name begins with.
pub(super) const ESCAPE: &[u8] = b"__btfleet_";

/// `name` escaped.
pub(super) fn escape(name: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut out = ESCAPE.to_vec();
    for &b in name {
        if b.is_ascii_alphanumeric() {
            out.push(b);
        } else {
            out.extend_from_slice(&[b'_', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        }
    }
    out
}

/// Keywords of C11 with GNU extensions and of the compilers we support, and macros that they predefine
/// without reserved underscores, by length.
const RESERVED: &[&str] = &[
    "if",
    "do",
    "asm",
    "for",
    "int",
    "auto",
    "case",
    "char",
    "else",
    "enum",
    "goto",
    "long",
    "void",
    "unix",
    "i386",
    "break",
    "const",
    "float",
    "short",
    "union",
    "while",
    "linux",
    "double",
    "extern",
    "inline",
    "return",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "typeof",
    "default",
    "typedef",
    "continue",
    "register",
    "restrict",
    "unsigned",
    "volatile",
    "_Bool",
    "_Float16",
    "_Float32",
    "_Float64",
    "_Float128",
    "_Float32x",
    "_Float64x",
    "_Decimal32",
    "_Decimal64",
    "_Decimal128",
    "_Complex",
    "_Imaginary",
    "_Alignas",
    "_Alignof",
    "_Atomic",
    "_Generic",
    "_Noreturn",
    "_Static_assert",
    "_Thread_local",
    "_BitInt",
    "_ExtInt",
    "_Accum",
    "_Fract",
    "_Sat",
    "_Nonnull",
    "_Nullable",
    "_Null_unspecified",
    "_Nullable_result",
    "_Pragma",
    "_ILP32",
    "_LP64",
    "_LITTLE_ENDIAN",
    "_BIG_ENDIAN",
    "_STDC_PREDEF_H",
    "_CALL_ELF",
    "_CALL_LINUX",
    "__alignof",
    "__asm",
    "__attribute",
    "__attribute__",
    "__auto_type",
    "__cdecl",
    "__complex",
    "__const",
    "__declspec",
    "__extension__",
    "__fastcall",
    "__float128",
    "__float80",
    "__fp16",
    "__bf16",
    "__mfp8",
    "__ibm128",
    "__func__",
    "__FUNCTION__",
    "__PRETTY_FUNCTION__",
    "__imag",
    "__inline",
    "__int128",
    "__int128_t",
    "__uint128_t",
    "__kindof",
    "__label__",
    "__null",
    "__nonnull",
    "__nullable",
    "__objc_no",
    "__objc_yes",
    "__pascal",
    "__real",
    "__regcall",
    "__restrict",
    "__seg_fs",
    "__seg_gs",
    "__signed",
    "__stdcall",
    "__thiscall",
    "__thread",
    "__typeof",
    "__typeof_unqual",
    "__unsafe_unretained",
    "__vector",
    "__vectorcall",
    "__volatile",
    "__arm_streaming",
    "__pixel",
    "__bool",
    "__ptr32",
    "__ptr64",
    "__super",
    "__Poly8_t",
    "__Poly16_t",
    "__Poly64_t",
    "__Poly128_t",
    "__va_arg_pack",
    "__va_arg_pack_len",
    "__linux",
    "__unix",
    "__x86_64",
    "__amd64",
    "__i386",
    "__i686",
    "__k8",
    "__arm",
    "__riscv",
    "__bpf",
    "__BPF",
    "__BPF_CPU_VERSION__",
    "__ELF__",
    "__GNU__",
    "__CET__",
    "__SSP__",
    "__VERSION__",
    "__OPTIMIZE__",
    "__FILE__",
    "__LINE__",
    "__DATE__",
    "__TIME__",
    "__TIMESTAMP__",
    "__COUNTER__",
    "__INCLUDE_LEVEL__",
    "__BASE_FILE__",
    "__FILE_NAME__",
    "__NO_INLINE__",
    "__has_include",
    "__has_include_next",
    "__has_attribute",
    "__has_builtin",
    "__has_feature",
    "__has_extension",
    "__has_c_attribute",
    "__has_cpp_attribute",
    "__has_declspec_attribute",
    "__has_warning",
    "__has_embed",
    "__has_constexpr_builtin",
    "__is_identifier",
    "__is_target_arch",
    "__is_target_os",
    "__is_target_vendor",
    "__is_target_environment",
    "__building_module",
    "__MODULE__",
    "defined",
    "__VA_ARGS__",
    "__VA_OPT__",
    "__REGISTER_PREFIX__",
    "__USER_LABEL_PREFIX__",
    "__POINTER_WIDTH__",
    "__BOOL_WIDTH__",
    "__OBJC_BOOL_IS_BOOL",
    "__CONSTANT_CFSTRINGS__",
    "__NO_MATH_INLINES",
    "__NO_MATH_ERRNO__",
    "__NO_SIGNED_ZEROS__",
    "__NO_TRAPPING_MATH__",
    "__NO_LWSYNC__",
    "__NO_FPRS__",
    "__SEG_FS",
    "__SEG_GS",
    "__PIC__",
    "__PIE__",
    "__MMX__",
    "__SSE__",
    "__SSE2__",
    "__FXSR__",
    "__STRICT_ANSI__",
    "__HAVE_SPECULATION_SAFE_VALUE",
    "__VMLINUX_H__",
    "__GXX_ABI_VERSION",
    "__LITTLE_ENDIAN__",
    "__BIG_ENDIAN__",
    "__BYTE_ORDER__",
    "__FLOAT_WORD_ORDER__",
    "__LP64__",
    "_VA_LIST_DEFINED",
    "__ksym",
    "__weak",
    "__bpf_fastcall",
];

/// Beginnings of whole families of predefined macros, of those names that begin and end in `__`.
const FAMILIES: &[&str] = &[
    "__INT",
    "__UINT",
    "__SIZEOF_",
    "__SIZE_",
    "__FLT",
    "__DBL",
    "__LDBL",
    "__DEC",
    "__STDC",
    "__GNUC",
    "__GCC_",
    "__clang",
    "__ORDER_",
    "__CHAR",
    "__WCHAR",
    "__WINT",
    "__PTRDIFF",
    "__SCHAR",
    "__SHRT",
    "__LONG",
    "__SIG_ATOMIC",
    "__BIGGEST_",
    "__ATOMIC_",
    "__CLANG_",
    "__ARM_",
    "__FINITE_MATH",
    "__llvm",
    "__linux",
    "__unix",
    "__gnu_linux",
    "__x86_64",
    "__amd64",
    "__i386",
    "__i686",
    "__k8",
    "__tune_",
    "__code_model_",
    "__aarch64",
    "__arm_",
    "__arm__",
    "__thumb",
    "__s390",
    "__zarch",
    "__powerpc",
    "__ppc",
    "__PPC",
    "__riscv",
    "__bpf",
    "__BPF",
    "__pic",
    "__pie",
    "__pentium",
    "__SSE",
    "__HAVE_",
    "__AARCH",
    "__ARCH",
    "__GXX_",
    "__MEMORY_SCOPE",
    "__OPENCL_",
    "__FPCLASS",
    "__REGISTER_",
    "__OPTIMIZE",
    "__ELF",
    "__BFLT16",
    "__GFNI",
    "__LAHF",
    "__alignof",
    "__asm",
    "__complex",
    "__const",
    "__imag",
    "__inline",
    "__real",
    "__restrict",
    "__signed",
    "__typeof",
    "__volatile",
    "__decltype",
];

/// Words that are keywords from C23 on and names before: a member may bear one.
pub(super) const C23: &[&str] = &[
    "bool",
    "true",
    "false",
    "nullptr",
    "alignas",
    "alignof",
    "constexpr",
    "static_assert",
    "thread_local",
    "typeof_unqual",
];

/// Functions of the C library and of programs, whose types compilers know by themselves. (A kernel has no
/// kfunc of such a name; if one had, its prototype would be its own.)
const LIBRARY: &[&str] = &[
    "abort",
    "abs",
    "calloc",
    "exit",
    "fprintf",
    "free",
    "labs",
    "llabs",
    "longjmp",
    "main",
    "malloc",
    "memchr",
    "memcmp",
    "memcpy",
    "memmove",
    "memset",
    "mempcpy",
    "printf",
    "puts",
    "realloc",
    "setjmp",
    "snprintf",
    "sprintf",
    "strcat",
    "strchr",
    "strcmp",
    "strcpy",
    "strdup",
    "strlen",
    "strncat",
    "strncmp",
    "strncpy",
    "strndup",
    "strrchr",
    "strstr",
    "vprintf",
    "vsnprintf",
    "vsprintf",
    "alloca",
    "bcmp",
    "bcopy",
    "bzero",
    "index",
    "rindex",
    "log",
    "exp",
    "pow",
    "sin",
    "cos",
    "tan",
    "sqrt",
    "floor",
    "ceil",
    "round",
    "fabs",
    "isalpha",
    "isdigit",
    "isspace",
    "tolower",
    "toupper",
    "putchar",
    "scanf",
    "sscanf",
    "fork",
    "_exit",
    "ffs",
    "ffsl",
    "ffsll",
];

/// Whether compilers know a function of this name by themselves.
pub(super) fn is_library(name: &[u8]) -> bool {
    LIBRARY.iter().any(|word| word.as_bytes() == name)
}

/// Whether this is a keyword from C23 on, and a plain name before.
pub(super) fn is_c23(name: &[u8]) -> bool {
    C23.iter().any(|word| word.as_bytes() == name)
}

/// A quick filter before [`is_reserved`]: false for nearly all names. `first` is the name's first eight
/// bytes, little-endian, padded with zeros.
#[inline(always)]
pub(super) fn may_be_reserved(first: u64, hash: u64, tail: &[u8], len: usize) -> bool {
    const UNDERSCORES: u16 = u16::from_le_bytes(*b"__");
    in_filter(hash) && in_filter(second(hash))
        || first as u16 == UNDERSCORES && may_be_of_a_family(first, tail, len)
}

fn may_be_of_a_family(first: u64, tail: &[u8], len: usize) -> bool {
    // `__btfleet_`, `__builtin_`, `__SV`, `__clang_sv`, or a name that ends in `__` too.
    let [_, _, a, b, ..] = first.to_le_bytes();
    matches!([a, b], [b'b', b't' | b'u'] | [b'S', b'V'] | [b'c', b'l'])
        || len > 3 && tail.get(len - 2..len) == Some(b"__")
}

#[inline(always)]
fn in_filter(hash: u64) -> bool {
    let slot = filter_slot(hash);
    FILTER[slot / 64] >> (slot % 64) & 1 != 0
}

#[inline(always)]
const fn filter_slot(hash: u64) -> usize {
    (hash >> 49) as usize
}

/// Other bits of a hash, in the place of those that were asked first.
#[inline(always)]
const fn second(hash: u64) -> u64 {
    hash << 32
}

const WORDS: usize = RESERVED.len() + C23.len();

/// Hashes of reserved words.
const HASHES: [u64; WORDS] = {
    let mut hashes = [0; WORDS];
    let mut w = 0;
    while w < WORDS {
        let word = match w < RESERVED.len() {
            true => RESERVED[w].as_bytes(),
            false => C23[w - RESERVED.len()].as_bytes(),
        };
        // None is longer than a block.
        let mut words = [0; 4];
        let mut i = 0;
        while i < word.len() {
            words[i / 8] |= (word[i] as u64) << (i % 8 * 8);
            i += 1;
        }
        hashes[w] = text::add(0, block::fold(words));
        w += 1;
    }
    hashes
};

/// One bit for each value of [`filter_slot`], set for those of reserved words.
static FILTER: [u64; 512] = {
    let mut bits = [0; 512];
    let mut w = 0;
    while w < 2 * WORDS {
        let hash = HASHES[w / 2];
        let slot = filter_slot(if w % 2 == 0 { hash } else { second(hash) });
        bits[slot / 64] |= 1 << (slot % 64);
        w += 1;
    }
    bits
};

/// Whether an identifier cannot be used as it is: a keyword (of C23 too), a macro, or like our escapes.
#[cold]
pub(super) fn is_reserved(name: &[u8]) -> bool {
    if name.starts_with(b"__") {
        let ours: [&[u8]; 4] = [ESCAPE, b"__builtin_", b"__SV", b"__clang_sv"];
        if ours.iter().any(|prefix| name.starts_with(prefix)) {
            return true;
        }
        if name.ends_with(b"__") && FAMILIES.iter().any(|f| name.starts_with(f.as_bytes())) {
            return true;
        }
    }
    RESERVED
        .iter()
        .chain(C23)
        .any(|word| word.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::text::scan;

    fn escaped(name: &[u8]) -> String {
        String::from_utf8(escape(name)).unwrap()
    }

    #[test]
    fn every_reserved_word_passes_the_filter() {
        for word in RESERVED.iter().chain(C23) {
            let mut bytes = word.as_bytes().to_vec();
            bytes.push(0);
            assert!(!scan(&bytes).plain, "{word}");
        }
        for name in [
            "list_head",
            "task_struct",
            "__kernel_size_t",
            "_hidden",
            "__fentry__",
            "__INVALID_SYSREG__",
            "__NO_FGF__",
            "__NO_FGT_GROUP__",
            "bool_",
            "ifx",
        ] {
            let bytes = [name.as_bytes(), b"\0"].concat();
            assert!(scan(&bytes).plain, "{name}");
        }
    }

    #[test]
    fn escapes_are_identifiers_and_meet_nowhere() {
        let names: [&[u8]; 12] = [
            b"linux",
            b"a b",
            b"a_b",
            b"a_20b",
            b"core::option::Option<u8>",
            b"*/",
            b"\n",
            b"\"",
            b"\xff\xfe",
            b"__btfleet_linux",
            b"int",
            b"0x",
        ];
        let all: Vec<String> = names.iter().map(|n| escaped(n)).collect();
        for (i, a) in all.iter().enumerate() {
            assert!(
                a.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !a.contains("___"),
                "{a}"
            );
            assert!(all.iter().skip(i + 1).all(|b| a != b), "{a}");
        }
        assert_eq!(escaped(b"linux"), "__btfleet_linux");
        assert_eq!(escaped(b"a b"), "__btfleet_a_20b");
    }
}
