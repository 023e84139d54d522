//! Explicit congestion notification: the codepoints, and whether a path carries them (RFC 9000 §13.4.2).

pub use crate::wire::EcnCounts;

/// The two ECN bits of an IP header (RFC 3168 §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ecn {
    /// The sender does not take part.
    #[default]
    NotEct,
    /// The sender takes part.
    Ect0,
    /// The sender takes part, with the meaning of RFC 9331.
    Ect1,
    /// A router met congestion.
    Ce,
}

impl Ecn {
    /// Reads the codepoint from the low two bits of a traffic class octet.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0b01 => Self::Ect1,
            0b10 => Self::Ect0,
            0b11 => Self::Ce,
            _ => Self::NotEct,
        }
    }

    /// Returns the codepoint as the low two bits of a traffic class octet.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::NotEct => 0b00,
            Self::Ect1 => 0b01,
            Self::Ect0 => 0b10,
            Self::Ce => 0b11,
        }
    }
}

impl EcnCounts {
    /// Counts one arrival.
    pub const fn count(&mut self, ecn: Ecn) {
        let counter = match ecn {
            Ecn::NotEct => return,
            Ecn::Ect0 => &mut self.ect0,
            Ecn::Ect1 => &mut self.ect1,
            Ecn::Ce => &mut self.ce,
        };
        *counter = counter.saturating_add(1);
    }
}

/// What the counts of an ack say about the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Nothing to react to.
    Ok,
    /// Routers marked so many datagrams: reduce the congestion window.
    Congested {
        /// How many more than the last ack told of.
        count: u64,
    },
    /// The path or the peer does not carry the marks: datagrams go out unmarked from here on.
    Failed,
}

/// Whether the datagrams of one conversation keep their ECN marks on its path (RFC 9000 §13.4.2, §A.4).
///
/// One for each conversation, because the peer counts by conversation.
///
/// ```text
/// Testing --10 sent--> Unknown --counts agree--> Capable
///    |  \_____counts agree_______________________^  |
///    '--all 10 lost, or counts disagree--> Failed <-'
/// ```
#[derive(Clone, Debug, Default)]
pub struct EcnPath {
    state: State,
    /// Marked datagrams since the path was taken, and those of them that were lost: what the test looks at.
    sent_on_path: u64,
    lost_on_path: u64,
    /// Marked datagrams of the conversation.
    sent_count: u64,
    /// The counts of the last ack.
    counts: EcnCounts,
}

impl EcnPath {
    /// Starts testing a path.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts testing again, because the conversation moved to another path.
    pub fn on_path_change(&mut self) {
        *self = Self { sent_count: self.sent_count, counts: self.counts, ..Self::new() };
    }

    /// Counts a datagram that left with the mark `ecn`.
    pub fn on_sent(&mut self, ecn: Ecn) {
        if ecn == Ecn::NotEct {
            return;
        }
        self.sent_count = self.sent_count.saturating_add(1);
        self.sent_on_path = self.sent_on_path.saturating_add(1);
        if self.state == State::Testing && self.sent_on_path >= TEST_COUNT {
            self.state = State::Unknown;
        }
    }

    /// Counts a marked datagram that was lost: a path that loses all of the first ones may refuse the mark.
    pub fn on_lost(&mut self) {
        self.lost_on_path = self.lost_on_path.saturating_add(1);
        if self.state == State::Unknown && self.lost_on_path >= TEST_COUNT {
            self.state = State::Failed;
        }
    }

    /// Judges an ack that raised the largest number acknowledged and newly acknowledges `newly_acked_count` marked datagrams.
    ///
    /// An ack that does not raise it may be older than the last one, and is not shown here (RFC 9000 §13.4.2.1).
    pub fn on_ack(&mut self, counts: Option<EcnCounts>, newly_acked_count: u64) -> Verdict {
        if self.state == State::Failed {
            return Verdict::Ok;
        }
        let Some(counts) = counts else {
            return if newly_acked_count > 0 { self.fail() } else { Verdict::Ok };
        };
        let before = self.counts;
        let (Some(ect0), Some(ce)) = (counts.ect0.checked_sub(before.ect0), counts.ce.checked_sub(before.ce)) else {
            return self.fail();
        };
        // Each marked datagram was counted with its own mark or with CE; ECT(1) is never sent, so it can only come from a
        // router that rewrites marks; and nobody received more than was sent.
        let is_plausible = ect0.saturating_add(ce) >= newly_acked_count
            && counts.ect1 == 0
            && counts.ect0.saturating_add(counts.ce) <= self.sent_count;
        if !is_plausible {
            return self.fail();
        }
        self.counts = counts;
        if newly_acked_count > 0 {
            self.state = State::Capable;
        }
        if ce > 0 { Verdict::Congested { count: ce } } else { Verdict::Ok }
    }

    /// Returns the mark for the next datagram.
    #[must_use]
    pub const fn codepoint(&self) -> Ecn {
        match self.state {
            State::Testing | State::Capable => Ecn::Ect0,
            State::Unknown | State::Failed => Ecn::NotEct,
        }
    }

    fn fail(&mut self) -> Verdict {
        self.state = State::Failed;
        Verdict::Failed
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The first datagrams go out marked.
    #[default]
    Testing,
    /// Unmarked, until the fate of the first ones is known.
    Unknown,
    Capable,
    Failed,
}

/// Marked datagrams that test a path (RFC 9000 §A.4).
const TEST_COUNT: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codepoints_survive_the_traffic_class() {
        for ecn in [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce] {
            assert_eq!(Ecn::from_bits(ecn.bits()), ecn);
        }
        assert_eq!(Ecn::from_bits(0b1011_1010), Ecn::Ect0);
    }

    /// RFC 9000 §13.4.2.
    #[test]
    fn ten_marked_datagrams_test_a_path_that_then_waits_for_the_answer() {
        let mut path = tested();
        assert_eq!(path.codepoint(), Ecn::NotEct);
        assert_eq!(path.on_ack(ect0(1), 1), Verdict::Ok);
        assert_eq!(path.codepoint(), Ecn::Ect0);
    }

    /// RFC 9000 §13.4.2.
    #[test]
    fn a_path_that_loses_every_test_is_given_up() {
        let mut path = tested();
        (0..10).for_each(|_| path.on_lost());
        assert_eq!(path.codepoint(), Ecn::NotEct);
        assert_eq!(path.on_ack(ect0(0), 0), Verdict::Ok);
    }

    #[test]
    fn losses_on_a_capable_path_are_only_losses() {
        let mut path = tested();
        assert_eq!(path.on_ack(ect0(1), 1), Verdict::Ok);
        (0..100).for_each(|_| path.on_lost());
        assert_eq!(path.codepoint(), Ecn::Ect0);
    }

    /// RFC 9000 §13.4.2.1, each rule.
    #[test]
    fn counts_that_do_not_fit_what_was_sent_fail_the_path() {
        let ce = |ce| Some(EcnCounts { ce, ..EcnCounts::default() });
        let ect1 = Some(EcnCounts { ect0: 1, ect1: 1, ce: 0 });
        assert_eq!(tested().on_ack(None, 1), Verdict::Failed, "counts missing");
        assert_eq!(tested().on_ack(ect0(1), 2), Verdict::Failed, "a mark was bleached");
        assert_eq!(tested().on_ack(ect1, 1), Verdict::Failed, "a mark was rewritten");
        assert_eq!(tested().on_ack(ect0(11), 1), Verdict::Failed, "more than sent");
        assert_eq!(tested().on_ack(ce(u64::MAX), 1), Verdict::Failed, "more than sent");
        let mut path = tested();
        assert_eq!(path.on_ack(ect0(5), 5), Verdict::Ok);
        assert_eq!(path.on_ack(ect0(4), 0), Verdict::Failed, "counts fell");
        assert_eq!(path.on_ack(None, 1), Verdict::Ok, "failed once");
    }

    #[test]
    fn an_ack_without_counts_of_unmarked_datagrams_says_nothing() {
        let mut path = tested();
        assert_eq!(path.on_ack(None, 0), Verdict::Ok);
        assert_eq!(path.on_ack(ect0(10), 10), Verdict::Ok);
    }

    /// RFC 9002 §7.1.
    #[test]
    fn an_increase_of_ce_is_congestion_once() {
        let mut path = tested();
        let counts = Some(EcnCounts { ect0: 3, ect1: 0, ce: 1 });
        assert_eq!(path.on_ack(counts, 4), Verdict::Congested { count: 1 });
        assert_eq!(path.on_ack(counts, 0), Verdict::Ok);
    }

    /// RFC 9000 §13.4.2: each path on its own, while the peer's counts go on.
    #[test]
    fn another_path_is_tested_anew() {
        let mut path = tested();
        assert_eq!(path.on_ack(None, 1), Verdict::Failed);
        path.on_path_change();
        assert_eq!(path.codepoint(), Ecn::Ect0);
        (0..10).for_each(|_| path.on_sent(Ecn::Ect0));
        assert_eq!(path.codepoint(), Ecn::NotEct);
        assert_eq!(path.on_ack(ect0(20), 1), Verdict::Ok);
        assert_eq!(path.codepoint(), Ecn::Ect0);
    }

    fn tested() -> EcnPath {
        let mut path = EcnPath::new();
        for _ in 0..10 {
            assert_eq!(path.codepoint(), Ecn::Ect0);
            path.on_sent(Ecn::Ect0);
        }
        path
    }

    fn ect0(ect0: u64) -> Option<EcnCounts> {
        Some(EcnCounts { ect0, ..EcnCounts::default() })
    }
}
