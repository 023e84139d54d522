//! Spreads datagrams over the round trip (RFC 9002 §7.7).

use core::time::Duration;

use crate::congestion::Controller;
use crate::rtt::Rtt;
use crate::time::{Instant, nanos};

/// A leaky bucket that drains a little faster than the window allows, so that it shapes bursts and never the throughput.
///
/// Before the first sample of the round trip there is no rate, and the initial window leaves at once, as it may (RFC 9002 §7.7).
/// Acks, which are not congestion controlled, do not pass through it (RFC 9002 §7.7).
#[derive(Clone, Debug)]
pub struct Pacer {
    /// When the bucket is empty: what was sent before is paid for.
    empty_at: Instant,
    /// The part of `empty_at` below a nanosecond, in 2^-32 ns, so that rounding never adds up.
    empty_at_fraction: u32,
    /// What an octet costs, in 2^-32 ns; nothing while there is no rate.
    octet_cost: u64,
    /// What may leave at once, in octets.
    quantum: u64,
}

impl Pacer {
    /// Starts with an empty bucket.
    #[must_use]
    pub fn new(controller: &Controller, rtt: &Rtt) -> Self {
        let mut pacer = Self { empty_at: Instant::ORIGIN, empty_at_fraction: 0, octet_cost: 0, quantum: 0 };
        pacer.update(controller, rtt);
        pacer
    }

    /// Adapts the rate to the window and the round trip: after each ack, loss and change of the datagram length.
    pub fn update(&mut self, controller: &Controller, rtt: &Rtt) {
        let datagram_len = controller.datagram_len();
        self.octet_cost = if rtt.has_sample() { octet_cost(controller, rtt) } else { 0 };
        let octets_in_time = (u128::from(nanos(QUANTUM_TIME)) << FRACTION_BITS) / u128::from(self.octet_cost.max(1));
        let wanted = u64::try_from(octets_in_time).unwrap_or(u64::MAX).max(QUANTUM_COUNT * datagram_len);
        self.quantum = wanted.min(QUANTUM_MAX).max(datagram_len);
    }

    /// Takes note that a datagram of `len` octets leaves.
    pub fn on_sent(&mut self, now: Instant, len: usize) {
        let cost = self.cost(len as u64) + u128::from(self.empty_at_fraction);
        let whole = u64::try_from(cost >> FRACTION_BITS).unwrap_or(u64::MAX);
        self.empty_at = self.empty_at.max(now).saturating_add(Duration::from_nanos(whole));
        self.empty_at_fraction = cost as u32;
    }

    /// Returns when a datagram of `len` octets may leave, or `None` if it may at once.
    #[must_use]
    pub fn until(&self, now: Instant, len: usize) -> Option<Instant> {
        let burst = self.cost(self.quantum.saturating_sub(len as u64)) >> FRACTION_BITS;
        let burst = Duration::from_nanos(u64::try_from(burst).unwrap_or(u64::MAX));
        let earliest = self.empty_at.saturating_sub(burst);
        // A wait too short for a timer would take far longer than asked; the bucket remembers what leaves early.
        (earliest > now.saturating_add(WAIT_MIN)).then_some(earliest)
    }

    fn cost(&self, octets: u64) -> u128 {
        u128::from(self.octet_cost) * u128::from(octets)
    }
}

/// The inverse of the rate, which is gain times window over round trip.
fn octet_cost(controller: &Controller, rtt: &Rtt) -> u64 {
    // In slow start the window doubles while it is sent once.
    let (numerator, denominator) = if controller.is_in_slow_start() { (1, 2) } else { (4, 5) };
    let round_trip = u128::from(nanos(rtt.smoothed())) << FRACTION_BITS;
    let cost = round_trip * numerator / (denominator * u128::from(controller.window().max(1)));
    u64::try_from(cost).unwrap_or(u64::MAX).max(1)
}

const FRACTION_BITS: u32 = 32;
/// Datagrams that may leave at once on any path: the burst of the initial window (RFC 9002 §7.7).
const QUANTUM_COUNT: u64 = 10;
/// On faster paths, as much as the path takes in this time: a sender cannot wake more often. Our choice.
const QUANTUM_TIME: Duration = Duration::from_millis(1);
/// More than one system call can send does no good at once. Our choice.
const QUANTUM_MAX: u64 = 65_536;
/// Timers of general-purpose systems fire some 50 µs late; twice that is not worth waiting. It is also what keeps a path with a
/// shorter round trip, such as the loopback, out of the pacer's hands. Our choice.
const WAIT_MIN: Duration = Duration::from_micros(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::congestion::Algorithm;

    /// RFC 9002 §7.7.
    #[test]
    fn without_a_sample_the_window_alone_is_the_limit() {
        let mut rtt = Rtt::new(Duration::from_millis(333));
        let controller = Controller::new(Algorithm::Cubic, 1200, u64::MAX);
        let mut pacer = Pacer::new(&controller, &rtt);
        (0..100).for_each(|_| pacer.on_sent(at(5), 1200));
        assert_eq!(pacer.until(at(5), 1200), None);
        rtt.on_sample(at(6), Duration::from_millis(60), Duration::ZERO);
        pacer.update(&controller, &rtt);
        assert_eq!(pacer.until(at(6), 1200), None, "what left before costs nothing");
    }

    #[test]
    fn slow_start_paces_two_windows_a_round_trip() {
        let mut rtt = Rtt::new(Duration::from_millis(333));
        rtt.on_sample(at(0), Duration::from_millis(60), Duration::ZERO);
        let mut pacer = Pacer::new(&Controller::new(Algorithm::Cubic, 1200, u64::MAX), &rtt);
        for _ in 0..10 {
            assert_eq!(pacer.until(at(5), 1200), None);
            pacer.on_sent(at(5), 1200);
        }
        assert_eq!(pacer.until(at(5), 1200), Some(at(8)));
    }

    /// RFC 9002 §7.7: five quarters of the window over the smoothed round trip, to a millionth over ten seconds.
    #[test]
    fn the_rate_is_five_quarters_of_the_window_and_does_not_drift() {
        for window in [10_007, 123_457, 1_234_567] {
            let mut pacer = fixed(window, 1200, Duration::from_millis(30));
            let (mut now, end, mut sent) = (at(0), at(10_000), 0);
            while now < end {
                match pacer.until(now, 1200) {
                    Some(instant) => now = instant,
                    None => {
                        pacer.on_sent(now, 1200);
                        sent += 1200;
                    }
                }
            }
            let rate = window as f64 * 1.25 / 0.030;
            let burst = 65_536.0 + rate * 0.000_1 + 1200.0;
            assert!(f64::from(sent) >= rate * 10.0 * 0.999_999, "{window}: {sent}");
            assert!(f64::from(sent) <= rate * 10.0 * 1.000_001 + burst, "{window}: {sent}");
        }
    }

    /// The quantum of each path: 10 datagrams, 1 ms at the rate, 64 KiB, or one datagram.
    #[test]
    fn a_quantum_leaves_at_once() {
        let cases = [
            (100_000, 1200, 100, 12_000),
            (3_200_000, 1200, 100, 40_000),
            (80_000_000, 1200, 100, 65_536),
            (1_000_000, 65_527, 100, 65_536),
        ];
        for (window, datagram_len, round_trip_millis, quantum) in cases {
            let pacer = fixed(window, datagram_len, Duration::from_millis(round_trip_millis));
            assert_eq!(pacer.quantum, quantum);
        }
    }

    #[test]
    fn a_datagram_longer_than_the_quantum_leaves_when_all_before_is_paid_for() {
        let mut pacer = fixed(100_000, 1200, Duration::from_millis(100));
        assert_eq!(pacer.until(at(1), 65_507), None);
        pacer.on_sent(at(1), 12_500);
        assert_eq!(pacer.until(at(1), 65_507), Some(at(11)));
    }

    #[test]
    fn idle_time_is_not_saved_beyond_a_quantum() {
        let mut pacer = fixed(100_000, 1200, Duration::from_millis(100));
        (0..10).for_each(|_| pacer.on_sent(at(0), 1200));
        (0..10).for_each(|_| {
            assert_eq!(pacer.until(at(60_000), 1200), None);
            pacer.on_sent(at(60_000), 1200);
        });
        assert!(pacer.until(at(60_000), 1200).is_some());
    }

    #[test]
    fn the_loopback_is_limited_by_its_window_alone() {
        let round_trip = Duration::from_micros(30);
        for window in [131_014, 1_048_576, 16_777_216] {
            let mut pacer = fixed(window, 65_507, round_trip);
            for turn in 0..1000 {
                let now = at(1).saturating_add(round_trip * turn);
                for _ in 0..window / 65_507 {
                    assert_eq!(pacer.until(now, 65_507), None);
                    pacer.on_sent(now, 65_507);
                }
            }
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        for (window, round_trip) in [(0, Duration::MAX), (u64::MAX, Duration::ZERO)] {
            let mut pacer = fixed(window, 65_527, round_trip);
            for _ in 0..1000 {
                pacer.on_sent(Instant::from_nanos(u64::MAX - 5), usize::MAX);
                let _ = pacer.until(at(0), usize::MAX);
                let _ = pacer.until(at(0), 0);
            }
        }
    }

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    /// A pacer of a window that is not in slow start.
    fn fixed(window: u64, datagram_len: usize, round_trip: Duration) -> Pacer {
        let mut rtt = Rtt::new(round_trip);
        rtt.on_sample(at(0), round_trip, Duration::ZERO);
        Pacer::new(&Controller::new(Algorithm::Fixed { window }, datagram_len, u64::MAX), &rtt)
    }
}
