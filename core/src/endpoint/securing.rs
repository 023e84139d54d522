//! Opening a protected conversation: the handshake, from the first octet to the keys of the data epoch (protocol §9).

use core::time::Duration;

use super::scope::{Fault, Scope};
use crate::crypto::{Alert, KeyPhase, seal_datagram};
use crate::handshake::{HANDSHAKE_LEN_MAX, Handshake};
use crate::memory::{Broken, Purpose, Sound};
use crate::outcome::Unknown;
use crate::peer::{self, Notices, Opening, Resume, Stage};
use crate::session::Session;
use crate::time::Instant;
use crate::wire::{
    CHECKSUM_LEN, CloseCode, Epoch, Frame, Frames, HELLO_LEN_MIN, LongHeader, NoRoom, Parameters, SessionOutcome,
    SessionSecret, Side, TruncatedNumber, Writer, frame,
};

impl Scope<'_, '_> {
    /// Begins a handshake, on either side.
    pub(super) fn start_handshake(&mut self) -> Result<(), Fault> {
        self.drop_handshake()?;
        let mut items = [0; Parameters::LEN_MAX];
        let mut writer = Writer::new(&mut items);
        self.announced().encode(&mut writer).map_err(|NoRoom| Broken)?;
        let len = writer.len();
        let identity = self.peer.identity.map_or(&[][..], |block| self.memory.arena.bytes(block));
        let (crypto, route) = self.keyring.of(self.index)?;
        crypto.start(route, self.peer.side, &items[..len], identity).map_err(alert)?;
        let next_at = self.now.saturating_add(self.path.rtt.probe_timeout(Duration::ZERO));
        let key = self.memory.handshakes.insert(Handshake::new(self.now, next_at)).ok_or(Fault::NoRoom)?;
        self.peer.handshake = Some(key.index());
        self.pump_handshake()
    }

    /// Frees what is left of a handshake.
    pub(super) fn drop_handshake(&mut self) -> Result<(), Broken> {
        let Some(index) = self.peer.handshake.take() else { return Ok(()) };
        let key = self.memory.handshakes.key_of(index).sound()?;
        let mut handshake = self.memory.handshakes.remove(key).sound()?;
        for block in handshake.blocks() {
            self.memory.arena.free(block);
        }
        for epoch in EPOCHS {
            handshake.lane_mut(epoch).incoming.beyond.clear(&mut self.memory.ranges);
        }
        Ok(())
    }

    /// Takes everything from the crypto that it has to say.
    fn pump_handshake(&mut self) -> Result<(), Fault> {
        let Some(index) = self.peer.handshake else { return Ok(()) };
        let (crypto, route) = self.keyring.of(self.index)?;
        let mut octets = [0; PIECE_LEN];
        while let Some((epoch, len)) = crypto.write_handshake(route, &mut octets).map_err(alert)? {
            let handshake = self.memory.handshakes.at_mut(index).sound()?;
            let lane = handshake.lane_mut(epoch);
            if lane.out.is_none() {
                lane.out = self.memory.arena.alloc(HANDSHAKE_LEN_MAX);
            }
            let block = lane.out.ok_or(Fault::NoRoom)?;
            let memory = self.memory.arena.bytes_mut(block);
            let place = memory.get_mut(lane.out_len..lane.out_len + len).ok_or(Fault::Violation(CloseCode::Crypto))?;
            place.copy_from_slice(&octets[..len]);
            lane.out_len += len;
            handshake.next_at = self.now;
        }
        Ok(())
    }

    /// Takes octets of the peer's handshake, and hands on what has arrived without a gap.
    pub(super) fn on_handshake(&mut self, epoch: Epoch, offset: u64, octets: &[u8]) -> Result<(), Fault> {
        let Some(index) = self.peer.handshake else { return Ok(()) };
        let end = offset.saturating_add(octets.len() as u64);
        if end > HANDSHAKE_LEN_MAX as u64 {
            return Err(Fault::Violation(CloseCode::Crypto));
        }
        if self.memory.handshakes.at(index).sound()?.lane(epoch).incoming.body.is_none() {
            let body = self.memory.alloc(HANDSHAKE_LEN_MAX, Purpose::Arrive).ok_or(Fault::NoRoom)?;
            self.memory.handshakes.at_mut(index).sound()?.lane_mut(epoch).incoming.body = body;
        }
        let lane = self.memory.handshakes.at_mut(index).sound()?.lane_mut(epoch);
        let holes = self.config.hole_count_max as u32;
        let (arena, ranges) = (&mut self.memory.arena, &mut self.memory.ranges);
        lane.incoming.put(arena, ranges, offset, octets, holes).map_err(|refused| match refused {
            crate::incoming::Refused::Contradiction => Fault::Violation(CloseCode::Crypto),
            crate::incoming::Refused::NoRoom => Fault::NoRoom,
        })?;
        let (from, to) = (lane.incoming.read, lane.incoming.prefix);
        // Of what begins with a gap there is nothing to tell.
        lane.is_ack_due |= to > 0;
        lane.incoming.read = to;
        let body = lane.incoming.body.sound()?;
        if to > from {
            let octets = &self.memory.arena.bytes(body)[from as usize..to as usize];
            let (crypto, route) = self.keyring.of(self.index)?;
            crypto.read_handshake(route, epoch, octets).map_err(alert)?;
            self.pump_handshake()?;
            self.restart_handshake_timer()?;
        }
        self.check_secured()
    }

    /// Takes the peer's word for how much of our handshake has arrived.
    pub(super) fn on_handshake_ack(&mut self, epoch: Epoch, offset: u64) -> Result<(), Fault> {
        let Some(index) = self.peer.handshake else { return Ok(()) };
        let handshake = self.memory.handshakes.at_mut(index).sound()?;
        let (is_repeated, sent_at) = (handshake.is_repeated, handshake.sent_at);
        let lane = handshake.lane_mut(epoch);
        let offset = usize::try_from(offset).ok().filter(|offset| *offset <= lane.out_len);
        let offset = offset.ok_or(Fault::Violation(CloseCode::Crypto))?;
        if offset <= lane.acked {
            return Ok(());
        }
        lane.acked = offset;
        lane.sent = lane.sent.max(offset);
        if !is_repeated {
            // Octets that were sent once: an unambiguous sample.
            self.on_answered(sent_at, Duration::ZERO);
        }
        Ok(self.restart_handshake_timer()?)
    }

    /// Waits as at first for what is still missing: the peer is there (RFC 9002 §6.2.1).
    fn restart_handshake_timer(&mut self) -> Result<(), Broken> {
        let Some(index) = self.peer.handshake else { return Ok(()) };
        self.memory.handshakes.at_mut(index).sound()?.round = 0;
        let next_at = self.now.saturating_add(self.handshake_timeout(index)?);
        self.memory.handshakes.at_mut(index).sound()?.next_at = next_at;
        Ok(())
    }

    /// Opens the data epoch once the peer has proven who it is.
    fn check_secured(&mut self) -> Result<(), Fault> {
        let is_waiting = matches!(self.peer.stage, Stage::Opening(_) | Stage::Securing);
        let (crypto, route) = self.keyring.of(self.index)?;
        if !is_waiting || !crypto.is_ready(route, Epoch::Data) {
            return Ok(());
        }
        let items = crypto.peer_parameters(route).ok_or(Fault::Violation(CloseCode::Parameters))?;
        let parameters = Parameters::decode(items).map_err(|_| Fault::Violation(CloseCode::Parameters))?;
        self.peer.conversation.keys = Some(KeyPhase::new(crypto.limits(route)));
        if self.peer.side == Side::Server {
            self.peer.is_undecided = true;
            self.peer.notices |= Notices::SESSION;
        } else if matches!(self.peer.stage, Stage::Opening(Opening { resume: Resume::Yes, .. })) {
            self.peer.is_undecided = true;
            self.peer.notices |= Notices::RESUME;
        } else {
            // Its id and secret come with SESSION; nothing of ours waits for them.
            self.adopt_session(Session::new(0, 0, SessionSecret([0; 16]), self.config.credit));
            self.peer.news |= peer::News::CONNECTED;
        }
        self.peer.stage = Stage::Open;
        self.peer.awaiting_since = None;
        Ok(self.adopt(parameters)?)
    }

    /// Says whether we wait to hear whether the session that we asked for goes on.
    pub(super) fn is_asking(&self) -> bool {
        self.peer.is_undecided && self.peer.side == Side::Client
    }

    /// Takes what the server says of the session in a protected conversation.
    pub(super) fn on_session(&mut self, session: &frame::Session<'_>) -> Result<(), Broken> {
        let is_answer = session.outcome != SessionOutcome::Opened;
        // What it said before it heard what we ask for.
        if !is_answer && (self.is_asking() || self.peer.outcome != SessionOutcome::Opened) {
            return Ok(());
        }
        if self.is_asking() {
            if session.outcome == SessionOutcome::Unknown {
                self.end_session(Unknown::SessionLost)?;
                self.adopt_session(Session::new(0, 0, SessionSecret([0; 16]), self.config.credit));
                self.adopt(self.peer.parameters)?;
            } else {
                self.announce_anew()?;
            }
            self.peer.is_undecided = false;
            self.peer.outcome = session.outcome;
            self.peer.notices &= !Notices::RESUME;
            self.peer.news |= peer::News::CONNECTED;
        }
        self.peer.session.id = session.session;
        self.peer.session.incarnation = session.incarnation;
        self.peer.session.secret = session.secret;
        self.peer.socket = self.peer.conversation.remote.socket();
        self.peer.lease_millis = u32::try_from(session.lease_millis).unwrap_or(u32::MAX);
        self.keep_ticket(session.ticket, Purpose::Arrive);
        self.peer.conversation.reset_token = Some(session.reset_token);
        Ok(())
    }

    /// Builds the next datagram of a handshake, if one is due.
    pub(super) fn build_handshake(&mut self, out: &mut [u8]) -> Result<Option<usize>, Broken> {
        let Some(index) = self.peer.handshake else { return Ok(None) };
        for epoch in [Epoch::Hello, Epoch::Handshake] {
            let is_due = self.memory.handshakes.at(index).sound()?.is_due(epoch);
            if is_due && self.is_epoch_ready(epoch) {
                return self.build_epoch(index, epoch, out).map(Some);
            }
        }
        Ok(None)
    }

    fn build_epoch(&mut self, index: u32, epoch: Epoch, out: &mut [u8]) -> Result<usize, Broken> {
        let is_client_hello = epoch == Epoch::Hello && self.peer.side == Side::Client;
        let token = self.hello_token();
        let header = LongHeader {
            epoch,
            sender: self.peer.side,
            to: self.peer.conversation.remote,
            from: self.peer.conversation.local,
            token: if is_client_hello { token.octets() } else { &[] },
        };
        let handshake = self.memory.handshakes.at_mut(index).sound()?;
        let number = u64::from(handshake.next_number);
        handshake.next_number = handshake.next_number.saturating_add(1);
        let tag_len = if epoch == Epoch::Hello { CHECKSUM_LEN } else { crate::crypto::TAG_LEN_MAX };
        let mut writer = Writer::new(&mut out[..HELLO_LEN_MIN - tag_len]);
        let truncated = TruncatedNumber::new(number, number).sound()?;
        header.encode(truncated, &mut writer).map_err(|_| Broken)?;
        let sent = self.memory.handshakes.at(index).sound()?.lane(epoch).sent;
        self.write_handshake(index, epoch, &mut writer)?;
        if is_client_hello && writer.room() > 0 {
            Frame::Padding { len: writer.room() }.encode(&mut writer).map_err(|_| Broken)?;
        }
        let len = writer.len() + tag_len;
        let (crypto, route) = self.keyring.of(self.index)?;
        seal_datagram(crypto, route, epoch, number, &mut out[..len], header.number_offset()).map_err(|_| Broken)?;
        let now = self.now;
        if let Stage::Opening(opening) = &mut self.peer.stage
            && is_client_hello
        {
            opening.hello_count = number as u32 + 1;
            opening.sent_at[number as usize % 4] = now;
        }
        let timeout = self.handshake_timeout(index)?;
        let handshake = self.memory.handshakes.at_mut(index).sound()?;
        if handshake.lane(epoch).sent > sent {
            // An acknowledgement alone puts nothing off.
            handshake.sent_at = now;
            handshake.next_at = now.saturating_add(timeout);
        }
        self.peer.awaiting_since.get_or_insert(now);
        Ok(len)
    }

    /// Writes what an epoch has to say: how much has arrived of every epoch, and our octets from where we are.
    pub(super) fn write_handshake(&mut self, index: u32, epoch: Epoch, writer: &mut Writer<'_>) -> Result<(), Broken> {
        let handshake = self.memory.handshakes.at_mut(index).sound()?;
        for acked in EPOCHS {
            let lane = handshake.lane_mut(acked);
            let offset = lane.incoming.prefix;
            // The hello epoch proves nothing, so it tells only of itself.
            let may_tell = acked as u8 <= epoch as u8;
            if offset > 0 && may_tell && (Frame::HandshakeAck { epoch: acked, offset }).encode(writer).is_ok() {
                lane.is_ack_due = false;
            }
        }
        let lane = handshake.lane_mut(epoch);
        let Some(block) = lane.out else { return Ok(()) };
        let room = writer.room().saturating_sub(FRAME_HEAD_LEN);
        let len = room.min(lane.out_len - lane.sent);
        if len > 0 {
            let data = &self.memory.arena.bytes(block)[lane.sent..lane.sent + len];
            Frame::Handshake { offset: lane.sent as u64, data }.encode(writer).map_err(|_| Broken)?;
            lane.sent += len;
        }
        Ok(())
    }

    /// Sends again what was not acknowledged.
    pub(super) fn on_handshake_timeout(&mut self) -> Result<(), Broken> {
        let Some(index) = self.peer.handshake else { return Ok(()) };
        let now = self.now;
        let handshake = self.memory.handshakes.at_mut(index).sound()?;
        if handshake.next_at <= now {
            handshake.rewind();
            if matches!(self.peer.stage, Stage::Opening(_)) {
                // A server that has forgotten it, or sees us elsewhere, understands nothing else (protocol §4.17).
                handshake.lane_mut(Epoch::Hello).sent = 0;
            }
            handshake.round = handshake.round.saturating_add(1);
            handshake.is_repeated = true;
            let timeout = self.handshake_timeout(index)?;
            self.memory.handshakes.at_mut(index).sound()?.next_at = now.saturating_add(timeout);
        }
        Ok(())
    }

    /// Returns how long to wait for an acknowledgement of the handshake; doubles with each round.
    fn handshake_timeout(&self, index: u32) -> Result<Duration, Broken> {
        let round = self.memory.handshakes.at(index).sound()?.round;
        let first = self.path.rtt.probe_timeout(Duration::ZERO);
        Ok(first.saturating_mul(1 << round.min(BACK_OFF_MAX)).min(HANDSHAKE_INTERVAL_MAX))
    }

    /// Writes what the handshake has to say in the data epoch: tickets of TLS, which are sent once and may get lost.
    pub(super) fn write_late_handshake(&mut self, writer: &mut Writer<'_>) -> Result<(), Broken> {
        let Some(index) = self.peer.handshake else { return Ok(()) };
        let lane = self.memory.handshakes.at(index).sound()?.lane(Epoch::Data);
        if lane.sent < lane.out_len {
            self.write_handshake(index, Epoch::Data, writer)?;
            let lane = self.memory.handshakes.at_mut(index).sound()?.lane_mut(Epoch::Data);
            lane.acked = lane.sent;
        }
        Ok(())
    }

    /// Ends the handshake when the peer's first datagram of the data epoch proves that it has all of ours.
    pub(super) fn confirm_handshake(&mut self) -> Result<(), Broken> {
        let Some(index) = self.peer.handshake else { return Ok(()) };
        let lane = self.memory.handshakes.at(index).sound()?.lane(Epoch::Data);
        if lane.sent < lane.out_len { Ok(()) } else { self.drop_handshake() }
    }

    /// Takes the frames of a hello or handshake datagram of a protected conversation.
    pub(super) fn on_handshake_frames(&mut self, epoch: Epoch, frames: &[u8]) -> Result<(), Fault> {
        self.peer.received_at = self.now;
        for frame in Frames::new(frames) {
            let frame = frame.map_err(|_| Fault::Violation(CloseCode::Malformed))?;
            if let Frame::Handshake { offset, data } = frame {
                self.on_handshake(epoch, offset, data)?;
            } else if let Frame::HandshakeAck { epoch: acked, offset } = frame
                // What an epoch that proves nothing says of one that does is not believed.
                && acked as u8 <= epoch as u8
            {
                self.on_handshake_ack(acked, offset)?;
            }
        }
        Ok(())
    }

    /// Returns when the handshake acts next.
    pub(super) fn handshake_deadline(&self) -> Option<Instant> {
        let handshake = self.memory.handshakes.at(self.peer.handshake?)?;
        let is_opening = matches!(self.peer.stage, Stage::Opening(_));
        (is_opening || handshake.is_open()).then_some(handshake.next_at)
    }

    /// Says whether a datagram of the handshake is to be sent at once.
    #[inline(always)]
    pub(super) fn is_handshake_due(&self) -> bool {
        self.peer.handshake.is_some_and(|index| self.has_handshake_octets(index))
    }

    #[cold]
    fn has_handshake_octets(&self, index: u32) -> bool {
        let Some(handshake) = self.memory.handshakes.at(index) else { return false };
        [Epoch::Hello, Epoch::Handshake].into_iter().any(|epoch| handshake.is_due(epoch) && self.is_epoch_ready(epoch))
    }

    /// Says whether datagrams of an epoch can be sealed.
    fn is_epoch_ready(&self, epoch: Epoch) -> bool {
        self.keyring.route_of(self.index).is_ok_and(|route| self.keyring.crypto().is_ready(route, epoch))
    }
}

fn alert(_: Alert) -> Fault {
    Fault::Violation(CloseCode::Crypto)
}

const EPOCHS: [Epoch; 3] = [Epoch::Hello, Epoch::Handshake, Epoch::Data];
const PIECE_LEN: usize = 1024;
const BACK_OFF_MAX: u32 = 6;
/// As often as hellos at least; a number we chose.
const HANDSHAKE_INTERVAL_MAX: Duration = Duration::from_secs(3);
/// The head of a HANDSHAKE frame.
const FRAME_HEAD_LEN: usize = 1 + 8 + 4;
