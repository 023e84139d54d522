//! What becomes of a call: its reply, why there is none, or that nobody here knows.

use alloc::sync::Arc;
use core::error::Error;
use core::fmt;
use core::mem;
use core::time::Duration;

use posthaste_core::endpoint::SendError;
use posthaste_core::{CallId, NotExecuted, Outcome, Unknown};

use crate::locked::Locked;
use crate::node::Node;
use crate::octets::Octets;
use crate::state::State;
use crate::waiters::Interest;

/// Why a call brought no reply.
#[derive(Debug)]
pub enum CallError {
    /// The handler ran and answered with an error, whose octets these are.
    Application(Vec<u8>),
    /// The call was not executed and never will be; it is safe to call again.
    NotExecuted(NotExecuted),
    /// The handler ran, but its reply is gone.
    ReplyLost,
    /// Nobody here knows whether the handler ran.
    Unknown(Unresolved),
    /// The call was not accepted here, and was never sent.
    Refused(SendError),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(octets) => write!(f, "the handler answered with an error of {} octets", octets.len()),
            Self::NotExecuted(why) => Outcome::NotExecuted(*why).fmt(f),
            Self::ReplyLost => Outcome::ReplyLost.fmt(f),
            Self::Unknown(unresolved) => Outcome::Unknown(unresolved.why()).fmt(f),
            Self::Refused(why) => write!(f, "not sent: {why}"),
        }
    }
}

impl Error for CallError {}

/// A call whose outcome is unknown. Dropping it gives up finding out.
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

    /// Asks the callee what became of the call, and makes sure that it does not begin any more.
    ///
    /// # Errors
    /// As the call itself; still [`CallError::Unknown`] if the callee does not answer within `timeout`, or does not know either.
    pub fn resolve(mut self, timeout: Duration) -> Result<Vec<u8>, CallError> {
        let node = Arc::clone(&self.node);
        let asked = node.command(|state, now| {
            let call = self.call?;
            // The answer may have come since, late.
            if !state.calls.has_ended(call) {
                state.endpoint.resolve(now, call, timeout).ok()?;
            }
            Some(call)
        });
        let Some(call) = asked else { return Err(CallError::Unknown(self)) };
        // The call is looked after by what comes of this.
        self.call = None;
        let mut reply = Vec::new();
        let mut state = node.lock();
        node.read_clock(&mut state);
        await_end(&node, state, call, &mut reply)?;
        Ok(reply)
    }
}

impl Drop for Unresolved {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            self.node.command(|state, now| state.forget(now, call));
        }
    }
}

impl fmt::Debug for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unresolved").field("call", &self.call).field("why", &self.why).finish_non_exhaustive()
    }
}

/// Waits for the end of a call, and puts its reply in the place of `reply`, from a moment at which the caller has read the clock.
pub(crate) fn await_end<'n>(
    node: &'n Arc<Node>,
    state: Locked<'n>,
    call: CallId,
    reply: &mut impl Octets,
) -> Result<(), CallError> {
    let ended = node.wait_locked(state, Interest::Call(call), None, |state, _| take(state, call, reply));
    conclude(node, call, ended.unwrap_or(Outcome::Unknown(Unknown::Closed)), reply)
}

/// Takes the outcome of a call if it has ended, and its octets with it.
pub(crate) fn take(state: &mut State, call: CallId, reply: &mut impl Octets) -> Option<Outcome> {
    let outcome = state.calls.take(call)?;
    if let Outcome::Ok(message) | Outcome::ApplicationError(message) = outcome {
        let now = state.now;
        reply.take(&mut state.endpoint, now, message).expect(TAKEN_ONCE);
    } else {
        reply.clear();
    }
    Some(outcome)
}

/// Tells the caller an outcome, the octets of which are in `reply`.
pub(crate) fn conclude(
    node: &Arc<Node>,
    call: CallId,
    outcome: Outcome,
    reply: &mut impl Octets,
) -> Result<(), CallError> {
    match outcome {
        Outcome::Ok(_) | Outcome::Delivered => Ok(()),
        Outcome::ApplicationError(_) => Err(CallError::Application(mem::take(reply).into_error())),
        Outcome::NotExecuted(why) => Err(CallError::NotExecuted(why)),
        Outcome::ReplyLost => Err(CallError::ReplyLost),
        Outcome::Unknown(why) => Err(CallError::Unknown(Unresolved { node: Arc::clone(node), call: Some(call), why })),
    }
}

pub(crate) const TAKEN_ONCE: &str = "a reply stays until it is taken, once";

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use posthaste_core::Config;
    use posthaste_core::endpoint::{Answer, Request};

    use crate::{Client, Incoming, Server};

    use super::*;

    #[test]
    fn a_call_that_was_resolved_holds_its_client_no_longer() {
        let (release, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let wait = move |_: &Incoming<'_>, _: &mut Vec<u8>| {
            let _ = gate.lock().unwrap().recv();
            Answer::Ok
        };
        let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), wait).unwrap();
        let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
        let node = Arc::downgrade(&client.node);
        let request = Request { timeout: Some(Duration::from_millis(50)), ..Request::new(1, 1, 7, b"") };
        let error = client.call_into(&request, &mut Vec::new()).unwrap_err();
        let CallError::Unknown(unresolved) = error else { panic!("{error}") };
        release.send(()).unwrap();
        // Whatever it comes to: the reply may have come, and gone, before it was asked for.
        drop(unresolved.resolve(Duration::from_secs(10)));
        drop(client);
        assert_eq!(node.strong_count(), 0);
    }
}
