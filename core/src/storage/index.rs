//! Elements found by a hash.

use super::{DETACHED, NONE, Store, count_of};
use crate::siphash::{Key, siphash_2_4_128};

/// Finds elements, which live elsewhere and are named by small indices, by a hash of their key.
///
/// The caller computes the hash with a secret ([`NumberHash`], or [`siphash_1_3`](crate::siphash::siphash_1_3) for octets), so
/// that nobody outside can choose keys that collide; then every operation takes constant time on average if there are at least
/// as many buckets as elements. Memory: 4 octets for each bucket and each element.
pub struct Index<'s> {
    /// First element of each bucket's chain.
    buckets: Store<'s, u32>,
    /// For each element, the next one in its bucket's chain.
    nexts: Store<'s, u32>,
}

impl<'s> Index<'s> {
    /// Makes an empty index with `buckets`, a power of two of them, for elements with an index below the length of
    /// `nexts`.
    ///
    /// # Panics
    /// If the number of buckets is not a power of two, or there are more than 2^32 - 2 elements.
    #[must_use]
    pub fn new(mut buckets: Store<'s, u32>, mut nexts: Store<'s, u32>) -> Self {
        assert!(buckets.len().is_power_of_two(), "an index has a power of two of buckets");
        let _ = count_of(&nexts);
        buckets.fill(NONE);
        nexts.fill(DETACHED);
        Self { buckets, nexts }
    }

    /// Adds the element `index`, which must not be in the index yet.
    ///
    /// # Panics
    /// If `index` is not below the capacity.
    #[inline(always)]
    pub fn insert(&mut self, hash: u64, index: u32) {
        let next = &mut self.nexts[index as usize];
        debug_assert!(*next == DETACHED, "element {index} is already in the index");
        // Refused in release builds too: it would tie a chain into a loop.
        if *next != DETACHED {
            return;
        }
        let bucket = bucket_of(hash, self.buckets.len());
        *next = core::mem::replace(&mut self.buckets[bucket], index);
    }

    /// Removes the element `index`, which must have been inserted with the same `hash`.
    #[inline]
    pub fn remove(&mut self, hash: u64, index: u32) {
        let bucket = bucket_of(hash, self.buckets.len());
        let previous = self.candidates(hash).take_while(|candidate| *candidate != index).last();
        let link = previous.map_or(self.buckets[bucket], |previous| self.nexts[previous as usize]);
        debug_assert!(link == index, "element {index} is not in the index under this hash");
        if link != index {
            return;
        }
        let next = core::mem::replace(&mut self.nexts[index as usize], DETACHED);
        match previous {
            None => self.buckets[bucket] = next,
            Some(previous) => self.nexts[previous as usize] = next,
        }
    }

    /// Returns the element with this hash for which `is_match` holds, the one inserted last if there are several.
    ///
    /// `is_match` compares the whole key: it is asked about elements with other hashes, too.
    #[inline(always)]
    #[must_use]
    pub fn find(&self, hash: u64, mut is_match: impl FnMut(u32) -> bool) -> Option<u32> {
        self.candidates(hash).find(|index| is_match(*index))
    }

    /// Iterates over all elements with this hash, and a few with others, latest first.
    pub fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> {
        let mut index = self.buckets[bucket_of(hash, self.buckets.len())];
        core::iter::from_fn(move || {
            let next = self.nexts.get(index as usize)?;
            Some(core::mem::replace(&mut index, *next))
        })
    }

    /// Returns how many elements the index has room for.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.nexts.len() as u32
    }
}

/// Hashes numbers of three words for an [`Index`], with a secret.
///
/// Multiply-shift, of the first two words as a pair: of two different numbers, whichever they are, the 32 bits of the hash are
/// independent for a secret drawn evenly, so whoever does not see the hashes finds no numbers that collide more often than by chance.
/// A hash never leaves the process. Source: Thorup, "High speed hashing for integers and strings", 2015 (arXiv:1504.06804).
#[derive(Clone, Debug)]
pub struct NumberHash {
    factors: [u64; 3],
    summand: u64,
}

impl NumberHash {
    /// Makes the hash function of a secret key.
    #[must_use]
    pub fn new(key: &Key) -> Self {
        let drawn = |label: &[u8]| u128::from_le_bytes(siphash_2_4_128(key, label));
        let (pair, rest) = (drawn(b"posthaste hash pair"), drawn(b"posthaste hash rest"));
        Self { factors: [pair as u64, (pair >> 64) as u64, rest as u64], summand: (rest >> 64) as u64 }
    }

    /// Returns the hash of a number, in its lower 32 bits.
    #[must_use]
    pub const fn hash(&self, words: [u32; 3]) -> u64 {
        let ([a, b, c], [x, y, z]) = (self.factors, [words[0] as u64, words[1] as u64, words[2] as u64]);
        let pair = a.wrapping_add(y).wrapping_mul(b.wrapping_add(x));
        pair.wrapping_add(c.wrapping_mul(z)).wrapping_add(self.summand) >> 32
    }
}

const fn bucket_of(hash: u64, bucket_count: usize) -> usize {
    hash as usize & (bucket_count - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    #[test]
    fn an_element_is_found_among_others_of_the_same_bucket() {
        let (mut buckets, mut nexts) = ([0; 1], [0; 3]);
        let mut index = Index::new(Store::lent(&mut buckets), Store::lent(&mut nexts));
        for element in 0..3 {
            index.insert(u64::from(element), element);
        }
        assert_eq!(index.find(1, |element| element == 1), Some(1));
        index.remove(1, 1);
        assert_eq!(index.find(1, |element| element == 1), None);
        assert!(index.candidates(1).eq([2, 0]));
    }

    #[test]
    #[should_panic(expected = "already in the index")]
    fn inserting_an_element_twice_is_the_callers_bug() {
        let (mut buckets, mut nexts) = ([0; 2], [0; 2]);
        let mut index = Index::new(Store::lent(&mut buckets), Store::lent(&mut nexts));
        index.insert(0, 1);
        index.insert(1, 1);
    }

    #[test]
    #[should_panic(expected = "not in the index under this hash")]
    fn removing_an_element_that_is_not_there_is_the_callers_bug() {
        let (mut buckets, mut nexts) = ([0; 2], [0; 2]);
        Index::new(Store::lent(&mut buckets), Store::lent(&mut nexts)).remove(0, 1);
    }

    #[test]
    fn any_sequence_of_operations_agrees_with_an_array_of_keys() {
        let mut random = Random::new([4; 32]);
        let numbers = NumberHash::new(&random.octets());
        let hash = |key: u64| numbers.hash(words(key.into()));
        let (mut buckets, mut nexts) = ([0; 16], [0; 40]);
        let mut index = Index::new(Store::lent(&mut buckets), Store::lent(&mut nexts));
        let mut keys: [Option<u64>; 40] = [None; 40];
        for _ in 0..20_000 {
            let element = random.below(40) as u32;
            match keys[element as usize].take() {
                Some(key) => index.remove(hash(key), element),
                None => {
                    let key = random.below(60);
                    if !keys.contains(&Some(key)) {
                        index.insert(hash(key), element);
                        keys[element as usize] = Some(key);
                    }
                }
            }
            for key in 0..60 {
                let found = index.find(hash(key), |element| keys[element as usize] == Some(key));
                assert_eq!(found.map(|element| element as usize), keys.iter().position(|held| *held == Some(key)));
            }
        }
    }

    #[test]
    fn whatever_the_numbers_their_hashes_are_spread_evenly() {
        let numbers = NumberHash::new(&Random::new([7; 32]).octets());
        for stride in [1, 1 << 12, 1 << 40, 1 << 62, 1 << 63, (1 << 64) + 3, (1 << 83) - 1] {
            let mut counts = [0; 256];
            (0..4096).for_each(|index: u128| counts[numbers.hash(words(index * stride)) as usize % 256] += 1);
            // Sixteen each by chance, of which thirteen more is less likely than one in a thousand.
            assert!(counts.iter().all(|count| *count < 48), "{stride}: {counts:?}");
        }
    }

    fn words(number: u128) -> [u32; 3] {
        [0, 32, 64].map(|shift| (number >> shift) as u32)
    }
}
