//! Hints of what will be read soon, for walks whose next steps lie anywhere in a BTF: each waits for the one before, but all
//! are known beforehand.

use super::parse::Btf;
use super::types::{StrOffset, TypeId};

/// Has the processor fetch into its cache what lies at this place. It changes nothing but how long the next read takes.
#[inline(always)]
pub(crate) fn soon<T>(what: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint: it reads nothing that a program could see, and faults at no address (Intel SDM, PREFETCHh).
        #[allow(unsafe_code)]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(what).cast());
        }
    }
    // Elsewhere Rust has no such hint yet.
    #[cfg(not(target_arch = "x86_64"))]
    let _ = what;
}

impl Btf<'_> {
    /// Where this type lies will be asked for soon.
    #[inline(always)]
    pub(crate) fn place_soon(&self, id: TypeId) {
        if let Some(place) = self.place(id) {
            soon(place);
        }
    }

    /// This type will be read soon: the first words of it.
    #[inline(always)]
    pub(crate) fn type_soon(&self, id: TypeId) {
        const LINE: usize = 16;
        if let Some(place) = self.place(id) {
            let words = self.words.get(place.at()..).unwrap_or_default();
            [words.first(), words.get(LINE)]
                .into_iter()
                .flatten()
                .for_each(soon);
        }
    }

    /// This name will be read soon.
    #[inline(always)]
    pub(crate) fn name_soon(&self, at: StrOffset) {
        if let Some(first) = self.name_block::<1>(at) {
            soon(first);
        }
    }
}
