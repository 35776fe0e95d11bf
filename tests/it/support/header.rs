//! The header that the tests are about, in one place.

use super::cc;
use super::fixtures::Fixture;
use btfleet::btf::Btf;
use btfleet::dump;
use std::collections::HashSet;
use std::path::Path;

/// A kernel's header, or a module's and its base's.
pub struct Header {
    pub text: String,
    pub base: Option<String>,
    /// Every word of it that is an escaped name.
    escaped: HashSet<String>,
}

/// What `btfleet` prints for a BTF.
pub fn header_under_test(fixture: &Fixture) -> Header {
    let print = |btf: &Btf<'_>| {
        let text = dump::header(btf).unwrap_or_else(|e| panic!("{}: {e}", fixture.name));
        String::from_utf8(text).expect("a header is ASCII")
    };
    match &fixture.base {
        None => Header::new(
            print(&Btf::parse(&fixture.btf).expect("a kernel's BTF")),
            None,
        ),
        Some(base) => {
            let base = Btf::parse(base).expect("a kernel's BTF");
            let module = Btf::parse_split(&fixture.btf, &base).expect("a module's BTF");
            Header::new(print(&module), Some(print(&base)))
        }
    }
}

/// What bpftool prints: for a module one header that holds its base too.
pub fn bpftool(fixture: &Fixture) -> Header {
    Header::new(
        cc::bpftool_header(&fixture.btf, fixture.base.as_deref()),
        None,
    )
}

impl Header {
    pub fn new(text: String, base: Option<String>) -> Header {
        let words = |text: &str| -> HashSet<String> {
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .filter(|word| word.starts_with("__btfleet_"))
                .map(str::to_owned)
                .collect()
        };
        let mut escaped = words(&text);
        escaped.extend(base.as_deref().map(words).unwrap_or_default());
        Header {
            text,
            base,
            escaped,
        }
    }

    /// Whether a word of our escapes' form is in it.
    pub fn has_word(&self, escaped: &str) -> bool {
        self.escaped.contains(escaped)
    }

    /// How this header may spell a kernel's name: as it is, where C lets it, and escaped, where that occurs.
    pub fn spellings(&self, name: &str) -> Vec<String> {
        let is_identifier = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !name.starts_with(|c: char| c.is_ascii_digit());
        let plain = is_identifier.then(|| name.to_owned());
        let escaped = Some(escape(name)).filter(|escaped| self.escaped.contains(escaped));
        plain.into_iter().chain(escaped).collect()
    }

    /// Writes the files that [`Header::includes`] names.
    pub fn write(&self, dir: &Path) {
        std::fs::write(
            dir.join("vmlinux.h"),
            self.base.as_ref().unwrap_or(&self.text),
        )
        .unwrap();
        if self.base.is_some() {
            std::fs::write(dir.join("module.h"), &self.text).unwrap();
        }
    }

    pub fn includes(&self) -> &'static str {
        match self.base {
            Some(_) => "#include \"vmlinux.h\"\n#include \"module.h\"\n",
            None => "#include \"vmlinux.h\"\n",
        }
    }
}

/// The header's spelling of a name that C cannot say: after `__btfleet_`, each byte that is no letter or digit
/// becomes `_` and two hexadecimal digits.
pub fn escape(name: &str) -> String {
    let byte = |b: u8| {
        if b.is_ascii_alphanumeric() {
            char::from(b).to_string()
        } else {
            format!("_{b:02x}")
        }
    };
    format!("__btfleet_{}", name.bytes().map(byte).collect::<String>())
}

/// Whether a name of the header is the kernel's.
pub fn same_name(kernel: &str, header: &str) -> bool {
    kernel == header || (header.starts_with("__btfleet_") && escape(kernel) == header)
}
