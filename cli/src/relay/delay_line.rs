//! Datagrams under way, by the time at which they arrive.

use alloc::collections::BinaryHeap;
use alloc::collections::binary_heap::PeekMut;
use core::cmp::{Ordering, Reverse};

use posthaste_core::Instant;

/// Holds datagrams until they are due, within a limit of memory; `K` says whose they are.
pub(super) struct DelayLine<K> {
    heap: BinaryHeap<Reverse<Held<K>>>,
    held_len: u64,
    held_len_max: u64,
    pushed_count: u64,
}

/// A datagram under way.
pub(super) struct Held<K> {
    at: Instant,
    /// Datagrams of the same instant leave in the order in which they came.
    order: u64,
    /// Whose it is.
    pub(super) key: K,
    /// Its payload.
    pub(super) octets: Box<[u8]>,
}

/// No room for this datagram; there will be when others have left.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<K> DelayLine<K> {
    /// Makes an empty line that takes at most `held_len_max` octets of memory.
    pub(super) fn new(held_len_max: u64) -> Self {
        Self { heap: BinaryHeap::new(), held_len: 0, held_len_max, pushed_count: 0 }
    }

    /// Takes a datagram in, to be due at `at`.
    pub(super) fn push(&mut self, at: Instant, key: K, octets: &[u8]) -> Result<(), Full> {
        let len = Self::memory_len(octets);
        if self.held_len + len > self.held_len_max {
            return Err(Full);
        }
        self.held_len += len;
        self.pushed_count += 1;
        self.heap.push(Reverse(Held { at, order: self.pushed_count, key, octets: octets.into() }));
        Ok(())
    }

    /// Takes the first datagram out that is due at `now`.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Held<K>> {
        let next = self.heap.peek_mut().filter(|next| next.0.at <= now)?;
        let Reverse(held) = PeekMut::pop(next);
        self.held_len -= Self::memory_len(&held.octets);
        Some(held)
    }

    /// Returns when the first datagram is due.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|next| next.0.at)
    }

    /// Returns the keys of all that are under way, in no order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.heap.iter().map(|held| &held.0.key)
    }

    /// Returns what a datagram takes; without its entry, any number of empty ones would be free.
    fn memory_len(octets: &[u8]) -> u64 {
        (size_of::<Held<K>>() + octets.len()) as u64
    }
}

impl<K> Ord for Held<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl<K> PartialOrd for Held<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> PartialEq for Held<K> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<K> Eq for Held<K> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_leave_when_they_are_due_and_in_order_within_an_instant() {
        let mut line = DelayLine::new(1000);
        for (at, key) in [(20, 'c'), (10, 'a'), (20, 'd'), (10, 'b')] {
            line.push(Instant::from_nanos(at), key, b"x").unwrap();
        }
        assert_eq!(line.next_at(), Some(Instant::from_nanos(10)));
        assert_eq!(drain(&mut line, 9), "");
        assert_eq!(drain(&mut line, 10), "ab");
        assert_eq!(line.keys().count(), 2);
        assert_eq!(drain(&mut line, 100), "cd");
        assert_eq!(line.next_at(), None);
    }

    #[test]
    fn a_full_line_refuses_until_something_has_left() {
        let room = 2 * size_of::<Held<char>>() as u64 + 10;
        let mut line = DelayLine::new(room);
        line.push(Instant::ORIGIN, 'a', &[0; 10]).unwrap();
        assert_eq!(line.push(Instant::ORIGIN, 'b', &[0]), Err(Full));
        assert_eq!(line.push(Instant::ORIGIN, 'c', &[]), Ok(()));
        assert_eq!(line.push(Instant::ORIGIN, 'd', &[]), Err(Full));
        assert_eq!(drain(&mut line, 0), "ac");
        assert_eq!(line.push(Instant::ORIGIN, 'e', &[0; 10]), Ok(()));
    }

    fn drain(line: &mut DelayLine<char>, now: u64) -> String {
        core::iter::from_fn(|| line.pop_due(Instant::from_nanos(now))).map(|held| held.key).collect()
    }
}
