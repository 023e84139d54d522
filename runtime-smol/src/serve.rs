//! Answering calls.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::fmt;
use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::panic::catch_unwind;
use std::sync::{Mutex, MutexGuard, PoisonError};

use posthaste_core::Instant;
use posthaste_core::wire::{Description, NotExecuted};

use crate::error::ReceiveError;
use crate::incoming::{Admit, Incoming};
use crate::node::Node;
use crate::state::State;
use crate::waiters::{Waiter, hang};

/// Answers calls for as long as it is polled; ends with the socket.
///
/// All is allocated at the beginning: a place for each handler that may run at a time.
#[must_use = "calls are answered while this is polled"]
pub struct Serving<H, F> {
    node: Arc<Node>,
    handler: H,
    admit: Option<Box<Admit>>,
    waiter: Waiter,
    places: Box<[Place<F>]>,
    vacant: Vec<usize>,
    /// Calls that have begun and whose handlers are about to run.
    begun: VecDeque<Incoming>,
    alert: Arc<Alert>,
}

/// Where one handler runs, one call after the other.
struct Place<F> {
    running: Pin<Box<Option<F>>>,
    signal: Arc<Signal>,
    waker: Waker,
}

/// Tells that the handler in a place is to be polled.
struct Signal {
    is_raised: AtomicBool,
    alert: Arc<Alert>,
}

/// Tells that some handler is to be polled.
#[derive(Default)]
struct Alert {
    is_raised: AtomicBool,
    server: Mutex<Option<Waker>>,
}

impl<H, F> Serving<H, F>
where
    H: Fn(Incoming) -> F,
    F: Future<Output = ()>,
{
    pub(crate) fn new(node: Arc<Node>, handler_count_max: usize, handler: H) -> Self {
        let alert = Arc::new(Alert::default());
        let place = |_| {
            let signal = Arc::new(Signal { is_raised: AtomicBool::new(false), alert: Arc::clone(&alert) });
            Place { running: Box::pin(None), waker: Waker::from(Arc::clone(&signal)), signal }
        };
        let waiter = {
            let mut state = node.lock();
            let waiter = Waiter::new(&mut state.waiters);
            state.server = Some(waiter.key);
            waiter
        };
        let places = (0..handler_count_max).map(place).collect();
        let vacant = (0..handler_count_max).collect();
        let begun = VecDeque::with_capacity(handler_count_max);
        Self { node, handler, admit: None, waiter, places, vacant, begun, alert }
    }

    /// Asks `admit` about each call before its handler begins, with the endpoint locked: it only looks and returns. What it
    /// refuses was not executed, and its caller is told why; if it panics, that too many wait.
    pub fn admitting(
        mut self,
        admit: impl Fn(&Description) -> Result<(), NotExecuted> + Send + Sync + 'static,
    ) -> Self {
        self.admit = Some(Box::new(admit));
        self
    }

    /// Polls handlers, begins some, and sends in one go what they answered; false if there was nothing to do.
    fn answer(&mut self) -> bool {
        let slice_count = {
            let mut state = self.node.lock();
            self.node.read_clock(&mut state);
            state.is_serving = true;
            let slice_count = state.endpoint.slice_count();
            // A few that would make a short datagram go with those before them.
            if state.calls.len() < slice_count + slice_count / 2 { state.calls.len() } else { slice_count }
        };
        let mut is_idle = !self.poll_handlers();
        let mut begun_count = 0;
        while self.take_calls(slice_count - begun_count) {
            is_idle = false;
            begun_count += self.begun.len();
            while let Some(call) = self.begun.pop_front() {
                self.begin(call);
            }
        }
        let mut state = self.node.lock();
        state.is_serving = false;
        self.node.settle(&mut state);
        self.node.rouse(&mut state);
        !is_idle
    }

    /// Takes calls that wait, at most `count_max` and as many as there is room for their handlers, to begin them; false if there
    /// are none.
    fn take_calls(&mut self, count_max: usize) -> bool {
        let count = count_max.min(self.vacant.len());
        if count > 0 {
            let mut state = self.node.lock();
            Incoming::begin_next(&self.node, &mut state, self.admit.as_deref(), count, &mut self.begun);
        }
        !self.begun.is_empty()
    }

    /// Polls handlers that are to be polled; false if there was none.
    fn poll_handlers(&mut self) -> bool {
        if !self.alert.is_raised.swap(false, Ordering::AcqRel) {
            return false;
        }
        for index in 0..self.places.len() {
            if self.places[index].signal.is_raised.swap(false, Ordering::AcqRel) {
                self.poll_handler(index);
            }
        }
        true
    }

    fn poll_handler(&mut self, index: usize) {
        let place = &mut self.places[index];
        let Some(running) = place.running.as_mut().as_pin_mut() else { return };
        let mut cx = Context::from_waker(&place.waker);
        // A handler that left its own state broken meets it again; ours is not touched by it.
        let polled = catch_unwind(AssertUnwindSafe(|| running.poll(&mut cx)));
        if !matches!(polled, Ok(Poll::Pending)) {
            // What a panic left of it answers that the handler failed.
            let _ = catch_unwind(AssertUnwindSafe(|| place.running.set(None)));
            self.vacant.push(index);
        }
    }

    fn begin(&mut self, call: Incoming) {
        let Some(index) = self.vacant.pop() else { return };
        match catch_unwind(AssertUnwindSafe(|| (self.handler)(call))) {
            Ok(running) => {
                self.places[index].running.set(Some(running));
                self.poll_handler(index);
            }
            Err(_) => self.vacant.push(index),
        }
    }
}

/// A handler is called, and never polled; what it returns lies in a box.
impl<H, F> Unpin for Serving<H, F> {}

impl<H, F> Future for Serving<H, F>
where
    H: Fn(Incoming) -> F,
    F: Future<Output = ()>,
{
    type Output = ReceiveError;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ReceiveError> {
        let this = self.get_mut();
        this.alert.set(cx.waker());
        for _ in 0..ROUND_COUNT_MAX {
            if this.answer() {
                continue;
            }
            let has_room = !this.vacant.is_empty();
            let mut state = this.node.lock();
            let polled = this.node.poll_on(&mut state, &mut this.waiter, cx, |state, _| {
                let has_call = has_room && !state.calls.is_empty();
                if has_call || this.alert.is_raised.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
            });
            this.node.rouse(&mut state);
            match polled {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(ReceiveError::Closed),
                Poll::Pending => return Poll::Pending,
            }
        }
        // Handlers that are always ready leave the socket its turn; and tasks beside this one want to run, too.
        this.node.take_turn(&this.waiter);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<H, F> Drop for Serving<H, F> {
    fn drop(&mut self) {
        self.node.leave(&self.waiter, |state, now| {
            if state.server == Some(self.waiter.key) {
                state.server = None;
                refuse_waiting(state, now);
            }
        });
    }
}

/// Refuses calls that nobody will answer.
fn refuse_waiting(state: &mut State, now: Instant) {
    while let Some(call) = state.calls.pop_front() {
        let _ = state.endpoint.refuse(now, call, NotExecuted::Draining);
    }
}

impl<H, F> fmt::Debug for Serving<H, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running_count = self.places.len() - self.vacant.len();
        f.debug_struct("Serving").field("running_count", &running_count).finish_non_exhaustive()
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_raised.store(true, Ordering::Release);
        self.alert.raise();
    }
}

impl Alert {
    fn set(&self, waker: &Waker) {
        // Not under the lock: with its waker a task may go.
        let former = hang(&mut self.server(), waker);
        drop(former);
    }

    fn raise(&self) {
        if !self.is_raised.swap(true, Ordering::AcqRel) {
            // Not under the lock: an executor may run the task at once. Until it is polled again, nobody else has to wake it.
            let server = self.server().take();
            if let Some(server) = server {
                server.wake();
            }
        }
    }

    fn server(&self) -> MutexGuard<'_, Option<Waker>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Times that one poll may answer before other tasks get their turn; our choice.
const ROUND_COUNT_MAX: usize = 16;
