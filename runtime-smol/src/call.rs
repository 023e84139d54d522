//! Calls to a peer, and their replies.

use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use core::time::Duration;

use posthaste_core::endpoint::{Request, SendError};
use posthaste_core::{CallId, MessageId, Outcome, Unknown};

use crate::error::CallError;
use crate::peer::Target;
use crate::shared::{Shared, State, Waiter};
use crate::waiters::News;

/// A call under way. It begins when it is first polled, and dropping it cancels it.
#[must_use = "a call begins when it is polled"]
pub struct Calling<'a> {
    shared: &'a Arc<Shared>,
    target: Target,
    request: Request<'a>,
    /// Taken at the first poll, given back by `drop`.
    waiter: Option<Waiter>,
    call: Option<CallId>,
}

impl<'a> Calling<'a> {
    pub(crate) const fn new(shared: &'a Arc<Shared>, target: Target, request: Request<'a>) -> Self {
        Self { shared, target, request, waiter: None, call: None }
    }
}

impl Future for Calling<'_> {
    type Output = Result<Reply, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let waiter = this.waiter.get_or_insert_with(|| this.shared.waiter());
        let (call, target, request) = (&mut this.call, this.target, &this.request);
        let polled = this.shared.poll(waiter, cx, |state, waiter, now| {
            let Some(id) = *call else {
                let called = target.find(state, now).and_then(|peer| state.core.call(now, peer, request.clone()));
                match called {
                    Ok(id) => {
                        state.watch(id.index(), waiter);
                        state.found_room(waiter);
                        *call = Some(id);
                    }
                    Err(error) => return refused(state, waiter, error),
                }
                return Poll::Pending;
            };
            let Some(News::Ended(outcome)) = state.waiters.news(waiter.key) else { return Poll::Pending };
            Poll::Ready(Ok((id, outcome)))
        });
        polled.map(|result| match (result, this.call.take()) {
            (Ok(Ok((call, outcome))), _) => conclude(this.shared, call, outcome),
            (Ok(Err(error)), _) => Err(CallError::Refused(error)),
            // The socket came to its end.
            (Err(_), Some(call)) => conclude(this.shared, call, Outcome::Unknown(Unknown::ConnectionLost)),
            (Err(_), None) => Err(CallError::Refused(SendError::Closed)),
        })
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.take() else { return };
        self.shared.leave(&waiter, |state, now| {
            let Some(call) = self.call else { return };
            if let Some(News::Ended(outcome)) = state.waiters.news(waiter.key) {
                return state.dispose(now, call, outcome);
            }
            state.unwatch(call.index(), &waiter);
            // Nobody wants to hear of its end.
            let _ = state.core.cancel(now, call);
        });
    }
}

impl fmt::Debug for Calling<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calling").field("target", &self.target).field("call", &self.call).finish_non_exhaustive()
    }
}

/// The octets with which a call was answered. They stay in the endpoint's memory until this is dropped.
pub struct Reply {
    shared: Arc<Shared>,
    /// `None` for a one-way call, which has no reply.
    message: Option<MessageId>,
}

impl Reply {
    /// Lets `look` see the octets in place.
    ///
    /// The endpoint is locked meanwhile: nothing of it may be used, and other futures wait.
    pub fn with<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        let state = self.shared.lock();
        look(self.message.and_then(|message| state.core.payload(message).ok()).unwrap_or(&[]))
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
        let state = self.shared.lock();
        look(self.message.and_then(|message| state.core.metadata(message).ok()).unwrap_or(&[]))
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(message) = self.message {
            // Stale if its session is gone.
            let _ = self.shared.command_aside(|state, now| state.core.release(now, message));
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
    shared: Arc<Shared>,
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
        let shared = Arc::clone(&self.shared);
        let waiter = shared.waiter();
        let asked = shared.command(|state, now| {
            let call = self.call?;
            state.core.resolve(now, call, timeout).ok()?;
            state.watch(call.index(), &waiter);
            Some(call)
        });
        if asked.is_none() {
            shared.leave(&waiter, |_, _| ());
            return Err(CallError::Unknown(self));
        }
        self.call = None;
        let request = Request::new(0, 0, 0, &[]);
        // Its request was made before: only the end is waited for.
        Calling { shared: &shared, target: Target::Gone, request, waiter: Some(waiter), call: asked }.await
    }
}

impl Drop for Unresolved {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            // Stale if the callee does not know either.
            let _ = self.shared.command_aside(|state, now| state.core.forget(now, call));
        }
    }
}

impl fmt::Debug for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unresolved").field(&self.why).finish()
    }
}

/// Tells the caller an outcome.
fn conclude(shared: &Arc<Shared>, call: CallId, outcome: Outcome) -> Result<Reply, CallError> {
    let shared = Arc::clone(shared);
    match outcome {
        Outcome::Ok(message) => Ok(Reply { shared, message: Some(message) }),
        Outcome::Delivered => Ok(Reply { shared, message: None }),
        Outcome::ApplicationError(message) => Err(CallError::Application(Reply { shared, message: Some(message) })),
        Outcome::NotExecuted(why) => Err(CallError::NotExecuted(why)),
        Outcome::ReplyLost => Err(CallError::ReplyLost),
        Outcome::Unknown(why) => Err(CallError::Unknown(Unresolved { shared, call: Some(call), why })),
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
