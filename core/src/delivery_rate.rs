//! How fast a path delivers: a sample of its rate with each ack (draft-ietf-ccwg-bbr-06 §4.1, first described in
//! draft-cheng-iccrg-delivery-rate-estimation).
//!
//! A sample spans the time from the ack before a datagram left to the ack of that datagram, or the time in which what was
//! delivered meanwhile had been sent, if that is longer: acks that come in heaps do not look like speed.
//!
//! Counts of octets wrap at 2^32, and are compared by their difference: far less than half of that is ever in flight.

use core::num::NonZeroU32;
use core::time::Duration;

use crate::time::{Instant, nanos};

/// What a path has delivered so far.
#[derive(Clone, Debug)]
pub struct DeliveryRate {
    /// Octets delivered: C.delivered.
    delivered: u32,
    /// Octets lost, or marked by a router, which stands for a loss: C.lost.
    lost: u32,
    /// What had been delivered when the present round began (§5.5.1).
    round_start: u32,
    /// The application left a gap, which is behind us once more than this was delivered: C.app_limited.
    limited_until: Option<NonZeroU32>,
    /// When `delivered` last grew: C.delivered_time.
    delivered_at: Instant,
    /// When the newest datagram left that was delivered, or the first after a pause: C.first_send_time.
    first_sent_at: Instant,
}

/// What was known when a datagram left; kept with it until its fate is known (§4.1.2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    delivered: u32,
    lost: u32,
    /// How long before it the last ack had come.
    since_delivered: Ticks,
    /// How long before it the newest datagram left of which that ack, or one before, had told.
    since_first_sent: Ticks,
    /// Octets in flight, with this datagram.
    in_flight: u32,
    is_limited: bool,
}

/// The datagrams that one ack newly acknowledges.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch {
    /// Octets of all of them.
    len: u32,
    /// The one that left last, and when.
    newest: Option<(Snapshot, Instant)>,
}

/// What one ack says about the path (§4.1.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Octets that it newly acknowledges: RS.newly_acked.
    pub newly_acked: u32,
    /// How fast that was; nothing if the time was too short to tell.
    pub rate: Rate,
    /// Octets delivered since the newest of its datagrams left: RS.delivered.
    pub delivered: u32,
    /// Octets delivered before that datagram left, modulo 2^32: RS.prior_delivered.
    pub prior_delivered: u32,
    /// Octets lost since it left: RS.lost.
    pub lost: u32,
    /// Octets in flight when it had left: RS.tx_in_flight.
    pub in_flight: u32,
    /// The round trip of that datagram.
    pub rtt: Ticks,
    /// Whether the application and not the path may have set the rate.
    pub is_limited: bool,
    /// Whether a round trip, as datagrams count it, ends with this ack and another begins.
    pub is_round_start: bool,
}

/// A time in units of 2^-26 s, which are 15 ns; at most 64 s.
///
/// It takes half the room of nanoseconds, and with [`Rate`] makes octets by a multiplication and a shift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticks(u32);

/// A rate in units of 16 octets a second; at most 68 GB/s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u32);

impl DeliveryRate {
    /// Starts with nothing delivered.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            delivered: 0,
            lost: 0,
            round_start: 0,
            limited_until: None,
            delivered_at: Instant::ORIGIN,
            first_sent_at: Instant::ORIGIN,
        }
    }

    /// Takes note that a datagram of `len` octets leaves while `in_flight` octets, without it, are under way (§4.1.2.2).
    pub fn on_sent(&mut self, now: Instant, len: usize, in_flight: u64) -> Snapshot {
        if in_flight == 0 {
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        Snapshot {
            delivered: self.delivered,
            lost: self.lost,
            since_delivered: Ticks::between(self.delivered_at, now),
            since_first_sent: Ticks::between(self.first_sent_at, now),
            in_flight: saturated(in_flight.saturating_add(len as u64)),
            is_limited: self.is_limited(),
        }
    }

    /// Takes note that there is no more to send, although window and pacer would let it out, with `in_flight` octets under way:
    /// what is sent until these are delivered says nothing about the path (§4.1.2.4).
    pub fn on_application_limited(&mut self, in_flight: u64) {
        let until = self.delivered.wrapping_add(saturated(in_flight));
        self.limited_until = NonZeroU32::new(until).or(Some(NonZeroU32::MIN));
    }

    /// Adds an acknowledged datagram of `len` octets, which left at `sent_at`, to the batch of its ack (§4.1.2.3).
    pub fn on_acked(&mut self, now: Instant, len: usize, sent_at: Instant, snapshot: Snapshot, batch: &mut Batch) {
        let len = saturated(len as u64);
        self.delivered = self.delivered.wrapping_add(len);
        self.delivered_at = now;
        batch.len = batch.len.saturating_add(len);
        if batch.newest.is_none() || sent_at >= self.first_sent_at {
            batch.newest = Some((snapshot, sent_at));
            self.first_sent_at = sent_at;
        }
    }

    /// Begins a round: it ends with the first ack of what leaves from here on (§5.5.1).
    pub const fn start_round(&mut self) {
        self.round_start = self.delivered;
    }

    /// Takes note of `len` octets that were lost, or marked.
    pub fn on_lost(&mut self, len: u64) {
        self.lost = self.lost.wrapping_add(saturated(len));
    }

    /// Makes the sample of an ack, after all its datagrams and the losses that it reveals; `None` if it acknowledges nothing.
    ///
    /// `rtt_min` is the least round trip of the path: no time shorter than that tells a rate.
    pub fn sample(&mut self, now: Instant, batch: Batch, rtt_min: Duration) -> Option<Sample> {
        if self.limited_until.is_some_and(|until| is_after(self.delivered, until.get())) {
            self.limited_until = None;
        }
        let (snapshot, sent_at) = batch.newest?;
        let rtt = Ticks::between(sent_at, now);
        let ack_elapsed = Ticks(rtt.0.saturating_add(snapshot.since_delivered.0));
        let interval = ack_elapsed.max(snapshot.since_first_sent);
        let delivered = self.delivered.wrapping_sub(snapshot.delivered);
        let is_round_start = !is_after(self.round_start, snapshot.delivered);
        if is_round_start {
            self.start_round();
        }
        Some(Sample {
            newly_acked: batch.len,
            rate: if interval < Ticks::from(rtt_min) { Rate::ZERO } else { Rate::of(delivered, interval) },
            delivered,
            prior_delivered: snapshot.delivered,
            lost: self.lost.wrapping_sub(snapshot.lost),
            in_flight: snapshot.in_flight,
            rtt,
            is_limited: snapshot.is_limited,
            is_round_start,
        })
    }

    /// Returns how many octets were delivered, modulo 2^32.
    #[must_use]
    pub const fn delivered(&self) -> u32 {
        self.delivered
    }

    /// Returns whether a gap that the application left is still on its way.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.limited_until.is_some()
    }

    /// Returns how many octets were lost since a datagram left.
    #[must_use]
    pub const fn lost_since(&self, snapshot: &Snapshot) -> u32 {
        self.lost.wrapping_sub(snapshot.lost)
    }
}

impl Default for DeliveryRate {
    fn default() -> Self {
        Self::new()
    }
}

impl Snapshot {
    /// Of a datagram for which nobody asks.
    pub const EMPTY: Self = Self {
        delivered: 0,
        lost: 0,
        since_delivered: Ticks(0),
        since_first_sent: Ticks(0),
        in_flight: 0,
        is_limited: false,
    };

    /// Returns the octets in flight when the datagram had left.
    #[must_use]
    pub const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Returns whether the application and not the path may have set the rate at which the datagram left.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.is_limited
    }
}

impl Ticks {
    /// The longest time, which stands for one that is not known.
    pub const MAX: Self = Self(u32::MAX);

    /// Makes a time from milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u32) -> Self {
        Self::from_nanos(millis as u64 * 1_000_000)
    }

    /// Returns the time from one instant to another.
    #[must_use]
    pub fn between(start: Instant, end: Instant) -> Self {
        Self::from(end.saturating_since(start))
    }

    /// Returns this time and another together.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    const fn from_nanos(nanos: u64) -> Self {
        if nanos >= NANOS_MAX {
            return Self::MAX;
        }
        Self(((nanos << TICK_BITS) / 1_000_000_000) as u32)
    }
}

impl Rate {
    /// Nothing arrives.
    pub const ZERO: Self = Self(0);
    /// The highest rate, which stands for one without a bound.
    pub const MAX: Self = Self(u32::MAX);

    /// Returns the rate that delivers so many octets in a time; none in no time.
    #[must_use]
    pub const fn of(octets: u32, time: Ticks) -> Self {
        if time.0 == 0 {
            return Self::ZERO;
        }
        Self(saturated(((octets as u64) << (TICK_BITS - RATE_BITS)) / time.0 as u64))
    }

    /// Returns how many octets arrive in a time.
    #[must_use]
    pub const fn octets(self, time: Ticks) -> u64 {
        (self.0 as u64 * time.0 as u64) >> (TICK_BITS - RATE_BITS)
    }

    /// Returns so many hundredths of the rate.
    #[must_use]
    pub const fn percent(self, percent: u64) -> Self {
        Self(saturated((self.0 as u64).saturating_mul(percent) / 100))
    }

    /// Returns it in octets a second.
    #[must_use]
    pub const fn octets_per_second(self) -> u64 {
        (self.0 as u64) << RATE_BITS
    }
}

impl From<Duration> for Ticks {
    fn from(duration: Duration) -> Self {
        Self::from_nanos(nanos(duration))
    }
}

/// Says whether a count of octets comes after another, modulo 2^32.
pub(crate) const fn is_after(count: u32, other: u32) -> bool {
    (count.wrapping_sub(other) as i32) > 0
}

/// Makes a number of octets short, as it is kept; beyond 4 GiB it is as good as endless.
pub(crate) const fn saturated(octets: u64) -> u32 {
    if octets > u32::MAX as u64 { u32::MAX } else { octets as u32 }
}

const TICK_BITS: u32 = 26;
const RATE_BITS: u32 = 4;
/// The first number of nanoseconds that is too long.
const NANOS_MAX: u64 = 63_999_999_999;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_steady_flow_shows_the_rate_at_which_it_arrives() {
        let mut flow = Flow::new();
        // Ten datagrams, one a millisecond, and the acks 20 ms behind: a megaoctet and a fifth a second.
        for millis in 0..10 {
            flow.send(millis);
        }
        for millis in 20..29 {
            flow.ack(millis, 1);
        }
        let sample = flow.ack(29, 1).unwrap();
        assert_eq!((sample.delivered, sample.newly_acked), (12_000, 1200));
        assert_eq!(sample.in_flight, 12_000);
        assert_eq!(sample.rtt, Ticks::from_millis(20));
        assert_eq!(
            sample.rate.octets_per_second() / 1000,
            12_000 / 29,
            "no ack came before the first one left: {sample:?}"
        );
    }

    /// §4.1.1.2.2, §4.1.1.2.3.
    #[test]
    fn acks_in_a_heap_are_not_faster_than_what_was_sent() {
        let mut flow = Flow::new();
        (0..2).for_each(|millis| flow.send(millis));
        flow.ack(100, 1);
        (101..200).for_each(|millis| flow.send(millis));
        let sample = flow.ack(210, 100).unwrap();
        assert_eq!(sample.delivered, 120_000);
        // They left within 199 ms of the one before, though 110 ms after an ack.
        assert!(sample.rate.octets_per_second().abs_diff(120_000_000 / 199) <= 16, "{sample:?}");
    }

    /// §4.1.2.4.
    #[test]
    fn a_gap_that_the_application_left_marks_a_round_trip() {
        let mut flow = Flow::new();
        flow.send(0);
        flow.send(0);
        flow.rate.on_application_limited(2400);
        flow.send(10);
        assert!(!flow.ack(20, 1).unwrap().is_limited);
        flow.send(21);
        assert!(!flow.ack(22, 1).unwrap().is_limited);
        assert!(flow.ack(30, 1).unwrap().is_limited, "the one after the gap");
        flow.send(31);
        assert!(flow.ack(41, 1).unwrap().is_limited);
        assert!(!flow.ack(51, 1).unwrap().is_limited);
    }

    /// §4.1.2.3: no interval below the least round trip.
    #[test]
    fn too_short_a_time_tells_no_rate() {
        let mut flow = Flow::new();
        flow.send(0);
        flow.rtt_min = Duration::from_millis(50);
        let sample = flow.ack(20, 1).unwrap();
        assert_eq!((sample.rate, sample.delivered), (Rate::ZERO, 1200));
    }

    #[test]
    fn losses_are_counted_from_when_a_datagram_left() {
        let mut flow = Flow::new();
        flow.send(0);
        flow.rate.on_lost(1200);
        flow.send(1);
        flow.rate.on_lost(2400);
        assert_eq!(flow.ack(20, 1).unwrap().lost, 3600);
        assert_eq!(flow.ack(21, 1).unwrap().lost, 2400);
    }

    #[test]
    fn counts_wrap() {
        let mut flow = Flow::new();
        flow.rate.delivered = u32::MAX - 100;
        flow.rate.lost = u32::MAX;
        flow.rate.on_application_limited(101);
        assert_eq!(flow.rate.limited_until, Some(NonZeroU32::MIN), "zero is taken");
        flow.send(0);
        flow.rate.on_lost(1200);
        let sample = flow.ack(20, 1).unwrap();
        assert_eq!((sample.delivered, sample.lost), (1200, 1200));
        assert!(!flow.rate.is_limited());
    }

    #[test]
    fn nothing_acknowledged_is_no_sample() {
        let mut rate = DeliveryRate::new();
        assert_eq!(rate.sample(Instant::ORIGIN, Batch::default(), Duration::ZERO), None);
    }

    #[test]
    fn ticks_and_rates_are_exact_to_their_units_and_saturate() {
        let second = Ticks::from_millis(1000);
        assert_eq!(Rate::of(12_345_680, second).octets(second), 12_345_680);
        assert_eq!(Rate::of(1000, Ticks::from_millis(500)).octets_per_second(), 2000);
        assert_eq!(Rate::of(5, Ticks::default()), Rate::ZERO);
        assert_eq!(Rate::of(u32::MAX, Ticks(1)), Rate::MAX);
        assert_eq!(Rate::MAX.percent(277), Rate::MAX);
        assert_eq!(Rate::MAX.octets(Ticks::MAX), (u64::from(u32::MAX) * u64::from(u32::MAX)) >> 22);
        assert_eq!(Ticks::from(Duration::MAX), Ticks::MAX);
        assert_eq!(Ticks::from(Duration::from_secs(64)), Ticks::MAX);
        assert!(Ticks::from(Duration::from_nanos(63_999_999_900)) < Ticks::MAX);
    }

    /// A sender of datagrams of 1200 octets, which are acknowledged in order.
    struct Flow {
        rate: DeliveryRate,
        sent: Vec<(Snapshot, Instant)>,
        acked_count: usize,
        rtt_min: Duration,
    }

    impl Flow {
        fn new() -> Self {
            Self { rate: DeliveryRate::new(), sent: Vec::new(), acked_count: 0, rtt_min: Duration::ZERO }
        }

        fn send(&mut self, millis: u64) {
            let in_flight = 1200 * (self.sent.len() - self.acked_count) as u64;
            self.sent.push((self.rate.on_sent(at(millis), 1200, in_flight), at(millis)));
        }

        fn ack(&mut self, millis: u64, count: usize) -> Option<Sample> {
            let mut batch = Batch::default();
            for _ in 0..count {
                let (snapshot, sent_at) = self.sent[self.acked_count];
                self.acked_count += 1;
                self.rate.on_acked(at(millis), 1200, sent_at, snapshot, &mut batch);
            }
            self.rate.sample(at(millis), batch, self.rtt_min)
        }
    }

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }
}
