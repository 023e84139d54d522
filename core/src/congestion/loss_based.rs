//! Windows that grow until something is lost: slow start, recovery and undo, which NewReno and CUBIC share.

use core::num::NonZeroU32;

use super::cubic::{Cubic, History};
use super::hystart::{HyStart, Phase};
use super::newreno::NewReno;
use super::{Acked, Limit, Lost, initial_window};
use crate::rtt::Rtt;
use crate::time::Instant;

/// A window that falls at most once a round trip, and whose fall is undone if all its losses prove false.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct LossBased {
    window: u64,
    window_max: u64,
    datagram_len: u64,
    slow_start_threshold: u64,
    /// What left before this belongs to the last reduction, and causes no other (RFC 9002 §7.3.2).
    recovery_start: Option<Instant>,
    hystart: HyStart,
    avoidance: Avoidance,
    undo: Option<Undo>,
}

/// The law of growth after slow start.
#[derive(Clone, Copy, Debug)]
pub(super) enum Avoidance {
    NewReno(NewReno),
    Cubic(Cubic),
}

/// The state before the last reduction, while its losses may still prove false.
#[derive(Clone, Copy, Debug)]
struct Undo {
    /// What CUBIC knew.
    history: History,
    window: u64,
    slow_start_threshold: u64,
    recovery_start: Option<Instant>,
    /// Losses that were not shown to be false.
    lost_count: NonZeroU32,
}

impl LossBased {
    pub(super) fn new(avoidance: Avoidance, datagram_len: u64, window_max: u64) -> Self {
        Self {
            window: initial_window(datagram_len, window_max),
            window_max,
            datagram_len,
            slow_start_threshold: u64::MAX,
            recovery_start: None,
            hystart: HyStart::new(),
            avoidance,
            undo: None,
        }
    }

    pub(super) fn on_sent(&mut self, now: Instant, in_flight: u64) {
        if let (Avoidance::Cubic(cubic), 0) = (&mut self.avoidance, in_flight) {
            cubic.on_application_limited(now);
        }
    }

    pub(super) fn on_rtt_sample(&mut self, rtt: &Rtt) {
        self.hystart.on_rtt_sample(rtt.latest());
    }

    pub(super) fn on_acked(&mut self, now: Instant, acked: &Acked, rtt: &Rtt) {
        let phase = self.hystart.on_acked(now, acked.sent_at);
        if acked.limit == Limit::Application {
            if let Avoidance::Cubic(cubic) = &mut self.avoidance {
                cubic.on_application_limited(now);
            }
            return;
        }
        if self.is_in_recovery(acked.sent_at) {
            return;
        }
        let len = acked.len as u64;
        let window = if self.is_in_first_slow_start() {
            self.window.saturating_add(self.hystart.growth(len))
        } else if self.is_in_slow_start() {
            self.window.saturating_add(len)
        } else {
            match &mut self.avoidance {
                Avoidance::NewReno(reno) => reno.on_acked(len, self.window, self.datagram_len),
                Avoidance::Cubic(cubic) => cubic.on_acked(now, len, self.window, self.datagram_len, rtt.smoothed()),
            }
        };
        self.window = window.min(self.window_max).max(self.window);
        if phase == Phase::Over && self.is_in_first_slow_start() {
            self.slow_start_threshold = self.window;
        }
    }

    pub(super) fn on_congestion(&mut self, now: Instant, lost: Lost) {
        if self.is_in_recovery(lost.newest_sent_at) {
            if let Some(undo) = &mut self.undo {
                undo.lost_count = undo.lost_count.saturating_add(lost.count);
            }
            return;
        }
        let history = if let Avoidance::Cubic(cubic) = &self.avoidance { cubic.history() } else { History::default() };
        self.undo = NonZeroU32::new(lost.count).map(|lost_count| Undo {
            history,
            window: self.window,
            slow_start_threshold: self.slow_start_threshold,
            recovery_start: self.recovery_start,
            lost_count,
        });
        self.reduce(now, lost.in_flight);
    }

    pub(super) fn on_ecn_ce(&mut self, now: Instant, sent_at: Instant, in_flight: u64) {
        // A mark is no guess: nothing that is learnt later makes it false.
        self.undo = None;
        if !self.is_in_recovery(sent_at) {
            self.reduce(now, in_flight);
        }
    }

    pub(super) fn on_persistent_congestion(&mut self) {
        if let Avoidance::Cubic(cubic) = &mut self.avoidance {
            cubic.on_persistent_congestion();
        }
        self.window = self.window.min(self.window_min());
        self.recovery_start = None;
        self.undo = None;
    }

    pub(super) fn on_spurious(&mut self, sent_at: Instant) {
        let is_in_recovery = self.is_in_recovery(sent_at);
        let Some(undo) = &mut self.undo else { return };
        // Losses of an earlier reduction say nothing about the last one.
        if !is_in_recovery || undo.recovery_start.is_some_and(|earlier| sent_at <= earlier) {
            return;
        }
        if let Some(lost_count) = NonZeroU32::new(undo.lost_count.get() - 1) {
            undo.lost_count = lost_count;
            return;
        }
        if let Avoidance::Cubic(cubic) = &mut self.avoidance {
            cubic.undo(undo.history);
        }
        self.window = undo.window.max(self.window);
        self.slow_start_threshold = undo.slow_start_threshold;
        self.recovery_start = undo.recovery_start;
        self.undo = None;
    }

    pub(super) fn on_datagram_len(&mut self, datagram_len: u64) {
        self.datagram_len = datagram_len;
        if let Avoidance::Cubic(cubic) = &mut self.avoidance {
            cubic.on_datagram_len();
        }
    }

    pub(super) const fn window(&self) -> u64 {
        self.window
    }

    pub(super) const fn datagram_len(&self) -> u64 {
        self.datagram_len
    }

    pub(super) const fn slow_start_threshold(&self) -> u64 {
        self.slow_start_threshold
    }

    pub(super) const fn is_in_slow_start(&self) -> bool {
        self.window < self.slow_start_threshold
    }

    /// HyStart++ is for the slow start that knows nothing of the path (RFC 9406 §4.3).
    const fn is_in_first_slow_start(&self) -> bool {
        self.slow_start_threshold == u64::MAX
    }

    fn is_in_recovery(&self, sent_at: Instant) -> bool {
        self.recovery_start.is_some_and(|start| sent_at <= start)
    }

    const fn window_min(&self) -> u64 {
        2 * self.datagram_len
    }

    fn reduce(&mut self, now: Instant, in_flight: u64) {
        // What was in flight, not the window, is what the path proved unable to carry; probes may have exceeded the window. Where
        // it is the window but for a part of a datagram, it is the window: of ten datagrams, the part would matter.
        let is_full = in_flight.saturating_add(self.datagram_len) > self.window;
        let in_flight = if is_full { self.window } else { in_flight };
        let threshold = match &mut self.avoidance {
            Avoidance::NewReno(reno) => reno.on_congestion(in_flight),
            Avoidance::Cubic(cubic) => cubic.on_congestion(self.window, in_flight),
        };
        self.slow_start_threshold = threshold.max(self.window_min());
        self.window = self.window.min(self.slow_start_threshold);
        self.recovery_start = Some(now);
    }
}
