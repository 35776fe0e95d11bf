//! What `minimize` keeps of a kernel, held against the whole. The fuzz target `check` includes this by path.

use btfleet::btf::Btf;
use btfleet::relo::check::{CoreKind, Object, Target, Value, check, outcomes};
use btfleet::relo::minimize::minimize;

/// An object that does not ask for too much is answered; and what is kept of the kernel for it is BTF that gives every
/// relocation the same value.
pub fn is_as_good_as_the_whole(object: &Object<'_>, target: &Target<'_>, what: &str) {
    check(object, target).unwrap();
    let small = minimize(target, [object]).unwrap();
    let small =
        Btf::parse(&small).unwrap_or_else(|e| panic!("{what}: what was kept is no BTF: {e}"));
    let small = outcomes(object, &Target::new(&small)).unwrap();
    for (whole, kept) in outcomes(object, target).unwrap().iter().zip(small) {
        // libbpf goes no further; without what disagrees it might.
        let Ok(value) = whole.value else { return };
        let relocation = &object.functions[whole.function].relocations[whole.relocation];
        let kept = kept.value.map(|kept| match relocation.kind {
            // Ids are each BTF's own.
            CoreKind::TypeIdTarget => Value {
                new: value.new,
                ..kept
            },
            _ => kept,
        });
        assert_eq!(kept, Ok(value), "{what}");
    }
}
