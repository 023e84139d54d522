use super::*;
use core::time::Duration;
use proptest::prelude::*;

const LEN: usize = 1200;
const MAX: u64 = 100_000_000;

/// RFC 9002 §7.2.
#[test]
fn the_initial_window_is_ten_datagrams_within_bounds() {
    for (len, window) in [(1200, 12_000), (1472, 14_720), (8972, 17_944), (65_507, 131_014)] {
        assert_eq!(Controller::new(Algorithm::Cubic, len, MAX).window(), window);
        assert_eq!(Controller::new(Algorithm::NewReno, len, MAX).window(), window);
    }
}

/// RFC 9002 §7.3.1.
#[test]
fn slow_start_grows_by_what_is_acknowledged() {
    let mut path = Path::new(Algorithm::NewReno);
    path.ack(0);
    assert_eq!(path.controller.window(), 13_200);
    assert!(path.controller.is_in_slow_start());
}

/// RFC 9002 §7.8.
#[test]
fn an_application_that_does_not_fill_the_window_does_not_grow_it() {
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic] {
        let mut path = Path::new(algorithm);
        path.ack_limited_by(0, Limit::Application);
        path.lose(0);
        let window = path.controller.window();
        for millis in 1..100 {
            path.now = at(millis);
            path.ack_limited_by(millis, Limit::Application);
        }
        assert_eq!(path.controller.window(), window);
    }
}

/// RFC 9002 §7.3.2, RFC 9438 §4.6.
#[test]
fn a_loss_reduces_the_window_once_a_recovery_period() {
    for (algorithm, reduced) in [(Algorithm::NewReno, 6000), (Algorithm::Cubic, 8400)] {
        let mut path = Path::new(algorithm);
        path.now = at(10);
        path.lose(5);
        assert_eq!(path.controller.window(), reduced);
        assert_eq!(path.controller.slow_start_threshold(), reduced);
        assert!(!path.controller.is_in_slow_start());
        path.now = at(12);
        path.lose(10);
        path.ack(10);
        assert_eq!(path.controller.window(), reduced, "sent before the reduction");
        path.lose(11);
        assert!(path.controller.window() < reduced);
    }
}

/// RFC 9438 §4.6.
#[test]
fn the_reduction_starts_from_what_was_in_flight() {
    let mut controller = Controller::new(Algorithm::Cubic, LEN, MAX);
    controller.on_congestion(at(1), Lost { count: 1, newest_sent_at: at(0), in_flight: 10_000 });
    assert_eq!(controller.window(), 7000);
}

/// RFC 9002 §7.2, §7.6.2.
#[test]
fn the_window_is_at_least_two_datagrams() {
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic] {
        let mut path = Path::new(algorithm);
        for millis in 1..20 {
            path.now = at(millis);
            path.lose(millis);
        }
        assert_eq!(path.controller.window(), 2400);
    }
}

/// RFC 9002 §7.6.2.
#[test]
fn persistent_congestion_falls_to_two_datagrams_and_slow_start_begins_again() {
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic] {
        let mut path = Path::new(algorithm);
        path.now = at(1);
        path.lose(0);
        path.controller.on_persistent_congestion();
        assert_eq!(path.controller.window(), 2400);
        assert!(path.controller.is_in_slow_start());
        path.ack(1);
        assert_eq!(path.controller.window(), 3600);
    }
}

/// RFC 9438 §4.9.
#[test]
fn a_reduction_whose_losses_all_prove_false_is_undone() {
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic] {
        let mut path = Path::new(algorithm);
        path.now = at(1);
        path.lose(0);
        path.now = at(2);
        path.lose(1);
        path.spurious(0);
        assert!(path.controller.window() < 12_000);
        path.spurious(1);
        assert_eq!(path.controller.window(), 12_000);
        assert!(path.controller.is_in_slow_start());
    }
}

#[test]
fn a_false_loss_of_an_earlier_reduction_does_not_undo_the_last() {
    let mut path = Path::new(Algorithm::NewReno);
    path.now = at(1);
    path.lose(0);
    path.now = at(10);
    path.lose(5);
    assert_eq!(path.controller.window(), 3000);
    path.spurious(0);
    assert_eq!(path.controller.window(), 3000);
    path.spurious(5);
    assert_eq!(path.controller.window(), 6000);
}

#[test]
fn a_true_loss_or_a_mark_among_the_false_ones_keeps_the_reduction() {
    let mut path = Path::new(Algorithm::Cubic);
    path.now = at(1);
    path.lose(0);
    path.lose(0);
    path.spurious(0);
    path.spurious(5);
    assert_eq!(path.controller.window(), 8400);
    path.mark(2, 0, 8400);
    path.spurious(0);
    assert_eq!(path.controller.window(), 8400);
}

/// RFC 9002 §7.1.
#[test]
fn a_mark_reduces_the_window_as_a_loss_does() {
    let mut path = Path::new(Algorithm::NewReno);
    path.mark(5, 1, 12_000);
    assert_eq!(path.controller.window(), 6000);
    path.mark(6, 5, 12_000);
    assert_eq!(path.controller.window(), 6000);
}

/// RFC 8899 §3.
#[test]
fn a_longer_datagram_does_not_enlarge_the_window() {
    let mut path = Path::new(Algorithm::Cubic);
    path.controller.on_datagram_len(65_507);
    assert_eq!(path.controller.window(), 12_000);
    assert!(path.controller.allows(0, 65_507));
    assert!(!path.controller.allows(1, 65_507));
    path.now = at(1);
    path.lose(0);
    assert_eq!(path.controller.window(), 12_000, "two datagrams are more");
    path.controller.on_persistent_congestion();
    assert_eq!(path.controller.window(), 12_000);
}

#[test]
fn a_shorter_datagram_does_not_make_the_window_leap() {
    let mut path = Path::new(Algorithm::Cubic);
    path.controller = Controller::new(Algorithm::Cubic, 65_507, MAX);
    path.lose(0);
    path.now = at(1);
    path.ack(1);
    let before = path.controller.window();
    path.controller.on_datagram_len(LEN);
    path.ack(1);
    assert!(path.controller.window() < before + 2400);
}

#[test]
fn stop_and_wait_has_one_datagram_in_flight_whatever_its_length() {
    let mut path = Path::new(Algorithm::StopAndWait);
    assert!(path.controller.allows(0, LEN));
    assert!(!path.controller.allows(1, 1));
    path.lose(0);
    path.ack(0);
    path.controller.on_persistent_congestion();
    assert_eq!(path.controller.window(), 1200);
    path.controller.on_datagram_len(1472);
    assert_eq!(path.controller.window(), 1472);
}

#[test]
fn a_fixed_window_is_fixed() {
    let mut path = Path::new(Algorithm::Fixed { window: 5000 });
    path.ack(0);
    path.lose(0);
    path.controller.on_persistent_congestion();
    path.controller.on_datagram_len(65_507);
    assert_eq!(path.controller.window(), 5000);
    assert!(path.controller.allows(3800, LEN));
    assert!(!path.controller.allows(3801, LEN));
    assert!(!path.controller.is_in_slow_start());
}

/// RFC 9406 §4.2, RFC 9438 §4.10.
#[test]
fn a_growing_round_trip_ends_slow_start_without_a_loss() {
    let mut path = Path::new(Algorithm::Cubic);
    for round in 0..20 {
        path.now = at(round * 100);
        path.rtt.on_sample(path.now, Duration::from_millis(50 + 10 * round), Duration::ZERO);
        (0..8).for_each(|_| path.controller.on_rtt_sample(&path.rtt));
        path.ack(round * 100);
    }
    assert!(!path.controller.is_in_slow_start());
    assert!(path.controller.slow_start_threshold() < 30_000);
}

/// RFC 9438 §5.8: what was idle is not congestion avoidance.
#[test]
fn an_idle_hour_does_not_count_as_growth() {
    let mut path = Path::new(Algorithm::Cubic);
    path.now = at(1);
    path.lose(0);
    path.now = at(100);
    path.ack(2);
    let before = path.controller.window();
    path.now = at(3_600_000);
    let _ = path.controller.on_sent(path.now, LEN, 0);
    path.now = at(3_600_100);
    path.ack(3_600_000);
    assert!(path.controller.window() < before + 200);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Any history: the window stays in its bounds.
    #[test]
    fn the_window_keeps_its_bounds(
        algorithm in prop::sample::select(&[Algorithm::NewReno, Algorithm::Cubic, Algorithm::Bbr][..]),
        steps in prop::collection::vec((0u8..9, 0u64..200_000_000, 0u64..2_000_000), 1..300),
    ) {
        let mut path = Path::new(algorithm);
        path.controller = Controller::new(algorithm, LEN, 1_000_000);
        let mut snapshot = Snapshot::EMPTY;
        for (kind, pause, amount) in steps {
            path.now = path.now.saturating_add(Duration::from_nanos(pause));
            let sent_at = path.now.saturating_sub(Duration::from_nanos(amount * 100));
            let acked = Acked { sent_at, len: LEN, limit: Limit::Window, snapshot };
            let mut batch = Batch::default();
            match kind {
                0 => {
                    path.controller.on_lost(path.now, &LostDatagram { number: amount % 10, sent_at, len: LEN, snapshot });
                    path.controller.on_congestion(path.now, Lost { count: 1, newest_sent_at: sent_at, in_flight: amount });
                }
                1 => path.controller.on_spurious(path.now, &acked, &mut batch),
                2 => path.controller.on_ecn_ce(path.now, Marked { count: amount % 9, sent_at, in_flight: amount }),
                3 if amount < 100_000 => path.controller.on_persistent_congestion(),
                4 => {
                    path.rtt.on_sample(path.now, Duration::from_nanos(amount), Duration::ZERO);
                    path.controller.on_rtt_sample(&path.rtt);
                }
                5 => path.controller.on_application_limited(amount),
                _ => {
                    snapshot = path.controller.on_sent(path.now, LEN, amount % 3);
                    path.controller.on_acked(path.now, &acked, &path.rtt, &mut batch);
                }
            }
            path.controller.on_ack(path.now, batch, amount, &path.rtt);
            prop_assert!((2400..=1_000_000).contains(&path.controller.window()));
        }
    }
}

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

fn acked(sent_millis: u64, limit: Limit) -> Acked {
    Acked { sent_at: at(sent_millis), len: LEN, limit, snapshot: Snapshot::EMPTY }
}

/// A controller with its clock, on a path of 50 ms.
struct Path {
    controller: Controller,
    rtt: Rtt,
    now: Instant,
}

impl Path {
    fn new(algorithm: Algorithm) -> Self {
        let mut rtt = Rtt::new(Duration::from_millis(333));
        rtt.on_sample(at(0), Duration::from_millis(50), Duration::ZERO);
        Self { controller: Controller::new(algorithm, LEN, MAX), rtt, now: at(0) }
    }

    /// Acknowledges a datagram sent at this millisecond.
    fn ack(&mut self, sent_millis: u64) {
        self.ack_limited_by(sent_millis, Limit::Window);
    }

    fn ack_limited_by(&mut self, sent_millis: u64, limit: Limit) {
        self.controller.on_acked(self.now, &acked(sent_millis, limit), &self.rtt, &mut Batch::default());
    }

    /// Acknowledges a datagram after all that was lost.
    fn spurious(&mut self, sent_millis: u64) {
        self.controller.on_spurious(self.now, &acked(sent_millis, Limit::Window), &mut Batch::default());
    }

    /// Hears of a mark at one millisecond, with the ack of what was sent at another.
    fn mark(&mut self, millis: u64, sent_millis: u64, in_flight: u64) {
        self.controller.on_ecn_ce(at(millis), Marked { count: 1, sent_at: at(sent_millis), in_flight });
    }

    /// Loses one datagram sent at this millisecond, with the window full.
    fn lose(&mut self, sent_millis: u64) {
        let in_flight = self.controller.window();
        self.controller.on_congestion(self.now, Lost { count: 1, newest_sent_at: at(sent_millis), in_flight });
    }
}
