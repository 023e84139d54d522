//! Orders of elements that are threaded through the elements themselves.

use core::marker::PhantomData;

use super::{DETACHED, NONE, Slots};

/// A doubly linked list of elements of one [`Slots`], threaded through the elements.
///
/// It holds no element and no memory: an element is on it by its own [`Links`], so a list can never be full. An element
/// can be on several lists at once, one for each marker type `L` that it implements [`Linked`] for. Several lists
/// may share a marker (one queue for each peer); then an element is on at most one of them, and the caller knows on
/// which. Every operation takes constant time.
///
/// Elements are named by slot index. Take an element off its lists before it leaves the slot table.
pub struct List<L> {
    head: u32,
    tail: u32,
    marker: PhantomData<fn() -> L>,
}

/// An element that can be on a list of marker `L`.
pub trait Linked<L> {
    /// Returns the place in the list.
    fn links(&self) -> Links;

    /// Returns the place in the list, to be changed by the list alone.
    fn links_mut(&mut self) -> &mut Links;
}

/// The neighbours of an element on a list, or that it is on none; 8 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Links {
    previous: u32,
    next: u32,
}

impl Links {
    /// The links of an element that is on no list.
    pub const UNLINKED: Self = Self { previous: DETACHED, next: DETACHED };

    /// Says whether the element is on a list.
    #[must_use]
    pub const fn is_linked(self) -> bool {
        self.previous != DETACHED
    }

    /// Takes the element off a list that is being dissolved, from its front; returns the index of the next one.
    pub const fn dissolve(&mut self) -> Option<u32> {
        let next = self.next;
        *self = Self::UNLINKED;
        some(next)
    }
}

impl Default for Links {
    fn default() -> Self {
        Self::UNLINKED
    }
}

// By hand, since the derived one would ask the marker to be `Debug` too.
impl<L> core::fmt::Debug for List<L> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("List").field("head", &self.head).field("tail", &self.tail).finish()
    }
}

impl<L> List<L> {
    /// Makes an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { head: NONE, tail: NONE, marker: PhantomData }
    }

    /// Appends the element in slot `index`, which must be on no list of this marker.
    #[inline(always)]
    pub fn push_back<T: Linked<L>>(&mut self, slots: &mut Slots<'_, T>, index: u32) {
        if self.place(slots, index, Links { previous: self.tail, next: NONE }) {
            self.set_next(slots, self.tail, index);
            self.tail = index;
        }
    }

    /// Prepends the element in slot `index`, which must be on no list of this marker.
    pub fn push_front<T: Linked<L>>(&mut self, slots: &mut Slots<'_, T>, index: u32) {
        self.link(slots, index, Links { previous: NONE, next: self.head });
    }

    /// Inserts the element in slot `index`, which must be on no list of this marker, right before `place` on this list.
    pub fn insert_before<T: Linked<L>>(&mut self, slots: &mut Slots<'_, T>, place: u32, index: u32) {
        if let Some(links) = Self::links(slots, place) {
            self.link(slots, index, Links { previous: links.previous, next: place });
        }
    }

    /// Inserts the element in slot `index`, which must be on no list of this marker, right after `place` on this list.
    pub fn insert_after<T: Linked<L>>(&mut self, slots: &mut Slots<'_, T>, place: u32, index: u32) {
        if let Some(links) = Self::links(slots, place) {
            self.link(slots, index, Links { previous: place, next: links.next });
        }
    }

    /// Takes the first element off the list and returns its index.
    pub fn pop_front<T: Linked<L>>(&mut self, slots: &mut Slots<'_, T>) -> Option<u32> {
        let index = self.front()?;
        self.remove(slots, index);
        Some(index)
    }

    /// Gives up all elements and returns the index of the first. They are linked until each has been taken off, in order, by
    /// [`Links::dissolve`].
    pub const fn dissolve(&mut self) -> Option<u32> {
        let first = some(self.head);
        *self = Self::new();
        first
    }

    /// Takes the elements up to and with the one in slot `last`, which must be on this list, off it and returns them.
    pub fn split_front<T: Linked<L>>(&mut self, slots: &mut Slots<'_, T>, last: u32) -> Self {
        let Some(links) = Self::links(slots, last) else { return Self::new() };
        let front = Self { head: self.head, tail: last, marker: PhantomData };
        self.set_previous(slots, links.next, NONE);
        self.head = links.next;
        if let Some(element) = slots.at_mut(last) {
            element.links_mut().next = NONE;
        }
        front
    }

    /// Appends all elements of another list of the same kind.
    pub fn append<T: Linked<L>>(&mut self, slots: &mut Slots<'_, T>, other: Self) {
        if other.is_empty() {
            return;
        }
        self.set_next(slots, self.tail, other.head);
        if let Some(element) = slots.at_mut(other.head) {
            element.links_mut().previous = self.tail;
        }
        self.tail = other.tail;
    }

    /// Takes the element in slot `index`, which must be on this list, off it.
    #[inline(always)]
    pub fn remove<T: Linked<L>>(&mut self, slots: &mut Slots<'_, T>, index: u32) {
        let Some(element) = slots.at_mut(index).filter(|element| element.links().is_linked()) else {
            debug_assert!(false, "slot {index} is vacant or on no list");
            return;
        };
        let links = core::mem::take(element.links_mut());
        debug_assert!(links.previous != NONE || self.head == index, "slot {index} is on another list");
        debug_assert!(links.next != NONE || self.tail == index, "slot {index} is on another list");
        self.close_gap(slots, links);
    }

    /// As [`remove`](Self::remove), for who has the element at hand: it has taken the links out of it, and gives them here.
    #[inline(always)]
    pub fn close_gap<T: Linked<L>>(&mut self, slots: &mut Slots<'_, T>, taken: Links) {
        debug_assert!(taken.is_linked(), "an element that is on no list leaves no gap");
        self.set_next(slots, taken.previous, taken.next);
        self.set_previous(slots, taken.next, taken.previous);
    }

    /// Returns the index of the first element.
    #[must_use]
    pub const fn front(&self) -> Option<u32> {
        some(self.head)
    }

    /// Returns the index of the last element.
    #[must_use]
    pub const fn back(&self) -> Option<u32> {
        some(self.tail)
    }

    /// Returns the index of the element after the one in slot `index`, which must be on this list.
    #[must_use]
    pub fn next<T: Linked<L>>(&self, slots: &Slots<'_, T>, index: u32) -> Option<u32> {
        some(Self::links(slots, index)?.next)
    }

    /// Returns the index of the element before the one in slot `index`, which must be on this list.
    #[must_use]
    pub fn previous<T: Linked<L>>(&self, slots: &Slots<'_, T>, index: u32) -> Option<u32> {
        some(Self::links(slots, index)?.previous)
    }

    /// Iterates over the indices of the elements, first to last.
    pub fn iter<T: Linked<L>>(&self, slots: &Slots<'_, T>) -> impl Iterator<Item = u32> {
        core::iter::successors(self.front(), |index| self.next(slots, *index))
    }

    /// Says whether no element is on the list.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.head == NONE
    }

    fn link<T: Linked<L>>(&mut self, slots: &mut Slots<'_, T>, index: u32, links: Links) {
        if self.place(slots, index, links) {
            self.set_next(slots, links.previous, index);
            self.set_previous(slots, links.next, index);
        }
    }

    /// Tells an element its neighbours, which are still to learn of it; says whether it was on no list.
    #[inline(always)]
    fn place<T: Linked<L>>(&self, slots: &mut Slots<'_, T>, index: u32, links: Links) -> bool {
        // Refused in release builds too: linking it twice would tie a loop into another list.
        let Some(element) = slots.at_mut(index).filter(|element| !element.links().is_linked()) else {
            debug_assert!(false, "slot {index} is vacant or already on a list");
            return false;
        };
        *element.links_mut() = links;
        true
    }

    /// Makes `next` follow an element, or head the list if there is none.
    fn set_next<T: Linked<L>>(&mut self, slots: &mut Slots<'_, T>, index: u32, next: u32) {
        match slots.at_mut(index) {
            Some(element) => element.links_mut().next = next,
            None => self.head = next,
        }
    }

    /// Makes `previous` come before an element, or end the list if there is none.
    fn set_previous<T: Linked<L>>(&mut self, slots: &mut Slots<'_, T>, index: u32, previous: u32) {
        match slots.at_mut(index) {
            Some(element) => element.links_mut().previous = previous,
            None => self.tail = previous,
        }
    }

    /// Returns the links of an element that must be on a list.
    fn links<T: Linked<L>>(slots: &Slots<'_, T>, index: u32) -> Option<Links> {
        let links = slots.at(index).map(Linked::links).filter(|links| links.is_linked());
        debug_assert!(links.is_some(), "slot {index} is vacant or on no list");
        links
    }
}

impl<L> Default for List<L> {
    fn default() -> Self {
        Self::new()
    }
}

const fn some(index: u32) -> Option<u32> {
    if index == NONE { None } else { Some(index) }
}

#[cfg(test)]
mod tests {
    use alloc::collections::VecDeque;
    use alloc::vec::Vec;

    use super::*;
    use crate::random::Random;
    use crate::storage::{Slot, Store};

    enum Ready {}
    enum Unsent {}

    #[derive(Default)]
    struct Element {
        ready: Links,
        unsent: Links,
    }

    impl Linked<Ready> for Element {
        fn links(&self) -> Links {
            self.ready
        }
        fn links_mut(&mut self) -> &mut Links {
            &mut self.ready
        }
    }

    impl Linked<Unsent> for Element {
        fn links(&self) -> Links {
            self.unsent
        }
        fn links_mut(&mut self) -> &mut Links {
            &mut self.unsent
        }
    }

    #[test]
    fn an_element_is_on_two_lists_at_once() {
        let mut memory = [const { Slot::EMPTY }; 3];
        let mut slots = filled(&mut memory);
        let (mut ready, mut unsent) = (List::<Ready>::new(), List::<Unsent>::new());
        for index in [0, 1, 2] {
            ready.push_back(&mut slots, index);
            unsent.push_front(&mut slots, index);
        }
        ready.remove(&mut slots, 1);
        assert_eq!(ready.iter(&slots).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(unsent.iter(&slots).collect::<Vec<_>>(), [2, 1, 0]);
        assert!(!slots.at(1).unwrap().ready.is_linked());
        assert!(slots.at(1).unwrap().unsent.is_linked());
    }

    #[test]
    #[should_panic(expected = "already on a list")]
    fn pushing_an_element_twice_is_the_callers_bug() {
        let mut memory = [const { Slot::EMPTY }; 1];
        let mut slots = filled(&mut memory);
        let mut list = List::<Ready>::new();
        list.push_back(&mut slots, 0);
        list.push_back(&mut slots, 0);
    }

    #[test]
    #[should_panic(expected = "on no list")]
    fn removing_an_element_that_is_on_no_list_is_the_callers_bug() {
        let mut memory = [const { Slot::EMPTY }; 1];
        let mut slots = filled(&mut memory);
        List::<Ready>::new().remove(&mut slots, 0);
    }

    #[test]
    fn any_sequence_of_operations_agrees_with_a_deque() {
        let mut random = Random::new([2; 32]);
        let mut memory = [const { Slot::EMPTY }; 9];
        let mut slots = filled(&mut memory);
        let mut list = List::<Ready>::new();
        let mut model: VecDeque<u32> = VecDeque::new();
        for _ in 0..20_000 {
            let index = random.below(9) as u32;
            let place = random.below(model.len() as u64) as usize;
            let position = model.iter().position(|linked| *linked == index);
            match (random.below(7), position) {
                (0, None) => {
                    list.push_back(&mut slots, index);
                    model.push_back(index);
                }
                (1, None) => {
                    list.push_front(&mut slots, index);
                    model.push_front(index);
                }
                (2, None) if !model.is_empty() => {
                    list.insert_before(&mut slots, model[place], index);
                    model.insert(place, index);
                }
                (3, None) if !model.is_empty() => {
                    list.insert_after(&mut slots, model[place], index);
                    model.insert(place + 1, index);
                }
                (0..3, Some(position)) => {
                    list.remove(&mut slots, index);
                    model.remove(position);
                }
                (4, _) => assert_eq!(list.pop_front(&mut slots), model.pop_front()),
                (6, _) => {
                    let mut place = list.dissolve();
                    while let Some(index) = place {
                        assert_eq!(model.pop_front(), Some(index));
                        place = slots.at_mut(index).unwrap().ready.dissolve();
                    }
                }
                (5, Some(position)) => {
                    // The front goes behind the rest.
                    let front = list.split_front(&mut slots, index);
                    assert!(front.iter(&slots).eq(model.iter().copied().take(position + 1)));
                    list.append(&mut slots, front);
                    model.rotate_left(position + 1);
                }
                _ => {}
            }
            assert!(list.iter(&slots).eq(model.iter().copied()));
            assert_eq!(list.is_empty(), model.is_empty());
            assert_eq!(list.front(), model.front().copied());
            assert_eq!(list.back(), model.back().copied());
            for index in 0..9 {
                assert_eq!(slots.at(index).unwrap().ready.is_linked(), model.contains(&index));
            }
        }
    }

    fn filled(memory: &mut [Slot<Element>]) -> Slots<'_, Element> {
        let mut slots = Slots::new(Store::lent(memory));
        while slots.insert(Element::default()).is_some() {}
        slots
    }
}
