//! No types make the printer panic, and what it prints is plain text; what C can express it does print.
#![no_main]

use btfleet::btf::{self, Btf};
use btfleet::dump;
use libfuzzer_sys::fuzz_target;

/// Checked afterwards a BTF is as good or bad as it was, and what is made of it before does not panic.
fn in_halves(blob: &[u8], want: Option<&btf::Error>) {
    let said = Btf::unchecked(blob).and_then(|btf| {
        let _ = dump::header(&btf);
        btf.check()
    });
    let said = said.err().map(|e| e.to_string());
    assert_eq!(said, want.map(ToString::to_string));
}

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
    if base.is_none() {
        in_halves(&input.btf, btf.as_ref().err());
    }
    let btf = match btf {
        Ok(btf) => btf,
        Err(e) => return assert!(!input.valid, "it does not parse: {e}"),
    };
    match dump::header(&btf) {
        Ok(text) => btfleet_fuzz::assert_plain(&text),
        Err(e) => assert!(!input.valid, "no header: {e}"),
    }
});
