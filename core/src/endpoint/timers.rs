//! Time that passes.

use core::time::Duration;

use super::Endpoint;
use super::scope::{Fault, Scope};
use crate::exchange::{Brief, News, Notices, Party, Stage as ExchangeStage};
use crate::lane::Lane;
use crate::memory::{Broken, Sound};
use crate::outcome::Unknown;
use crate::peer::{self, Closing, Code, Resume, Stage};
use crate::time::{Instant, earliest, nanos};
use crate::wire::{
    CloseCode, Epoch, Frame, NotExecuted, ResetReason, Role, Side, Writer,
    frame::{self, Closer},
};

impl Endpoint<'_> {
    /// Acts on everything whose time has come. Afterwards [`Endpoint::poll_timeout`] lies later than `now`, or is `None`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.set_places();
        self.set_deadline();
        self.advance(now);
        let now = self.now;
        self.timed_out_at = now;
        self.sweep();
        while let Some(index) = self.memory.pop_due(now) {
            if let Some(peer) = self.memory.exchanges.at(index).map(|exchange| exchange.peer) {
                self.with(peer, |scope| scope.on_call_deadline(index));
            }
        }
        while let Some(index) = self.peer_deadlines.pop_due(now) {
            self.on_peer_timeout(index);
        }
    }

    fn on_peer_timeout(&mut self, index: u32) {
        let now = self.now;
        let Some(peer) = self.peers.at(index) else { return };
        match peer.stage {
            Stage::Closing(Closing { until, .. }) | Stage::Draining { until } if until <= now => {
                // The application is told before the slot goes.
                if peer.news == 0 && self.remove_peer(index).is_err() {
                    self.counters.broken += 1;
                }
                return;
            }
            // Nobody answers, or the socket took nothing that asks.
            Stage::Opening(opening)
                if self.is_over(peer.awaiting_since.or(Some(opening.since)), self.config.silence_timeout) =>
            {
                self.with(index, |scope| scope.give_up_opening(Unknown::ConnectionLost));
                return;
            }
            Stage::Open if self.is_over(peer.awaiting_since, self.contact_timeout(peer.side)) => {
                return self.lose_contact(index);
            }
            Stage::Securing if peer.received_at.saturating_add(self.config.silence_timeout) <= now => {
                self.with(index, |scope| scope.close(Code::Protocol(CloseCode::None)));
                return;
            }
            Stage::Suspended if peer.received_at.saturating_add(self.config.lease) <= now => {
                return self.end_session(index);
            }
            Stage::Opening(_) | Stage::Securing | Stage::Open | Stage::Closing(_) | Stage::Draining { .. } => {}
            Stage::Idle | Stage::Suspended => return,
        }
        let Ok(mut scope) = self.scope(index) else { return };
        match scope.on_timeout() {
            Ok(()) => {
                self.settle(index);
                self.set_places();
                self.share_probes(index);
            }
            Err(Fault::NoRoom) => self.settle(index),
            Err(Fault::Violation(code)) => self.close_with(index, Code::Protocol(code)),
        }
    }

    /// Returns how long a side waits for a word: a client looks for a way to its server before the server gives it up.
    const fn contact_timeout(&self, side: Side) -> Duration {
        match side {
            Side::Client => self.config.resume_after,
            Side::Server => self.config.silence_timeout,
        }
    }

    /// Gives up a conversation on which nothing goes on. A client resumes the session on another one, and a server waits for that.
    pub(super) fn lose_contact(&mut self, index: u32) {
        self.with(index, |scope| {
            if scope.peer.side == Side::Client {
                let id = scope.draw_id()?;
                return scope.open(id, Resume::Yes);
            }
            // Of a conversation that nobody has used yet there is nothing to come back to.
            let is_used = !scope.peer.is_undecided;
            scope.peer.stage = if is_used { Stage::Suspended } else { Stage::Draining { until: scope.now } };
            scope.lose_all()
        });
    }

    fn is_over(&self, since: Option<Instant>, timeout: Duration) -> bool {
        since.is_some_and(|since| since.saturating_add(timeout) <= self.now)
    }

    /// Looks at the peer whose turn it is, and ends it if its time is over: idle peers need no timer.
    pub(super) fn sweep(&mut self) {
        let now = self.now;
        let Some(index) = self.sweep.poll(now) else { return };
        let Some(peer) = self.peers.at(index) else { return };
        let is_over = peer.side == Side::Server
            && matches!(peer.stage, Stage::Open | Stage::Suspended)
            && peer.received_at.saturating_add(self.config.lease) <= now;
        if is_over {
            self.end_session(index);
        }
    }

    /// Ends what is open with a peer whose lease is over.
    fn end_session(&mut self, index: u32) {
        self.with(index, |scope| {
            scope.end_all(Unknown::SessionLost)?;
            scope.peer.stage = Stage::Draining { until: scope.now };
            scope.peer.news |= peer::News::CLOSED;
            Ok(())
        });
    }

    /// Says whether there is memory again for peers that wait for it.
    pub(super) fn can_feed(&self) -> bool {
        !self.starved.is_empty() && !self.memory.is_tight()
    }

    /// Grants credit to the peer that has waited longest for memory, if there is some.
    pub(super) fn feed_starved(&mut self) {
        if let Some(index) = self.starved.pop_front(&mut self.peers) {
            self.with(index, |scope| {
                scope.return_credit(0);
                Ok(())
            });
        }
    }
}

/// The rounds over all peers in search of leases that are over.
#[derive(Debug)]
pub(super) struct Sweep {
    /// Whose turn it is.
    index: u32,
    peer_count: u32,
    /// When that turn comes.
    due_at: Instant,
    /// The time between two turns.
    step: Duration,
}

impl Sweep {
    /// Begins a round over `peer_count` slots.
    pub(super) fn new(now: Instant, lease: Duration, peer_count: u32) -> Self {
        Self { index: 0, peer_count, due_at: now, step: lease / SWEEPS_PER_LEASE / peer_count.max(1) }
    }

    /// Returns the slot to look at, if one is due; after a pause, one with each question until the round has caught up.
    ///
    /// Another peer's memory is far away: with ten thousand peers, to look at one with each datagram would cost as much as the
    /// datagram itself.
    fn poll(&mut self, now: Instant) -> Option<u32> {
        if now < self.due_at || self.peer_count == 0 {
            return None;
        }
        self.due_at = self.due_at.saturating_add(self.step);
        let index = self.index;
        self.index = (index + 1) % self.peer_count;
        Some(index)
    }
}

/// A slot is given up this part of a lease too late at most, if datagrams come often enough; a number we chose.
const SWEEPS_PER_LEASE: u32 = 64;

impl Scope<'_, '_> {
    /// Returns when something is to be done for this peer.
    ///
    /// What is to be sent at some time is no reason while the peer has a turn: that comes when the socket has room, and then all is
    /// looked at.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.peer.stage {
            Stage::Idle => None,
            // Whoever waits for something of ours learns that it will not come.
            Stage::Suspended if !self.peer.session.ours.is_empty() => {
                Some(self.peer.received_at.saturating_add(self.config.lease))
            }
            Stage::Suspended => None,
            Stage::Securing => {
                let silence = self.peer.received_at.saturating_add(self.config.silence_timeout);
                Some(self.handshake_deadline().map_or(silence, |at| at.min(silence)))
            }
            Stage::Opening(opening) => Some(self.opening_deadline(&opening)),
            Stage::Closing(Closing { until, .. }) | Stage::Draining { until } => Some(until),
            Stage::Open => {
                let silence = self.peer.awaiting_since.map(|since| {
                    let is_client = self.peer.side == Side::Client;
                    since.saturating_add(if is_client { self.config.resume_after } else { self.config.silence_timeout })
                });
                earliest([
                    self.loss_deadline(),
                    // What asks for a session takes the acknowledgement along, and goes when window and pacer let it.
                    self.peer.conversation.ack.deadline().filter(|_| !self.is_asking() && !self.peer.has_turn()),
                    self.pacing_deadline(),
                    self.ask_deadline(),
                    self.peer.busy_until,
                    self.stall_deadline(),
                    self.handshake_deadline(),
                    self.moving_deadline(),
                    silence,
                ])
            }
        }
    }

    fn pacing_deadline(&self) -> Option<Instant> {
        let until = self.pacing_until().filter(|at| *at > self.now)?;
        // While the window is full, an ack is what to wait for.
        (self.has_work() && self.path.has_room()).then_some(until)
    }

    /// Returns when to ask what became of the open calls (protocol §7.6).
    fn ask_deadline(&self) -> Option<Instant> {
        if self.peer.open_call_count == 0 {
            return None;
        }
        let last = self.peer.received_at.max(self.peer.asked_at);
        Some(last.saturating_add_nanos(self.ask_interval()))
    }

    /// Grows from four probe timeouts, at least 1 s, to 10 s; in nanoseconds.
    fn ask_interval(&self) -> u64 {
        let base = self.path.rtt.probe_timeout_nanos(self.peer.parameters.ack_delay_max).saturating_mul(4);
        let grown = base.max(nanos(ASK_INTERVAL_MIN)).saturating_mul(1 << self.peer.ask_count.min(4));
        grown.min(nanos(ASK_INTERVAL_MAX))
    }

    fn on_timeout(&mut self) -> Result<(), Fault> {
        let now = self.now;
        if self.peer.busy_until.is_some_and(|until| until <= now) {
            self.peer.busy_until = None;
        }
        self.on_handshake_timeout()?;
        if self.peer.stage != Stage::Open {
            return Ok(());
        }
        if self.loss_deadline().is_some_and(|at| at <= now) {
            self.on_loss_timeout()?;
        }
        if self.stall_deadline().is_some_and(|at| at <= now) {
            self.give_up_stalled()?;
        }
        if self.ask_deadline().is_some_and(|at| at <= now) {
            self.ask()?;
        }
        Ok(())
    }

    /// Returns when to look for flows that make no progress: not before their sender may send.
    fn stall_deadline(&self) -> Option<Instant> {
        self.peer.stalled_at.filter(|_| !self.is_asking())
    }

    /// Gives up flows that have waited too long for octets that their sender may send (protocol §6.5.3).
    fn give_up_stalled(&mut self) -> Result<(), Broken> {
        self.peer.stalled_at = None;
        for begun_by in [Party::Them, Party::Us] {
            let mut place = self.peer.session.list(begun_by).front();
            while let Some(index) = place {
                place = self.peer.session.list(begun_by).next(&self.memory.exchanges, index);
                for lane in Lane::ALL {
                    self.give_up_if_stalled(index, lane)?;
                }
            }
        }
        Ok(())
    }

    fn give_up_if_stalled(&mut self, index: u32, lane: Lane) -> Result<(), Broken> {
        let exchange = self.memory.exchanges.at(index).sound()?;
        // What is brief has arrived whole.
        if exchange.is_outgoing(lane) || exchange.brief != Brief::No {
            return Ok(());
        }
        let Some(flow) = exchange.flow(lane) else { return Ok(()) };
        let incoming = self.memory.incoming.at(flow).sound()?;
        if !incoming.awaits_octets() {
            return Ok(());
        }
        let at = incoming.arrived_at.saturating_add(self.config.progress_timeout);
        if at <= self.now {
            let is_read = incoming.is_announced;
            let is_request = lane == Lane::Forward
                && exchange.stage == ExchangeStage::Arriving
                && exchange.role == Some(Role::Request);
            self.stop_incoming(index, lane, ResetReason::ProgressTimeout)?;
            if is_request {
                // Without a refusal its caller would wait for a reply as long as we answer its questions.
                return self.refuse(index, NotExecuted::DeadlinePassed);
            }
            // Whoever waits for more of it learns that none will come.
            return if is_read { self.tell(index, News::READABLE << lane as u16) } else { Ok(()) };
        }
        self.peer.stalled_at = Some(self.peer.stalled_at.map_or(at, |earliest| earliest.min(at)));
        Ok(())
    }

    /// Asks about the calls that have waited longest, if all of their request has arrived.
    fn ask(&mut self) -> Result<(), Broken> {
        self.peer.asked_at = self.now;
        self.peer.ask_count = self.peer.ask_count.saturating_add(1);
        let mut count = 0;
        let mut place = self.peer.session.ours.front();
        while let (Some(index), ..ASK_COUNT_MAX) = (place, count) {
            place = self.peer.session.ours.next(&self.memory.exchanges, index);
            let exchange = self.memory.exchanges.at(index).sound()?;
            let is_sent = match exchange.brief {
                Brief::No | Brief::Settled => exchange.flow(Lane::Forward).is_none(),
                Brief::Queued | Brief::Carried | Brief::Arrived => false,
            };
            if is_sent && exchange.is_call() && exchange.stage == ExchangeStage::Open {
                self.notice(index, Notices::ASK)?;
                count += 1;
            }
        }
        Ok(())
    }

    /// Builds the CLOSE that a closing conversation answers with.
    pub(super) fn build_close(&mut self, out: &mut [u8]) -> Result<Option<usize>, Broken> {
        let Stage::Closing(closing) = self.peer.stage else { return Err(Broken) };
        if !closing.is_due {
            return Ok(None);
        }
        self.peer.stage = Stage::Closing(Closing { is_due: false, ..closing });
        let tag_len = crate::crypto::tag_len(self.keyring.crypto(), Epoch::Data);
        let limit = out.len().min(crate::config::DATAGRAM_LEN_MIN);
        let mut writer = Writer::new(&mut out[..limit - tag_len]);
        let number = self.begin_datagram(&mut writer).sound()?;
        let (closer, code) = match closing.code {
            Code::Protocol(code) => (Closer::Protocol, code.code()),
            Code::Application(code) => (Closer::Application, code),
        };
        // What has arrived is acknowledged first: the peer would else count it as failed.
        self.write_ack(&mut writer);
        let scope = frame::Scope { closer, ends_session: true };
        Frame::Close { scope, code, reason: &[] }.encode(&mut writer).map_err(|_| Broken)?;
        let len = writer.len() + tag_len;
        self.seal(number, &mut out[..len])?;
        Ok(Some(len))
    }
}

const ASK_INTERVAL_MIN: Duration = Duration::from_secs(1);
const ASK_INTERVAL_MAX: Duration = Duration::from_secs(10);
/// Calls asked about at a time.
const ASK_COUNT_MAX: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(640);

    #[test]
    fn a_sweep_looks_at_every_peer_in_its_part_of_a_lease_and_at_none_more_often() {
        let mut now = Instant::ORIGIN;
        let mut sweep = Sweep::new(now, LEASE, 100);
        let mut seen = [0; 100];
        for _ in 0..10_000 {
            if let Some(index) = sweep.poll(now) {
                seen[index as usize] += 1;
            }
            now = now.saturating_add(Duration::from_millis(1));
        }
        assert_eq!(seen, [1; 100]);
    }

    #[test]
    fn a_sweep_catches_up_after_a_pause() {
        let mut sweep = Sweep::new(Instant::ORIGIN, LEASE, 3);
        let after_a_lease = Instant::ORIGIN.saturating_add(LEASE);
        assert_eq!([(); 5].map(|()| sweep.poll(after_a_lease)), [Some(0), Some(1), Some(2), Some(0), Some(1)]);
        assert_eq!(Sweep::new(Instant::ORIGIN, LEASE, 0).poll(after_a_lease), None);
    }
}
