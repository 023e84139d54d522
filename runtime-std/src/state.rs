//! What all threads of a node share, under one lock.

use alloc::collections::VecDeque;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;

use posthaste_core::ecn::Ecn;
use posthaste_core::endpoint::{Answer, Body, Event, ReplyError, Request, SendError};
use posthaste_core::wire::NotExecuted;
use posthaste_core::{CallId, Endpoint, IncomingCallId, Instant, MessageId, Outcome, PeerId, StreamId};
use posthaste_udp::{Datagram, SendBatch, Socket};

use crate::ledger::Ledger;
use crate::service::Service;
use crate::waiters::{Interest, Waiters};
use crate::wheel::Wheel;

/// The endpoint, what its events told, and who waits for what.
pub(crate) struct State {
    pub(crate) endpoint: Endpoint<'static>,
    /// What the clock showed when it was read last: what is done in one go is done at one moment.
    pub(crate) now: Instant,
    outgoing: SendBatch,
    /// The wheel: whoever took it sleeps in the socket and drives for all. Not here where calls are answered.
    pub(crate) wheel: Option<Wheel>,
    /// When nobody will have driven for a while; `None` while somebody does, and when the helper thread knows.
    pub(crate) quiet_at: Option<Instant>,
    /// Whether somebody drove since the helper thread was last awake.
    pub(crate) was_driven: bool,
    /// What the driver does.
    pub(crate) driver: Watch,
    /// What the helper thread does.
    pub(crate) helper: Watch,
    /// Whether the helper thread is woken by what arrives.
    pub(crate) is_listening: bool,
    /// Calls of ours that somebody will ask about.
    pub(crate) calls: Ledger,
    /// When what is ready and was not sent must go.
    pub(crate) held_until: Option<Instant>,
    /// Calls and replies that were given to the endpoint since it sent last.
    pub(crate) unsent_count: usize,
    peers: Vec<PeerSlot>,
    /// Messages that arrived and wait for someone to receive them.
    pub(crate) messages: VecDeque<(PeerId, MessageId, Option<u64>)>,
    /// Streams that arrived, likewise.
    pub(crate) streams: VecDeque<(PeerId, StreamId, Option<u64>)>,
    /// Messages of ours that will not be delivered.
    pub(crate) failed_count: u64,
    pub(crate) service: Option<Service>,
    pub(crate) waiters: Waiters,
    /// Nothing goes on any more: the owner is gone, or the socket failed.
    pub(crate) is_closed: bool,
}

/// What a thread does about the passing of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// It is not there.
    Absent,
    /// It is awake and will look at the deadlines before it sleeps.
    Awake,
    /// It sleeps until then, or without end.
    Until(Option<Instant>),
}

impl Watch {
    fn covers(self, deadline: Instant) -> bool {
        match self {
            Self::Absent | Self::Until(None) => false,
            Self::Awake => true,
            Self::Until(Some(until)) => until <= deadline,
        }
    }
}

/// What is known of a peer, at the place of its index.
#[derive(Clone, Copy, Default)]
struct PeerSlot {
    id: Option<PeerId>,
    news: PeerNews,
}

/// What events told of a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PeerNews {
    pub(crate) is_connected: bool,
    pub(crate) is_closed: bool,
    /// How often everything that had been accepted was acknowledged, or lost with the session.
    pub(crate) flushed_count: u64,
}

impl State {
    pub(crate) fn new(endpoint: Endpoint<'static>, service: Option<Service>, wheel: Option<Wheel>) -> Self {
        let outgoing = SendBatch::new(endpoint.config().datagram_len_max);
        Self {
            endpoint,
            now: Instant::ORIGIN,
            outgoing,
            wheel,
            quiet_at: None,
            was_driven: false,
            driver: if service.is_none() { Watch::Absent } else { Watch::Awake },
            helper: Watch::Absent,
            is_listening: false,
            calls: Ledger::default(),
            held_until: None,
            unsent_count: 0,
            peers: Vec::new(),
            messages: VecDeque::new(),
            streams: VecDeque::new(),
            failed_count: 0,
            service,
            waiters: Waiters::new(),
            is_closed: false,
        }
    }

    /// Does what follows every input and command: hears the events, sends the datagrams.
    pub(crate) fn settle(&mut self, now: Instant, socket: &Socket) {
        self.hear(now);
        self.waiters.wake(Interest::Drained);
        self.held_until = None;
        self.unsent_count = 0;
        if let Err(error) = socket.send_all(now, &mut self.endpoint, &mut self.outgoing)
            && error.kind() != io::ErrorKind::WouldBlock
        {
            self.close();
        }
    }

    /// Gives a call to the endpoint, and follows it.
    pub(crate) fn begin(&mut self, now: Instant, peer: PeerId, request: Request<'_>) -> Result<CallId, SendError> {
        let call = self.endpoint.call(now, peer, request)?;
        self.calls.follow(call);
        self.unsent_count += 1;
        Ok(call)
    }

    /// Gives the reply to a call of a peer to the endpoint, unless the call is over.
    pub(crate) fn reply(&mut self, call: IncomingCallId, answer: Answer, body: Body<'_>) {
        let replied = match self.endpoint.reply_body(self.now, call, answer, body, &[]) {
            // The handler ran, and its reply cannot be told.
            Err(ReplyError::TooLarge { .. }) => self.endpoint.reply(self.now, call, Answer::HandlerFailed, &[], &[]),
            replied => replied,
        };
        self.unsent_count += usize::from(replied.is_ok());
    }

    /// Says whether a call that was started may wait for others to go with it; see [`Node::send_started`](crate::node::Node::send_started).
    ///
    /// Whoever has outcomes before it that it did not look at yet works through them and starts calls on the way. Those leave together.
    pub(crate) fn may_hold_started(&self, following_count: usize) -> bool {
        let following_count = following_count + self.calls.untaken_count();
        following_count > 0 && !self.is_slice_full(following_count)
    }

    /// Says whether threads that were woken will have the lock in a moment: most likely they make their next calls, and all of
    /// these leave together. The last of them sends.
    pub(crate) fn is_sent_by_others(&self) -> bool {
        let following_count = self.waiters.woken_count();
        following_count > 0 && !self.is_slice_full(following_count)
    }

    /// Says whether so many calls and replies were given to the endpoint that they are to be sent before those that follow; a few
    /// that would make a short datagram by themselves go with them.
    pub(crate) fn is_slice_full(&self, following_count: usize) -> bool {
        let slice_count = self.endpoint.slice_count();
        self.unsent_count >= slice_count && !(1..slice_count / 2).contains(&following_count)
    }

    /// Says whether something is held back for others to go with it.
    pub(crate) fn is_holding(&self) -> bool {
        self.held_until.is_some()
    }

    /// Says whether several messages or calls are under way: then more is about to come.
    pub(crate) const fn has_several(&self) -> bool {
        self.endpoint.usage().exchanges > 1
    }

    /// Hands what was received to the endpoint, and returns how many datagrams it was.
    pub(crate) fn handle_received(&mut self, now: Instant, wheel: &mut Wheel) -> usize {
        let mut count = 0;
        while let Some(datagram) = wheel.next_datagram(now) {
            self.handle_datagram(now, datagram);
            count += 1;
        }
        count
    }

    /// Hands one datagram to the endpoint.
    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: Datagram<'_>) {
        // What is rejected is counted, and nothing can be done about it.
        let _ = self.endpoint.handle_datagram(now, datagram.arrival(), datagram.payload);
    }

    /// Says whether so many datagrams of one turn are enough: then the application has work, or they are to be acknowledged.
    ///
    /// Of a lone call no more will come. Of calls side by side the replies come together, and let the calls that follow them leave
    /// together.
    pub(crate) fn is_turn_over(&self, datagram_count: usize) -> bool {
        let has_work = self.endpoint.has_event() && (datagram_count > 1 || self.calls.open_count() < 2);
        has_work || datagram_count == 0 || datagram_count >= TURN_DATAGRAM_COUNT_MAX
    }

    /// Tells the endpoint that time has passed, if it waits for that.
    pub(crate) fn handle_due(&mut self, now: Instant) {
        if self.endpoint.poll_timeout().is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
        }
    }

    /// Sends an empty datagram, which means nothing, to `address`.
    pub(crate) fn send_empty(&mut self, address: SocketAddr, socket: &Socket) {
        if self.outgoing.slot().is_some() {
            self.outgoing.commit(0, address, None, Ecn::NotEct);
            // The socket's failure shows where it matters.
            let _ = socket.send(&mut self.outgoing);
        }
    }

    /// Returns when somebody has to act.
    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        earlier(self.endpoint.poll_timeout(), self.held_until)
    }

    /// Returns the deadline if nobody would act then, or soon after.
    pub(crate) fn unwatched_deadline(&mut self) -> Option<Instant> {
        let lately = self.now.saturating_add(ABSENCE_TIME);
        if self.helper.covers(lately) {
            // By then it looks anyway, whatever there will be.
            return None;
        }
        earlier(self.deadline(), self.quiet_at)
            .filter(|at| !self.driver.covers(*at) && !self.helper.covers(lately.max(*at)))
    }

    /// Returns when the helper thread is to look again after those who drove lately: so late that they need not rouse it for whatever
    /// deadline comes of that.
    ///
    /// Calls that are held back are looked after sooner than an acknowledgement that waits for the next call of a row.
    pub(crate) fn absence_end(&mut self) -> Instant {
        let soon = self.now.saturating_add(ABSENCE_TIME);
        if self.has_several() {
            return soon;
        }
        let late = self.now.saturating_add(LONE_ABSENCE_TIME);
        self.deadline().map_or(late, |at| at.clamp(soon, late))
    }

    /// Gives up a call that nobody will ask about any more.
    pub(crate) fn abandon(&mut self, now: Instant, call: CallId) {
        if let Some(outcome) = self.calls.take(call) {
            return self.dispose(now, call, outcome);
        }
        if self.calls.unfollow(call) {
            // A call that has ended in the meantime needs no cancelling.
            let _ = self.endpoint.cancel(now, call);
        }
    }

    /// Lets go of what an outcome holds in the endpoint.
    fn dispose(&mut self, now: Instant, call: CallId, outcome: Outcome) {
        match outcome {
            Outcome::Ok(message) | Outcome::ApplicationError(message) => {
                // What is stale holds nothing.
                let _ = self.endpoint.release(now, message);
            }
            Outcome::Unknown(_) => self.forget(now, call),
            Outcome::Delivered | Outcome::NotExecuted(_) | Outcome::ReplyLost => {}
        }
    }

    /// Lets go of a call whose outcome is unknown, and of what came of it late.
    pub(crate) fn forget(&mut self, now: Instant, call: CallId) {
        if let Some(late) = self.calls.take(call) {
            self.dispose(now, call, late);
        }
        self.calls.unfollow(call);
        // What cannot be resolved is forgotten already.
        let _ = self.endpoint.forget(now, call);
        self.waiters.wake_streams();
    }

    pub(crate) fn news_of(&mut self, peer: PeerId) -> &mut PeerNews {
        let index = peer.index();
        if self.peers.len() <= index {
            self.peers.resize(index + 1, PeerSlot::default());
        }
        let slot = &mut self.peers[index];
        if slot.id != Some(peer) {
            *slot = PeerSlot { id: Some(peer), news: PeerNews::default() };
        }
        &mut slot.news
    }

    /// Ends everything: whoever waits learns that it waits in vain.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
        self.waiters.wake_all();
        if let Some(service) = &mut self.service {
            service.close();
        }
    }

    /// Wakes one of those who wait if nobody has the wheel: one is enough, and who is awake takes it anyway.
    pub(crate) fn hand_over(&mut self) {
        if self.wheel.is_some() && self.waiters.woken_count() == 0 {
            self.waiters.wake_one();
        }
    }

    /// Hears all that the endpoint has to tell.
    pub(crate) fn hear(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::CallEnded { call, outcome } => {
                    self.end_call(now, call, outcome);
                    self.waiters.wake_for_end(call);
                    if !matches!(outcome, Outcome::Ok(_)) {
                        self.waiters.wake_streams();
                    }
                }
                Event::CallReceived { call } => self.receive_call(now, call),
                Event::CallCancelled { call } => {
                    if let Some(service) = &self.service {
                        service.cancel(call);
                    }
                }
                Event::MessageReceived { peer, message, channel } => {
                    self.messages.push_back((peer, message, channel));
                    self.waiters.wake(Interest::Arrival);
                }
                Event::StreamReceived { peer, stream, channel } => {
                    self.streams.push_back((peer, stream, channel));
                    self.waiters.wake(Interest::Arrival);
                }
                Event::Readable { stream } | Event::Writable { stream } => self.waiters.wake(Interest::Stream(stream)),
                Event::MessageAcknowledged { .. } => self.waiters.wake(Interest::Room),
                Event::MessageFailed { .. } => {
                    self.failed_count += 1;
                    self.waiters.wake(Interest::Room);
                }
                Event::Connected { peer } => {
                    self.news_of(peer).is_connected = true;
                    self.waiters.wake(Interest::Peer(peer));
                }
                Event::Flushed { peer } => {
                    self.news_of(peer).flushed_count += 1;
                    self.waiters.wake(Interest::Peer(peer));
                }
                Event::SessionLost { peer } => self.lose_session(peer),
                Event::Closed { peer } => {
                    self.lose_session(peer);
                    self.news_of(peer).is_closed = true;
                    self.streams.retain(|(from, ..)| *from != peer);
                    self.waiters.wake(Interest::Room);
                }
                Event::CallProgress { call, progress: Some(progress) } => {
                    self.calls.tell_progress(call, progress);
                    self.waiters.wake(Interest::Call(call));
                }
                // Nothing waits for these, and of what the core will tell one day nothing can be waiting.
                Event::Draining { .. } | Event::Taken { .. } | Event::CallProgress { progress: None, .. } | _ => {}
            }
        }
    }

    /// What is gone with a session, nobody has to wait for, or to take.
    fn lose_session(&mut self, peer: PeerId) {
        let endpoint = &self.endpoint;
        self.messages.retain(|(_, message, _)| endpoint.payload(*message).is_ok());
        self.news_of(peer).flushed_count += 1;
        self.waiters.wake(Interest::Peer(peer));
        self.waiters.wake_streams();
    }

    fn end_call(&mut self, now: Instant, call: CallId, outcome: Outcome) {
        if !self.calls.end(call, outcome) {
            self.dispose(now, call, outcome);
        }
    }

    fn receive_call(&mut self, now: Instant, call: IncomingCallId) {
        match &mut self.service {
            Some(service) => service.add(call),
            None => {
                // A call that is over in the meantime needs no refusal.
                let _ = self.endpoint.refuse(now, call, NotExecuted::NoSuchProgram);
            }
        }
    }

    /// Says whether no handler runs or will run, and all that was sent is acknowledged.
    pub(crate) fn is_drained(&self) -> bool {
        self.service.as_ref().is_none_or(Service::is_idle) && self.endpoint.is_drained()
    }
}

/// Returns the earlier of two deadlines, of which either may be missing.
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// How long the helper thread leaves a deadline to those who drove or gave commands, who most often come back sooner: woken for each
/// of their deadlines, it would run beside them all the time. Our choice.
pub(crate) const ABSENCE_TIME: Duration = Duration::from_millis(1);

/// As [`ABSENCE_TIME`], of whoever makes one call after the other. Our choice: half as many system calls of that thread beside theirs,
/// and an acknowledgement that no call takes along is hardly later.
const LONE_ABSENCE_TIME: Duration = Duration::from_millis(2);

/// Datagrams after which a turn at the socket ends in any case; our choice: of a bulk transfer that comes in full buffers, one
/// buffer's datagrams share an acknowledgement.
pub(crate) const TURN_DATAGRAM_COUNT_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use posthaste_core::endpoint::Remote;
    use posthaste_core::{Config, Outcome, Storage, Unknown};

    use super::*;

    #[test]
    fn started_calls_wait_for_a_slice_while_there_are_outcomes_to_take() {
        let mut state = state();
        let calls: Vec<_> = (0..64).map(|_| start(&mut state)).collect();
        assert!(!state.may_hold_started(0), "there is no outcome to take");
        state.calls.end(calls[0], Outcome::Unknown(Unknown::Closed));
        for (unsent_count, following_count, may_hold) in
            [(1, 0, true), (31, 40, true), (32, 40, false), (32, 15, false), (32, 14, true), (64, 15, false)]
        {
            state.unsent_count = unsent_count;
            assert_eq!(state.may_hold_started(following_count), may_hold, "{unsent_count} {following_count}");
        }
    }

    #[test]
    fn a_turn_without_datagrams_is_over_and_one_that_brings_no_work_goes_on() {
        let state = state();
        let over = [0, 1, TURN_DATAGRAM_COUNT_MAX - 1, TURN_DATAGRAM_COUNT_MAX].map(|count| state.is_turn_over(count));
        assert_eq!(over, [true, false, false, true]);
    }

    fn state() -> State {
        let config = Config::lan();
        let storage = Storage::owned(&config);
        State::new(Endpoint::new_insecure(config, storage, [1; 32], Instant::ORIGIN).unwrap(), None, None)
    }

    fn start(state: &mut State) -> CallId {
        let remote = Remote { address: "127.0.0.1:9".parse().unwrap(), identity: &[] };
        let peer = state.endpoint.peer(Instant::ORIGIN, &remote).unwrap();
        let call = state.endpoint.call(Instant::ORIGIN, peer, Request::new(1, 1, 1, b"")).unwrap();
        state.calls.follow(call);
        call
    }
}
