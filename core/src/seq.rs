//! Datagram numbers: the memory of those that arrived. Their short form is [`TruncatedNumber`](crate::wire::TruncatedNumber).
//!
//! Numbers count from zero, stay below 2^62 and are never used twice within a conversation.

use core::ops::RangeInclusive;

/// The largest datagram number there is (RFC 9000 §12.3).
pub const NUMBER_MAX: u64 = (1 << 62) - 1;

/// Count of the newest numbers that a [`ReceiveWindow`] can tell apart. Our choice.
pub const RECEIVE_WINDOW_LEN: u64 = 1024;

/// How the number of an arriving datagram follows the largest before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It is the first of all, or one more than the largest.
    Next,
    /// Numbers before it are missing.
    AfterGap,
    /// A larger one came first.
    Late,
}

/// The numbers that arrived: refuses each second copy, and lists what to acknowledge.
///
/// It holds the newest [`RECEIVE_WINDOW_LEN`] numbers in a ring of bits (as RFC 6479 does for IPsec). What is older counts
/// as seen: a datagram that late is dropped, and sent again by its sender under a fresh number.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct ReceiveWindow {
    /// Bit `n % 64` of word `n / 64 % WORD_COUNT` says whether `n` arrived.
    words: [u64; WORD_COUNT],
    largest: Option<u64>,
    /// Numbers below are not listed any more.
    reported_below: u64,
}

impl ReceiveWindow {
    /// Makes an empty window.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Records an arrival and says how it follows the others.
    ///
    /// Only after the datagram proved authentic: a forged number must not move the window. A number that is not fresh changes nothing.
    pub fn record(&mut self, number: u64) -> Order {
        if !self.is_fresh(number) {
            return Order::Late;
        }
        let order = match self.largest {
            None => Order::Next,
            Some(largest) if number <= largest => Order::Late,
            Some(largest) if number == largest + 1 => Order::Next,
            Some(_) => Order::AfterGap,
        };
        if order != Order::Late {
            let words_used = self.largest.map_or(0, |largest| largest / 64 + 1);
            for word in (words_used..=number / 64).take(WORD_COUNT) {
                self.words[slot(word)] = 0;
            }
            self.largest = Some(number);
        }
        self.words[slot(number / 64)] |= 1 << (number % 64);
        order
    }

    /// Stops listing the numbers below `number`, because the peer knows that they arrived (RFC 9000 §13.2.4).
    ///
    /// They still count as seen. One of them that arrives only after that is not listed, and its sender sends it again.
    pub fn forget_below(&mut self, number: u64) {
        self.reported_below = self.reported_below.max(number);
    }

    /// Returns whether `number` did not arrive before and is not too old to tell.
    #[must_use]
    pub fn is_fresh(&self, number: u64) -> bool {
        match self.largest {
            Some(largest) if number <= largest => {
                number >= self.oldest() && self.words[slot(number / 64)] & (1 << (number % 64)) == 0
            }
            Some(_) | None => number <= NUMBER_MAX,
        }
    }

    /// Returns the largest number that arrived.
    #[must_use]
    pub const fn largest(&self) -> Option<u64> {
        self.largest
    }

    /// Lists the runs of numbers that arrived, newest first.
    ///
    /// At most half as many as the window holds numbers; a caller with less room takes the first ones.
    #[must_use]
    pub fn ranges(&self) -> Ranges<'_> {
        Ranges { window: self, next: self.largest, floor: self.oldest().max(self.reported_below) }
    }

    /// The oldest number that the window still knows about.
    fn oldest(&self) -> u64 {
        self.largest.map_or(0, |largest| largest.saturating_sub(RECEIVE_WINDOW_LEN - 1))
    }

    /// Finds the highest number from `floor` to `from` that arrived, or that did not.
    fn highest(&self, sought: Sought, from: u64, floor: u64) -> Option<u64> {
        let mut number = from;
        while number >= floor {
            let word = match sought {
                Sought::Seen => self.words[slot(number / 64)],
                Sought::Missing => !self.words[slot(number / 64)],
            };
            // Moves the bit of `number` to the top, so that larger numbers fall out.
            let not_above = word << (63 - number % 64);
            if not_above != 0 {
                let found = number - u64::from(not_above.leading_zeros());
                return (found >= floor).then_some(found);
            }
            number = (number - number % 64).checked_sub(1)?;
        }
        None
    }
}

/// Iterator over the runs of a [`ReceiveWindow`], newest first.
#[derive(Clone, Debug)]
pub struct Ranges<'w> {
    window: &'w ReceiveWindow,
    next: Option<u64>,
    floor: u64,
}

impl Iterator for Ranges<'_> {
    type Item = RangeInclusive<u64>;

    fn next(&mut self) -> Option<Self::Item> {
        let last = self.window.highest(Sought::Seen, self.next.take()?, self.floor)?;
        let missing = self.window.highest(Sought::Missing, last, self.floor);
        self.next = missing.and_then(|missing| missing.checked_sub(1));
        Some(missing.map_or(self.floor, |missing| missing + 1)..=last)
    }
}

#[derive(Clone, Copy)]
enum Sought {
    Seen,
    Missing,
}

fn slot(word: u64) -> usize {
    (word % WORD_COUNT as u64) as usize
}

/// One word more than the window needs: the word that the newest number opens is emptied whole, and must not hold any of the
/// window's oldest.
const WORD_COUNT: usize = RECEIVE_WINDOW_LEN as usize / 64 + 1;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn a_number_is_fresh_once() {
        let mut window = ReceiveWindow::new();
        assert!(window.is_fresh(7));
        assert_eq!(window.record(7), Order::Next);
        assert!(!window.is_fresh(7));
        assert_eq!(window.record(8), Order::Next);
        assert_eq!(window.record(10), Order::AfterGap);
        assert_eq!(window.record(9), Order::Late);
        assert!(!window.is_fresh(NUMBER_MAX + 1));
        window.record(u64::MAX);
        assert_eq!(window.largest(), Some(10));
    }

    #[test]
    fn a_number_older_than_the_window_is_refused_and_the_oldest_inside_is_not() {
        let mut window = ReceiveWindow::new();
        window.record(5000);
        assert!(window.is_fresh(5000 - RECEIVE_WINDOW_LEN + 1));
        assert!(!window.is_fresh(5000 - RECEIVE_WINDOW_LEN));
        window.record(5000 - RECEIVE_WINDOW_LEN);
        assert_eq!(window.ranges().collect::<Vec<_>>(), [5000..=5000]);
    }

    #[test]
    fn a_leap_empties_the_window() {
        let mut window = ReceiveWindow::new();
        (0..2000).for_each(|number| {
            window.record(number);
        });
        window.record(NUMBER_MAX);
        assert_eq!(window.ranges().collect::<Vec<_>>(), [NUMBER_MAX..=NUMBER_MAX]);
        assert!(window.is_fresh(NUMBER_MAX - 1));
    }

    #[test]
    fn what_the_peer_knows_is_not_listed_and_still_not_fresh() {
        let mut window = ReceiveWindow::new();
        for number in [0, 1, 2, 5, 6, 9] {
            window.record(number);
        }
        assert_eq!(window.ranges().collect::<Vec<_>>(), [9..=9, 5..=6, 0..=2]);
        window.forget_below(6);
        window.forget_below(3);
        assert_eq!(window.ranges().collect::<Vec<_>>(), [9..=9, 6..=6]);
        assert!(!window.is_fresh(5));
        assert!(window.is_fresh(3));
        window.forget_below(10);
        assert_eq!(window.ranges().next(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_window_agrees_with_a_set(start in 0..NUMBER_MAX - 100_000, steps in prop::collection::vec((-1100i64..80, 0u8..20), 1..400)) {
            let mut window = ReceiveWindow::new();
            let mut seen = BTreeSet::new();
            let mut floor = 0;
            let mut largest: Option<u64> = None;
            for (step, kind) in steps {
                let leap = if kind == 0 { step.abs() } else { step / i64::from(kind) };
                let number = largest.map_or(start, |largest| largest.saturating_add_signed(leap));
                let oldest = largest.map_or(0, |largest| largest.saturating_sub(1023));
                prop_assert_eq!(window.is_fresh(number), number >= oldest && !seen.contains(&number));
                if window.is_fresh(number) {
                    window.record(number);
                    seen.insert(number);
                    largest = largest.max(Some(number));
                }
                if kind == 1 {
                    floor = floor.max(number);
                    window.forget_below(number);
                }
                let oldest = largest.map_or(0, |largest| largest.saturating_sub(1023)).max(floor);
                let expected: Vec<u64> = seen.iter().rev().copied().filter(|&number| number >= oldest).collect();
                let ranges: Vec<_> = window.ranges().collect();
                prop_assert!(ranges.windows(2).all(|pair| *pair[1].end() + 1 < *pair[0].start()));
                prop_assert_eq!(ranges.into_iter().flat_map(Iterator::rev).collect::<Vec<_>>(), expected);
                prop_assert_eq!(window.largest(), largest);
            }
        }
    }
}
