//! HyStart++: leaves the first slow start when the round trip grows, before the queue overflows (RFC 9406).

use core::num::NonZeroU8;
use core::time::Duration;

use crate::time::{Instant, nanos};

/// The first slow start of one path.
///
/// A round ends when a datagram that left after its beginning is acknowledged: judged by time, because the conversations that
/// share a path number their datagrams apart. When the least round trip of a round
/// exceeds that of the round before, growth is slowed for five rounds (conservative slow start); if the round trip falls
/// back meanwhile, that was jitter.
#[derive(Clone, Copy, Debug)]
pub(super) struct HyStart {
    /// When the round began; the first one begins with the first ack.
    round_start: Option<Instant>,
    min_last_round: u64,
    min_this_round: u64,
    sample_count: u32,
    conservative: Option<Conservative>,
}

#[derive(Clone, Copy, Debug)]
struct Conservative {
    /// The round trip that made slow start conservative.
    baseline: u64,
    /// Never zero, so that what is absent takes no room of its own.
    rounds_left: NonZeroU8,
}

/// Whether slow start goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    SlowStart,
    /// The threshold belongs where the window is.
    Over,
}

impl HyStart {
    pub(super) const fn new() -> Self {
        Self {
            round_start: None,
            min_last_round: u64::MAX,
            min_this_round: u64::MAX,
            sample_count: 0,
            conservative: None,
        }
    }

    /// RFC 9406 §4.2: one sample an ack.
    pub(super) fn on_rtt_sample(&mut self, latest: Duration) {
        self.min_this_round = self.min_this_round.min(nanos(latest));
        self.sample_count = self.sample_count.saturating_add(1);
        if self.sample_count < SAMPLE_COUNT_MIN {
            return;
        }
        match self.conservative {
            None if self.min_last_round != u64::MAX => {
                let tolerance =
                    (self.min_last_round / RTT_DIVISOR).clamp(nanos(RTT_TOLERANCE_MIN), nanos(RTT_TOLERANCE_MAX));
                if self.min_this_round >= self.min_last_round.saturating_add(tolerance) {
                    self.conservative =
                        Some(Conservative { baseline: self.min_this_round, rounds_left: CONSERVATIVE_ROUNDS });
                }
            }
            Some(conservative) if self.min_this_round < conservative.baseline => self.conservative = None,
            None | Some(_) => {}
        }
    }

    pub(super) fn on_acked(&mut self, now: Instant, sent_at: Instant) -> Phase {
        let round_start = *self.round_start.get_or_insert(now);
        if sent_at < round_start {
            return Phase::SlowStart;
        }
        self.round_start = Some(now);
        self.min_last_round = self.min_this_round;
        self.min_this_round = u64::MAX;
        self.sample_count = 0;
        match &mut self.conservative {
            Some(conservative) => match NonZeroU8::new(conservative.rounds_left.get() - 1) {
                Some(rounds_left) => {
                    conservative.rounds_left = rounds_left;
                    Phase::SlowStart
                }
                None => Phase::Over,
            },
            None => Phase::SlowStart,
        }
    }

    /// What the window grows by for `len` octets acknowledged. No further limit: what is paced cannot burst (RFC 9406 §4.3).
    pub(super) const fn growth(&self, len: u64) -> u64 {
        match self.conservative {
            Some(_) => len / GROWTH_DIVISOR,
            None => len,
        }
    }
}

// RFC 9406 §4.3.
const RTT_TOLERANCE_MIN: Duration = Duration::from_millis(4);
const RTT_TOLERANCE_MAX: Duration = Duration::from_millis(16);
const RTT_DIVISOR: u64 = 8;
const SAMPLE_COUNT_MIN: u32 = 8;
const GROWTH_DIVISOR: u64 = 4;
const CONSERVATIVE_ROUNDS: NonZeroU8 = NonZeroU8::new(5).unwrap();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_round_trip_never_ends_slow_start() {
        let mut path = Path::new();
        for _ in 0..50 {
            assert_eq!(path.round(100), Phase::SlowStart);
            assert_eq!(path.hystart.growth(1000), 1000);
        }
    }

    /// RFC 9406 §4.2.
    #[test]
    fn a_grown_round_trip_slows_growth_and_ends_slow_start_five_rounds_later() {
        let mut path = Path::new();
        path.round(100);
        path.round(100);
        path.sample(113);
        assert_eq!(path.hystart.growth(1000), 250);
        for _ in 0..4 {
            assert_eq!(path.round(113), Phase::SlowStart);
        }
        assert_eq!(path.round(113), Phase::Over);
    }

    /// RFC 9406 §4.2.
    #[test]
    fn a_round_trip_that_falls_back_was_jitter() {
        let mut path = Path::new();
        path.round(100);
        path.round(100);
        path.round(120);
        assert_eq!(path.hystart.growth(1000), 250);
        path.round(105);
        assert_eq!(path.hystart.growth(1000), 1000);
    }

    /// RFC 9406 §4.3: an eighth of the round trip, at least 4 ms and at most 16 ms.
    #[test]
    fn the_tolerance_has_bounds() {
        for (base, tolerated, excessive) in [(1, 4, 5), (64, 71, 72), (1000, 1015, 1016)] {
            for (then, growth) in [(tolerated, 1000), (excessive, 250)] {
                let mut path = Path::new();
                path.round(base);
                path.round(then);
                assert_eq!(path.hystart.growth(1000), growth, "{base} ms, then {then} ms");
            }
        }
    }

    #[test]
    fn fewer_than_eight_samples_decide_nothing() {
        let mut path = Path::new();
        path.round(100);
        (0..7).for_each(|_| path.hystart.on_rtt_sample(Duration::from_millis(200)));
        assert_eq!(path.hystart.growth(1000), 1000);
    }

    struct Path {
        hystart: HyStart,
        now: Instant,
    }

    impl Path {
        fn new() -> Self {
            let mut hystart = HyStart::new();
            hystart.on_acked(Instant::from_nanos(1), Instant::ORIGIN);
            Self { hystart, now: Instant::from_nanos(1) }
        }

        fn sample(&mut self, millis: u64) {
            (0..8).for_each(|_| self.hystart.on_rtt_sample(Duration::from_millis(millis)));
        }

        /// Eight acks of a round trip each, then the one that ends the round.
        fn round(&mut self, millis: u64) -> Phase {
            self.sample(millis);
            let sent_at = self.now;
            self.now = sent_at.saturating_add(Duration::from_millis(millis));
            let phase = self.hystart.on_acked(self.now, sent_at);
            let before = sent_at.saturating_add(Duration::from_millis(millis - 1));
            assert_eq!(self.hystart.on_acked(self.now, before), Phase::SlowStart, "of the round before");
            phase
        }
    }
}
