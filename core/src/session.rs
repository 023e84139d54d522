//! A session: what two endpoints keep of each other over all their conversations.

use crate::exchange::{Exchange, Party};
use crate::storage::{Linked, Links, List};
use crate::wire::SessionSecret;

/// The part of a peer's state that survives its conversations (protocol §1.4).
///
/// What each datagram touches comes first (see [`Peer`](crate::peer::Peer)).
#[derive(Debug)]
#[repr(C)]
pub struct Session {
    /// The seq of the next exchange that we begin.
    pub next_seq: u64,
    /// Exchanges of ours from this seq on wait for the peer's window.
    pub admitted: u64,
    /// The low watermark that the datagram being built announces, or that was announced before it.
    pub low_sent: u64,
    /// The low watermark that the peer is known to have.
    pub low_acked: u64,
    /// The exchanges that we began and that are not retired, by seq.
    pub ours: List<BySeq>,
    /// Messages of ours that may get lost and whose end has not been told.
    pub unnumbered: List<BySeq>,
    /// The exchanges that the peer began and of which something is left here.
    pub theirs: List<BySeq>,
    /// How many these are.
    pub their_count: u32,
    /// The channels in use.
    pub channels: List<OfPeer>,
    /// All exchanges of the peer below this are retired, except those in `open`.
    pub low: u64,
    /// What the peer lets us charge.
    pub granted_to_us: u64,
    /// What we have charged.
    pub charged_by_us: u64,
    /// What we let the peer charge, as last announced.
    pub granted_by_us: u64,
    /// What the peer has charged.
    pub charged_by_them: u64,
    /// What of it we are done with.
    pub returned: u64,
    /// Exchanges of the peer below `low` that are not retired.
    pub open: OpenList,
    /// The order of the next newest-only message.
    pub next_order: u64,
    /// The number that the server gave it.
    pub id: u64,
    /// The server's incarnation.
    pub incarnation: u64,
    /// What proves that it is ours, when it is resumed.
    pub secret: SessionSecret,
}

/// At most 16 exchanges that stay open below the watermark, so that one long call does not hold up the rest (protocol §6.4).
#[derive(Debug)]
#[repr(C)]
pub struct OpenList {
    count: u8,
    seqs: [u64; Self::COUNT_MAX],
}

impl OpenList {
    /// How many exchanges fit.
    pub const COUNT_MAX: usize = 16;
    /// None.
    pub const EMPTY: Self = Self { seqs: [0; Self::COUNT_MAX], count: 0 };

    /// Adds a seq; says whether there was room.
    pub const fn push(&mut self, seq: u64) -> bool {
        if self.count as usize == Self::COUNT_MAX {
            return false;
        }
        self.seqs[self.count as usize] = seq;
        self.count += 1;
        true
    }

    /// Returns the seqs, in the order in which they were added.
    #[must_use]
    pub fn seqs(&self) -> &[u64] {
        &self.seqs[..usize::from(self.count)]
    }

    /// Says whether a seq is among them.
    #[must_use]
    pub fn contains(&self, seq: u64) -> bool {
        self.seqs().contains(&seq)
    }
}

/// Copies the seqs alone: mostly there are none, and the rest is memory that would have to be fetched.
impl Clone for OpenList {
    fn clone(&self) -> Self {
        let mut copy = Self::EMPTY;
        copy.clone_from(self);
        copy
    }

    fn clone_from(&mut self, other: &Self) {
        let count = other.seqs().len();
        self.seqs[..count].copy_from_slice(other.seqs());
        self.count = other.count;
    }
}

impl Session {
    /// Makes a session in which nothing happened.
    #[must_use]
    pub const fn new(id: u64, incarnation: u64, secret: SessionSecret, granted_by_us: u64) -> Self {
        Self {
            id,
            incarnation,
            secret,
            next_seq: 0,
            admitted: 0,
            low_sent: 0,
            low_acked: 0,
            ours: List::new(),
            unnumbered: List::new(),
            theirs: List::new(),
            their_count: 0,
            low: 0,
            open: OpenList::EMPTY,
            granted_to_us: 0,
            charged_by_us: 0,
            granted_by_us,
            charged_by_them: 0,
            returned: 0,
            channels: List::new(),
            next_order: 0,
        }
    }

    /// Returns the exchanges that one side began.
    #[must_use]
    pub const fn list(&self, begun_by: Party) -> &List<BySeq> {
        match begun_by {
            Party::Us => &self.ours,
            Party::Them => &self.theirs,
        }
    }

    /// Says whether an exchange of the peer is retired.
    #[must_use]
    pub fn is_retired(&self, seq: u64) -> bool {
        seq < self.low && !self.open.contains(seq)
    }
}

/// Marks the lists of one peer's exchanges, ours and theirs.
#[derive(Debug)]
pub enum BySeq {}
/// Marks the list of one peer's channels.
#[derive(Debug)]
pub enum OfPeer {}
/// Marks the list of messages that wait for their turn on a channel, by position.
#[derive(Debug)]
pub enum Held {}

/// A channel: messages in order, or messages of which only the newest counts.
#[derive(Debug)]
pub struct Channel {
    /// What both sides call it.
    pub name: u64,
    /// What it is for.
    pub use_of: ChannelUse,
    /// Ours to send: the position of the next message. Theirs: the position of the next to hand to the application.
    /// Of newest-only messages: one more than the order of the last one.
    pub next: u64,
    /// How many messages the receiving application has taken.
    pub taken: u64,
    /// Ours: messages that will charge more credit, of which the first alone may be sent.
    /// Theirs: messages that arrived before their turn.
    pub held: List<Held>,
    /// Whether TAKEN is to be sent.
    pub is_noticed: bool,
    pub(crate) of_peer: Links,
}

/// What a channel is for. The same name may be in use once for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelUse {
    /// Messages in order that we send.
    Outgoing,
    /// Messages in order that we receive.
    Incoming,
    /// Newest-only messages that we receive.
    Newest,
}

impl Channel {
    /// Makes a channel on which nothing happened.
    #[must_use]
    pub const fn new(name: u64, use_of: ChannelUse) -> Self {
        Self { name, use_of, next: 0, taken: 0, held: List::new(), is_noticed: false, of_peer: Links::UNLINKED }
    }
}

impl Channel {
    /// Counts from 0 again, in another session.
    pub const fn begin(&mut self) {
        (self.next, self.taken, self.is_noticed) = (0, 0, false);
    }
}

impl Linked<OfPeer> for Channel {
    fn links(&self) -> Links {
        self.of_peer
    }
    fn links_mut(&mut self) -> &mut Links {
        &mut self.of_peer
    }
}

impl Linked<BySeq> for Exchange {
    fn links(&self) -> Links {
        self.by_seq
    }
    fn links_mut(&mut self) -> &mut Links {
        &mut self.by_seq
    }
}

impl Linked<Held> for Exchange {
    fn links(&self) -> Links {
        self.held
    }
    fn links_mut(&mut self) -> &mut Links {
        &mut self.held
    }
}
