//! Loss detection: which datagrams are lost, and when to probe (RFC 9002 §6).
//!
//! Thresholds only: the caller keeps the list of what it sent and asks about each entry.

use core::time::Duration;

use crate::rtt::{GRANULARITY, Rtt};
use crate::time::{Instant, nanos};

/// A datagram as its sender remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its number.
    pub number: u64,
    /// When it left.
    pub at: Instant,
}

/// What became of a datagram that is not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It is lost.
    Lost,
    /// It is lost at this instant, unless it is acknowledged before.
    LostAt(Instant),
    /// Nothing sent after it was acknowledged, so nothing is known.
    Fine,
}

/// Whether the peer and the path have shown that they are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// Nothing sent to it was answered yet.
    Unproven,
    /// A token or an acknowledgement came back from it.
    Proven,
}

/// Loss and probe thresholds of one path.
///
/// Both loss thresholds start at the values of RFC 9002 and stretch to the reordering that the path shows: without that, one
/// datagram in a hundred overtaken by four others would look like 1 % loss, and the congestion window would stay near its floor.
#[derive(Clone, Debug)]
pub struct LossDetector {
    /// How many numbers a datagram may be behind the largest acknowledged.
    reordering_count: u64,
    /// How long after a round trip it may still arrive, in nanoseconds.
    reordering_time: u64,
    /// Recoveries left until the path is thought to keep order again.
    recoveries_left: u32,
    /// Probe timeouts in a row.
    timeout_count: u32,
}

impl LossDetector {
    /// Starts with the thresholds of RFC 9002.
    #[must_use]
    pub const fn new() -> Self {
        Self { reordering_count: REORDERING_COUNT, reordering_time: 0, recoveries_left: 0, timeout_count: 0 }
    }

    /// Learns from a datagram that was declared lost and is acknowledged after all (RFC 8985 §6.2).
    ///
    /// `largest_acked` is the largest number acknowledged before this ack came.
    pub fn on_spurious(&mut self, now: Instant, sent: Sent, largest_acked: u64, rtt: &Rtt) {
        let distance = largest_acked.saturating_sub(sent.number).saturating_add(1);
        let late = nanos(now.saturating_since(sent.at).saturating_sub(round_trip(rtt)));
        self.reordering_count = self.reordering_count.max(distance.min(REORDERING_COUNT_MAX));
        self.reordering_time = self.reordering_time.max(late);
        self.recoveries_left = REORDERING_RECOVERIES;
    }

    /// Takes note that a recovery began, after a true loss: a path that keeps order again gets its fast reaction back.
    pub fn on_recovery(&mut self) {
        self.recoveries_left = self.recoveries_left.saturating_sub(1);
        if self.recoveries_left == 0 {
            self.reordering_count = REORDERING_COUNT;
            self.reordering_time = 0;
        }
    }

    /// Takes note that the probe deadline passed.
    pub fn on_probe_timeout(&mut self) {
        self.timeout_count = self.timeout_count.saturating_add(1);
    }

    /// Takes note that something was newly acknowledged, which ends the back-off.
    ///
    /// Not while the peer's address is unproven: its acks may come from somebody else (RFC 9002 §6.2.1).
    pub fn on_acked(&mut self) {
        self.timeout_count = 0;
    }

    /// Judges a datagram that is neither acknowledged nor declared lost (RFC 9002 §6.1).
    pub fn verdict(&self, now: Instant, sent: Sent, largest_acked: u64, rtt: &Rtt) -> Verdict {
        let Some(distance) = largest_acked.checked_sub(sent.number).filter(|&distance| distance > 0) else {
            return Verdict::Fine;
        };
        let deadline = sent.at.saturating_add(self.loss_delay(rtt));
        if distance >= self.reordering_count || deadline <= now { Verdict::Lost } else { Verdict::LostAt(deadline) }
    }

    /// Returns how long after it left a datagram is lost if a later one was acknowledged (RFC 9002 §6.1.2).
    #[must_use]
    pub fn loss_delay(&self, rtt: &Rtt) -> Duration {
        let round_trip = nanos(round_trip(rtt));
        // At most one more round trip, however late the path or the peer made something look (RFC 8985 §6.2).
        let reordering = self.reordering_time.min(nanos(rtt.smoothed())).max(round_trip / 8);
        Duration::from_nanos(round_trip + reordering).max(GRANULARITY)
    }

    /// Returns when to probe if nothing more is acknowledged: counted from when the last ack-eliciting datagram left.
    ///
    /// `interval_max` bounds the back-off, not the first interval, and nothing exceeds 60 s. Callers wait for this deadline only
    /// while no datagram has a [`Verdict::LostAt`] (RFC 9002 §6.2.1).
    #[must_use]
    pub fn probe_deadline(
        &self,
        last_sent_at: Instant,
        rtt: &Rtt,
        ack_delay_max: Duration,
        interval_max: Duration,
    ) -> Instant {
        let first = rtt.probe_timeout_nanos(ack_delay_max);
        let doubled = first.saturating_mul(1 << self.timeout_count.min(BACK_OFF_EXPONENT_MAX));
        let interval = doubled.min(nanos(interval_max).max(first)).min(nanos(PROBE_INTERVAL_MAX));
        last_sent_at.saturating_add_nanos(interval)
    }

    /// Returns how many datagrams to send when the probe deadline passes.
    ///
    /// Two survive one more loss; one while it is unknown whether anybody, or how far away, receives them.
    #[must_use]
    pub const fn probe_count(&self, address: Address, rtt: &Rtt) -> u32 {
        match address {
            Address::Proven if rtt.has_sample() => 2,
            Address::Proven | Address::Unproven => 1,
        }
    }

    /// Returns how many probe deadlines passed since the last acknowledgement.
    #[must_use]
    pub const fn timeout_count(&self) -> u32 {
        self.timeout_count
    }
}

impl Default for LossDetector {
    fn default() -> Self {
        Self::new()
    }
}

/// Decides, on one walk over the datagrams that are not acknowledged, in order of number, whether congestion is persistent
/// (RFC 9002 §7.6).
///
/// It is when two ack-eliciting datagrams are lost, nothing sent between them arrived, and they left further apart than a
/// sender that only probes needs to be sure. A number that the walk does not meet counts as arrived.
#[derive(Clone, Debug)]
pub struct PersistentCongestion {
    period: Duration,
    first_sample_at: Option<Instant>,
    /// When the first of the lost datagrams left that nothing has arrived since.
    since: Option<Instant>,
    next_number: u64,
}

impl PersistentCongestion {
    /// Starts a walk.
    #[must_use]
    pub fn new(rtt: &Rtt, ack_delay_max: Duration) -> Self {
        let period = rtt.probe_timeout(ack_delay_max).saturating_mul(PERSISTENT_CONGESTION_THRESHOLD);
        Self { period, first_sample_at: rtt.first_sample_at(), since: None, next_number: 0 }
    }

    /// Meets an ack-eliciting datagram that is found lost on this walk; returns whether it completes a period of persistent
    /// congestion.
    pub fn on_lost(&mut self, sent: Sent) -> bool {
        self.on_other(sent.number);
        // Before the first sample the period is a guess (RFC 9002 §7.6.2).
        if self.first_sample_at.is_none_or(|first| sent.at <= first) {
            return false;
        }
        let since = *self.since.get_or_insert(sent.at);
        sent.at.saturating_since(since) > self.period
    }

    /// Meets any other datagram that is not acknowledged: declared lost before, not ack-eliciting, or still open.
    pub fn on_other(&mut self, number: u64) {
        if number != self.next_number {
            self.since = None;
        }
        self.next_number = number.saturating_add(1);
    }
}

fn round_trip(rtt: &Rtt) -> Duration {
    rtt.smoothed().max(rtt.latest())
}

/// Numbers that a datagram may be behind on a path that keeps order (RFC 9002 §6.1.1, kPacketThreshold).
const REORDERING_COUNT: u64 = 3;
/// Numbers that it may be behind at most: what is further behind, the peer's receive window refuses anyway.
const REORDERING_COUNT_MAX: u64 = crate::seq::RECEIVE_WINDOW_LEN;
/// Recoveries without a false loss after which the thresholds fall back (RFC 8985 §6.2).
const REORDERING_RECOVERIES: u32 = 16;
/// The back-off doubles at most this often. Our choice.
const BACK_OFF_EXPONENT_MAX: u32 = 16;
/// The longest time between probes. RFC 6298 §2.5 allows no smaller one as the general bound.
const PROBE_INTERVAL_MAX: Duration = Duration::from_secs(60);
/// Probe timeouts that make congestion persistent (RFC 9002 §7.6.1, kPersistentCongestionThreshold).
const PERSISTENT_CONGESTION_THRESHOLD: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const MINUTE: Duration = Duration::from_secs(60);

    /// RFC 9002 §6.1.1.
    #[test]
    fn a_datagram_three_behind_is_lost() {
        let (loss, rtt) = (LossDetector::new(), rtt(80));
        assert_eq!(loss.verdict(at(1), sent(7, 0), 10, &rtt), Verdict::Lost);
        assert_eq!(loss.verdict(at(1), sent(8, 0), 10, &rtt), Verdict::LostAt(at(90)));
    }

    /// RFC 9002 §6.1.2: nine eighths of the round trip.
    #[test]
    fn a_datagram_that_a_later_one_overtook_is_lost_after_nine_eighths_of_a_round_trip() {
        let (loss, rtt) = (LossDetector::new(), rtt(80));
        assert_eq!(loss.verdict(at(89), sent(9, 0), 10, &rtt), Verdict::LostAt(at(90)));
        assert_eq!(loss.verdict(at(90), sent(9, 0), 10, &rtt), Verdict::Lost);
    }

    /// RFC 9002 §6.1: only what was sent before something acknowledged.
    #[test]
    fn without_a_later_acknowledgement_nothing_is_lost() {
        let (loss, rtt) = (LossDetector::new(), rtt(80));
        assert_eq!(loss.verdict(at(10_000), sent(11, 0), 10, &rtt), Verdict::Fine);
        assert_eq!(loss.verdict(at(10_000), sent(10, 0), 10, &rtt), Verdict::Fine);
    }

    /// RFC 9002 §6.1.2, kGranularity.
    #[test]
    fn the_loss_delay_is_at_least_a_timers_grain() {
        let mut near = Rtt::new(MS);
        near.on_sample(at(0), Duration::from_micros(30), Duration::ZERO);
        assert_eq!(LossDetector::new().loss_delay(&near), MS);
    }

    /// RFC 8985 §6.2.
    #[test]
    fn a_false_loss_stretches_both_thresholds_to_what_was_seen() {
        let (mut loss, rtt) = (LossDetector::new(), rtt(80));
        loss.on_spurious(at(110), sent(3, 0), 12, &rtt);
        assert_eq!(loss.verdict(at(100), sent(3, 0), 12, &rtt), Verdict::LostAt(at(110)));
        assert_eq!(loss.verdict(at(100), sent(2, 0), 12, &rtt), Verdict::Lost);
    }

    #[test]
    fn the_thresholds_have_a_bound() {
        let (mut loss, rtt) = (LossDetector::new(), rtt(80));
        loss.on_spurious(at(u64::MAX / 1_000_000), sent(0, 0), u64::MAX, &rtt);
        assert_eq!(loss.verdict(at(0), sent(0, 0), 1024, &rtt), Verdict::Lost);
        assert_eq!(loss.verdict(at(0), sent(0, 0), 1023, &rtt), Verdict::LostAt(at(160)));
    }

    /// RFC 8985 §6.2.
    #[test]
    fn after_sixteen_recoveries_the_thresholds_fall_back() {
        let (mut loss, rtt) = (LossDetector::new(), rtt(80));
        loss.on_spurious(at(110), sent(3, 0), 12, &rtt);
        (0..15).for_each(|_| loss.on_recovery());
        assert_eq!(loss.loss_delay(&rtt), 110 * MS);
        loss.on_recovery();
        assert_eq!(loss.loss_delay(&rtt), 90 * MS);
        assert_eq!(loss.verdict(at(0), sent(9, 0), 12, &rtt), Verdict::Lost);
    }

    /// RFC 9002 §6.2.1: doubled at each expiry, restarted by an acknowledgement.
    #[test]
    fn probes_back_off_until_something_is_acknowledged() {
        let (mut loss, rtt) = (LossDetector::new(), rtt(80));
        let interval = |loss: &LossDetector| loss.probe_deadline(at(0), &rtt, 5 * MS, MINUTE);
        assert_eq!(interval(&loss), at(245));
        loss.on_probe_timeout();
        loss.on_probe_timeout();
        assert_eq!(interval(&loss), at(980));
        loss.on_acked();
        assert_eq!(interval(&loss), at(245));
    }

    #[test]
    fn the_back_off_is_bounded_but_never_below_the_first_interval() {
        let (mut loss, rtt) = (LossDetector::new(), rtt(80));
        (0..100).for_each(|_| loss.on_probe_timeout());
        assert_eq!(loss.probe_deadline(at(0), &rtt, 5 * MS, Duration::MAX), at(60_000));
        assert_eq!(loss.probe_deadline(at(0), &rtt, 5 * MS, 400 * MS), at(400));
        assert_eq!(loss.probe_deadline(at(0), &rtt, 5 * MS, Duration::ZERO), at(245));
    }

    /// RFC 9002 §6.2.4.
    #[test]
    fn two_probes_go_to_a_proven_path_and_one_to_any_other() {
        let loss = LossDetector::new();
        assert_eq!(loss.probe_count(Address::Proven, &rtt(80)), 2);
        assert_eq!(loss.probe_count(Address::Unproven, &rtt(80)), 1);
        assert_eq!(loss.probe_count(Address::Proven, &Rtt::new(MS)), 1);
    }

    /// RFC 9002 §7.6.1, §7.6.2.
    #[test]
    fn losses_three_probe_timeouts_apart_with_nothing_between_are_persistent_congestion() {
        let rtt = rtt(80); // Three times 240 ms + 5 ms.
        let walk = || PersistentCongestion::new(&rtt, 5 * MS);

        let mut whole = walk();
        assert!(!whole.on_lost(sent(4, 1)));
        assert!(!whole.on_lost(sent(5, 736)));
        assert!(whole.on_lost(sent(6, 737)));

        let mut interrupted = walk();
        assert!(!interrupted.on_lost(sent(4, 1)));
        assert!(!interrupted.on_lost(sent(6, 737)), "5 arrived");

        let mut mixed = walk();
        assert!(!mixed.on_lost(sent(4, 1)));
        mixed.on_other(5);
        assert!(mixed.on_lost(sent(6, 737)), "5 did not arrive");

        let mut early = walk();
        assert!(!early.on_lost(sent(4, 0)), "before the first sample");
        assert!(!early.on_lost(sent(5, 737)));

        let mut unsampled = PersistentCongestion::new(&Rtt::new(MS), MS);
        assert!(!unsampled.on_lost(sent(4, 1)) && !unsampled.on_lost(sent(5, 10_000)));
    }

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn sent(number: u64, millis: u64) -> Sent {
        Sent { number, at: at(millis) }
    }

    fn rtt(millis: u32) -> Rtt {
        let mut rtt = Rtt::new(MS);
        rtt.on_sample(at(0), millis * MS, Duration::ZERO);
        rtt
    }
}
