//! A fixed number of calls kept open, whose replies come in order.

use alloc::collections::VecDeque;
use std::time::Instant;

use crate::bench::convention::{Latency, Limit};

/// Decides when to call, and times the calls.
pub(super) struct Pipeline<'a> {
    limit: Limit,
    latency: &'a mut Latency,
    call_count_max: usize,
    /// When each open call was sent, oldest first.
    open: VecDeque<Instant>,
    sent_count: u64,
}

impl<'a> Pipeline<'a> {
    /// Starts with nothing open.
    pub(super) fn new(call_count_max: usize, limit: Limit, latency: &'a mut Latency) -> Self {
        Self { limit, latency, call_count_max, open: VecDeque::with_capacity(call_count_max), sent_count: 0 }
    }

    /// Opens as many calls as there is room for and the limit allows, and returns how many those are.
    pub(super) fn open_calls(&mut self, now: Instant) -> usize {
        let room = self.call_count_max - self.open.len();
        let left = usize::try_from(self.limit.left(now, self.sent_count)).unwrap_or(usize::MAX);
        let count = room.min(left);
        self.open.extend(core::iter::repeat_n(now, count));
        self.sent_count += count as u64;
        count
    }

    /// Closes the oldest `count` calls.
    pub(super) fn close_calls(&mut self, now: Instant, count: usize) {
        for sent_at in self.open.drain(..count.min(self.open.len())) {
            self.latency.record(now - sent_at);
        }
    }

    /// Returns whether calls are open.
    pub(super) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Returns how many calls were sent in all.
    pub(super) fn sent_count(&self) -> u64 {
        self.sent_count
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn calls_are_kept_open_up_to_their_number_until_the_limit() {
        let start = Instant::now();
        let mut latency = Latency::new();
        let mut pipeline = Pipeline::new(4, Limit::new(start, None, Some(6)), &mut latency);
        assert_eq!(pipeline.open_calls(start), 4);
        assert_eq!(pipeline.open_calls(start), 0);
        pipeline.close_calls(start + Duration::from_micros(10), 3);
        assert_eq!(pipeline.open_calls(start), 2);
        pipeline.close_calls(start + Duration::from_micros(10), 3);
        assert!(!pipeline.is_open());
        assert_eq!((pipeline.open_calls(start), pipeline.sent_count()), (0, 6));
        assert!((latency.take().unwrap().percentiles.p999 - 10.0).abs() < 0.1);
    }
}
