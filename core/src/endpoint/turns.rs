//! Turns: which peer's datagram goes out next.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::Endpoint;
use super::scope::Scope;
use crate::ecn::Ecn;
use crate::memory::{Broken, Sound};
use crate::path::Path;
use crate::peer::{self, Peer, Stage};
use crate::time::Instant;
use crate::wire::Side;

/// A datagram to send, written to the start of the buffer that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Transmit {
    /// Where it goes.
    pub to: SocketAddr,
    /// The local address that it must come from: of a server, the one that it was asked at, if that is known.
    pub from: Option<IpAddr>,
    /// The codepoint that it is marked with.
    pub ecn: Ecn,
    /// Its length in octets.
    pub len: usize,
}

impl Endpoint<'_> {
    /// Returns the next datagram to send, written to the start of `out`.
    ///
    /// Writes at most `Config::datagram_len_max` octets. `None` until the next input, command or deadline.
    ///
    /// # Panics
    /// If `out` is shorter than `Config::datagram_len_max`.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        assert!(out.len() >= self.config.datagram_len_max, "the buffer holds the longest datagram");
        self.advance(now);
        self.note_under_way();
        // Asked once more after each input and command than there is something.
        if self.has_transmit() { self.next_transmit(&mut out[..self.config.datagram_len_max]) } else { None }
    }

    #[inline(never)]
    fn next_transmit(&mut self, out: &mut [u8]) -> Option<Transmit> {
        if self.rate_deadline().is_some_and(|at| at > self.now) {
            return None;
        }
        let transmit = self.answers.pop(out).or_else(|| self.next_datagram(out))?;
        self.counters.datagrams_sent += 1;
        self.counters.octets_sent += transmit.len as u64;
        if let Some(rate) = self.config.rate_max {
            let nanos = transmit.len as u64 * 1_000_000_000 / rate.max(1);
            self.rate_free_at = self.rate_free_at.max(self.now).saturating_add(Duration::from_nanos(nanos));
        }
        Some(transmit)
    }

    /// Returns when the endpoint's own rate lets the next datagram out; a millisecond's worth may leave at once.
    pub(super) fn rate_deadline(&self) -> Option<Instant> {
        self.config.rate_max.map(|_| self.rate_free_at.saturating_sub(RATE_BURST))
    }

    /// Says whether [`Endpoint::poll_transmit`] may have a datagram: for a loop that lets several commands share one.
    ///
    /// Any command and any input can make it so, those that are refused as well.
    #[must_use]
    pub fn has_transmit(&mut self) -> bool {
        self.set_places();
        self.has_turn() || !self.answers.is_empty() || self.can_feed()
    }

    /// Says whether it is the turn of some peer.
    pub(super) fn has_turn(&self) -> bool {
        !self.ready.is_empty() || (!self.crowded.is_empty() && self.memory.has_room_in_flight())
    }

    /// Builds the next datagram of the peer whose turn it is.
    fn next_datagram(&mut self, out: &mut [u8]) -> Option<Transmit> {
        // Whatever it was that has made room, this is where it can be told.
        self.feed_starved();
        loop {
            while let Some(index) = self.next_turn() {
                let transmitted = self.transmit(index, out);
                self.move_deadline(index);
                match transmitted {
                    Ok(Some((transmit, More::No))) => {
                        self.leave_turns(index);
                        return Some(transmit);
                    }
                    Ok(Some((transmit, More::Perhaps))) => {
                        // To the back: peers take turns.
                        self.ready.remove(&mut self.peers, index);
                        self.ready.push_back(&mut self.peers, index);
                        return Some(transmit);
                    }
                    Ok(None) => self.end_turns(index),
                    Err(Broken) => self.break_off(index),
                }
            }
            // Who turned out to want no credit makes way for who waits behind.
            if !self.can_feed() {
                return None;
            }
            self.feed_starved();
        }
    }

    /// Returns whose turn it is: who has waited for room goes first, or those who take it as it comes would keep it.
    fn next_turn(&mut self) -> Option<u32> {
        self.set_places();
        if let Some(index) = self.crowded.front()
            && self.memory.has_room_in_flight()
        {
            self.leave_turns(index);
            self.ready.push_front(&mut self.peers, index);
        }
        self.ready.front()
    }

    /// Gives a peer no turn until it has something to send; if only room is missing, until there is some.
    fn end_turns(&mut self, index: u32) {
        self.leave_turns(index);
        let is_crowded = !self.memory.has_room_in_flight()
            && self.scope(index).is_ok_and(|scope| scope.peer.stage == Stage::Open && scope.has_work());
        if is_crowded && let Some(peer) = self.peers.at_mut(index) {
            peer.is_crowded = true;
            self.crowded.push_back(&mut self.peers, index);
        }
    }

    /// Takes a peer off the list of those who take turns, or of those who wait for room.
    pub(super) fn leave_turns(&mut self, index: u32) {
        let Some(peer) = self.peers.at_mut(index).filter(|peer| peer.ready.is_linked()) else { return };
        let list = if core::mem::take(&mut peer.is_crowded) { &mut self.crowded } else { &mut self.ready };
        list.remove(&mut self.peers, index);
    }

    /// Lets the peers go on that wait for the window of a path, when there is room: it is one of them that has made it.
    #[inline]
    pub(super) fn wake_path(&mut self, path: u32) {
        let has_made_room = |entry: &&mut Path| entry.is_full && entry.has_room();
        if let Some(entry) = self.paths.at_mut(path).filter(has_made_room) {
            entry.is_full = false;
            self.wake_peers(path);
        }
    }

    fn wake_peers(&mut self, path: u32) {
        let mut place = self.paths.at(path).and_then(|entry| entry.peers.front());
        while let Some(index) = place {
            place = self.paths.at(path).and_then(|entry| entry.peers.next(&self.peers, index));
            self.give_turn(index);
        }
    }

    /// Gives a peer a turn if it has none and wants one: what needs no room, as an acknowledgement, goes out although the rest waits
    /// for some.
    pub(super) fn give_turn(&mut self, index: u32) {
        let has_turn = self.peers.at(index).is_some_and(Peer::has_turn);
        if !has_turn && self.wants_to_send(index) {
            self.leave_turns(index);
            self.ready.push_back(&mut self.peers, index);
        }
    }

    /// Lets others probe with a peer: those who wait for the window of its path, and who has waited longest for a frame to be booked.
    /// What fills the window or holds the frames may stay unacknowledged for want of the very credit that waits.
    pub(super) fn share_probes(&mut self, index: u32) {
        let Some(peer) = self.peers.at(index).filter(|peer| peer.conversation.probes_due > 0) else { return };
        let path = peer.path;
        if let Some(index) = self.crowded.front()
            && !self.memory.has_frame_room()
        {
            self.end_turns(index);
            self.grant_probe(index);
        }
        let mut place = self.paths.at(path).filter(|entry| entry.is_full).and_then(|entry| entry.peers.front());
        while let Some(index) = place {
            place = self.paths.at(path).and_then(|entry| entry.peers.next(&self.peers, index));
            self.grant_probe(index);
        }
    }

    /// Gives a peer a turn whatever it waits for, if it has something to send, and nothing in flight whose timer would do so.
    fn grant_probe(&mut self, index: u32) {
        let Ok(scope) = self.scope(index) else { return };
        if scope.peer.stage == Stage::Open && scope.peer.conversation.eliciting_count == 0 && scope.has_work() {
            scope.peer.conversation.probes_due = 1;
            self.give_turn(index);
        }
    }

    pub(super) fn wants_to_send(&mut self, index: u32) -> bool {
        self.scope(index).is_ok_and(|scope| scope.wants_to_send())
    }

    fn transmit(&mut self, index: u32, out: &mut [u8]) -> Result<Option<(Transmit, More)>, Broken> {
        let peer = self.peers.at(index).sound()?;
        let is_worn_out = peer.conversation.keys.as_ref().is_some_and(|keys| keys.is_worn_out(self.now));
        if is_worn_out && matches!(peer.stage, Stage::Open | Stage::Closing(_)) {
            if peer.stage == Stage::Open {
                self.lose_contact(index);
            }
            return Ok(None);
        }
        let mut scope = self.scope(index)?;
        let built = match scope.peer.stage {
            Stage::Securing => scope.build_handshake(out)?.map(|len| (len, Ecn::NotEct)),
            Stage::Opening(_) if scope.peer.handshake.is_some() => {
                scope.build_handshake(out)?.map(|len| (len, Ecn::NotEct))
            }
            Stage::Opening(_) => scope.build_hello(out)?.map(|len| (len, Ecn::NotEct)),
            Stage::Open if scope.is_handshake_due() => scope.build_handshake(out)?.map(|len| (len, Ecn::NotEct)),
            Stage::Open if scope.has_aside() => {
                if let Some(aside) = scope.build_aside(out)? {
                    let transmit = Transmit { to: aside.to, from: aside.from, ecn: Ecn::NotEct, len: aside.len };
                    return Ok(Some((transmit, More::Perhaps)));
                }
                scope.build_data(out)?.map(|built| (built.len, built.ecn))
            }
            Stage::Open if scope.peer.notices & peer::Notices::ANSWER != 0 => {
                Some((scope.build_answer(out)?, Ecn::NotEct))
            }
            Stage::Open => scope.build_data(out)?.map(|built| (built.len, built.ecn)),
            Stage::Closing(_) => scope.build_close(out)?.map(|len| (len, Ecn::NotEct)),
            Stage::Idle | Stage::Suspended | Stage::Draining { .. } => None,
        };
        let Some((len, ecn)) = built else { return Ok(None) };
        let from = match scope.peer.side {
            // It is expected to come from where it was asked, and the system may have several addresses.
            Side::Server => scope.path.local,
            // The one that it came from so far may be gone.
            Side::Client => None,
        };
        // Beside what fills its datagram, a probe for a longer one may go.
        let more = if scope.path.is_filled || scope.wants_to_send() { More::Perhaps } else { More::No };
        Ok(Some((Transmit { to: scope.path.remote, from, ecn, len }, more)))
    }
}

/// Whether a peer that has just sent has more to send.
enum More {
    No,
    Perhaps,
}

impl Scope<'_, '_> {
    /// Says whether there is something to send, though there may be no room for it.
    fn wants_to_send(&self) -> bool {
        match self.peer.stage {
            Stage::Securing => self.is_handshake_due(),
            Stage::Opening(_) if self.peer.handshake.is_some() => self.is_handshake_due(),
            Stage::Opening(opening) => opening.next_at <= self.now,
            Stage::Open => {
                self.peer.notices != 0
                    || self.is_handshake_due()
                    || self.has_aside()
                    || self.has_work()
                    || self.peer.conversation.ack.is_due(self.now)
            }
            Stage::Closing(closing) => closing.is_due,
            Stage::Idle | Stage::Suspended | Stage::Draining { .. } => false,
        }
    }
}

/// What the rate of the endpoint lets out at once.
const RATE_BURST: Duration = Duration::from_millis(1);
