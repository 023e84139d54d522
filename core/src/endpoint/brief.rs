//! Brief calls: the short way of a call whose request and reply are one frame each and say nothing but their octets, and the way
//! out of it.

use core::time::Duration;

use super::calls::{REPLY_PRIORITY, callee_timeout};
use super::request::{Body, Request};
use super::runs::QUIET_LEN_MAX;
use super::scope::{Fault, Scope};
use super::transmit::Added;
use crate::exchange::{Brief, Exchange, News, Party, Stage};
use crate::fingerprint::fingerprint;
use crate::ids::MessageId;
use crate::incoming::Incoming;
use crate::lane::Lane;
use crate::memory::{Broken, Purpose, Sound};
use crate::outcome::Outcome;
use crate::outgoing::{self, Kind, Outgoing};
use crate::own_body::OwnBody;
use crate::peer;
use crate::sent::InDatagram;
use crate::storage::{Block, Key, List};
use crate::time::nanos;
use crate::wire::{Alias, Bare, Description, Options, Procedure, Role, Semantics, Seq, Writer};

impl Scope<'_, '_> {
    /// Begins a call of ours briefly; `None` if it is not one that may be brief, or there is no room.
    pub(super) fn call_briefly(
        &mut self,
        request: &Request<'_>,
        procedure: &Description,
    ) -> Result<Option<Key>, Broken> {
        let len = request.body.len();
        let may_be_brief = may_be_brief(procedure.options)
            && usize::from(request.priority) == BRIEF_PRIORITY
            && request.metadata.is_empty()
            && !request.body.is_shared()
            && request.timeout == Some(Duration::ZERO)
            && len <= BRIEF_LEN_MAX
            && matches!(self.peer.stage, peer::Stage::Open)
            && self.peer.conversation.aliases_out.known(procedure).is_some()
            && self.is_brief_next();
        if !may_be_brief || !self.admit_next()? || !self.memory.outgoing.reserve() {
            return Ok(None);
        }
        let Some(body) = self.keep_copy(&request.body, Purpose::Begin) else {
            self.memory.outgoing.unreserve();
            return Ok(None);
        };
        let Some(key) = self.begin()? else {
            if let Some(block) = body {
                self.memory.arena.free(block);
            }
            self.memory.outgoing.unreserve();
            return Ok(None);
        };
        let (now, timeout) = (self.now, nanos(self.config.call_timeout));
        let exchange = self.exchange(key.index())?;
        exchange.procedure = Some(*procedure);
        (exchange.brief, exchange.body, exchange.len) = (Brief::Queued, body, len as u32);
        exchange.set_timeout(now, Some(timeout));
        self.queue_brief(key.index());
        self.memory.add_deadline(key.index())?;
        self.count_open_call();
        Ok(Some(key))
    }

    /// Answers a call of the peer briefly; says whether it may be, and there is room. The reply lies where its request was, if it
    /// is about as long.
    pub(super) fn answer_briefly(&mut self, index: u32, reply: &Body<'_>) -> Result<bool, Broken> {
        let exchange = self.memory.exchanges.at(index).sound()?;
        let may_be_brief = exchange.brief == Brief::Arrived
            && !exchange.is_retired
            && exchange.reasons[Lane::Backward as usize] == 0
            && !reply.is_shared()
            && reply.len() <= BRIEF_LEN_MAX
            && self.is_brief_next();
        if !may_be_brief || !self.memory.outgoing.reserve() {
            return Ok(false);
        }
        let request = self.exchange(index)?.body.take();
        let charged = request.map_or(0, Block::len) as u64;
        let body = match request {
            Some(block) => self.memory.replace_arrived(block, reply.len(), Purpose::Finish),
            None => self.memory.alloc(reply.len(), Purpose::Finish),
        };
        self.return_credit(charged);
        let Some(body) = body else {
            self.memory.outgoing.unreserve();
            return Ok(false);
        };
        if let Some(block) = body {
            reply.write(self.memory.arena.bytes_mut(block));
        }
        self.memory.incoming.unreserve();
        self.peer.open_reply_count += 1;
        let now = self.now;
        let exchange = self.exchange(index)?;
        exchange.enter(Stage::Over, now);
        exchange.done |= 1 << Lane::Forward as u8;
        (exchange.brief, exchange.body, exchange.len) = (Brief::Queued, body, reply.len() as u32);
        self.queue_brief(index);
        Ok(true)
    }

    /// Says whether what is queued briefly goes out after all that was accepted before: flows of one priority begin in order.
    fn is_brief_next(&self) -> bool {
        self.peer.queues[BRIEF_PRIORITY].is_empty()
    }

    #[inline(always)]
    fn queue_brief(&mut self, index: u32) {
        self.peer.briefs.push_back(&mut self.memory.exchanges, index);
    }

    /// Writes brief requests and replies, in order, until one may not be sent.
    ///
    /// Not inlined: the loop keeps its registers.
    #[inline(never)]
    pub(super) fn write_briefs(&mut self, record: u32, writer: &mut Writer<'_>) -> Result<Added, Broken> {
        let mut place = self.peer.briefs.front();
        // They take none of it.
        if place.is_some() && !self.memory.has_frame_room() {
            return Ok(Added::Full);
        }
        let (mut added, mut carried) = (Ok(Added::Yes), None);
        while let (Ok(Added::Yes), Some(index)) = (added, place) {
            place = self.peer.briefs.next(&self.memory.exchanges, index);
            added = match self.write_brief(record, index, writer) {
                Ok(Written::Briefly) => {
                    carried = Some(index);
                    Ok(Added::Yes)
                }
                Ok(Written::No(added)) => Ok(added),
                Err(Broken) => Err(Broken),
            };
        }
        // They leave the queue together.
        if let Some(last) = carried {
            let briefs = self.peer.briefs.split_front(&mut self.memory.exchanges, last);
            self.memory.datagrams.at_mut(record).sound()?.briefs.append(&mut self.memory.exchanges, briefs);
        }
        added
    }

    /// Writes a brief request or reply. One that cannot be sent briefly is spelled out, and waits with those that have records.
    #[inline(always)]
    fn write_brief(&mut self, record: u32, index: u32, writer: &mut Writer<'_>) -> Result<Written, Broken> {
        let exchange = self.memory.exchanges.at(index).sound()?;
        let len = u64::from(exchange.len);
        if !self.has_leave(exchange, len) {
            return Ok(Written::No(Added::Blocked));
        }
        let octets = exchange.body.map_or(&[][..], |block| self.memory.arena.bytes(block));
        let seq = Seq(exchange.seq.sound()?);
        let written = match exchange.begun_by {
            Party::Them => Some(Bare::Reply { seq, octets }.encode(writer)),
            Party::Us => self.brief_alias(exchange)?.map(|alias| Bare::Request { seq, alias, octets }.encode(writer)),
        };
        match written {
            Some(Ok(())) => {}
            // Any datagram that holds little else has room for it.
            Some(Err(_)) if writer.len() > QUIET_LEN_MAX => return Ok(Written::No(Added::Full)),
            Some(Err(_)) | None => {
                self.spell_out(index)?;
                return Ok(Written::No(Added::Yes));
            }
        }
        self.peer.session.charged_by_us += len;
        let exchange = self.exchange(index)?;
        (exchange.brief, exchange.datagram) = (Brief::Carried, record);
        Ok(Written::Briefly)
    }

    /// Returns the short name of the procedure of a request, if that is all it says before its octets.
    #[inline(always)]
    pub(super) fn brief_alias(&self, exchange: &Exchange) -> Result<Option<Alias>, Broken> {
        if self.time_left(exchange)?.is_some() {
            return Ok(None);
        }
        let procedure = exchange.procedure.as_ref().sound()?;
        Ok(self.peer.conversation.aliases_out.known(procedure))
    }

    /// Takes note that the peer has received a brief request or reply, whose list is dissolved; returns the next one.
    pub(super) fn on_brief_acked(&mut self, index: u32) -> Result<Option<u32>, Broken> {
        let exchange = self.exchange(index)?;
        let next = exchange.briefly.dissolve();
        exchange.brief = Brief::Settled;
        let (begun_by, is_retired, body) = (exchange.begun_by, exchange.is_retired, exchange.body.take());
        self.memory.outgoing.unreserve();
        if let Some(block) = body {
            self.memory.arena.free(block);
        }
        match begun_by {
            // Its reply is still to come.
            Party::Us => {}
            Party::Them => {
                self.peer.open_reply_count -= 1;
                if is_retired {
                    self.finish(index)?;
                }
            }
        }
        Ok(next)
    }

    /// Takes the request of a brief call of the peer, or the reply to one of ours; says whether it was one.
    #[inline(always)]
    pub(super) fn take_briefly(&mut self, bare: Bare<'_>) -> Result<bool, Fault> {
        if OwnBody::suits(bare.octets().len(), self.config) {
            return Ok(false);
        }
        match bare {
            Bare::Request { seq, alias, octets } => self.take_brief_request(seq.0, alias, octets),
            Bare::Reply { seq, octets } => self.take_brief_reply(seq.0, octets),
            Bare::Message { .. } => Ok(false),
        }
    }

    /// Takes a request of which nothing was known, if its call may be brief.
    ///
    /// Not inlined, and neither is the next: the loop over the frames keeps its registers.
    #[inline(never)]
    fn take_brief_request(&mut self, seq: u64, alias: Alias, octets: &[u8]) -> Result<bool, Fault> {
        let is_known = self.peer.session.is_retired(seq) || self.memory.find(self.index, Party::Them, seq).is_some();
        if is_known || self.is_refusing() {
            return Ok(false);
        }
        self.admit_theirs(seq)?;
        let procedure = self.resolve(&Procedure::Alias(alias))?;
        if !may_be_brief(procedure.options) {
            return Ok(false);
        }
        let body = self.take_octets(Lane::Forward, octets)?;
        let is_reserved = self.memory.incoming.reserve();
        debug_assert!(is_reserved, "octets are taken only where there is room for their flow");
        let index = self.add_theirs(Some(seq), Stage::Queued).sound()?;
        let now = self.now;
        let exchange = self.exchange(index)?;
        (exchange.role, exchange.procedure) = (Some(Role::Request), Some(procedure));
        (exchange.brief, exchange.body, exchange.len) = (Brief::Arrived, body, octets.len() as u32);
        exchange.fingerprint = fingerprint(octets);
        exchange.set_timeout(now, callee_timeout(&procedure, None));
        self.tell(index, News::CALL_RECEIVED)?;
        Ok(true)
    }

    /// Takes the reply to a brief call of ours.
    #[inline(never)]
    fn take_brief_reply(&mut self, seq: u64, octets: &[u8]) -> Result<bool, Fault> {
        let Some(index) = self.memory.find(self.index, Party::Us, seq) else { return Ok(false) };
        let exchange = self.exchange(index)?;
        let (brief, has_deadline) = (exchange.brief, exchange.deadline.is_some());
        if !matches!(brief, Brief::Carried | Brief::Settled) {
            return Ok(false);
        }
        let body = self.take_octets(Lane::Backward, octets)?;
        if brief == Brief::Carried {
            // The reply says that the request has arrived.
            self.drop_brief(index)?;
        }
        let is_reserved = self.memory.incoming.reserve();
        debug_assert!(is_reserved, "octets are taken only where there is room for their flow");
        self.peer.open_call_count = self.peer.open_call_count.saturating_sub(1);
        if has_deadline {
            self.memory.clear_deadline(index)?;
        }
        let (key, exchange) = self.memory.exchanges.entry_mut(index).sound()?;
        exchange.enter(Stage::Over, self.now);
        (exchange.brief, exchange.body, exchange.len) = (Brief::Arrived, body, octets.len() as u32);
        (exchange.outcome, exchange.deadline) = (Outcome::Ok(MessageId::in_exchange(key)), None);
        self.tell(index, News::ENDED)?;
        Ok(true)
    }

    /// Lets go of a brief reply that the application has done with.
    pub(super) fn release_brief(&mut self, index: u32) -> Result<(), Broken> {
        self.drop_brief(index)?;
        self.finish(index)
    }

    /// Lets go of what a brief call holds, wherever it is; nothing of it is sent, and nobody waits for an acknowledgement.
    pub(super) fn drop_brief(&mut self, index: u32) -> Result<(), Broken> {
        let (brief, body) = self.leave_place(index, Brief::Settled)?;
        match brief {
            Brief::No | Brief::Settled => {}
            Brief::Arrived => {
                if let Some(block) = body {
                    self.memory.free_arrived(block);
                    self.return_credit(block.len() as u64);
                }
            }
            Brief::Queued | Brief::Carried => {
                let is_reply = self.exchange(index)?.begun_by == Party::Them;
                self.peer.open_reply_count -= u32::from(is_reply);
                if let Some(block) = body {
                    self.memory.arena.free(block);
                }
            }
        }
        Ok(())
    }

    /// Takes a brief call out of the queue or the datagram that it is in, gives up the slot reserved for a record of its flow, and
    /// returns how far it was and what it held.
    #[inline(always)]
    fn leave_place(&mut self, index: u32, next: Brief) -> Result<(Brief, Option<Block>), Broken> {
        let exchange = self.exchange(index)?;
        let (datagram, body) = (exchange.datagram, exchange.body.take());
        let brief = core::mem::replace(&mut exchange.brief, next);
        match brief {
            Brief::No | Brief::Settled => {}
            Brief::Arrived => self.memory.incoming.unreserve(),
            Brief::Queued => {
                self.peer.briefs.remove(&mut self.memory.exchanges, index);
                self.memory.outgoing.unreserve();
            }
            Brief::Carried => {
                let datagram = self.memory.datagrams.at_mut(datagram).sound()?;
                datagram.briefs.remove(&mut self.memory.exchanges, index);
                self.memory.outgoing.unreserve();
            }
        }
        Ok((brief, body))
    }

    /// Gives the flows of a brief call their records: from here on it is a call as any other.
    #[inline(always)]
    pub(super) fn spell_out(&mut self, index: u32) -> Result<(), Broken> {
        if self.exchange(index)?.brief == Brief::No { Ok(()) } else { self.give_records(index) }
    }

    #[cold]
    #[inline(never)]
    fn give_records(&mut self, index: u32) -> Result<(), Broken> {
        let exchange = self.exchange(index)?;
        let (lane, len, datagram) = (exchange.brief_lane(), u64::from(exchange.len), exchange.datagram);
        let (brief, body) = self.leave_place(index, Brief::No)?;
        let flow = match brief {
            Brief::No | Brief::Settled => return Ok(()),
            Brief::Arrived => {
                let mut incoming = Incoming::entire(index, len, body, self.now);
                // The application may have taken the octets of a request.
                incoming.returned = len - body.map_or(0, Block::len) as u64;
                incoming.is_announced = lane == Lane::Forward;
                self.memory.incoming.insert(incoming).sound()?.index()
            }
            Brief::Queued | Brief::Carried => {
                let role = if lane == Lane::Forward { Role::Request } else { Role::Reply };
                let body = body.map_or(outgoing::Body::Empty, outgoing::Body::Held);
                let mut outgoing =
                    Outgoing { body, len, ..Outgoing::new(index, role, Kind::Whole, BRIEF_PRIORITY as u8) };
                if brief == Brief::Carried {
                    (outgoing.sent, outgoing.charged, outgoing.is_end_sent) = (len, len, true);
                    outgoing.datagram = datagram;
                }
                self.memory.outgoing.insert(outgoing).sound()?.index()
            }
        };
        self.exchange(index)?.flows[lane as usize] = Some(flow);
        match brief {
            Brief::Queued => self.queue(flow),
            Brief::Carried => {
                let datagram = self.memory.datagrams.at_mut(datagram).sound()?;
                <List<InDatagram>>::push_back(&mut datagram.flows, &mut self.memory.outgoing, flow);
                Ok(())
            }
            Brief::No | Brief::Settled | Brief::Arrived => Ok(()),
        }
    }

    /// Spells out the calls that a datagram carries.
    pub(super) fn spell_out_carried(&mut self, datagram: u32) -> Result<(), Broken> {
        while let Some(index) = self.memory.datagrams.at(datagram).sound()?.briefs.front() {
            self.give_records(index)?;
        }
        Ok(())
    }

    /// Spells out the calls that wait to be sent.
    pub(super) fn spell_out_queued(&mut self) -> Result<(), Broken> {
        while let Some(index) = self.peer.briefs.front() {
            self.give_records(index)?;
        }
        Ok(())
    }
}

/// What came of the attempt to send a brief request or reply.
enum Written {
    /// It is in the datagram.
    Briefly,
    /// It is not: this came of it instead.
    No(Added),
}

/// Says whether a call has a reply that must arrive, and nothing beside it.
fn may_be_brief(options: Options) -> bool {
    let has_stream = options.has_upward() || options.has_downward();
    !has_stream && !options.is_one_way() && options.semantics() != Semantics::Maybe
}

/// A request or reply of so many octets fits into any datagram; a number we chose.
const BRIEF_LEN_MAX: usize = 1024;

/// The queue that brief calls and replies belong into.
pub(super) const BRIEF_PRIORITY: usize = REPLY_PRIORITY as usize;
