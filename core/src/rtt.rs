//! The round-trip estimate of one path (RFC 9002 §5).

use core::time::Duration;

use crate::time::{Instant, nanos};

/// The round-trip time of one path: smoothed, its variation, the least and the latest.
///
/// Samples are held between 1 µs and 60 s, whatever clocks and peers say, so every figure derived from them is bounded.
#[derive(Clone, Copy, Debug)]
pub struct Rtt {
    smoothed: u64,
    variation: u64,
    latest: u64,
    first_sample_at: Option<Instant>,
    min: WindowedMin,
}

impl Rtt {
    /// Starts an estimate that claims `initial` until the first sample.
    ///
    /// The first probe timeout is three times as long: 333 ms give the 1 s of RFC 9002 §6.2.2 and RFC 8085 §3.1.1.
    #[must_use]
    pub fn new(initial: Duration) -> Self {
        let initial = clamped(initial);
        Self {
            smoothed: initial,
            variation: initial / 2,
            latest: initial,
            first_sample_at: None,
            min: WindowedMin::new(Instant::ORIGIN, initial),
        }
    }

    /// Takes a sample: `latest` passed between sending and the acknowledgement, `ack_delay` of it at the peer.
    ///
    /// Only for an ack whose largest number is newly acknowledged, and which newly acknowledges something
    /// ack-eliciting (RFC 9002 §5.1). `ack_delay` is already bounded by what the peer announced (RFC 9002 §5.3).
    pub fn on_sample(&mut self, now: Instant, latest: Duration, ack_delay: Duration) {
        let latest = clamped(latest);
        self.latest = latest;
        if self.first_sample_at.is_none() {
            self.first_sample_at = Some(now);
            self.smoothed = latest;
            self.variation = latest / 2;
            self.min = WindowedMin::new(now, latest);
            return;
        }
        self.min.on_sample(now, latest);

        // A peer that overstates its delay must not push the estimate below what the path was seen to need.
        let without_delay = latest.saturating_sub(nanos(ack_delay));
        let adjusted = if without_delay >= self.min.get() { without_delay } else { latest };
        // The variation is measured against the old mean (RFC 6298 §2.3).
        self.variation = (3 * self.variation + self.smoothed.abs_diff(adjusted)) / 4;
        self.smoothed = (7 * self.smoothed + adjusted) / 8;
    }

    /// Forgets the least round trip, which a path that has just stalled may not offer any more (RFC 9002 §5.2).
    pub fn on_persistent_congestion(&mut self, now: Instant) {
        self.min = WindowedMin::new(now, self.latest);
    }

    /// Returns the smoothed round-trip time.
    #[must_use]
    pub const fn smoothed(&self) -> Duration {
        Duration::from_nanos(self.smoothed)
    }

    /// Returns the mean deviation of the samples from the smoothed value.
    #[must_use]
    pub const fn variation(&self) -> Duration {
        Duration::from_nanos(self.variation)
    }

    /// Returns the least sample of the last five to ten minutes.
    #[must_use]
    pub fn min(&self) -> Duration {
        Duration::from_nanos(self.min.get())
    }

    /// Returns the latest sample.
    #[must_use]
    pub const fn latest(&self) -> Duration {
        Duration::from_nanos(self.latest)
    }

    /// Returns whether the figures come from the path and not from the configuration.
    #[must_use]
    pub const fn has_sample(&self) -> bool {
        self.first_sample_at.is_some()
    }

    /// Returns when the first sample was taken.
    #[must_use]
    pub const fn first_sample_at(&self) -> Option<Instant> {
        self.first_sample_at
    }

    /// Returns the time without an acknowledgement after which a probe is due, before any back-off (RFC 9002 §6.2.1).
    #[must_use]
    pub fn probe_timeout(&self, ack_delay_max: Duration) -> Duration {
        Duration::from_nanos(self.probe_timeout_undelayed()).saturating_add(ack_delay_max)
    }

    /// As [`Rtt::probe_timeout`], in nanoseconds: for deadlines that are computed after each datagram.
    pub(crate) fn probe_timeout_nanos(&self, ack_delay_max: Duration) -> u64 {
        self.probe_timeout_undelayed().saturating_add(nanos(ack_delay_max))
    }

    /// Returns the probe timeout for a peer that acknowledges at once, in nanoseconds.
    fn probe_timeout_undelayed(&self) -> u64 {
        self.smoothed + (4 * self.variation).max(nanos(GRANULARITY))
    }
}

/// The least value of a window that slides in two halves: exact enough for a bound that paths rarely change.
#[derive(Clone, Copy, Debug)]
struct WindowedMin {
    previous: u64,
    current: u64,
    current_since: Instant,
}

impl WindowedMin {
    const fn new(now: Instant, value: u64) -> Self {
        Self { previous: value, current: value, current_since: now }
    }

    fn on_sample(&mut self, now: Instant, value: u64) {
        if now.saturating_since(self.current_since) < MIN_WINDOW {
            self.current = self.current.min(value);
        } else {
            *self = Self { previous: self.current, current: value, current_since: now };
        }
    }

    fn get(&self) -> u64 {
        self.previous.min(self.current)
    }
}

fn clamped(sample: Duration) -> u64 {
    nanos(sample.clamp(SAMPLE_MIN, SAMPLE_MAX))
}

/// The resolution that timers are assumed to have (RFC 9002 §6.1.2, kGranularity).
pub const GRANULARITY: Duration = Duration::from_millis(1);

/// Shortest sample believed: a coarse clock may show none at all. Our choice.
const SAMPLE_MIN: Duration = Duration::from_micros(1);
/// Longest sample believed, so that a stopped clock or a hostile peer cannot stall the path for ever. Our choice.
const SAMPLE_MAX: Duration = Duration::from_secs(60);
/// Half of the time for which the least sample is remembered. Our choice.
const MIN_WINDOW: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn before_a_sample_the_initial_value_gives_a_probe_timeout_of_three_times_as_much() {
        let rtt = Rtt::new(Duration::from_millis(333));
        assert!(!rtt.has_sample());
        assert_eq!(rtt.probe_timeout(Duration::ZERO), Duration::from_millis(999));
    }

    /// RFC 9002 §5.3.
    #[test]
    fn the_first_sample_replaces_the_initial_value() {
        let mut rtt = Rtt::new(Duration::from_millis(333));
        rtt.on_sample(at(5), 40 * MS, 5 * MS);
        assert_eq!((rtt.smoothed(), rtt.variation(), rtt.min(), rtt.latest()), (40 * MS, 20 * MS, 40 * MS, 40 * MS));
        assert_eq!(rtt.first_sample_at(), Some(at(5)));
    }

    /// RFC 9002 §5.3.
    #[test]
    fn later_samples_are_averaged_after_the_ack_delay_is_taken_off() {
        let mut rtt = sampled(40 * MS);
        rtt.on_sample(at(1), 53 * MS, 5 * MS);
        // The variation moves a quarter towards |40 - 48|, the mean an eighth towards 48.
        assert_eq!((rtt.smoothed(), rtt.variation(), rtt.latest()), (41 * MS, 17 * MS, 53 * MS));
    }

    /// RFC 9002 §5.3: the adjusted sample must not fall below the least one.
    #[test]
    fn an_ack_delay_that_would_undercut_the_least_sample_is_not_believed() {
        let mut rtt = sampled(40 * MS);
        rtt.on_sample(at(1), 40 * MS, 5 * MS);
        rtt.on_sample(at(2), 40 * MS, Duration::MAX);
        assert_eq!(rtt.smoothed(), 40 * MS);
    }

    #[test]
    fn samples_are_held_between_one_microsecond_and_one_minute() {
        let mut rtt = Rtt::new(Duration::MAX);
        assert_eq!(rtt.smoothed(), Duration::from_secs(60));
        rtt.on_sample(at(0), Duration::ZERO, Duration::ZERO);
        assert_eq!(rtt.smoothed(), Duration::from_micros(1));
        for _ in 0..200 {
            rtt.on_sample(at(0), Duration::MAX, Duration::ZERO);
            assert!(rtt.smoothed() <= Duration::from_secs(60) && rtt.variation() <= Duration::from_secs(60));
        }
        assert_eq!(rtt.probe_timeout(Duration::MAX), Duration::MAX);
    }

    /// RFC 9002 §6.2.1: the variation counts with at least the timer's granularity.
    #[test]
    fn a_steady_path_still_gets_a_millisecond_of_margin() {
        let mut rtt = sampled(Duration::from_micros(30));
        for _ in 0..100 {
            rtt.on_sample(at(0), Duration::from_micros(30), Duration::ZERO);
        }
        assert_eq!(rtt.probe_timeout(5 * MS), Duration::from_micros(6030));
    }

    #[test]
    fn the_least_sample_is_forgotten_after_ten_minutes() {
        let mut rtt = sampled(10 * MS);
        rtt.on_sample(at(301_000), 50 * MS, Duration::ZERO);
        assert_eq!(rtt.min(), 10 * MS);
        rtt.on_sample(at(602_000), 50 * MS, Duration::ZERO);
        assert_eq!(rtt.min(), 50 * MS);
    }

    /// RFC 9002 §5.2.
    #[test]
    fn persistent_congestion_restarts_the_least_sample() {
        let mut rtt = sampled(10 * MS);
        rtt.on_sample(at(1), 80 * MS, Duration::ZERO);
        rtt.on_persistent_congestion(at(2));
        assert_eq!(rtt.min(), 80 * MS);
    }

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn sampled(first: Duration) -> Rtt {
        let mut rtt = Rtt::new(Duration::from_millis(333));
        rtt.on_sample(at(0), first, Duration::ZERO);
        rtt
    }
}
