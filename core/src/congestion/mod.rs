//! Congestion control: how many octets may be in flight on one path (RFC 9002 §7), and how fast they leave.

use crate::delivery_rate::{Batch, Snapshot};
use crate::rtt::Rtt;
use crate::time::Instant;

mod bbr;
mod cubic;
mod hystart;
mod loss_based;
mod newreno;

use bbr::Bbr;
use cubic::Cubic;
use loss_based::{Avoidance, LossBased};
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
    /// BBR, version 3 (draft-ietf-ccwg-bbr-06): a model of what the path delivers.
    ///
    /// It bears random loss up to the 2 % that it takes for too much. Measured at 20 ms, with no limit but 4 MiB in flight, and
    /// loss each way: 135 MB/s at 1 %, 92 at 1.5 %, 16 at 2 %, 2.7 at 3 % and 1.3 at 5 % (`sim/tests/figures.rs`).
    Bbr,
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
    /// What [`Controller::on_sent`] gave for it.
    pub snapshot: Snapshot,
}

/// A datagram that was found lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostDatagram {
    /// Its number.
    pub number: u64,
    /// When it left.
    pub sent_at: Instant,
    /// Its length in octets.
    pub len: usize,
    /// What [`Controller::on_sent`] gave for it.
    pub snapshot: Snapshot,
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

/// Datagrams that routers marked, as an ack tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marked {
    /// How many.
    pub count: u64,
    /// When the largest acknowledged datagram left.
    pub sent_at: Instant,
    /// Octets in flight before the ack came.
    pub in_flight: u64,
}

/// The congestion controller of one path, for all conversations on it.
///
/// The window stays between two datagrams and the maximum given at the start. It reacts to the loss of a round trip once, and what
/// it did because of losses that all prove false is undone.
///
/// For each ack: [`Self::on_acked`] for each datagram, [`Self::on_rtt_sample`] and [`Self::on_ecn_ce`] where the ack gives reason,
/// [`Self::on_lost`] for each datagram that is lost by now and [`Self::on_congestion`] for all of them, and [`Self::on_ack`] at the
/// end.
#[derive(Clone, Debug)]
pub struct Controller {
    law: Law,
}

#[derive(Clone, Debug)]
enum Law {
    StopAndWait { datagram_len: u64 },
    Fixed { window: u64, datagram_len: u64 },
    LossBased(LossBased),
    Bbr(Bbr),
}

impl Controller {
    /// Starts in slow start, with a window of ten datagrams or 14 720 octets, and at least two datagrams (RFC 9002 §7.2).
    #[must_use]
    pub fn new(algorithm: Algorithm, datagram_len: usize, window_max: u64) -> Self {
        let datagram_len = datagram_len as u64;
        let loss_based = |avoidance| Law::LossBased(LossBased::new(avoidance, datagram_len, window_max));
        let law = match algorithm {
            Algorithm::StopAndWait => Law::StopAndWait { datagram_len },
            Algorithm::Fixed { window } => {
                Law::Fixed { window: window.min(window_max.max(2 * datagram_len)), datagram_len }
            }
            Algorithm::NewReno => loss_based(Avoidance::NewReno(NewReno::default())),
            Algorithm::Cubic => loss_based(Avoidance::Cubic(Cubic::default())),
            Algorithm::Bbr => Law::Bbr(Bbr::new(datagram_len, window_max)),
        };
        Self { law }
    }

    /// Takes chance from `seed`: BBR probes at times drawn at random, lest all who share a link probe together. No other law draws.
    #[must_use]
    pub const fn with_seed(mut self, seed: u32) -> Self {
        if let Law::Bbr(bbr) = &mut self.law {
            bbr.seed(seed);
        }
        self
    }

    /// Takes note that a datagram of `len` octets leaves while `in_flight` octets, without it, are under way. What it returns
    /// goes into the record of the datagram.
    pub fn on_sent(&mut self, now: Instant, len: usize, in_flight: u64) -> Snapshot {
        match &mut self.law {
            Law::StopAndWait { .. } | Law::Fixed { .. } => {}
            Law::LossBased(law) => law.on_sent(now, in_flight),
            Law::Bbr(bbr) => return bbr.on_sent(now, len, in_flight),
        }
        Snapshot::EMPTY
    }

    /// Takes note that there is no more to send, although the window has room, with `in_flight` octets under way.
    pub fn on_application_limited(&mut self, in_flight: u64) {
        if let Law::Bbr(bbr) = &mut self.law {
            bbr.on_application_limited(in_flight);
        }
    }

    /// Takes note of a sample of the round-trip time, once an ack.
    pub fn on_rtt_sample(&mut self, rtt: &Rtt) {
        if let Law::LossBased(law) = &mut self.law {
            law.on_rtt_sample(rtt);
        }
    }

    /// Takes an acknowledged datagram, and adds it to the batch of its ack.
    ///
    /// A window that grows by what is acknowledged does so only while it is what limits the sender (RFC 9002 §7.8).
    pub fn on_acked(&mut self, now: Instant, acked: &Acked, rtt: &Rtt, batch: &mut Batch) {
        match &mut self.law {
            Law::StopAndWait { .. } | Law::Fixed { .. } => {}
            Law::LossBased(law) => law.on_acked(now, acked, rtt),
            Law::Bbr(bbr) => bbr.on_acked(now, acked, batch),
        }
    }

    /// Takes note that a datagram is lost.
    pub fn on_lost(&mut self, now: Instant, lost: &LostDatagram) {
        if let Law::Bbr(bbr) = &mut self.law {
            bbr.on_lost(now, lost);
        }
    }

    /// Reacts to loss: reduces the window, unless the newest lost datagram left before the last reduction.
    pub fn on_congestion(&mut self, now: Instant, lost: Lost) {
        if let Law::LossBased(law) = &mut self.law {
            law.on_congestion(now, lost);
        }
    }

    /// Reacts to routers' marks as to losses (RFC 9002 §7.1).
    pub fn on_ecn_ce(&mut self, now: Instant, marked: Marked) {
        match &mut self.law {
            Law::StopAndWait { .. } | Law::Fixed { .. } => {}
            Law::LossBased(law) => law.on_ecn_ce(now, marked.sent_at, marked.in_flight),
            Law::Bbr(bbr) => bbr.on_ecn_ce(marked.count),
        }
    }

    /// Falls to two datagrams (RFC 9002 §7.6.2); follows [`Self::on_congestion`] for the same losses.
    pub fn on_persistent_congestion(&mut self) {
        match &mut self.law {
            Law::StopAndWait { .. } | Law::Fixed { .. } => {}
            Law::LossBased(law) => law.on_persistent_congestion(),
            Law::Bbr(bbr) => bbr.on_persistent_congestion(),
        }
    }

    /// Takes note that a datagram thought lost arrived after all, and adds it to the batch of its ack.
    ///
    /// When that is true of each loss behind the last reduction, the reduction is undone (RFC 9438 §4.9).
    pub fn on_spurious(&mut self, now: Instant, acked: &Acked, batch: &mut Batch) {
        match &mut self.law {
            Law::StopAndWait { .. } | Law::Fixed { .. } => {}
            Law::LossBased(law) => law.on_spurious(acked.sent_at),
            Law::Bbr(bbr) => bbr.on_spurious(now, acked, batch),
        }
    }

    /// Learns what an ack says as a whole, with the datagrams that it acknowledged, and what is in flight after it.
    pub fn on_ack(&mut self, now: Instant, batch: Batch, in_flight: u64, rtt: &Rtt) {
        if let Law::Bbr(bbr) = &mut self.law {
            bbr.on_ack(now, batch, in_flight, rtt);
        }
    }

    /// Takes note of another datagram length of the path, in octets.
    ///
    /// A longer one does not enlarge the window (RFC 8899 §3): until acks do, it may be less than two datagrams.
    pub fn on_datagram_len(&mut self, datagram_len: usize) {
        let len = datagram_len as u64;
        match &mut self.law {
            Law::StopAndWait { datagram_len } | Law::Fixed { datagram_len, .. } => *datagram_len = len,
            Law::LossBased(law) => law.on_datagram_len(len),
            Law::Bbr(bbr) => bbr.on_datagram_len(len),
        }
    }

    /// Returns whether a datagram of `len` octets may leave while `in_flight` octets are under way.
    ///
    /// When nothing is under way, one always may: otherwise a path whose datagrams grew past the window would be stuck.
    #[must_use]
    pub const fn allows(&self, in_flight: u64, len: usize) -> bool {
        in_flight == 0
            || !matches!(self.law, Law::StopAndWait { .. }) && in_flight.saturating_add(len as u64) <= self.window()
    }

    /// Returns the congestion window in octets.
    #[must_use]
    pub const fn window(&self) -> u64 {
        match &self.law {
            Law::StopAndWait { datagram_len } => *datagram_len,
            Law::Fixed { window, .. } => *window,
            Law::LossBased(law) => law.window(),
            Law::Bbr(bbr) => bbr.window(),
        }
    }

    /// Returns the rate at which datagrams leave, in octets a second, where the law sets one; else the window over the round trip
    /// is the measure.
    #[must_use]
    pub fn pacing_rate(&self, rtt: &Rtt) -> Option<u64> {
        match &self.law {
            Law::StopAndWait { .. } | Law::Fixed { .. } | Law::LossBased(_) => None,
            Law::Bbr(bbr) => Some(bbr.pacing_rate(rtt).octets_per_second()),
        }
    }

    /// Returns the window in octets at which slow start ends; `u64::MAX` before the first congestion.
    #[must_use]
    pub const fn slow_start_threshold(&self) -> u64 {
        match &self.law {
            Law::StopAndWait { .. } | Law::Fixed { .. } | Law::Bbr(_) => u64::MAX,
            Law::LossBased(law) => law.slow_start_threshold(),
        }
    }

    /// Returns the datagram length of the path in octets.
    #[must_use]
    pub const fn datagram_len(&self) -> u64 {
        match &self.law {
            Law::StopAndWait { datagram_len } | Law::Fixed { datagram_len, .. } => *datagram_len,
            Law::LossBased(law) => law.datagram_len(),
            Law::Bbr(bbr) => bbr.datagram_len(),
        }
    }

    /// Returns whether the window grows by what is acknowledged.
    #[must_use]
    pub const fn is_in_slow_start(&self) -> bool {
        match &self.law {
            Law::StopAndWait { .. } | Law::Fixed { .. } | Law::Bbr(_) => false,
            Law::LossBased(law) => law.is_in_slow_start(),
        }
    }
}

/// Ten datagrams, or 14 720 octets if that is less, or two datagrams if that is more (RFC 9002 §7.2).
fn initial_window(datagram_len: u64, window_max: u64) -> u64 {
    let window = (10 * datagram_len).min(INITIAL_WINDOW_MAX.max(2 * datagram_len));
    window.min(window_max.max(2 * datagram_len))
}

/// Octets that the first window may have if that is more than two datagrams (RFC 9002 §7.2).
const INITIAL_WINDOW_MAX: u64 = 14_720;

#[cfg(test)]
mod tests;
