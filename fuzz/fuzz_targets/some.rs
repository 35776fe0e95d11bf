//! No types, and no choice of names among them, make the header of some types, their JSON or a module's move onto its base
//! panic; the text is plain.
#![no_main]

use btfleet::btf::{Btf, relocate::relocate};
use btfleet::dump;
use btfleet::relo::json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Which types, then as `print` takes it.
    let [first, step, rest @ ..] = data else {
        return;
    };
    let input = btfleet_fuzz::input(rest);
    let base = input.base.as_deref().map(Btf::parse);
    let btf = match &base {
        Some(Ok(base)) => Btf::parse_split(&input.btf, base),
        Some(Err(_)) => return,
        None => Btf::parse(&input.btf),
    };
    let Ok(btf) = btf else { return };
    if let (Some(bytes), Some(Ok(base))) = (&input.base, &base)
        && let Ok(moved) = relocate(&input.btf, bytes, base)
    {
        Btf::parse_split(&moved, base).expect("what was moved is BTF");
    }
    let ids = btf
        .own_ids()
        .skip(usize::from(*first))
        .step_by(usize::from(*step) + 1);
    let names: Vec<String> = ids
        .map(|id| btf.name(btf.ty(id).name()))
        .filter(|name| !name.is_empty())
        .filter_map(|name| String::from_utf8(name.to_vec()).ok())
        .take(3)
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let _ = json::write(&btf, &names, &mut std::io::sink());
    if names.is_empty() {
        return;
    }
    if let Ok(text) = dump::header_for(&btf, &names) {
        btfleet_fuzz::assert_plain(&text);
    }
});
