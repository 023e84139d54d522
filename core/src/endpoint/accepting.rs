//! Conversations that clients open: from the hello to the session.

use core::net::{IpAddr, SocketAddr};

use super::Endpoint;
use super::input::{Arrival, Asked, Rejected, internal};
use super::scope::{Fault, Scope};
use crate::crypto::{Generation, Plain, open_datagram, unmask_header};
use crate::memory::{Broken, Purpose, Sound};
use crate::peer::{self, Code, Notices, Stage, Ticket};
use crate::session::Session;
use crate::token::{TOKEN_LEN, TicketRefused, Token, TokenKind, resume_proof, secrets_are_equal};
use crate::wire::check::{Carrier, check};
use crate::wire::{
    ConversationId, Epoch, Frame, Frames, Malformed, Parameters, ResetToken, Seq, SessionOutcome, SessionSecret, Side,
    Stateless,
};

impl<'s> Endpoint<'s> {
    /// Takes a client's hello.
    pub(super) fn on_hello(
        &mut self,
        arrival: Arrival,
        from: ConversationId,
        token: &Ticket,
        datagram: &mut [u8],
        number_offset: usize,
    ) -> Result<(), Rejected> {
        if !self.accepts() {
            return Err(Rejected::Unknown);
        }
        let field = unmask_header(&Plain, 0, Epoch::Hello, datagram, number_offset)?;
        let number = field.number.expand(None);
        let len = datagram.len();
        let frames = open_datagram(&Plain, 0, Epoch::Hello, Generation::Current, number, datagram, field.frames_offset)
            .map_err(|_| Rejected::NotAuthentic)?;
        let carrier = Carrier { epoch: Epoch::Hello, sender: Side::Client, datagram_len: len };
        check(frames, carrier).map_err(|violation| match violation {
            crate::wire::Violation::Malformed(malformed) => Rejected::Malformed(malformed),
            _ => Rejected::Malformed(Malformed::UnknownFrame),
        })?;
        if let Some(index) = self.find_hello(arrival.from, from) {
            return self.on_hello_repeated(index, number, frames);
        }
        let is_at_limit = self.session_count(arrival.from.ip()) >= self.config.session_count_per_address_max;
        if is_at_limit && resume_in(frames).is_none_or(|resume| self.find_session(resume, from).is_none()) {
            // Before its token is used up: nobody else is to go short of the memory for them.
            return Err(Rejected::NoRoom);
        }
        let Some(session) = self.check_token(arrival.from, token)? else {
            self.retry(arrival, from, number);
            return Ok(());
        };
        self.accept_hello(arrival, from, session, number, frames)
    }

    /// Finds the conversation that an earlier copy of a hello opened.
    fn find_hello(&self, address: SocketAddr, from: ConversationId) -> Option<u32> {
        let path = self.paths.at(self.find_path(address)?)?;
        path.peers.iter(&self.peers).find(|index| {
            self.peers.at(*index).is_some_and(|peer| {
                peer.side == Side::Server
                    && matches!(peer.stage, Stage::Open | Stage::Securing)
                    && peer.conversation.remote == from
            })
        })
    }

    fn on_hello_repeated(&mut self, index: u32, number: u64, frames: &[u8]) -> Result<(), Rejected> {
        if self.keyring.is_protected() {
            return self.on_secured_frames(index, Epoch::Hello, frames);
        }
        let applied = self.apply_hello(index, number, frames);
        self.settle(index);
        applied
    }

    /// Says which session a token opens, if it is good and was not used before (protocol §4.3).
    fn check_token(&mut self, address: SocketAddr, token: &Ticket) -> Result<Option<u64>, Rejected> {
        let Some(token) = self.tokens.open(self.now, address, token.octets()) else { return Ok(None) };
        match (self.used_tickets.insert(self.now, &token), token.kind) {
            (Ok(()), _) => Ok(Some(token.session)),
            // Another token would find no room either; unanswered, the hello comes again.
            (Err(TicketRefused::Full), TokenKind::Retry) => Err(Rejected::NoRoom),
            (Err(_), _) => Ok(None),
        }
    }

    /// Answers a hello without a good token: no state is kept (protocol §4.3).
    fn retry(&mut self, arrival: Arrival, to: ConversationId, number: u64) {
        let token = Token { kind: TokenKind::Retry, issued_at: self.now, session: self.random.u64() };
        let token = self.tokens.seal(&token, arrival.from);
        self.answer(arrival, &Stateless::Retry { to, answers: number, token: &token });
    }

    /// Opens a conversation for a hello whose token is good.
    fn accept_hello(
        &mut self,
        arrival: Arrival,
        remote: ConversationId,
        session: u64,
        number: u64,
        frames: &[u8],
    ) -> Result<(), Rejected> {
        if self.keyring.is_protected() {
            return self.accept_protected(arrival, remote, session, frames);
        }
        let parameters = Frames::new(frames).find_map(|frame| match frame {
            Ok(Frame::Parameters(items)) => Some(Parameters::decode(items)),
            _ => None,
        });
        let parameters = parameters.unwrap_or(Err(Malformed::Form))?;
        let resume = resume_in(frames);
        let known = resume.and_then(|resume| self.find_session(resume, remote));
        let (index, outcome) = match known {
            Some(index) => {
                self.rejoin(index, arrival.from, arrival.to).map_err(internal)?;
                (index, SessionOutcome::Resumed)
            }
            None => {
                let outcome = if resume.is_some() { SessionOutcome::Unknown } else { SessionOutcome::Opened };
                (self.accept_peer(arrival, session)?, outcome)
            }
        };
        let mut scope = self.begin_conversation(index, arrival, remote).map_err(internal)?;
        scope.peer.stage = Stage::Open;
        scope.peer.outcome = outcome;
        scope.adopt(parameters).map_err(internal)?;
        if outcome == SessionOutcome::Resumed {
            scope.announce_anew().map_err(internal)?;
        }
        scope.peer.news |= peer::News::CONNECTED;
        let applied = self.apply_hello(index, number, if resume.is_some() { &[] } else { frames });
        self.settle(index);
        applied
    }

    /// Opens a protected conversation: the handshake begins, and the session with it.
    fn accept_protected(
        &mut self,
        arrival: Arrival,
        remote: ConversationId,
        session: u64,
        frames: &[u8],
    ) -> Result<(), Rejected> {
        let index = self.accept_peer(arrival, session)?;
        let mut scope = self.begin_conversation(index, arrival, remote).map_err(internal)?;
        scope.peer.stage = Stage::Securing;
        if scope.start_handshake().is_err() {
            if self.remove_peer(index).is_err() {
                self.counters.broken += 1;
            }
            return Err(Rejected::NoRoom);
        }
        self.on_secured_frames(index, Epoch::Hello, frames)
    }

    /// Gives a peer a new conversation with a client, and keeps the ticket and the reset token that the answer brings.
    fn begin_conversation(
        &mut self,
        index: u32,
        arrival: Arrival,
        remote: ConversationId,
    ) -> Result<Scope<'_, 's>, Broken> {
        let id = self.draw_id(index);
        let (ticket, reset_token) = self.ticket_for(index, id)?;
        let mut scope = self.scope(index)?;
        scope.peer.begun_at = scope.now;
        // What the conversation before waited for in vain would end this one at once.
        scope.peer.awaiting_since = None;
        scope.peer.conversation = scope.new_conversation(id, remote);
        scope.peer.conversation.reset_token = Some(reset_token);
        scope.keep_ticket(&ticket, Purpose::Arrive);
        scope.peer.side = Side::Server;
        scope.path.local = arrival.to.or(scope.path.local);
        Ok(scope)
    }

    /// Takes a slot for the peer of a session that a token opens.
    fn accept_peer(&mut self, arrival: Arrival, session: u64) -> Result<u32, Rejected> {
        if self.session_count(arrival.from.ip()) >= self.config.session_count_per_address_max {
            return Err(Rejected::NoRoom);
        }
        let key = self.add_peer(arrival.from, arrival.to).ok_or(Rejected::NoRoom)?;
        let secret = SessionSecret(self.random.octets());
        let (incarnation, credit) = (self.incarnation, self.config.credit);
        let peer = self.peers.at_mut(key.index()).ok_or(Rejected::NoRoom)?;
        peer.session = Session::new(session_id(session, key.index()), incarnation, secret, credit);
        peer.is_refusing = self.is_draining;
        Ok(key.index())
    }

    /// Finds a session that a client proves to be its own: an index and a compare.
    fn find_session(&self, (session, proof): (u64, [u8; 16]), id: ConversationId) -> Option<u32> {
        let index = session as u32 & SLOT_MASK;
        let peer = self.peers.at(index)?;
        let is_there = peer.session.id == session
            && peer.side == Side::Server
            && matches!(peer.stage, Stage::Open | Stage::Suspended);
        (is_there && secrets_are_equal(&resume_proof(&peer.session.secret, id), &proof)).then_some(index)
    }

    /// Answers a client that asks on a protected conversation for the session that it had (protocol §4.16). Returns the peer whose
    /// conversation it is from here on.
    pub(super) fn decide(&mut self, index: u32, asked: &Asked) -> Result<u32, Broken> {
        let remote = self.peers.at(index).sound()?.conversation.remote;
        let found = self.find_session((asked.session, asked.proof), remote).filter(|old| *old != index);
        let known = found.filter(|old| self.is_same_identity(*old, index));
        if let Some(old) = known {
            if self.began_later(old, index) {
                // The client has left this conversation for the one that the session is in: its question came late.
                self.remove_peer(index)?;
                return Ok(old);
            }
            self.take_over(old, index)?;
        }
        let index = known.unwrap_or(index);
        let peer = self.peers.at_mut(index).sound()?;
        peer.is_undecided = false;
        peer.is_untold = true;
        peer.outcome = if known.is_some() { SessionOutcome::Resumed } else { SessionOutcome::Unknown };
        peer.hello_number = u32::try_from(asked.number).unwrap_or(u32::MAX);
        peer.notices |= Notices::SETTLED;
        peer.news |= peer::News::CONNECTED;
        Ok(index)
    }

    /// Says whether two conversations are with the same one: a secret that was stolen opens nothing for another identity.
    fn is_same_identity(&self, a: u32, b: u32) -> bool {
        let (Ok(a), Ok(b)) = (self.keyring.route_of(a), self.keyring.route_of(b)) else { return false };
        let crypto = self.keyring.crypto();
        crypto.peer_identity(a) == crypto.peer_identity(b)
    }

    /// Says whether the first of two conversations began later than the second.
    fn began_later(&self, a: u32, b: u32) -> bool {
        let began_at = |index| self.peers.at(index).map(|peer| peer.begun_at);
        began_at(a) > began_at(b)
    }

    /// Lets a session go on in the conversation of another slot, which is given up.
    fn take_over(&mut self, session: u32, conversation: u32) -> Result<(), Broken> {
        let path = self.scope(conversation)?.path;
        let (remote, local) = (path.remote, path.local);
        self.rejoin(session, remote, local)?;
        let [peer, other] = self.peers.both_mut([session, conversation]).sound()?;
        peer.swap_conversations(other);
        self.keyring.routes.swap(session, conversation);
        self.remove_peer(conversation)?;
        let mut scope = self.scope(session)?;
        scope.peer.stage = Stage::Open;
        scope.adopt(scope.peer.parameters)?;
        scope.announce_anew()
    }

    /// Moves a session that is resumed to the path that the client comes from.
    fn rejoin(&mut self, index: u32, remote: SocketAddr, local: Option<IpAddr>) -> Result<(), Broken> {
        self.scope(index)?.lose_all()?;
        self.move_peer(index, remote, local)
    }

    fn session_count(&self, ip: IpAddr) -> usize {
        self.by_address
            .candidates(self.address_hash(ip))
            .filter_map(|path| self.paths.at(path))
            .filter(|path| path.remote.ip() == ip)
            .map(|path| path.peers.iter(&self.peers).count())
            .sum()
    }

    /// Applies what a hello carries, and has it answered. Repetitions change nothing: every exchange has its number.
    fn apply_hello(&mut self, index: u32, number: u64, frames: &[u8]) -> Result<(), Rejected> {
        let mut scope = self.scope(index).map_err(internal)?;
        let now = scope.now;
        scope.peer.received_at = now;
        for frame in Frames::new(frames) {
            let frame = frame?;
            let applied = if let Frame::Data(data) = frame {
                scope.on_data(&data)
            } else if let Frame::Retired(retired) = frame {
                scope.on_retired(&retired)
            } else if let Frame::Cancel { seq: Seq(seq) } = frame {
                scope.on_cancel(seq)
            } else {
                Ok(())
            };
            match applied {
                Ok(()) => {}
                // Unanswered, the hello comes again.
                Err(Fault::NoRoom) => return Err(Rejected::NoRoom),
                Err(Fault::Violation(code)) => {
                    self.close_with(index, Code::Protocol(code));
                    return Err(Rejected::Violation(code));
                }
            }
        }
        // A number of at most four octets (protocol §3.6).
        scope.peer.hello_number = number as u32;
        scope.peer.notices |= Notices::ANSWER;
        Ok(())
    }

    /// Makes the ticket and the reset token that the answer to a hello carries.
    fn ticket_for(&mut self, index: u32, id: ConversationId) -> Result<([u8; TOKEN_LEN], ResetToken), Broken> {
        let token = Token { kind: TokenKind::Ticket, issued_at: self.now, session: self.random.u64() };
        let scope = self.scope(index)?;
        let remote = scope.path.remote;
        Ok((self.tokens.seal(&token, remote), self.tokens.reset_token(id)))
    }
}

/// Returns the session that a hello resumes, and the proof that it may.
fn resume_in(frames: &[u8]) -> Option<(u64, [u8; 16])> {
    Frames::new(frames).find_map(|frame| match frame {
        Ok(Frame::Resume { session, proof }) => Some((session, proof)),
        _ => None,
    })
}

/// Makes the id of a session: 40 bits of what was drawn with its token, and the slot, so that it is found without a search.
/// What keeps it from others is its secret.
const fn session_id(drawn: u64, index: u32) -> u64 {
    drawn & !(SLOT_MASK as u64) | index as u64
}

/// A slot has 24 bits, as in a conversation id (protocol §4.1).
const SLOT_MASK: u32 = 0xff_ffff;
