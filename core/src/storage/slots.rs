//! A table of elements whose keys go stale when the element leaves.

use core::fmt;

use super::pair::Pair;
use super::{NONE, Store, count_of};

/// A table of at most [`capacity`](Self::capacity) elements, each named by a [`Key`].
///
/// A key names one element and never another that later takes its slot. Internal links (lists, indices) may name an
/// element by its slot's index alone; they must be cut before the element leaves. Every operation takes constant time,
/// except making the table and iterating over it.
pub struct Slots<'s, T> {
    slots: Store<'s, Slot<T>>,
    /// First of the chain of vacant slots, the one left last: its memory is the warmest.
    vacant_head: u32,
    /// Elements and reserved slots.
    len: u32,
}

/// The name of one element of a [`Slots`].
///
/// It stays unmistakable until its slot was reused 2^32 times.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Pair);

impl Key {
    /// Makes the key of an element by its slot, of which there are less than `u32::MAX`, and its generation.
    #[must_use]
    pub(crate) const fn new(index: u32, generation: u32) -> Self {
        Self(Pair::new(index, generation))
    }

    /// Returns which slot it is; below the capacity of the table.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0.high()
    }

    /// Returns which of the slot's elements it is, one after the other.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.0.low()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("index", &self.index()).field("generation", &self.generation()).finish()
    }
}

/// Room for one element, public so that a caller can lend an array of them, in a `static` if it likes.
#[repr(C)]
pub struct Slot<T> {
    /// Generation of the element that is here, or of the next one.
    generation: u32,
    content: Content<T>,
}

enum Content<T> {
    Vacant { next: u32 },
    Occupied(T),
}

impl<T> Slot<T> {
    /// A slot with nothing in it.
    pub const EMPTY: Self = Self { generation: 0, content: Content::Vacant { next: NONE } };
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<'s, T> Slots<'s, T> {
    /// Makes an empty table; drops what the slots held.
    ///
    /// # Panics
    /// If there are more than 2^32 - 2 slots.
    #[must_use]
    pub fn new(mut slots: Store<'s, Slot<T>>) -> Self {
        let count = count_of(&slots);
        for (slot, next) in slots.iter_mut().zip(1..) {
            *slot = Slot { generation: 0, content: Content::Vacant { next: if next < count { next } else { NONE } } };
        }
        Self { slots, vacant_head: if count > 0 { 0 } else { NONE }, len: 0 }
    }

    /// Puts `value` into a vacant slot; `None` (and `value` is dropped) if there is none.
    pub fn insert(&mut self, value: T) -> Option<Key> {
        self.insert_entry(value).map(|(key, _)| key)
    }

    /// As [`insert`](Self::insert), and returns the element beside its key.
    #[inline(always)]
    pub fn insert_entry(&mut self, value: T) -> Option<(Key, &mut T)> {
        if self.len >= self.capacity() {
            return None;
        }
        let index = self.vacant_head;
        let Slot { generation, content } = self.slots.get_mut(index as usize)?;
        if let Content::Vacant { next } = content {
            self.vacant_head = *next;
        }
        *content = Content::Occupied(value);
        self.len += 1;
        Some((Key::new(index, *generation), content.value_mut()?))
    }

    /// Keeps a slot for an element to come, which from here on counts as one; says whether there was one.
    #[must_use]
    pub fn reserve(&mut self) -> bool {
        let has_room = self.len < self.capacity();
        self.len += u32::from(has_room);
        has_room
    }

    /// Gives up a slot that was reserved: the next [`insert`](Self::insert) finds it.
    pub fn unreserve(&mut self) {
        debug_assert!(self.len > 0, "a slot was reserved");
        self.len = self.len.saturating_sub(1);
    }

    /// Takes the element out; `None` if the key is stale.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        let slot = &mut self.slots[key.index() as usize];
        let content = core::mem::replace(&mut slot.content, Content::Vacant { next: self.vacant_head });
        slot.generation = slot.generation.wrapping_add(1);
        self.vacant_head = key.index();
        self.len -= 1;
        content.value()
    }

    /// Drops the element in slot `index`, whichever it is; `None` if it is vacant.
    pub fn vacate(&mut self, index: u32) -> Option<()> {
        let slot = self.slots.get_mut(index as usize)?;
        slot.content.value_ref()?;
        slot.content = Content::Vacant { next: self.vacant_head };
        slot.generation = slot.generation.wrapping_add(1);
        self.vacant_head = index;
        self.len -= 1;
        Some(())
    }

    /// Returns the element; `None` if the key is stale.
    #[must_use]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.slots.get_mut(key.index() as usize).filter(|slot| slot.generation == key.generation())?.content.value_mut()
    }

    /// Returns the element in slot `index`, whichever it is; `None` if it is vacant.
    #[must_use]
    pub fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slots.get_mut(index as usize)?.content.value_mut()
    }

    /// Returns the element in slot `index`, whichever it is, and its key; `None` if it is vacant.
    #[must_use]
    pub fn entry_mut(&mut self, index: u32) -> Option<(Key, &mut T)> {
        let Slot { generation, content } = self.slots.get_mut(index as usize)?;
        Some((Key::new(index, *generation), content.value_mut()?))
    }

    /// Returns the elements in two slots, whichever they are; `None` if one is vacant, or both are the same.
    #[must_use]
    pub fn both_mut(&mut self, indices: [u32; 2]) -> Option<[&mut T; 2]> {
        let [a, b] = self.slots.get_disjoint_mut(indices.map(|index| index as usize)).ok()?;
        Some([a.content.value_mut()?, b.content.value_mut()?])
    }

    /// Returns the element; `None` if the key is stale.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&T> {
        self.slots.get(key.index() as usize).filter(|slot| slot.generation == key.generation())?.content.value_ref()
    }

    /// Returns the element in slot `index`, whichever it is; `None` if it is vacant.
    #[must_use]
    pub fn at(&self, index: u32) -> Option<&T> {
        self.slots.get(index as usize)?.content.value_ref()
    }

    /// Returns the key of the element in slot `index`; `None` if it is vacant.
    #[must_use]
    pub fn key_of(&self, index: u32) -> Option<Key> {
        let slot = self.slots.get(index as usize)?;
        slot.content.value_ref().map(|_| Key::new(index, slot.generation))
    }

    /// Returns the key that the next [`insert`](Self::insert) will give; `None` if the table is full.
    #[must_use]
    pub fn vacancy(&self) -> Option<Key> {
        if self.len >= self.capacity() {
            return None;
        }
        let slot = self.slots.get(self.vacant_head as usize)?;
        Some(Key::new(self.vacant_head, slot.generation))
    }

    /// Iterates over the elements in the order of their slots; takes time in proportion to the capacity.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots
            .iter()
            .zip(0..)
            .filter_map(|(slot, index)| Some((Key::new(index, slot.generation), slot.content.value_ref()?)))
    }

    /// Returns how many elements are in the table, those included that slots are reserved for.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Says whether the table has no element.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns how many elements fit.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.slots.len() as u32
    }
}

impl<T> Content<T> {
    fn value(self) -> Option<T> {
        match self {
            Self::Vacant { .. } => None,
            Self::Occupied(value) => Some(value),
        }
    }

    const fn value_ref(&self) -> Option<&T> {
        match self {
            Self::Vacant { .. } => None,
            Self::Occupied(value) => Some(value),
        }
    }

    const fn value_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Vacant { .. } => None,
            Self::Occupied(value) => Some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::random::Random;

    #[test]
    fn a_key_goes_stale_when_its_element_leaves_even_if_the_slot_is_reused() {
        let mut memory = [Slot::EMPTY; 1];
        let mut slots = Slots::new(Store::lent(&mut memory));
        let old = slots.insert('a').unwrap();
        assert_eq!(slots.remove(old), Some('a'));
        assert_eq!(slots.get(old), None);
        let young = slots.insert('b').unwrap();
        assert_eq!(young.index(), old.index());
        assert_eq!(slots.get(old), None);
        assert_eq!(slots.get_mut(old), None);
        assert_eq!(slots.remove(old), None);
        assert_eq!(slots.get(young), Some(&'b'));
    }

    #[test]
    fn a_full_table_refuses_and_takes_again_after_a_removal() {
        let mut memory = [Slot::EMPTY; 2];
        let mut slots = Slots::new(Store::lent(&mut memory));
        let first = slots.insert(1).unwrap();
        slots.insert(2).unwrap();
        assert_eq!(slots.vacancy(), None);
        assert_eq!(slots.insert(3), None);
        slots.remove(first);
        let vacancy = slots.vacancy();
        assert_eq!(slots.insert(3), vacancy);
        assert_eq!((slots.len(), slots.capacity()), (2, 2));
    }

    #[test]
    fn a_table_without_slots_is_full_and_empty() {
        let mut slots = Slots::new(Store::lent(&mut []));
        assert_eq!(slots.insert(1), None);
        assert!(slots.is_empty());
        assert_eq!(slots.at(0), None);
    }

    #[test]
    fn what_the_lender_left_in_the_slots_is_gone() {
        let mut memory = [Slot::EMPTY; 2];
        let stale = Slots::new(Store::lent(&mut memory)).insert(1).unwrap();
        let slots = Slots::new(Store::lent(&mut memory));
        assert_eq!(slots.get(stale), None);
        assert!(slots.is_empty());
    }

    #[test]
    fn any_sequence_of_operations_agrees_with_a_list_of_pairs() {
        let mut random = Random::new([1; 32]);
        let mut memory = [Slot::EMPTY; 13];
        let mut slots = Slots::new(Store::lent(&mut memory));
        let mut model: Vec<(Key, u64)> = Vec::new();
        let mut stale = Vec::new();
        for value in 0..20_000 {
            if random.below(2) == 0 {
                let key = slots.insert(value);
                assert_eq!(key.is_some(), model.len() < 13);
                model.extend(key.map(|key| (key, value)));
            } else if !model.is_empty() {
                let (key, value) = model.swap_remove(random.below(model.len() as u64) as usize);
                assert_eq!(slots.remove(key), Some(value));
                stale.push(key);
            }
            assert_eq!(slots.len() as usize, model.len());
            for (key, value) in &model {
                assert_eq!(slots.get(*key), Some(value));
                assert_eq!(slots.at(key.index()), Some(value));
                assert_eq!(slots.key_of(key.index()), Some(*key));
            }
        }
        assert!(stale.iter().all(|key| slots.get(*key).is_none()));
        let mut listed: Vec<_> = slots.iter().map(|(key, value)| (key, *value)).collect();
        listed.sort();
        model.sort();
        assert_eq!(listed, model);
    }
}
