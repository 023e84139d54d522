//! Protected conversations that move to another address: by challenge, so that nobody can be moved away (protocol §8).

use core::net::{IpAddr, SocketAddr};

use super::Endpoint;
use super::input::Arrival;
use super::scope::Scope;
use crate::crypto::{self};
use crate::memory::{Broken, Sound};
use crate::peer::{Moving, Place, Response};
use crate::time::Instant;
use crate::wire::{Epoch, Frame, HELLO_LEN_MIN, Writer};

/// A datagram for another address than that of the path.
pub(super) struct Aside {
    pub(super) len: usize,
    pub(super) to: SocketAddr,
    pub(super) from: Option<IpAddr>,
}

impl Scope<'_, '_> {
    /// Takes note of an authentic datagram from an address that the conversation has not moved to.
    ///
    /// Only the newest datagram starts a challenge: an old one that was held back moves nobody (RFC 9000 §9.3).
    pub(super) fn on_elsewhere(&mut self, arrival: Arrival, is_newest: bool, len: usize) {
        if let Some(moving) = self.moving_mut()
            && moving.address == arrival.from
        {
            moving.received = moving.received.saturating_add(len as u64);
            return;
        }
        // Nothing goes out before what asks for the session (protocol §4.16).
        if !is_newest || self.is_asking() {
            return;
        }
        let moving = Moving {
            address: arrival.from,
            local: arrival.to,
            data: self.random.octets(),
            received: len as u64,
            sent: 0,
            next_at: self.now,
            attempts: 0,
            is_proven: false,
        };
        match self.moving_mut() {
            Some(earlier) => *earlier = moving,
            // Without room for one more, a later datagram from there finds some.
            None => self.peer.moving = self.memory.moves.insert(moving).map(|key| key.index()),
        }
    }

    /// Takes a challenge. The newest is answered, once, to where it came from (RFC 9000 §8.2.2): the path, or the address that
    /// is itself challenged.
    pub(super) fn on_challenge(&mut self, arrival: Arrival, data: [u8; 8]) {
        if self.is_asking() {
            return;
        }
        let from = if arrival.from == self.path.remote { Place::Path } else { Place::Elsewhere };
        if from == Place::Path || self.moving().is_some_and(|moving| moving.address == arrival.from) {
            self.peer.response = Some(Response { data, local: arrival.to, from });
        }
    }

    /// Takes the answer to a challenge: it proves the address if it comes from there.
    pub(super) fn on_response(&mut self, from: SocketAddr, data: [u8; 8]) {
        if let Some(moving) = self.moving_mut() {
            moving.is_proven |= moving.address == from && moving.data == data && moving.attempts > 0;
        }
    }

    /// Says whether something is to be sent aside at once.
    pub(super) fn has_aside(&self) -> bool {
        self.peer.response.is_some() || self.moving().is_some_and(|moving| moving.next_at <= self.now)
    }

    /// Returns when the challenge is repeated or given up.
    pub(super) fn moving_deadline(&self) -> Option<Instant> {
        self.moving().filter(|_| !self.peer.has_turn()).map(|moving| moving.next_at)
    }

    /// Builds the next challenge, or the answer to one.
    pub(super) fn build_aside(&mut self, out: &mut [u8]) -> Result<Option<Aside>, Broken> {
        if let Some(Response { data, local, from }) = self.peer.response.take() {
            let to = match from {
                Place::Path => Some(self.path.remote),
                Place::Elsewhere => self.moving().map(|moving| moving.address),
            };
            // An address that was given up in between gets no answer.
            let Some(to) = to else { return Ok(None) };
            let len = self.build_path_frame(Frame::Response(data), HELLO_LEN_MIN, out)?;
            return Ok(Some(Aside { len, to, from: local }));
        }
        let Some(mut moving) = self.moving().filter(|moving| moving.next_at <= self.now).copied() else {
            return Ok(None);
        };
        if moving.attempts == CHALLENGE_COUNT_MAX {
            self.stop_moving()?;
            return Ok(None);
        }
        // At most three times what came from there (RFC 9000 §8.2.1, §9.3).
        let room = moving.received.saturating_mul(3).saturating_sub(moving.sent);
        let wait = self.path.rtt.probe_timeout(self.peer.parameters.ack_delay_max);
        moving.next_at = self.now.saturating_add(wait.saturating_mul(1 << moving.attempts.min(4)));
        moving.attempts += 1;
        let len_max = usize::try_from(room).unwrap_or(usize::MAX).min(HELLO_LEN_MIN);
        let len = if len_max >= CHALLENGE_LEN {
            self.build_path_frame(Frame::Challenge(moving.data), len_max, out)?
        } else {
            0
        };
        moving.sent += len as u64;
        *self.moving_mut().sound()? = moving;
        Ok((len > 0).then_some(Aside { len, to: moving.address, from: moving.local }))
    }

    /// Ends a move, whether it came to its end or not.
    pub(super) fn stop_moving(&mut self) -> Result<(), Broken> {
        let Some(index) = self.peer.moving.take() else { return Ok(()) };
        self.memory.moves.vacate(index).sound()
    }

    fn moving(&self) -> Option<&Moving> {
        self.memory.moves.at(self.peer.moving?)
    }

    fn moving_mut(&mut self) -> Option<&mut Moving> {
        self.memory.moves.at_mut(self.peer.moving?)
    }

    /// Builds a datagram with one frame, padded to `len`. It is not entered into the books: the challenge has a timer of its own.
    fn build_path_frame(&mut self, frame: Frame<'_>, len: usize, out: &mut [u8]) -> Result<usize, Broken> {
        let tag_len = crypto::tag_len(self.keyring.crypto(), Epoch::Data);
        let mut writer = Writer::new(&mut out[..len - tag_len]);
        let number = self.begin_datagram(&mut writer).sound()?;
        frame.encode(&mut writer).map_err(|_| Broken)?;
        if writer.room() > 0 {
            Frame::Padding { len: writer.room() }.encode(&mut writer).map_err(|_| Broken)?;
        }
        self.seal(number, &mut out[..len])?;
        Ok(len)
    }
}

impl Endpoint<'_> {
    /// Moves a conversation to an address that has proven itself.
    ///
    /// Round-trip time, window and path MTU begin anew, unless only the port has changed: then it is the same path behind
    /// another mapping (RFC 9000 §9.4).
    pub(super) fn finish_move(&mut self, index: u32) -> Result<(), Broken> {
        let mut scope = self.scope(index)?;
        let Some(moving) = scope.moving().filter(|moving| moving.is_proven).copied() else { return Ok(()) };
        scope.lose_all()?;
        let known = (scope.path.remote.ip() == moving.address.ip()).then(|| scope.path.estimates());
        scope.peer.conversation.ecn.on_path_change();
        self.move_peer(index, moving.address, moving.local)?;
        let scope = self.scope(index)?;
        if let Some(known) = known {
            scope.path.adopt(known);
        }
        scope.path.mtu.on_peer_limit(usize::from(scope.peer.parameters.datagram_len_max));
        Ok(())
    }
}

/// A challenge is repeated so often before the address is given up.
const CHALLENGE_COUNT_MAX: u8 = 4;
/// A datagram with a challenge is at least so long: header, frame, tag.
const CHALLENGE_LEN: usize = 64;
