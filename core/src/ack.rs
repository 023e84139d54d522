//! What to acknowledge, and when (RFC 9000 §13.2).

use core::time::Duration;

use crate::ecn::{Ecn, EcnCounts};
use crate::seq::{Order, ReceiveWindow};
use crate::time::Instant;

/// Whether a datagram asks for an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckEliciting {
    /// It carries nothing but acks and padding.
    No,
    /// It carries something that its sender wants to know about.
    Yes,
    /// As `Yes`, and it is as long as the path allows: part of a bulk transfer, whose sender needs acks to go on.
    Full,
}

/// The receiver's side of acknowledgement for one conversation.
///
/// An ack rides on anything that is sent. A datagram of its own is due after `ack_delay_max`, after every second full
/// datagram, and at once when something is missing, late or marked by a router.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct AckState {
    window: ReceiveWindow,
    counts: EcnCounts,
    /// What was announced to the peer, or the less that it asked for.
    ack_delay: Duration,
    full_count_max: u8,
    /// Full datagrams since the last ack.
    full_count: u8,
    has_news: bool,
    largest_received_at: Instant,
    deadline: Option<Instant>,
}

impl AckState {
    /// Starts with nothing received. `ack_delay_max` is what was announced to the peer.
    #[must_use]
    pub fn new(ack_delay_max: Duration) -> Self {
        Self {
            window: ReceiveWindow::new(),
            counts: EcnCounts::default(),
            ack_delay: ack_delay_max,
            full_count_max: FULL_COUNT_MAX,
            full_count: 0,
            largest_received_at: Instant::ORIGIN,
            has_news: false,
            deadline: None,
        }
    }

    /// Takes note of an authentic datagram whose number was fresh.
    pub fn on_received(&mut self, now: Instant, number: u64, eliciting: AckEliciting, ecn: Ecn) {
        let order = self.window.record(number);
        self.counts.count(ecn);
        self.has_news = true;
        if order != Order::Late {
            self.largest_received_at = now;
        }
        if eliciting == AckEliciting::No {
            // Two peers that acknowledged each other's acks would never stop (RFC 9000 §13.2.1).
            return;
        }
        if eliciting == AckEliciting::Full {
            self.full_count = self.full_count.saturating_add(1);
        }
        // What is missing, late or marked tells the sender about loss and congestion, and it is waiting to hear
        // (RFC 9000 §13.2.1).
        let is_urgent = order != Order::Next || ecn == Ecn::Ce || self.full_count >= self.full_count_max;
        let due = if is_urgent { now } else { now.saturating_add(self.ack_delay) };
        self.deadline = Some(self.deadline.map_or(due, |deadline| deadline.min(due)));
    }

    /// Takes note that an ack of everything received left, alone or with other frames.
    pub fn on_ack_sent(&mut self) {
        self.has_news = false;
        self.full_count = 0;
        self.deadline = None;
    }

    /// Stops reporting the numbers below `number`, because the peer has an ack that covers them (RFC 9000 §13.2.4).
    pub fn forget_below(&mut self, number: u64) {
        self.window.forget_below(number);
    }

    /// Follows the peer's wish for an ack after `full_count` full datagrams, at least one, and after `delay`, which
    /// must not be more than was announced: the sender knows best how often it needs one.
    pub fn on_frequency(&mut self, full_count: u8, delay: Duration) {
        self.full_count_max = full_count.max(1);
        self.ack_delay = delay;
    }

    /// Returns whether an ack would tell the peer something that it was not told: worth adding to what is sent anyway.
    #[must_use]
    pub const fn has_news(&self) -> bool {
        self.has_news
    }

    /// Returns whether an ack has to leave even if nothing else does.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Returns when an ack has to leave at the latest.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns how long the largest number has waited for the ack that reports it (RFC 9000 §13.2.5).
    #[must_use]
    pub const fn ack_delay(&self, now: Instant) -> Duration {
        now.saturating_since(self.largest_received_at)
    }

    /// Returns how many datagrams arrived with each ECN codepoint.
    #[must_use]
    pub const fn ecn_counts(&self) -> EcnCounts {
        self.counts
    }

    /// Returns the numbers received: what is fresh, and what to report.
    #[must_use]
    pub const fn window(&self) -> &ReceiveWindow {
        &self.window
    }
}

/// Full datagrams that share an ack unless the sender asks otherwise (RFC 9000 §13.2.2).
const FULL_COUNT_MAX: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const DELAY: Duration = Duration::from_millis(5);

    /// RFC 9000 §13.2.1.
    #[test]
    fn a_lone_datagram_is_acknowledged_after_the_announced_delay() {
        let mut acks = AckState::new(DELAY);
        acks.on_received(at(10), 0, AckEliciting::Yes, Ecn::NotEct);
        acks.on_received(at(12), 1, AckEliciting::Yes, Ecn::NotEct);
        assert_eq!(acks.deadline(), Some(at(15)));
        assert!(!acks.is_due(at(14)) && acks.is_due(at(15)));
        assert_eq!(acks.ack_delay(at(15)), Duration::from_millis(3));
    }

    #[test]
    fn an_ack_that_rides_on_a_reply_settles_the_matter() {
        let mut acks = AckState::new(DELAY);
        acks.on_received(at(0), 0, AckEliciting::Yes, Ecn::NotEct);
        assert!(acks.has_news());
        acks.on_ack_sent();
        assert!(!acks.has_news());
        assert_eq!(acks.deadline(), None);
    }

    /// RFC 9000 §13.2.1: never answer a non-eliciting datagram with a non-eliciting one.
    #[test]
    fn acks_are_not_acknowledged_but_ride_along() {
        let mut acks = AckState::new(DELAY);
        acks.on_received(at(0), 0, AckEliciting::No, Ecn::NotEct);
        acks.on_received(at(0), 2, AckEliciting::No, Ecn::Ce);
        acks.on_received(at(0), 1, AckEliciting::No, Ecn::NotEct);
        assert_eq!(acks.deadline(), None);
        assert!(acks.has_news());
        assert_eq!(acks.window().ranges().collect::<Vec<_>>(), [0..=2]);
    }

    /// RFC 9000 §13.2.2.
    #[test]
    fn every_second_full_datagram_is_acknowledged_at_once() {
        let mut acks = AckState::new(DELAY);
        acks.on_received(at(0), 0, AckEliciting::Full, Ecn::NotEct);
        acks.on_received(at(0), 1, AckEliciting::Yes, Ecn::NotEct);
        assert!(!acks.is_due(at(0)));
        acks.on_received(at(1), 2, AckEliciting::Full, Ecn::NotEct);
        assert!(acks.is_due(at(1)));
        acks.on_ack_sent();
        acks.on_received(at(2), 3, AckEliciting::Full, Ecn::NotEct);
        assert!(!acks.is_due(at(2)));
    }

    #[test]
    fn the_sender_may_ask_for_other_acks() {
        let mut acks = AckState::new(DELAY);
        acks.on_frequency(10, DELAY);
        for number in 0..9 {
            acks.on_received(at(0), number, AckEliciting::Full, Ecn::NotEct);
        }
        assert_eq!(acks.deadline(), Some(at(5)));
        acks.on_received(at(0), 9, AckEliciting::Full, Ecn::NotEct);
        assert!(acks.is_due(at(0)));
        acks.on_ack_sent();
        acks.on_frequency(0, Duration::from_millis(2));
        acks.on_received(at(10), 10, AckEliciting::Yes, Ecn::NotEct);
        assert_eq!(acks.deadline(), Some(at(12)));
        acks.on_received(at(11), 11, AckEliciting::Full, Ecn::NotEct);
        assert!(acks.is_due(at(11)));
    }

    /// RFC 9000 §13.2.1: a gap, and the arrival that fills it, are reported at once; an old gap is not reported again.
    #[test]
    fn reordering_is_reported_at_once() {
        let mut acks = AckState::new(DELAY);
        acks.on_received(at(0), 0, AckEliciting::Yes, Ecn::NotEct);
        acks.on_received(at(0), 2, AckEliciting::Yes, Ecn::NotEct);
        assert!(acks.is_due(at(0)), "a gap");
        acks.on_ack_sent();
        acks.on_received(at(0), 3, AckEliciting::Yes, Ecn::NotEct);
        assert!(!acks.is_due(at(0)), "the same gap");
        acks.on_received(at(0), 1, AckEliciting::Yes, Ecn::NotEct);
        assert!(acks.is_due(at(0)), "a late one");
    }

    /// RFC 9000 §13.2.1, §13.4.1.
    #[test]
    fn a_congestion_mark_is_reported_at_once_and_all_marks_are_counted() {
        let mut acks = AckState::new(DELAY);
        acks.on_received(at(0), 0, AckEliciting::Yes, Ecn::Ect0);
        assert!(!acks.is_due(at(0)));
        acks.on_received(at(0), 1, AckEliciting::Yes, Ecn::Ce);
        assert!(acks.is_due(at(0)));
        acks.on_received(at(0), 2, AckEliciting::No, Ecn::Ect1);
        assert_eq!(acks.ecn_counts(), EcnCounts { ect0: 1, ect1: 1, ce: 1 });
    }

    /// RFC 9000 §13.2.5.
    #[test]
    fn the_reported_delay_is_that_of_the_largest_number() {
        let mut acks = AckState::new(DELAY);
        acks.on_received(at(1), 5, AckEliciting::Yes, Ecn::NotEct);
        acks.on_received(at(3), 4, AckEliciting::Yes, Ecn::NotEct);
        assert_eq!(acks.ack_delay(at(4)), Duration::from_millis(3));
    }

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }
}
