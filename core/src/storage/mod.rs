//! Memory of fixed size and the structures that live in it.
//!
//! Each structure takes [`Store`]s, which the caller lends or which are allocated once, and never asks for more:
//! full is an answer. Elements are named by small indices, so that one element can be in several structures without
//! being moved or copied.
//!
//! ```
//! use posthaste_core::storage::{Slot, Slots, Store};
//!
//! let mut memory = [const { Slot::EMPTY }; 2];
//! let mut calls = Slots::new(Store::lent(&mut memory));
//! let first = calls.insert("first").expect("two slots are vacant");
//! calls.remove(first);
//! let second = calls.insert("second").expect("two slots are vacant");
//! assert_eq!((calls.get(first), calls.get(second)), (None, Some(&"second")));
//! ```
//!
//! | structure | holds | cost of an operation |
//! |---|---|---|
//! | [`Slots`] | elements named by keys that go stale | constant |
//! | [`List`] | an order of elements of a slot table | constant |
//! | [`Index`] | elements found by a hash | constant, expected |
//! | [`Deadlines`] | the next deadline of many | logarithmic |
//! | [`Arena`] | octets of messages, in one piece each | constant or logarithmic |
//! | [`Ranges`] | which octets of a message are there | linear in a small limit |

mod arena;
mod deadlines;
mod index;
mod list;
mod pair;
mod ranges;
mod slots;
mod store;

pub use arena::{Arena, Block, Places};
pub use deadlines::{DeadlineSlot, Deadlines};
pub use index::{Index, NumberHash};
pub use list::{Linked, Links, List};
pub use ranges::{Full, Inserted, RangeNode, RangePool, Ranges};
pub use slots::{Key, Slot, Slots};
pub use store::Store;

/// Stands for "no element" in links; no structure has this many elements.
const NONE: u32 = u32::MAX;

/// Stands for "not linked" in links.
const DETACHED: u32 = u32::MAX - 1;

/// Returns how many elements a store has, as an index one past the last.
///
/// # Panics
/// If indices of 32 bits, less the two reserved ones, do not reach all of them: the caller's mistake, at construction.
fn count_of<T>(store: &Store<'_, T>) -> u32 {
    u32::try_from(store.len()).ok().filter(|count| *count <= DETACHED).expect("a store has at most 2^32 - 2 elements")
}

#[cfg(test)]
mod tests {
    use core::mem::size_of;

    use super::*;

    #[test]
    fn elements_take_no_more_memory_than_their_documentation_says() {
        assert_eq!(size_of::<Block>(), 8);
        assert_eq!(size_of::<DeadlineSlot>(), 16);
        assert_eq!(size_of::<Links>(), 8);
        assert_eq!(size_of::<RangeNode>(), 24);
        assert_eq!(size_of::<Ranges>(), 12);
    }

    #[test]
    fn memory_to_lend_can_be_a_static() {
        static SLOTS: [Slot<u32>; 4] = [const { Slot::EMPTY }; 4];
        static NODES: [RangeNode; 4] = [RangeNode::EMPTY; 4];
        static TREE: [u8; Arena::tree_len(64 * 100)] = [0; Arena::tree_len(64 * 100)];
        assert_eq!((SLOTS.len(), NODES.len(), TREE.len()), (4, 4, 256));
    }
}
