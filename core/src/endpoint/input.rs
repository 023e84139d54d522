//! Datagrams that arrive.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use super::Endpoint;
use super::scope::{Fault, Scope};
use crate::ack::AckEliciting;
use crate::crypto::{Generation, KeyPhase, Plain, open_datagram, unmask_header};
use crate::ecn::Ecn;
use crate::memory::Broken;
use crate::outcome::Unknown;
use crate::peer::{self, Closing, Code, Stage, Ticket};
use crate::seq;
use crate::time::Instant;
use crate::wire::check::{Carrier, check};
use crate::wire::{
    Bare, CloseCode, ConversationId, Epoch, Frame, Frames, Header, LongHeader, Malformed, NumberField, Parameters,
    Reader, SessionOutcome, ShortHeader, Side, frame,
};

/// Where a datagram came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The sender's address.
    pub from: SocketAddr,
    /// The local address that it was sent to, if the socket tells.
    pub to: Option<IpAddr>,
    /// The ECN codepoint that it arrived with.
    pub ecn: Ecn,
}

/// A datagram was discarded, or its conversation was closed for it. Counters changed; nothing the caller has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejected {
    /// It is no datagram of this protocol, or damaged.
    Malformed(Malformed),
    /// It is not authentic.
    NotAuthentic,
    /// It belongs to no conversation here.
    Unknown,
    /// It came before.
    Repeated,
    /// There is no room for what it brings; the peer sends it again.
    NoRoom,
    /// It is authentic and breaks a rule; the conversation is closed.
    Violation(CloseCode),
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => write!(f, "malformed datagram: {malformed}"),
            Self::NotAuthentic => f.write_str("datagram is not authentic"),
            Self::Unknown => f.write_str("datagram of no conversation here"),
            Self::Repeated => f.write_str("datagram came before"),
            Self::NoRoom => f.write_str("no room for what the datagram brings"),
            Self::Violation(code) => write!(f, "datagram breaks a rule: {code:?}"),
        }
    }
}

impl core::error::Error for Rejected {}

impl From<Malformed> for Rejected {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// What an endpoint has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams handed in.
    pub datagrams_received: u64,
    /// Octets in them.
    pub octets_received: u64,
    /// Datagrams handed out.
    pub datagrams_sent: u64,
    /// Octets in them.
    pub octets_sent: u64,
    /// Datagrams discarded because of their form.
    pub malformed: u64,
    /// Datagrams discarded because they were not authentic.
    pub not_authentic: u64,
    /// Datagrams discarded because they belong to no conversation.
    pub unknown: u64,
    /// Datagrams discarded because they came before.
    pub repeated: u64,
    /// Datagrams discarded for want of room.
    pub no_room: u64,
    /// Conversations closed because the peer broke a rule.
    pub violations: u64,
    /// Retries, version answers and resets sent.
    pub stateless_answers: u64,
    /// Times that the keys of a conversation gave way to the next ones, on our side's initiative or the peer's.
    pub key_updates: u64,
    /// Conversations closed because our own books did not agree.
    pub broken: u64,
}

impl Endpoint<'_> {
    /// Takes a datagram that arrived; it is opened in place.
    ///
    /// # Errors
    /// [`Rejected`] says why it had no effect, or that its conversation was closed. The loop goes on as after any other.
    pub fn handle_datagram(&mut self, now: Instant, arrival: Arrival, datagram: &mut [u8]) -> Result<(), Rejected> {
        self.advance(now);
        self.counters.datagrams_received += 1;
        self.counters.octets_received += datagram.len() as u64;
        self.sweep();
        let result = self.dispatch(arrival, datagram);
        match result {
            Ok(()) => {}
            Err(Rejected::Malformed(_)) => self.counters.malformed += 1,
            Err(Rejected::NotAuthentic) => self.counters.not_authentic += 1,
            Err(Rejected::Unknown) => self.counters.unknown += 1,
            Err(Rejected::Repeated) => self.counters.repeated += 1,
            Err(Rejected::NoRoom) => self.counters.no_room += 1,
            Err(Rejected::Violation(_)) => self.counters.violations += 1,
        }
        result
    }

    fn dispatch(&mut self, arrival: Arrival, datagram: &mut [u8]) -> Result<(), Rejected> {
        // Nobody can be answered at port 0, and no socket sends from it.
        if arrival.from.port() == 0 {
            return Err(Rejected::Unknown);
        }
        match Header::peek(datagram)? {
            Header::Short(header) => self.on_short(arrival, header, datagram),
            Header::Long(LongHeader { epoch: Epoch::Hello, sender: Side::Client, from, token, .. }) => {
                let (token, offset) = (Ticket::new(token), 1 + 4 + 16 + token_field_len(token));
                self.on_hello(arrival, from, &token, datagram, offset)
            }
            Header::Long(LongHeader { epoch: Epoch::Hello, to, from, .. }) => {
                self.on_hello_answer(arrival, to, from, datagram)
            }
            Header::Long(LongHeader { to, .. }) => self.on_handshake_datagram(arrival, to, datagram),
            Header::Stateless => self.on_stateless(arrival, datagram),
            Header::UnknownVersion { from, .. } => self.on_unknown_version(arrival, from),
        }
    }

    /// Finds the peer whose conversation an id names: two indices and a compare.
    pub(super) fn find_conversation(&self, id: ConversationId) -> Option<u32> {
        let ConversationId([socket, a, b, c, ..]) = id;
        let index = self.keyring.routes.to(u32::from_be_bytes([0, a, b, c]))?;
        let peer = self.peers.at(index)?;
        (socket == self.config.socket && peer.conversation.local == id).then_some(index)
    }

    fn on_short(&mut self, arrival: Arrival, header: ShortHeader, datagram: &mut [u8]) -> Result<(), Rejected> {
        let Some(index) = self.find_conversation(header.to) else {
            self.answer_unknown(arrival, header.to, datagram.len());
            return Err(Rejected::Unknown);
        };
        let mut scope = self.scope(index).map_err(internal)?;
        // In plain mode an id proves nothing, and a conversation never moves (protocol §4.13).
        if scope.path.remote != arrival.from && !scope.keyring.is_protected() {
            return Err(Rejected::Unknown);
        }
        match scope.peer.stage {
            Stage::Open => {}
            Stage::Closing(closing) => {
                let received_count = closing.received_count.saturating_add(1);
                let is_due = closing.is_due || received_count.is_power_of_two();
                scope.peer.stage = Stage::Closing(Closing { received_count, is_due, ..closing });
                self.settle(index);
                return Ok(());
            }
            Stage::Idle | Stage::Opening(_) | Stage::Securing | Stage::Suspended | Stage::Draining { .. } => {
                return Err(Rejected::Unknown);
            }
        }
        let result = scope.on_data_datagram(arrival, datagram);
        match result {
            Ok(asked) => {
                let decided = asked.map_or(Ok(index), |asked| self.decide(index, &asked));
                let moved = decided.and_then(|index| self.finish_move(index).map(|()| index));
                let index = moved.unwrap_or_else(|Broken| {
                    self.break_off(index);
                    index
                });
                self.settle(index);
                if self.peers.at(index).is_some_and(|peer| matches!(peer.stage, Stage::Draining { .. })) {
                    self.on_closed(index);
                }
                Ok(())
            }
            Err(Rejected::Violation(code)) => {
                self.close_with(index, Code::Protocol(code));
                Err(Rejected::Violation(code))
            }
            Err(rejected) => {
                self.settle(index);
                Err(rejected)
            }
        }
    }

    /// Takes the frames of a handshake, or closes the conversation for them.
    pub(super) fn on_secured_frames(&mut self, index: u32, epoch: Epoch, frames: &[u8]) -> Result<(), Rejected> {
        let result = self.scope(index).map_err(internal)?.on_handshake_frames(epoch, frames);
        match result {
            Ok(()) => {
                self.settle(index);
                Ok(())
            }
            Err(Fault::NoRoom) => {
                self.settle(index);
                Err(Rejected::NoRoom)
            }
            Err(Fault::Violation(code)) => {
                self.close_with(index, Code::Protocol(code));
                Err(Rejected::Violation(code))
            }
        }
    }

    /// Takes a datagram of the handshake epoch.
    fn on_handshake_datagram(
        &mut self,
        arrival: Arrival,
        to: ConversationId,
        datagram: &mut [u8],
    ) -> Result<(), Rejected> {
        let index = self.find_conversation(to).ok_or(Rejected::Unknown)?;
        let scope = self.scope(index).map_err(internal)?;
        if scope.path.remote != arrival.from || !scope.keyring.is_protected() {
            return Err(Rejected::Unknown);
        }
        let sender = scope.peer.side.other();
        let (crypto, route) = scope.keyring.of(index).map_err(internal)?;
        let field = unmask_header(crypto, route, Epoch::Handshake, datagram, 1 + 4 + 16 + 1)?;
        let (number, len) = (field.number.expand(None), datagram.len());
        let opened =
            open_datagram(crypto, route, Epoch::Handshake, Generation::Current, number, datagram, field.frames_offset);
        let frames = opened.map_err(|_| Rejected::NotAuthentic)?;
        let carrier = Carrier { epoch: Epoch::Handshake, sender, datagram_len: len };
        if let Err(violation) = check(frames, carrier) {
            let code = violation.code();
            self.close_with(index, Code::Protocol(code));
            return Err(Rejected::Violation(code));
        }
        self.on_secured_frames(index, Epoch::Handshake, frames)
    }

    /// Takes the server's answer to a hello of ours.
    fn on_hello_answer(
        &mut self,
        arrival: Arrival,
        to: ConversationId,
        from: ConversationId,
        datagram: &mut [u8],
    ) -> Result<(), Rejected> {
        let index = self.find_conversation(to).ok_or(Rejected::Unknown)?;
        let offset = 1 + 4 + 16 + 1;
        let field = unmask_header(&Plain, 0, Epoch::Hello, datagram, offset)?;
        let len = datagram.len();
        let frames = open_datagram(
            &Plain,
            0,
            Epoch::Hello,
            Generation::Current,
            field.number.expand(None),
            datagram,
            field.frames_offset,
        )
        .map_err(|_| Rejected::NotAuthentic)?;
        let carrier = Carrier { epoch: Epoch::Hello, sender: Side::Server, datagram_len: len };
        check(frames, carrier).map_err(|_| Rejected::Malformed(Malformed::UnknownFrame))?;
        if self.keyring.is_protected() {
            let scope = self.scope(index).map_err(internal)?;
            let known = scope.peer.conversation.remote;
            let is_ours = scope.path.remote == arrival.from && scope.peer.side == Side::Client;
            if !is_ours || !(known == ConversationId::UNKNOWN || known == from) {
                return Err(Rejected::Unknown);
            }
            scope.peer.conversation.remote = from;
            return self.on_secured_frames(index, Epoch::Hello, frames);
        }
        let mut parameters = None;
        let mut session: Option<frame::Session<'_>> = None;
        for frame in Frames::new(frames) {
            let frame = frame?;
            if let Frame::Parameters(items) = frame {
                parameters = Some(Parameters::decode(items)?);
            } else if let Frame::Session(found) = frame {
                session = Some(found);
            }
        }
        let (Some(parameters), Some(session)) = (parameters, session) else {
            return Err(Rejected::Malformed(Malformed::Form));
        };
        let mut scope = self.scope(index).map_err(internal)?;
        if scope.path.remote != arrival.from || !matches!(scope.peer.stage, Stage::Opening(_)) {
            return Err(Rejected::Unknown);
        }
        scope.peer.received_at = scope.now;
        let result = scope.on_answer(from, parameters, &session);
        self.settle(index);
        result.map_err(|_| Rejected::Violation(CloseCode::Internal))
    }

    /// Ends everything that is open with a peer that closed.
    fn on_closed(&mut self, index: u32) {
        self.with(index, |scope| {
            scope.peer.news |= peer::News::CLOSED;
            scope.end_all(Unknown::Closed)
        });
    }

    /// Closes a conversation: the peer is told, and what is open here ends.
    pub(super) fn close_with(&mut self, index: u32, code: Code) {
        let result = self.scope(index).and_then(|mut scope| scope.close(code));
        if result.is_err() {
            // The books are beyond repair; the slot is given up as it is once its time is over.
            self.counters.broken += 1;
        }
        self.settle(index);
    }
}

impl Scope<'_, '_> {
    /// Takes a datagram of the data epoch.
    ///
    /// Returns which session a client asks for, on a conversation of which that is still open.
    fn on_data_datagram(&mut self, arrival: Arrival, datagram: &mut [u8]) -> Result<Option<Asked>, Rejected> {
        let now = self.now;
        let (crypto, route) = self.keyring.of(self.index).map_err(internal)?;
        let field: NumberField = unmask_header(crypto, route, Epoch::Data, datagram, ShortHeader::NUMBER_OFFSET)?;
        let window = self.peer.conversation.ack.window();
        let number = field.number.expand(window.largest());
        if number > seq::NUMBER_MAX || !window.is_fresh(number) {
            return Err(Rejected::Repeated);
        }
        let keys = self.peer.conversation.keys.as_ref();
        let generation = keys.map_or(Generation::Current, |keys| keys.generation(now, field.phase, number));
        let len = datagram.len();
        let opened = open_datagram(crypto, route, Epoch::Data, generation, number, datagram, field.frames_offset);
        let Ok(frames) = opened else {
            return match self.peer.conversation.keys.as_mut().map(KeyPhase::on_failed_open) {
                None | Some(Ok(())) => Err(Rejected::NotAuthentic),
                Some(Err(_)) => Err(Rejected::Violation(CloseCode::Crypto)),
            };
        };
        if let Some(keys) = &mut self.peer.conversation.keys {
            let pto = self.path.rtt.probe_timeout(self.peer.parameters.ack_delay_max);
            keys.on_opened(now, pto, generation, number).map_err(|_| Rejected::Violation(CloseCode::Crypto))?;
        }
        if generation == Generation::Next {
            self.update_keys().map_err(internal)?;
        }
        self.confirm_handshake().map_err(internal)?;
        let sender = self.peer.side.other();
        let carrier = Carrier { epoch: Epoch::Data, sender, datagram_len: len };
        let summary = check(frames, carrier).map_err(|violation| Rejected::Violation(violation.code()))?;
        if arrival.from == self.path.remote {
            self.path.local = self.path.local.or(arrival.to);
        } else {
            let is_newest = self.peer.conversation.ack.window().largest().is_none_or(|largest| number > largest);
            self.on_elsewhere(arrival, is_newest, len);
        }
        let asked = self.hear_asked(number, frames);
        self.take_frames(frames, &arrival, generation)?;
        let eliciting = if !summary.is_ack_eliciting {
            AckEliciting::No
        } else if len + FULL_SLACK >= self.path.mtu.current() {
            AckEliciting::Full
        } else {
            AckEliciting::Yes
        };
        self.peer.conversation.ack.on_received(now, number, eliciting, arrival.ecn);
        self.peer.received_at = now;
        let is_waiting = self.peer.conversation.eliciting_count > 0 || self.is_asking();
        self.peer.awaiting_since = is_waiting.then_some(now);
        Ok(asked)
    }

    /// Takes the frames of a datagram, one after the other.
    ///
    /// Not inlined, and neither is what the rare ones do: the loop keeps its registers.
    #[inline(never)]
    fn take_frames(&mut self, frames: &[u8], arrival: &Arrival, generation: Generation) -> Result<(), Rejected> {
        let mut has_room = true;
        let mut reader = Reader::new(frames);
        while !reader.is_empty() {
            let taken = match Bare::decode(&mut reader)? {
                Some(_) if self.peer.is_undecided => return Err(Rejected::NoRoom),
                Some(bare) => self.on_bare(bare),
                None => {
                    let mut ahead = reader;
                    // Looked at where it was decoded: a frame is long to move.
                    let decoded = Frame::decode(&mut ahead);
                    let frame = decoded.as_ref().map_err(|malformed| *malformed)?;
                    if self.peer.is_undecided && is_of_session(frame) {
                        return Err(Rejected::NoRoom);
                    }
                    reader = ahead;
                    self.on_frame(arrival, frame, generation)
                }
            };
            match taken {
                Ok(()) => {}
                // What stands behind it may be the end of something that has room, and perhaps always comes behind it.
                Err(Fault::NoRoom) => has_room = false,
                Err(Fault::Violation(code)) => return Err(Rejected::Violation(code)),
            }
        }
        if has_room { Ok(()) } else { Err(Rejected::NoRoom) }
    }

    /// Looks in the first datagram of a client, on a protected conversation, whether it asks for the session that it had.
    fn hear_asked(&mut self, number: u64, frames: &[u8]) -> Option<Asked> {
        if !self.peer.is_undecided || self.peer.side == Side::Client {
            return None;
        }
        let asked = Frames::new(frames).find_map(|frame| match frame {
            Ok(Frame::Resume { session, proof }) => Some(Asked { number, session, proof }),
            _ => None,
        });
        if asked.is_none() {
            self.peer.is_undecided = false;
            self.peer.is_untold = true;
            self.peer.notices |= peer::Notices::SETTLED;
            self.peer.news |= peer::News::CONNECTED;
        }
        asked
    }

    #[inline(never)]
    fn on_frame(&mut self, arrival: &Arrival, frame: &Frame<'_>, generation: Generation) -> Result<(), Fault> {
        match *frame {
            Frame::Padding { .. } | Frame::Ping | Frame::Private { .. } => Ok(()),
            Frame::Ack(ref ack) => self.on_ack(ack, generation),
            Frame::Data(ref data) => self.on_data(data),
            Frame::Credit { limit } => {
                self.on_credit(limit);
                Ok(())
            }
            Frame::StreamCredit { role, seq, limit } => self.on_stream_credit(role, seq.0, limit),
            Frame::Retired(ref retired) => self.on_retired(retired),
            Frame::Reset { role, seq, charge, place, .. } => self.on_reset(role, seq.0, charge, place),
            Frame::Stop { role, seq, reason } => self.on_stop(role, seq.0, reason),
            Frame::Taken { channel, limit } => {
                self.on_taken(channel, limit);
                Ok(())
            }
            Frame::Cancel { seq } => self.on_cancel(seq.0),
            Frame::Ask { seq } => self.on_ask(seq.0),
            Frame::Progress { seq, progress, .. } => self.on_progress(seq.0, progress.map_or(0, |it| it + 1)),
            Frame::Resolve { seq } => self.on_resolve(seq.0),
            Frame::Busy { after_millis } => {
                self.on_busy(after_millis);
                Ok(())
            }
            Frame::Drain => {
                self.peer.is_draining = true;
                self.peer.news |= peer::News::DRAINING;
                Ok(())
            }
            Frame::AckFrequency { count, delay_micros } => {
                let delay = core::time::Duration::from_micros(delay_micros).min(self.config.ack_delay_max);
                self.peer.conversation.ack.on_frequency(count, delay);
                Ok(())
            }
            Frame::Close { .. } => {
                let wait = self.path.rtt.probe_timeout(self.peer.parameters.ack_delay_max).saturating_mul(3);
                self.peer.stage = Stage::Draining { until: self.now.saturating_add(wait) };
                Ok(())
            }
            // The newest challenge is answered, once, to where it came from (RFC 9000 §8.2.2).
            Frame::Challenge(data) => {
                self.on_challenge(*arrival, data);
                Ok(())
            }
            Frame::Response(data) => {
                self.on_response(arrival.from, data);
                Ok(())
            }
            // An id lives until it is retired, which we never do, and a move needs no other one: what is lost by keeping to the
            // first is that an observer can link the two paths (protocol §6.8.2). We give none, so none of ours is retired.
            Frame::NewId { .. } | Frame::RetireId { .. } => Ok(()),
            Frame::Resume { .. } if self.keyring.is_protected() => {
                if !self.peer.is_undecided && self.peer.outcome == SessionOutcome::Opened {
                    // Something else came first, and another session has begun.
                    self.peer.outcome = SessionOutcome::Unknown;
                    self.peer.notices |= peer::Notices::SESSION;
                }
                Ok(())
            }
            Frame::Handshake { .. } | Frame::HandshakeAck { .. } if self.keyring.is_protected() => Ok(()),
            Frame::Session(ref session) if self.keyring.is_protected() => Ok(self.on_session(session)?),
            Frame::Handshake { .. }
            | Frame::HandshakeAck { .. }
            | Frame::Session(_)
            | Frame::Resume { .. }
            | Frame::Parameters(_) => Err(Fault::Violation(CloseCode::NotAllowed)),
        }
    }

    /// Begins nothing for as long as the peer asks, and a random while longer: those whom it asked at one time come back at
    /// different ones (semantics S34).
    fn on_busy(&mut self, after_millis: u64) {
        let after = after_millis.min(BUSY_MILLIS_MAX);
        let after = core::time::Duration::from_millis(after + self.random.below(after / 2 + 1));
        self.peer.busy_until = Some(self.now.saturating_add(after));
    }

    /// Starts closing, and ends what is open.
    pub(super) fn close(&mut self, code: Code) -> Result<(), Broken> {
        let is_open = self.peer.stage == Stage::Open;
        let is_over = matches!(self.peer.stage, Stage::Closing(_) | Stage::Draining { .. });
        // Of who has not said yet what for it came, the application knows nothing.
        let is_known =
            self.peer.side == Side::Client || !(self.peer.is_undecided || self.peer.stage == Stage::Securing);
        let wait = self.path.rtt.probe_timeout(self.peer.parameters.ack_delay_max).saturating_mul(3);
        let until = self.now.saturating_add(wait);
        self.take_carried();
        self.peer.stage = if is_open {
            Stage::Closing(Closing { code, until, received_count: 0, is_due: true })
        } else {
            Stage::Draining { until: self.now }
        };
        if !is_over && is_known {
            self.peer.news |= peer::News::CLOSED;
        }
        self.end_all(Unknown::Closed)
    }
}

/// The session that a client asks for on a protected conversation, and the datagram that asks.
pub(super) struct Asked {
    pub(super) number: u64,
    pub(super) session: u64,
    pub(super) proof: [u8; 16],
}

/// Says whether a frame is about exchanges, credit or channels: of no use before it is known whose.
const fn is_of_session(frame: &Frame<'_>) -> bool {
    matches!(
        frame,
        Frame::Data(_)
            | Frame::Credit { .. }
            | Frame::StreamCredit { .. }
            | Frame::Retired(_)
            | Frame::Reset { .. }
            | Frame::Stop { .. }
            | Frame::Taken { .. }
            | Frame::Cancel { .. }
            | Frame::Ask { .. }
            | Frame::Progress { .. }
            | Frame::Resolve { .. }
            | Frame::Drain
    )
}

pub(super) fn internal(_: Broken) -> Rejected {
    Rejected::Violation(CloseCode::Internal)
}

const fn token_field_len(token: &[u8]) -> usize {
    crate::wire::varint::len_of(token.len() as u64) + token.len()
}

/// A datagram this close to the path's length counts as full (bulk).
const FULL_SLACK: usize = 64;
/// Nobody is made to wait longer than a minute.
const BUSY_MILLIS_MAX: u64 = 60_000;
