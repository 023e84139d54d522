//! How much of its memory an endpoint uses.

use super::Endpoint;

/// What of an endpoint's pools is taken; each has its limit in [`Config`](crate::Config).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Peers, of whatever stage.
    pub peers: u32,
    /// Messages and calls, in both directions.
    pub exchanges: u32,
    /// Flows that are sent: messages, requests, replies, streams.
    pub outgoing: u32,
    /// Flows that are received.
    pub incoming: u32,
    /// Datagrams that were sent and are not acknowledged.
    pub datagrams: u32,
    /// Frames that were sent and are not acknowledged.
    pub frames: u32,
    /// Channels in use.
    pub channels: u32,
    /// Octets of payloads, with what rounding adds.
    pub payload_octets: usize,
}

impl Endpoint<'_> {
    /// Returns what is taken of the pools: for metrics, and to see that nothing is left when all is over.
    #[must_use]
    pub const fn usage(&self) -> Usage {
        Usage {
            peers: self.peers.len(),
            exchanges: self.memory.exchanges.len(),
            outgoing: self.memory.outgoing.len(),
            incoming: self.memory.incoming.len(),
            datagrams: self.memory.datagrams.len(),
            frames: self.memory.frames.len(),
            channels: self.memory.channels.len(),
            payload_octets: self.memory.arena.used(),
        }
    }
}
