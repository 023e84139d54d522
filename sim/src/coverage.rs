//! Points that a good set of seeds reaches at least once.

use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counts that the interesting thing called `$name` happened; with a condition, only when it holds.
///
/// Counts add up over all threads and seeds of a process and are read with [`coverage::report`](crate::coverage::report).
///
/// ```
/// let (retries, answered) = (1, true);
/// posthaste_sim::sometimes!("a call was answered");
/// posthaste_sim::sometimes!(answered && retries > 0, "a call was answered after a retry");
/// posthaste_sim::coverage::assert_reached(&["a call was answered after a retry"]);
/// ```
#[macro_export]
macro_rules! sometimes {
    ($name:literal) => {{
        static POINT: $crate::coverage::Point = $crate::coverage::Point::new($name);
        POINT.hit();
    }};
    ($condition:expr, $name:literal) => {
        if $condition {
            $crate::sometimes!($name);
        }
    };
}

/// One place in the code that counts how often it was reached. Made by [`sometimes!`](crate::sometimes).
#[derive(Debug)]
pub struct Point {
    name: &'static str,
    count: AtomicU64,
}

impl Point {
    /// Makes a point; the same name at several places is one entry of the report.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, count: AtomicU64::new(0) }
    }

    /// Counts one visit.
    pub fn hit(&'static self) {
        if self.count.fetch_add(1, Ordering::Relaxed) == 0 {
            POINTS.lock().unwrap_or_else(PoisonError::into_inner).push(self);
        }
    }
}

/// Returns the points reached so far in this process, by name, with their counts.
#[must_use]
pub fn report() -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for point in POINTS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        *counts.entry(point.name).or_default() += point.count.load(Ordering::Relaxed);
    }
    counts
}

/// Asserts that each of `names` was reached.
///
/// # Panics
/// If one was not; the message names all that are missing.
pub fn assert_reached(names: &[&str]) {
    let report = report();
    let missing: Vec<_> = names.iter().filter(|name| !report.contains_key(*name)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
}

/// The points reached at least once. A point enters when first hit: what was never hit is known to the caller alone.
static POINTS: Mutex<Vec<&'static Point>> = Mutex::new(Vec::new());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_reported_with_its_count_once_it_was_reached() {
        for index in 0..5 {
            sometimes!(index % 2 == 0, "an even number came by");
            sometimes!(index > 10, "a large number came by");
        }
        assert_eq!(report().get("an even number came by"), Some(&3));
        assert_eq!(report().get("a large number came by"), None);
    }

    #[test]
    #[should_panic(expected = "never reached: [\"nobody comes here\"]")]
    fn a_point_that_was_never_reached_is_named() {
        assert_reached(&["nobody comes here"]);
    }
}
