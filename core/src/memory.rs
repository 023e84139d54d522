//! All memory that grows with use: pools shared by the peers of one endpoint, of fixed size from the start.

use crate::config::{Config, ConfigError};
use crate::exchange::{Exchange, Party, Stage};
use crate::handshake::Handshake;
use crate::incoming::Incoming;
use crate::outgoing::{Body, Outgoing};
use crate::peer::Moving;
use crate::sent::{Content, InDatagram, InFlow, SentDatagram, SentFrame};
use crate::session::Channel;
use crate::storage::{
    Arena, Block, DeadlineSlot, Deadlines, Index, Key, Linked, Links, List, NumberHash, Places, RangeNode, RangePool,
    Slot, Slots, Store,
};
use crate::time::Instant;

/// The memory of an endpoint's pools, before the endpoint takes it; see [`Storage`].
pub struct Memory<'s> {
    /// Messages and calls.
    pub exchanges: Slots<'s, Exchange>,
    /// Flows that we send.
    pub outgoing: Slots<'s, Outgoing>,
    /// Flows that we receive.
    pub incoming: Slots<'s, Incoming>,
    /// Datagrams in flight.
    pub datagrams: Slots<'s, SentDatagram>,
    /// Frames in flight.
    pub frames: Slots<'s, SentFrame>,
    /// Channels in use.
    pub channels: Slots<'s, Channel>,
    /// Handshakes under way.
    pub handshakes: Slots<'s, Handshake>,
    /// Conversations that are moving.
    pub moves: Slots<'s, Moving>,
    /// Octets of messages.
    pub arena: Arena<'s>,
    /// The places for longest messages that each [`Purpose`] leaves free.
    pub spare: [Places; Purpose::ALL.len()],
    /// What is in the place that is kept for what peers begin; see [`Memory::admit`].
    pub admitted: Option<Block>,
    /// Runs of octets beyond holes.
    pub ranges: RangePool<'s>,
    /// Exchanges by peer, beginner and seq.
    pub by_seq: Index<'s>,
    /// When callers give up whose deadlines do not come in order, by index of the exchange.
    pub call_deadlines: Deadlines<'s>,
    /// Calls that are given up one after the other: calls of one timeout end in the order in which they began, and mostly all have
    /// the same one.
    pub timed: List<Timed>,
    /// Exchanges of which the application is to be told, first come first told.
    pub eventful: List<Eventful>,
    /// Hashes what `by_seq` finds exchanges by.
    pub seq_hash: NumberHash,
}

/// Marks the list of calls by deadline.
#[derive(Debug)]
pub enum Timed {}

/// Marks the list of exchanges of which the application is to be told.
#[derive(Debug)]
pub enum Eventful {}

/// A broken invariant of our own: the conversation that met it is closed as internal, and nothing else suffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// Turns the absence of something that must be there into [`Broken`].
pub(crate) trait Sound<T> {
    /// Returns what is there.
    fn sound(self) -> Result<T, Broken>;
}

impl<T> Sound<T> for Option<T> {
    #[inline(always)]
    fn sound(self) -> Result<T, Broken> {
        debug_assert!(self.is_some(), "an invariant of the endpoint is broken");
        self.ok_or(Broken)
    }
}

/// For whom octets are reserved; the later ones may use what the earlier ones may not, so that what was accepted can finish.
///
/// What is sent waits for room at the peer, and may hold all frames and all credit meanwhile; so what arrives must find room in the end,
/// whatever is sent: two endpoints would wait for each other. And a reply waits for nobody but its application. Octets that are free do
/// not suffice for that, as they may be in pieces: each purpose leaves places for a longest message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Something that we begin: up to half of the memory.
    Begin,
    /// Something that the peer begins: up to seven eighths.
    Arrive,
    /// The reply to a call that was accepted.
    Finish,
    /// One thing that the peer begins, where there is no more room for such.
    Admit,
    /// The reply to a call of ours.
    Take,
    /// The metadata of what has found a place that was kept for it.
    Complete,
}

impl Purpose {
    pub(crate) const ALL: [Self; 6] =
        [Self::Begin, Self::Arrive, Self::Finish, Self::Admit, Self::Take, Self::Complete];

    /// Returns the places that each purpose leaves free where messages of `message_len_max` octets arrive in one piece.
    pub(crate) fn spare(message_len_max: usize) -> [Places; Self::ALL.len()] {
        Self::ALL.map(|purpose| Places::new(message_len_max, purpose.spare_count()))
    }

    /// Returns how many places for a longest message it leaves free.
    const fn spare_count(self) -> u32 {
        match self {
            Self::Begin => 4,
            Self::Arrive | Self::Finish => 3,
            Self::Admit => 2,
            Self::Take => 1,
            Self::Complete => 0,
        }
    }
}

/// Returns how many octets an endpoint has to have for payloads: so that something can begin.
pub(crate) const fn payload_memory_min(message_len_max: usize) -> u64 {
    (message_len_max as u64).next_power_of_two() * (Purpose::Begin.spare_count() as u64 + 1)
}

impl Memory<'_> {
    /// Reserves `len` octets, or none if the purpose may not have them. No octets need no block.
    #[inline(always)]
    pub fn alloc(&mut self, len: usize, purpose: Purpose) -> Option<Option<Block>> {
        if len == 0 {
            return Some(None);
        }
        let capacity = self.arena.capacity();
        let limit = match purpose {
            Purpose::Begin => capacity / 2,
            Purpose::Arrive => capacity - capacity / 8,
            Purpose::Finish | Purpose::Admit | Purpose::Take | Purpose::Complete => capacity,
        };
        if self.arena.used().saturating_add(len) > limit {
            return None;
        }
        self.arena.alloc_beside(len, self.spare[purpose as usize]).map(Some)
    }

    /// Reserves `len` octets of something that a peer begins, and that nothing but its rest keeps from the application.
    ///
    /// Where there is no room, one at a time has the place that nothing else takes, and `beside` says which block it has already: so
    /// whatever peers send arrives in the end, one after the other.
    pub fn admit(&mut self, len: usize, beside: Option<Block>) -> Option<Option<Block>> {
        if let Some(block) = self.alloc(len, Purpose::Arrive) {
            return Some(block);
        }
        if self.admitted.is_some() {
            return if self.admitted == beside { self.alloc(len, Purpose::Complete) } else { None };
        }
        self.admitted = self.alloc(len, Purpose::Admit)?;
        Some(self.admitted)
    }

    /// Says whether so little is left that peers are granted no more for now.
    #[must_use]
    pub const fn is_tight(&self) -> bool {
        self.arena.used() > self.arena.capacity() / 4 * 3
    }

    /// Gives back a block of something that arrived.
    pub fn free_arrived(&mut self, block: Block) {
        if self.admitted == Some(block) {
            self.admitted = None;
        }
        self.arena.free(block);
    }

    /// Gives back a block of something that arrived, and takes one for other octets: in its place, if they take as much room.
    pub fn replace_arrived(&mut self, block: Block, len: usize, purpose: Purpose) -> Option<Option<Block>> {
        let Some(refitted) = self.arena.refit(block, len) else {
            self.free_arrived(block);
            return self.alloc(len, purpose);
        };
        if self.admitted == Some(block) {
            self.admitted = None;
        }
        Some(Some(refitted))
    }

    /// Copies octets into the arena.
    pub fn keep(&mut self, octets: &[u8], purpose: Purpose) -> Option<Option<Block>> {
        let block = self.alloc(octets.len(), purpose)?;
        if let Some(block) = block {
            self.arena.bytes_mut(block).copy_from_slice(octets);
        }
        Some(block)
    }

    /// Says whether one datagram more, with a frame, can be booked as in flight.
    #[must_use]
    pub fn has_room_in_flight(&self) -> bool {
        self.datagrams.len() < self.datagrams.capacity() && self.has_frame_room()
    }

    /// Says whether one frame more can be booked: the pool is the endpoint's, and any peer may have filled it.
    ///
    /// The last one stays free for the rest of a piece that has become too long for its path: else a pool full of such pieces would
    /// never have room again.
    #[must_use]
    pub fn has_frame_room(&self) -> bool {
        self.frames.len() + 1 < self.frames.capacity()
    }

    /// Finds an exchange by its number.
    #[inline(always)]
    #[must_use]
    pub fn find(&self, peer: u32, begun_by: Party, seq: u64) -> Option<u32> {
        self.by_seq.find(self.hash(peer, begun_by, seq), |index| {
            self.exchanges.at(index).is_some_and(|it| it.seq == Some(seq) && it.peer == peer && it.begun_by == begun_by)
        })
    }

    /// Adds an exchange with a peer, findable by its number if it has one; `None` if the pool is full.
    #[inline(always)]
    pub fn add_exchange(
        &mut self,
        peer: u32,
        begun_by: Party,
        seq: Option<u64>,
        stage: Stage,
        now: Instant,
    ) -> Option<Key> {
        let (key, exchange) = self.exchanges.insert_entry(Exchange::BLANK)?;
        (exchange.peer, exchange.begun_by, exchange.seq) = (peer, begun_by, seq);
        exchange.enter(stage, now);
        // Once more, since they are looked at next: a part of what has just been copied as a whole would have to be waited for.
        exchange.by_seq = Links::UNLINKED;
        if let Some(seq) = seq {
            self.by_seq.insert(self.hash(peer, begun_by, seq), key.index());
        }
        Some(key)
    }

    /// Gives an exchange another number.
    pub fn renumber(&mut self, index: u32, seq: u64) -> Result<(), Broken> {
        let exchange = self.exchanges.at_mut(index).sound()?;
        let (peer, begun_by, old) = (exchange.peer, exchange.begun_by, exchange.seq.replace(seq));
        if let Some(old) = old {
            self.by_seq.remove(self.hash(peer, begun_by, old), index);
        }
        self.by_seq.insert(self.hash(peer, begun_by, seq), index);
        Ok(())
    }

    /// Removes an exchange that is on no list but perhaps that of events; its flows must be gone.
    #[inline(always)]
    pub fn remove_exchange(&mut self, index: u32) -> Result<(), Broken> {
        let exchange = self.exchanges.at(index).sound()?;
        debug_assert!(exchange.has_no_flow(), "flows do not outlive their exchange");
        let (peer, begun_by, seq) = (exchange.peer, exchange.begun_by, exchange.seq);
        let is_timed = begun_by == Party::Us && exchange.deadline.is_some();
        if exchange.eventful.is_linked() {
            self.eventful.remove(&mut self.exchanges, index);
        }
        if let Some(seq) = seq {
            self.by_seq.remove(self.hash(peer, begun_by, seq), index);
        }
        if is_timed {
            self.clear_deadline(index)?;
        }
        self.exchanges.vacate(index).sound()
    }

    /// Sets when a call of ours is given up: at the deadline of its exchange.
    pub fn set_deadline(&mut self, index: u32) -> Result<(), Broken> {
        self.clear_deadline(index)?;
        self.add_deadline(index)
    }

    /// As [`Memory::set_deadline`], for a call that had none.
    pub fn add_deadline(&mut self, index: u32) -> Result<(), Broken> {
        let Some(at) = self.exchanges.at(index).sound()?.deadline else { return Ok(()) };
        let last = self.timed.back().and_then(|last| self.exchanges.at(last)?.deadline);
        if last.is_none_or(|last| last <= at) {
            self.timed.push_back(&mut self.exchanges, index);
        } else {
            self.call_deadlines.set(index, at);
        }
        Ok(())
    }

    /// Keeps the instant that was set last for a call whose deadline is about to be put off.
    pub fn keep_deadline(&mut self, index: u32) -> Result<(), Broken> {
        let exchange = self.exchanges.at(index).sound()?;
        if let Some(at) = exchange.deadline.filter(|_| exchange.timed.is_linked()) {
            self.timed.remove(&mut self.exchanges, index);
            self.call_deadlines.set(index, at);
        }
        Ok(())
    }

    /// Lets a call of ours be given up no more.
    pub fn clear_deadline(&mut self, index: u32) -> Result<(), Broken> {
        let timed = core::mem::take(&mut self.exchanges.at_mut(index).sound()?.timed);
        if timed.is_linked() {
            self.timed.close_gap(&mut self.exchanges, timed);
        } else {
            self.call_deadlines.clear(index);
        }
        Ok(())
    }

    /// Takes a call of ours whose deadline is not after `now`; it has none then.
    pub fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let (_, index) = self.first_deadline().filter(|(at, _)| *at <= now)?;
        self.clear_deadline(index).ok()?;
        Some(index)
    }

    /// Returns the call of ours that is given up first, and when.
    #[must_use]
    pub fn first_deadline(&self) -> Option<(Instant, u32)> {
        let timed = self.timed.front().and_then(|index| Some((self.exchanges.at(index)?.deadline?, index)));
        match (timed, self.call_deadlines.first()) {
            (Some(timed), Some(other)) => Some(timed.min(other)),
            (timed, other) => timed.or(other),
        }
    }

    /// Cuts an exchange off from its peer, whose session is gone: only the application still holds something of it.
    pub fn orphan(&mut self, index: u32) -> Result<(), Broken> {
        let exchange = self.exchanges.at_mut(index).sound()?;
        let (peer, begun_by) = (exchange.peer, exchange.begun_by);
        exchange.peer = Exchange::ORPHAN;
        if let Some(seq) = exchange.seq.take() {
            self.by_seq.remove(self.hash(peer, begun_by, seq), index);
        }
        self.clear_deadline(index)?;
        self.remove_orphan(index)
    }

    /// Removes an orphan that nobody holds any more.
    pub fn remove_orphan(&mut self, index: u32) -> Result<(), Broken> {
        let exchange = self.exchanges.at(index).sound()?;
        if exchange.news != 0 || !exchange.has_no_flow() {
            return Ok(());
        }
        self.remove_exchange(index)
    }

    /// Notes news for the application.
    #[inline(always)]
    pub fn tell(&mut self, index: u32, news: u16) -> Result<(), Broken> {
        let exchange = self.exchanges.at_mut(index).sound()?;
        exchange.news |= news;
        if !exchange.eventful.is_linked() {
            self.eventful.push_back(&mut self.exchanges, index);
        }
        Ok(())
    }

    /// Takes the memory of a flow's octets back; the flow remains.
    #[inline]
    pub fn drop_body(&mut self, flow: u32) -> Result<(), Broken> {
        let (body, metadata) = self.outgoing.at_mut(flow).sound()?.take_octets();
        self.free_octets(body, metadata);
        Ok(())
    }

    /// Gives back what the octets and the metadata of an outgoing flow hold.
    #[inline]
    pub fn free_octets(&mut self, body: Body, metadata: Option<Block>) {
        if let Some(block) = body.block() {
            self.arena.free(block);
        }
        if let Some(block) = metadata {
            self.arena.free(block);
        }
    }

    /// Takes an outgoing flow, or all runs of it, out of their datagrams and of the queue of lost ones.
    #[inline]
    pub fn drop_runs(&mut self, lost: &mut List<crate::sent::InLost>, flow: u32) -> Result<(), Broken> {
        while let Some(frame) = self.outgoing.at(flow).sound()?.frames.front() {
            self.drop_frame(lost, frame)?;
        }
        self.leave_carrier(flow)
    }

    /// Takes a flow off the datagram that carried all of it last, if there is one.
    #[inline]
    pub fn leave_carrier(&mut self, flow: u32) -> Result<(), Broken> {
        let outgoing = self.outgoing.at(flow).sound()?;
        if outgoing.carried.is_linked() {
            let datagram = self.datagrams.at_mut(outgoing.datagram).sound()?;
            <List<InDatagram>>::remove(&mut datagram.flows, &mut self.outgoing, flow);
        }
        Ok(())
    }

    /// Removes a frame from everything that it is part of.
    pub fn drop_frame(&mut self, lost: &mut List<crate::sent::InLost>, index: u32) -> Result<(), Broken> {
        let frame = self.frames.at(index).sound()?;
        let (content, datagram, is_sent) = (frame.content, frame.datagram, frame.in_datagram.is_linked());
        if frame.in_lost.is_linked() {
            lost.remove(&mut self.frames, index);
        }
        if is_sent && let Some(datagram) = self.datagrams.at_mut(datagram) {
            <List<InDatagram>>::remove(&mut datagram.frames, &mut self.frames, index);
        }
        if let Content::Run { flow, .. } = content {
            let outgoing = self.outgoing.at_mut(flow).sound()?;
            <List<InFlow>>::remove(&mut outgoing.frames, &mut self.frames, index);
        }
        self.frames.vacate(index).sound()
    }

    /// Takes a frame off the datagram that carried it last.
    pub fn leave_datagram(&mut self, index: u32) -> Result<(), Broken> {
        let frame = self.frames.at(index).sound()?;
        if frame.in_datagram.is_linked() {
            let datagram = self.datagrams.at_mut(frame.datagram).sound()?;
            <List<InDatagram>>::remove(&mut datagram.frames, &mut self.frames, index);
        }
        Ok(())
    }

    /// Removes an incoming flow and its memory.
    #[inline]
    pub fn remove_incoming(&mut self, flow: u32) -> Result<(), Broken> {
        self.drop_arrived(flow)?;
        self.incoming.vacate(flow).sound()
    }

    /// Takes the octets of a whole flow that has arrived out, and its memory back; the flow remains.
    #[cfg(feature = "bytes")]
    pub fn take_arrived(&mut self, flow: u32) -> Result<bytes::Bytes, Broken> {
        let (octets, block) = self.incoming.at_mut(flow).sound()?.take(&self.arena);
        if let Some(block) = block {
            self.free_arrived(block);
        }
        Ok(octets)
    }

    /// Takes the memory of an incoming flow back; the flow remains, for its charge.
    #[inline]
    pub fn drop_arrived(&mut self, flow: u32) -> Result<(), Broken> {
        let incoming = self.incoming.at_mut(flow).sound()?;
        incoming.beyond.clear(&mut self.ranges);
        incoming.own_body = None;
        let (body, metadata) = (incoming.body.take(), incoming.metadata.take());
        if let Some(block) = body {
            self.free_arrived(block);
        }
        if let Some(block) = metadata {
            self.free_arrived(block);
        }
        Ok(())
    }

    fn hash(&self, peer: u32, begun_by: Party, seq: u64) -> u64 {
        // A seq has 62 bits. Those of a run are neighbours in the index, and so in the cache, for whoever begins one exchange after
        // the other; where the run begins, nobody outside knows.
        let run = seq / SEQ_RUN_LEN;
        let begin = self.seq_hash.hash([run as u32, (run >> 32) as u32 | (begun_by as u32) << 30, peer]);
        begin + seq % SEQ_RUN_LEN
    }
}

/// Our choice: 16 cache lines of an [`Index`].
const SEQ_RUN_LEN: u64 = 256;

impl Linked<Timed> for Exchange {
    fn links(&self) -> Links {
        self.timed
    }
    fn links_mut(&mut self) -> &mut Links {
        &mut self.timed
    }
}

impl Linked<Eventful> for Exchange {
    fn links(&self) -> Links {
        self.eventful
    }
    fn links_mut(&mut self) -> &mut Links {
        &mut self.eventful
    }
}

/// Memory for an endpoint: lent by the caller, or (feature `alloc`) allocated once by `Storage::owned`.
///
/// The lengths are limits: what does not fit is refused. [`Counts`](crate::footprint::Counts) tells how many of each a [`Config`]
/// asks for, and [`storage_for!`](crate::storage_for) declares arrays of so many; fewer are allowed where the limit may be lower, and [`Endpoint::new`](crate::Endpoint::new) refuses only what cannot work.
pub struct Storage<'s> {
    /// One for each peer.
    pub peers: Store<'s, Slot<crate::peer::Peer>>,
    /// One for each path; as many as peers.
    pub paths: Store<'s, Slot<crate::path::Path>>,
    /// A power of two, about as many as peers.
    pub path_buckets: Store<'s, u32>,
    /// As many as paths.
    pub path_links: Store<'s, u32>,
    /// As many as peers.
    pub routes: Store<'s, crate::routes::Route>,
    /// As many as peers.
    pub peer_deadlines: Store<'s, DeadlineSlot>,
    /// Messages and calls.
    pub exchanges: Store<'s, Slot<Exchange>>,
    /// A power of two, about as many as exchanges.
    pub exchange_buckets: Store<'s, u32>,
    /// As many as exchanges.
    pub exchange_links: Store<'s, u32>,
    /// As many as exchanges.
    pub call_deadlines: Store<'s, DeadlineSlot>,
    /// Flows that are sent.
    pub outgoing: Store<'s, Slot<Outgoing>>,
    /// Flows that are received.
    pub incoming: Store<'s, Slot<Incoming>>,
    /// Datagrams in flight.
    pub datagrams: Store<'s, Slot<SentDatagram>>,
    /// Frames in flight.
    pub frames: Store<'s, Slot<SentFrame>>,
    /// Channels in use.
    pub channels: Store<'s, Slot<Channel>>,
    /// Handshakes under way; none in plain mode.
    pub handshakes: Store<'s, Slot<Handshake>>,
    /// Conversations that are moving; none in plain mode.
    pub moves: Store<'s, Slot<Moving>>,
    /// Runs of octets beyond holes.
    pub ranges: Store<'s, RangeNode>,
    /// Octets of messages.
    pub payload: Store<'s, u8>,
    /// Bookkeeping of the octets: [`Arena::tree_len`] of their length.
    pub payload_tree: Store<'s, u8>,
    /// Sizes of blocks of 64 to 1024 octets that wait to be used again; 16 of each burst of calls is a good measure.
    pub payload_waiting: Store<'s, u32>,
    /// Tickets that were used.
    pub used_tickets: Store<'s, crate::token::UsedTicket>,
    /// A power of two, about as many as used tickets.
    pub used_ticket_buckets: Store<'s, u32>,
    /// As many as used tickets.
    pub used_ticket_links: Store<'s, u32>,
}

impl Storage<'_> {
    /// Checks that the stores fit together and hold what cannot be done without.
    ///
    /// # Errors
    /// `storage`, if they do not.
    pub(crate) fn check(&self, config: &Config) -> Result<(), ConfigError> {
        let fits = !self.peers.is_empty()
            && self.paths.len() >= self.peers.len()
            && self.path_links.len() >= self.paths.len()
            && self.routes.len() >= self.peers.len()
            && self.peer_deadlines.len() >= self.peers.len()
            && self.exchange_links.len() >= self.exchanges.len()
            && self.call_deadlines.len() >= self.exchanges.len()
            && self.used_ticket_links.len() == self.used_tickets.len()
            && self.path_buckets.len().is_power_of_two()
            && self.exchange_buckets.len().is_power_of_two()
            && self.used_ticket_buckets.len().is_power_of_two()
            && self.payload_tree.len() >= Arena::tree_len(self.payload.len())
            && self.payload.len() as u64 >= payload_memory_min(config.message_len_max)
            && self.peers.len() <= 1 << 24;
        if fits { Ok(()) } else { Err(ConfigError { field: "storage" }) }
    }
}

#[cfg(feature = "alloc")]
impl Storage<'static> {
    /// Allocates what `config` asks for.
    #[must_use]
    pub fn owned(config: &Config) -> Self {
        let counts = crate::footprint::Counts::of(config);
        Self {
            peers: Store::owned(counts.peers),
            paths: Store::owned(counts.peers),
            path_buckets: Store::owned(counts.path_buckets),
            path_links: Store::owned(counts.peers),
            routes: Store::owned(counts.peers),
            peer_deadlines: Store::owned(counts.peers),
            exchanges: Store::owned(counts.exchanges),
            exchange_buckets: Store::owned(counts.exchange_buckets),
            exchange_links: Store::owned(counts.exchanges),
            call_deadlines: Store::owned(counts.exchanges),
            outgoing: Store::owned(counts.exchanges),
            incoming: Store::owned(counts.exchanges),
            datagrams: Store::owned(counts.datagrams),
            frames: Store::owned(counts.frames),
            channels: Store::owned(counts.channels),
            handshakes: Store::owned(counts.handshakes),
            moves: Store::owned(counts.moves),
            ranges: Store::owned(counts.ranges),
            payload: Store::owned(counts.payload),
            payload_tree: Store::owned(counts.payload_tree),
            payload_waiting: Store::owned(counts.payload_waiting),
            used_tickets: Store::owned(counts.used_tickets),
            used_ticket_buckets: Store::owned(counts.used_ticket_buckets),
            used_ticket_links: Store::owned(counts.used_tickets),
        }
    }
}
