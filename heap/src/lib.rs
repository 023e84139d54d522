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
    let watch = Watch::begin();
    let result = work();
    (result, watch.so_far())
}

/// Counts what all threads allocate, as long as there is one.
///
/// Nobody else pays for it: threads that count together wait for each other's caches, most of all in what allocates most.
#[derive(Debug)]
#[must_use]
pub struct Watch {
    before: Allocated,
}

impl Watch {
    /// Begins to count.
    pub fn begin() -> Self {
        WATCH_COUNT.fetch_add(1, Ordering::SeqCst);
        Self { before: allocated_by_all() }
    }

    /// Returns what all threads have allocated since the beginning.
    #[must_use]
    pub fn so_far(&self) -> Allocated {
        allocated_by_all().since(self.before)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCH_COUNT.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Does some work, and returns how many octets more than before this thread held at most in it.
pub fn growth<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = held();
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before).unsigned_abs())
}

fn allocated_by_all() -> Allocated {
    let [count, octets, freed] = TOTAL.each_ref().map(|it| it.load(Ordering::Relaxed));
    Allocated { count, octets, freed }
}

fn allocated() -> Allocated {
    ALLOCATED.get()
}

/// What this thread holds; less than nothing, if it gives back what others have allocated.
fn held() -> isize {
    allocated().held()
}

impl Allocated {
    const fn held(self) -> isize {
        self.octets as isize - self.freed as isize
    }

    const fn since(self, before: Self) -> Self {
        Self { count: self.count - before.count, octets: self.octets - before.octets, freed: self.freed - before.freed }
    }
}

thread_local! {
    static ALLOCATED: Cell<Allocated> = const { Cell::new(Allocated { count: 0, octets: 0, freed: 0 }) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// As [`Allocated`], while somebody watches.
static TOTAL: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

static WATCH_COUNT: AtomicUsize = AtomicUsize::new(0);

fn on_alloc(len: usize) {
    let Allocated { count, octets, freed } = ALLOCATED.get();
    let after = Allocated { count: count + 1, octets: octets + len, freed };
    ALLOCATED.set(after);
    PEAK.set(PEAK.get().max(after.held()));
    if WATCH_COUNT.load(Ordering::Relaxed) > 0 {
        TOTAL[0].fetch_add(1, Ordering::Relaxed);
        TOTAL[1].fetch_add(len, Ordering::Relaxed);
    }
}

fn on_dealloc(len: usize) {
    let allocated = ALLOCATED.get();
    ALLOCATED.set(Allocated { freed: allocated.freed + len, ..allocated });
    if WATCH_COUNT.load(Ordering::Relaxed) > 0 {
        TOTAL[2].fetch_add(len, Ordering::Relaxed);
    }
}

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        on_alloc(layout.size());
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        on_dealloc(layout.size());
        // SAFETY: the caller keeps to the contract of `dealloc`, and `pointer` came from the same allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        // As of the worst of allocators, which has to allocate before it can free.
        on_alloc(len);
        on_dealloc(layout.size());
        // SAFETY: the caller keeps to the contract of `realloc`, and `pointer` came from the same allocator.
        unsafe { System.realloc(pointer, layout, len) }
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
