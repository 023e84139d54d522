//! One peer at work: the parts of the endpoint that concern it, and the life of its exchanges.

use super::keyring::Keyring;
use super::{Counters, draw_id};
use crate::config::Config;
use crate::exchange::{Exchange, News, Notices, Party, Stage};
use crate::lane::Lane;
use crate::memory::{Broken, Memory, Sound};
use crate::outcome::Outcome;
use crate::outgoing::Outgoing;
use crate::path::Path;
use crate::peer::{self, Peer};
use crate::random::Random;
use crate::session::{Channel, ChannelUse};
use crate::storage::Key;
use crate::time::Instant;
use crate::wire::{CloseCode, ConversationId, ResetReason, Role};

/// What the work on one peer may touch.
pub(super) struct Scope<'a, 's> {
    pub(super) now: Instant,
    pub(super) index: u32,
    pub(super) config: &'a Config,
    pub(super) peer: &'a mut Peer,
    pub(super) path: &'a mut Path,
    pub(super) memory: &'a mut Memory<'s>,
    pub(super) random: &'a mut Random,
    pub(super) keyring: &'a mut Keyring<'s>,
    pub(super) counters: &'a mut Counters,
}

/// Why a frame could not be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The peer broke a rule: the conversation is closed with this code.
    Violation(CloseCode),
    /// There is no room: the datagram stays unacknowledged, and its frames will come again.
    NoRoom,
}

impl From<Broken> for Fault {
    fn from(Broken: Broken) -> Self {
        Self::Violation(CloseCode::Internal)
    }
}

impl Scope<'_, '_> {
    #[inline(always)]
    pub(super) fn exchange(&mut self, index: u32) -> Result<&mut Exchange, Broken> {
        self.memory.exchanges.at_mut(index).sound()
    }

    /// Draws an id for another conversation with the peer.
    pub(super) fn draw_id(&mut self) -> Result<ConversationId, Broken> {
        Ok(draw_id(self.config.socket, self.keyring.route_of(self.index)?, self.random))
    }

    /// Turns away what the peer begins, and asks it to begin nothing for a while (protocol §7.8).
    pub(super) fn no_room(&mut self) -> Fault {
        self.peer.notices |= peer::Notices::BUSY;
        Fault::NoRoom
    }

    /// Says whether the peer has all the exchanges here that it may have: a window of those with a number, and as many that its
    /// own books say are over, or never held, and our application has not taken.
    pub(super) fn is_at_quota(&self) -> bool {
        self.peer.session.their_count as usize >= 2 * self.config.exchange_window
    }

    /// Adds an exchange of the peer at its first stage; `None` if the pool is full.
    #[inline(always)]
    pub(super) fn add_theirs(&mut self, seq: Option<u64>, stage: Stage) -> Option<u32> {
        let index = self.memory.add_exchange(self.index, Party::Them, seq, stage, self.now)?.index();
        self.peer.session.theirs.push_back(&mut self.memory.exchanges, index);
        self.peer.session.their_count += 1;
        Some(index)
    }

    /// Begins an exchange of ours; `None` if the pool is full.
    #[inline(always)]
    pub(super) fn begin(&mut self) -> Result<Option<Key>, Broken> {
        let capacity = self.memory.exchanges.capacity();
        // A quarter stays free for what the peers begin.
        if self.memory.exchanges.len() >= capacity - capacity / 4 {
            return Ok(None);
        }
        self.admit_next()?;
        let seq = self.peer.session.next_seq;
        let added = self.memory.add_exchange(self.index, Party::Us, Some(seq), Stage::Open, self.now);
        let Some(key) = added else { return Ok(None) };
        self.peer.session.next_seq += 1;
        self.peer.session.ours.push_back(&mut self.memory.exchanges, key.index());
        Ok(Some(key))
    }

    /// Adds a flow that we send to an exchange, and queues it if there is something to send.
    pub(super) fn add_outgoing(&mut self, outgoing: Outgoing, lane: Lane) -> Result<u32, Broken> {
        let exchange = outgoing.exchange;
        let flow = self.memory.outgoing.insert(outgoing).sound()?.index();
        self.peer.open_reply_count += u32::from(lane == Lane::Backward);
        self.exchange(exchange)?.flows[lane as usize] = Some(flow);
        self.queue(flow)?;
        Ok(flow)
    }

    /// Puts a flow into its queue if it has something to send that never was, and neither the peer's window nor its channel makes
    /// it wait.
    pub(super) fn queue(&mut self, flow: u32) -> Result<(), Broken> {
        let outgoing = self.memory.outgoing.at(flow).sound()?;
        let is_waiting = !outgoing.has_fresh() || outgoing.queued.is_linked();
        if is_waiting
            || !self.is_admitted(outgoing.exchange)?
            || (outgoing.role == Role::Ordered && !self.has_turn(outgoing.exchange)?)
        {
            return Ok(());
        }
        self.peer.queue_of(outgoing).push_back(&mut self.memory.outgoing, flow);
        Ok(())
    }

    /// Takes a flow out of its queue, if it is in one.
    pub(super) fn dequeue(&mut self, flow: u32) -> Result<(), Broken> {
        let outgoing = self.memory.outgoing.at(flow).sound()?;
        if outgoing.queued.is_linked() {
            self.peer.queue_of(outgoing).remove(&mut self.memory.outgoing, flow);
        }
        Ok(())
    }

    /// Says whether all predecessors of a message of ours on its channel are charged in full.
    ///
    /// Else it could take the last credit, be held by the peer until its turn, and so keep a predecessor from ever ending.
    fn has_turn(&self, index: u32) -> Result<bool, Broken> {
        let exchange = self.memory.exchanges.at(index).sound()?;
        let Some((channel, _)) = exchange.channel.filter(|_| exchange.held.is_linked()) else { return Ok(true) };
        Ok(self.memory.channels.get(channel).sound()?.held.front() == Some(index))
    }

    /// Lets the successor of a message of ours on its channel begin: the message will charge nothing more.
    pub(super) fn pass_turn(&mut self, index: u32) -> Result<(), Broken> {
        let exchange = self.memory.exchanges.at(index).sound()?;
        let is_waiting = exchange.begun_by == Party::Us && exchange.held.is_linked();
        let Some((channel, _)) = exchange.channel.filter(|_| is_waiting) else { return Ok(()) };
        let held = &mut self.memory.channels.get_mut(channel).sound()?.held;
        held.remove(&mut self.memory.exchanges, index);
        let successor = held.front().and_then(|next| self.memory.exchanges.at(next)?.flow(Lane::Forward));
        successor.map_or(Ok(()), |flow| self.queue(flow))
    }

    /// Marks something to be announced about an exchange.
    pub(super) fn notice(&mut self, index: u32, notices: u16) -> Result<(), Broken> {
        let exchange = self.memory.exchanges.at_mut(index).sound()?;
        if exchange.seq.is_none() {
            return Ok(());
        }
        exchange.notices |= notices;
        if !exchange.noticed.is_linked() {
            self.peer.noticed.push_back(&mut self.memory.exchanges, index);
        }
        Ok(())
    }

    /// Removes a flow that we sent, and its memory.
    #[inline]
    pub(super) fn remove_outgoing(&mut self, index: u32, lane: Lane) -> Result<(), Broken> {
        self.spell_out(index)?;
        match self.exchange(index)?.flows[lane as usize].take() {
            Some(flow) => self.drop_outgoing(index, lane, flow),
            None => Ok(()),
        }
    }

    fn drop_outgoing(&mut self, index: u32, lane: Lane, flow: u32) -> Result<(), Broken> {
        self.peer.open_reply_count -= u32::from(lane == Lane::Backward);
        let outgoing = self.memory.outgoing.at_mut(flow).sound()?;
        let (is_queued, is_in_flight) = (outgoing.queued.is_linked(), outgoing.is_in_flight());
        let is_ordered = outgoing.role == Role::Ordered;
        let (body, metadata) = outgoing.take_octets();
        self.memory.free_octets(body, metadata);
        if is_queued {
            self.dequeue(flow)?;
        }
        if is_in_flight {
            self.memory.drop_runs(&mut self.peer.lost, flow)?;
        }
        self.memory.outgoing.vacate(flow).sound()?;
        if is_ordered { self.pass_turn(index) } else { Ok(()) }
    }

    /// Gives up a flow that we send. What the peer may have seen of it is reset, so that both sides agree on its charge.
    pub(super) fn reset_outgoing(&mut self, index: u32, lane: Lane, reason: ResetReason) -> Result<(), Broken> {
        self.spell_out(index)?;
        let exchange = self.memory.exchanges.at_mut(index).sound()?;
        let Some(flow) = exchange.flow(lane) else { return Ok(()) };
        exchange.reasons[lane as usize] = reason.code() as u8;
        let is_numbered = exchange.seq.is_some();
        let outgoing = self.memory.outgoing.at_mut(flow).sound()?;
        // The peer waits for every position of a channel and for every stream of a call, also if it has seen nothing of it.
        let is_announced = matches!(outgoing.role, Role::Ordered | Role::Upward | Role::Downward);
        let is_awaited = outgoing.sent > 0 || outgoing.is_end_sent || is_announced;
        if !is_awaited || outgoing.is_acknowledged() || !is_numbered {
            return self.remove_outgoing(index, lane);
        }
        if outgoing.is_reset {
            return Ok(());
        }
        outgoing.is_reset = true;
        let has_waiting_writer = core::mem::take(&mut outgoing.has_waiting_writer);
        self.dequeue(flow)?;
        self.memory.drop_runs(&mut self.peer.lost, flow)?;
        self.memory.drop_body(flow)?;
        self.pass_turn(index)?;
        if has_waiting_writer {
            // The application learns it when it writes on.
            self.tell(index, News::WRITABLE << lane as u16)?;
        }
        self.notice(index, Notices::RESET << lane as u16)
    }

    /// Takes what an incoming flow charged as done with, and grants it again when it is worth a frame.
    pub(super) fn return_credit(&mut self, octets: u64) {
        self.peer.session.returned = self.peer.session.returned.saturating_add(octets);
        let grant = self.peer.session.returned.saturating_add(self.config.credit);
        let session = &self.peer.session;
        // What is left must have room for any message that the peer may begin.
        let is_short =
            session.granted_by_us.saturating_sub(session.charged_by_them) < self.config.message_len_max as u64;
        // Under pressure nothing is granted anew, except where a reply may wait for it: what was granted is honoured, and whoever
        // holds nothing here may send one message.
        self.peer.is_starved = self.memory.is_tight();
        if self.peer.is_starved && (!is_short || session.returned < session.charged_by_them) {
            return;
        }
        let more = grant.saturating_sub(session.granted_by_us);
        if more >= self.config.credit / 4 || (is_short && more > 0) {
            self.peer.notices |= peer::Notices::CREDIT;
        }
    }

    /// Charges an incoming flow up to `charge` octets.
    pub(super) fn charge(&mut self, flow: u32, charge: u64) -> Result<(), Fault> {
        let incoming = self.memory.incoming.at_mut(flow).sound()?;
        let more = charge.saturating_sub(incoming.charged);
        let session = &mut self.peer.session;
        let charged = session.charged_by_them.saturating_add(more);
        if charged > session.granted_by_us {
            return Err(Fault::Violation(CloseCode::Credit));
        }
        session.charged_by_them = charged;
        incoming.charged += more;
        Ok(())
    }

    /// Removes an incoming flow: its memory and its charge come back.
    pub(super) fn remove_incoming(&mut self, index: u32, lane: Lane) -> Result<(), Broken> {
        self.spell_out(index)?;
        let exchange = self.exchange(index)?;
        exchange.done |= 1 << lane as u8;
        exchange.stopped &= !(1 << lane as u8);
        exchange.notices &= !((Notices::STOP | Notices::CREDIT) << lane as u16);
        let Some(flow) = exchange.flows[lane as usize].take() else { return Ok(()) };
        let is_unnumbered = exchange.seq.is_none();
        let incoming = self.memory.incoming.at(flow).sound()?;
        let charged = incoming.charged - incoming.returned;
        self.peer.run_count -= incoming.beyond.count();
        self.peer.stream_count -= u16::from(incoming.is_counted);
        if is_unnumbered {
            self.peer.unnumbered_len -= incoming.prefix as u32;
        }
        self.memory.remove_incoming(flow)?;
        if charged > 0 {
            self.return_credit(charged);
        }
        Ok(())
    }

    /// Wants no more of an incoming flow. One that is complete, or that the peer gave up, just goes; of another, the peer is
    /// asked to stop.
    pub(super) fn stop_incoming(&mut self, index: u32, lane: Lane, reason: ResetReason) -> Result<(), Broken> {
        self.spell_out(index)?;
        let exchange = self.memory.exchanges.at_mut(index).sound()?;
        if Exchange::is_marked(exchange.done | exchange.stopped, lane) {
            return Ok(());
        }
        let flow = exchange.flow(lane);
        let is_settled = match flow {
            Some(flow) => {
                let incoming = self.memory.incoming.at(flow).sound()?;
                incoming.is_complete() || incoming.is_abandoned
            }
            None => exchange.seq.is_none(),
        };
        if is_settled {
            return self.remove_incoming(index, lane);
        }
        exchange.stopped |= 1 << lane as u8;
        exchange.reasons[lane as usize] = reason.code() as u8;
        if let Some(flow) = flow {
            // The record stays for its charge, which the peer's RESET settles; its memory goes at once.
            let incoming = self.memory.incoming.at_mut(flow).sound()?;
            incoming.is_abandoned = true;
            self.peer.stream_count -= u16::from(core::mem::take(&mut incoming.is_counted));
            self.peer.run_count -= incoming.beyond.count();
            self.memory.drop_arrived(flow)?;
        }
        self.notice(index, Notices::STOP << lane as u16)
    }

    /// Ends all flows of an exchange that will come to nothing more, and removes it if nothing holds it.
    pub(super) fn abandon(&mut self, index: u32, reason: ResetReason) -> Result<(), Broken> {
        self.spell_out(index)?;
        for lane in Lane::ALL {
            let exchange = self.exchange(index)?;
            if exchange.is_outgoing(lane) {
                self.reset_outgoing(index, lane, reason)?;
            } else if exchange.flow(lane).is_some() || exchange.awaits(lane) {
                self.stop_incoming(index, lane, reason)?;
            }
        }
        self.finish(index)
    }

    /// Removes an exchange that is over when no flow is left, nothing remains to be settled with the peer, and, if the peer
    /// began it, the peer has retired it.
    pub(super) fn finish(&mut self, index: u32) -> Result<(), Broken> {
        let exchange = self.memory.exchanges.at_mut(index).sound()?;
        let is_settled =
            exchange.stage == Stage::Over && exchange.stopped == 0 && exchange.news == 0 && exchange.has_no_flow();
        if !is_settled {
            return Ok(());
        }
        let is_awaited = exchange.seq.is_some()
            && match exchange.begun_by {
                Party::Us => exchange.awaits(Lane::Downward),
                Party::Them => !exchange.is_retired,
            };
        if is_awaited { Ok(()) } else { self.remove_exchange(index) }
    }

    /// Removes an exchange without flows from all lists and tables.
    pub(super) fn remove_exchange(&mut self, index: u32) -> Result<(), Broken> {
        self.unlist(index)?;
        self.memory.remove_exchange(index)?;
        self.check_flushed();
        self.admit_waiting()
    }

    /// Removes an exchange from the lists of its peer.
    #[inline(always)]
    fn unlist(&mut self, index: u32) -> Result<(), Broken> {
        let exchange = self.memory.exchanges.at_mut(index).sound()?;
        let (begun_by, is_numbered, is_noticed) =
            (exchange.begun_by, exchange.seq.is_some(), exchange.noticed.is_linked());
        let by_seq = core::mem::take(&mut exchange.by_seq);
        if exchange.held.is_linked()
            && let Some((channel, _)) = exchange.channel
            && let Some(channel) = self.memory.channels.get_mut(channel)
        {
            channel.held.remove(&mut self.memory.exchanges, index);
        }
        if is_noticed {
            self.peer.noticed.remove(&mut self.memory.exchanges, index);
        }
        if by_seq.is_linked() {
            let session = &mut self.peer.session;
            let list = match begun_by {
                Party::Us if is_numbered => &mut session.ours,
                Party::Us => &mut session.unnumbered,
                Party::Them => {
                    session.their_count -= 1;
                    &mut session.theirs
                }
            };
            list.close_gap(&mut self.memory.exchanges, by_seq);
        }
        Ok(())
    }

    /// Ends an exchange of the peer whose session is gone. Whoever runs its handler is told that nobody waits for the answer.
    pub(super) fn discard_theirs(&mut self, index: u32) -> Result<(), Broken> {
        let is_running = self.exchange(index)?.stage == Stage::Running;
        self.remove_flows(index)?;
        if !is_running {
            return self.remove_exchange(index);
        }
        self.unlist(index)?;
        let exchange = self.exchange(index)?;
        // What else there was to tell is of flows that are gone.
        (exchange.stage, exchange.news) = (Stage::Over, 0);
        self.tell(index, News::CANCELLED)?;
        self.memory.orphan(index)
    }

    /// Removes the flows of an exchange at once, on this side alone.
    fn remove_flows(&mut self, index: u32) -> Result<(), Broken> {
        for lane in Lane::ALL {
            let exchange = self.exchange(index)?;
            if exchange.is_outgoing(lane) {
                self.remove_outgoing(index, lane)?;
            } else {
                self.remove_incoming(index, lane)?;
            }
        }
        Ok(())
    }

    /// Tells the application when everything up to its flush was acknowledged.
    #[inline]
    pub(super) fn check_flushed(&mut self) {
        if let Some(mark) = self.peer.flush_to
            && self.low() >= mark.get()
        {
            self.peer.flush_to = None;
            self.peer.news |= peer::News::FLUSHED;
        }
    }

    /// Finds a channel, or makes it if there is room.
    pub(super) fn channel(&mut self, name: u64, use_of: ChannelUse) -> Result<Key, Fault> {
        let channels = &mut self.peer.session.channels;
        let found = channels.iter(&self.memory.channels).find(|index| {
            self.memory.channels.at(*index).is_some_and(|channel| channel.name == name && channel.use_of == use_of)
        });
        if let Some(index) = found {
            return Ok(self.memory.channels.key_of(index).sound()?);
        }
        let count = channels
            .iter(&self.memory.channels)
            .filter(|index| self.memory.channels.at(*index).is_some_and(|channel| channel.use_of == use_of))
            .count();
        // A channel of the peer beyond what we announced has no place, and never will.
        if use_of != ChannelUse::Outgoing && count >= self.config.channel_count_max {
            return Err(Fault::Violation(CloseCode::NotAllowed));
        }
        let key = self.memory.channels.insert(Channel::new(name, use_of)).ok_or(Fault::NoRoom)?;
        channels.push_back(&mut self.memory.channels, key.index());
        Ok(key)
    }

    /// Notes news of an exchange for the application.
    #[inline(always)]
    pub(super) fn tell(&mut self, index: u32, news: u16) -> Result<(), Broken> {
        self.memory.tell(index, news)
    }

    /// Notes that an outgoing flow is done: the peer's core has all of it, or agreed that it is over.
    pub(super) fn on_outgoing_done(&mut self, index: u32, lane: Lane) -> Result<(), Broken> {
        self.remove_outgoing(index, lane)?;
        let exchange = self.exchange(index)?;
        if exchange.begun_by == Party::Us && lane == Lane::Forward && exchange.stage == Stage::Open {
            if !exchange.is_call() {
                exchange.stage = Stage::Over;
                return self.tell(index, News::ACKNOWLEDGED);
            }
            return if exchange.is_one_way() { self.end_call(index, Outcome::Delivered) } else { Ok(()) };
        }
        self.finish(index)
    }
}
