//! What the application asks for: messages, streams, calls and replies.

use core::num::NonZero;
use core::time::Duration;

use super::Endpoint;
use super::request::{
    Answer, Body, CallError, Delivery, IncomingCall, Message, ReplyError, Request, SendError, StreamError, Streamed,
};
use super::scope::Scope;
use crate::exchange::{Brief, Exchange, Notices, Party, Stage as ExchangeStage};
use crate::ids::{CallId, Holder, IncomingCallId, MessageId, PeerId, SendId, StaleId, StreamId};
use crate::lane::Lane;
use crate::memory::{Broken, Sound};
use crate::outcome::Unknown;
use crate::outgoing::Kind;
use crate::peer::{self, Code, Resume, Stage};
use crate::storage::Key;
use crate::time::Instant;
use crate::wire::varint::VARINT_MAX;
use crate::wire::{self, NotExecuted, ResetReason, Status};

/// Where a message that arrived is held.
enum Held<'a> {
    /// In the record of a flow.
    Flow(u32),
    /// In its exchange: the reply to a brief call.
    Brief(&'a Exchange),
}

impl Endpoint<'_> {
    /// Opens a conversation with a peer ahead of the first command; `Event::Connected` tells when it is open, and
    /// `Event::Closed` that the peer did not answer. Does nothing if it is open.
    ///
    /// # Errors
    /// [`SendError::Stale`] or [`SendError::Closed`]; nothing has changed then.
    pub fn connect(&mut self, now: Instant, peer: PeerId) -> Result<(), SendError> {
        self.ready_peer(now, peer).map(drop)
    }

    /// Sends a message; `Event::MessageAcknowledged` or `Event::MessageFailed` tells what became of it.
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed then.
    pub fn send(&mut self, now: Instant, peer: PeerId, message: Message<'_>) -> Result<SendId, SendError> {
        let index = self.ready_peer(now, peer)?;
        let kind = Kind::Whole;
        self.try_with(index, |scope| scope.send(message.delivery, message.priority, kind, message.body)).map(SendId)
    }

    /// Begins a message whose length is not known yet; write it with [`Endpoint::write`] and end it with [`Endpoint::finish`].
    ///
    /// # Errors
    /// [`SendError`]; [`SendError::TooLarge`] for a delivery that is not reliable.
    pub fn open_stream(
        &mut self,
        now: Instant,
        peer: PeerId,
        delivery: Delivery,
        priority: u8,
    ) -> Result<(SendId, StreamId), SendError> {
        if matches!(delivery, Delivery::Unreliable | Delivery::Newest { .. }) {
            return Err(SendError::TooLarge { limit: 0 });
        }
        let index = self.ready_peer(now, peer)?;
        let key = self.try_with(index, |scope| scope.send(delivery, priority, Kind::Stream, Body::Copied(&[])))?;
        Ok((SendId(key), StreamId { exchange: key, lane: Lane::Forward }))
    }

    /// Writes as much of `octets` to a stream as there is room for; `Event::Writable` tells when there is more.
    ///
    /// # Errors
    /// [`StreamError`]; nothing was written.
    pub fn write(&mut self, now: Instant, stream: StreamId, octets: &[u8]) -> Result<usize, StreamError> {
        self.writable(stream)?;
        self.stream(now, stream, |scope, flow| scope.write(flow, octets))
    }

    /// Ends a stream that we write: the other side learns that this was all.
    ///
    /// # Errors
    /// [`StreamError`] if it is over already.
    pub fn finish(&mut self, now: Instant, stream: StreamId) -> Result<(), StreamError> {
        self.writable(stream)?;
        self.stream(now, stream, |scope, flow| {
            scope.memory.outgoing.at_mut(flow).sound()?.is_ended = true;
            scope.queue(flow).map(Ok)
        })
    }

    /// Reads from a stream into `out`, which must not be empty.
    ///
    /// # Errors
    /// [`StreamError`]; the stream is over then.
    pub fn read(&mut self, now: Instant, stream: StreamId, out: &mut [u8]) -> Result<Streamed, StreamError> {
        if self.is_awaited(stream) {
            self.advance(now);
            return Ok(Streamed::Pending);
        }
        self.stream(now, stream, |scope, flow| scope.read(stream, flow, out))
    }

    /// Checks that a stream is one that we write: flows of the two directions are numbered apart.
    fn writable(&self, stream: StreamId) -> Result<(), StreamError> {
        let exchange = self.memory.exchanges.get(stream.exchange).ok_or(StreamError::Stale)?;
        if exchange.is_outgoing(stream.lane) { Ok(()) } else { Err(StreamError::Stale) }
    }

    /// Says whether a stream beside a call is to come, and nothing of it has arrived.
    fn is_awaited(&self, stream: StreamId) -> bool {
        let exchange = self.memory.exchanges.get(stream.exchange);
        exchange.is_some_and(|exchange| {
            matches!(stream.lane, Lane::Upward | Lane::Downward)
                && exchange.peer != Exchange::ORPHAN
                && exchange.flow(stream.lane).is_none()
                && exchange.awaits(stream.lane)
                && !Exchange::is_marked(exchange.stopped, stream.lane)
        })
    }

    /// Gives up a stream, in whichever direction: the other side is told.
    ///
    /// # Errors
    /// [`StreamError`] if it is over already.
    pub fn abandon(&mut self, now: Instant, stream: StreamId) -> Result<(), StreamError> {
        if self.is_awaited(stream) {
            self.advance(now);
            let index = self.peer_of(stream.exchange).map_err(|StaleId| StreamError::Stale)?;
            self.with(index, |scope| scope.stop_incoming(stream.exchange.index(), stream.lane, ResetReason::NotWanted));
            return Ok(());
        }
        self.stream(now, stream, |scope, flow| {
            let StreamId { exchange, lane } = stream;
            if scope.exchange(exchange.index())?.is_outgoing(lane) {
                // Who gives up does not wait for room.
                scope.memory.outgoing.at_mut(flow).sound()?.has_waiting_writer = false;
                scope.reset_outgoing(exchange.index(), lane, ResetReason::Cancelled)?;
            } else {
                scope.stop_incoming(exchange.index(), lane, ResetReason::NotWanted)?;
            }
            scope.end_message(exchange.index())?;
            Ok(Ok(()))
        })
    }

    /// Gives up a message of which not all was acknowledged.
    ///
    /// # Errors
    /// [`StaleId`] if its end has been told.
    pub fn cancel_send(&mut self, now: Instant, send: SendId) -> Result<(), StaleId> {
        self.advance(now);
        let index = self.peer_of(send.0)?;
        self.with(index, |scope| {
            scope.exchange(send.0.index())?.stage = ExchangeStage::Over;
            scope.abandon(send.0.index(), ResetReason::Cancelled)
        });
        Ok(())
    }

    /// Asks to be told, by `Event::Flushed`, when everything that was accepted for a peer until here is acknowledged.
    ///
    /// # Errors
    /// [`StaleId`] if the peer is gone, or its conversation is being closed: nothing is acknowledged any more.
    pub fn flush(&mut self, now: Instant, peer: PeerId) -> Result<(), StaleId> {
        self.advance(now);
        let state = self.peers.get(peer.0).ok_or(StaleId)?;
        if matches!(state.stage, Stage::Closing(_) | Stage::Draining { .. }) {
            return Err(StaleId);
        }
        self.with(peer.0.index(), |scope| {
            scope.peer.flush_to = NonZero::new(scope.peer.session.next_seq);
            if scope.peer.flush_to.is_none() {
                scope.peer.news |= peer::News::FLUSHED;
            }
            scope.check_flushed();
            Ok(())
        });
        Ok(())
    }

    /// Makes a call; `Event::CallEnded` tells its outcome.
    ///
    /// # Errors
    /// [`CallError`]; nothing has changed then.
    pub fn call(&mut self, now: Instant, peer: PeerId, mut request: Request<'_>) -> Result<CallId, CallError> {
        let index = self.ready_peer(now, peer)?;
        self.try_with(index, |scope| scope.call(&mut request)).map(CallId)
    }

    /// Returns the streams beside a call that we make: from us, and to us, as its request asked for them.
    ///
    /// They may outlast a reply that says "ok". Whatever else ends the call ends them, and no other event tells so; while its
    /// outcome is unknown they go on, until it is forgotten.
    ///
    /// # Errors
    /// [`StaleId`] if the call is over and released.
    pub fn call_streams(&self, call: CallId) -> Result<(Option<StreamId>, Option<StreamId>), StaleId> {
        let exchange = self.memory.exchanges.get(call.0).ok_or(StaleId)?;
        let options = exchange.procedure.ok_or(StaleId)?.options;
        let stream = |lane, is_there: bool| is_there.then_some(StreamId { exchange: call.0, lane });
        Ok((stream(Lane::Upward, options.has_upward()), stream(Lane::Downward, options.has_downward())))
    }

    /// Asks for a call to be given up: the callee is told, and the outcome follows.
    ///
    /// # Errors
    /// [`StaleId`] if the call is over.
    pub fn cancel(&mut self, now: Instant, call: CallId) -> Result<(), StaleId> {
        self.advance(now);
        let index = self.peer_of(call.0)?;
        self.with(index, |scope| scope.give_up_call(call.0.index(), Unknown::Cancelled));
        Ok(())
    }

    /// Asks the callee what became of a call whose outcome is unknown, and closes its number if it has not begun. Another
    /// `Event::CallEnded` tells, within `timeout`.
    ///
    /// # Errors
    /// [`StaleId`] if the call is not one whose outcome is unknown and can be learnt.
    pub fn resolve(&mut self, now: Instant, call: CallId, timeout: Duration) -> Result<(), StaleId> {
        self.advance(now);
        let index = self.peer_of(call.0)?;
        let exchange = self.memory.exchanges.get(call.0).ok_or(StaleId)?;
        if exchange.stage != ExchangeStage::Unknown {
            return Err(StaleId);
        }
        self.with(index, |scope| {
            let now = scope.now;
            scope.exchange(call.0.index())?.enter(ExchangeStage::Open, now);
            scope.count_open_call();
            scope.set_timeout(call.0.index(), Some(timeout))?;
            scope.notice(call.0.index(), Notices::RESOLVE)
        });
        Ok(())
    }

    /// Lets go of a call whose outcome is unknown, which can then not be resolved any more.
    ///
    /// # Errors
    /// [`StaleId`] if it is not such a call.
    pub fn forget(&mut self, now: Instant, call: CallId) -> Result<(), StaleId> {
        self.advance(now);
        let index = self.peer_of(call.0)?;
        let exchange = self.memory.exchanges.get(call.0).ok_or(StaleId)?;
        if exchange.stage != ExchangeStage::Unknown {
            return Err(StaleId);
        }
        self.with(index, |scope| {
            let now = scope.now;
            scope.exchange(call.0.index())?.enter(ExchangeStage::Over, now);
            scope.abandon(call.0.index(), ResetReason::NotWanted)
        });
        Ok(())
    }

    /// Returns the octets of a message or reply that arrived.
    ///
    /// # Errors
    /// [`StaleId`] if it was released.
    #[inline]
    pub fn payload(&self, message: MessageId) -> Result<&[u8], StaleId> {
        Ok(match self.find_held(message)? {
            Held::Flow(flow) => self.memory.incoming.at(flow).ok_or(StaleId)?.octets(&self.memory.arena),
            Held::Brief(Exchange { body, .. }) => body.map_or(&[], |block| self.memory.arena.bytes(block)),
        })
    }

    /// Returns the metadata items that came with a request or reply.
    ///
    /// # Errors
    /// [`StaleId`] if it was released.
    pub fn metadata(&self, message: MessageId) -> Result<&[u8], StaleId> {
        let metadata = match self.find_held(message)? {
            Held::Flow(flow) => self.memory.incoming.at(flow).ok_or(StaleId)?.metadata,
            Held::Brief(_) => None,
        };
        Ok(metadata.map_or(&[], |block| self.memory.arena.bytes(block)))
    }

    /// Lets go of a message or reply: its memory is used again, and the sender may learn that it was taken.
    ///
    /// # Errors
    /// [`StaleId`] if it was released before.
    pub fn release(&mut self, now: Instant, message: MessageId) -> Result<(), StaleId> {
        self.advance(now);
        let flow = match self.find_held(message)? {
            Held::Flow(flow) => flow,
            Held::Brief(exchange) => {
                let (peer, Holder::Exchange(key)) = (exchange.peer, message.holder()) else { return Err(StaleId) };
                self.with(peer, |scope| scope.release_brief(key.index()));
                return Ok(());
            }
        };
        self.release_flow(flow)
    }

    /// Lets go of a message or reply that a flow's record holds.
    #[inline(never)]
    fn release_flow(&mut self, flow: u32) -> Result<(), StaleId> {
        let exchange = self.memory.incoming.at(flow).ok_or(StaleId)?.exchange;
        match self.memory.exchanges.at(exchange).ok_or(StaleId)?.peer {
            Exchange::ORPHAN => {
                if self.release_orphan(exchange, flow).is_err() {
                    self.counters.broken += 1;
                }
            }
            index => {
                self.with(index, |scope| scope.release(exchange, flow));
            }
        }
        Ok(())
    }

    /// Takes a message or reply whole, and lets go of it as [`Endpoint::release`] does; its metadata goes with it.
    ///
    /// One of at least [`Config::own_body_len_min`](crate::Config::own_body_len_min) octets is handed over where it lies, and a shorter
    /// one is copied. The octets are the application's from here on: they count against no limit of the endpoint, and may outlive it.
    ///
    /// # Errors
    /// [`StaleId`] if it was released.
    #[cfg(feature = "bytes")]
    pub fn take_payload(&mut self, now: Instant, message: MessageId) -> Result<bytes::Bytes, StaleId> {
        let octets = match self.find_held(message)? {
            Held::Flow(flow) => self.memory.take_arrived(flow).map_err(|Broken| StaleId)?,
            Held::Brief(_) => bytes::Bytes::copy_from_slice(self.payload(message)?),
        };
        self.release(now, message)?;
        Ok(octets)
    }

    /// Takes the arguments of a call of a peer, as [`Endpoint::take_payload`] takes a message; its metadata stays. They are taken
    /// once: from here on the call has none.
    ///
    /// # Errors
    /// [`StaleId`] if the call is over.
    #[cfg(feature = "bytes")]
    pub fn take_arguments(&mut self, now: Instant, call: IncomingCallId) -> Result<bytes::Bytes, StaleId> {
        let index = self.open_call(now, call).map_err(|_| StaleId)?;
        self.with(index, |scope| scope.take_arguments(call.0.index())).ok_or(StaleId)
    }

    /// Returns what is known of a call of a peer.
    ///
    /// # Errors
    /// [`StaleId`] if it is over.
    #[inline(always)]
    pub fn incoming_call(&self, call: IncomingCallId) -> Result<IncomingCall<'_>, StaleId> {
        let exchange = self.memory.exchanges.get(call.0).ok_or(StaleId)?;
        let is_open = matches!(exchange.stage, ExchangeStage::Queued | ExchangeStage::Running);
        let procedure = exchange.procedure.filter(|_| is_open).ok_or(StaleId)?;
        let peer = self.peers.key_of(exchange.peer).ok_or(StaleId)?;
        let (metadata, arguments) = if exchange.brief == Brief::Arrived {
            (None, exchange.body.map_or(&[][..], |block| self.memory.arena.bytes(block)))
        } else {
            let request = exchange.flow(Lane::Forward).and_then(|flow| self.memory.incoming.at(flow));
            let arguments = request.map_or(&[][..], |request| request.octets(&self.memory.arena));
            (request.and_then(|request| request.metadata), arguments)
        };
        let stream = |lane, is_there| if is_there { Some(StreamId { exchange: call.0, lane }) } else { None };
        Ok(IncomingCall {
            peer: PeerId(peer),
            procedure,
            deadline: exchange.deadline,
            metadata: metadata.map_or(&[], |block| self.memory.arena.bytes(block)),
            arguments,
            upward: stream(Lane::Upward, procedure.options.has_upward()),
            downward: stream(Lane::Downward, procedure.options.has_downward()),
        })
    }

    /// Says that the handler of a call begins: from here on the call counts as executed.
    ///
    /// # Errors
    /// [`ReplyError::Expired`] if the deadline has passed, [`ReplyError::Stale`] if the caller cancelled: the handler must not run.
    pub fn begin(&mut self, now: Instant, call: IncomingCallId) -> Result<(), ReplyError> {
        self.advance(now);
        let exchange = self.memory.exchanges.get(call.0).ok_or(ReplyError::Stale)?;
        if exchange.stage != ExchangeStage::Queued {
            return Err(ReplyError::Stale);
        }
        let is_expired = exchange.deadline.is_some_and(|deadline| deadline <= self.now);
        let index = exchange.peer;
        if is_expired {
            self.with(index, |scope| scope.refuse(call.0.index(), NotExecuted::DeadlinePassed));
            return Err(ReplyError::Expired);
        }
        if let Some(exchange) = self.memory.exchanges.get_mut(call.0) {
            exchange.enter(ExchangeStage::Running, self.now);
        }
        Ok(())
    }

    /// Says how far the handler is; the caller learns it when it asks. More than 2^62 - 2 is told as that.
    ///
    /// # Errors
    /// [`StaleId`] if the call is over.
    pub fn progress(&mut self, call: IncomingCallId, progress: u64) -> Result<(), StaleId> {
        let exchange = self.memory.exchanges.get_mut(call.0).ok_or(StaleId)?;
        exchange.progress = progress.min(VARINT_MAX - 1) + 1;
        Ok(())
    }

    /// Answers a call with the result of its handler; its arguments are released. A refusal leaves `body` and `metadata` out.
    ///
    /// The stream from its caller ends with it, and, unless it says "ok", the one to its caller too.
    ///
    /// # Errors
    /// [`ReplyError`]; at [`ReplyError::TooLarge`] the call is still to be answered.
    pub fn reply(
        &mut self,
        now: Instant,
        call: IncomingCallId,
        status: Answer,
        body: &[u8],
        metadata: &[u8],
    ) -> Result<(), ReplyError> {
        self.reply_body(now, call, status, Body::Copied(body), metadata)
    }

    /// As [`Endpoint::reply`], with octets that are to be written where they are kept, or read in place.
    ///
    /// Those read in place count against `Config::payload_memory` as if they were copied: how long they are held is up to the caller.
    ///
    /// # Errors
    /// As [`Endpoint::reply`].
    pub fn reply_body(
        &mut self,
        now: Instant,
        call: IncomingCallId,
        status: Answer,
        mut body: Body<'_>,
        metadata: &[u8],
    ) -> Result<(), ReplyError> {
        let index = self.open_call(now, call)?;
        let status = match status {
            Answer::Ok => Status::Ok,
            Answer::Error => Status::ApplicationError,
            Answer::HandlerFailed => Status::HandlerFailed,
            Answer::Refused(why) => {
                self.with(index, |scope| scope.refuse(call.0.index(), why));
                return Ok(());
            }
        };
        let limit = self.peers.at(index).map_or(0, |peer| u64::from(peer.parameters.message_len_max));
        if body.len() as u64 > limit || metadata.len() > crate::config::METADATA_LEN_MAX {
            return Err(ReplyError::TooLarge { limit });
        }
        self.with(index, |scope| scope.answer(call.0.index(), status, &mut body, metadata));
        Ok(())
    }

    /// Refuses a call that has not begun: the caller learns that it never will.
    ///
    /// # Errors
    /// [`ReplyError::Stale`] if it is over or has begun.
    pub fn refuse(&mut self, now: Instant, call: IncomingCallId, why: NotExecuted) -> Result<(), ReplyError> {
        let index = self.open_call(now, call)?;
        if self.memory.exchanges.get(call.0).is_none_or(|exchange| exchange.stage != ExchangeStage::Queued) {
            return Err(ReplyError::Stale);
        }
        self.with(index, |scope| scope.refuse(call.0.index(), why));
        Ok(())
    }

    /// Closes the conversation and the session with a peer, with a number of the application's own; what is open ends. A number
    /// of more than 2^62 - 1 is told as that.
    ///
    /// # Errors
    /// [`StaleId`] if the peer is gone.
    pub fn close(&mut self, now: Instant, peer: PeerId, code: u64) -> Result<(), StaleId> {
        self.advance(now);
        self.peers.get(peer.0).ok_or(StaleId)?;
        self.close_with(peer.0.index(), Code::Application(code.min(VARINT_MAX)));
        Ok(())
    }

    /// Closes the conversations and sessions with all peers, as [`Endpoint::close`] does with one: for who goes away.
    pub fn close_all(&mut self, now: Instant, code: u64) {
        self.advance(now);
        for index in 0..self.peers.capacity() {
            if self.peers.at(index).is_some() {
                self.close_with(index, Code::Application(code.min(VARINT_MAX)));
            }
        }
    }

    /// Says whether no call of a peer waits or runs, and all that was sent is acknowledged but refusals, which a peer that calls
    /// on would never let end: after [`Endpoint::drain`], the moment to close. Takes time in proportion to the exchanges there
    /// may be.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        let is_open = |exchange: &Exchange| matches!(exchange.stage, ExchangeStage::Queued | ExchangeStage::Running);
        let is_sent = |exchange: &Exchange| !matches!(exchange.brief, Brief::Queued | Brief::Carried);
        self.memory.outgoing.iter().all(|(_, outgoing)| outgoing.status == Status::NotExecuted)
            && self.memory.exchanges.iter().all(|(_, exchange)| is_sent(exchange) && !is_open(exchange))
    }

    /// Begins no handler any more: peers are told, and calls that arrive are refused; those under way go on.
    pub fn drain(&mut self, now: Instant) {
        self.advance(now);
        self.is_draining = true;
        for index in 0..self.peers.capacity() {
            if self.peers.at(index).is_some() {
                self.with(index, |scope| {
                    scope.peer.is_refusing = true;
                    scope.peer.notices |= peer::Notices::DRAIN;
                    Ok(())
                });
            }
        }
    }

    /// Notes that our own address has changed: sessions that we opened go on in other conversations.
    pub fn handle_address_change(&mut self, now: Instant) {
        self.advance(now);
        for index in 0..self.peers.capacity() {
            let is_ours =
                self.peers.at(index).is_some_and(|peer| peer.side == wire::Side::Client && peer.stage == Stage::Open);
            if is_ours {
                let id = self.draw_id(index);
                self.with(index, |scope| scope.open(id, Resume::Yes));
            }
        }
    }

    /// Checks that a peer takes commands, and opens a conversation if it has none.
    #[inline(always)]
    fn ready_peer(&mut self, now: Instant, peer: PeerId) -> Result<u32, SendError> {
        self.advance(now);
        let index = peer.0.index();
        let state = self.peers.get(peer.0).ok_or(SendError::Stale)?;
        let is_ready = matches!(state.stage, Stage::Open) && !state.may_be_forgotten(self.now);
        if is_ready { Ok(index) } else { self.open_for(index) }
    }

    /// Opens a conversation for a command, if the peer takes commands and has none, or one that the server may have forgotten.
    #[cold]
    fn open_for(&mut self, index: u32) -> Result<u32, SendError> {
        let stage = self.peers.at(index).ok_or(SendError::Stale)?.stage;
        match stage {
            Stage::Closing(_) | Stage::Draining { .. } => return Err(SendError::Closed),
            Stage::Suspended | Stage::Opening(_) | Stage::Securing => {}
            Stage::Idle => {
                let id = self.draw_id(index);
                self.with(index, |scope| scope.open(id, Resume::No));
            }
            Stage::Open => {
                let id = self.draw_id(index);
                self.with(index, |scope| {
                    scope.end_session(Unknown::SessionLost)?;
                    scope.open(id, Resume::No)
                });
            }
        }
        Ok(index)
    }

    fn open_call(&mut self, now: Instant, call: IncomingCallId) -> Result<u32, ReplyError> {
        self.advance(now);
        let exchange = self.memory.exchanges.get(call.0).ok_or(ReplyError::Stale)?;
        let is_open = matches!(exchange.stage, ExchangeStage::Queued | ExchangeStage::Running);
        if is_open && exchange.begun_by == Party::Them { Ok(exchange.peer) } else { Err(ReplyError::Stale) }
    }

    /// Finds a message that arrived.
    #[inline]
    fn find_held(&self, message: MessageId) -> Result<Held<'_>, StaleId> {
        match message.holder() {
            Holder::Incoming(key) => self.memory.incoming.get(key).map(|_| Held::Flow(key.index())).ok_or(StaleId),
            Holder::Exchange(key) => match self.memory.exchanges.get(key).ok_or(StaleId)? {
                exchange if exchange.brief == Brief::Arrived => Ok(Held::Brief(exchange)),
                exchange => exchange.flow(Lane::Backward).map(Held::Flow).ok_or(StaleId),
            },
        }
    }

    fn peer_of(&self, exchange: Key) -> Result<u32, StaleId> {
        let peer = self.memory.exchanges.get(exchange).map(|exchange| exchange.peer);
        peer.filter(|peer| *peer != Exchange::ORPHAN).ok_or(StaleId)
    }

    /// Lets go of a reply whose session is gone.
    fn release_orphan(&mut self, exchange: u32, flow: u32) -> Result<(), Broken> {
        for held in &mut self.memory.exchanges.at_mut(exchange).sound()?.flows {
            if *held == Some(flow) {
                *held = None;
            }
        }
        self.memory.remove_incoming(flow)?;
        self.memory.remove_orphan(exchange)
    }

    /// As [`Endpoint::with`], for work that may be refused.
    fn try_with<T>(
        &mut self,
        index: u32,
        work: impl FnOnce(&mut Scope<'_, '_>) -> Result<Result<T, SendError>, Broken>,
    ) -> Result<T, SendError> {
        self.with(index, |scope| work(scope)).unwrap_or(Err(SendError::Closed))
    }

    fn stream<T>(
        &mut self,
        now: Instant,
        stream: StreamId,
        work: impl FnOnce(&mut Scope<'_, '_>, u32) -> Result<Result<T, StreamError>, Broken>,
    ) -> Result<T, StreamError> {
        self.advance(now);
        let exchange = self.memory.exchanges.get(stream.exchange).ok_or(StreamError::Stale)?;
        if exchange.peer == Exchange::ORPHAN {
            return Err(StreamError::Abandoned);
        }
        let flow = exchange.flow(stream.lane).ok_or(StreamError::Stale)?;
        let index = exchange.peer;
        self.with(index, |scope| work(scope, flow)).unwrap_or(Err(StreamError::Stale))
    }
}
