//! CRC32C, the integrity tag of plain mode.

/// CRC32C (Castagnoli) over octets that arrive in pieces.
///
/// Finds every error of at most three bits, every odd number of wrong bits and every burst of at most 32 bits in a
/// datagram, and misses 1 in 2^32 of the others. It is no authentication: who can write a datagram can write its tag.
/// Polynomial 0x1EDC6F41, reflected, start value and final complement all ones (RFC 3720 §12.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crc32c {
    /// The shift register, before the final complement.
    register: u32,
}

impl Crc32c {
    /// Makes the state of a checksum over no octets.
    #[must_use]
    pub const fn new() -> Self {
        Self { register: u32::MAX }
    }

    /// Appends `octets` to what is checked.
    pub fn update(&mut self, octets: &[u8]) {
        self.register = advance(self.register, octets);
    }

    /// Returns the checksum of all octets so far.
    #[must_use]
    pub const fn finish(self) -> u32 {
        !self.register
    }
}

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the CRC32C of `octets`.
#[must_use]
pub fn crc32c(octets: &[u8]) -> u32 {
    // Octets in one piece need none of the state that those in several do.
    #[cfg(feature = "std")]
    {
        crc_fast::crc32_iscsi(octets)
    }
    #[cfg(not(feature = "std"))]
    {
        !advance(u32::MAX, octets)
    }
}

/// Shifts `octets` through the register, by the processor's own instructions where it has them.
#[cfg(feature = "std")]
fn advance(register: u32, octets: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new_with_init_state(crc_fast::CrcAlgorithm::Crc32Iscsi, u64::from(register));
    digest.update(octets);
    digest.get_state() as u32
}

#[cfg(not(feature = "std"))]
fn advance(register: u32, octets: &[u8]) -> u32 {
    advance_by_table(register, octets)
}

/// Shifts `octets` through the register, eight a step ("slicing by 8").
#[cfg(any(test, not(feature = "std")))]
fn advance_by_table(mut register: u32, octets: &[u8]) -> u32 {
    let (steps, rest) = octets.as_chunks::<8>();
    for step in steps {
        // The register meets the first four octets; the other four pass through tables of their own at the same time.
        let [a, b, c, d, e, f, g, h] = (u64::from_le_bytes(*step) ^ u64::from(register)).to_le_bytes();
        register = TABLES[7][usize::from(a)]
            ^ TABLES[6][usize::from(b)]
            ^ TABLES[5][usize::from(c)]
            ^ TABLES[4][usize::from(d)]
            ^ TABLES[3][usize::from(e)]
            ^ TABLES[2][usize::from(f)]
            ^ TABLES[1][usize::from(g)]
            ^ TABLES[0][usize::from(h)];
    }
    for octet in rest {
        register = (register >> 8) ^ TABLES[0][usize::from(register as u8 ^ octet)];
    }
    register
}

/// `TABLES[n][octet]` is what `octet` followed by `n` zero octets leaves in an empty register; 8 KiB.
#[cfg(any(test, not(feature = "std")))]
static TABLES: [[u32; 256]; 8] = tables();

#[cfg(any(test, not(feature = "std")))]
const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut octet = 0;
    while octet < 256 {
        let mut register = octet as u32;
        let mut bit = 0;
        while bit < 8 {
            register = shift(register);
            bit += 1;
        }
        tables[0][octet] = register;
        octet += 1;
    }
    let mut zeros = 1;
    while zeros < 8 {
        let mut octet = 0;
        while octet < 256 {
            let register = tables[zeros - 1][octet];
            tables[zeros][octet] = (register >> 8) ^ tables[0][(register & 0xFF) as usize];
            octet += 1;
        }
        zeros += 1;
    }
    tables
}

/// Shifts one zero bit through the register.
#[cfg(any(test, not(feature = "std")))]
const fn shift(register: u32) -> u32 {
    if register & 1 == 1 { (register >> 1) ^ POLYNOMIAL_REFLECTED } else { register >> 1 }
}

/// 0x1EDC6F41 (RFC 3720 §12.1), lowest coefficient first.
#[cfg(any(test, not(feature = "std")))]
const POLYNOMIAL_REFLECTED: u32 = 0x82F6_3B78;

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::random::Random;

    #[test]
    fn the_vectors_of_rfc_3720_hold() {
        // RFC 3720 §B.4 prints the octets of the tag in the order they are sent.
        let ascending: [u8; 32] = core::array::from_fn(|index| index as u8);
        let descending: [u8; 32] = core::array::from_fn(|index| 31 - index as u8);
        let mut read_command = [0; 48];
        read_command[0] = 0x01;
        read_command[1] = 0xC0;
        read_command[16] = 0x14;
        read_command[22] = 0x04;
        read_command[27] = 0x14;
        read_command[31] = 0x18;
        read_command[32] = 0x28;
        read_command[40] = 0x02;
        for (octets, tag) in [
            (&[0; 32][..], [0xAA, 0x36, 0x91, 0x8A]),
            (&[0xFF; 32], [0x43, 0xAB, 0xA8, 0x62]),
            (&ascending, [0x4E, 0x79, 0xDD, 0x46]),
            (&descending, [0x5C, 0xDB, 0x3F, 0x11]),
            (&read_command, [0x56, 0x3A, 0x96, 0xD9]),
        ] {
            assert_eq!(crc32c(octets).to_le_bytes(), tag);
        }
    }

    #[test]
    fn table_processor_and_bit_by_bit_agree_on_every_length_and_every_split() {
        let mut random = Random::new([1; 32]);
        let mut octets = [0; 2_000];
        random.fill(&mut octets);
        for len in (0..300).chain([1199, 1200, 1201, 2000]) {
            let octets = &octets[..len];
            let bit_by_bit = octets.iter().fold(u32::MAX, |register, octet| {
                (0..8).fold(register ^ u32::from(*octet), |register, _| shift(register))
            });
            assert_eq!(advance_by_table(u32::MAX, octets), bit_by_bit);
            let mut crc = Crc32c::new();
            let (front, back) = octets.split_at(random.below(len as u64 + 1) as usize);
            crc.update(front);
            crc.update(back);
            assert_eq!(crc.finish(), !bit_by_bit);
        }
    }

    #[test]
    fn every_error_of_one_or_two_bits_in_a_small_datagram_is_found() {
        let mut datagram = [0x5A; 40];
        tag(&mut datagram);
        let bit_count = datagram.len() * 8;
        for first in 0..bit_count {
            flip(&mut datagram, first);
            assert!(!is_intact(&datagram));
            for second in first + 1..bit_count {
                flip(&mut datagram, second);
                assert!(!is_intact(&datagram), "bits {first} and {second}");
                flip(&mut datagram, second);
            }
            flip(&mut datagram, first);
        }
        assert!(is_intact(&datagram));
    }

    #[test]
    fn no_two_or_three_wrong_bits_of_the_longest_datagram_cancel_out() {
        // The checksum is linear: wrong bits go unseen only if what each alone changes in it adds up to zero.
        let mut register = 1 << 31;
        let mut changes: Vec<u32> = vec![0; 65_535 * 8];
        for change in &mut changes {
            *change = register;
            register = shift(register);
        }
        assert!(changes.iter().all(|change| change.count_ones() % 2 == 1), "an odd number never adds up to zero");
        changes.sort_unstable();
        assert!(changes.windows(2).all(|pair| pair[0] != pair[1]));
    }

    fn tag(datagram: &mut [u8]) {
        let (body, tag) = datagram.split_last_chunk_mut::<4>().expect("a datagram has room for its tag");
        *tag = crc32c(body).to_le_bytes();
    }

    fn is_intact(datagram: &[u8]) -> bool {
        let (body, tag) = datagram.split_last_chunk::<4>().expect("a datagram has room for its tag");
        crc32c(body).to_le_bytes() == *tag
    }

    fn flip(datagram: &mut [u8], bit: usize) {
        datagram[bit / 8] ^= 1 << (bit % 8);
    }
}
