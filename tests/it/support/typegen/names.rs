//! Names: mostly plain, at times such as C refuses.

use super::Gen;

/// Words that a compiler takes for its own, in one standard or another, and names that are no identifiers.
const ODD: &[&str] = &[
    "bool",
    "true",
    "false",
    "nullptr",
    "typeof",
    "constexpr",
    "static_assert",
    "thread_local",
    "alignas",
    "alignof",
    "linux",
    "unix",
    "asm",
    "inline",
    "while",
    "int",
    "_Bool",
    "_Atomic",
    "__attribute__",
    "__LINE__",
    "core::fmt::Arguments",
    "{closure#0}",
    "Option<&u8>",
    "größe",
    "a$b",
    "1st",
    "x y",
    "a.b",
    "-",
    "a___2",
    "___2",
    "__builtin_va_list",
    "__VMLINUX_H__",
    "NULL",
];

/// Whether a name is one of those made by counting: then it is in the header as it is, once.
pub fn is_plain(name: &str) -> bool {
    name.contains(|c: char| c.is_ascii_digit()) && !ODD.contains(&name)
}

impl Gen<'_> {
    pub(super) fn plain_name(&mut self, prefix: &str) -> String {
        self.counter += 1;
        format!("{prefix}{}", self.counter)
    }

    fn odd_or(&mut self, one_in: usize, prefix: &str) -> String {
        match self.source.one_in(one_in) {
            true => ODD[self.source.below(ODD.len())].to_string(),
            false => self.plain_name(prefix),
        }
    }

    /// For a struct, union, enum or forward declaration.
    pub(super) fn tag_name(&mut self, prefix: &str) -> String {
        self.odd_or(8, prefix)
    }

    /// For a typedef, an enumerator or a function.
    pub(super) fn ordinary_name(&mut self, prefix: &str) -> String {
        // Every kernel has declared these three already.
        match self.odd_or(12, prefix) {
            name if matches!(name.as_str(), "bool" | "true" | "false") => self.plain_name(prefix),
            name => name,
        }
    }

    pub(super) fn member_name(&mut self) -> String {
        self.odd_or(10, "m")
    }
}
