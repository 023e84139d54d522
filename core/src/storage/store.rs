//! Memory for elements, lent or owned.

use core::ops::{Deref, DerefMut};

/// Memory for `T`: lent by the caller, or (feature `alloc`) owned and allocated once.
///
/// It is a slice that does not say whose it is; its length never changes. What a lent slice contains does not matter:
/// the structure that takes it initialises it.
pub struct Store<'s, T> {
    memory: Memory<'s, T>,
}

enum Memory<'s, T> {
    Lent(&'s mut [T]),
    #[cfg(feature = "alloc")]
    Owned(alloc::boxed::Box<[T]>),
}

impl<'s, T> Store<'s, T> {
    /// Takes memory that the caller lends.
    #[must_use]
    pub const fn lent(memory: &'s mut [T]) -> Self {
        Self { memory: Memory::Lent(memory) }
    }

    /// Allocates `count` elements of the default value.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn owned(count: usize) -> Self
    where
        T: Default,
    {
        Self::owned_with(count, |_| T::default())
    }

    /// Allocates `count` elements, each made by `make` from its index.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn owned_with(count: usize, make: impl FnMut(usize) -> T) -> Self {
        Self { memory: Memory::Owned((0..count).map(make).collect()) }
    }
}

impl<T> Deref for Store<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.memory {
            Memory::Lent(elements) => elements,
            #[cfg(feature = "alloc")]
            Memory::Owned(elements) => elements,
        }
    }
}

impl<T> DerefMut for Store<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.memory {
            Memory::Lent(elements) => elements,
            #[cfg(feature = "alloc")]
            Memory::Owned(elements) => elements,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_to_a_lent_store_is_in_the_lenders_memory() {
        let mut memory = [0; 4];
        Store::lent(&mut memory)[2] = 7;
        assert_eq!(memory, [0, 0, 7, 0]);
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn an_owned_store_needs_no_lender() {
        let store: Store<'static, u32> = Store::owned(3);
        assert_eq!(*store, [0; 3]);
        let store: Store<'static, usize> = Store::owned_with(3, |index| index * 2);
        assert_eq!(*store, [0, 2, 4]);
    }
}
