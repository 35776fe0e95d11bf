//! Memory that a run fills once: large, and in large pages where the kernel has them, since a page fault
//! for every 4 KiB takes as long as what is done with them.

use memmap2::{Advice, MmapMut, MmapOptions};
use std::io;

/// Room for `len` bytes. Pages are taken as they are written.
pub fn room(len: usize) -> io::Result<MmapMut> {
    let room = MmapOptions::new().len(len).no_reserve_swap().map_anon()?;
    // Without it, all is as it was, only slower.
    let _ = room.advise(Advice::HugePage);
    Ok(room)
}
