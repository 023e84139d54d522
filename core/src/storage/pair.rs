//! Two numbers in one word.

use core::num::NonZero;

/// Two numbers that are moved about together, as the names of records and blocks are: by the million a second.
///
/// As two fields they would be written one by one and copied both at once, which no processor forwards from its store buffer: each
/// such copy waits until the writes have reached the cache. One word stays in a register, within an `Option` and a `Result` too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Pair(NonZero<u64>);

impl Pair {
    /// Not both may be `u32::MAX`.
    pub(super) const fn new(high: u32, low: u32) -> Self {
        Self(NonZero::<u64>::MIN.saturating_add((high as u64) << 32 | low as u64))
    }

    pub(super) const fn high(self) -> u32 {
        ((self.0.get() - 1) >> 32) as u32
    }

    pub(super) const fn low(self) -> u32 {
        (self.0.get() - 1) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_gives_both_back_and_is_ordered_by_the_first() {
        const MAX: u32 = u32::MAX;
        let numbers = [(0, 0), (0, 1), (0, MAX), (1, 0), (1, MAX), (MAX, 0), (MAX, MAX - 1)];
        let pairs = numbers.map(|(high, low)| Pair::new(high, low));
        assert_eq!(pairs.map(|pair| (pair.high(), pair.low())), numbers);
        assert!(pairs.is_sorted());
        assert_eq!(size_of::<Option<Pair>>(), 8);
    }
}
