//! What the application is told.

use super::Endpoint;
use crate::exchange::{Exchange, News, Stage as ExchangeStage};
use crate::ids::{CallId, IncomingCallId, MessageId, PeerId, SendId, StreamId};
use crate::lane::Lane;
use crate::memory::{Broken, Sound};
use crate::outcome::Outcome;
use crate::outgoing::Kind;
use crate::peer::{self, Stage};
use crate::storage::Key;

/// Something that the application is to know. Payloads stay in the endpoint and are fetched by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A peer answered: the conversation is open, for the first time or again.
    Connected {
        /// The peer.
        peer: PeerId,
    },
    /// The session is over: what was sent in it and not answered has been told as unknown or failed. The peer remains, and the
    /// next command opens another session.
    SessionLost {
        /// The peer.
        peer: PeerId,
    },
    /// The peer begins no more of our calls; those under way go on.
    Draining {
        /// The peer.
        peer: PeerId,
    },
    /// The conversation was closed, or the peer cannot be reached; its id goes stale soon.
    Closed {
        /// The peer.
        peer: PeerId,
    },
    /// Everything that was accepted before the flush is acknowledged.
    Flushed {
        /// The peer.
        peer: PeerId,
    },
    /// The peer's application has taken messages of a channel: all with a position below `count`.
    Taken {
        /// The peer.
        peer: PeerId,
        /// The channel.
        channel: u64,
        /// How many it has taken.
        count: u64,
    },
    /// A message arrived; release it when done with it.
    MessageReceived {
        /// The sender.
        peer: PeerId,
        /// The message.
        message: MessageId,
        /// Its channel, if it came in order on one.
        channel: Option<u64>,
    },
    /// A message whose length is not known yet began to arrive; read it.
    StreamReceived {
        /// The sender.
        peer: PeerId,
        /// The message.
        stream: StreamId,
        /// Its channel, if it came in order on one.
        channel: Option<u64>,
    },
    /// There is more to read from a stream, or it ended.
    Readable {
        /// The stream.
        stream: StreamId,
    },
    /// There is room to write to a stream again, or its reader gave it up.
    Writable {
        /// The stream.
        stream: StreamId,
    },
    /// The peer has received a message of ours.
    MessageAcknowledged {
        /// The message.
        message: SendId,
    },
    /// A message of ours will not be delivered; or the session was lost, and nobody knows.
    MessageFailed {
        /// The message.
        message: SendId,
    },
    /// A peer calls us: [`Endpoint::begin`] before the handler runs, [`Endpoint::reply`] after it.
    CallReceived {
        /// The call.
        call: IncomingCallId,
    },
    /// The caller wants no answer any more, or is gone: then the call cannot be answered either. The handler may stop.
    CallCancelled {
        /// The call.
        call: IncomingCallId,
    },
    /// The callee is still at work.
    CallProgress {
        /// The call.
        call: CallId,
        /// What the handler says of its progress.
        progress: Option<u64>,
    },
    /// A call has its outcome. An unknown one, and no other, may be followed by another: a definite one that comes late.
    CallEnded {
        /// The call.
        call: CallId,
        /// What became of it.
        outcome: Outcome,
    },
}

impl Endpoint<'_> {
    pub(super) fn next_event(&mut self) -> Option<Event> {
        while let Some(index) = self.memory.eventful.front() {
            match self.exchange_event(index) {
                Ok(Some(event)) => return Some(event),
                Ok(None) => {}
                Err(Broken) => {
                    self.memory.eventful.remove(&mut self.memory.exchanges, index);
                    self.counters.broken += 1;
                }
            }
        }
        self.next_peer_event()
    }

    #[inline(never)]
    fn next_peer_event(&mut self) -> Option<Event> {
        self.set_places();
        while let Some(index) = self.eventful.front() {
            match self.peer_event(index) {
                Ok(Some(event)) => return Some(event),
                Ok(None) => {}
                Err(Broken) => {
                    self.eventful.remove(&mut self.peers, index);
                    self.counters.broken += 1;
                }
            }
        }
        None
    }

    /// Takes one piece of news of an exchange; when it was the last, the exchange leaves the list, and the table too if nothing
    /// else holds it.
    fn exchange_event(&mut self, index: u32) -> Result<Option<Event>, Broken> {
        let (key, exchange) = self.memory.exchanges.entry_mut(index).sound()?;
        let bit = exchange.news & exchange.news.wrapping_neg();
        exchange.news &= !bit;
        let is_last = exchange.news == 0;
        let peer = exchange.peer;
        let is_done = (exchange.stage == ExchangeStage::Over || peer == Exchange::ORPHAN) && exchange.has_no_flow();
        let event = match bit {
            News::CALL_RECEIVED => Some(Event::CallReceived { call: IncomingCallId(key) }),
            News::ENDED => Some(Event::CallEnded { call: CallId(key), outcome: exchange.outcome }),
            _ => self.rare_event(key, bit)?,
        };
        if is_last {
            self.memory.eventful.remove(&mut self.memory.exchanges, index);
            if is_done {
                self.finish_told(peer, index)?;
            }
        }
        Ok(event)
    }

    /// Removes an exchange of which all was told, if nothing else holds it.
    #[inline(never)]
    fn finish_told(&mut self, peer: u32, index: u32) -> Result<(), Broken> {
        if peer == Exchange::ORPHAN {
            return self.memory.remove_orphan(index);
        }
        self.with(peer, |scope| scope.finish(index));
        Ok(())
    }

    /// Returns what is told less often than that a call came or ended; `None` if there is nothing to tell any more.
    #[inline(never)]
    fn rare_event(&mut self, key: Key, bit: u16) -> Result<Option<Event>, Broken> {
        let exchange = self.memory.exchanges.get(key).sound()?;
        let stream = |lane| StreamId { exchange: key, lane };
        Ok(Some(match bit {
            News::MESSAGE_RECEIVED => {
                let peer = self.peers.key_of(exchange.peer).map(PeerId);
                let (Some(flow), Some(peer)) = (exchange.flow(Lane::Forward), peer) else { return Ok(None) };
                let channel = exchange.channel.and_then(|(channel, _)| Some(self.memory.channels.get(channel)?.name));
                let incoming = self.memory.incoming.at_mut(flow).sound()?;
                incoming.is_announced = true;
                match incoming.kind {
                    Kind::Whole => {
                        let message = MessageId::in_incoming(self.memory.incoming.key_of(flow).sound()?);
                        Event::MessageReceived { peer, message, channel }
                    }
                    Kind::Stream => Event::StreamReceived { peer, stream: stream(Lane::Forward), channel },
                }
            }
            News::PROGRESS => Event::CallProgress { call: CallId(key), progress: exchange.progress.checked_sub(1) },
            News::CANCELLED => Event::CallCancelled { call: IncomingCallId(key) },
            News::ACKNOWLEDGED => Event::MessageAcknowledged { message: SendId(key) },
            News::FAILED => Event::MessageFailed { message: SendId(key) },
            _ => {
                let readable = Lane::ALL.into_iter().find(|lane| bit == News::READABLE << *lane as u16);
                let writable = Lane::ALL.into_iter().find(|lane| bit == News::WRITABLE << *lane as u16);
                match (readable, writable) {
                    (Some(lane), _) if exchange.flow(lane).is_some() => Event::Readable { stream: stream(lane) },
                    (_, Some(lane)) if exchange.flow(lane).is_some() => Event::Writable { stream: stream(lane) },
                    _ => return Ok(None),
                }
            }
        }))
    }

    fn peer_event(&mut self, index: u32) -> Result<Option<Event>, Broken> {
        let key = self.peers.key_of(index).sound()?;
        let now = self.now;
        let entry = self.peers.at_mut(index).sound()?;
        let bit = entry.news & entry.news.wrapping_neg();
        let peer = PeerId(key);
        let event = match bit {
            peer::News::CONNECTED => Event::Connected { peer },
            peer::News::FLUSHED => Event::Flushed { peer },
            peer::News::DRAINING => Event::Draining { peer },
            peer::News::SESSION_LOST => Event::SessionLost { peer },
            peer::News::CLOSED => Event::Closed { peer },
            peer::News::TAKEN => match self.take_taken(index)? {
                Some(event) => return Ok(Some(event)),
                None => {
                    self.peers.at_mut(index).sound()?.news &= !bit;
                    self.leave_eventful(index)?;
                    return Ok(None);
                }
            },
            _ => {
                entry.news = 0;
                self.leave_eventful(index)?;
                return Ok(None);
            }
        };
        entry.news &= !bit;
        if bit == peer::News::CLOSED && !matches!(entry.stage, Stage::Closing(_) | Stage::Draining { .. }) {
            // Nobody holds the slot any more.
            entry.stage = Stage::Draining { until: now };
        }
        self.leave_eventful(index)?;
        self.move_deadline(index);
        Ok(Some(event))
    }

    fn leave_eventful(&mut self, index: u32) -> Result<(), Broken> {
        if self.peers.at(index).sound()?.news == 0 {
            self.eventful.remove(&mut self.peers, index);
        }
        Ok(())
    }

    /// Takes one channel of which more messages were taken.
    fn take_taken(&mut self, index: u32) -> Result<Option<Event>, Broken> {
        let peer = PeerId(self.peers.key_of(index).sound()?);
        let channels = &self.peers.at(index).sound()?.session.channels;
        let marked = channels.iter(&self.memory.channels).find(|channel| {
            self.memory
                .channels
                .at(*channel)
                .is_some_and(|channel| channel.is_noticed && channel.use_of == crate::session::ChannelUse::Outgoing)
        });
        let Some(channel) = marked else { return Ok(None) };
        let channel = self.memory.channels.at_mut(channel).sound()?;
        channel.is_noticed = false;
        Ok(Some(Event::Taken { peer, channel: channel.name, count: channel.taken }))
    }
}
