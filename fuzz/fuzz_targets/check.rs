//! No object makes the check panic or hang, whatever kernel it is held against; and what is kept of the kernel for it
//! is BTF that gives every relocation the same value.
#![no_main]

use btfleet::btf::Btf;
use btfleet::relo::check::{CoreKind, Object, Target, Value, check, outcomes};
use btfleet::relo::minimize::minimize;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // The length of the object, then it and a kernel's BTF. Without one the object's own types are the kernel's.
    let [low, high, rest @ ..] = data else { return };
    let length = usize::from(u16::from_le_bytes([*low, *high]));
    let (object, kernel) = rest.split_at(length.min(rest.len()));
    let Ok(object) = Object::parse(object) else {
        return;
    };
    match Btf::parse(kernel) {
        Ok(kernel) => held(&object, &kernel),
        Err(_) => held(&object, &object.btf),
    }
});

fn held(object: &Object<'_>, kernel: &Btf<'_>) {
    let target = Target::new(kernel);
    // Objects of this size never ask for too much.
    check(object, &target).expect("it is small");
    let small = minimize(&target, [object]).expect("it is small");
    let small = Btf::parse(&small).expect("what was kept is BTF");
    let kept = Target::new(&small);
    let small = outcomes(object, &kept).expect("it is small");
    let all = outcomes(object, &target).expect("it is small");
    for (whole, kept) in all.into_iter().zip(small) {
        // libbpf goes no further; without what disagrees it might.
        let Ok(value) = whole.value else { return };
        let relocation = &object.functions[whole.function].relocations[whole.relocation];
        let same = kept.value.map(|kept| match relocation.kind {
            // Ids are each BTF's own.
            CoreKind::TypeIdTarget => Value {
                new: value.new,
                ..kept
            },
            _ => kept,
        });
        assert_eq!(same, Ok(value));
    }
}
