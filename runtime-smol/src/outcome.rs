//! What becomes of a call: its reply, why there is none, or that nobody here knows.

use alloc::sync::Arc;
use core::error::Error;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use posthaste_core::endpoint::SendError;
use posthaste_core::{CallId, NotExecuted, Outcome, Unknown};

use crate::node::Node;
use crate::payload::Payload;
use crate::state::State;
use crate::waiters::{News, Waiter, Watched, is_definite};

/// The octets with which a call was answered. They stay in the endpoint's memory until this is dropped.
///
/// Without octets for a one-way call, which has no reply.
pub struct Reply(Option<Payload>);

impl Reply {
    /// Lets `look` see the octets in place.
    ///
    /// The endpoint is locked meanwhile: nothing of it may be used, and other futures wait.
    pub fn with<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        match &self.0 {
            Some(payload) => payload.with(look),
            None => look(&[]),
        }
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

    /// Takes the octets whole: without a copy if they are as many as
    /// [`Config::own_body_len_min`](posthaste_core::Config::own_body_len_min).
    #[cfg(feature = "bytes")]
    #[must_use]
    pub fn into_bytes(self) -> bytes::Bytes {
        self.0.map(Payload::into_bytes).unwrap_or_default()
    }

    /// Lets `look` see the encoded metadata items that came along; as [`Reply::with`].
    pub fn with_metadata<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        match &self.0 {
            Some(payload) => payload.with_metadata(look),
            None => look(&[]),
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reply").field(&self.0).finish()
    }
}

/// Why a call gave no reply.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The handler ran and answered with an error, whose octets this is.
    Application(Reply),
    /// The call was not executed and never will be; it is safe to call again.
    NotExecuted(NotExecuted),
    /// The handler ran, but its reply is gone.
    ReplyLost,
    /// Nobody here knows whether the handler ran.
    Unknown(Unresolved),
    /// The call was not accepted here, and was never sent. A full queue is no reason: the call waits for room.
    Refused(SendError),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(reply) => write!(f, "the handler answered with an error of {} octets", reply.len()),
            Self::NotExecuted(why) => Outcome::NotExecuted(*why).fmt(f),
            Self::ReplyLost => Outcome::ReplyLost.fmt(f),
            Self::Unknown(unresolved) => Outcome::Unknown(unresolved.why()).fmt(f),
            Self::Refused(why) => write!(f, "not sent: {why}"),
        }
    }
}

impl Error for CallError {}

/// A call whose outcome is unknown; the callee may know. Dropped when nobody wants to learn it.
pub struct Unresolved {
    ending: Ending,
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
    pub async fn resolve(self, timeout: Duration) -> Result<Reply, CallError> {
        if self.ending.resolve(timeout) { self.ending.await } else { Err(CallError::Unknown(self)) }
    }
}

impl fmt::Debug for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unresolved").field(&self.why).finish()
    }
}

/// The rest of a call that has begun: ready with its outcome. Dropping it cancels the call, or gives up finding out.
///
/// `None` once the outcome was told: the reply takes over the handle.
pub(crate) struct Ending(Option<Open>);

/// A call whose outcome was not told.
struct Open {
    node: Arc<Node>,
    waiter: Option<Waiter>,
    call: CallId,
}

impl Ending {
    /// `waiter` is told of the end.
    pub(crate) const fn new(node: Arc<Node>, waiter: Option<Waiter>, call: CallId) -> Self {
        Self(Some(Open { node, waiter, call }))
    }

    pub(crate) fn call(&self) -> Option<CallId> {
        self.0.as_ref().map(|open| open.call)
    }

    /// Asks the callee for an outcome that is unknown; false if that cannot be learnt.
    fn resolve(&self, timeout: Duration) -> bool {
        let Some(Open { node, waiter: Some(waiter), call }) = &self.0 else { return false };
        node.command(|state, now| {
            let Some(News::Ended(Outcome::Unknown(_))) = state.waiters.news(waiter.key) else {
                // The answer has come since, late.
                return true;
            };
            let is_asked = state.endpoint.resolve(now, *call, timeout).is_ok();
            if is_asked {
                state.waiters.forget_news(waiter.key);
            }
            is_asked
        })
    }

    /// Waits until something is heard of how far the handler is; `None` once the call has ended.
    pub(crate) fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Option<u64>> {
        let Some(open) = &mut self.0 else { return Poll::Ready(None) };
        let polled = open.node.poll(&mut open.waiter, cx, |state, waiter| match state.waiters.news(waiter.key) {
            Some(News::Progress(progress)) => {
                state.waiters.forget_news(waiter.key);
                Poll::Ready(Some(progress))
            }
            Some(News::Ended(_)) => Poll::Ready(None),
            _ => Poll::Pending,
        });
        // Or the socket came to its end, and with it the call.
        polled.map(|heard| heard.unwrap_or(None))
    }
}

impl Future for Ending {
    type Output = Result<Reply, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let stale = || Err(CallError::Refused(SendError::Stale));
        let Some(open) = &mut this.0 else { return Poll::Ready(stale()) };
        let polled = open.node.poll(&mut open.waiter, cx, |state, waiter| outcome(state, waiter));
        polled.map(|result| {
            let Some(Open { node, waiter, call }) = this.0.take() else { return stale() };
            // Or the socket came to its end.
            conclude(node, waiter, call, result.unwrap_or(Outcome::Unknown(Unknown::ConnectionLost)))
        })
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(Open { node, waiter, call }) = self.0.take() {
            give_up(&node, waiter, Some(call));
        }
    }
}

/// Ready with the outcome of the call that `waiter` waits for. One that is definite gives its place back, which [`conclude`]
/// forgets.
pub(crate) fn outcome(state: &mut State, waiter: &Waiter) -> Poll<Outcome> {
    let Some(News::Ended(outcome)) = state.waiters.news(waiter.key) else { return Poll::Pending };
    if is_definite(outcome) {
        state.waiters.remove(waiter.key);
    }
    Poll::Ready(outcome)
}

/// Gives back the place of a future that waited for a call, and cancels the call if nobody was told its outcome.
pub(crate) fn give_up(node: &Arc<Node>, waiter: Option<Waiter>, call: Option<CallId>) {
    let Some(waiter) = waiter else { return };
    node.leave(&waiter, |state, now| {
        let Some(call) = call else { return };
        state.unwatch(Watched::Call(call));
        if let Some(News::Ended(outcome)) = state.waiters.news(waiter.key) {
            return state.dispose(now, call, outcome);
        }
        // Nobody wants to hear of its end.
        let _ = state.endpoint.cancel(now, call);
    });
}

/// Tells the caller an outcome. For one that is unknown, `waiter` waits on: a definite one may come late.
pub(crate) fn conclude(
    node: Arc<Node>,
    waiter: Option<Waiter>,
    call: CallId,
    outcome: Outcome,
) -> Result<Reply, CallError> {
    let reply = |node, message| Reply(Some(Payload::new(node, message)));
    match outcome {
        Outcome::Ok(message) => Ok(reply(node, message)),
        Outcome::Delivered => Ok(Reply(None)),
        Outcome::ApplicationError(message) => Err(CallError::Application(reply(node, message))),
        Outcome::NotExecuted(why) => Err(CallError::NotExecuted(why)),
        Outcome::ReplyLost => Err(CallError::ReplyLost),
        Outcome::Unknown(why) => Err(CallError::Unknown(Unresolved { ending: Ending::new(node, waiter, call), why })),
    }
}
