//! Answering calls.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::fmt;
use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;
use core::task::{Context, Poll};
use std::panic::catch_unwind;
use std::sync::{Mutex, PoisonError};
use std::time;

use posthaste_core::endpoint::{Answer, ReplyError};
use posthaste_core::wire::{Description, NotExecuted};
use posthaste_core::{IncomingCallId, Instant, PeerId, StreamId};

use crate::error::ReceiveError;
use crate::node::{Node, State, Waiter};
use crate::peer::{Peer, Target};
use crate::stream::{StreamReader, StreamWriter};
use crate::waiters::News;

/// A call of a peer whose handler runs. Dropped without an answer, its caller learns that the handler failed.
pub struct Incoming {
    node: Arc<Node>,
    call: IncomingCallId,
    peer: PeerId,
    procedure: Description,
    deadline: Option<Instant>,
    /// What was not taken is given up with the call.
    upward: Option<StreamId>,
    downward: Option<StreamId>,
    waiter: Waiter,
    is_answered: bool,
}

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
    alert: Arc<Alert>,
}

/// Ready when all that peers have asked for is done.
pub(crate) struct Draining<'a> {
    node: &'a Arc<Node>,
    waiter: Waiter,
}

/// Says why a call is refused before its handler begins.
type Admit = dyn Fn(&Description) -> Result<(), NotExecuted> + Send + Sync;

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
            let waiter = Waiter::new(&mut state);
            state.server = Some(waiter.key);
            waiter
        };
        let places = (0..handler_count_max).map(place).collect();
        Self { node, handler, admit: None, waiter, places, vacant: (0..handler_count_max).collect(), alert }
    }

    /// Asks `admit` about each call before its handler begins, with the endpoint locked: it only looks and returns. What it
    /// refuses was not executed, and its caller is told why.
    pub fn admitting(
        mut self,
        admit: impl Fn(&Description) -> Result<(), NotExecuted> + Send + Sync + 'static,
    ) -> Self {
        self.admit = Some(Box::new(admit));
        self
    }

    /// Polls handlers, begins some, and sends in one go what they answered; false if there was nothing to do.
    fn answer(&mut self) -> bool {
        self.node.lock().is_serving = true;
        let mut is_idle = !self.poll_handlers();
        for _ in 0..CALL_COUNT_MAX {
            let Some(call) = next_call(&self.node, self.admit.as_deref(), !self.vacant.is_empty()) else { break };
            is_idle = false;
            self.begin(call);
        }
        self.node.command(|state, _| state.is_serving = false);
        !is_idle
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

impl<H, F> Future for Serving<H, F>
where
    H: Fn(Incoming) -> F + Unpin,
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
            let polled = this.node.poll_locked(&mut state, &mut this.waiter, cx, |state, _, _| {
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

impl<'a> Draining<'a> {
    pub(crate) fn new(node: &'a Arc<Node>) -> Self {
        Self { node, waiter: node.waiter() }
    }
}

impl Future for Draining<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let polled = self.node.poll(&mut self.waiter, cx, |state, waiter, _| {
            if state.endpoint.is_drained() {
                return Poll::Ready(());
            }
            state.drainer = Some(waiter.key);
            Poll::Pending
        });
        // Where the socket came to its end, nothing is left to wait for.
        polled.map(|_| ())
    }
}

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        self.node.leave(&self.waiter, |state, _| state.drainer = None);
    }
}

/// Takes the next call whose handler may begin, if there is a place for it.
fn next_call(node: &Arc<Node>, admit: Option<&Admit>, has_room: bool) -> Option<Incoming> {
    if !has_room {
        return None;
    }
    let mut state = node.lock();
    let now = node.now();
    while let Some(call) = state.calls.pop_front() {
        // What was cancelled or has expired since is gone.
        let Ok(known) = state.endpoint.incoming_call(call) else { continue };
        let (peer, procedure, deadline) = (known.peer, known.procedure, known.deadline);
        let (upward, downward) = (known.upward, known.downward);
        if let Some(Err(why)) = admit.map(|admit| admit(&procedure)) {
            let _ = state.endpoint.refuse(now, call, why);
            continue;
        }
        if state.endpoint.begin(now, call).is_err() {
            continue;
        }
        let waiter = Waiter::new(&mut state);
        state.watch(call.index(), &waiter);
        return Some(Incoming {
            node: Arc::clone(node),
            call,
            peer,
            procedure,
            deadline,
            upward,
            downward,
            waiter,
            is_answered: false,
        });
    }
    None
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

impl Incoming {
    /// Returns what is called, and how.
    #[must_use]
    pub const fn procedure(&self) -> &Description {
        &self.procedure
    }

    /// Returns when the caller gives up.
    #[must_use]
    pub fn deadline(&self) -> Option<time::Instant> {
        self.deadline.map(|deadline| self.node.on_clock(deadline))
    }

    /// Returns the caller, for calls and messages to it.
    #[must_use]
    pub fn peer(&self) -> Peer {
        Peer::new(Arc::clone(&self.node), Target::Known(self.peer))
    }

    /// Lets `look` see the arguments in place.
    ///
    /// The endpoint is locked meanwhile: nothing of it may be used, and other futures wait.
    pub fn with<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(self.node.lock().endpoint.incoming_call(self.call).map_or(&[], |call| call.arguments))
    }

    /// Copies the arguments out.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.with(<[u8]>::to_vec)
    }

    /// Lets `look` see the encoded metadata items that came with the call; as [`Incoming::with`].
    pub fn with_metadata<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(self.node.lock().endpoint.incoming_call(self.call).map_or(&[], |call| call.metadata))
    }

    /// Takes the stream from the caller; `None` if the call has none, or it was taken before.
    ///
    /// It ends with the answer: what is left of it then, the caller is told, is not wanted.
    #[must_use]
    pub fn take_upward(&mut self) -> Option<StreamReader> {
        Some(StreamReader::new(Arc::clone(&self.node), self.upward.take()?, None, None))
    }

    /// Takes the stream to the caller; `None` if the call has none, or it was taken before.
    ///
    /// It may be written on after [`Incoming::reply`]. Any other answer gives it up.
    #[must_use]
    pub fn take_downward(&mut self) -> Option<StreamWriter> {
        Some(StreamWriter::new(Arc::clone(&self.node), self.downward.take()?))
    }

    /// Returns whether the caller wants no answer any more.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.node.lock().waiters.news(self.waiter.key) == Some(News::Cancelled)
    }

    /// Waits until the caller wants no answer any more, which may never happen.
    pub async fn cancelled(&mut self) {
        core::future::poll_fn(|cx| {
            self.node.poll(&mut self.waiter, cx, |state, waiter, _| match state.waiters.news(waiter.key) {
                Some(_) => Poll::Ready(()),
                None => Poll::Pending,
            })
        })
        .await
        .unwrap_or(());
    }

    /// Tells the caller how far the handler is, in a number of its own choice.
    pub fn set_progress(&self, progress: u64) {
        // A call that is over needs no progress.
        let _ = self.node.lock().endpoint.progress(self.call, progress);
    }

    /// Answers with the result.
    ///
    /// # Errors
    /// [`ReplyError`]: the caller is gone or has given up; or the result is too large, and the caller is told that the handler
    /// failed.
    pub fn reply(self, octets: &[u8]) -> Result<(), ReplyError> {
        self.answer(Answer::Ok, octets)
    }

    /// Answers with an error of the application.
    ///
    /// # Errors
    /// As [`Incoming::reply`].
    pub fn reply_error(self, octets: &[u8]) -> Result<(), ReplyError> {
        self.answer(Answer::Error, octets)
    }

    fn answer(mut self, answer: Answer, octets: &[u8]) -> Result<(), ReplyError> {
        let result = self.node.command(|state, now| state.endpoint.reply(now, self.call, answer, octets, &[]));
        // What is too large is still to be answered, by `drop`.
        self.is_answered = !matches!(result, Err(ReplyError::TooLarge { .. }));
        result
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.node.leave(&self.waiter, |state, now| {
            state.unwatch(self.call.index(), &self.waiter);
            if !self.is_answered {
                // Stale if the caller is gone.
                let _ = state.endpoint.reply(now, self.call, Answer::HandlerFailed, &[], &[]);
            }
            // The answer has ended the other one.
            if let Some(stream) = self.downward {
                let _ = state.endpoint.abandon(now, stream);
            }
            if self.procedure.options.has_upward() || self.procedure.options.has_downward() {
                state.wake_streams();
            }
        });
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("peer", &self.peer).field("procedure", &self.procedure).finish_non_exhaustive()
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
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *server {
            Some(server) => server.clone_from(waker),
            None => *server = Some(waker.clone()),
        }
    }

    fn raise(&self) {
        if !self.is_raised.swap(true, Ordering::AcqRel) {
            let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(server) = &*server {
                server.wake_by_ref();
            }
        }
    }
}

/// Calls that begin before what they gave is sent, so that both sides stay awake (design: measured 4 times the calls of one
/// datagram at a time).
const CALL_COUNT_MAX: usize = 16;

/// Times that one poll may answer before other tasks get their turn; our choice.
const ROUND_COUNT_MAX: usize = 16;
