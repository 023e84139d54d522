//! CUBIC: the window as a cubic function of the time since the last congestion (RFC 9438), in integers.
//!
//! Windows are in octets, so the constant C of the specification, in datagrams per second cubed, is multiplied by the
//! datagram length. Time is in units of 2^-20 s: then seconds cubed are a shift by 60.

use core::time::Duration;

use crate::time::{Instant, nanos};

/// Congestion avoidance of CUBIC.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cubic {
    history: History,
    /// The present stage of congestion avoidance; it begins with the first growth after a congestion.
    epoch: Option<Epoch>,
}

/// What the last congestion taught.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct History {
    /// The window at which congestion is expected again, W_max; zero if there is no such memory.
    window_before: u64,
    /// The window at the last congestion, cwnd_prior.
    window_prior: u64,
}

#[derive(Clone, Copy, Debug)]
struct Epoch {
    /// Time in which the window was in use, in nanoseconds: t.
    elapsed: u64,
    /// Until when time was looked at; not all of it was counted.
    watched_until: Instant,
    /// The plateau of the cubic function: W_max at the start of the epoch.
    plateau: u64,
    /// When the plateau is reached, in ticks: K.
    plateau_at: u64,
    /// The window that Reno would have: W_est.
    reno_window: u64,
    /// Growth of `reno_window`, times 17 windows, that is less than an octet.
    reno_credit: u64,
    /// Growth, times the window, that is less than an octet.
    growth_credit: u64,
}

impl Cubic {
    /// Returns the window after `len` octets were acknowledged (RFC 9438 §4.2 to §4.5).
    pub(super) fn on_acked(&mut self, now: Instant, len: u64, window: u64, datagram_len: u64, rtt: Duration) -> u64 {
        let History { window_before, window_prior } = self.history;
        let epoch = self.epoch.get_or_insert_with(|| Epoch::new(now, window_before, window, datagram_len));
        epoch.elapsed = epoch.elapsed.saturating_add(nanos(now.saturating_since(epoch.watched_until)));
        epoch.watched_until = now;

        let reno_window = epoch.grow_reno(len, window, window_prior, datagram_len);
        if epoch.cubic_window(epoch.elapsed, datagram_len) < reno_window {
            return reno_window.max(window);
        }
        let target = epoch.cubic_window(epoch.elapsed.saturating_add(nanos(rtt)), datagram_len);
        // Bounded, so that a long pause cannot end in a burst (RFC 9438 §4.2).
        let distance = target.saturating_sub(window).min(window / 2);
        epoch.growth_credit = epoch.growth_credit.saturating_add(distance.saturating_mul(len));
        let growth = epoch.growth_credit / window.max(1);
        epoch.growth_credit -= growth * window;
        window.saturating_add(growth)
    }

    /// Lets the time until `now` pass uncounted, because the sender did not fill the window (RFC 9438 §5.8).
    pub(super) fn on_application_limited(&mut self, now: Instant) {
        if let Some(epoch) = &mut self.epoch {
            epoch.watched_until = epoch.watched_until.max(now);
        }
    }

    /// Begins an epoch anew: the curve of the old one was drawn for another datagram length.
    pub(super) fn on_datagram_len(&mut self) {
        self.epoch = None;
    }

    /// Returns the slow start threshold after congestion with `in_flight` octets under way (RFC 9438 §4.6, §4.7).
    pub(super) fn on_congestion(&mut self, window: u64, in_flight: u64) -> u64 {
        // A window that did not reach the last one shares the path with a newcomer: leave more room (fast convergence).
        let is_newcomer = window < self.history.window_before;
        let window_before = if is_newcomer { portion(window, 17, 20) } else { window };
        self.history = History { window_before, window_prior: window };
        self.epoch = None;
        portion(in_flight, 7, 10)
    }

    /// Returns what the last congestion taught.
    pub(super) const fn history(&self) -> History {
        self.history
    }

    /// Goes back to what was known before a congestion that was none (RFC 9438 §4.9).
    ///
    /// The epoch begins anew: the curve towards the same plateau, from the window that is restored, is the same curve.
    pub(super) const fn undo(&mut self, history: History) {
        *self = Self { history, epoch: None };
    }

    /// Forgets the window at which congestion is expected (RFC 9438 §4.8).
    pub(super) fn on_persistent_congestion(&mut self) {
        self.history.window_before = 0;
        self.epoch = None;
    }
}

impl Epoch {
    fn new(now: Instant, window_before: u64, window: u64, datagram_len: u64) -> Self {
        // Without a window to return to, the plateau is here (RFC 9438 §4.8, §4.10).
        let plateau = window_before.max(window);
        // K is the cube root of (W_max - cwnd) / C, with C = 2/5 of a datagram.
        let distance = u128::from((plateau - window).min(DISTANCE_MAX));
        let plateau_at = cube_root(((5 * distance) << (3 * TICK_BITS)) / u128::from(2 * datagram_len.max(1)));
        Self {
            elapsed: 0,
            watched_until: now,
            plateau,
            plateau_at,
            reno_window: window,
            reno_credit: 0,
            growth_credit: 0,
        }
    }

    /// W_cubic: plateau + C (t - K)^3.
    fn cubic_window(&self, elapsed_nanos: u64, datagram_len: u64) -> u64 {
        let elapsed = ticks(elapsed_nanos);
        let offset = u128::from(elapsed.abs_diff(self.plateau_at).min(OFFSET_MAX));
        let cubed = (offset * offset * offset * 2 * u128::from(datagram_len)) >> (3 * TICK_BITS);
        let distance = u64::try_from(cubed / 5).unwrap_or(u64::MAX);
        if elapsed < self.plateau_at {
            self.plateau.saturating_sub(distance)
        } else {
            self.plateau.saturating_add(distance)
        }
    }

    /// Grows W_est as Reno would, a little with each ack (RFC 9438 §4.3).
    ///
    /// Not by a datagram a round trip: the window after a loss is seldom a whole number of datagrams, and what it lacks to one is
    /// regained early, by half a datagram on average. Of the twelve that 1 % of loss allows, that counts.
    fn grow_reno(&mut self, len: u64, window: u64, window_prior: u64, datagram_len: u64) -> u64 {
        // 9/17 of Reno's speed gives Reno's share, since the window falls by less; once what was lost is regained, Reno's own.
        let speed = if self.reno_window < window_prior { 9 } else { 17 };
        let credit = len.saturating_mul(datagram_len).saturating_mul(speed);
        self.reno_credit = self.reno_credit.saturating_add(credit);
        let octet_cost = window.saturating_mul(17).max(1);
        let growth = self.reno_credit / octet_cost;
        self.reno_credit -= growth * octet_cost;
        self.reno_window = self.reno_window.saturating_add(growth);
        self.reno_window
    }
}

/// `value * numerator / denominator`, without an overflow on the way.
fn portion(value: u64, numerator: u64, denominator: u64) -> u64 {
    value / denominator * numerator + value % denominator * numerator / denominator
}

/// Nanoseconds in units of 2^-20 s: a millionth is 2^14 / 5^6 of them.
fn ticks(nanos: u64) -> u64 {
    (nanos / 1000).saturating_mul(1 << 14) / 15_625
}

/// The cube root, rounded down, of a value below 2^126.
fn cube_root(value: u128) -> u64 {
    let mut root: u128 = 0;
    for bit in (0..42).rev() {
        let candidate = root | (1 << bit);
        if candidate * candidate * candidate <= value {
            root = candidate;
        }
    }
    root as u64
}

/// A tick is 2^-20 s.
const TICK_BITS: u32 = 20;
/// 4096 s, so that its cube times a datagram fits 128 bits; the window is at its bound long before.
const OFFSET_MAX: u64 = 1 << 32;
/// Largest distance to the plateau, so that K's cube fits 128 bits.
const DISTANCE_MAX: u64 = 1 << 60;

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: u64 = 1200;
    const RTT: Duration = Duration::from_millis(100);

    #[test]
    fn the_cube_root_is_exact() {
        for root in [0, 1, 2, 3, 1000, 1 << 20, (1 << 41) + 12_345] {
            let cube = u128::from(root) * u128::from(root) * u128::from(root);
            assert_eq!(cube_root(cube), root);
            assert_eq!(cube_root(cube + 1), root.max(1));
            assert_eq!(cube_root(cube.saturating_sub(1)), root.saturating_sub(1));
        }
    }

    #[test]
    fn a_million_microseconds_are_two_to_the_twenty_ticks() {
        assert_eq!(ticks(1_000_000_000), 1 << 20);
        assert_eq!(ticks(u64::MAX), u64::MAX / 15_625);
    }

    /// RFC 9438 §4.2: the window follows the formula in floating point, in the concave and in the convex region.
    #[test]
    fn the_window_follows_the_formula() {
        for datagram_len in [1200_u64, 65_507] {
            let window_before = 1000 * datagram_len;
            let start = portion(window_before, 7, 10);
            let epoch = Epoch::new(Instant::ORIGIN, window_before, start, datagram_len);
            let k = (300.0_f64 / 0.4).cbrt();
            for millis in (0..30_000).step_by(37) {
                let t = f64::from(millis) / 1000.0;
                let expected = (0.4 * (t - k).powi(3) + 1000.0) * datagram_len as f64;
                let got = epoch.cubic_window(u64::try_from(millis).unwrap() * 1_000_000, datagram_len) as f64;
                assert!((got - expected).abs() < 0.005 * datagram_len as f64, "{datagram_len} {t}: {got} {expected}");
            }
        }
    }

    /// RFC 9438 §4.2, §4.4: ack by ack against the same recurrence in floating point.
    #[test]
    fn growth_per_ack_follows_the_formula() {
        let mut cubic = Cubic::default();
        let mut window = cubic.on_congestion(1000 * LEN, 1000 * LEN);
        let mut reference = window as f64 / LEN as f64;
        let k = (300.0_f64 / 0.4).cbrt();
        for round in 0..300_u32 {
            let count = (window / LEN) as u32;
            for index in 0..count {
                let now = Instant::ORIGIN.saturating_add(RTT * round + RTT / count * index);
                window = cubic.on_acked(now, LEN, window, LEN, RTT);
                let t = now.as_nanos() as f64 / 1e9;
                let target = 0.4 * (t + 0.1 - k).powi(3) + 1000.0;
                reference += (target.clamp(reference, 1.5 * reference) - reference) / reference;
            }
            let datagrams = window as f64 / LEN as f64;
            assert!((datagrams / reference - 1.0).abs() < 0.002, "round {round}: {datagrams} {reference}");
        }
        assert!(window > 1800 * LEN, "the convex region was reached");
    }

    /// RFC 9438 §4.3: on a short path Reno is faster, and CUBIC follows it.
    #[test]
    fn on_a_short_path_the_window_is_that_of_reno() {
        let mut cubic = Cubic::default();
        let mut window = cubic.on_congestion(20 * LEN, 20 * LEN);
        let mut reno = 14.0_f64;
        let rtt = Duration::from_micros(30);
        for round in 0..100_u32 {
            let now = Instant::ORIGIN.saturating_add(rtt * round);
            for _ in 0..window / LEN {
                reno += if reno < 20.0 { 9.0 / 17.0 } else { 1.0 } / (window as f64 / LEN as f64);
                window = cubic.on_acked(now, LEN, window, LEN, rtt);
            }
        }
        let datagrams = window as f64 / LEN as f64;
        assert!((datagrams - reno).abs() <= 0.01, "{datagrams} {reno}");
    }

    /// RFC 9438 §4.3: what the reduction left over of a datagram is used as soon as it is a whole one.
    #[test]
    fn a_part_of_a_datagram_is_regained_within_a_round_trip() {
        let mut cubic = Cubic::default();
        let start = cubic.on_congestion(14 * LEN, 14 * LEN);
        let mut window = start;
        for _ in 0..start / LEN {
            window = cubic.on_acked(Instant::ORIGIN, LEN, window, LEN, RTT);
        }
        assert!(start < 10 * LEN && window > 10 * LEN, "{start} {window}");
    }

    /// RFC 9438 §4.2.
    #[test]
    fn the_target_is_at_most_one_and_a_half_windows() {
        let mut cubic = Cubic::default();
        let start = cubic.on_congestion(100 * LEN, 100 * LEN);
        let mut window = cubic.on_acked(Instant::ORIGIN, LEN, start, LEN, RTT);
        let late = Instant::ORIGIN.saturating_add(Duration::from_secs(100_000));
        for _ in 0..start / LEN {
            window = cubic.on_acked(late, LEN, window, LEN, RTT);
        }
        assert!(window > start * 3 / 2 && window < start * 17 / 10, "{window} {start}");
    }

    /// RFC 9438 §4.6, §4.7.
    #[test]
    fn a_window_that_did_not_recover_gives_up_more() {
        let mut cubic = Cubic::default();
        assert_eq!(cubic.on_congestion(1000, 1000), 700);
        assert_eq!(cubic.history.window_before, 1000);
        assert_eq!(cubic.on_congestion(900, 500), 350);
        assert_eq!((cubic.history.window_before, cubic.history.window_prior), (765, 900));
    }

    /// RFC 9438 §4.8, §4.10: no memory of a window, so growth starts flat where it is.
    #[test]
    fn without_a_former_window_the_plateau_is_here() {
        let epoch = Epoch::new(Instant::ORIGIN, 0, 50 * LEN, LEN);
        assert_eq!((epoch.plateau, epoch.plateau_at), (50 * LEN, 0));
    }

    /// RFC 9438 §5.8.
    #[test]
    fn time_does_not_pass_while_the_application_is_the_limit() {
        let at = |secs| Instant::ORIGIN.saturating_add(Duration::from_secs(secs));
        let mut idle = Cubic::default();
        let mut busy = Cubic::default();
        let start = idle.on_congestion(1000 * LEN, 1000 * LEN);
        busy.on_congestion(1000 * LEN, 1000 * LEN);
        for cubic in [&mut idle, &mut busy] {
            cubic.on_acked(at(0), LEN, start, LEN, RTT);
        }
        idle.on_application_limited(at(3600));
        assert_eq!(idle.on_acked(at(3601), start, start, LEN, RTT), busy.on_acked(at(1), start, start, LEN, RTT),);
    }

    #[test]
    fn no_input_overflows() {
        for window in [0, 1, u64::MAX / 2, u64::MAX] {
            for datagram_len in [0, 1, 65_527] {
                let mut cubic = Cubic::default();
                cubic.on_congestion(u64::MAX, u64::MAX);
                for nanos in [0, 1, u64::MAX] {
                    let grown =
                        cubic.on_acked(Instant::from_nanos(nanos), u64::MAX, window, datagram_len, Duration::MAX);
                    assert!(grown >= window);
                }
            }
        }
    }
}
