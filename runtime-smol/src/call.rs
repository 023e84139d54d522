//! Calls to a peer, and their replies.

use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use core::time::Duration;

use posthaste_core::endpoint::{Request, SendError};
use posthaste_core::{CallId, Instant, MessageId, Outcome, Unknown};

use crate::error::CallError;
use crate::node::{Node, State, Waiter};
use crate::peer::Target;
use crate::stream::{StreamReader, StreamWriter};
use crate::waiters::News;

/// A call under way. It begins when it is first polled, and dropping it cancels it.
#[must_use = "a call begins when it is polled"]
pub struct Calling<'a> {
    node: &'a Arc<Node>,
    target: Target,
    request: Request<'a>,
    /// Taken at the first poll, given back by `drop`.
    waiter: Option<Waiter>,
    call: Option<CallId>,
}

/// A call that is to begin, and to be waited for later. It waits for room as long as there is none.
#[must_use = "a call begins when this is polled"]
pub struct Starting<'a> {
    node: &'a Arc<Node>,
    target: Target,
    request: Request<'a>,
    waiter: Option<Waiter>,
}

/// A call that has begun: ready with its outcome. Dropping it cancels the call.
///
/// The streams that its request asked for are taken from it, and live on without it: they may outlast a reply that says
/// "ok". Whatever else ends the call ends them.
#[must_use = "a call that nobody waits for is cancelled"]
pub struct Pending {
    node: Arc<Node>,
    waiter: Option<Waiter>,
    call: Option<CallId>,
    upward: Option<StreamWriter>,
    downward: Option<StreamReader>,
}

impl<'a> Calling<'a> {
    pub(crate) const fn new(node: &'a Arc<Node>, target: Target, request: Request<'a>) -> Self {
        Self { node, target, request, waiter: None, call: None }
    }
}

impl Future for Calling<'_> {
    type Output = Result<Reply, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let waiter = this.waiter.get_or_insert_with(|| this.node.waiter());
        let (call, target, request) = (&mut this.call, this.target, &this.request);
        let polled = this.node.poll(waiter, cx, |state, waiter, now| match *call {
            Some(id) => outcome(state, waiter).map(|outcome| Ok((id, outcome))),
            None => match begin(state, waiter, now, target, request) {
                Ok(id) => {
                    *call = Some(id);
                    Poll::Pending
                }
                Err(error) => refused(state, waiter, error),
            },
        });
        polled.map(|result| match (result, this.call.take()) {
            (Ok(Ok((call, outcome))), _) => conclude(this.node, call, outcome),
            (Ok(Err(error)), _) => Err(CallError::Refused(error)),
            // The socket came to its end.
            (Err(_), Some(call)) => conclude(this.node, call, Outcome::Unknown(Unknown::ConnectionLost)),
            (Err(_), None) => Err(CallError::Refused(SendError::Closed)),
        })
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        give_up(self.node, self.waiter.take(), self.call);
    }
}

impl fmt::Debug for Calling<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calling").field("target", &self.target).field("call", &self.call).finish_non_exhaustive()
    }
}

impl<'a> Starting<'a> {
    pub(crate) const fn new(node: &'a Arc<Node>, target: Target, request: Request<'a>) -> Self {
        Self { node, target, request, waiter: None }
    }
}

impl Future for Starting<'_> {
    type Output = Result<Pending, SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let waiter = this.waiter.get_or_insert_with(|| this.node.waiter());
        let (node, target, request) = (this.node, this.target, &this.request);
        let polled = node.poll(waiter, cx, |state, waiter, now| match begin(state, waiter, now, target, request) {
            Ok(call) => {
                let streams = state.endpoint.call_streams(call).expect("the call has only begun");
                state.settle(node.socket(), now);
                Poll::Ready(Ok((call, streams)))
            }
            Err(error) => refused(state, waiter, error),
        });
        polled.map(|result| {
            let (call, (upward, downward)) = result.unwrap_or(Err(SendError::Closed))?;
            let node = Arc::clone(node);
            let upward = upward.map(|stream| StreamWriter::new(Arc::clone(&node), stream));
            let downward = downward.map(|stream| StreamReader::new(Arc::clone(&node), stream, None, None));
            Ok(Pending { node, waiter: this.waiter.take(), call: Some(call), upward, downward })
        })
    }
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        give_up(self.node, self.waiter.take(), None);
    }
}

impl fmt::Debug for Starting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starting").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Pending {
    /// Takes the stream to the callee; `None` if the request asked for none, or it was taken before.
    ///
    /// It can be written at once. What was not taken is given up when the outcome is first waited for.
    pub const fn take_upward(&mut self) -> Option<StreamWriter> {
        self.upward.take()
    }

    /// Takes the stream from the callee; as [`Pending::take_upward`].
    pub const fn take_downward(&mut self) -> Option<StreamReader> {
        self.downward.take()
    }
}

impl Future for Pending {
    type Output = Result<Reply, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        // A handler that waits for somebody to read or write them would never answer.
        (this.upward, this.downward) = (None, None);
        let (Some(waiter), Some(call)) = (&mut this.waiter, this.call) else {
            return Poll::Ready(Err(CallError::Refused(SendError::Stale)));
        };
        let polled = this.node.poll(waiter, cx, |state, waiter, _| outcome(state, waiter));
        polled.map(|result| {
            this.call = None;
            // Or the socket came to its end.
            conclude(&this.node, call, result.unwrap_or(Outcome::Unknown(Unknown::ConnectionLost)))
        })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        give_up(&self.node, self.waiter.take(), self.call);
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pending").field(&self.call).finish()
    }
}

/// The octets with which a call was answered. They stay in the endpoint's memory until this is dropped.
pub struct Reply {
    node: Arc<Node>,
    /// `None` for a one-way call, which has no reply.
    message: Option<MessageId>,
}

impl Reply {
    /// Lets `look` see the octets in place.
    ///
    /// The endpoint is locked meanwhile: nothing of it may be used, and other futures wait.
    pub fn with<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        let state = self.node.lock();
        look(self.message.and_then(|message| state.endpoint.payload(message).ok()).unwrap_or(&[]))
    }

    /// Returns the length in octets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.with(<[u8]>::len)
    }

    /// Returns whether there are no octets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the octets out.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.with(<[u8]>::to_vec)
    }

    /// Lets `look` see the encoded metadata items that came along; as [`Reply::with`].
    pub fn with_metadata<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        let state = self.node.lock();
        look(self.message.and_then(|message| state.endpoint.metadata(message).ok()).unwrap_or(&[]))
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(message) = self.message {
            // Stale if its session is gone.
            let _ = self.node.command_aside(|state, now| state.endpoint.release(now, message));
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reply").field(&self.message).finish()
    }
}

/// A call whose outcome is unknown; the callee may know. Dropped when nobody wants to learn it.
pub struct Unresolved {
    node: Arc<Node>,
    /// `None` once it is resolved.
    call: Option<CallId>,
    why: Unknown,
}

impl Unresolved {
    /// Returns why the outcome is unknown.
    #[must_use]
    pub const fn why(&self) -> Unknown {
        self.why
    }

    /// Asks the callee what became of the call, and closes its number if it has not begun.
    ///
    /// # Errors
    /// The outcome, unless it is a reply; [`CallError::Unknown`] again if the callee does not answer within `timeout`.
    pub async fn resolve(mut self, timeout: Duration) -> Result<Reply, CallError> {
        let node = Arc::clone(&self.node);
        let waiter = node.waiter();
        let asked = node.command(|state, now| {
            let call = self.call?;
            state.endpoint.resolve(now, call, timeout).ok()?;
            state.watch(call.index(), &waiter);
            Some(call)
        });
        if asked.is_none() {
            node.leave(&waiter, |_, _| ());
            return Err(CallError::Unknown(self));
        }
        self.call = None;
        Pending { node, waiter: Some(waiter), call: asked, upward: None, downward: None }.await
    }
}

impl Drop for Unresolved {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            self.node.command_aside(|state, now| state.forget(now, call));
        }
    }
}

impl fmt::Debug for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unresolved").field(&self.why).finish()
    }
}

/// Hands a call to the endpoint, and has its end told to `waiter`.
fn begin(
    state: &mut State,
    waiter: &mut Waiter,
    now: Instant,
    target: Target,
    request: &Request<'_>,
) -> Result<CallId, SendError> {
    let peer = target.find(state, now)?;
    let call = state.endpoint.call(now, peer, request.clone())?;
    state.watch(call.index(), waiter);
    state.found_room(waiter);
    Ok(call)
}

/// Ready with the outcome of the call that `waiter` waits for.
fn outcome(state: &State, waiter: &Waiter) -> Poll<Outcome> {
    match state.waiters.news(waiter.key) {
        Some(News::Ended(outcome)) => Poll::Ready(outcome),
        _ => Poll::Pending,
    }
}

/// Gives back the place of a future that waited for a call, and cancels the call if nobody was told its outcome.
fn give_up(node: &Arc<Node>, waiter: Option<Waiter>, call: Option<CallId>) {
    let Some(waiter) = waiter else { return };
    node.leave(&waiter, |state, now| {
        let Some(call) = call else { return };
        if let Some(News::Ended(outcome)) = state.waiters.news(waiter.key) {
            return state.dispose(now, call, outcome);
        }
        state.unwatch(call.index(), &waiter);
        // Nobody wants to hear of its end.
        let _ = state.endpoint.cancel(now, call);
    });
}

/// Tells the caller an outcome.
fn conclude(node: &Arc<Node>, call: CallId, outcome: Outcome) -> Result<Reply, CallError> {
    let node = Arc::clone(node);
    match outcome {
        Outcome::Ok(message) => Ok(Reply { node, message: Some(message) }),
        Outcome::Delivered => Ok(Reply { node, message: None }),
        Outcome::ApplicationError(message) => Err(CallError::Application(Reply { node, message: Some(message) })),
        Outcome::NotExecuted(why) => Err(CallError::NotExecuted(why)),
        Outcome::ReplyLost => Err(CallError::ReplyLost),
        Outcome::Unknown(why) => Err(CallError::Unknown(Unresolved { node, call: Some(call), why })),
    }
}

/// Waits for room, or ends with the error.
pub(crate) fn refused<T>(state: &mut State, waiter: &mut Waiter, error: SendError) -> Poll<Result<T, SendError>> {
    if error == SendError::Full {
        state.wait_for_room(waiter);
        return Poll::Pending;
    }
    Poll::Ready(Err(error))
}
