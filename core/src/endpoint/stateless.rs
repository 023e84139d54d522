//! Datagrams of the stateless epoch: those that we answer strangers with, and those that arrive (protocol §3.3).

use core::net::{IpAddr, SocketAddr};

use super::input::{Arrival, Rejected};
use super::scope::Scope;
use super::{Endpoint, Transmit};
use crate::ecn::Ecn;
use crate::memory::{Broken, Purpose};
use crate::outcome::Unknown;
use crate::peer::{Resume, Stage};
use crate::token::secrets_are_equal;
use crate::wire::{CloseCode, ConversationId, Epoch, Malformed, ResetToken, Side, Stateless, stateless};

impl Endpoint<'_> {
    /// Answers a datagram of an unknown conversation with a reset, so that the peer need not wait for its timeout
    /// (RFC 9000 §10.3). Shorter than what it answers, and never an answer to an answer. What another socket of the port would know
    /// is for that one to say (protocol §4.20).
    pub(super) fn answer_unknown(&mut self, arrival: Arrival, id: ConversationId, len: usize) {
        if len < stateless::RESET_TRIGGER_LEN_MIN || id.socket() != self.config.socket || !self.accepts() {
            return;
        }
        let token = self.tokens.reset_token(id);
        self.answer(arrival, &Stateless::Reset { id, token });
    }

    pub(super) fn on_unknown_version(&mut self, arrival: Arrival, to: ConversationId) -> Result<(), Rejected> {
        if self.accepts() {
            self.answer(arrival, &Stateless::Version { to, versions: stateless::Versions::OURS });
        }
        Err(Rejected::Malformed(Malformed::Version))
    }

    pub(super) fn answer(&mut self, arrival: Arrival, answer: &Stateless<'_>) {
        if self.answers.push(arrival, answer) {
            self.counters.stateless_answers += 1;
        }
    }

    /// Takes what a server answers without knowing us.
    pub(super) fn on_stateless(&mut self, arrival: Arrival, datagram: &[u8]) -> Result<(), Rejected> {
        match Stateless::decode(datagram)? {
            Stateless::Retry { to, answers, token } => self.on_retry(arrival, to, answers, token),
            Stateless::Reset { id, token } => self.on_reset_datagram(arrival, id, token),
            Stateless::Version { to, .. } => {
                let index = self.opening_at(arrival, to).ok_or(Rejected::Unknown)?;
                // It speaks no version of ours.
                self.with(index, |scope| scope.give_up_opening(Unknown::ConnectionLost));
                Ok(())
            }
        }
    }

    fn opening_at(&self, arrival: Arrival, id: ConversationId) -> Option<u32> {
        let index = self.find_conversation(id)?;
        let peer = self.peers.at(index)?;
        let is_there = self.paths.at(peer.path).is_some_and(|path| path.remote == arrival.from);
        (is_there && matches!(peer.stage, Stage::Opening(_))).then_some(index)
    }

    fn on_retry(&mut self, arrival: Arrival, to: ConversationId, answers: u64, token: &[u8]) -> Result<(), Rejected> {
        let index = self.opening_at(arrival, to).ok_or(Rejected::Unknown)?;
        // Under an id that went out with a token the server may have opened a conversation, and ended it since: nothing late of that
        // one, on either side, is to be taken for the next one's (protocol §3.3.3).
        let has_tried = self.peers.at(index).is_some_and(|peer| peer.ticket.is_some());
        let id = if has_tried { self.draw_id(index) } else { to };
        let result = self.with(index, |scope| scope.on_retry(id, answers, token));
        result.ok_or(Rejected::Violation(CloseCode::Internal))
    }

    fn on_reset_datagram(&mut self, arrival: Arrival, id: ConversationId, token: ResetToken) -> Result<(), Rejected> {
        let path = self.find_path(arrival.from).and_then(|path| self.paths.at(path)).ok_or(Rejected::Unknown)?;
        let found = path.peers.iter(&self.peers).find(|index| {
            self.peers.at(*index).is_some_and(|peer| peer.conversation.remote == id && peer.stage == Stage::Open)
        });
        let index = found.ok_or(Rejected::Unknown)?;
        let peer = self.peers.at(index).ok_or(Rejected::Unknown)?;
        let is_proven = peer.conversation.reset_token.is_some_and(|known| secrets_are_equal(&known.0, &token.0));
        if peer.side == Side::Server {
            // Only servers send resets, so this answers nothing that we sent as one.
            return Err(Rejected::Unknown);
        }
        if !is_proven && self.keyring.is_protected() {
            return Err(Rejected::NotAuthentic);
        }
        // The server has restarted or forgotten us; what it still knows shows when the session is resumed.
        let local = self.draw_id(index);
        self.with(index, |scope| scope.open(local, Resume::Yes));
        Ok(())
    }
}

impl Scope<'_, '_> {
    /// Takes a token, and says hello again with it at once, from the conversation id `id`.
    fn on_retry(&mut self, id: ConversationId, answers: u64, token: &[u8]) -> Result<(), Broken> {
        let Stage::Opening(mut opening) = self.peer.stage else { return Ok(()) };
        // A copy of an older retry, or of one that was taken already, says nothing about the hello of today.
        let is_news = answers >= u64::from(opening.hello_first) && answers < u64::from(opening.hello_count);
        if !is_news || opening.retry_count >= RETRY_COUNT_MAX {
            return Ok(());
        }
        if let Some(record) = opening.carried.take() {
            self.disown_carried(record)?;
        }
        self.keep_ticket(token, Purpose::Finish);
        self.peer.conversation.local = id;
        let behind = u64::from(opening.hello_count) - answers;
        if behind <= 4 {
            let sent_at = opening.sent_at[answers as usize % 4];
            self.on_answered(sent_at, core::time::Duration::ZERO);
        }
        opening.retry_count += 1;
        opening.hello_first = opening.hello_count;
        opening.next_at = self.now;
        self.peer.stage = Stage::Opening(opening);
        if let Some(handshake) = self.peer.handshake.and_then(|index| self.memory.handshakes.at_mut(index)) {
            if handshake.lane(Epoch::Hello).incoming.prefix > 0 {
                // Whoever asks for a token has forgotten the hello that it answered, or sees us elsewhere.
                let local = self.draw_id()?;
                return self.open(local, opening.resume);
            }
            handshake.rewind();
        }
        Ok(())
    }
}

/// Stateless answers that wait to be sent: a few, since who asks so fast is no honest client, and asks again.
#[derive(Debug)]
pub(super) struct Answers {
    waiting: [Option<Waiting>; ANSWER_COUNT_MAX],
    first: usize,
    count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    to: SocketAddr,
    from: Option<IpAddr>,
    octets: [u8; ANSWER_LEN_MAX],
    len: usize,
}

impl Answers {
    pub(super) const fn new() -> Self {
        Self { waiting: [None; ANSWER_COUNT_MAX], first: 0, count: 0 }
    }

    fn push(&mut self, arrival: Arrival, answer: &Stateless<'_>) -> bool {
        if self.count == ANSWER_COUNT_MAX {
            return false;
        }
        let mut octets = [0; ANSWER_LEN_MAX];
        let Ok(len) = answer.encode(&mut octets) else { return false };
        let place = (self.first + self.count) % ANSWER_COUNT_MAX;
        self.waiting[place] = Some(Waiting { to: arrival.from, from: arrival.to, octets, len });
        self.count += 1;
        true
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn pop(&mut self, out: &mut [u8]) -> Option<Transmit> {
        if self.is_empty() {
            return None;
        }
        let waiting = self.waiting[self.first].take()?;
        self.first = (self.first + 1) % ANSWER_COUNT_MAX;
        self.count -= 1;
        out[..waiting.len].copy_from_slice(&waiting.octets[..waiting.len]);
        Some(Transmit { to: waiting.to, from: waiting.from, ecn: Ecn::NotEct, len: waiting.len })
    }
}

const ANSWER_COUNT_MAX: usize = 64;
const ANSWER_LEN_MAX: usize = 96;
const RETRY_COUNT_MAX: u8 = 8;
