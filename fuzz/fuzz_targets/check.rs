//! No object makes the check panic or hang, whatever kernel it is held against; and what is kept of the kernel for it
//! is BTF that gives every relocation the same value.
#![no_main]

use btfleet::btf::Btf;
use btfleet::relo::check::{Object, Target};
use btfleet_fuzz::kept::is_as_good_as_the_whole;
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
    // Objects of this size never ask for too much.
    is_as_good_as_the_whole(object, &Target::new(kernel), "");
}
