//! Open-loop load: calls at a given rate, whatever becomes of those before.
//!
//! A closed loop asks less of a slow server, and so leaves out of its figures what users of a slow server wait for. Here
//! the time of a call counts from when it was due, also where it had to wait before it could be sent.

use core::time::Duration;
use std::thread;
use std::time::Instant;

use super::convention::{Latency, Limit};

/// When the calls of a block are due: evenly spaced.
pub(super) struct Schedule {
    begun_at: Instant,
    rate: f64,
    limit: Limit,
    /// Calls that were begun.
    count: u64,
}

impl Schedule {
    /// Begins a block of `rate` calls a second.
    pub(super) fn begin(rate: f64, limit: Limit) -> Self {
        Self { begun_at: Instant::now(), rate, limit, count: 0 }
    }

    /// Returns when the next call is due, or was; `None` at the end of the block.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        (self.limit.left(now, self.count) > 0).then(|| self.due_at(self.count))
    }

    /// Counts the next call as begun.
    pub(super) fn advance(&mut self) {
        self.count += 1;
    }

    /// Ends the block: what was due and could not be sent has waited at least until now.
    pub(super) fn give_up(self, now: Instant, latency: &mut Latency) {
        let last = self.limit.end().map_or(now, |end| end.min(now));
        let left = self.limit.left_by_count(self.count);
        let unsent = (self.count..self.count.saturating_add(left)).map(|index| self.due_at(index));
        unsent.take_while(|due| *due < last).for_each(|due| latency.record_unsent(now - due));
    }

    fn due_at(&self, index: u64) -> Instant {
        self.begun_at + Duration::from_secs_f64(index as f64 / self.rate)
    }
}

/// Calls that wait for their replies at a time. What is due beyond that waits here, and its time runs. Our choice: more
/// than any path holds at a rate that it bears.
pub(super) const OPEN_COUNT_MAX: usize = 1024;

/// Sleeps if the next call is not due soon. Who sends it is awake when it is, since what a sleep takes longer than it was
/// asked to would count as the time of the call.
pub(super) fn sleep_before(due: Instant, now: Instant) {
    thread::sleep(time_to_sleep(due, now));
}

/// Returns how long one may sleep before a call is due.
pub(super) fn time_to_sleep(due: Instant, now: Instant) -> Duration {
    due.saturating_duration_since(now).saturating_sub(AWAKE_BEFORE)
}

/// Our choice: more than the slack of timers and the time to wake up.
const AWAKE_BEFORE: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_due_evenly_whatever_becomes_of_them() {
        let now = Instant::now();
        let mut schedule = schedule(now, Some(Duration::from_millis(4)), None);
        for millis in 0..4 {
            assert_eq!(schedule.next_due(now), Some(now + Duration::from_millis(millis)));
            schedule.advance();
        }
        assert_eq!(schedule.next_due(now + Duration::from_millis(4)), None);
    }

    #[test]
    fn what_could_not_be_sent_counts_with_the_time_that_it_waited() {
        let now = Instant::now();
        let mut schedule = schedule(now, Some(Duration::from_millis(4)), None);
        schedule.advance();
        let mut latency = Latency::new();
        // Those of 1, 2 and 3 ms, looked at after 10 ms.
        schedule.give_up(now + Duration::from_millis(10), &mut latency);
        let times = latency.take().unwrap();
        assert_eq!(times.unsent_count, 3);
        assert!((times.percentiles.p50 - 8000.0).abs() < 10.0, "{times:?}");
    }

    #[test]
    fn a_block_of_a_given_count_has_no_more() {
        let now = Instant::now();
        let mut schedule = schedule(now, None, Some(2));
        schedule.advance();
        schedule.advance();
        assert_eq!(schedule.next_due(now), None);
        let mut latency = Latency::new();
        schedule.give_up(now + Duration::from_secs(1), &mut latency);
        assert!(latency.take().is_none());
    }

    fn schedule(now: Instant, duration: Option<Duration>, count: Option<u64>) -> Schedule {
        Schedule { begun_at: now, rate: 1000.0, limit: Limit::new(now, duration, count), count: 0 }
    }
}
