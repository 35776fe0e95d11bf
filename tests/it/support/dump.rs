//! The library's way from BTF to header, as the tests call it.

use btfleet::btf::Btf;
pub use btfleet::dump::GENERATOR;

/// The header of a raw BTF, or of a split one over its base.
pub fn header(bytes: &[u8], base: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let say = |e: btfleet::btf::Error| e.to_string();
    let base = base.map(|b| Btf::parse(b).map_err(say)).transpose()?;
    let btf = match &base {
        Some(base) => Btf::parse_split(bytes, base),
        None => Btf::parse(bytes),
    };
    btfleet::dump::header(&btf.map_err(say)?).map_err(|e| e.to_string())
}

/// The same, of a BTF that is checked only when its header is made.
pub fn in_halves(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let say = |e: btfleet::btf::Error| e.to_string();
    let btf = Btf::unchecked(bytes).map_err(say)?;
    let header = btfleet::dump::header(&btf);
    btf.check().map_err(say)?;
    header.map_err(|e| e.to_string())
}
