//! The fuzz targets' seeds: small ones of the hostile inputs, and bytes for graphs to grow from.

use std::fs;
use std::path::Path;

use crate::support::btfgen::Rng;
use crate::support::hostile;

#[test]
#[ignore = "writes into fuzz/seeds; run it after the builders changed"]
fn write_fuzz_seeds() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let _ = fs::remove_dir_all(&seeds);
    fs::create_dir_all(seeds.join("btf")).unwrap();
    fs::create_dir_all(seeds.join("print")).unwrap();
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
        fs::write(seeds.join("btf").join(case.name), case.input).unwrap();
    }
    for seed in 0..32 {
        let mut rng = Rng(seed);
        let mut bytes = vec![seed as u8 % 16, seed as u8];
        bytes.extend((0..64 + rng.below(600)).map(|_| rng.next() as u8));
        fs::write(seeds.join("print").join(format!("{seed}")), bytes).unwrap();
    }
}

#[test]
fn the_fuzz_seeds_are_small() {
    let mut total = 0;
    for dir in ["btf", "print"] {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/seeds")
            .join(dir);
        let sizes: Vec<u64> = fs::read_dir(seeds)
            .unwrap()
            .map(|e| e.unwrap().metadata().unwrap().len())
            .collect();
        assert!(sizes.len() >= 20, "{} seeds for {dir}", sizes.len());
        total += sizes.iter().sum::<u64>();
    }
    assert!(total < 200_000, "{total} bytes of seeds");
}
