//! A stretch of work with an end.

use core::time::Duration;
use std::time::Instant;

use hdrhistogram::Histogram;

/// Says when calls or messages may still begin, and keeps how long each took.
pub struct Block {
    until: Option<Instant>,
    left: u64,
    begun_count: u64,
    times: Histogram<u64>,
}

impl Block {
    /// Makes a block that ends after `duration`, or when `count` calls were made or octets sent, whichever comes first.
    ///
    /// # Panics
    /// Never: the bounds of the histogram are in order.
    #[must_use]
    pub fn new(duration: Option<Duration>, count: Option<u64>) -> Self {
        let times = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order");
        let until = duration.map(|duration| Instant::now() + duration);
        Self { until, left: count.unwrap_or(u64::MAX), begun_count: 0, times }
    }

    /// Begins at most `most` calls, or a message of at most so many octets, and returns how many.
    #[must_use]
    pub fn begin(&mut self, now: Instant, most: usize) -> usize {
        if self.until.is_some_and(|until| now >= until) {
            self.left = 0;
        }
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(most);
        self.left -= count as u64;
        self.begun_count += count as u64;
        count
    }

    /// Notes that a call which began at `begun_at` is answered.
    pub fn end(&mut self, now: Instant, begun_at: Instant) {
        self.times.saturating_record(u64::try_from((now - begun_at).as_nanos()).unwrap_or(u64::MAX).max(1));
    }

    /// Returns how many calls, or octets, were begun.
    #[must_use]
    pub const fn begun_count(&self) -> u64 {
        self.begun_count
    }

    /// Returns the time within which this part of the calls was answered, in microseconds; `None` if none was timed.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<f64> {
        (!self.times.is_empty()).then(|| self.times.value_at_quantile(part) as f64 / 1000.0)
    }
}
