//! Our verdicts on CO-RE relocations beside libbpf's: of programs that people write and of random ones, by clang 14,
//! 16 and 19, against every kernel there is.

#[path = "../../../it/support/cc.rs"]
#[allow(dead_code, reason = "the parts that compile are wanted here")]
mod cc;
mod compare;
mod compile;
mod generate;
mod kernels;
mod loads;
mod minimized;

use std::collections::{BTreeMap, BTreeSet};

use compare::{compare, kind_of_outcome};

/// Random programs: seeds for each kernel, and questions in each.
const SEEDS: [u64; 2] = [1, 2];
const QUESTIONS: usize = 300;

#[test]
fn every_relocation_comes_to_what_libbpf_makes_of_it() {
    let kernels = kernels::all();
    let (suite, others) = (compile::suite(kernels), compile::others(kernels));
    let random = compile::random(kernels, &SEEDS, QUESTIONS);
    let objects: Vec<_> = suite.iter().chain(&others).chain(&random).collect();
    let pairs = compare(kernels, &objects);

    let mut seen = BTreeMap::new();
    for pair in &pairs {
        *seen
            .entry((pair.theirs.kind, kind_of_outcome(&pair.theirs)))
            .or_insert(0) += 1;
    }
    for ((kind, outcome), count) in &seen {
        println!("{kind:>16}  {outcome:<24} {count:>7}");
    }
    println!(
        "{} relocations of {} programs and {} random ones, against {} kernels and modules, libbpf {}",
        pairs.len(),
        suite.len() + others.len(),
        random.len(),
        kernels.len(),
        libbpf_relo::version(),
    );

    let differing: Vec<_> = pairs.iter().filter(|pair| pair.differs()).collect();
    let mut sorts = BTreeMap::new();
    for pair in &differing {
        sorts
            .entry((pair.theirs.kind, kind_of_outcome(&pair.theirs)))
            .or_insert_with(Vec::new)
            .push(pair);
    }
    for ((kind, outcome), of_a_sort) in &sorts {
        println!(
            "\n{} of {kind} that libbpf has {outcome} differ:",
            of_a_sort.len()
        );
        of_a_sort.iter().take(3).for_each(|pair| println!("{pair}"));
    }
    assert!(
        differing.is_empty(),
        "{} relocations differ",
        differing.len()
    );

    // What the programs do not ask would agree of itself.
    let kinds: BTreeSet<_> = seen.keys().map(|(kind, _)| *kind).collect();
    let outcomes: BTreeSet<_> = seen.keys().map(|(_, outcome)| *outcome).collect();
    assert_eq!(
        (kinds.len(), outcomes.len()),
        (13, 5),
        "{kinds:?} {outcomes:?}"
    );
}
