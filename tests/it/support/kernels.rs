//! Real kernels: the fixtures in this repository, and the corpus beside the checkout where there is one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub struct Kernel {
    /// The file's name without `.btf.zst`.
    pub name: String,
    path: PathBuf,
    base: Option<PathBuf>,
}

impl Kernel {
    pub fn btf(&self) -> Vec<u8> {
        unpack(&self.path)
    }

    /// What a module's BTF is split from.
    pub fn base(&self) -> Option<Vec<u8>> {
        self.base.as_deref().map(unpack)
    }
}

fn unpack(path: &Path) -> Vec<u8> {
    let file = fs::File::open(path).unwrap();
    let mut decoder = zstd::Decoder::new(file).unwrap();
    decoder.window_log_max(27).unwrap();
    let mut bytes = Vec::new();
    std::io::copy(&mut decoder, &mut bytes).unwrap();
    bytes
}

/// The corpus: `../shared/corpus` beside the checkout, or what `BTFLEET_CORPUS` names.
fn corpus() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    std::env::var_os("BTFLEET_CORPUS").map_or_else(beside, PathBuf::from)
}

/// All of them, by name; a module comes with its base.
pub fn all() -> Vec<Kernel> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut paths = BTreeMap::new();
    for dir in [corpus(), fixtures] {
        for entry in fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            if let Some(name) = file.strip_suffix(".btf.zst") {
                paths.insert(name.to_string(), path);
            }
        }
    }
    let base = |name: &str| {
        let (kernel, _) = name.split_once("-mod-")?;
        Some(
            paths
                .get(kernel)
                .unwrap_or_else(|| panic!("{name} lacks its base"))
                .clone(),
        )
    };
    let kernel = |(name, path): (&String, &PathBuf)| Kernel {
        name: name.clone(),
        path: path.clone(),
        base: base(name),
    };
    let kernels: Vec<Kernel> = paths.iter().map(kernel).collect();
    assert!(
        !kernels.is_empty(),
        "no kernel in tests/fixtures nor in {}",
        corpus().display()
    );
    kernels
}
