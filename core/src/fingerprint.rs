//! Fingerprints of requests, to tell a repetition from another request with the same number.

use crate::wire::checksum::crc32c;

/// Returns the fingerprint of a request. It stays here, and guards against a caller's mistake, not against an attack: whoever can
/// make another request with the same fingerprint deceives nobody but itself.
#[must_use]
pub fn fingerprint(octets: &[u8]) -> u32 {
    if octets.len() > SHORT_LEN_MAX {
        return crc32c(octets);
    }
    let (words, rest) = octets.as_chunks();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let state = words.iter().fold(octets.len() as u64, |state, word| mix(state, u64::from_le_bytes(*word)));
    (mix(state, u64::from_le_bytes(last)) >> 32) as u32
}

const fn mix(state: u64, word: u64) -> u64 {
    (state.rotate_left(23) ^ word).wrapping_mul(FACTOR)
}

/// Up to here a few multiplications are cheaper than to begin a checksum: measured, 30 instructions instead of 110 for 32 octets.
const SHORT_LEN_MAX: usize = 64;
/// 2^64 divided by the golden ratio, as in Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, §6.4).
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_differ_in_one_bit_or_in_length_have_different_fingerprints() {
        for len in 0..=80 {
            let octets = [7; 80];
            let whole = fingerprint(&octets[..len]);
            for bit in 0..8 * len {
                let mut other = octets;
                other[bit / 8] ^= 1 << (bit % 8);
                assert_ne!(fingerprint(&other[..len]), whole, "bit {bit} of {len} octets");
            }
            for shorter in 0..len {
                assert_ne!(fingerprint(&octets[..shorter]), whole, "{shorter} of {len} octets");
                assert_ne!(fingerprint(&[0; 80][..shorter]), fingerprint(&[0; 80][..len]), "{shorter} of {len} zeros");
            }
        }
    }
}
