//! An allocator for tests that say what is allocated. A program that uses this crate has it.
//!
//! It counts for each thread, as tests run beside each other, and for all of them together, for programs of one test.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::alloc::System;

/// What was allocated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocated {
    /// How many times.
    pub count: usize,
    /// How many octets.
    pub octets: usize,
    /// How many octets were given back.
    pub freed: usize,
}

/// Does some work, and returns what this thread allocated in it.
pub fn watch<T>(work: impl FnOnce() -> T) -> (T, Allocated) {
    let before = allocated();
    let result = work();
    (result, allocated().since(before))
}

/// Does some work, and returns what all threads allocated meanwhile.
pub fn watch_all<T>(work: impl FnOnce() -> T) -> (T, Allocated) {
    let before = allocated_by_all();
    let result = work();
    (result, allocated_by_all().since(before))
}

/// Does some work, and returns how many octets more than before this thread held at most in it.
pub fn growth<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = held();
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before).unsigned_abs())
}

/// Returns what all threads have allocated so far.
#[must_use]
pub fn allocated_by_all() -> Allocated {
    let [count, octets, freed] = TOTAL.each_ref().map(|it| it.load(Ordering::Relaxed));
    Allocated { count, octets, freed }
}

fn allocated() -> Allocated {
    ALLOCATED.get()
}

/// What this thread holds; less than nothing, if it gives back what others have allocated.
fn held() -> isize {
    let Allocated { octets, freed, .. } = allocated();
    octets as isize - freed as isize
}

impl Allocated {
    const fn since(self, before: Self) -> Self {
        Self { count: self.count - before.count, octets: self.octets - before.octets, freed: self.freed - before.freed }
    }
}

thread_local! {
    static ALLOCATED: Cell<Allocated> = const { Cell::new(Allocated { count: 0, octets: 0, freed: 0 }) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// As [`Allocated`].
static TOTAL: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

// SAFETY: every call is passed on to the system's allocator as it came. There is no `realloc`: the one that is provided allocates
// before it frees, as the worst of allocators would, and counts as such.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TOTAL[0].fetch_add(1, Ordering::Relaxed);
        TOTAL[1].fetch_add(layout.size(), Ordering::Relaxed);
        let Allocated { count, octets, freed } = ALLOCATED.get();
        ALLOCATED.set(Allocated { count: count + 1, octets: octets + layout.size(), freed });
        PEAK.set(PEAK.get().max(held()));
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        TOTAL[2].fetch_add(layout.size(), Ordering::Relaxed);
        let allocated = ALLOCATED.get();
        ALLOCATED.set(Allocated { freed: allocated.freed + layout.size(), ..allocated });
        // SAFETY: the caller keeps to the contract of `dealloc`, and `pointer` came from the same allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_allocates_is_counted_for_it_and_for_all() {
        const LEN: usize = 100 << 20;
        let (octets, allocated) = watch(|| Vec::<u8>::with_capacity(LEN));
        assert_eq!(allocated, Allocated { count: 1, octets: LEN, freed: 0 });
        assert_eq!(watch(|| drop(octets)).1, Allocated { count: 0, octets: 0, freed: LEN });

        let elsewhere = || std::thread::spawn(|| drop(Vec::<u8>::with_capacity(LEN))).join().unwrap();
        let (((), by_this), by_all) = watch_all(|| watch(elsewhere));
        assert!(by_this.octets < LEN && by_this.freed < LEN, "{by_this:?}");
        assert!(by_all.count > by_this.count && by_all.octets >= LEN && by_all.freed >= LEN, "{by_all:?}");
    }

    #[test]
    fn growth_is_what_is_held_at_most_beside_what_was_there() {
        let _before = vec![7; 5000];
        let (kept, octets) = growth(|| {
            drop(vec![7_u8; 3000]);
            vec![7_u8; 1000]
        });
        assert_eq!((kept.len(), octets), (1000, 3000));
    }
}
