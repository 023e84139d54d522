//! What the handles and futures of one endpoint share: the protocol state, the socket, the clock.

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time;

use async_io::Async;
use posthaste_core::Instant;
use posthaste_udp::{Socket, Waiting};

use crate::alarm::Alarm;
use crate::error::{BindError, Failed};
use crate::options::Options;
use crate::state::{State, Turn};
use crate::waiters::{Key, Waiter};
use crate::wheel::{Driver, Sleep};

/// One endpoint, shared by its handles and futures.
///
/// There is no task that owns it: the future that is polled takes in what arrived, tells the other futures, sends what is
/// ready, and sleeps until the socket or a deadline wakes it. One future at a time does so, the *driver*; when it is done, it
/// wakes another one to go on. A helper task acts on deadlines while no future is there.
pub(crate) struct Node {
    socket: Async<Socket>,
    origin: time::Instant,
    /// Held for one turn at most, and never while a future waits.
    state: Mutex<State>,
}

impl Node {
    pub(crate) fn bind(addr: SocketAddr, options: Options) -> Result<Arc<Self>, BindError> {
        let Options { mut config, socket } = options;
        config.check()?;
        let socket = Socket::bind(addr, &posthaste_udp::Options { waiting: Waiting::InPoll, ..socket })?;
        config.fit_recv_buffer(socket.report().recv_buffer.granted_len);
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(io::Error::from)?;
        let state = State::new(config, seed)?;
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
    pub(crate) fn command<T>(&self, work: impl FnOnce(&mut State, Instant) -> T) -> T {
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
    pub(crate) fn command_aside<T>(&self, work: impl FnOnce(&mut State, Instant) -> T) -> T {
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
        &self,
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
            if state.failure().is_some() {
                return Poll::Ready(Err(Failed));
            }
            let now = self.now();
            if let Poll::Ready(value) = attempt(state, waiter, now) {
                return Poll::Ready(Ok(value));
            }
            let is_driven = state.wheel.is_with_other(waiter.key);
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
            state.wheel.give(Some(Driver::Waiter(waiter.key)));
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
        if !state.wheel.is_with_other(waiter.key) {
            state.wheel.give(Some(Driver::Waiter(waiter.key)));
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
                state.wheel.sleep(sleep);
                Poll::Pending
            }
        }
    }

    /// Closes all conversations: the handle that everything began with is gone.
    pub(crate) fn close(&self) {
        self.command(|state, now| state.endpoint.close_all(now, 0));
    }

    /// Turns an instant of the endpoint into one of the operating system.
    pub(crate) fn on_clock(&self, instant: Instant) -> time::Instant {
        self.origin + instant.saturating_since(Instant::ORIGIN)
    }

    /// Takes a place for a future.
    pub(crate) fn waiter(&self) -> Waiter {
        Waiter::new(&mut self.lock().waiters)
    }

    /// Gives a future's place back, after the last that it has to do.
    pub(crate) fn leave(&self, waiter: &Waiter, work: impl FnOnce(&mut State, Instant)) {
        self.command_aside(|state, now| {
            work(state, now);
            state.waiters.remove(waiter.key);
            state.leave_room(waiter);
            self.retire(state, waiter.key);
        });
    }

    /// Lets another future drive if this one did, or nobody does.
    fn retire(&self, state: &mut State, key: Key) {
        let driver = state.wheel.driver();
        let was_driver = driver == Some(Driver::Waiter(key));
        if was_driver || driver.is_none() {
            let next = state.waiters.wake_first().map(Driver::Waiter);
            state.wheel.give(next);
            if was_driver && next.is_none() {
                // What its last turn gave rise to.
                state.settle(self.socket(), self.now());
            }
        }
    }

    /// Sees to it that somebody wakes for the next deadline, and for the socket if it has become full.
    pub(crate) fn rouse(&self, state: &mut State) {
        let deadline = state.endpoint.poll_timeout();
        match state.wheel.driver() {
            Some(_) if state.wheel.covers(deadline, state.is_send_blocked) => {}
            Some(driver @ Driver::Waiter(key)) => {
                state.wheel.give(Some(driver));
                state.waiters.wake(key);
            }
            Some(Driver::Helper) => state.rouse_helper(Instant::ORIGIN),
            // Most likely the next future drives in a moment.
            None if deadline.is_some() || state.is_send_blocked => {
                state.rouse_helper(self.now().saturating_add(GRACE));
            }
            None => {}
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

/// How long nobody may drive before the helper does. Our choice: rare beside the calls of a row, short beside the timeouts of
/// the protocol.
const GRACE: Duration = Duration::from_millis(1);

/// Turns that one poll may take before other tasks get theirs; our choice.
const TURN_COUNT_MAX: usize = 16;
