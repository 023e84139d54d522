//! What the application asks for: messages, streams, calls and replies.

use core::fmt;
use core::time::Duration;

use super::Endpoint;
use super::scope::Scope;
use crate::exchange::{Exchange, Lane, News, Notices, Party, Stage as ExchangeStage};
use crate::ids::{CallId, IncomingCallId, MessageId, PeerId, SendId, StaleId, StreamId};
use crate::memory::{Broken, Purpose, Sound};
use crate::outcome::Unknown;
use crate::outgoing::{self, Kind, Outgoing};
use crate::peer::{self, Code, PRIORITY_COUNT, Resume, Stage};
use crate::session::ChannelUse;
use crate::storage::{Block, Key};
use crate::time::{Instant, nanos};
use crate::wire::{self, Description, NotExecuted, Options, ResetReason, Role, Semantics, Status};

/// How a message is to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// At most once, perhaps never; it must fit into one datagram.
    Unreliable,
    /// As [`Delivery::Unreliable`]; a message gives way to newer ones with the same key.
    Newest {
        /// Which messages replace each other. Below 2^62.
        key: u64,
    },
    /// Exactly once, in any order.
    Reliable,
    /// Exactly once, in the order of sending among those on the same channel.
    Ordered {
        /// The channel. Below 2^62.
        channel: u64,
    },
}

/// A message to send.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// How it is to be delivered.
    pub delivery: Delivery,
    /// What goes before what: 0 (first) to 3.
    pub priority: u8,
    /// Its octets.
    pub body: Body<'a>,
}

/// The octets of a message.
#[derive(Clone, Debug)]
pub enum Body<'a> {
    /// To be copied into the endpoint's memory.
    Copied(&'a [u8]),
    /// To be read in place until they are acknowledged.
    #[cfg(feature = "bytes")]
    Shared(bytes::Bytes),
}

impl Body<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Copied(octets) => octets.len(),
            #[cfg(feature = "bytes")]
            Self::Shared(octets) => octets.len(),
        }
    }
}

/// A call to make.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The program, as its interface file numbers it.
    pub program: u32,
    /// The version of the program.
    pub version: u32,
    /// The procedure of the version.
    pub procedure: u32,
    /// What is promised about its execution.
    pub semantics: Semantics,
    /// Whether a reply is expected.
    pub reply: Reply,
    /// Which streams go beside it.
    pub streams: Streams,
    /// How long the caller waits. `None` waits as long as the peer answers; [`Duration::ZERO`] stands for `Config::call_timeout`.
    pub timeout: Option<Duration>,
    /// What goes before what: 0 (first) to 3.
    pub priority: u8,
    /// Encoded metadata items ([`MetadataWriter`](crate::wire::MetadataWriter)), without the deadline.
    pub metadata: &'a [u8],
    /// The arguments.
    pub body: Body<'a>,
}

/// Whether a call has a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It has one.
    Expected,
    /// One-way: it has none.
    Never,
}

/// Which streams go beside the request and reply of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// None.
    None,
    /// One from the caller.
    Upward,
    /// One to the caller.
    Downward,
    /// One each way.
    Both,
}

impl<'a> Request<'a> {
    /// Makes a request with the defaults: at-most-once, a reply within `Config::call_timeout`, no streams, middle priority.
    #[must_use]
    pub const fn new(program: u32, version: u32, procedure: u32, body: &'a [u8]) -> Self {
        Self {
            program,
            version,
            procedure,
            semantics: Semantics::AtMostOnce,
            reply: Reply::Expected,
            streams: Streams::None,
            timeout: Some(Duration::ZERO),
            priority: 1,
            metadata: &[],
            body: Body::Copied(body),
        }
    }
}

/// What reading from a stream gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streamed {
    /// So many octets, at least 1.
    Octets(usize),
    /// Nothing yet; an event tells when there is more.
    Pending,
    /// The stream has been read to its end; its id is stale from here on.
    End,
}

/// Why a message was not accepted. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The peer is gone.
    Stale,
    /// There is no room; acknowledgements make some.
    Full,
    /// It is longer than the limit.
    TooLarge {
        /// The most octets that may be sent.
        limit: u64,
    },
    /// The conversation is being closed.
    Closed,
}

/// Why a call was not accepted. Nothing has changed.
pub type CallError = SendError;

/// Why a reply, or the beginning of a handler, was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyError {
    /// The call is over: answered, cancelled before it began, or gone with its session.
    Stale,
    /// The deadline passed before the handler began; the caller has been told that it never will.
    Expired,
    /// The reply is longer than the caller takes, or than a message may be.
    TooLarge {
        /// The most octets that may be sent.
        limit: u64,
    },
}

/// Why nothing was read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// The stream is over.
    Stale,
    /// The other side gave it up.
    Abandoned,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str("the peer is gone"),
            Self::Full => f.write_str("there is no room until something is acknowledged"),
            Self::TooLarge { limit } => write!(f, "longer than the limit of {limit} octets"),
            Self::Closed => f.write_str("the conversation is being closed"),
        }
    }
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str("the call is over"),
            Self::Expired => f.write_str("the deadline passed before the handler began"),
            Self::TooLarge { limit } => write!(f, "longer than the limit of {limit} octets"),
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stale => "the stream is over",
            Self::Abandoned => "the other side gave the stream up",
        })
    }
}

impl core::error::Error for SendError {}
impl core::error::Error for ReplyError {}
impl core::error::Error for StreamError {}

/// A call that a peer makes to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncomingCall<'a> {
    /// The caller.
    pub peer: PeerId,
    /// What is called, and how.
    pub procedure: Description,
    /// When the caller gives up.
    pub deadline: Option<Instant>,
    /// Encoded metadata items.
    pub metadata: &'a [u8],
    /// The arguments.
    pub arguments: &'a [u8],
    /// The stream from the caller, if there is one.
    pub upward: Option<StreamId>,
    /// The stream to the caller, if there is one.
    pub downward: Option<StreamId>,
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
            self.with(index, |scope| scope.stop_incoming(stream.exchange.index, stream.lane, ResetReason::NotWanted));
            return Ok(());
        }
        self.stream(now, stream, |scope, _| {
            let StreamId { exchange, lane } = stream;
            if scope.exchange(exchange.index)?.is_outgoing(lane) {
                scope.reset_outgoing(exchange.index, lane, ResetReason::Cancelled)?;
            } else {
                scope.stop_incoming(exchange.index, lane, ResetReason::NotWanted)?;
            }
            scope.end_message(exchange.index)?;
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
            scope.exchange(send.0.index)?.stage = ExchangeStage::Over;
            scope.abandon(send.0.index, ResetReason::Cancelled)
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
        self.with(peer.0.index, |scope| {
            scope.peer.flush_to = Some(scope.peer.session.next_seq);
            scope.check_flushed();
            Ok(())
        });
        Ok(())
    }

    /// Makes a call; `Event::CallEnded` tells its outcome.
    ///
    /// # Errors
    /// [`CallError`]; nothing has changed then.
    pub fn call(&mut self, now: Instant, peer: PeerId, request: Request<'_>) -> Result<CallId, CallError> {
        let index = self.ready_peer(now, peer)?;
        self.try_with(index, |scope| scope.call(request)).map(CallId)
    }

    /// Returns the streams beside a call that we make: from us, and to us, as its request asked for them.
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
        self.with(index, |scope| scope.give_up_call(call.0.index, Unknown::Cancelled));
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
            scope.exchange(call.0.index)?.enter(ExchangeStage::Open, now);
            scope.count_open_call();
            scope.set_deadline(call.0.index, Some(now.saturating_add(timeout)))?;
            scope.notice(call.0.index, Notices::RESOLVE)
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
            scope.exchange(call.0.index)?.enter(ExchangeStage::Over, now);
            scope.abandon(call.0.index, ResetReason::NotWanted)
        });
        Ok(())
    }

    /// Returns the octets of a message, request or reply that arrived in one piece.
    ///
    /// # Errors
    /// [`StaleId`] if it was released.
    pub fn payload(&self, message: MessageId) -> Result<&[u8], StaleId> {
        let incoming = self.memory.incoming.get(message.0).ok_or(StaleId)?;
        Ok(incoming.body.map_or(&[], |block| self.memory.arena.bytes(block)))
    }

    /// Returns the metadata items that came with a request or reply.
    ///
    /// # Errors
    /// [`StaleId`] if it was released.
    pub fn metadata(&self, message: MessageId) -> Result<&[u8], StaleId> {
        let incoming = self.memory.incoming.get(message.0).ok_or(StaleId)?;
        Ok(incoming.metadata.map_or(&[], |block| self.memory.arena.bytes(block)))
    }

    /// Lets go of a message or reply: its memory is used again, and the sender may learn that it was taken.
    ///
    /// # Errors
    /// [`StaleId`] if it was released before.
    pub fn release(&mut self, now: Instant, message: MessageId) -> Result<(), StaleId> {
        self.advance(now);
        let exchange = self.memory.incoming.get(message.0).ok_or(StaleId)?.exchange;
        match self.memory.exchanges.at(exchange).ok_or(StaleId)?.peer {
            Exchange::ORPHAN => {
                if self.release_orphan(exchange, message.0.index).is_err() {
                    self.counters.broken += 1;
                }
            }
            index => {
                self.with(index, |scope| scope.release(exchange, message.0.index));
            }
        }
        self.feed_starved();
        Ok(())
    }

    /// Returns what is known of a call of a peer.
    ///
    /// # Errors
    /// [`StaleId`] if it is over.
    pub fn incoming_call(&self, call: IncomingCallId) -> Result<IncomingCall<'_>, StaleId> {
        let exchange = self.memory.exchanges.get(call.0).ok_or(StaleId)?;
        let is_open = matches!(exchange.stage, ExchangeStage::Queued | ExchangeStage::Running);
        let procedure = exchange.procedure.filter(|_| is_open).ok_or(StaleId)?;
        let peer = self.peers.key_of(exchange.peer).ok_or(StaleId)?;
        let request = exchange.flow(Lane::Forward).and_then(|flow| self.memory.incoming.at(flow));
        let octets = |block: Option<Block>| block.map_or(&[][..], |block| self.memory.arena.bytes(block));
        let stream = |lane, is_there| if is_there { Some(StreamId { exchange: call.0, lane }) } else { None };
        Ok(IncomingCall {
            peer: PeerId(peer),
            procedure,
            deadline: exchange.deadline,
            metadata: octets(request.and_then(|request| request.metadata)),
            arguments: octets(request.and_then(|request| request.body)),
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
            self.with(index, |scope| scope.refuse(call.0.index, NotExecuted::DeadlinePassed));
            return Err(ReplyError::Expired);
        }
        if let Some(exchange) = self.memory.exchanges.get_mut(call.0) {
            exchange.enter(ExchangeStage::Running, self.now);
        }
        Ok(())
    }

    /// Says how far the handler is; the caller learns it when it asks.
    ///
    /// # Errors
    /// [`StaleId`] if the call is over.
    pub fn progress(&mut self, call: IncomingCallId, progress: u64) -> Result<(), StaleId> {
        let exchange = self.memory.exchanges.get_mut(call.0).ok_or(StaleId)?;
        exchange.progress = progress.saturating_add(1);
        Ok(())
    }

    /// Answers a call with the result of its handler; its arguments are released.
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
        let index = self.open_call(now, call)?;
        let limit = self.peers.at(index).map_or(0, |peer| u64::from(peer.parameters.message_len_max));
        if body.len() as u64 > limit || metadata.len() > crate::config::METADATA_LEN_MAX {
            return Err(ReplyError::TooLarge { limit });
        }
        let status = match status {
            Answer::Ok => Status::Ok,
            Answer::Error => Status::ApplicationError,
            Answer::HandlerFailed => Status::HandlerFailed,
        };
        self.with(index, |scope| scope.answer(call.0.index, status, body, metadata));
        self.feed_starved();
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
        self.with(index, |scope| scope.refuse(call.0.index, why));
        self.feed_starved();
        Ok(())
    }

    /// Closes the conversation and the session with a peer, with a number of the application's own; what is open ends.
    ///
    /// # Errors
    /// [`StaleId`] if the peer is gone.
    pub fn close(&mut self, now: Instant, peer: PeerId, code: u64) -> Result<(), StaleId> {
        self.advance(now);
        self.peers.get(peer.0).ok_or(StaleId)?;
        self.close_with(peer.0.index, Code::Application(code));
        Ok(())
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
    fn ready_peer(&mut self, now: Instant, peer: PeerId) -> Result<u32, SendError> {
        self.advance(now);
        let now = self.now;
        let index = peer.0.index;
        let state = self.peers.get(peer.0).ok_or(SendError::Stale)?;
        match state.stage {
            Stage::Closing(_) | Stage::Draining { .. } => return Err(SendError::Closed),
            Stage::Suspended | Stage::Opening(_) | Stage::Securing => {}
            Stage::Idle => {
                let id = self.draw_id(index);
                self.with(index, |scope| scope.open(id, Resume::No));
            }
            Stage::Open => {
                // The server counts its lease from what it received, which was later: at three quarters it still lives.
                let ends = state.answered_at.saturating_add(state.lease / 4 * 3);
                if state.side == wire::Side::Client && now > ends && state.answered_at > Instant::ORIGIN {
                    let id = self.draw_id(index);
                    self.with(index, |scope| {
                        scope.end_session(Unknown::SessionLost)?;
                        scope.open(id, Resume::No)
                    });
                }
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

/// What a handler came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It returned a result.
    Ok,
    /// It returned an error of the application.
    Error,
    /// It failed half-way; the caller learns that the outcome is unknown.
    HandlerFailed,
}

impl Scope<'_, '_> {
    fn send(
        &mut self,
        delivery: Delivery,
        priority: u8,
        kind: Kind,
        body: Body<'_>,
    ) -> Result<Result<Key, SendError>, Broken> {
        let is_reliable = matches!(delivery, Delivery::Reliable | Delivery::Ordered { .. });
        if let Err(error) = self.check_body(&body, is_reliable) {
            return Ok(Err(error));
        }
        let mut exchange = Exchange::new(self.index, Party::Us, None, ExchangeStage::Open, self.now);
        let role = match delivery {
            Delivery::Unreliable => Role::Unreliable,
            Delivery::Newest { .. } => Role::Newest,
            Delivery::Reliable => Role::Message,
            Delivery::Ordered { channel } => {
                let Ok(channel) = self.channel(channel, ChannelUse::Outgoing) else { return Ok(Err(SendError::Full)) };
                let position = self.memory.channels.get(channel).sound()?.next;
                exchange.channel = Some((channel, position));
                Role::Ordered
            }
        };
        let Some((body, len)) = self.hold(body, kind) else { return Ok(Err(SendError::Full)) };
        let channel = exchange.channel;
        let key = if is_reliable { self.begin(exchange) } else { self.memory.add_exchange(exchange) };
        let Some(key) = key else {
            self.let_go(body);
            return Ok(Err(SendError::Full));
        };
        if let Some((channel, _)) = channel {
            let channel = self.memory.channels.get_mut(channel).sound()?;
            channel.next += 1;
            channel.held.push_back(&mut self.memory.exchanges, key.index);
        }
        let newest = if let Delivery::Newest { key } = delivery {
            let order = self.peer.session.next_order;
            self.peer.session.next_order += 1;
            (key, order)
        } else {
            (0, 0)
        };
        if !is_reliable {
            self.peer.session.unnumbered.push_back(&mut self.memory.exchanges, key.index);
            if role == Role::Newest {
                self.drop_older(newest.0)?;
            }
        }
        let outgoing = Outgoing {
            body,
            len,
            newest,
            is_unreliable: !is_reliable,
            is_ended: kind == Kind::Whole,
            limit: self.stream_limit(kind),
            ..Outgoing::new(key.index, role, kind, priority.min(PRIORITY_COUNT as u8 - 1))
        };
        self.add_outgoing(outgoing, Lane::Forward)?;
        Ok(Ok(key))
    }

    /// Drops what waits to be sent and is older than a newest-only message with the same key.
    fn drop_older(&mut self, key: u64) -> Result<(), Broken> {
        for priority in 0..PRIORITY_COUNT {
            let mut place = self.peer.begun[priority].front();
            while let Some(flow) = place {
                place = self.peer.begun[priority].next(&self.memory.outgoing, flow);
                let outgoing = self.memory.outgoing.at(flow).sound()?;
                if outgoing.role == Role::Newest && outgoing.newest.0 == key {
                    let exchange = outgoing.exchange;
                    self.remove_outgoing(exchange, Lane::Forward)?;
                    self.exchange(exchange)?.stage = ExchangeStage::Over;
                    self.tell(exchange, News::FAILED)?;
                }
            }
        }
        Ok(())
    }

    fn call(&mut self, request: Request<'_>) -> Result<Result<Key, SendError>, Broken> {
        if let Err(error) = self.check_body(&request.body, true) {
            return Ok(Err(error));
        }
        if request.metadata.len() > crate::config::METADATA_LEN_MAX {
            return Ok(Err(SendError::TooLarge { limit: crate::config::METADATA_LEN_MAX as u64 }));
        }
        let mut options = Options::new(request.semantics);
        if request.reply == Reply::Never {
            options = options.with_one_way();
        }
        let has_upward = matches!(request.streams, Streams::Upward | Streams::Both);
        if has_upward {
            options = options.with_upward();
        }
        if matches!(request.streams, Streams::Downward | Streams::Both) {
            options = options.with_downward();
        }
        let timeout_millis = u32::try_from(nanos(self.config.call_timeout) / 1_000_000).unwrap_or(u32::MAX);
        let mut exchange = Exchange::new(self.index, Party::Us, None, ExchangeStage::Open, self.now);
        exchange.procedure = Some(Description {
            program: request.program,
            version: request.version,
            procedure: request.procedure,
            timeout_millis,
            options,
        });
        let needed = 1 + u32::from(has_upward);
        if self.memory.outgoing.capacity() - self.memory.outgoing.len() < needed {
            return Ok(Err(SendError::Full));
        }
        let Some((body, len)) = self.hold(request.body, Kind::Whole) else { return Ok(Err(SendError::Full)) };
        let Some(metadata) = self.memory.keep(request.metadata, Purpose::Begin) else {
            self.let_go(body);
            return Ok(Err(SendError::Full));
        };
        let upward = if has_upward { self.hold(Body::Copied(&[]), Kind::Stream).map(Some) } else { Some(None) };
        let key = if upward.is_some() { self.begin(exchange) } else { None };
        let (key, upward) = match (key, upward) {
            (Some(key), Some(upward)) => (key, upward),
            (_, upward) => {
                self.let_go(body);
                self.let_go(metadata.map_or(outgoing::Body::Empty, outgoing::Body::Held));
                if let Some(Some((ring, _))) = upward {
                    self.let_go(ring);
                }
                return Ok(Err(SendError::Full));
            }
        };
        let priority = request.priority.min(PRIORITY_COUNT as u8 - 1);
        let outgoing = Outgoing {
            body,
            len,
            metadata,
            is_unreliable: request.semantics == Semantics::Maybe,
            ..Outgoing::new(key.index, Role::Request, Kind::Whole, priority)
        };
        self.add_outgoing(outgoing, Lane::Forward)?;
        if let Some((body, _)) = upward {
            let limit = self.stream_limit(Kind::Stream);
            let stream = Outgoing { body, limit, ..Outgoing::new(key.index, Role::Upward, Kind::Stream, priority) };
            self.add_outgoing(stream, Lane::Upward)?;
        }
        let timeout = request.timeout.map(|timeout| if timeout.is_zero() { self.config.call_timeout } else { timeout });
        let now = self.now;
        self.set_deadline(key.index, timeout.map(|timeout| now.saturating_add(timeout)))?;
        self.count_open_call();
        Ok(Ok(key))
    }

    /// Returns up to which offset a stream may send before its receiver says more.
    fn stream_limit(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Whole => u64::MAX,
            Kind::Stream => u64::from(self.peer.parameters.stream_window),
        }
    }

    fn check_body(&self, body: &Body<'_>, is_reliable: bool) -> Result<(), SendError> {
        let is_known = self.peer.stage == Stage::Open;
        let limit = if !is_reliable {
            // With room for header, head and tag.
            self.path.mtu.current() as u64 - UNRELIABLE_OVERHEAD
        } else if is_known {
            u64::from(self.peer.parameters.message_len_max)
        } else {
            (self.memory.arena.capacity() / 2) as u64
        };
        if body.len() as u64 > limit { Err(SendError::TooLarge { limit }) } else { Ok(()) }
    }

    /// Takes octets into memory: a copy, a share, or an empty ring for a stream.
    fn hold(&mut self, body: Body<'_>, kind: Kind) -> Option<(outgoing::Body, u64)> {
        if self.memory.outgoing.len() >= self.memory.outgoing.capacity() {
            return None;
        }
        if kind == Kind::Stream {
            let ring = self.memory.alloc(self.config.stream_window, Purpose::Begin)??;
            return Some((outgoing::Body::Held(ring), 0));
        }
        let len = body.len() as u64;
        let body = match body {
            Body::Copied(octets) => {
                self.memory.keep(octets, Purpose::Begin)?.map_or(outgoing::Body::Empty, outgoing::Body::Held)
            }
            #[cfg(feature = "bytes")]
            Body::Shared(octets) => outgoing::Body::Shared(octets),
        };
        Some((body, len))
    }

    pub(super) fn let_go(&mut self, body: outgoing::Body) {
        if let outgoing::Body::Held(block) = body {
            self.memory.arena.free(block);
        }
    }

    fn write(&mut self, flow: u32, octets: &[u8]) -> Result<Result<usize, StreamError>, Broken> {
        let base = self.base_of(flow)?;
        let outgoing = self.memory.outgoing.at_mut(flow).sound()?;
        if outgoing.is_reset {
            return Ok(Err(StreamError::Abandoned));
        }
        let outgoing::Body::Held(ring) = outgoing.body else { return Ok(Err(StreamError::Stale)) };
        if outgoing.is_ended || outgoing.kind == Kind::Whole {
            return Ok(Err(StreamError::Stale));
        }
        let capacity = ring.len() as u64;
        let room = capacity - (outgoing.len - base);
        let len = room.min(octets.len() as u64) as usize;
        let start = (outgoing.len % capacity) as usize;
        let first = len.min(capacity as usize - start);
        let memory = self.memory.arena.bytes_mut(ring);
        memory[start..start + first].copy_from_slice(&octets[..first]);
        memory[..len - first].copy_from_slice(&octets[first..len]);
        outgoing.len += len as u64;
        outgoing.has_waiting_writer = len < octets.len();
        self.queue(flow)?;
        Ok(Ok(len))
    }

    /// Returns the lowest offset of a stream that is not acknowledged.
    fn base_of(&self, flow: u32) -> Result<u64, Broken> {
        let outgoing = self.memory.outgoing.at(flow).sound()?;
        let Some(frame) = outgoing.frames.front() else { return Ok(outgoing.sent) };
        let crate::sent::Content::Run { offset, .. } = self.memory.frames.at(frame).sound()?.content else {
            return Err(Broken);
        };
        Ok(offset)
    }

    fn read(&mut self, stream: StreamId, flow: u32, out: &mut [u8]) -> Result<Result<Streamed, StreamError>, Broken> {
        let StreamId { exchange, lane } = stream;
        if self.exchange(exchange.index)?.is_outgoing(lane) {
            return Ok(Err(StreamError::Stale));
        }
        let incoming = self.memory.incoming.at_mut(flow).sound()?;
        let len = incoming.read(&self.memory.arena, out);
        let (is_abandoned, is_over) = (incoming.is_abandoned, incoming.end == Some(incoming.read));
        if is_abandoned {
            // A stream that we stopped ourselves stays until the RESET of its sender has settled its charge.
            if !Exchange::is_marked(self.exchange(exchange.index)?.stopped, lane) {
                self.remove_incoming(exchange.index, lane)?;
                self.end_message(exchange.index)?;
            }
            return Ok(Err(StreamError::Abandoned));
        }
        if len > 0 {
            let incoming = self.memory.incoming.at_mut(flow).sound()?;
            incoming.returned += len as u64;
            let window = self.config.stream_window as u64;
            // A grant is worth a frame when it opens a quarter of the window.
            let is_worth_it = incoming.end.is_none() && incoming.read + window - incoming.limit >= window / 4;
            self.return_credit(len as u64);
            if is_worth_it {
                self.notice(exchange.index, Notices::CREDIT << lane as u16)?;
            }
            return Ok(Ok(Streamed::Octets(len)));
        }
        if !is_over {
            return Ok(Ok(Streamed::Pending));
        }
        self.remove_incoming(exchange.index, lane)?;
        self.end_message(exchange.index)?;
        Ok(Ok(Streamed::End))
    }

    /// Ends a message of the peer that was taken to its end, and lets its channel go on.
    fn end_message(&mut self, index: u32) -> Result<(), Broken> {
        let now = self.now;
        let exchange = self.exchange(index)?;
        if exchange.stage == ExchangeStage::Ready && exchange.flow(Lane::Forward).is_none() {
            exchange.enter(ExchangeStage::Over, now);
            if let Some((key, position)) = exchange.channel {
                let channel = self.memory.channels.get_mut(key).sound()?;
                channel.taken = channel.taken.max(position + 1);
                channel.is_noticed = true;
                // A stream's successor waited for it to be read.
                channel.next = channel.next.max(position + 1);
                self.peer.notices |= peer::Notices::TAKEN;
                self.release_held(key)?;
            }
        }
        self.finish(index)
    }

    fn release(&mut self, index: u32, flow: u32) -> Result<(), Broken> {
        let exchange = self.exchange(index)?;
        // Flows of the two directions are numbered apart.
        let holds = |lane: &Lane| exchange.flow(*lane) == Some(flow) && !exchange.is_outgoing(*lane);
        let lane = Lane::ALL.into_iter().find(holds).sound()?;
        if matches!(exchange.stage, ExchangeStage::Queued | ExchangeStage::Running) && lane == Lane::Forward {
            // The record stays for repetitions to be compared with; only the octets go.
            self.remove_incoming(index, lane)?;
            return Ok(());
        }
        self.remove_incoming(index, lane)?;
        self.end_message(index)
    }
}

/// Room for header, head and tag of a datagram with one unreliable message.
pub(super) const UNRELIABLE_OVERHEAD: u64 = 64;
