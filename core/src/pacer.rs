//! Spreads datagrams over the round trip (RFC 9002 §7.7).

use core::time::Duration;

use crate::congestion::Controller;
use crate::rtt::Rtt;
use crate::time::{Instant, nanos};

/// A leaky bucket of one datagram, which drains a little faster than the window allows, so that it shapes bursts and never the
/// throughput.
///
/// Spaced one by one, the datagrams of the sender with the larger share of a link are the ones that meet its full queue: two
/// senders come to equal shares. In bursts it is chance, and stays so however the two began (`sim/tests/figures.rs`).
///
/// A burst leaves where it has a reason: at the start, before the first sample of the round trip, when there is no rate; on an idle
/// path; and to make up for a timer that fired late. It has no more than the initial window may (RFC 9002 §7.7), or what a fast path
/// takes in a millisecond. Acks, which are not congestion controlled, do not pass through the bucket (RFC 9002 §7.7).
#[derive(Clone, Debug)]
pub struct Pacer {
    /// When the bucket is empty: what was sent before is paid for.
    empty_at: Instant,
    /// The part of `empty_at` below a nanosecond, in 2^-32 ns, so that rounding never adds up.
    empty_at_fraction: u32,
    /// What an octet costs, in 2^-32 ns; nothing while there is no rate.
    octet_cost: u64,
    /// The longest burst, in octets.
    burst_len_max: u32,
    /// Octets of the present burst that may still leave without being paid for.
    burst_left: u32,
    /// Whether the next datagram waits for the bucket, and for nothing else.
    is_holding: bool,
}

impl Pacer {
    /// Starts with an empty bucket.
    #[must_use]
    pub fn new(controller: &Controller, rtt: &Rtt) -> Self {
        let mut pacer = Self {
            empty_at: Instant::ORIGIN,
            empty_at_fraction: 0,
            octet_cost: 0,
            burst_len_max: 0,
            burst_left: 0,
            is_holding: false,
        };
        pacer.update(controller, rtt);
        pacer
    }

    /// Adapts the rate to the window and the round trip: after each ack, loss and change of the datagram length.
    pub fn update(&mut self, controller: &Controller, rtt: &Rtt) {
        let datagram_len = controller.datagram_len();
        self.octet_cost = if rtt.has_sample() { octet_cost(controller, rtt) } else { 0 };
        let wanted = self.octets_in(BURST_TIME).max(BURST_COUNT * datagram_len);
        self.burst_len_max = octets(wanted.min(BURST_LEN_MAX).max(datagram_len));
    }

    /// Takes note that a datagram of `len` octets leaves while `in_flight` octets, without it, are under way.
    pub fn on_sent(&mut self, now: Instant, len: usize, in_flight: u64) {
        let len = len as u64;
        if in_flight == 0 {
            // The last one of the burst is paid for, so that the next one is spaced from it.
            self.burst_left = self.burst_len_max.saturating_sub(octets(len));
        }
        if core::mem::take(&mut self.is_holding) {
            let late = self.octets_in(now.saturating_since(self.empty_at));
            self.burst_left = self.burst_left.max(octets(late).min(self.burst_len_max));
        }
        let cost = self.cost(len.saturating_sub(self.burst_left.into())) + u128::from(self.empty_at_fraction);
        self.burst_left = self.burst_left.saturating_sub(octets(len));
        let whole = u64::try_from(cost >> FRACTION_BITS).unwrap_or(u64::MAX);
        self.empty_at = self.empty_at.max(now).saturating_add(Duration::from_nanos(whole));
        self.empty_at_fraction = cost as u32;
    }

    /// Takes note that [`Self::until`] holds back what the window would let out, so that the wait is for a timer.
    pub const fn on_held(&mut self) {
        self.is_holding = true;
    }

    /// Takes note that the window has no room for a whole datagram, so that the wait is for an ack.
    pub const fn on_window_full(&mut self) {
        self.is_holding = false;
    }

    /// Returns when the next datagram may leave, or `None` if it may at once.
    #[must_use]
    pub fn until(&self, now: Instant) -> Option<Instant> {
        // A wait too short for a timer would take far longer than asked; the bucket remembers what leaves early.
        let is_free = self.burst_left > 0 || self.empty_at <= now.saturating_add(WAIT_MIN);
        (!is_free).then_some(self.empty_at)
    }

    fn cost(&self, octets: u64) -> u128 {
        u128::from(self.octet_cost) * u128::from(octets)
    }

    /// Returns how many octets the path takes in a time.
    fn octets_in(&self, time: Duration) -> u64 {
        let octets = (u128::from(nanos(time)) << FRACTION_BITS) / u128::from(self.octet_cost.max(1));
        u64::try_from(octets).unwrap_or(u64::MAX)
    }
}

/// Makes a length short, as it is kept; longer than a burst is as good as endless.
fn octets(len: u64) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// The inverse of the rate, which is what the controller says, or else what may leave within a round trip over the round trip.
fn octet_cost(controller: &Controller, rtt: &Rtt) -> u64 {
    if let Some(rate) = controller.pacing_rate(rtt) {
        return ((1_000_000_000 << FRACTION_BITS) / rate.max(1)).max(1);
    }
    // In slow start the window doubles while it is sent once.
    let round_count = if controller.is_in_slow_start() { 2 } else { 1 };
    let window = round_count * u128::from(controller.window());
    // Five quarters (RFC 9002 §7.7), and a burst: a window of a few datagrams would lose much of its rate to the waits between
    // them, and may leave at once.
    let allowed = 5 * window / 4 + u128::from(BURST_COUNT * controller.datagram_len());
    let round_trip = u128::from(nanos(rtt.smoothed())) << FRACTION_BITS;
    u64::try_from(round_trip / allowed.max(1)).unwrap_or(u64::MAX).max(1)
}

const FRACTION_BITS: u32 = 32;
/// Datagrams in a burst on any path: those of the initial window (RFC 9002 §7.7).
const BURST_COUNT: u64 = 10;
/// On faster paths, as much as the path takes in this time: timers may be that late. Our choice.
const BURST_TIME: Duration = Duration::from_millis(1);
/// More than one system call can send does no good at once. Our choice.
const BURST_LEN_MAX: u64 = 65_536;
/// Timers of general-purpose systems fire some 50 µs late; twice that is not worth waiting. On a path of 1 Gbit/s that
/// lets out ten datagrams at a time, for one system call; a path with a shorter round trip, such as the loopback, is out of the
/// pacer's hands. Our choice.
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
        (0..100).for_each(|index| pacer.on_sent(at(5), 1200, 1200 * index));
        assert_eq!(pacer.until(at(5)), None);
        rtt.on_sample(at(6), Duration::from_millis(60), Duration::ZERO);
        pacer.update(&controller, &rtt);
        assert_eq!(pacer.until(at(6)), None, "what left before costs nothing");
    }

    #[test]
    fn slow_start_paces_twice_the_window_like_any_other() {
        let mut rtt = Rtt::new(Duration::from_millis(333));
        // Five quarters of 24 000 octets and a burst of 12 000 in a round trip: 400 in a millisecond.
        rtt.on_sample(at(0), Duration::from_millis(105), Duration::ZERO);
        let mut pacer = Pacer::new(&Controller::new(Algorithm::Cubic, 1200, u64::MAX), &rtt);
        for index in 0..10 {
            assert_eq!(pacer.until(at(5 + 3 * index)), None);
            pacer.on_sent(at(5 + 3 * index), 1200, 1200);
            assert_eq!(pacer.until(at(5 + 3 * index)), Some(at(8 + 3 * index)));
        }
    }

    /// RFC 9002 §7.7: five quarters of the window and a burst over the smoothed round trip, to a millionth over ten seconds.
    #[test]
    fn the_rate_exceeds_the_window_a_little_and_does_not_drift() {
        for window in [10_007, 123_457, 1_234_567] {
            let rate = (window as f64 * 1.25 + 12_000.0) / 0.030;
            assert_paces(fixed(window, 1200, Duration::from_millis(30)), rate);
        }
    }

    #[test]
    fn the_rate_is_that_of_a_controller_that_sets_one() {
        for round_trip_millis in [1, 30, 1000] {
            let mut rtt = Rtt::new(Duration::from_millis(333));
            rtt.on_sample(at(0), Duration::from_millis(round_trip_millis), Duration::ZERO);
            let controller = Controller::new(Algorithm::Bbr, 1200, u64::MAX);
            let rate = controller.pacing_rate(&rtt).expect("BBR sets the rate") as f64;
            // At the start, 2.77 windows of ten datagrams in a round trip (draft-ietf-ccwg-bbr-06 §5.6.2).
            assert!((rate * round_trip_millis as f64 / 1000.0 / 33_240.0 - 1.0).abs() < 0.001, "{rate}");
            assert_paces(Pacer::new(&controller, &rtt), rate);
        }
    }

    /// The burst of each path: 10 datagrams, 1 ms at the rate, 64 KiB, or one datagram.
    #[test]
    fn an_idle_path_takes_a_burst() {
        let cases = [
            (100_000, 1200, 100, 12_000),
            (3_200_000, 1200, 100, 40_120),
            (80_000_000, 1200, 100, 65_536),
            (1_000_000, 65_527, 100, 65_536),
        ];
        for (window, datagram_len, round_trip_millis, burst) in cases {
            let pacer = fixed(window, datagram_len, Duration::from_millis(round_trip_millis));
            assert_eq!(pacer.burst_len_max, burst);
        }
        let mut pacer = fixed(86_400, 1200, Duration::from_millis(100));
        for in_flight in (0..12_000).step_by(1200) {
            assert_eq!(pacer.until(at(60_000)), None);
            pacer.on_sent(at(60_000), 1200, in_flight);
        }
        assert!(pacer.until(at(60_000)).is_some(), "the last of them is paid for");
        assert_eq!(pacer.until(at(60_001)), None);
    }

    /// A pause of the window or of the application is not saved up.
    #[test]
    fn what_is_in_flight_is_followed_by_one_datagram_at_a_time() {
        let mut pacer = fixed(90_400, 1200, Duration::from_millis(100));
        for millis in [1, 2, 60, 1000] {
            assert_eq!(pacer.until(at(millis)), None);
            pacer.on_sent(at(millis), 1250, 1200);
            assert_eq!(pacer.until(at(millis)), Some(at(millis + 1)));
        }
    }

    /// A timer that fires late costs nothing of the rate, up to a burst.
    #[test]
    fn what_a_late_timer_delayed_leaves_at_once() {
        for (late_millis, sent) in [(0, 1), (1, 2), (5, 6), (8, 9), (60, 10)] {
            let mut pacer = fixed(86_400, 1200, Duration::from_millis(96));
            pacer.on_sent(at(1), 1250, 1200);
            assert_eq!(pacer.until(at(1)), Some(at(2)));
            pacer.on_held();
            let mut count = 0;
            while pacer.until(at(2 + late_millis)).is_none() {
                pacer.on_sent(at(2 + late_millis), 1250, 1200);
                count += 1;
            }
            assert_eq!(count, sent, "{late_millis} ms late");
        }
    }

    #[test]
    fn what_a_full_window_delayed_is_spaced() {
        let mut pacer = fixed(86_400, 1200, Duration::from_millis(96));
        pacer.on_sent(at(1), 1250, 1200);
        pacer.on_held();
        pacer.on_window_full();
        pacer.on_sent(at(60), 1250, 1200);
        assert_eq!(pacer.until(at(60)), Some(at(61)));
    }

    #[test]
    fn the_loopback_is_limited_by_its_window_alone() {
        let round_trip = Duration::from_micros(30);
        for window in [131_014, 1_048_576, 16_777_216] {
            let mut pacer = fixed(window, 65_507, round_trip);
            for turn in 0..1000 {
                let now = at(1).saturating_add(round_trip * turn);
                for _ in 0..window / 65_507 {
                    assert_eq!(pacer.until(now), None);
                    pacer.on_sent(now, 65_507, 1);
                }
            }
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        for (window, round_trip) in [(0, Duration::MAX), (u64::MAX, Duration::ZERO)] {
            let mut pacer = fixed(window, 65_527, round_trip);
            for in_flight in 0..1000 {
                pacer.on_sent(Instant::from_nanos(u64::MAX - 5), usize::MAX, in_flight);
                pacer.on_held();
                let _ = pacer.until(at(0));
                pacer.on_sent(at(0), 0, u64::MAX);
            }
        }
    }

    /// Sends all that the pacer lets out in ten seconds: so much as the rate says, to a millionth, but for a burst.
    fn assert_paces(mut pacer: Pacer, rate: f64) {
        let (mut now, end, mut sent) = (at(0), at(10_000), 0);
        while now < end {
            match pacer.until(now) {
                Some(instant) => now = instant,
                None => {
                    pacer.on_sent(now, 1200, sent);
                    sent += 1200;
                }
            }
        }
        let (sent, burst) = (sent as f64, 65_536.0 + rate * 0.000_1 + 1200.0);
        assert!(sent >= rate * 10.0 * 0.999_999, "{rate}: {sent}");
        assert!(sent <= rate * 10.0 * 1.000_001 + burst, "{rate}: {sent}");
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
