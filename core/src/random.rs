//! Randomness that follows from the seed alone.

/// A generator of unpredictable numbers: the key stream of ChaCha20 (RFC 8439 §2.4) under the seed as key.
///
/// The same seed gives the same numbers, octet for octet, on every machine. Who does not know the seed cannot tell the
/// numbers from chance or foresee the next one.
///
/// It holds the key, so it has no `Debug` and no `Clone`: a copy would repeat numbers that must differ.
pub struct Random {
    key: [u8; 32],
    /// Which of the key streams of the seed.
    stream: u8,
    /// Number of the next block of the key stream.
    block_index: u64,
    block: [u8; BLOCK_LEN],
    /// Octets at the front of `block` that were given out.
    used_len: usize,
}

impl Random {
    /// Makes a generator from a seed, which must come from the operating system's entropy wherever secrecy counts.
    #[must_use]
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { key: seed, stream: 0, block_index: 0, block: [0; BLOCK_LEN], used_len: BLOCK_LEN }
    }

    /// Goes on in another of the 256 streams of the seed, which have nothing in common; a generator begins in stream 0.
    pub const fn enter_stream(&mut self, stream: u8) {
        if self.stream != stream {
            self.stream = stream;
            self.block = [0; BLOCK_LEN];
            self.used_len = BLOCK_LEN;
        }
    }

    /// Fills `octets` with random octets.
    pub fn fill(&mut self, octets: &mut [u8]) {
        let mut rest = octets;
        while !rest.is_empty() {
            if self.used_len == BLOCK_LEN {
                self.refill();
            }
            let unused = &mut self.block[self.used_len..];
            let len = unused.len().min(rest.len());
            let (front, back) = rest.split_at_mut(len);
            front.copy_from_slice(&unused[..len]);
            // What was given out may be a key: it does not stay behind.
            unused[..len].fill(0);
            self.used_len += len;
            rest = back;
        }
    }

    /// Returns `LEN` random octets: a key, an id, a token.
    pub fn octets<const LEN: usize>(&mut self) -> [u8; LEN] {
        let mut octets = [0; LEN];
        self.fill(&mut octets);
        octets
    }

    /// Returns a number below 2^64, each equally likely.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.octets())
    }

    /// Returns a number below `bound`, each exactly equally likely; 0 if `bound` is 0.
    ///
    /// Draws once, and again with a probability below `bound` / 2^64 (Lemire, "Fast random integer generation in an
    /// interval", 2019).
    pub fn below(&mut self, bound: u64) -> u64 {
        let mut product = u128::from(self.u64()) * u128::from(bound);
        if (product as u64) < bound {
            // 2^64 mod bound: so many of the low halves would be hit once too often.
            let surplus = bound.wrapping_neg() % bound;
            while (product as u64) < surplus {
                product = u128::from(self.u64()) * u128::from(bound);
            }
        }
        (product >> 64) as u64
    }

    fn refill(&mut self) {
        // RFC 8439 counts 2^32 blocks, 256 GiB; the carry goes on into the nonce, which otherwise names the stream.
        let [c0, c1, c2, c3, n0, n1, n2, n3] = self.block_index.to_le_bytes();
        let counter = u32::from_le_bytes([c0, c1, c2, c3]);
        self.block = chacha20_block(&self.key, counter, &[n0, n1, n2, n3, self.stream, 0, 0, 0, 0, 0, 0, 0]);
        self.block_index = self.block_index.wrapping_add(1);
        self.used_len = 0;
    }
}

/// Returns one block of the ChaCha20 key stream (RFC 8439 §2.3).
fn chacha20_block(key: &[u8; 32], counter: u32, nonce: &[u8; 12]) -> [u8; BLOCK_LEN] {
    let mut input = [0; 16];
    input[..4].copy_from_slice(&CONSTANTS);
    for (word, octets) in input[4..12].iter_mut().zip(key.as_chunks().0) {
        *word = u32::from_le_bytes(*octets);
    }
    input[12] = counter;
    for (word, octets) in input[13..].iter_mut().zip(nonce.as_chunks().0) {
        *word = u32::from_le_bytes(*octets);
    }

    let mut state = input;
    for _ in 0..10 {
        quarter_round(&mut state, 0, 4, 8, 12);
        quarter_round(&mut state, 1, 5, 9, 13);
        quarter_round(&mut state, 2, 6, 10, 14);
        quarter_round(&mut state, 3, 7, 11, 15);
        quarter_round(&mut state, 0, 5, 10, 15);
        quarter_round(&mut state, 1, 6, 11, 12);
        quarter_round(&mut state, 2, 7, 8, 13);
        quarter_round(&mut state, 3, 4, 9, 14);
    }

    let mut block = [0; BLOCK_LEN];
    for (octets, (mixed, word)) in block.as_chunks_mut().0.iter_mut().zip(state.iter().zip(input)) {
        *octets = mixed.wrapping_add(word).to_le_bytes();
    }
    block
}

/// RFC 8439 §2.1.
const fn quarter_round(state: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    state[a] = state[a].wrapping_add(state[b]);
    state[d] = (state[d] ^ state[a]).rotate_left(16);
    state[c] = state[c].wrapping_add(state[d]);
    state[b] = (state[b] ^ state[c]).rotate_left(12);
    state[a] = state[a].wrapping_add(state[b]);
    state[d] = (state[d] ^ state[a]).rotate_left(8);
    state[c] = state[c].wrapping_add(state[d]);
    state[b] = (state[b] ^ state[c]).rotate_left(7);
}

const BLOCK_LEN: usize = 64;

/// "expand 32-byte k" as words of little-endian octets (RFC 8439 §2.3).
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_function_gives_the_vector_of_rfc_8439() {
        // RFC 8439 §2.3.2.
        let key = core::array::from_fn(|index| index as u8);
        let nonce = [0, 0, 0, 9, 0, 0, 0, 0x4A, 0, 0, 0, 0];
        let block: [u8; 64] = [
            0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3, 0x20, 0x71, 0xc4, //
            0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22, 0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e, //
            0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa, 0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2, //
            0xb5, 0x12, 0x9c, 0xd1, 0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e,
        ];
        assert_eq!(chacha20_block(&key, 1, &nonce), block);
    }

    #[test]
    fn the_zero_seed_gives_the_key_stream_of_rfc_8439() {
        // RFC 8439 §A.1, test vectors 1 and 2: blocks 0 and 1 under a zero key and a zero nonce.
        let mut random = Random::new([0; 32]);
        assert_eq!(random.octets(), [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90]);
        assert_eq!(random.octets::<56>()[52..], [0xb2, 0xee, 0x65, 0x86]);
        assert_eq!(random.u64(), 0x7a38_5155_bee7_079f);
    }

    #[test]
    fn octets_do_not_depend_on_the_sizes_they_are_asked_in() {
        let whole: [u8; 300] = Random::new([7; 32]).octets();
        let mut pieces = [0; 300];
        let mut random = Random::new([7; 32]);
        let (mut rest, mut len) = (&mut pieces[..], 0);
        while !rest.is_empty() {
            let (front, back) = rest.split_at_mut(len.min(rest.len()));
            random.fill(front);
            (rest, len) = (back, len + 1);
        }
        assert_eq!(whole, pieces);
    }

    #[test]
    fn numbers_below_a_bound_stay_below_and_spread_evenly() {
        let mut random = Random::new([3; 32]);
        let mut hits = [0_u32; 7];
        for _ in 0..7_000 {
            hits[random.below(7) as usize] += 1;
        }
        assert!(hits.iter().all(|count| (850..1150).contains(count)), "{hits:?}");
        for bound in [0, 1] {
            assert_eq!(random.below(bound), 0);
        }
        // At this bound four numbers fall on each three; kept without a second draw, multiples of three would come twice
        // as often as the others.
        let bound = 3 << 62;
        let count = (0..3_000).filter(|_| random.below(bound).is_multiple_of(3)).count();
        assert!((850..1150).contains(&count), "{count}");
    }
}
