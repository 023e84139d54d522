//! The next deadline of many.

use super::{NONE, Store, count_of};
use crate::time::Instant;

/// At most one deadline for each id below [`capacity`](Self::capacity), the earliest at hand.
///
/// Ids are small integers, for instance slot indices. Deadlines at the same instant come in the order of their ids, so
/// the order never depends on history. [`first`](Self::first) and [`get`](Self::get) take constant time, the others
/// O(log n) for n deadlines that are set.
pub struct Deadlines<'s> {
    /// Two arrays in one: a heap of the first `len` entries, and for each id its place in the heap.
    slots: Store<'s, DeadlineSlot>,
    len: u32,
}

/// Room for the deadline of one id; 16 octets, public so that a caller can lend an array of them.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineSlot {
    /// The entry at this place of the heap, with `id`; of no meaning from `len` on.
    at: Instant,
    id: u32,
    /// Place in the heap of the id that equals this slot's index; `NONE` if it has no deadline.
    place: u32,
}

/// Compares by instant, then by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Instant,
    id: u32,
}

impl DeadlineSlot {
    /// A slot without a deadline.
    pub const EMPTY: Self = Self { at: Instant::ORIGIN, id: NONE, place: NONE };
}

impl Default for DeadlineSlot {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<'s> Deadlines<'s> {
    /// Makes a heap with no deadline set, for as many ids as there are slots.
    ///
    /// # Panics
    /// If there are more than 2^32 - 2 slots.
    #[must_use]
    pub fn new(mut slots: Store<'s, DeadlineSlot>) -> Self {
        let _ = count_of(&slots);
        slots.fill(DeadlineSlot::EMPTY);
        Self { slots, len: 0 }
    }

    /// Sets the deadline of `id`, whether or not it has one.
    ///
    /// # Panics
    /// If `id` is not below the capacity.
    pub fn set(&mut self, id: u32, at: Instant) {
        let mut place = self.slots[id as usize].place;
        if place == NONE {
            place = self.len;
            self.len += 1;
        }
        self.settle(place, Entry { at, id });
    }

    /// Takes the deadline of `id` away, if it has one.
    ///
    /// # Panics
    /// If `id` is not below the capacity.
    pub fn clear(&mut self, id: u32) {
        let place = core::mem::replace(&mut self.slots[id as usize].place, NONE);
        if place == NONE {
            return;
        }
        self.len -= 1;
        if place != self.len {
            self.settle(place, self.entry(self.len));
        }
    }

    /// Takes the first deadline away if it is not after `now`, and returns its id.
    pub fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let (_, id) = self.first().filter(|(at, _)| *at <= now)?;
        self.clear(id);
        Some(id)
    }

    /// Returns the earliest deadline and its id.
    #[must_use]
    pub fn first(&self) -> Option<(Instant, u32)> {
        let DeadlineSlot { at, id, .. } = *self.slots[..self.len as usize].first()?;
        Some((at, id))
    }

    /// Returns the deadline of `id`.
    ///
    /// # Panics
    /// If `id` is not below the capacity.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<Instant> {
        let place = self.slots[id as usize].place;
        (place != NONE).then(|| self.entry(place).at)
    }

    /// Returns how many deadlines are set.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Says whether no deadline is set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns how many ids there are.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Puts `entry` where it belongs, given that `place` is free to be filled.
    fn settle(&mut self, mut place: u32, entry: Entry) {
        while place > 0 && entry < self.entry(parent(place)) {
            self.put(place, self.entry(parent(place)));
            place = parent(place);
        }
        while let Some(child) = self.earliest_child(place).filter(|child| self.entry(*child) < entry) {
            self.put(place, self.entry(child));
            place = child;
        }
        self.put(place, entry);
    }

    fn put(&mut self, place: u32, entry: Entry) {
        let slot = &mut self.slots[place as usize];
        (slot.at, slot.id) = (entry.at, entry.id);
        self.slots[entry.id as usize].place = place;
    }

    fn entry(&self, place: u32) -> Entry {
        let DeadlineSlot { at, id, .. } = self.slots[place as usize];
        Entry { at, id }
    }

    fn earliest_child(&self, place: u32) -> Option<u32> {
        let first = place.saturating_mul(ARITY).saturating_add(1);
        (first..first.saturating_add(ARITY).min(self.len)).min_by_key(|child| self.entry(*child))
    }
}

const fn parent(place: u32) -> u32 {
    (place - 1) / ARITY
}

/// The four children of a place lie in 64 octets, two cache lines at most, and the heap is half as deep as with two.
const ARITY: u32 = 4;

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use super::*;
    use crate::random::Random;

    #[test]
    fn equal_deadlines_come_in_the_order_of_their_ids() {
        for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 0, 3, 1]] {
            let mut memory = [DeadlineSlot::EMPTY; 5];
            let mut deadlines = Deadlines::new(Store::lent(&mut memory));
            for id in order {
                deadlines.set(id, Instant::from_nanos(9));
            }
            let popped: Vec<_> = core::iter::from_fn(|| deadlines.pop_due(Instant::from_nanos(9))).collect();
            assert_eq!(popped, [0, 1, 2, 3, 4]);
        }
    }

    #[test]
    fn a_deadline_is_due_at_its_instant_and_not_before() {
        let mut memory = [DeadlineSlot::EMPTY; 1];
        let mut deadlines = Deadlines::new(Store::lent(&mut memory));
        deadlines.set(0, Instant::from_nanos(9));
        assert_eq!(deadlines.pop_due(Instant::from_nanos(8)), None);
        assert_eq!(deadlines.pop_due(Instant::from_nanos(9)), Some(0));
        assert_eq!(deadlines.pop_due(Instant::from_nanos(u64::MAX)), None);
    }

    #[test]
    fn any_sequence_of_operations_agrees_with_a_sorted_map() {
        let mut random = Random::new([3; 32]);
        let mut memory = [DeadlineSlot::EMPTY; 50];
        let mut deadlines = Deadlines::new(Store::lent(&mut memory));
        let mut model: BTreeMap<u32, Instant> = BTreeMap::new();
        for _ in 0..20_000 {
            let id = random.below(50) as u32;
            let at = Instant::from_nanos(random.below(40));
            match random.below(4) {
                0 | 1 => {
                    deadlines.set(id, at);
                    model.insert(id, at);
                }
                2 => {
                    deadlines.clear(id);
                    model.remove(&id);
                }
                _ => {
                    let due = model.iter().map(|(id, at)| (*at, *id)).min().filter(|(first, _)| *first <= at);
                    assert_eq!(deadlines.pop_due(at), due.map(|(_, id)| id));
                    due.map(|(_, id)| model.remove(&id));
                }
            }
            assert_eq!(deadlines.first(), model.iter().map(|(id, at)| (*at, *id)).min());
            assert_eq!(deadlines.get(id), model.get(&id).copied());
            assert_eq!(deadlines.len() as usize, model.len());
        }
    }
}
