//! No object makes the check panic or hang, whatever kernel it is held against; and what is kept of the kernel for it
//! is BTF that gives every relocation the same value.
#![no_main]

use btfleet::btf::Btf;
use btfleet::relo::check::{Object, Target, check, outcomes};
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
    check(object, &target);
    let small = minimize(&target, [object]);
    let small = Btf::parse(&small).expect("what was kept is BTF");
    let kept = Target::new(&small);
    for (whole, kept) in outcomes(object, &target)
        .iter()
        .zip(outcomes(object, &kept))
    {
        // Type ids are each BTF's own.
        if let (Ok(whole), Ok(kept)) = (whole.value, kept.value) {
            assert_eq!(whole.poison, kept.poison);
        }
    }
}
