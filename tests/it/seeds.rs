//! The fuzz targets' seeds: small ones of the hostile inputs, and bytes for graphs to grow from.
//!
//! `BTFLEET_WRITE_SEEDS=1` writes them anew, after the builders changed.

use btfleet::relo::check::Object;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::btfgen::{Graph, Rng};
use crate::support::btfwrite::{Form, encode};
use crate::support::hostile;
use crate::support::twingen::twins;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds")
}

/// Every seed by its path below [`folder`].
fn seeds() -> BTreeMap<String, Vec<u8>> {
    let mut seeds = BTreeMap::new();
    let small = |c: &hostile::Case| c.base.is_none() && c.input.len() < 1500;
    let btf = |c: &hostile::Case| {
        c.input.starts_with(&[0x9f, 0xeb]) || c.input.starts_with(&[0xeb, 0x9f])
    };
    // A few of each list: the lists of names and links are long and much alike.
    for case in hostile::all()
        .into_iter()
        .filter(|c| small(c) && btf(c))
        .step_by(9)
    {
        seeds.insert(format!("btf/{}", case.name), case.input);
    }
    for seed in 0..32 {
        let mut rng = Rng(seed);
        let mut bytes = vec![seed as u8 % 16, seed as u8];
        bytes.extend((0..64 + rng.below(600)).map(|_| rng.next() as u8));
        // Of every few types, from one of the first on.
        let some = [&[seed as u8 * 3, seed as u8 % 5][..], &bytes].concat();
        seeds.insert(format!("some/{seed}"), some);
        seeds.insert(format!("print/{seed}"), bytes);
    }
    // Two kernels that share names: the same in another order, and one with a few types more or fewer.
    let mut pairs = 0;
    for seed in 0.. {
        let graph = twins(seed);
        let mut fewer = graph.clone();
        fewer.types.truncate(graph.types.len() * 3 / 4);
        fewer.types.iter_mut().for_each(|ty| {
            ty.kind.for_each_id(|id| *id = (*id).min(fewer_end(&graph)));
        });
        let other = match seed % 2 {
            0 => graph.shuffled(seed),
            _ => fewer,
        };
        let (a, b) = (
            encode(&graph, &Form::default()),
            encode(&other, &Form::any(seed % 4 > 1, seed)),
        );
        let pair = [&(a.len() as u16).to_le_bytes()[..], &a, &b].concat();
        if pair.len() < 4000 {
            seeds.insert(format!("diff/{pairs}"), pair);
            pairs += 1;
        }
        if pairs == 24 {
            return seeds;
        }
    }
    unreachable!("most graphs of twins are small")
}

/// The last id of what is left of a graph of which a quarter was cut off.
fn fewer_end(graph: &Graph) -> u32 {
    (graph.types.len() * 3 / 4) as u32
}

/// What is made here; other seeds are what clang made, and finds.
const DIRS: [&str; 4] = ["btf", "print", "some", "diff"];

/// The seeds of `check`, by name: what clang made, and what the fuzzer found before it was mended.
pub fn objects() -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder().join("check")).unwrap();
    let read = |file: fs::DirEntry| {
        let name = file.file_name().into_string().unwrap();
        (name, fs::read(file.path()).unwrap())
    };
    files.map(|file| read(file.unwrap())).collect()
}

/// An object and a kernel's BTF, as the target `check` takes them.
pub fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let length = u16::from_le_bytes([bytes[0], bytes[1]]);
    bytes[2..].split_at(length.into())
}

#[test]
fn the_committed_objects_are_such_with_programs_and_relocations() {
    for (name, bytes) in objects() {
        let object = Object::parse(split(&bytes).0).unwrap();
        assert!(object.functions.iter().any(|f| f.is_program), "{name}");
        let is_long = object.functions.iter().any(|f| f.relocations.len() > 4);
        assert!(is_long, "{name}");
    }
}

#[test]
fn the_committed_fuzz_seeds_are_small_and_what_the_builders_make() {
    let made = seeds();
    for dir in DIRS {
        let dir = &format!("{dir}/");
        let count = made.keys().filter(|path| path.starts_with(dir)).count();
        assert!(count >= 20, "{count} seeds for {dir}");
    }
    let total: usize = made.values().map(Vec::len).sum();
    assert!(total < 150_000, "{total} bytes of seeds");

    if std::env::var_os("BTFLEET_WRITE_SEEDS").is_some() {
        for dir in DIRS {
            let _ = fs::remove_dir_all(folder().join(dir));
        }
        for (path, bytes) in made {
            let path = folder().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        return;
    }
    let mut committed = BTreeMap::new();
    for dir in DIRS {
        for file in fs::read_dir(folder().join(dir)).unwrap() {
            let file = file.unwrap();
            let path = Path::new(dir).join(file.file_name());
            let bytes = fs::read(file.path()).unwrap();
            committed.insert(path.to_string_lossy().into_owned(), bytes);
        }
    }
    let differ: Vec<&String> = made
        .keys()
        .chain(committed.keys())
        .filter(|path| made.get(*path) != committed.get(*path))
        .collect();
    assert!(
        differ.is_empty(),
        "differ from what the builders make: {differ:?}; write them anew with BTFLEET_WRITE_SEEDS=1"
    );
}
