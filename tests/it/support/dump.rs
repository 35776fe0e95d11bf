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
