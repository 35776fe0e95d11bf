//! Hashes of contents. They order types, so they must be the same on every machine and in every version.

/// A 128-bit hash of a sequence of words and byte strings.
#[derive(Clone, Copy)]
pub(super) struct Hash(u64, u64);

impl Hash {
    pub fn new() -> Hash {
        Hash(0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344)
    }

    #[inline]
    pub fn word(&mut self, word: u64) {
        self.0 = mul(self.0 ^ word, 0x9e37_79b9_7f4a_7c15);
        self.1 = mul(self.1.rotate_left(23) ^ word, 0xd6e8_feb8_6659_fd93).wrapping_add(self.0);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        let (chunks, rest) = bytes.as_chunks::<8>();
        for chunk in chunks {
            self.word(u64::from_le_bytes(*chunk));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
        self.word(bytes.len() as u64);
    }

    pub fn finish(mut self) -> u128 {
        self.word(0);
        self.word(1);
        u128::from(self.0) << 64 | u128::from(self.1)
    }
}

/// The two halves of a 128-bit product, folded.
#[inline]
fn mul(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ (wide >> 64) as u64 ^ a.rotate_left(32)
}

/// What a reference at `position` to something of this colour adds to the referrer's signature.
pub(super) fn edge(position: u32, color: u128) -> u128 {
    let mut h = Hash::new();
    h.word(u64::from(position));
    h.word((color >> 64) as u64);
    h.word(color as u64);
    h.finish()
}

/// The colour of a class label.
pub(super) fn color(label: u32) -> u128 {
    u128::from(label)
}
