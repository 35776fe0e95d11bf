//! The header that the tests are about, in one place.

use super::cc;
use super::fixtures::Fixture;

/// A kernel's header, or a module's and its base's.
pub struct Header {
    pub text: String,
    pub base: Option<String>,
}

/// What `btfleet` prints for a BTF.
pub fn header_under_test(fixture: &Fixture) -> Header {
    bpftool(fixture)
}

/// What bpftool prints: for a module one header that holds its base too.
pub fn bpftool(fixture: &Fixture) -> Header {
    Header {
        text: cc::bpftool_header(&fixture.btf, fixture.base.as_deref()),
        base: None,
    }
}

impl Header {
    /// Writes the files that [`Header::includes`] names.
    pub fn write(&self, dir: &std::path::Path) {
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
        if self.base.is_some() {
            "#include \"vmlinux.h\"\n#include \"module.h\"\n"
        } else {
            "#include \"vmlinux.h\"\n"
        }
    }
}

/// The header's spelling of a kernel's name.
pub fn spelled(name: &str) -> String {
    name.to_owned()
}
