//! What the futures of a node share, under one lock.

use alloc::collections::VecDeque;
use core::task::{Poll, Waker};
use core::time::Duration;
use std::collections::{HashMap, HashSet};
use std::io;

use posthaste_core::endpoint::{Event, Request, SendError};
use posthaste_core::wire::NotExecuted;
use posthaste_core::{CallId, Endpoint, IncomingCallId, Instant, MessageId, Outcome, PeerId, StreamId};
use posthaste_udp::{BusyPoller, RecvBatch, SendBatch, Socket};

use crate::alarm::Alarm;
use crate::arrivals::{Arrivals, Arrived};
use crate::node::GRACE_MAX;
use crate::waiters::{Key, News, Place, Waiter, Waiters, Watched, is_definite};
use crate::wheel::{Promise, Wheel};

/// The endpoint, who is told what of it, and what goes to and comes from the socket.
pub(crate) struct State {
    pub(crate) endpoint: Endpoint<'static>,
    /// What the clock showed when it was read last: what is done in one go is done at one moment.
    pub(crate) now: Instant,
    pub(crate) waiters: Waiters,
    /// Who is told what becomes of an exchange, by its index. `None`: nobody wants to know, or has been told.
    watchers: Box<[Option<Watcher>]>,
    pub(crate) streams: HashMap<StreamId, Key>,
    pub(crate) flushes: Vec<Flush>,
    pub(crate) messages: Arrivals<MessageId>,
    pub(crate) incoming_streams: Arrivals<StreamId>,
    pub(crate) calls: VecDeque<IncomingCallId>,
    /// Calls whose handlers run and whose callers want no answer any more.
    cancelled: HashSet<IncomingCallId>,
    /// Handlers that wait until their callers want no answer any more, by their calls.
    awaiting_cancel: HashMap<IncomingCallId, Key>,
    /// Those who wait for the end of all that peers have asked for.
    pub(crate) drainers: Vec<Key>,
    /// The future that runs handlers.
    pub(crate) server: Option<Key>,
    /// Whether handlers run at this moment: what they ask for is sent in one go when they pause.
    pub(crate) is_serving: bool,
    /// Futures that were refused for want of room.
    room: VecDeque<Key>,
    pub(crate) wheel: Wheel,
    /// How many times all was looked after.
    pub(crate) turn_count: u64,
    /// Calls that were begun since something was sent last.
    pub(crate) unsent_count: usize,
    /// Who sends for all.
    pub(crate) promise: Option<Promise>,
    /// With which a future that drives sleeps.
    pub(crate) alarm: Alarm,
    pub(crate) helper: HelperState,
    incoming: RecvBatch,
    poller: BusyPoller,
    outgoing: SendBatch,
    /// Whether something may wait in the socket. If nothing did when it was received from last, the reactor tells when something
    /// comes.
    pub(crate) is_readable: bool,
    pub(crate) is_send_blocked: bool,
    /// The end of the socket, and of everything.
    failure: Option<io::ErrorKind>,
}

/// Somebody who is told what becomes of an exchange.
#[derive(Clone, Copy, Debug)]
struct Watcher {
    exchange: Watched,
    waiter: Key,
    /// That of a call in the row for which the future waits; `None` if it waits for this alone.
    place: Option<Place>,
}

/// Somebody who waits until all is acknowledged.
#[derive(Debug)]
pub(crate) struct Flush {
    pub(crate) peer: PeerId,
    pub(crate) waiter: Key,
    pub(crate) is_done: Option<Result<(), ()>>,
}

/// What the futures know of the helper.
#[derive(Debug, Default)]
pub(crate) struct HelperState {
    pub(crate) waker: Option<Waker>,
    /// When it wakes by itself; `None`: when somebody wakes it.
    pub(crate) alarm: Option<Instant>,
    /// How many turns had been taken when it looked last.
    pub(crate) turn_count: u64,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Something happened: whoever waits may look again.
    Progress,
    /// Nothing arrived and nothing was due.
    Idle,
}

impl State {
    pub(crate) fn new(endpoint: Endpoint<'static>, poller: BusyPoller) -> Self {
        let config = endpoint.config();
        Self {
            outgoing: SendBatch::new(config.datagram_len_max),
            watchers: vec![None; config.exchange_count_max].into(),
            endpoint,
            now: Instant::ORIGIN,
            waiters: Waiters::new(),
            streams: HashMap::new(),
            flushes: Vec::new(),
            messages: Arrivals::new(),
            incoming_streams: Arrivals::new(),
            calls: VecDeque::new(),
            cancelled: HashSet::new(),
            awaiting_cancel: HashMap::new(),
            drainers: Vec::new(),
            server: None,
            is_serving: false,
            room: VecDeque::new(),
            wheel: Wheel::default(),
            turn_count: 0,
            unsent_count: 0,
            promise: None,
            alarm: Alarm::new(),
            helper: HelperState::default(),
            incoming: RecvBatch::new(RECV_BUFFER_COUNT.min(RecvBatch::BUFFER_COUNT_MAX)),
            poller,
            is_readable: true,
            is_send_blocked: false,
            failure: None,
        }
    }

    /// Sends what is ready, takes in what arrived, acts on deadlines that have passed, and tells whom it concerns.
    pub(crate) fn turn(&mut self, socket: &Socket, now: Instant) -> Turn {
        let sent_before = self.endpoint.counters().datagrams_sent;
        self.transmit(socket, now);
        // Where much goes, something is about to come: a look costs less than a sleep.
        self.is_readable |= self.endpoint.counters().datagrams_sent > sent_before + 1;
        let datagram_count = self.receive(socket, now);
        let is_due = self.endpoint.poll_timeout().is_some_and(|deadline| deadline <= now);
        if is_due {
            self.endpoint.handle_timeout(now);
        }
        let event_count = self.dispatch(now);
        if datagram_count == 0 && event_count == 0 && !is_due {
            return Turn::Idle;
        }
        // Where much comes, too.
        self.is_readable |= datagram_count > 1 || event_count > 1;
        self.tell_of_room();
        Turn::Progress
    }

    /// Says whether whoever drives is to look at the socket again rather than to sleep. Of room in the send buffer the reactor tells
    /// only those who sleep.
    pub(crate) fn looks_again(&mut self) -> bool {
        let has_several = self.endpoint.usage().exchanges > 1;
        let looks = !self.is_send_blocked && self.poller.looks(self.now, has_several);
        self.is_readable |= looks;
        looks
    }

    /// Tells what has happened, and sends what is ready.
    pub(crate) fn settle(&mut self, socket: &Socket, now: Instant) {
        self.dispatch(now);
        self.transmit(socket, now);
    }

    /// Hands a few datagrams to the endpoint, and returns how many; what they ask for is sent before the others are looked at, so
    /// that both sides stay awake.
    fn receive(&mut self, socket: &Socket, now: Instant) -> usize {
        let mut datagram_count = 0;
        while datagram_count < TURN_DATAGRAM_COUNT_MAX {
            if datagram_count >= TURN_DATAGRAM_COUNT_MIN && self.endpoint.has_event() {
                break;
            }
            let datagram = match self.incoming.next_datagram() {
                Some(datagram) => datagram,
                None if datagram_count > 0 || !self.is_readable => break,
                None => match socket.recv(&mut self.incoming) {
                    Ok(_) => {
                        self.is_readable = self.incoming.is_full();
                        let Some(datagram) = self.incoming.next_datagram() else { break };
                        datagram
                    }
                    Err(error) => {
                        self.is_readable = false;
                        if error.kind() != io::ErrorKind::WouldBlock {
                            self.fail(&error);
                        }
                        break;
                    }
                },
            };
            // The endpoint has counted what it rejects.
            let _ = self.endpoint.handle_datagram(now, datagram.arrival(), datagram.payload);
            self.poller.end(now);
            datagram_count += 1;
        }
        datagram_count
    }

    fn transmit(&mut self, socket: &Socket, now: Instant) {
        self.promise = None;
        self.unsent_count = 0;
        if self.is_send_blocked {
            return;
        }
        match socket.send_all(now, &mut self.endpoint, &mut self.outgoing) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_send_blocked = true,
            Err(error) => self.fail(&error),
            Ok(()) => {}
        }
    }

    /// Tells each event to whom it concerns, and returns how many there were.
    pub(crate) fn dispatch(&mut self, now: Instant) -> usize {
        let mut event_count = 0;
        while let Some(event) = self.endpoint.poll_event() {
            event_count += 1;
            match event {
                Event::CallEnded { call, outcome } => {
                    self.end_call(now, call, outcome);
                    if !matches!(outcome, Outcome::Ok(_)) {
                        self.wake_streams();
                    }
                }
                Event::MessageAcknowledged { message } => self.tell(Watched::Message(message), News::Acknowledged),
                Event::MessageFailed { message } => self.tell(Watched::Message(message), News::Failed),
                Event::CallReceived { call } => self.queue_call(now, call),
                Event::CallCancelled { call } => self.cancel_call(call),
                Event::MessageReceived { peer, message, channel } => {
                    self.messages.add(&mut self.waiters, Arrived { peer, channel, id: message });
                }
                Event::StreamReceived { peer, stream, channel } => {
                    self.incoming_streams.add(&mut self.waiters, Arrived { peer, channel, id: stream });
                }
                Event::Readable { stream } | Event::Writable { stream } => {
                    if let Some(waiter) = self.streams.get(&stream) {
                        self.waiters.wake(*waiter);
                    }
                }
                Event::Flushed { peer } => self.flushed(peer, Ok(())),
                Event::SessionLost { peer } => self.lose_session(peer),
                Event::Closed { peer } => {
                    self.incoming_streams.retain(|stream| stream.peer != peer);
                    self.lose_session(peer);
                }
                Event::CallProgress { call, progress: Some(progress) } => self.tell_progress(call, progress),
                // The others are for those who ask for them.
                Event::Connected { .. }
                | Event::Draining { .. }
                | Event::Taken { .. }
                | Event::CallProgress { progress: None, .. }
                | _ => {}
            }
        }
        if !self.drainers.is_empty() && self.endpoint.is_drained() {
            for drainer in self.drainers.drain(..) {
                self.waiters.wake(drainer);
            }
        }
        event_count
    }

    /// Has news of an exchange told to a future.
    pub(crate) fn watch(&mut self, exchange: Watched, waiter: &Waiter) {
        self.watchers[exchange.index()] = Some(Watcher { exchange, waiter: waiter.key, place: None });
    }

    /// Gives a call to the endpoint, and has its end told to a future that waits for a row of calls, of which this is the latest.
    pub(crate) fn begin_in_row(
        &mut self,
        now: Instant,
        peer: PeerId,
        request: Request<'_>,
        waiter: &Waiter,
    ) -> Result<CallId, SendError> {
        let call = self.endpoint.call(now, peer, request)?;
        let place = Some(self.waiters.add_to_row(waiter.key));
        self.watchers[call.index()] = Some(Watcher { exchange: Watched::Call(call), waiter: waiter.key, place });
        self.unsent_count += 1;
        Ok(call)
    }

    /// Gives a call whose outcome is unknown a place of its own: a definite one may come late.
    pub(crate) fn wait_on(&mut self, call: CallId, outcome: Outcome) -> Waiter {
        let waiter = Waiter::new(&mut self.waiters);
        self.watch(Watched::Call(call), &waiter);
        self.waiters.tell(waiter.key, News::Ended(outcome));
        waiter
    }

    /// Wants no news of an exchange.
    pub(crate) fn unwatch(&mut self, exchange: Watched) {
        self.watchers[exchange.index()].take_if(|watcher| watcher.exchange == exchange);
    }

    fn watcher(&self, exchange: Watched) -> Option<Watcher> {
        self.watchers[exchange.index()].filter(|watcher| watcher.exchange == exchange)
    }

    /// Lets go of what a call has left in the endpoint.
    pub(crate) fn dispose(&mut self, now: Instant, call: CallId, outcome: Outcome) {
        // What is stale is gone already.
        match outcome {
            Outcome::Ok(reply) | Outcome::ApplicationError(reply) => {
                let _ = self.endpoint.release(now, reply);
            }
            Outcome::Unknown(_) => self.forget(now, call),
            Outcome::Delivered | Outcome::NotExecuted(_) | Outcome::ReplyLost => {}
        }
    }

    /// Lets go of a call whose outcome is unknown.
    pub(crate) fn forget(&mut self, now: Instant, call: CallId) {
        // What cannot be resolved is forgotten already.
        let _ = self.endpoint.forget(now, call);
        self.wake_streams();
    }

    /// Wakes whoever waits for a stream: with a session end its streams, and with a call those beside it, and no event tells
    /// which those were.
    pub(crate) fn wake_streams(&mut self) {
        for waiter in self.streams.values() {
            self.waiters.wake(*waiter);
        }
    }

    /// Has a future that was refused for want of room woken when there may be some; any other error ends it.
    pub(crate) fn refused<T>(&mut self, waiter: &mut Waiter, error: SendError) -> Poll<Result<T, SendError>> {
        if error != SendError::Full {
            return Poll::Ready(Err(error));
        }
        waiter.is_refused = true;
        if !self.room.contains(&waiter.key) {
            self.room.push_back(waiter.key);
        }
        Poll::Pending
    }

    /// Notes that a future found room: the next one may find some, too.
    pub(crate) fn found_room(&mut self, waiter: &mut Waiter) {
        self.leave_room(waiter);
        waiter.is_refused = false;
    }

    /// Waits for room no longer; what it was told of room that it has no use for, the next one is told.
    pub(crate) fn leave_room(&mut self, waiter: &Waiter) {
        if waiter.is_refused {
            self.room.retain(|key| *key != waiter.key);
            self.tell_of_room();
        }
    }

    /// Wakes one of those who wait for room: what it does not need it tells on.
    fn tell_of_room(&mut self) {
        if let Some(key) = self.room.pop_front() {
            self.waiters.wake(key);
        }
    }

    /// Notes that a future asks its executor for another turn, to send what all have asked for by then.
    pub(crate) fn promise(&mut self, by: Key) {
        self.promise_within(Some(by), DRIVER_DELAY_MAX);
    }

    /// Lets what is ready wait for more to go with it: the first outcome that has to be waited for sends all, and the helper does
    /// where nobody ever waits.
    pub(crate) fn hold(&mut self) {
        if self.promise.is_none() {
            self.promise_within(None, GRACE_MAX);
        }
    }

    /// Says whether calls that were started are held back, until whoever started them waits or the helper comes.
    pub(crate) fn is_holding(&self) -> bool {
        self.promise.is_some_and(|promise| promise.by.is_none())
    }

    fn promise_within(&mut self, by: Option<Key>, delay: Duration) {
        let until = self.now.saturating_add(delay);
        self.promise = Some(Promise { by, until });
        self.rouse_helper(until);
    }

    /// Says whether a call that was started may wait for others to go with it; see [`Node::send_started`](crate::node::Node::send_started).
    ///
    /// Whoever has outcomes before it that it did not look at yet works through them and starts calls on the way. Those leave
    /// together, a slice at a time; a few that would make a short datagram by themselves go with those before them.
    pub(crate) fn may_hold_started(&self, following_count: usize) -> bool {
        let following_count = following_count + self.waiters.untaken_count();
        let slice_count = self.endpoint.slice_count();
        following_count > 0 && (self.unsent_count < slice_count || following_count < slice_count / 2)
    }

    /// Has the helper look after everything at an instant, or before.
    pub(crate) fn rouse_helper(&mut self, at: Instant) {
        if self.is_helper_roused_by(at) {
            return;
        }
        self.helper.alarm = Some(at);
        if let Some(waker) = self.helper.waker.take() {
            waker.wake();
        }
    }

    /// Says whether the helper will wake by then.
    pub(crate) fn is_helper_roused_by(&self, at: Instant) -> bool {
        self.helper.alarm.is_some_and(|alarm| alarm <= at)
    }

    pub(crate) const fn failure(&self) -> Option<io::ErrorKind> {
        self.failure
    }

    pub(crate) fn fail(&mut self, error: &io::Error) {
        self.failure = Some(error.kind());
        self.waiters.wake_all();
    }

    fn end_call(&mut self, now: Instant, call: CallId, outcome: Outcome) {
        let watched = Watched::Call(call);
        let Some(watcher) = self.watcher(watched) else { return self.dispose(now, call, outcome) };
        if is_definite(outcome) {
            self.unwatch(watched);
        }
        match watcher.place {
            Some(place) => self.waiters.end_in_row(watcher.waiter, place, outcome),
            None => self.waiters.tell(watcher.waiter, News::Ended(outcome)),
        }
    }

    fn tell(&mut self, exchange: Watched, news: News) {
        if let Some(watcher) = self.watcher(exchange) {
            self.unwatch(exchange);
            self.waiters.tell(watcher.waiter, news);
        }
    }

    /// Tells whoever waits for a call how far its handler is; its end is still to be told.
    fn tell_progress(&mut self, call: CallId, progress: u64) {
        if let Some(Watcher { waiter, place: None, .. }) = self.watcher(Watched::Call(call)) {
            self.waiters.tell(waiter, News::Progress(progress));
        }
    }

    fn cancel_call(&mut self, call: IncomingCallId) {
        // It may have been answered meanwhile, or be gone with its session.
        if self.endpoint.incoming_call(call).is_ok() {
            self.cancelled.insert(call);
        }
        if let Some(handler) = self.awaiting_cancel.remove(&call) {
            self.waiters.wake(handler);
        }
    }

    /// Says whether the caller of a call whose handler runs wants no answer any more, or is gone.
    pub(crate) fn is_cancelled(&self, call: IncomingCallId) -> bool {
        self.cancelled.contains(&call) || self.endpoint.incoming_call(call).is_err()
    }

    /// Has a handler woken when its caller wants no answer any more, or is gone.
    pub(crate) fn await_cancel(&mut self, call: IncomingCallId, handler: &Waiter) {
        self.awaiting_cancel.insert(call, handler.key);
    }

    /// Forgets of a call whose handler has ended whether its caller wanted an answer.
    pub(crate) fn forget_cancel(&mut self, call: IncomingCallId) {
        if !self.cancelled.is_empty() {
            self.cancelled.remove(&call);
        }
        if !self.awaiting_cancel.is_empty() {
            self.awaiting_cancel.remove(&call);
        }
    }

    fn queue_call(&mut self, now: Instant, call: IncomingCallId) {
        match self.server {
            Some(server) => {
                self.calls.push_back(call);
                self.waiters.wake(server);
            }
            None => {
                let _ = self.endpoint.refuse(now, call, NotExecuted::NoSuchProgram);
            }
        }
    }

    /// What is gone with a session, nobody has to wait for, or to take.
    fn lose_session(&mut self, peer: PeerId) {
        let endpoint = &self.endpoint;
        self.messages.retain(|message| endpoint.payload(message.id).is_ok());
        self.flushed(peer, Err(()));
        self.wake_streams();
    }

    fn flushed(&mut self, peer: PeerId, result: Result<(), ()>) {
        for flush in self.flushes.iter_mut().filter(|flush| flush.peer == peer && flush.is_done.is_none()) {
            flush.is_done = Some(result);
            self.waiters.wake(flush.waiter);
        }
    }
}

/// How long the helper lets a future be late before it does its work: some are kept without being polled. Our choice: longer
/// than an executor is busy between two polls, shorter than a peer's patience.
pub(crate) const DRIVER_DELAY_MAX: Duration = Duration::from_millis(20);

/// Datagrams after which a turn ends if there is something to tell. Our choice: measured, with 64 calls in flight a sixth more calls
/// than with all that waits.
const TURN_DATAGRAM_COUNT_MIN: usize = 2;

/// Datagrams after which it ends in any case. Our choice: of a bulk transfer that comes in full buffers, one buffer's datagrams share an
/// acknowledgement.
const TURN_DATAGRAM_COUNT_MAX: usize = 64;

/// Buffers of one receive; our choice.
const RECV_BUFFER_COUNT: usize = 8;
