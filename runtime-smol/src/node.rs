//! What the handles and futures of one endpoint share: the protocol state, the socket, the clock.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::Waker;
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time;

use async_io::{Async, Timer};
use posthaste_core::endpoint::{Arrival, Event};
use posthaste_core::{CallId, Endpoint, IncomingCallId, Instant, MessageId, Outcome, PeerId, Storage, StreamId};
use posthaste_udp::{RecvBatch, SendBatch, Socket, Waiting};

use crate::error::BindError;
use crate::helper::Helper;
use crate::options::Options;
use crate::waiters::{Key, News, Waiters};

/// One endpoint, shared by its handles and futures.
///
/// There is no task that owns it: the future that is polled takes in what arrived, tells the other futures, sends what is
/// ready, and sleeps until the socket or a deadline wakes it. One future at a time does so, the *driver*; when it is done, it
/// wakes another one to go on. A [`Helper`] task acts on deadlines while no future is there.
pub(crate) struct Node {
    socket: Async<Socket>,
    origin: time::Instant,
    /// Held for one turn at most, and never while a future waits.
    state: Mutex<State>,
}

/// Everything that changes.
pub(crate) struct State {
    pub(crate) endpoint: Endpoint<'static>,
    pub(crate) waiters: Waiters,
    /// Who is told what becomes of an exchange, by its index. `None`: nobody wants to know, or has been told.
    watchers: Box<[Option<Key>]>,
    pub(crate) streams: HashMap<StreamId, Key>,
    pub(crate) flushes: Vec<Flush>,
    pub(crate) messages: Arrivals<MessageId>,
    pub(crate) incoming_streams: Arrivals<StreamId>,
    pub(crate) calls: VecDeque<IncomingCallId>,
    /// Who waits for the end of all that peers have asked for.
    pub(crate) drainer: Option<Key>,
    /// The future that runs handlers.
    pub(crate) server: Option<Key>,
    /// Whether handlers run at this moment: what they ask for is sent in one go when they pause.
    pub(crate) is_serving: bool,
    /// Futures that were refused for want of room.
    room: VecDeque<Key>,
    pub(crate) driver: Option<Driver>,
    /// What the driver wakes for by itself; `None` while it is awake.
    sleep: Option<Sleep>,
    alarm: Alarm,
    pub(crate) helper: HelperState,
    incoming: RecvBatch,
    outgoing: SendBatch,
    is_send_blocked: bool,
    /// The end of the socket, and of everything.
    failure: Option<io::ErrorKind>,
}

/// The socket came to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed;

/// Who waits for the socket and for deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    Waiter(Key),
    Helper,
}

/// What wakes the driver, beside a datagram.
#[derive(Clone, Copy, Debug)]
struct Sleep {
    until: Option<Instant>,
    awaits_writable: bool,
}

/// Somebody who waits until all is acknowledged.
#[derive(Debug)]
pub(crate) struct Flush {
    pub(crate) peer: PeerId,
    pub(crate) waiter: Key,
    pub(crate) is_done: Option<Result<(), ()>>,
}

/// Messages or streams that nobody has taken yet, and futures that wait for one.
#[derive(Debug)]
pub(crate) struct Arrivals<T> {
    pub(crate) arrived: VecDeque<Arrived<T>>,
    pub(crate) receivers: VecDeque<Key>,
}

/// A message or stream that arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived<T> {
    pub(crate) peer: PeerId,
    pub(crate) channel: Option<u64>,
    pub(crate) id: T,
}

/// What the handles know of the helper.
#[derive(Debug, Default)]
pub(crate) struct HelperState {
    pub(crate) is_spawned: bool,
    pub(crate) waker: Option<Waker>,
    /// When it wakes by itself.
    pub(crate) alarm: Option<Instant>,
}

/// A future's place among those of the endpoint.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) key: Key,
    /// Whether the other futures of the executor had a turn since this one asked for something.
    has_yielded: bool,
    /// Whether it was refused for want of room.
    is_refused: bool,
}

impl Node {
    pub(crate) fn bind(addr: SocketAddr, options: Options) -> Result<Arc<Self>, BindError> {
        let Options { mut config, socket } = options;
        config.check()?;
        let socket = Socket::bind(addr, &posthaste_udp::Options { waiting: Waiting::InPoll, ..socket })?;
        config.fit_recv_buffer(socket.report().recv_buffer.granted_len);
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(io::Error::from)?;
        let outgoing = SendBatch::new(config.datagram_len_max);
        let watchers = vec![None; config.exchange_count_max].into();
        let storage = Storage::owned(&config);
        let state = State {
            endpoint: Endpoint::new_insecure(config, storage, seed, Instant::ORIGIN)?,
            waiters: Waiters::new(),
            watchers,
            streams: HashMap::new(),
            flushes: Vec::new(),
            messages: Arrivals::new(),
            incoming_streams: Arrivals::new(),
            calls: VecDeque::new(),
            drainer: None,
            server: None,
            is_serving: false,
            room: VecDeque::new(),
            driver: None,
            sleep: None,
            alarm: Alarm::new(),
            helper: HelperState::default(),
            incoming: RecvBatch::new(RECV_BUFFER_COUNT),
            outgoing,
            is_send_blocked: false,
            failure: None,
        };
        let socket = Async::new_nonblocking(socket)?;
        Ok(Arc::new(Self { socket, origin: time::Instant::now(), state: Mutex::new(state) }))
    }

    pub(crate) fn socket(&self) -> &Socket {
        self.socket.get_ref()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a bug of ours in one call; the endpoint looks after its own invariants.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::ORIGIN.saturating_add(self.origin.elapsed())
    }

    /// Runs a command that has an answer at once, and sends what it gives rise to.
    pub(crate) fn command<T>(self: &Arc<Self>, work: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.lock();
        let now = self.now();
        let value = work(&mut state, now);
        if !state.is_serving {
            state.settle(self.socket(), now);
            self.rouse(&mut state);
        }
        value
    }

    /// Runs a command that nobody waits for. If something is to be sent already, whoever asked for that sends this, too.
    pub(crate) fn command_aside<T>(self: &Arc<Self>, work: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.lock();
        let now = self.now();
        let has_transmit = state.endpoint.has_transmit();
        let value = work(&mut state, now);
        if !has_transmit && !state.is_serving {
            state.settle(self.socket(), now);
        }
        self.rouse(&mut state);
        value
    }

    /// Polls for what a future waits for: tries, and drives the endpoint if no other future does.
    ///
    /// An attempt that asks for something and is ready sends it: [`State::settle`].
    pub(crate) fn poll<T>(
        self: &Arc<Self>,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
        attempt: impl FnMut(&mut State, &mut Waiter, Instant) -> Poll<T>,
    ) -> Poll<Result<T, Failed>> {
        let mut state = self.lock();
        let polled = self.poll_locked(&mut state, waiter, cx, attempt);
        if polled.is_ready() {
            self.retire(&mut state, waiter.key);
        }
        self.rouse(&mut state);
        polled
    }

    /// As [`Node::poll`], under the lock, for a future that goes on when it is ready: it remains the driver.
    pub(crate) fn poll_locked<T>(
        &self,
        state: &mut State,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(&mut State, &mut Waiter, Instant) -> Poll<T>,
    ) -> Poll<Result<T, Failed>> {
        state.waiters.quiet(waiter.key);
        for _ in 0..TURN_COUNT_MAX {
            if state.failure.is_some() {
                return Poll::Ready(Err(Failed));
            }
            let now = self.now();
            if let Poll::Ready(value) = attempt(state, waiter, now) {
                return Poll::Ready(Ok(value));
            }
            let is_driven = state.is_driven_by_other(waiter);
            // Other futures may be about to ask for something as well; all of it goes into few datagrams.
            let has_company = is_driven || state.waiters.woken_count() > 0;
            if has_company && !waiter.has_yielded && state.endpoint.has_transmit() {
                waiter.has_yielded = true;
                break;
            }
            if is_driven {
                state.settle(self.socket(), now);
                state.waiters.wait(waiter.key, cx.waker());
                return Poll::Pending;
            }
            state.drive(Driver::Waiter(waiter.key));
            if state.turn(self.socket(), now) == Turn::Idle && self.poll_sleep(state, cx, None).is_pending() {
                state.waiters.wait(waiter.key, cx.waker());
                return Poll::Pending;
            }
        }
        // Tasks beside this one want to run, too.
        state.waiters.wait(waiter.key, cx.waker());
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Drives for one turn, without sleep, unless another future does.
    pub(crate) fn take_turn(&self, waiter: &Waiter) {
        let mut state = self.lock();
        if !state.is_driven_by_other(waiter) {
            state.drive(Driver::Waiter(waiter.key));
            state.turn(self.socket(), self.now());
        }
    }

    /// Has the task of the driver woken when there is something to do; ready if there is already.
    pub(crate) fn poll_sleep(&self, state: &mut State, cx: &mut Context<'_>, alarm: Option<&mut Alarm>) -> Poll<()> {
        let sleep = Sleep { until: state.endpoint.poll_timeout(), awaits_writable: state.is_send_blocked };
        let alarm = alarm.unwrap_or(&mut state.alarm);
        if alarm.poll_until(sleep.until.map(|until| self.on_clock(until)), cx).is_ready() {
            return Poll::Ready(());
        }
        if sleep.awaits_writable && self.socket.poll_writable(cx).is_ready() {
            state.is_send_blocked = false;
            return Poll::Ready(());
        }
        match self.socket.poll_readable(cx) {
            Poll::Ready(Err(error)) => {
                state.fail(&error);
                Poll::Ready(())
            }
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Pending => {
                state.sleep = Some(sleep);
                Poll::Pending
            }
        }
    }

    /// Closes all conversations: the handle that everything began with is gone.
    pub(crate) fn close(self: &Arc<Self>) {
        self.command(|state, now| state.endpoint.close_all(now, 0));
    }

    /// Turns an instant of the endpoint into one of the operating system.
    pub(crate) fn on_clock(&self, instant: Instant) -> time::Instant {
        self.origin + instant.saturating_since(Instant::ORIGIN)
    }

    /// Takes a place for a future.
    pub(crate) fn waiter(&self) -> Waiter {
        Waiter::new(&mut self.lock())
    }

    /// Gives a future's place back, after the last that it has to do.
    pub(crate) fn leave(self: &Arc<Self>, waiter: &Waiter, work: impl FnOnce(&mut State, Instant)) {
        self.command_aside(|state, now| {
            work(state, now);
            state.waiters.remove(waiter.key);
            if waiter.is_refused {
                state.room.retain(|key| *key != waiter.key);
                // It may have been told of room that it has no use for.
                state.tell_of_room();
            }
            self.retire(state, waiter.key);
        });
    }

    /// Lets another future drive if this one did, or nobody does.
    fn retire(&self, state: &mut State, key: Key) {
        let was_driver = state.driver == Some(Driver::Waiter(key));
        if was_driver || state.driver.is_none() {
            state.sleep = None;
            state.driver = state.waiters.wake_first().map(Driver::Waiter);
            if was_driver && state.driver.is_none() {
                // What its last turn gave rise to.
                state.settle(self.socket(), self.now());
            }
        }
    }

    /// Sees to it that somebody wakes for the next deadline, and for the socket if it has become full: the driver may have gone to
    /// sleep before there was a reason.
    pub(crate) fn rouse(self: &Arc<Self>, state: &mut State) {
        let deadline = state.endpoint.poll_timeout();
        let is_covered = state.sleep.is_none_or(|sleep| {
            let is_early = deadline.is_none_or(|deadline| sleep.until.is_some_and(|until| until <= deadline));
            is_early && (sleep.awaits_writable || !state.is_send_blocked)
        });
        match state.driver {
            Some(_) if is_covered => {}
            Some(Driver::Waiter(driver)) => {
                state.sleep = None;
                state.waiters.wake(driver);
            }
            Some(Driver::Helper) => self.rouse_helper(state, Instant::ORIGIN),
            // Most likely the next future drives in a moment.
            None if deadline.is_some() || state.is_send_blocked => {
                self.rouse_helper(state, self.now().saturating_add(GRACE));
            }
            None => {}
        }
    }

    /// Has the helper look after everything at an instant, or before.
    fn rouse_helper(self: &Arc<Self>, state: &mut State, at: Instant) {
        if state.helper.alarm.is_some_and(|alarm| alarm <= at) {
            return;
        }
        state.helper.alarm = Some(at);
        if !state.helper.is_spawned {
            state.helper.is_spawned = true;
            Helper::spawn(self);
        } else if let Some(waker) = state.helper.waker.take() {
            waker.wake();
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("socket", self.socket.get_ref()).finish_non_exhaustive()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = state.helper.waker.take() {
            waker.wake();
        }
    }
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
    /// Sends what is ready, takes in what arrived, acts on deadlines that have passed, and tells whom it concerns.
    pub(crate) fn turn(&mut self, socket: &Socket, now: Instant) -> Turn {
        self.transmit(socket, now);
        let mut has_progress = self.receive(socket, now);
        if self.endpoint.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.endpoint.handle_timeout(now);
            has_progress = true;
        }
        if !self.dispatch(now) && !has_progress {
            return Turn::Idle;
        }
        self.tell_of_room();
        Turn::Progress
    }

    /// Says whether another future drives; from the helper any future takes over.
    fn is_driven_by_other(&self, waiter: &Waiter) -> bool {
        matches!(self.driver, Some(Driver::Waiter(driver)) if driver != waiter.key)
    }

    /// Makes a future, or the helper, the driver.
    pub(crate) fn drive(&mut self, driver: Driver) {
        self.driver = Some(driver);
        self.sleep = None;
    }

    /// Tells what has happened, and sends what is ready.
    pub(crate) fn settle(&mut self, socket: &Socket, now: Instant) {
        self.dispatch(now);
        self.transmit(socket, now);
    }

    /// Hands a few datagrams to the endpoint; what they ask for is sent before the others are looked at, so that both sides stay
    /// awake. False if there was none.
    fn receive(&mut self, socket: &Socket, now: Instant) -> bool {
        let mut has_received = false;
        for datagram_count in 0..TURN_DATAGRAM_COUNT_MAX {
            let datagram = match self.incoming.next_datagram() {
                Some(datagram) => datagram,
                None if datagram_count > 0 => break,
                None => match socket.recv(&mut self.incoming) {
                    Ok(_) => {
                        has_received = true;
                        let Some(datagram) = self.incoming.next_datagram() else { break };
                        datagram
                    }
                    Err(error) => {
                        if error.kind() != io::ErrorKind::WouldBlock {
                            self.fail(&error);
                        }
                        break;
                    }
                },
            };
            has_received = true;
            let arrival = Arrival { from: datagram.from, to: datagram.to, ecn: datagram.ecn };
            // The endpoint has counted what it rejects.
            let _ = self.endpoint.handle_datagram(now, arrival, datagram.payload);
        }
        has_received
    }

    fn transmit(&mut self, socket: &Socket, now: Instant) {
        if self.is_send_blocked {
            return;
        }
        loop {
            match socket.send(&mut self.outgoing) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_send_blocked = true;
                    return;
                }
                Err(error) => return self.fail(&error),
            }
            while let Some(slot) = self.outgoing.slot() {
                let Some(transmit) = self.endpoint.poll_transmit(now, slot) else { break };
                self.outgoing.commit(transmit.len, transmit.to, transmit.from, transmit.ecn);
            }
            if self.outgoing.is_empty() {
                return;
            }
        }
    }

    /// Tells each event to whom it concerns; false if there was none.
    pub(crate) fn dispatch(&mut self, now: Instant) -> bool {
        let mut has_event = false;
        while let Some(event) = self.endpoint.poll_event() {
            has_event = true;
            match event {
                Event::CallEnded { call, outcome } => {
                    self.end_call(now, call, outcome);
                    if !matches!(outcome, Outcome::Ok(_)) {
                        self.wake_streams();
                    }
                }
                Event::MessageAcknowledged { message } => self.tell(message.index(), News::Acknowledged),
                Event::MessageFailed { message } => self.tell(message.index(), News::Failed),
                Event::CallReceived { call } => self.queue_call(now, call),
                Event::CallCancelled { call } => self.tell(call.index(), News::Cancelled),
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
                Event::SessionLost { peer } => {
                    self.flushed(peer, Err(()));
                    self.wake_streams();
                }
                Event::Closed { peer } => {
                    self.flushed(peer, Err(()));
                    self.wake_streams();
                }
                // The others are for those who ask for them.
                Event::Connected { .. }
                | Event::Draining { .. }
                | Event::Taken { .. }
                | Event::CallProgress { .. }
                | _ => {}
            }
        }
        if self.drainer.is_some() && self.endpoint.is_drained() {
            self.drainer.take().into_iter().for_each(|drainer| self.waiters.wake(drainer));
        }
        has_event
    }

    /// Has news of an exchange told to a future.
    pub(crate) fn watch(&mut self, exchange: usize, waiter: &Waiter) {
        self.watchers[exchange] = Some(waiter.key);
    }

    /// Wants no news of an exchange.
    pub(crate) fn unwatch(&mut self, exchange: usize, waiter: &Waiter) {
        // Once the exchange is over, its index may be another one's.
        if self.watchers[exchange] == Some(waiter.key) {
            self.watchers[exchange] = None;
        }
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

    /// Has a future woken when there may be room.
    pub(crate) fn wait_for_room(&mut self, waiter: &mut Waiter) {
        waiter.is_refused = true;
        if !self.room.contains(&waiter.key) {
            self.room.push_back(waiter.key);
        }
    }

    /// Notes that a future found room: the next one may find some, too.
    pub(crate) fn found_room(&mut self, waiter: &mut Waiter) {
        if waiter.is_refused {
            waiter.is_refused = false;
            self.room.retain(|key| *key != waiter.key);
            self.tell_of_room();
        }
    }

    /// Wakes one of those who wait for room: what it does not need it tells on.
    pub(crate) fn tell_of_room(&mut self) {
        if let Some(key) = self.room.pop_front() {
            self.waiters.wake(key);
        }
    }

    pub(crate) const fn failure(&self) -> Option<io::ErrorKind> {
        self.failure
    }

    pub(crate) fn fail(&mut self, error: &io::Error) {
        self.failure = Some(error.kind());
        self.waiters.wake_all();
    }

    fn end_call(&mut self, now: Instant, call: CallId, outcome: Outcome) {
        if self.watchers[call.index()].is_some() {
            self.tell(call.index(), News::Ended(outcome));
        } else {
            self.dispose(now, call, outcome);
        }
    }

    fn tell(&mut self, exchange: usize, news: News) {
        if let Some(waiter) = self.watchers[exchange].take() {
            self.waiters.tell(waiter, news);
        }
    }

    fn queue_call(&mut self, now: Instant, call: IncomingCallId) {
        match self.server {
            Some(server) => {
                self.calls.push_back(call);
                self.waiters.wake(server);
            }
            None => {
                let _ = self.endpoint.refuse(now, call, posthaste_core::wire::NotExecuted::NoSuchProgram);
            }
        }
    }

    fn flushed(&mut self, peer: PeerId, result: Result<(), ()>) {
        for flush in self.flushes.iter_mut().filter(|flush| flush.peer == peer && flush.is_done.is_none()) {
            flush.is_done = Some(result);
            self.waiters.wake(flush.waiter);
        }
    }
}

impl<T> Arrivals<T> {
    const fn new() -> Self {
        Self { arrived: VecDeque::new(), receivers: VecDeque::new() }
    }

    fn add(&mut self, waiters: &mut Waiters, arrived: Arrived<T>) {
        self.arrived.push_back(arrived);
        if let Some(receiver) = self.next_receiver() {
            waiters.wake(receiver);
        }
    }

    /// Returns whom to wake if there is something to take.
    pub(crate) fn next_receiver(&mut self) -> Option<Key> {
        if self.arrived.is_empty() { None } else { self.receivers.pop_front() }
    }
}

impl Waiter {
    pub(crate) fn new(state: &mut State) -> Self {
        Self { key: state.waiters.add(), has_yielded: false, is_refused: false }
    }
}

/// A timer that is set again only when it would ring too late: each setting costs a system call, and deadlines mostly move
/// away.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: Timer,
    set_to: Option<time::Instant>,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self { timer: Timer::never(), set_to: None }
    }

    /// Ready when the deadline has passed, or earlier: the caller looks at the clock.
    pub(crate) fn poll_until(&mut self, deadline: Option<time::Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        if self.set_to.is_none_or(|set_to| deadline < set_to) {
            self.timer.set_at(deadline);
            self.set_to = Some(deadline);
        }
        let rings = Pin::new(&mut self.timer).poll(cx);
        if rings.is_ready() {
            self.set_to = None;
        }
        rings.map(drop)
    }
}

/// How long the helper lets a driver be late before it takes its place: some futures are kept without being polled. Our
/// choice: longer than an executor is busy between two polls, shorter than a peer's patience.
pub(crate) const DRIVER_DELAY_MAX: Duration = Duration::from_millis(20);

/// How long nobody may drive before the helper does. Our choice: rare beside the calls of a row, short beside the timeouts of
/// the protocol.
const GRACE: Duration = Duration::from_millis(1);

/// Turns that one poll may take before other tasks get theirs; our choice.
const TURN_COUNT_MAX: usize = 16;

/// Datagrams that one turn takes in; our choice, measured in other systems: some microseconds of work.
const TURN_DATAGRAM_COUNT_MAX: usize = 16;

/// Buffers of one receive; our choice.
const RECV_BUFFER_COUNT: usize = 8;
