//! No two BTFs make the comparison panic, and what it says of them keeps to a size in proportion to theirs;
//! a BTF does not differ from itself, and what appears one way round vanishes the other way.
#![no_main]

use btfleet::btf::Btf;
use btfleet::relo::diff::{Change, Diff, diff};
use btfleet::relo::view::{users, view};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // The length of the first BTF, then both.
    let [low, high, rest @ ..] = data else { return };
    let length = usize::from(u16::from_le_bytes([*low, *high]));
    let (a, b) = rest.split_at(length.min(rest.len()));
    let (a, b) = match (Btf::parse(a), Btf::parse(b)) {
        (Ok(a), Ok(b)) => (a, b),
        (Ok(alone), _) | (_, Ok(alone)) => return itself(&alone),
        _ => return,
    };
    itself(&a);
    let (there, back) = (diff(&a, &b, None), diff(&b, &a, None));
    assert_eq!(there.same, back.same);
    assert_eq!(there.types.len(), back.types.len());
    assert_eq!(counts(&there), {
        let (appeared, vanished) = counts(&back);
        (vanished, appeared)
    });
    let said: usize = there.types.iter().map(|ty| format!("{ty:?}").len()).sum();
    assert!(
        said <= (4 << 10) * (data.len() + 1),
        "{said} bytes about {} bytes of input",
        data.len()
    );
});

fn itself(btf: &Btf<'_>) {
    let found = diff(btf, btf, None);
    assert!(found.types.is_empty(), "differs from itself: {found:?}");
    for id in btf.own_ids() {
        let lines = view(btf, id).map_or(0, |view| view.lines.len());
        assert!(lines <= 20_001, "{lines} lines");
        std::hint::black_box(users(btf, id, 100));
    }
}

/// How many types appeared, and how many vanished.
fn counts(found: &Diff) -> (usize, usize) {
    let appeared = |change: &Change| matches!(change, Change::Appeared(_));
    let vanished = |change: &Change| matches!(change, Change::Vanished(_));
    (
        found.types.iter().filter(|ty| appeared(&ty.change)).count(),
        found.types.iter().filter(|ty| vanished(&ty.change)).count(),
    )
}
