//! The octets of a cryptographic handshake, carried reliably until the data epoch takes over (protocol §6.13).

use crate::incoming::Incoming;
use crate::outgoing::Kind;
use crate::storage::Block;
use crate::time::Instant;
use crate::wire::Epoch;

/// The handshake of one conversation: a run of octets in each epoch and each direction.
///
/// What is not acknowledged is sent again as a whole, by a doubling timer: handshakes are short, and have no window.
#[derive(Debug)]
pub struct Handshake {
    lanes: [Lane; 3],
    /// The number of the next datagram of the hello or handshake epoch.
    pub next_number: u32,
    /// When unacknowledged octets are sent again.
    pub next_at: Instant,
    /// How often they were since the peer last said something that was not known.
    pub round: u32,
    /// Whether they ever were: what is acknowledged then tells no round trip.
    pub is_repeated: bool,
    /// When octets of it were last sent.
    pub sent_at: Instant,
}

/// One epoch of a handshake.
#[derive(Debug)]
pub struct Lane {
    /// What we send.
    pub out: Option<Block>,
    /// How many octets of it there are.
    pub out_len: usize,
    /// How many of them were sent since the timer last fired.
    pub sent: usize,
    /// How many of them the peer has.
    pub acked: usize,
    /// What we receive.
    pub incoming: Incoming,
    /// Whether the peer is to be told how much of it has arrived.
    pub is_ack_due: bool,
}

impl Lane {
    const fn new(now: Instant) -> Self {
        Self {
            out: None,
            out_len: 0,
            sent: 0,
            acked: 0,
            incoming: Incoming::new(u32::MAX, Kind::Whole, None, None, now),
            is_ack_due: false,
        }
    }
}

impl Handshake {
    /// Makes a handshake in which nothing was said; what is said first is said again at `next_at`.
    #[must_use]
    pub const fn new(now: Instant, next_at: Instant) -> Self {
        let lanes = [Lane::new(now), Lane::new(now), Lane::new(now)];
        Self { lanes, next_number: 0, next_at, round: 0, is_repeated: false, sent_at: now }
    }

    /// Returns one epoch.
    #[must_use]
    pub const fn lane(&self, epoch: Epoch) -> &Lane {
        &self.lanes[epoch as usize]
    }

    /// Returns one epoch, to be changed.
    pub const fn lane_mut(&mut self, epoch: Epoch) -> &mut Lane {
        &mut self.lanes[epoch as usize]
    }

    /// Says whether something of an epoch is to be sent at once.
    #[must_use]
    pub const fn is_due(&self, epoch: Epoch) -> bool {
        let lane = self.lane(epoch);
        lane.sent < lane.out_len || lane.is_ack_due
    }

    /// Says whether something was sent and not acknowledged.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lanes.iter().any(|lane| lane.acked < lane.out_len)
    }

    /// Makes everything that was not acknowledged due again.
    pub fn rewind(&mut self) {
        for lane in &mut self.lanes {
            lane.sent = lane.acked;
        }
    }

    /// Takes all blocks of memory out.
    pub fn blocks(&mut self) -> impl Iterator<Item = Block> {
        self.lanes.iter_mut().flat_map(|lane| [lane.out.take(), lane.incoming.body.take()]).flatten()
    }
}

/// The most octets of a handshake that are buffered for one epoch and direction (protocol §6.13.3).
pub const HANDSHAKE_LEN_MAX: usize = 16_384;
