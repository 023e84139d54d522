//! What the handles and futures of one endpoint share: the protocol state, the socket, the clock.

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use async_io::Async;
use posthaste_core::{Endpoint, Instant};
use posthaste_udp::{Clock, Options as SocketOptions, Socket, Waiting};

use crate::alarm::Alarm;
use crate::bell::Bell;
use crate::error::{BindError, Failed};
use crate::locked::Locked;
use crate::options::Options;
use crate::state::{DRIVER_DELAY_MAX, State, Turn};
use crate::waiters::{Key, Waiter};
use crate::wheel::{Driver, Sleep};

/// One endpoint, shared by its handles and futures.
///
/// There is no task that owns it: the future that is polled takes in what arrived, tells the other futures, sends what is
/// ready, and sleeps until the socket or a deadline wakes it. One future at a time does so, the *driver*; when it is done, it
/// wakes another one to go on. A helper task drives while no future is there.
pub(crate) struct Node {
    socket: Async<Socket>,
    /// A copy of the socket's interrupt, for the reactor, where the port is shared.
    interrupt: Option<Async<OwnedFd>>,
    clock: Clock,
    /// What the reactor is given to wake.
    bell: Arc<Bell>,
    ringer: Waker,
    /// Held for one turn at most, and never while a future waits.
    state: Mutex<State>,
}

impl Node {
    pub(crate) fn bind(addr: SocketAddr, options: Options) -> Result<Arc<Self>, BindError> {
        let (socket, endpoint) = posthaste_udp::bind_insecure(addr, options.config, &in_poll(options.socket))?;
        Self::new(socket, endpoint)
    }

    /// Makes a node for each of `socket_count` sockets on one port.
    pub(crate) fn bind_group(
        addr: SocketAddr,
        socket_count: usize,
        options: Options,
    ) -> Result<Vec<Arc<Self>>, BindError> {
        let Options { config, socket } = options;
        let bound = posthaste_udp::bind_group_insecure(addr, socket_count, &config, &in_poll(socket))?;
        bound.into_iter().map(|(socket, endpoint)| Self::new(socket, endpoint)).collect()
    }

    fn new(socket: Socket, endpoint: Endpoint<'static>) -> Result<Arc<Self>, BindError> {
        let state = State::new(endpoint, socket.busy_poller());
        let interrupt = socket.interrupt().map(|interrupt| interrupt.as_fd().try_clone_to_owned()).transpose()?;
        let interrupt = interrupt.map(Async::new_nonblocking).transpose()?;
        let socket = Async::new_nonblocking(socket)?;
        let bell = Arc::<Bell>::default();
        let ringer = Waker::from(Arc::clone(&bell));
        Ok(Arc::new(Self { socket, interrupt, clock: Clock::start(), bell, ringer, state: Mutex::new(state) }))
    }

    pub(crate) fn socket(&self) -> &Socket {
        self.socket.get_ref()
    }

    pub(crate) fn lock(&self) -> Locked<'_> {
        Locked::new(&self.state)
    }

    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }

    pub(crate) const fn clock(&self) -> Clock {
        self.clock
    }

    /// Reads the clock.
    pub(crate) fn read_clock(&self, state: &mut State) -> Instant {
        state.now = self.clock.now();
        state.now
    }

    /// Returns the moment at which something is asked for: that of what it will leave with.
    pub(crate) fn moment(&self, state: &mut State) -> Instant {
        if state.promise.is_some() { state.now } else { self.read_clock(state) }
    }

    /// Runs a command that has an answer at once, and sends what it gives rise to.
    pub(crate) fn command<T>(&self, work: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.lock();
        if state.is_serving {
            let now = state.now;
            return work(&mut state, now);
        }
        let now = self.read_clock(&mut state);
        let value = work(&mut state, now);
        state.settle(self.socket(), now);
        self.rouse(&mut state);
        value
    }

    /// Runs a command that nobody waits for. If something is to be sent already, whoever asked for that sends this, too.
    pub(crate) fn command_aside<T>(&self, work: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.lock();
        // The endpoint is asked last: for an answer it brings its lists up to date.
        let is_sent_by_others = state.is_serving || state.promise.is_some() || state.endpoint.has_transmit();
        // It is late by as long as nobody has looked at the clock, and nobody minds.
        let now = state.now;
        let value = work(&mut state, now);
        if !is_sent_by_others {
            let now = if state.endpoint.has_transmit() { self.read_clock(&mut state) } else { now };
            state.settle(self.socket(), now);
        }
        self.rouse(&mut state);
        value
    }

    /// Sends a call that was started, unless it may wait for others to go with it. `following_count`: outcomes that whoever started
    /// it has taken and not looked at, and calls that it starts next.
    pub(crate) fn send_started(&self, state: &mut State, following_count: usize) {
        if state.may_hold_started(following_count) {
            return state.hold();
        }
        let now = if state.promise.is_some() { self.read_clock(state) } else { state.now };
        state.settle(self.socket(), now);
    }

    /// Polls for what a future waits for: tries, and drives the endpoint if no other future does. A future that is polled for the
    /// first time gets a place.
    ///
    /// An attempt that asks for something and is ready sends it: [`State::settle`].
    pub(crate) fn poll<T>(
        &self,
        waiter: &mut Option<Waiter>,
        cx: &mut Context<'_>,
        attempt: impl FnMut(&mut State, &mut Waiter) -> Poll<T>,
    ) -> Poll<Result<T, Failed>> {
        let mut state = self.lock();
        let waiter = waiter.get_or_insert_with(|| Waiter::new(&mut state.waiters));
        self.poll_for(&mut state, waiter, cx, attempt)
    }

    /// As [`Node::poll`], for a future that has a place.
    pub(crate) fn poll_for<T>(
        &self,
        state: &mut State,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
        attempt: impl FnMut(&mut State, &mut Waiter) -> Poll<T>,
    ) -> Poll<Result<T, Failed>> {
        let polled = self.poll_on(state, waiter, cx, attempt);
        if polled.is_ready() {
            self.retire(state, waiter.key);
        }
        self.rouse(state);
        polled
    }

    /// As [`Node::poll_for`], for a future that goes on when it is ready: it remains the driver.
    pub(crate) fn poll_on<T>(
        &self,
        state: &mut State,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(&mut State, &mut Waiter) -> Poll<T>,
    ) -> Poll<Result<T, Failed>> {
        state.waiters.quiet(waiter.key);
        let mut has_woken = false;
        for _ in 0..TURN_COUNT_MAX {
            if state.failure().is_some() {
                return Poll::Ready(Err(Failed));
            }
            if let Poll::Ready(value) = attempt(state, waiter) {
                return Poll::Ready(Ok(value));
            }
            // Those whom the last turn has woken ask before more is taken in: so both sides stay awake.
            let part = if has_woken { Part::Yield } else { self.part(state, waiter) };
            match part {
                Part::Drive => {
                    // A driver that is polled out of its sleep, and not for the bell, shares its thread with another task: that one may
                    // be the other side.
                    state.is_readable |= state.wheel.is_asleep_with(waiter.key) && !self.bell.has_rung();
                    state.wheel.give(Some(Driver::Waiter(waiter.key)));
                    let turn = self.turn(state);
                    has_woken = state.waiters.woken_count() > 0;
                    if turn == Turn::Idle && state.looks_again() {
                        state.promise(waiter.key);
                        break;
                    }
                    if turn == Turn::Progress || self.poll_sleep(state, cx, None).is_ready() {
                        continue;
                    }
                }
                Part::Send => self.settle(state),
                Part::Wait => {}
                Part::Yield => {
                    self.read_clock(state);
                    state.promise(waiter.key);
                    break;
                }
            }
            state.waiters.wait(waiter.key, cx.waker());
            return Poll::Pending;
        }
        // Tasks beside this one want to run, too.
        state.waiters.wait(waiter.key, cx.waker());
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Says what is the part of a future that is not ready.
    fn part(&self, state: &mut State, waiter: &mut Waiter) -> Part {
        let is_awake = state.wheel.is_with_somebody_awake();
        let promised_by = state.promise.and_then(|promise| promise.by);
        let has_promised = promised_by == Some(waiter.key);
        // A driver that was woken, and not polled though there was time, may be kept without being polled.
        let is_late = self.bell.has_rung() || (is_awake && has_promised);
        let is_driven = state.wheel.is_with_other(waiter.key) && !is_late;
        let woken_count = state.waiters.woken_count();
        // What is asked for goes into few datagrams, but the other side begins early: the last ones, that would make a short
        // datagram, go with those before them.
        let slice_count = state.endpoint.slice_count();
        let is_slice = state.unsent_count >= slice_count && woken_count >= slice_count / 2;
        if is_driven && !is_slice && promised_by.is_some() && !has_promised {
            return Part::Wait;
        }
        // Other futures may be about to ask for something as well.
        let has_company = is_driven || woken_count > 0;
        let has_reason = (has_company && state.endpoint.has_transmit()) || (is_driven && is_awake);
        let has_yielded = waiter.yielded_in == Some(state.turn_count);
        if has_reason && !is_slice && !has_yielded {
            waiter.yielded_in = Some(state.turn_count);
            return if promised_by.is_some() && woken_count == 0 { Part::Drive } else { Part::Yield };
        }
        if is_driven { Part::Send } else { Part::Drive }
    }

    /// Lets others drive, after a future was polled for the last time for now.
    pub(crate) fn step_aside(&self, waiter: &Waiter) {
        let mut state = self.lock();
        state.waiters.quiet(waiter.key);
        self.retire(&mut state, waiter.key);
        self.rouse(&mut state);
    }

    /// Drives for one turn, without sleep, unless another future does.
    pub(crate) fn take_turn(&self, waiter: &Waiter) {
        let mut state = self.lock();
        if !state.wheel.is_with_other(waiter.key) {
            state.wheel.give(Some(Driver::Waiter(waiter.key)));
            // Who does not sleep is told of nothing.
            state.is_readable = true;
            self.turn(&mut state);
        }
    }

    /// Looks after everything once; see [`State::turn`].
    pub(crate) fn turn(&self, state: &mut State) -> Turn {
        if self.bell.silence() {
            // The reactor tells of each readiness once: what it told is taken here, or it would be told at the next sleep.
            let _ = self.poll_readable(state);
        }
        let now = self.read_clock(state);
        state.turn_count += 1;
        state.turn(self.socket(), now)
    }

    /// Tells what has happened, and sends what is ready.
    pub(crate) fn settle(&self, state: &mut State) {
        let now = self.read_clock(state);
        state.settle(self.socket(), now);
    }

    /// Has the task of the driver woken when there is something to do; ready if there is already. The helper comes with an alarm of
    /// its own, which wakes it whoever drives by then.
    pub(crate) fn poll_sleep(&self, state: &mut State, cx: &mut Context<'_>, alarm: Option<&mut Alarm>) -> Poll<()> {
        let sleep = Sleep { until: state.endpoint.poll_timeout(), awaits_writable: state.is_send_blocked };
        let until = sleep.until.and_then(|until| self.clock.to_std(until));
        let former = self.bell.hang(cx.waker());
        state.waiters.drop_later(former);
        let ringing = &mut Context::from_waker(&self.ringer);
        let alarmed = match alarm {
            Some(alarm) => alarm.poll_until(until, cx),
            None => state.alarm.poll_until(until, ringing),
        };
        if alarmed.is_ready() {
            return Poll::Ready(());
        }
        if sleep.awaits_writable && self.socket.poll_writable(ringing).is_ready() {
            state.is_send_blocked = false;
            return Poll::Ready(());
        }
        let readable = self.poll_readable(state);
        if readable.is_pending() {
            state.wheel.sleep(sleep);
        }
        readable
    }

    /// Has the bell ring when there is something to receive; ready if there may be already.
    fn poll_readable(&self, state: &mut State) -> Poll<()> {
        let ringing = &mut Context::from_waker(&self.ringer);
        let passed_on = self.interrupt.as_ref().map_or(Poll::Pending, |interrupt| interrupt.poll_readable(ringing));
        match (passed_on, self.socket.poll_readable(ringing)) {
            (Poll::Pending, Poll::Pending) => return Poll::Pending,
            (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => state.fail(&error),
            (Poll::Ready(Ok(())), _) | (_, Poll::Ready(Ok(()))) => state.is_readable = true,
        }
        Poll::Ready(())
    }

    /// Closes all conversations: the handle that everything began with is gone.
    pub(crate) fn close(&self) {
        self.command(|state, now| state.endpoint.close_all(now, 0));
    }

    /// Gives a future's place back, after the last that it has to do.
    pub(crate) fn leave(&self, waiter: &Waiter, work: impl FnOnce(&mut State, Instant)) {
        self.command_aside(|state, now| {
            work(state, now);
            self.vacate(state, waiter);
        });
    }

    /// Gives a future's place back.
    pub(crate) fn vacate(&self, state: &mut State, waiter: &Waiter) {
        state.waiters.remove(waiter.key);
        state.leave_room(waiter);
        self.retire(state, waiter.key);
    }

    /// Lets another future drive if this one did, or nobody does, and keeps what it has promised.
    fn retire(&self, state: &mut State, key: Key) {
        let driver = state.wheel.driver();
        let was_driver = driver == Some(Driver::Waiter(key));
        let mut is_last = false;
        if was_driver || driver.is_none() {
            let next = state.waiters.wake_next().map(Driver::Waiter);
            state.wheel.give(next);
            // What its last turn gave rise to.
            is_last = was_driver && next.is_none();
        }
        if is_last || state.promise.is_some_and(|promise| promise.by == Some(key)) {
            self.settle(state);
        }
    }

    /// Sees to it that somebody wakes for the next deadline, and for the socket.
    pub(crate) fn rouse(&self, state: &mut State) {
        if state.wheel.is_with_somebody_awake() {
            return state.rouse_helper(state.now.saturating_add(DRIVER_DELAY_MAX));
        }
        let driver = state.wheel.driver();
        // Most of those who work through what came start calls on the way.
        if driver.is_none() && (state.is_holding() || state.is_helper_roused_by(state.now.saturating_add(GRACE_MIN))) {
            return;
        }
        let deadline = state.endpoint.poll_timeout();
        match driver {
            Some(_) if state.wheel.covers(deadline, state.is_send_blocked) => {}
            Some(driver @ Driver::Waiter(key)) => {
                state.wheel.give(Some(driver));
                state.waiters.wake(key);
            }
            Some(Driver::Helper) => state.rouse_helper(Instant::ORIGIN),
            // Most likely the next future drives in a moment; if not, somebody has to hear what the peers say.
            None => state.rouse_helper(grace(state.now, deadline)),
        }
    }
}

/// Returns when the helper drives if nobody does until then.
pub(crate) fn grace(now: Instant, deadline: Option<Instant>) -> Instant {
    let (early, late) = (now.saturating_add(GRACE_MIN), now.saturating_add(GRACE_MAX));
    deadline.map_or(late, |deadline| deadline.clamp(early, late))
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

/// What a future does that is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Looks after everything, and sleeps on behalf of all.
    Drive,
    /// Sends what it has asked for, and waits for the driver.
    Send,
    /// Waits; another one has promised to send.
    Wait,
    /// Lets the tasks beside it run, and promises to send then.
    Yield,
}

fn in_poll(options: SocketOptions) -> SocketOptions {
    SocketOptions { waiting: Waiting::InPoll, ..options }
}

/// How long nobody may drive before the helper does, whatever there is to do. Our choice: rare beside the calls of a row.
const GRACE_MIN: Duration = Duration::from_millis(1);

/// How long nobody may drive before the helper does, though nothing is to be done. Our choice: as long as an acknowledgement may
/// be delayed on a local network, so that what a peer says meanwhile is acknowledged hardly later than it expects.
pub(crate) const GRACE_MAX: Duration = Duration::from_millis(5);

/// Turns that one poll may take before other tasks get theirs; our choice.
const TURN_COUNT_MAX: usize = 16;

#[cfg(test)]
mod tests;
