//! Memory that a run fills once: large, and in large pages where the kernel has them, since a page fault
//! for every 4 KiB takes as long as what is done with them.

use memmap2::{Advice, MmapMut, MmapOptions};
use std::io;
use std::ops::{Deref, DerefMut};

/// A large page of most machines. Where it has another size, all is as it was, only slower.
const LARGE: usize = 2 << 20;

/// Memory that begins at a large page. Pages are taken as they are written.
pub struct Room {
    map: MmapMut,
    start: usize,
    len: usize,
}

impl Room {
    /// Room for `len` bytes.
    pub fn new(len: usize) -> io::Result<Room> {
        let whole = len.next_multiple_of(LARGE) + LARGE;
        let map = MmapOptions::new().len(whole).no_reserve_swap().map_anon()?;
        let start = map.as_ptr().addr().wrapping_neg() % LARGE;
        let _ = map.advise_range(Advice::HugePage, start, whole - LARGE);
        Ok(Room { map, start, len })
    }
}

impl Deref for Room {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map[self.start..][..self.len]
    }
}

impl DerefMut for Room {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.map[self.start..][..self.len]
    }
}
