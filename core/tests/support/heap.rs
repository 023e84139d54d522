//! An allocator that counts what one thread allocates while it is watched.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

#[global_allocator]
static HEAP: Heap = Heap;

struct Heap;

/// What was allocated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allocated {
    pub(crate) count: usize,
    pub(crate) octets: usize,
    /// Octets that were given back.
    pub(crate) freed: usize,
}

thread_local! {
    static ALLOCATED: Cell<Allocated> = const { Cell::new(Allocated { count: 0, octets: 0, freed: 0 }) };
}

/// Returns what this thread has allocated so far.
pub(crate) fn allocated() -> Allocated {
    ALLOCATED.get()
}

/// Does some work, and returns what was allocated in it.
pub(crate) fn watch<T>(work: impl FnOnce() -> T) -> (T, Allocated) {
    let before = allocated();
    let result = work();
    let after = allocated();
    let Allocated { count, octets, freed } = before;
    (result, Allocated { count: after.count - count, octets: after.octets - octets, freed: after.freed - freed })
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Allocated { count, octets, freed } = ALLOCATED.get();
        ALLOCATED.set(Allocated { count: count + 1, octets: octets + layout.size(), freed });
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let allocated = ALLOCATED.get();
        ALLOCATED.set(Allocated { freed: allocated.freed + layout.size(), ..allocated });
        // SAFETY: the caller keeps to the contract of `dealloc`, and `pointer` came from the same allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}
