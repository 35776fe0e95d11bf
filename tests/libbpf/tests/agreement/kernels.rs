//! Real kernels: the committed fixtures, and the corpus beside the checkout where there is one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A kernel's BTF, or a module's.
pub struct Kernel {
    pub name: String,
    pub btf: Vec<u8>,
    /// What a module's is split from.
    pub base: Option<Vec<u8>>,
}

impl Kernel {
    pub fn big_endian(&self) -> bool {
        self.btf.starts_with(&[0xeb, 0x9f])
    }

    pub fn is_module(&self) -> bool {
        self.base.is_some()
    }
}

/// The top of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All of them, by name.
pub fn all() -> &'static [Kernel] {
    static ALL: OnceLock<Vec<Kernel>> = OnceLock::new();
    ALL.get_or_init(read)
}

fn read() -> Vec<Kernel> {
    let beside = || root().join("../shared/corpus");
    let corpus = std::env::var_os("BTFLEET_CORPUS").map_or_else(beside, PathBuf::from);
    let mut paths = BTreeMap::new();
    for dir in [corpus, root().join("tests/fixtures")] {
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            if let Some(name) = file.strip_suffix(".btf.zst") {
                paths.insert(name.to_owned(), path);
            }
        }
    }
    assert!(!paths.is_empty(), "no kernel in tests/fixtures");
    let base = |name: &str| {
        let (kernel, _) = name.split_once("-mod-")?;
        let path = paths.get(kernel);
        Some(unpack(
            path.unwrap_or_else(|| panic!("{name} lacks its base")),
        ))
    };
    let kernel = |(name, path): (&String, &PathBuf)| Kernel {
        name: name.clone(),
        btf: unpack(path),
        base: base(name),
    };
    paths.iter().map(kernel).collect()
}

fn unpack(path: &Path) -> Vec<u8> {
    let mut decoder = zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
    decoder.window_log_max(27).unwrap();
    let mut bytes = Vec::new();
    std::io::copy(&mut decoder, &mut bytes).unwrap();
    bytes
}
