//! Protected conversations that move to another address: by challenge, so that nobody can be moved away (protocol §8).

use core::net::{IpAddr, SocketAddr};

use super::Endpoint;
use super::input::Arrival;
use super::scope::Scope;
use crate::crypto::{self};
use crate::memory::{Broken, Sound};
use crate::peer::Moving;
use crate::time::Instant;
use crate::wire::{Epoch, Frame, HELLO_LEN_MIN, ShortHeader, TruncatedNumber, Writer};

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
        match &mut self.peer.moving {
            Some(moving) if moving.address == arrival.from => {
                moving.received = moving.received.saturating_add(len as u64);
            }
            _ if is_newest => {
                self.peer.moving = Some(Moving {
                    address: arrival.from,
                    local: arrival.to,
                    data: self.random.octets(),
                    received: len as u64,
                    sent: 0,
                    next_at: self.now,
                    attempts: 0,
                    is_proven: false,
                });
            }
            _ => {}
        }
    }

    /// Takes the answer to a challenge: it proves the address if it comes from there.
    pub(super) fn on_response(&mut self, from: SocketAddr, data: [u8; 8]) {
        if let Some(moving) = &mut self.peer.moving {
            moving.is_proven |= moving.address == from && moving.data == data && moving.attempts > 0;
        }
    }

    /// Says whether something is to be sent aside at once.
    pub(super) fn has_aside(&self) -> bool {
        self.peer.response.is_some() || self.peer.moving.is_some_and(|moving| moving.next_at <= self.now)
    }

    /// Returns when the challenge is repeated or given up.
    pub(super) fn moving_deadline(&self) -> Option<Instant> {
        self.peer.moving.map(|moving| moving.next_at)
    }

    /// Builds the next challenge, or the answer to one.
    pub(super) fn build_aside(&mut self, out: &mut [u8]) -> Result<Option<Aside>, Broken> {
        if let Some((to, from, data)) = self.peer.response.take() {
            let len = self.build_path_frame(Frame::Response(data), HELLO_LEN_MIN, out)?;
            return Ok(Some(Aside { len, to, from }));
        }
        let Some(mut moving) = self.peer.moving.filter(|moving| moving.next_at <= self.now) else { return Ok(None) };
        if moving.attempts == CHALLENGE_COUNT_MAX {
            self.peer.moving = None;
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
        self.peer.moving = Some(moving);
        Ok((len > 0).then_some(Aside { len, to: moving.address, from: moving.local }))
    }

    /// Builds a datagram with one frame, padded to `len`. It is not entered into the books: the challenge has a timer of its own.
    fn build_path_frame(&mut self, frame: Frame<'_>, len: usize, out: &mut [u8]) -> Result<usize, Broken> {
        let number = self.peer.conversation.take_number(self.random);
        let unacked = self.peer.conversation.largest_acked.map_or(0, |largest| largest + 1).min(number);
        let truncated = TruncatedNumber::new(number, unacked).sound()?;
        let tag_len = crypto::tag_len(self.crypto, Epoch::Data);
        let mut writer = Writer::new(&mut out[..len - tag_len]);
        let header = ShortHeader { to: self.peer.conversation.remote };
        header.encode(self.peer.conversation.keys.phase(), truncated, &mut writer).map_err(|_| Broken)?;
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
        let Some(moving) = scope.peer.moving.filter(|moving| moving.is_proven) else { return Ok(()) };
        scope.peer.moving = None;
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
