//! The states of BBR, and what follows from each alone.

/// What the sender does to learn about the path (§5.1).
///
/// ```text
/// Startup --> Drain --> Down --> Cruise --> Refill --> Up --> Down
/// any of them --> ProbeRtt --> Cruise, or Startup if the pipe was never full
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Doubles the rate each round, until the path delivers no more.
    Startup,
    /// Empties the queue that this made.
    Drain,
    /// Sends less than the path delivers: for others, and to empty the queue.
    Down,
    /// Sends what the path delivers.
    Cruise,
    /// Fills the pipe, so that what follows is felt at once.
    Refill,
    /// Sends more than the path delivers, in case that it delivers more.
    Up,
    /// Sends so little that no queue is left, to see the round trip without one.
    ProbeRtt,
}

/// What the acks that arrive tell about: BBR.ack_phase (§2.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feedback {
    None,
    Refilling,
    ProbeStarting,
    Probe,
    ProbeStopping,
}

impl State {
    /// Whether it is one of the ProbeBW states of §5.3.3.
    pub(super) const fn is_probing_bandwidth(self) -> bool {
        matches!(self, Self::Down | Self::Cruise | Self::Refill | Self::Up)
    }

    /// §5.6.1.
    pub(super) const fn pacing_gain(self) -> u64 {
        match self {
            Self::Startup => 277,
            Self::Drain => 50,
            Self::Down => 90,
            Self::Cruise | Self::Refill | Self::ProbeRtt => 100,
            Self::Up => 125,
        }
    }

    /// §5.6.1.
    pub(super) const fn window_gain(self) -> u64 {
        match self {
            Self::Startup | Self::Drain | Self::Down | Self::Cruise | Self::Refill => 200,
            Self::Up => 225,
            Self::ProbeRtt => 50,
        }
    }
}
