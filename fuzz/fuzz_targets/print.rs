//! No types make the printer panic, and what it prints is plain text; what C can express it does print.
#![no_main]

use btfleet::btf::Btf;
use btfleet::dump;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let input = btfleet_fuzz::input(data);
    let base = match &input.base {
        Some(bytes) => match Btf::parse(bytes) {
            Ok(base) => Some(base),
            Err(e) => return assert!(!input.valid, "the base does not parse: {e}"),
        },
        None => None,
    };
    let btf = match &base {
        Some(base) => Btf::parse_split(&input.btf, base),
        None => Btf::parse(&input.btf),
    };
    let btf = match btf {
        Ok(btf) => btf,
        Err(e) => return assert!(!input.valid, "it does not parse: {e}"),
    };
    match dump::header(&btf) {
        Ok(text) => {
            let odd = text
                .iter()
                .position(|b| !matches!(b, b'\n' | b'\t' | b' '..=b'~'));
            assert_eq!(odd, None, "a byte that is not plain text");
        }
        Err(e) => assert!(!input.valid, "no header: {e}"),
    }
});
