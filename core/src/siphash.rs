//! SipHash: a short keyed function for tokens, ids and tables.
//!
//! SipHash-2-4 is a pseudo-random function: who has not got the key cannot foresee its value or find inputs that
//! collide. Its 128-bit form makes tokens. The table of addresses takes SipHash-1-3, which is about half the work and, as
//! the output never leaves the process, strong enough against chosen collisions (the choice of the Rust and Python
//! standard libraries). Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012, and their reference code for
//! 128 bits.

/// A secret of 128 bits, drawn from [`Random`](crate::random::Random).
pub type Key = [u8; 16];

/// Returns SipHash-2-4 of `octets`.
#[must_use]
pub fn siphash_2_4(key: &Key, octets: &[u8]) -> u64 {
    let mut state = State::new(key);
    state.absorb::<2>(octets);
    state.lanes[2] ^= 0xFF;
    state.squeeze::<4>()
}

/// Returns SipHash-2-4-128 of `octets`.
#[must_use]
pub fn siphash_2_4_128(key: &Key, octets: &[u8]) -> [u8; 16] {
    let mut state = State::new(key);
    state.lanes[1] ^= 0xEE;
    state.absorb::<2>(octets);
    state.lanes[2] ^= 0xEE;
    let low = state.squeeze::<4>();
    state.lanes[1] ^= 0xDD;
    let high = state.squeeze::<4>();
    (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
}

/// Returns SipHash-1-3 of `octets`, for lookups in tables.
#[must_use]
pub fn siphash_1_3(key: &Key, octets: &[u8]) -> u64 {
    let mut state = State::new(key);
    state.absorb::<1>(octets);
    state.lanes[2] ^= 0xFF;
    state.squeeze::<3>()
}

struct State {
    lanes: [u64; 4],
}

impl State {
    fn new(key: &Key) -> Self {
        let key = u128::from_le_bytes(*key);
        let (low, high) = (key as u64, (key >> 64) as u64);
        // "somepseudorandomlygeneratedbytes".
        Self {
            lanes: [
                low ^ 0x736f_6d65_7073_6575,
                high ^ 0x646f_7261_6e64_6f6d,
                low ^ 0x6c79_6765_6e65_7261,
                high ^ 0x7465_6462_7974_6573,
            ],
        }
    }

    fn absorb<const ROUNDS: usize>(&mut self, octets: &[u8]) {
        let (words, rest) = octets.as_chunks();
        for word in words {
            self.absorb_word::<ROUNDS>(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        last[7] = octets.len() as u8;
        self.absorb_word::<ROUNDS>(u64::from_le_bytes(last));
    }

    fn absorb_word<const ROUNDS: usize>(&mut self, word: u64) {
        self.lanes[3] ^= word;
        self.rounds::<ROUNDS>();
        self.lanes[0] ^= word;
    }

    fn squeeze<const ROUNDS: usize>(&mut self) -> u64 {
        self.rounds::<ROUNDS>();
        self.lanes.iter().fold(0, |sum, lane| sum ^ lane)
    }

    fn rounds<const ROUNDS: usize>(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.lanes;
        for _ in 0..ROUNDS {
            a = a.wrapping_add(b);
            c = c.wrapping_add(d);
            b = b.rotate_left(13) ^ a;
            d = d.rotate_left(16) ^ c;
            a = a.rotate_left(32).wrapping_add(d);
            c = c.wrapping_add(b);
            d = d.rotate_left(21) ^ a;
            b = b.rotate_left(17) ^ c;
            c = c.rotate_left(32);
        }
        self.lanes = [a, b, c, d];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the reference vectors, whose inputs are 0, 1, 2, … of every length below 64.
    const KEY: Key = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    #[test]
    fn the_reference_vectors_hold() {
        let ascending: [u8; 63] = core::array::from_fn(|index| index as u8);
        for (len, output_2_4, output_2_4_128, output_1_3) in [
            (0, 0x310E_0EDD_47DB_6F72, 0xA381_7F04_BA25_A8E6_6DF6_7214_C755_0293, 0xDCC4_0F05_5801_ACAB),
            (1, 0xFD67_DC93_C539_F874, 0xDA87_C1D8_6B99_AF44_3476_5911_9B22_FC45, 0x93CA_577D_F39B_F4C9),
            (7, 0x37D1_018B_F500_02AB, 0xA1F1_EBBE_D8DB_C153_C0B8_4AA6_1FF0_8239, 0x4011_B19B_987D_92D3),
            (8, 0x6224_939A_79F5_F593, 0x3B62_A9BA_6258_F561_0F83_E264_F314_97B4, 0x8E9A_298D_1195_9036),
            (15, 0xE545_BE49_61CA_29A1, 0x5493_E999_33B0_A811_7E08_EC0F_97CF_C3D9, 0x5699_512A_6DD8_20D3),
            (16, 0xDB9B_C257_7FCC_2A3F, 0x6EE2_A4CA_67B0_54BB_FD33_15BF_8523_0577, 0x668B_907D_1ADD_4FCC),
            (63, 0x7245_06EB_4C32_8A95, 0x5150_D177_2F50_834A_503E_069A_973F_BD7C, 0xA8B3_BBB7_6290_199D_u64),
        ] {
            // The vectors are printed as octets, lowest first.
            assert_eq!(siphash_2_4(&KEY, &ascending[..len]).to_le_bytes(), u64::to_be_bytes(output_2_4));
            assert_eq!(siphash_2_4_128(&KEY, &ascending[..len]), u128::to_be_bytes(output_2_4_128));
            assert_eq!(siphash_1_3(&KEY, &ascending[..len]).to_le_bytes(), output_1_3.to_be_bytes());
        }
    }

    #[test]
    fn all_sixty_four_reference_vectors_hold() {
        // The hash of all 64 outputs in a row stands for the table of the reference code.
        let ascending: [u8; 63] = core::array::from_fn(|index| index as u8);
        let mut outputs = [0; 64 * 8];
        let mut outputs_128 = [0; 64 * 16];
        for len in 0..64 {
            outputs[len * 8..][..8].copy_from_slice(&siphash_2_4(&KEY, &ascending[..len]).to_le_bytes());
            outputs_128[len * 16..][..16].copy_from_slice(&siphash_2_4_128(&KEY, &ascending[..len]));
        }
        assert_eq!(siphash_2_4(&KEY, &outputs).to_le_bytes(), 0x1901_7FD3_6B70_5C50_u64.to_be_bytes());
        let folded = 0x7520_D734_8FB9_88F9_2962_5CB3_FF11_2755_u128;
        assert_eq!(siphash_2_4_128(&KEY, &outputs_128), folded.to_be_bytes());
    }
}
