//! The text depends on the types alone: not on their numbers, their order, nor the form they are written in.
//!
//! `BTFLEET_CASES` is how many small graphs are tried (each in three other forms), and, by the hundred, how
//! often each whole kernel is.

use proptest::prelude::*;

use crate::support::btfgen::{Graph, Id, Kind, Rng, record};
use crate::support::btfread::{Loaded, read, read_split};
use crate::support::btfwrite::{Form, encode, write};
use crate::support::dump::header;
use crate::support::kernels;
use crate::support::shrink::shrink;
use crate::support::twingen::{doubled, twins};

fn cases() -> u32 {
    std::env::var("BTFLEET_CASES").map_or(400, |n| n.parse().expect("BTFLEET_CASES is a number"))
}

/// Fails with the first line that differs, and with both graphs' blobs kept if `BTFLEET_KEEP` names a folder.
fn same(what: &str, one: &[u8], other: &[u8], blobs: [&[u8]; 2]) -> Result<(), String> {
    if one == other {
        return Ok(());
    }
    if let Ok(dir) = std::env::var("BTFLEET_KEEP") {
        std::fs::create_dir_all(&dir).unwrap();
        for (name, bytes) in [
            ("a.btf", blobs[0]),
            ("b.btf", blobs[1]),
            ("a.h", one),
            ("b.h", other),
        ] {
            std::fs::write(format!("{dir}/{}-{name}", what.replace(' ', "-")), bytes).unwrap();
        }
    }
    let lines = |text: &[u8]| {
        String::from_utf8_lossy(text)
            .lines()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    let (a, b) = (lines(one), lines(other));
    let at = a
        .iter()
        .zip(&b)
        .position(|(x, y)| x != y)
        .unwrap_or(a.len().min(b.len()));
    let around =
        |lines: &[String]| lines[at.saturating_sub(3)..(at + 3).min(lines.len())].join("\n  ");
    Err(format!(
        "{what}: line {}:\n  {}\nbecame\n  {}",
        at + 1,
        around(&a),
        around(&b)
    ))
}

/// The header stays the same under `seed`'s numbering and form.
fn stays_same(what: &str, g: &Graph, first: &[u8], blob: &[u8], seed: u64) -> Result<(), String> {
    let other = encode(&g.shuffled(seed), &Form::any(false, seed));
    let text = header(&other, None).map_err(|e| format!("{what}: then an error: {e}"))?;
    same(what, first, &text, [blob, &other])
}

fn check_small(g: &Graph, seed: u64) -> Result<(), String> {
    let blob = encode(g, &Form::default());
    let first = header(&blob, None).map_err(|e| format!("no header: {e}"))?;
    for k in 0..3 {
        stays_same("shuffled", g, &first, &blob, seed.wrapping_add(k))?;
    }
    let twice = doubled(g);
    stays_same("everything twice", &twice, &first, &blob, seed)?;
    // One exact duplicate of one named type.
    let mut more = g.clone();
    let named = |k: &Kind| {
        matches!(
            k,
            Kind::Record(_) | Kind::Enum { .. } | Kind::Typedef(_) | Kind::Fwd { .. }
        )
    };
    let candidates: Vec<_> = g
        .types
        .iter()
        .filter(|t| !t.name.is_empty() && named(&t.kind))
        .collect();
    if !candidates.is_empty() {
        more.types
            .push(candidates[Rng(seed).below(candidates.len())].clone());
        stays_same("one type twice", &more, &first, &blob, seed)?;
    }
    Ok(())
}

/// A smaller graph has another order under the same seed.
fn with_any_seed(check: impl Fn(u64) -> Result<(), String>) -> Result<(), String> {
    (0..30).try_for_each(check)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, rng_seed: crate::generated::seed("BTFLEET_CASES"), ..ProptestConfig::default() })]

    #[test]
    fn crowds_of_twins_give_one_text_in_every_form(seed: u64) {
        let graph = twins(seed);
        if let Err(why) = check_small(&graph, seed) {
            let small = shrink(&graph, |g| with_any_seed(|seed| check_small(g, seed)).is_err());
            let small_why = with_any_seed(|seed| check_small(&small, seed)).err();
            return Err(TestCaseError::fail(format!("{why}\nsmall: {small_why:?}\n{small:#?}")));
        }
    }
}

/// Twins that only what lies `depth` levels below tells apart: in a chain, and in a ring.
#[test]
fn twins_that_differ_far_below_are_told_apart_in_every_form() {
    for (depth, close) in [
        (1, false),
        (2, false),
        (30, false),
        (30, true),
        (1000, false),
        (1000, true),
    ] {
        let mut g = Graph::new();
        let int = g.int("int", 4, 0);
        let mut tops = Vec::new();
        for end in ["odd", "even"] {
            let bottom = g.end();
            g.record("t", 16, &[("next", bottom + 1, 0), (end, int, 64)]);
            g.ptr(if close { bottom + 1 + 2 * depth } else { int });
            let mut below = g.ptr(bottom);
            for _ in 0..depth {
                let link = g.record("t", 8, &[("next", below, 0)]);
                below = g.ptr(link);
            }
            tops.push(below);
        }
        g.record("user", 16, &[("a", tops[0], 0), ("b", tops[1], 64)]);
        check_small(&g, u64::from(depth))
            .unwrap_or_else(|e| panic!("depth {depth}, ring {close}: {e}"));
        let text = header(&encode(&g, &Form::default()), None).unwrap();
        let twins = String::from_utf8(text)
            .unwrap()
            .matches("\nstruct t___")
            .count() as u32;
        // Each link of each chain is another type.
        assert!(twins > 2 * depth, "depth {depth}: {twins} twins");
    }
}

/// What each count of definitions makes of a forward declaration that is pointed at.
#[test]
fn a_forward_declaration_is_its_definition_where_there_is_exactly_one() {
    let graph = |through_fwd: bool, definitions: &[u32], union: bool| {
        let mut g = Graph::new();
        let int = g.int("int", 4, 0);
        let fwd = g.add("t", Kind::Fwd { union });
        let ids: Vec<Id> = definitions
            .iter()
            .map(|&size| g.record("t", size, &[("m", int, 0)]))
            .collect();
        let p = g.ptr(if through_fwd { fwd } else { ids[0] });
        g.record("user", 8, &[("p", p, 0)]);
        g
    };
    let text = |g: &Graph| header(&encode(g, &Form::default()), None).unwrap();
    for definitions in [&[][..], &[4], &[4, 4], &[4, 8], &[4, 4, 8]] {
        for union in [false, true] {
            check_small(&graph(true, definitions, union), 1).unwrap();
        }
    }
    let direct = text(&graph(false, &[4], false));
    assert_eq!(text(&graph(true, &[4], false)), direct);
    assert_eq!(text(&graph(true, &[4, 4], false)), direct);
    assert_ne!(text(&graph(true, &[4], true)), direct);
}

/// A kfunc's signature counts once among the uses that decide which twin comes first, however often it is there.
#[test]
fn a_kfunc_that_is_there_twice_uses_its_types_once() {
    let mut g = Graph::new();
    let int = g.int("int", 4, 0);
    let of_kfunc = g.record("t", 4, &[("a", int, 0)]);
    let of_kfunc = g.ptr(of_kfunc);
    let of_struct = g.record("t", 8, &[("b", int, 0)]);
    let of_struct = g.ptr(of_struct);
    g.record("user", 8, &[("p", of_struct, 0)]);
    let proto = g.proto(int, &[("p", of_kfunc)]);
    let ty = g.add("kfunc", Kind::Func { proto, linkage: 1 });
    g.add(
        "bpf_kfunc",
        Kind::DeclTag {
            ty,
            component: u32::MAX,
            attribute: false,
        },
    );
    check_small(&g, 1).unwrap();
}

/// What a module has again of its base's twins, once or twice.
#[test]
fn a_module_that_repeats_twins_of_its_base_gives_one_text() {
    let sized =
        |g: &mut Graph, sizes: &[u32]| sizes.iter().for_each(|&s| _ = g.record("t", s, &[]));
    for module in [&[8][..], &[0, 0], &[8, 0], &[8, 0, 0], &[4, 8, 0, 4]] {
        let mut base = Graph::new();
        sized(&mut base, &[0, 8]);
        let mut own = Graph::over(&base);
        sized(&mut own, module);
        with_any_seed(|seed| check_split(&base, &own, seed))
            .unwrap_or_else(|e| panic!("{module:?}: {e}"));
    }
}

/// Mutual recursion: pairs that are equal only if one believes it of the other.
#[test]
fn mutually_recursive_twins_are_one() {
    let pair = |g: &mut Graph| {
        let a = g.end();
        g.add("a", record(false, 8, &[("b", a + 3, 0)]));
        g.add("b", record(false, 8, &[("a", a + 2, 0)]));
        g.ptr(a);
        g.ptr(a + 1);
    };
    let mut one = Graph::new();
    pair(&mut one);
    let mut many = Graph::new();
    (0..5).for_each(|_| pair(&mut many));
    // And across: the fifth a points at the first b, and so on.
    for k in 0..5 {
        many.types[4 * k].kind = record(false, 8, &[("b", (4 * ((k + 1) % 5) + 4) as Id, 0)]);
    }
    let text = |g: &Graph| header(&encode(g, &Form::default()), None).unwrap();
    assert_eq!(
        String::from_utf8(text(&many)),
        String::from_utf8(text(&one))
    );
    check_small(&many, 3).unwrap();
}

/// A kernel, and the same with every id dealt anew and written in another form.
fn reformed(loaded: &Loaded, seed: u64) -> Vec<u8> {
    encode(&loaded.graph.shuffled(seed), &Form::any(loaded.big, seed))
}

#[test]
fn whole_kernels_give_one_text_in_every_form() {
    for kernel in kernels::all() {
        if kernel.base().is_some() {
            continue;
        }
        let blob = kernel.btf();
        let first = header(&blob, None).unwrap_or_else(|e| panic!("{}: {e}", kernel.name));
        let loaded = read(&blob);
        for seed in 0..u64::from(1 + cases() / 500) {
            let other = reformed(&loaded, seed);
            let text =
                header(&other, None).unwrap_or_else(|e| panic!("{} {seed}: {e}", kernel.name));
            same(&kernel.name, &first, &text, [&blob, &other]).unwrap();
        }
    }
}

#[test]
fn a_whole_kernel_with_everything_twice_gives_the_same_text() {
    let kernel = kernels::all()
        .into_iter()
        .find(|k| k.base().is_none())
        .expect("one whole kernel");
    let (blob, first) = (kernel.btf(), header(&kernel.btf(), None).unwrap());
    let loaded = read(&blob);
    let other = encode(
        &doubled(&loaded.graph).shuffled(5),
        &Form::any(loaded.big, 5),
    );
    same(
        &kernel.name,
        &first,
        &header(&other, None).unwrap(),
        [&blob, &other],
    )
    .unwrap();
}

/// Modules, with their own ids dealt anew, and their base's too.
#[test]
fn modules_give_one_text_in_every_form_of_them_and_their_base() {
    for kernel in kernels::all() {
        let Some(base_blob) = kernel.base() else {
            continue;
        };
        let blob = kernel.btf();
        let first =
            header(&blob, Some(&base_blob)).unwrap_or_else(|e| panic!("{}: {e}", kernel.name));
        let base = read(&base_blob);
        let module = read_split(&blob, &base);

        let form = Form {
            duplicate: true,
            string_seed: Some(1),
            ..Form::any(module.big, 1)
        };
        let own = write(&module.graph.shuffled(1), &form, &base.strings).bytes;
        let text =
            header(&own, Some(&base_blob)).unwrap_or_else(|e| panic!("{}: {e}", kernel.name));
        same(&kernel.name, &first, &text, [&blob, &own]).unwrap();

        let mut order: Vec<usize> = (0..base.graph.types.len()).collect();
        Rng(2).shuffle(&mut order);
        let new_base = write(&base.graph.reordered(&order), &Form::any(base.big, 2), b"");
        let mut graph = module.graph.shuffled(2);
        graph.follow(&order);
        let strings = new_base.bytes[new_base.strings.clone()].to_vec();
        let both = write(&graph, &Form::any(module.big, 3), &strings).bytes;
        let text =
            header(&both, Some(&new_base.bytes)).unwrap_or_else(|e| panic!("{}: {e}", kernel.name));
        same(&kernel.name, &first, &text, [&blob, &both]).unwrap();
    }
}

/// The same of small graphs, half of whose references go down into their base.
#[test]
fn small_modules_give_one_text_in_every_form_of_them_and_their_base() {
    for seed in 0..u64::from(cases()) / 4 {
        let (base, own) = small_split(seed);
        if let Err(why) = check_split(&base, &own, seed) {
            let check = |own: &Graph| with_any_seed(|seed| check_split(&base, own, seed));
            let own = shrink(&own, |own| check(own).is_err());
            let small_why = check(&own).err();
            panic!("seed {seed}: {why}\nsmall: {small_why:?}\nbase {base:#?}\nown {own:#?}");
        }
    }
}

fn check_split(base: &Graph, own: &Graph, seed: u64) -> Result<(), String> {
    let form = Form::default();
    let (a, strings) = with_strings(base, &form);
    let blob = write(own, &form, &strings).bytes;
    let first = header(&blob, Some(&a)).map_err(|e| format!("no header: {e}"))?;

    let mut order: Vec<usize> = (0..base.types.len()).collect();
    Rng(seed).shuffle(&mut order);
    let (b, strings) = with_strings(&base.reordered(&order), &Form::any(false, seed));
    let mut graph = own.shuffled(seed);
    graph.follow(&order);
    let other = write(&graph, &Form::any(false, seed + 1), &strings).bytes;
    let text = header(&other, Some(&b)).map_err(|e| format!("then no header: {e}"))?;
    keep_bases(&a, &b);
    same("split", &first, &text, [&blob, &other])
}

fn keep_bases(a: &[u8], b: &[u8]) {
    if let Ok(dir) = std::env::var("BTFLEET_KEEP") {
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(format!("{dir}/split-base-a.btf"), a).unwrap();
        std::fs::write(format!("{dir}/split-base-b.btf"), b).unwrap();
    }
}

fn with_strings(g: &Graph, form: &Form) -> (Vec<u8>, Vec<u8>) {
    let written = write(g, form, b"");
    let strings = written.bytes[written.strings].to_vec();
    (written.bytes, strings)
}

/// A graph of twins cut in two: what nothing in the first part refers to can come after it.
fn small_split(seed: u64) -> (Graph, Graph) {
    let base = twins(seed);
    let mut own = Graph::over(&base);
    let shift = own.base;
    let mut rng = Rng(!seed);
    for mut ty in twins(seed.wrapping_add(1 << 32)).types {
        ty.kind.for_each_id(|id| *id += shift);
        if let Kind::Ptr(to) = &mut ty.kind
            && rng.below(2) == 0
        {
            *to = record_of(&base, &mut rng);
        }
        own.types.push(ty);
    }
    (base, own)
}

/// Some type of the base that a pointer may lead to.
fn record_of(base: &Graph, rng: &mut Rng) -> Id {
    let fits = |kind: &Kind| matches!(kind, Kind::Record(_) | Kind::Fwd { .. } | Kind::Int { .. });
    let ids: Vec<Id> = (1..base.end())
        .filter(|&id| fits(&base.types[id as usize - 1].kind))
        .collect();
    ids[rng.below(ids.len())]
}

/// The tools of these tests themselves: what is written in any form reads back as it was.
#[test]
fn every_form_reads_back_as_the_same_graph() {
    for seed in 0..200 {
        let g = twins(seed);
        for big in [false, true] {
            let loaded = read(&encode(&g, &Form::any(big, seed)));
            assert!(loaded.graph == g && loaded.big == big, "seed {seed}");
        }
        let (base, own) = small_split(seed);
        let (blob, strings) = with_strings(&base, &Form::any(true, seed));
        let own_blob = write(&own, &Form::any(true, !seed), &strings).bytes;
        assert_eq!(
            read_split(&own_blob, &read(&blob)).graph,
            own,
            "seed {seed}"
        );
    }
    for kernel in kernels::all().into_iter().filter(|k| k.base().is_none()) {
        let (blob, loaded) = (kernel.btf(), read(&kernel.btf()));
        let again = encode(
            &loaded.graph,
            &Form {
                big: loaded.big,
                ..Form::default()
            },
        );
        assert!(read(&again).graph == loaded.graph, "{}", kernel.name);
        assert!(
            again.len() <= blob.len() + 64,
            "{}: {} bytes",
            kernel.name,
            again.len()
        );
    }
}
