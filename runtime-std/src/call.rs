//! Calls: making one and waiting for it, or having many under way.

use alloc::sync::Arc;
use core::fmt;

use posthaste_core::endpoint::{Request, SendError, Streams};
use posthaste_core::{CallId, Instant, StreamId};

use crate::message::Received;
use crate::node::Node;
use crate::octets::Octets;
use crate::outcome::{CallError, await_end, conclude, take};
use crate::peer::Peer;
use crate::state::State;
use crate::stream::{StreamReader, StreamWriter};
use crate::waiters::Interest;

/// Calls.
impl Peer {
    /// Calls a procedure and waits for its reply: at-most-once, within the configured time.
    ///
    /// # Errors
    /// Each outcome but "ok"; see [`CallError`].
    pub fn call(&self, program: u32, version: u32, procedure: u32, arguments: &[u8]) -> Result<Vec<u8>, CallError> {
        let mut reply = Vec::new();
        self.call_into(&Request::new(program, version, procedure, arguments), &mut reply)?;
        Ok(reply)
    }

    /// Makes a call and writes its reply over `reply`, which allocates only if it is too short.
    ///
    /// Where too much is under way, it waits for room first. The call has no streams, whatever the request says: who waits for
    /// the reply cannot use them; [`Peer::start`] gives them.
    ///
    /// # Errors
    /// Each outcome but "ok"; see [`CallError`].
    pub fn call_into(&self, request: &Request<'_>, reply: &mut Vec<u8>) -> Result<(), CallError> {
        self.make_call(request, reply)
    }

    /// As [`Peer::call_into`], but takes the reply whole: without a copy if it is as long as
    /// [`Config::own_body_len_min`](posthaste_core::Config::own_body_len_min).
    ///
    /// # Errors
    /// Each outcome but "ok"; see [`CallError`].
    #[cfg(feature = "bytes")]
    pub fn call_bytes(&self, request: &Request<'_>) -> Result<bytes::Bytes, CallError> {
        let mut reply = bytes::Bytes::new();
        self.make_call(request, &mut reply)?;
        Ok(reply)
    }

    fn make_call(&self, request: &Request<'_>, reply: &mut impl Octets) -> Result<(), CallError> {
        let request = &Request { streams: Streams::None, ..request.clone() };
        let mut state = self.node.lock();
        // Before there is a call that nobody would take the outcome of.
        self.node.forbid_inline(&state);
        let now = self.node.read_clock(&mut state);
        let call = match self.begin(&mut state, now, request.clone()) {
            Ok(call) => call,
            Err(SendError::Full) => {
                drop(state);
                let accepted = self.wait_for_room(|state, now| self.begin(state, now, request.clone()));
                let call = accepted.map_err(CallError::Refused)?;
                state = self.node.lock();
                call
            }
            Err(error) => return Err(CallError::Refused(error)),
        };
        await_end(&self.node, state, call, reply)
    }

    /// Starts a call and returns at once; [`Pending`] holds the streams that the request asks for.
    ///
    /// A call that is started while outcomes of earlier ones wait to be taken leaves together with those that follow it: when
    /// half of all that are open are started, but at least 16, when somebody waits for what has not come, or after a
    /// millisecond.
    ///
    /// # Errors
    /// [`SendError`]; the call was not sent then.
    pub fn start(&self, request: &Request<'_>) -> Result<Pending, SendError> {
        let mut state = self.node.lock();
        let now = self.node.moment(&mut state);
        let call = self.begin(&mut state, now, request.clone())?;
        let streams = match request.streams {
            Streams::None => None,
            Streams::Upward | Streams::Downward | Streams::Both => {
                let (upward, downward) = state.endpoint.call_streams(call).expect("the call has only begun");
                Some(Box::new(Beside::new(self, upward, downward)))
            }
        };
        self.node.send_started(&mut state, 0);
        drop(state);
        Ok(Pending { node: Arc::clone(&self.node), call: Some(call), streams })
    }

    /// As [`Peer::start`] for a call without streams, but where too much is under way, it waits for room first.
    #[cfg(feature = "rpc")]
    pub(crate) fn start_with_room(&self, request: &Request<'_>) -> Result<Pending, SendError> {
        let request = &Request { streams: Streams::None, ..request.clone() };
        let call = self.wait_for_room(|state, now| self.begin(state, now, request.clone()))?;
        Ok(Pending { node: Arc::clone(&self.node), call: Some(call), streams: None })
    }

    /// Makes a call whose outcome nobody wants to know, and returns when it was accepted: mostly a one-way one. Where too much
    /// is under way, it waits for room first. [`Peer::flush`] waits for its arrival. It has no streams.
    ///
    /// # Errors
    /// [`SendError`]; the call was not sent then.
    pub fn post(&self, request: &Request<'_>) -> Result<(), SendError> {
        self.wait_for_room(|state, now| {
            let id = self.id(state, now)?;
            state.endpoint.call(now, id, Request { streams: Streams::None, ..request.clone() })
        })?;
        Ok(())
    }

    /// Hands a call to the endpoint, and follows it.
    fn begin(&self, state: &mut State, now: Instant, request: Request<'_>) -> Result<CallId, SendError> {
        let id = self.id(state, now)?;
        state.begin(now, id, request)
    }
}

/// A call under way. Dropping it cancels the call.
///
/// The streams that its request asked for are taken from it, and live on without it: they may outlast a reply that says
/// "ok", and the delivery of a one-way call. Whatever else ends the call ends them.
#[must_use = "a call that nobody waits for is cancelled"]
pub struct Pending {
    node: Arc<Node>,
    /// `None` once the outcome was taken.
    call: Option<CallId>,
    /// In a box, because few calls have any, and those that have none are moved about by the hundred.
    streams: Option<Box<Beside>>,
}

impl Pending {
    /// Takes the stream to the callee; `None` if the request asked for none, or it was taken before.
    ///
    /// It can be written at once. [`Pending::wait`] gives up what was not taken.
    pub const fn take_upward(&mut self) -> Option<StreamWriter> {
        match &mut self.streams {
            Some(streams) => streams.upward.take(),
            None => None,
        }
    }

    /// Takes the stream from the callee; as [`Pending::take_upward`].
    pub const fn take_downward(&mut self) -> Option<StreamReader> {
        match &mut self.streams {
            Some(streams) => streams.downward.take(),
            None => None,
        }
    }

    /// Waits until something is heard of how far the handler is ([`Incoming::set_progress`](crate::Incoming::set_progress)), and
    /// returns that; `None` once the call has ended.
    ///
    /// The client asks a second after the call began, and then ever more rarely.
    pub fn next_progress(&self) -> Option<u64> {
        let call = self.call?;
        let heard = self.node.wait(Interest::Call(call), None, |state, _| {
            let progress = state.calls.take_progress(call);
            (progress.is_some() || state.calls.has_ended(call)).then_some(progress)
        });
        // Where all is closed, every call has ended.
        heard.ok()?
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
    pub fn wait_into(self, reply: &mut Vec<u8>) -> Result<(), CallError> {
        self.wait_for(reply)
    }

    /// Waits for the reply and takes it whole, as [`Peer::call_bytes`] does.
    ///
    /// # Errors
    /// Each outcome but "ok"; see [`CallError`].
    #[cfg(feature = "bytes")]
    pub fn wait_bytes(self) -> Result<bytes::Bytes, CallError> {
        let mut reply = bytes::Bytes::new();
        self.wait_for(&mut reply)?;
        Ok(reply)
    }

    fn wait_for(mut self, reply: &mut impl Octets) -> Result<(), CallError> {
        let Some(call) = self.call else { return Err(CallError::Refused(SendError::Stale)) };
        // A handler that waits for somebody to read or write them would never answer.
        self.streams = None;
        let mut state = self.node.lock();
        if let Some(outcome) = take(&mut state, call, reply) {
            self.call = None;
            self.node.hold_ready(&mut state);
            drop(state);
            return conclude(&self.node, call, outcome, reply);
        }
        self.node.forbid_inline(&state);
        self.call = None;
        self.node.read_clock(&mut state);
        await_end(&self.node, state, call, reply)
    }

    /// Asks for the call to be given up. Wait for its outcome: the handler may have run.
    pub fn cancel(&self) {
        self.canceller().cancel();
    }

    /// Returns what cancels the call while another thread waits for it.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller { node: Arc::clone(&self.node), call: self.call }
    }
}

/// For [`wait_any`].
impl AsRef<Self> for Pending {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            self.node.command(|state, now| state.abandon(now, call));
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("call", &self.call).finish_non_exhaustive()
    }
}

/// The streams beside a call that nobody has taken yet.
struct Beside {
    upward: Option<StreamWriter>,
    downward: Option<StreamReader>,
}

impl Beside {
    fn new(peer: &Peer, upward: Option<StreamId>, downward: Option<StreamId>) -> Self {
        let source = || Received { peer: peer.clone(), channel: None };
        Self {
            upward: upward.map(|stream| StreamWriter::new(Arc::clone(&peer.node), stream)),
            downward: downward.map(|stream| StreamReader::new(source(), stream)),
        }
    }
}

/// Cancels one call, from any thread and at any time.
#[derive(Clone)]
pub struct Canceller {
    node: Arc<Node>,
    call: Option<CallId>,
}

impl Canceller {
    /// As [`Pending::cancel`]; without effect once the call has ended.
    pub fn cancel(&self) {
        if let Some(call) = self.call {
            // A call that has ended needs no cancelling.
            let _ = self.node.command(|state, now| state.endpoint.cancel(now, call));
        }
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").field("call", &self.call).finish_non_exhaustive()
    }
}

/// Waits until at least one of the calls has ended, and returns its index: waiting for that one takes no time.
///
/// All calls must have been started through one client. Those of generated stubs may be among them: calls of one procedure as they
/// are, calls of several as `[&*one, &*another]`.
///
/// # Panics
/// If there are no calls.
#[must_use]
pub fn wait_any(calls: &[impl AsRef<Pending>]) -> usize {
    let first = calls.first().expect("there is a call to wait for");
    let ended = first.as_ref().node.wait(Interest::AnyCall, None, |state, _| {
        calls.iter().position(|pending| pending.as_ref().call.is_some_and(|call| state.calls.has_ended(call)))
    });
    // Where all is closed, every call has ended.
    ended.unwrap_or(0)
}
