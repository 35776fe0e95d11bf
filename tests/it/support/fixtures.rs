//! Real kernels' BTF: those committed with the tests, and `../shared/corpus` where that lies beside the checkout
//! (or another folder like it: `BTFLEET_CORPUS`).

use std::path::{Path, PathBuf};

/// One kernel's (or one module's) BTF.
pub struct Fixture {
    pub name: String,
    pub btf: Vec<u8>,
    /// A module's base.
    pub base: Option<Vec<u8>>,
}

/// The kernel of HEADER.md's figures.
pub const X86_64: &str = "x86_64-6.18";

/// One committed fixture.
pub fn fixture(name: &str) -> Fixture {
    load(&committed(), name)
}

/// The committed ones.
pub fn fixtures() -> Vec<Fixture> {
    names(&committed())
        .iter()
        .map(|name| load(&committed(), name))
        .collect()
}

/// Those of `../shared/corpus` that are not committed; none where it is absent.
pub fn corpus() -> Vec<Fixture> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let dir = std::env::var_os("BTFLEET_CORPUS").map_or(beside, PathBuf::from);
    if !dir.is_dir() {
        return Vec::new();
    }
    names(&dir)
        .iter()
        .filter(|n| !committed().join(format!("{n}.btf.zst")).exists())
        .map(|n| load(&dir, n))
        .collect()
}

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn names(dir: &Path) -> Vec<String> {
    let files = std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut names: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter_map(|file| file.strip_suffix(".btf.zst").map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn load(dir: &Path, name: &str) -> Fixture {
    let base = name
        .split_once("-mod-")
        .map(|(base, _)| unpack(&dir.join(format!("{base}.btf.zst"))));
    Fixture {
        name: name.to_owned(),
        btf: unpack(&dir.join(format!("{name}.btf.zst"))),
        base,
    }
}

fn unpack(path: &Path) -> Vec<u8> {
    let packed = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut decoder = zstd::Decoder::new(packed.as_slice()).unwrap();
    decoder.window_log_max(27).unwrap();
    let mut raw = Vec::new();
    std::io::copy(&mut decoder, &mut raw).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    raw
}
