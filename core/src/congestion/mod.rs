//! Congestion control: how many octets may be in flight on one path (RFC 9002 §7).

use crate::rtt::Rtt;
use crate::time::Instant;

mod cubic;
mod hystart;
mod newreno;

use cubic::{Cubic, History};
use hystart::{HyStart, Phase};
use newreno::NewReno;

/// The law that the congestion window follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// One datagram at a time (RFC 8085 §3.1.3).
    StopAndWait,
    /// A constant window: for measuring, and for networks that are yours alone (RFC 8085 §3.1.2).
    Fixed {
        /// Octets in flight.
        window: u64,
    },
    /// RFC 9002 §7.3.
    NewReno,
    /// RFC 9438.
    Cubic,
}

/// What keeps the sender from having more in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The congestion window, or the pacer on its behalf.
    Window,
    /// The application, which has no more to send, or the peer, which takes no more.
    Application,
}

/// A datagram that was newly acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acked {
    /// When it left.
    pub sent_at: Instant,
    /// Its length in octets.
    pub len: usize,
    /// What kept more from being in flight before this ack.
    pub limit: Limit,
}

/// Datagrams that one look at the thresholds found lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// How many.
    pub count: u32,
    /// When the newest of them left.
    pub newest_sent_at: Instant,
    /// Octets in flight before this ack came: with these datagrams, and with what the ack acknowledges.
    pub in_flight: u64,
}

/// The congestion controller of one path, for all conversations on it.
///
/// The window stays between two datagrams and the maximum given at the start, and grows only while it is what limits the
/// sender (RFC 9002 §7.8). It falls at most once a round trip; a fall whose losses all prove false is undone.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Controller {
    window: u64,
    window_max: u64,
    datagram_len: u64,
    slow_start_threshold: u64,
    /// What left before this belongs to the last reduction, and causes no other (RFC 9002 §7.3.2).
    recovery_start: Option<Instant>,
    hystart: HyStart,
    law: Law,
    undo: Option<Undo>,
}

#[derive(Clone, Copy, Debug)]
enum Law {
    StopAndWait,
    Fixed,
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
    lost_count: u32,
}

impl Controller {
    /// Starts in slow start, with a window of ten datagrams or 14 720 octets, and at least two datagrams (RFC 9002 §7.2).
    #[must_use]
    pub fn new(algorithm: Algorithm, datagram_len: usize, window_max: u64) -> Self {
        let datagram_len = datagram_len as u64;
        let initial = (10 * datagram_len).min(INITIAL_WINDOW_MAX.max(2 * datagram_len));
        let (law, window) = match algorithm {
            Algorithm::StopAndWait => (Law::StopAndWait, datagram_len),
            Algorithm::Fixed { window } => (Law::Fixed, window),
            Algorithm::NewReno => (Law::NewReno(NewReno::default()), initial),
            Algorithm::Cubic => (Law::Cubic(Cubic::default()), initial),
        };
        Self {
            law,
            window: window.min(window_max.max(2 * datagram_len)),
            window_max,
            datagram_len,
            slow_start_threshold: u64::MAX,
            recovery_start: None,
            undo: None,
            hystart: HyStart::new(),
        }
    }

    /// Takes note that a datagram leaves while `in_flight` octets, without it, are under way.
    pub fn on_sent(&mut self, now: Instant, in_flight: u64) {
        if let (Law::Cubic(cubic), 0) = (&mut self.law, in_flight) {
            cubic.on_application_limited(now);
        }
    }

    /// Takes note of a sample of the round-trip time, once an ack.
    pub fn on_rtt_sample(&mut self, rtt: &Rtt) {
        self.hystart.on_rtt_sample(rtt.latest());
    }

    /// Grows the window for an acknowledged datagram.
    pub fn on_acked(&mut self, now: Instant, acked: Acked, rtt: &Rtt) {
        let phase = self.hystart.on_acked(now, acked.sent_at);
        if acked.limit == Limit::Application {
            if let Law::Cubic(cubic) = &mut self.law {
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
            match &mut self.law {
                Law::StopAndWait | Law::Fixed => self.window,
                Law::NewReno(reno) => reno.on_acked(len, self.window, self.datagram_len),
                Law::Cubic(cubic) => cubic.on_acked(now, len, self.window, self.datagram_len, rtt.smoothed()),
            }
        };
        self.window = window.min(self.window_max).max(self.window);
        if phase == Phase::Over && self.is_in_first_slow_start() {
            self.slow_start_threshold = self.window;
        }
    }

    /// Reacts to loss: reduces the window, unless the newest lost datagram left before the last reduction.
    pub fn on_congestion(&mut self, now: Instant, lost: Lost) {
        if self.is_in_recovery(lost.newest_sent_at) {
            if let Some(undo) = &mut self.undo {
                undo.lost_count = undo.lost_count.saturating_add(lost.count);
            }
            return;
        }
        self.undo = Some(Undo {
            history: if let Law::Cubic(cubic) = &self.law { cubic.history() } else { History::default() },
            window: self.window,
            slow_start_threshold: self.slow_start_threshold,
            recovery_start: self.recovery_start,
            lost_count: lost.count,
        });
        self.reduce(now, lost.in_flight);
    }

    /// Reacts to a router's mark as to a loss (RFC 9002 §7.1). `sent_at` is when the largest acknowledged datagram left.
    pub fn on_ecn_ce(&mut self, now: Instant, sent_at: Instant, in_flight: u64) {
        // A mark is no guess: nothing that is learnt later makes it false.
        self.undo = None;
        if !self.is_in_recovery(sent_at) {
            self.reduce(now, in_flight);
        }
    }

    /// Falls to two datagrams (RFC 9002 §7.6.2); follows [`Self::on_congestion`] for the same losses.
    pub fn on_persistent_congestion(&mut self) {
        if self.is_constant() {
            return;
        }
        if let Law::Cubic(cubic) = &mut self.law {
            cubic.on_persistent_congestion();
        }
        self.window = self.window.min(self.window_min());
        self.recovery_start = None;
        self.undo = None;
    }

    /// Takes note that a datagram thought lost, which left at `sent_at`, arrived after all.
    ///
    /// When that is true of each loss behind the last reduction, the reduction is undone (RFC 9438 §4.9).
    pub fn on_spurious(&mut self, sent_at: Instant) {
        let is_in_recovery = self.is_in_recovery(sent_at);
        let Some(undo) = &mut self.undo else { return };
        // Losses of an earlier reduction say nothing about the last one.
        if !is_in_recovery || undo.recovery_start.is_some_and(|earlier| sent_at <= earlier) {
            return;
        }
        undo.lost_count = undo.lost_count.saturating_sub(1);
        if undo.lost_count > 0 {
            return;
        }
        if let Law::Cubic(cubic) = &mut self.law {
            cubic.undo(undo.history);
        }
        self.window = undo.window.max(self.window);
        self.slow_start_threshold = undo.slow_start_threshold;
        self.recovery_start = undo.recovery_start;
        self.undo = None;
    }

    /// Takes note of another datagram length of the path, in octets.
    ///
    /// A longer one does not enlarge the window (RFC 8899 §3): until acks do, it may be less than two datagrams.
    pub fn on_datagram_len(&mut self, datagram_len: usize) {
        self.datagram_len = datagram_len as u64;
        match &mut self.law {
            Law::StopAndWait => self.window = self.datagram_len,
            Law::Cubic(cubic) => cubic.on_datagram_len(),
            Law::Fixed | Law::NewReno(_) => {}
        }
    }

    /// Returns whether a datagram of `len` octets may leave while `in_flight` octets are under way.
    ///
    /// When nothing is under way, one always may: otherwise a path whose datagrams grew past the window would be stuck.
    #[must_use]
    pub fn allows(&self, in_flight: u64, len: usize) -> bool {
        in_flight == 0 || !matches!(self.law, Law::StopAndWait) && in_flight.saturating_add(len as u64) <= self.window
    }

    /// Returns the congestion window in octets.
    #[must_use]
    pub const fn window(&self) -> u64 {
        self.window
    }

    /// Returns the window in octets at which slow start ends; `u64::MAX` before the first congestion.
    #[must_use]
    pub const fn slow_start_threshold(&self) -> u64 {
        self.slow_start_threshold
    }

    /// Returns the datagram length of the path in octets.
    #[must_use]
    pub const fn datagram_len(&self) -> u64 {
        self.datagram_len
    }

    /// Returns whether the window grows by what is acknowledged.
    #[must_use]
    pub const fn is_in_slow_start(&self) -> bool {
        !self.is_constant() && self.window < self.slow_start_threshold
    }

    /// HyStart++ is for the slow start that knows nothing of the path (RFC 9406 §4.3).
    const fn is_in_first_slow_start(&self) -> bool {
        !self.is_constant() && self.slow_start_threshold == u64::MAX
    }

    const fn is_constant(&self) -> bool {
        match self.law {
            Law::StopAndWait | Law::Fixed => true,
            Law::NewReno(_) | Law::Cubic(_) => false,
        }
    }

    fn is_in_recovery(&self, sent_at: Instant) -> bool {
        self.recovery_start.is_some_and(|start| sent_at <= start)
    }

    fn window_min(&self) -> u64 {
        2 * self.datagram_len
    }

    fn reduce(&mut self, now: Instant, in_flight: u64) {
        // What was in flight, not the window, is what the path proved unable to carry; probes may have exceeded the window. Where
        // it is the window but for a part of a datagram, it is the window: of ten datagrams, the part would matter.
        let is_full = in_flight.saturating_add(self.datagram_len) > self.window;
        let in_flight = if is_full { self.window } else { in_flight };
        let threshold = match &mut self.law {
            Law::StopAndWait | Law::Fixed => return,
            Law::NewReno(reno) => reno.on_congestion(in_flight),
            Law::Cubic(cubic) => cubic.on_congestion(self.window, in_flight),
        };
        self.slow_start_threshold = threshold.max(self.window_min());
        self.window = self.window.min(self.slow_start_threshold);
        self.recovery_start = Some(now);
    }
}

/// Octets that the first window may have if that is more than two datagrams (RFC 9002 §7.2).
const INITIAL_WINDOW_MAX: u64 = 14_720;

#[cfg(test)]
mod tests;
