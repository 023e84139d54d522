//! Draws that a seed repeats.

use crate::value::Percentage;

/// SplitMix64: one addition and a mix for each draw (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number
/// generators"). Good enough for faults, and not for secrets.
#[derive(Clone, Debug)]
pub(super) struct Prng(u64);

impl Prng {
    /// Starts a generator; nearby seeds give unrelated draws.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Draws a number below `end`, or zero if `end` is zero.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        scale(self.next(), end)
    }

    /// Draws whether something happens that happens with this share.
    pub(super) fn happens(&mut self, share: Percentage) -> bool {
        self.below(1_000_000) < u64::from(share.per_million())
    }
}

/// Maps 64 random bits to a number below `end`, each nearly as likely as any other.
pub(super) fn scale(bits: u64, end: u64) -> u64 {
    let high = (u128::from(bits) * u128::from(end)) >> 64;
    u64::try_from(high).expect("the upper half of 128 bits has 64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draws_of_seed_0_are_those_of_the_reference_implementation() {
        let mut prng = Prng::new(0);
        assert_eq!([prng.next(), prng.next()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }

    #[test]
    fn numbers_stay_below_their_end() {
        let mut prng = Prng::new(7);
        assert!((0..1000).all(|_| prng.below(3) < 3));
        assert_eq!(scale(u64::MAX, 10), 9);
        assert_eq!(scale(u64::MAX, 0), 0);
    }

    #[test]
    fn never_and_always_are_exact() {
        let mut prng = Prng::new(7);
        let (never, always) = ("0%".parse().unwrap(), "100%".parse().unwrap());
        assert!((0..1000).all(|_| !prng.happens(never) && prng.happens(always)));
    }
}
