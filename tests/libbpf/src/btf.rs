//! A BTF in libbpf's hands, and a kernel: a BTF, or a module's over its base, with its types found by name.

use std::collections::HashMap;
use std::ffi::CStr;

use anyhow::{Context, Result, ensure};

use crate::hidden::{self, Candidate};

/// `BTF_KIND_ENUM` and `BTF_KIND_ENUM64` of `include/uapi/linux/btf.h`.
const ENUMS: [u32; 2] = [6, 19];

/// What libbpf made of a BTF.
pub struct Btf<'b> {
    raw: *mut libbpf_sys::btf,
    base: Option<&'b Btf<'b>>,
}

// SAFETY: nothing changes it after it was made, and libbpf keeps no state of its own for a thread.
unsafe impl Send for Btf<'_> {}
// SAFETY: as above.
unsafe impl Sync for Btf<'_> {}

impl Drop for Btf<'_> {
    fn drop(&mut self) {
        // SAFETY: made by btf__new or btf__new_split, freed once; its base outlives it.
        unsafe { libbpf_sys::btf__free(self.raw) }
    }
}

impl<'b> Btf<'b> {
    /// Has libbpf parse and check it.
    pub fn new(bytes: &[u8], base: Option<&'b Btf<'b>>) -> Result<Btf<'b>> {
        let size = u32::try_from(bytes.len())?;
        // SAFETY: libbpf copies `size` bytes from a slice of that length; null is a base that is not there.
        let raw = unsafe {
            let base = base.map_or(std::ptr::null_mut(), |base| base.raw);
            libbpf_sys::btf__new_split(bytes.as_ptr().cast(), size, base)
        };
        ensure!(
            !raw.is_null(),
            "libbpf does not read this BTF: {}",
            std::io::Error::last_os_error()
        );
        Ok(Btf { raw, base })
    }

    pub(crate) fn as_ptr(&self) -> *const libbpf_sys::btf {
        self.raw
    }

    /// One more than the last type's id.
    pub fn end_id(&self) -> u32 {
        // SAFETY: `raw` is alive.
        unsafe { libbpf_sys::btf__type_cnt(self.raw) }
    }

    /// How many types it has, void and its base's not counted.
    pub fn types(&self) -> u32 {
        self.end_id() - self.base.map_or(1, Btf::end_id)
    }

    /// A type's kind, as a number, and its name.
    pub fn named(&self, id: u32) -> Option<(u32, &CStr)> {
        // SAFETY: libbpf gives null for an id or a name that is not there, and otherwise what lives as long as `raw`.
        unsafe {
            let ty = libbpf_sys::btf__type_by_id(self.raw, id).as_ref()?;
            let name = libbpf_sys::btf__name_by_offset(self.raw, ty.name_off);
            (!name.is_null()).then(|| (ty.info >> 24 & 0x1f, CStr::from_ptr(name)))
        }
    }

    /// A string of it.
    pub fn string(&self, at: u32) -> Option<&CStr> {
        // SAFETY: libbpf gives null for an offset that is out of range.
        unsafe {
            let text = libbpf_sys::btf__name_by_offset(self.raw, at);
            (!text.is_null()).then(|| CStr::from_ptr(text))
        }
    }
}

/// What a name is without its `___flavour`.
fn essential(name: &CStr) -> &[u8] {
    // SAFETY: a string that ends in NUL; the length is never larger than its own.
    &name.to_bytes()[..unsafe { hidden::bpf_core_essential_name_len(name.as_ptr()) }]
}

/// Ids by kind (both kinds of enum being one) and essential name, in their order.
type Names = HashMap<(u32, Vec<u8>), Vec<u32>>;

/// What relocations are resolved against.
pub struct Kernel<'b> {
    /// As `find_cands` asks them: the kernel's own types, then the module's.
    rooms: Vec<(&'b Btf<'b>, Names)>,
}

impl<'b> Kernel<'b> {
    pub fn new(btf: &'b Btf<'b>) -> Kernel<'b> {
        let mut rooms = Vec::new();
        if let Some(base) = btf.base {
            rooms.push((base, names(base, 1)));
        }
        rooms.push((btf, names(btf, btf.base.map_or(1, Btf::end_id))));
        Kernel { rooms }
    }

    /// The types that a relocation of `id` may mean: of the same essential name and kind; a module is only asked
    /// when the kernel has none.
    pub(crate) fn candidates(&self, local: &Btf<'_>, id: u32) -> Result<Vec<Candidate>> {
        let (kind, name) = local.named(id).context("no such type")?;
        ensure!(!name.is_empty(), "a type without a name has no candidates");
        let key = (fold(kind), essential(name).to_vec());
        let mut found = self.rooms.iter().filter_map(|(btf, names)| {
            let btf = btf.as_ptr();
            Some(
                names
                    .get(&key)?
                    .iter()
                    .map(move |&id| Candidate { btf, id }),
            )
        });
        Ok(found.next().into_iter().flatten().collect())
    }
}

fn fold(kind: u32) -> u32 {
    if ENUMS.contains(&kind) {
        ENUMS[0]
    } else {
        kind
    }
}

fn names(btf: &Btf<'_>, first: u32) -> Names {
    let mut names = Names::new();
    for id in first..btf.end_id() {
        if let Some((kind, name)) = btf.named(id)
            && !name.is_empty()
        {
            let key = (fold(kind), essential(name).to_vec());
            names.entry(key).or_default().push(id);
        }
    }
    names
}
