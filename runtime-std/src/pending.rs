//! Calls under way.

use alloc::sync::Arc;
use core::fmt;
use core::mem;
use core::time::Duration;

use posthaste_core::endpoint::SendError;
use posthaste_core::{CallId, Instant, Outcome, StreamId, Unknown};

use crate::error::CallError;
use crate::node::Vain;
use crate::peer::{Peer, Received};
use crate::state::{Interest, State};
use crate::stream::{StreamReader, StreamWriter};

/// A call under way. Dropping it cancels the call.
///
/// The streams that its request asked for are taken from it, and live on without it: they may outlast a reply that says
/// "ok". Whatever else ends the call ends them.
#[must_use = "a call that nobody waits for is cancelled"]
pub struct Pending {
    peer: Peer,
    /// `None` once the outcome was taken.
    call: Option<CallId>,
    upward: Option<StreamWriter>,
    downward: Option<StreamReader>,
}

impl Pending {
    pub(crate) fn new(peer: Peer, call: CallId, upward: Option<StreamId>, downward: Option<StreamId>) -> Self {
        let upward = upward.map(|stream| StreamWriter::new(Arc::clone(&peer.node), stream));
        let downward = downward.map(|stream| StreamReader::new(Received { peer: peer.clone(), channel: None }, stream));
        Self { peer, call: Some(call), upward, downward }
    }

    /// Takes the stream to the callee; `None` if the request asked for none, or it was taken before.
    ///
    /// It can be written at once. [`Pending::wait`] gives up what was not taken.
    pub const fn take_upward(&mut self) -> Option<StreamWriter> {
        self.upward.take()
    }

    /// Takes the stream from the callee; as [`Pending::take_upward`].
    pub const fn take_downward(&mut self) -> Option<StreamReader> {
        self.downward.take()
    }

    /// Waits for the reply.
    ///
    /// # Errors
    /// Each outcome but "ok"; see [`CallError`].
    pub fn wait(self) -> Result<Vec<u8>, CallError> {
        let mut reply = Vec::new();
        self.wait_into(&mut reply)?;
        Ok(reply)
    }

    /// Waits for the reply and writes it over `reply`, which allocates only if it is too short.
    ///
    /// # Errors
    /// Each outcome but "ok"; see [`CallError`].
    pub fn wait_into(mut self, reply: &mut Vec<u8>) -> Result<(), CallError> {
        let Some(call) = self.call.take() else { return Err(CallError::Refused(SendError::Stale)) };
        // A handler that waits for somebody to read or write them would never answer.
        (self.upward, self.downward) = (None, None);
        let node = &self.peer.node;
        let ended = node.wait(Interest::Call(call), None, |state, now| take(state, now, call, reply));
        conclude(&self.peer, call, ended, reply)
    }

    /// Asks for the call to be given up. Wait for its outcome: the handler may have run.
    pub fn cancel(&self) {
        self.canceller().cancel();
    }

    /// Returns what cancels the call while another thread waits for it.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller { peer: self.peer.clone(), call: self.call }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            self.peer.node.command(|state, now| state.abandon(now, call));
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("call", &self.call).finish_non_exhaustive()
    }
}

/// Cancels one call, from any thread and at any time.
#[derive(Clone, Debug)]
pub struct Canceller {
    peer: Peer,
    call: Option<CallId>,
}

impl Canceller {
    /// As [`Pending::cancel`]; without effect once the call has ended.
    pub fn cancel(&self) {
        if let Some(call) = self.call {
            // A call that has ended needs no cancelling.
            let _ = self.peer.node.command(|state, now| state.endpoint.cancel(now, call));
        }
    }
}

/// Waits until at least one of the calls has ended, and returns its index: waiting for that one takes no time.
///
/// All calls must have been started through one client.
///
/// # Panics
/// If there are no calls.
#[must_use]
pub fn wait_any(calls: &[Pending]) -> usize {
    let first = calls.first().expect("there is a call to wait for");
    let ended = first.peer.node.wait(Interest::AnyCall, None, |state, _| {
        calls.iter().position(|pending| pending.call.is_some_and(|call| state.has_ended(call)))
    });
    // Where all is closed, every call has ended.
    ended.unwrap_or(0)
}

/// A call whose outcome is unknown. Dropping it gives up finding out.
pub struct Unresolved {
    peer: Peer,
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
        let peer = self.peer.clone();
        let asked = peer.node.command(|state, now| {
            let call = self.call?;
            state.endpoint.resolve(now, call, timeout).ok()?;
            state.follow(call);
            Some(call)
        });
        let Some(call) = asked else { return Err(CallError::Unknown(self)) };
        // The call is looked after by what comes of this.
        self.call = None;
        let mut reply = Vec::new();
        let ended = peer.node.wait(Interest::Call(call), None, |state, now| take(state, now, call, &mut reply));
        conclude(&peer, call, ended, &mut reply)?;
        Ok(reply)
    }
}

impl Drop for Unresolved {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            self.peer.node.command(|state, now| state.forget(now, call));
        }
    }
}

impl fmt::Debug for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unresolved").field("call", &self.call).field("why", &self.why).finish_non_exhaustive()
    }
}

/// Takes the outcome of a call if it has ended, and its octets with it.
pub(crate) fn take(state: &mut State, now: Instant, call: CallId, reply: &mut Vec<u8>) -> Option<Outcome> {
    let outcome = state.take_outcome(call)?;
    reply.clear();
    if let Outcome::Ok(message) | Outcome::ApplicationError(message) = outcome {
        let octets = state.endpoint.payload(message).expect("a reply stays until it is released");
        reply.extend_from_slice(octets);
        state.endpoint.release(now, message).expect("a reply is released once");
    }
    Some(outcome)
}

/// Turns an outcome into what the caller gets.
pub(crate) fn conclude(
    peer: &Peer,
    call: CallId,
    ended: Result<Outcome, Vain>,
    reply: &mut Vec<u8>,
) -> Result<(), CallError> {
    match ended {
        Ok(Outcome::Ok(_) | Outcome::Delivered) => Ok(()),
        Ok(Outcome::ApplicationError(_)) => Err(CallError::Application(mem::take(reply))),
        Ok(Outcome::NotExecuted(why)) => Err(CallError::NotExecuted(why)),
        Ok(Outcome::ReplyLost) => Err(CallError::ReplyLost),
        Ok(Outcome::Unknown(why)) => Err(CallError::Unknown(Unresolved { peer: peer.clone(), call: Some(call), why })),
        Err(Vain::Closed | Vain::TimedOut) => {
            Err(CallError::Unknown(Unresolved { peer: peer.clone(), call: Some(call), why: Unknown::Closed }))
        }
    }
}

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
        unresolved.resolve(Duration::from_secs(10)).unwrap();
        drop(client);
        assert_eq!(node.strong_count(), 0);
    }
}
