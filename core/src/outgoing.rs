//! Flows that we send: where their octets lie, and which of them were sent.

use crate::sent::{InDatagram, InFlow, Last};
use crate::storage::{Arena, Block, Linked, Links, List};
use crate::wire::{Role, Status};

/// A flow that we send.
///
/// Octets below the first run in flight are acknowledged; those from `sent` on have never been sent.
#[derive(Debug)]
pub struct Outgoing {
    /// The index of its exchange.
    pub exchange: u32,
    /// Its role on the wire.
    pub role: Role,
    /// Whole or stream.
    pub kind: Kind,
    /// Where its octets are.
    pub body: Body,
    /// Octets accepted from the application.
    pub len: u64,
    /// Whether the application will add no more.
    pub is_ended: bool,
    /// Octets sent at least once.
    pub sent: u64,
    /// Whether the end was sent at least once.
    pub is_end_sent: bool,
    /// The runs that are in flight or lost, by offset; none while one frame carries all of it.
    pub frames: List<InFlow>,
    /// The datagram that carried all of it last, in one frame, if `carried` is linked.
    pub datagram: u32,
    /// Up to which offset a stream may send (protocol §6.3).
    pub limit: u64,
    /// Octets charged to the peer's credit.
    pub charged: u64,
    /// Whether the flow was given up; its body is gone, and only RESET remains to be acknowledged.
    pub is_reset: bool,
    /// Whether the application waits for room to write more.
    pub has_waiting_writer: bool,
    /// Whether each run is sent once and never again.
    pub is_unreliable: bool,
    /// The queue it waits in, 0 first.
    pub priority: u8,
    /// The key of a newest-only message, and its order among those with the same key.
    pub newest: (u64, u64),
    /// What a reply says before its octets.
    pub status: Status,
    /// The encoded metadata items.
    pub metadata: Option<Block>,
    pub(crate) queued: Links,
    pub(crate) carried: Links,
}

/// Whether a flow's length is known from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each fragment tells the length.
    Whole,
    /// The last fragment tells the length.
    Stream,
}

/// Where the octets of a flow are.
#[derive(Debug)]
pub enum Body {
    /// Nowhere: there are none.
    Empty,
    /// In the arena; for a stream a ring, in which the octet at offset `o` is at `o` modulo the block's length.
    Held(Block),
    /// In memory that the application shares.
    #[cfg(feature = "bytes")]
    Shared {
        /// That memory.
        octets: bytes::Bytes,
        /// What is kept free in the arena meanwhile, where a peer could make us hold more and more.
        charge: Option<Block>,
    },
}

impl Body {
    /// Returns what it takes of the arena.
    #[must_use]
    pub const fn block(&self) -> Option<Block> {
        match self {
            Self::Empty => None,
            Self::Held(block) => Some(*block),
            #[cfg(feature = "bytes")]
            Self::Shared { charge, .. } => *charge,
        }
    }
}

/// Marks the queues of flows with something to send.
#[derive(Debug)]
pub enum Queued {}

impl Linked<Queued> for Outgoing {
    fn links(&self) -> Links {
        self.queued
    }
    fn links_mut(&mut self) -> &mut Links {
        &mut self.queued
    }
}

impl Linked<InDatagram> for Outgoing {
    fn links(&self) -> Links {
        self.carried
    }
    fn links_mut(&mut self) -> &mut Links {
        &mut self.carried
    }
}

impl Outgoing {
    /// Makes a flow of an exchange; nothing of it is sent.
    #[must_use]
    pub const fn new(exchange: u32, role: Role, kind: Kind, priority: u8) -> Self {
        Self {
            exchange,
            role,
            kind,
            body: Body::Empty,
            len: 0,
            is_ended: matches!(kind, Kind::Whole),
            sent: 0,
            is_end_sent: false,
            frames: List::new(),
            datagram: u32::MAX,
            limit: u64::MAX,
            charged: 0,
            is_reset: false,
            has_waiting_writer: false,
            is_unreliable: false,
            priority,
            newest: (0, 0),
            status: Status::Ok,
            metadata: None,
            queued: Links::UNLINKED,
            carried: Links::UNLINKED,
        }
    }

    /// Says whether something may be sent that never was; credit of the session is not looked at.
    #[must_use]
    pub const fn has_fresh(&self) -> bool {
        if self.is_reset || self.is_end_sent {
            return false;
        }
        let end = if self.len < self.limit { self.len } else { self.limit };
        self.sent < end || (self.is_ended && self.sent == self.len)
    }

    /// Says whether the flow waits for nobody's leave to go on: something of it was sent, or it needs none.
    #[must_use]
    pub const fn is_begun(&self) -> bool {
        self.sent > 0 || self.is_end_sent || !self.exchange_is_numbered()
    }

    /// Says whether the flow belongs to a numbered exchange, and so charges credit.
    #[must_use]
    pub const fn exchange_is_numbered(&self) -> bool {
        !matches!(self.role, Role::Unreliable | Role::Newest)
    }

    /// Says whether all of it was sent and acknowledged.
    #[must_use]
    pub const fn is_acknowledged(&self) -> bool {
        self.is_end_sent && !self.is_in_flight() && !self.queued.is_linked() && !self.is_reset
    }

    /// Says whether something of it was sent, and neither acknowledged nor forgotten.
    #[must_use]
    pub const fn is_in_flight(&self) -> bool {
        !self.frames.is_empty() || self.carried.is_linked()
    }

    /// Takes out where the octets are, and the metadata items.
    pub const fn take_octets(&mut self) -> (Body, Option<Block>) {
        (core::mem::replace(&mut self.body, Body::Empty), self.metadata.take())
    }

    /// Returns the longest run of fresh octets from `sent` on that lies in one piece and has at most `len_max` octets.
    #[must_use]
    pub fn fresh_run(&self, len_max: usize) -> (u32, Last) {
        let end = self.len.min(self.limit);
        let piece = match (&self.body, self.kind) {
            (Body::Held(block), Kind::Stream) => {
                let capacity = block.len() as u64;
                capacity - self.sent % capacity
            }
            _ => u64::MAX,
        };
        let len = (end.saturating_sub(self.sent)).min(piece).min(len_max as u64) as u32;
        let last = if self.is_ended && self.sent + u64::from(len) == self.len { Last::Yes } else { Last::No };
        (len, last)
    }

    /// Returns the octets of a run that [`Outgoing::fresh_run`] gave, or of a part of it.
    #[must_use]
    pub fn run<'a>(&'a self, arena: &'a Arena<'_>, offset: u64, len: u32) -> &'a [u8] {
        let (octets, start) = match &self.body {
            Body::Empty => return &[],
            Body::Held(block) => {
                let start = match self.kind {
                    Kind::Whole => offset,
                    Kind::Stream => offset % block.len() as u64,
                };
                (arena.bytes(*block), start as usize)
            }
            #[cfg(feature = "bytes")]
            Body::Shared { octets, .. } => (&octets[..], offset as usize),
        };
        octets.get(start..start.saturating_add(len as usize)).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::random::Random;
    use crate::storage::Store;

    #[test]
    fn the_runs_of_a_flow_are_its_octets_in_order_and_the_last_is_marked() {
        let mut random = Random::new([6; 32]);
        for round in 0..2000 {
            let kind = if round % 2 == 0 { Kind::Whole } else { Kind::Stream };
            let (mut region, mut tree) = ([0; 64], [0; 4]);
            let mut arena = Arena::new(Store::lent(&mut region), Store::lent(&mut tree), Store::lent(&mut []));
            let block = arena.alloc(48).unwrap();
            let len = if kind == Kind::Whole { 48 } else { random.below(200) };
            let mut flow = Outgoing { body: Body::Held(block), ..Outgoing::new(0, Role::Message, kind, 0) };
            let mut taken = Vec::new();
            loop {
                // As much as the ring has room for, as if all that was sent were acknowledged at once.
                let more = (flow.sent + 48 - flow.len).min(len - flow.len).min(random.below(30) + 1);
                for at in flow.len..flow.len + if kind == Kind::Whole { 48 - flow.len } else { more } {
                    arena.bytes_mut(block)[(at % 48) as usize] = at as u8;
                    flow.len += 1;
                }
                flow.is_ended = flow.len == len;
                flow.limit = if random.below(2) == 0 { flow.sent + random.below(20) } else { u64::MAX };
                let has_fresh = flow.has_fresh();
                let (run_len, last) = flow.fresh_run(random.below(20) as usize);
                taken.extend_from_slice(flow.run(&arena, flow.sent, run_len));
                flow.sent += u64::from(run_len);
                assert!(flow.sent <= flow.limit.max(taken.len() as u64));
                assert!(has_fresh || (run_len == 0 && last == Last::No));
                if last == Last::Yes {
                    break;
                }
            }
            assert!(taken.iter().copied().eq((0..len).map(|at| at as u8)), "{kind:?} of {len}");
        }
    }
}
