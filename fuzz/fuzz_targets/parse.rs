//! No bytes make the reader panic, nor any look at what it read.
#![no_main]

use btfleet::btf::Btf;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(btf) = Btf::parse(data) {
        look_at_everything(&btf);
    }
    // The same as a base with a split BTF over it; where to cut is a choice of the first byte.
    let [cut, data @ ..] = data else { return };
    let (base, split) = data.split_at((usize::from(*cut) * 16).min(data.len()));
    if let Ok(base) = Btf::parse(base)
        && let Ok(btf) = Btf::parse_split(split, &base)
    {
        look_at_everything(&btf);
    }
});

fn look_at_everything(btf: &Btf<'_>) {
    for ty in btf.types() {
        let mut bytes = btf.name(ty.name()).len();
        bytes += ty.members().map(|m| btf.name(m.name).len()).sum::<usize>();
        bytes += ty
            .enumerators()
            .map(|e| btf.name(e.name).len())
            .sum::<usize>();
        bytes += ty.params().map(|p| btf.name(p.name).len()).sum::<usize>();
        let ids = ty.references().map(|id| btf.ty(id).vlen()).max();
        let rest = (
            ty.int(),
            ty.array().map(|a| a.count),
            ty.component(),
            ty.size(),
            btf.offset(ty.id()),
        );
        std::hint::black_box((bytes, ids, rest, ty.section_vars().count()));
    }
}
