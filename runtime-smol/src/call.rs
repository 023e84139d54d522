//! Calls: making one and waiting for it, or having many under way.

use alloc::sync::Arc;
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};

use posthaste_core::endpoint::{Request, SendError, Streams};
use posthaste_core::{CallId, Instant, Outcome, StreamId, Unknown};

use crate::node::Node;
use crate::outcome::{CallError, Ending, Reply, conclude, give_up, outcome};
use crate::peer::{Peer, Target};
use crate::state::State;
use crate::stream::{StreamReader, StreamWriter};
use crate::waiters::{Waiter, Watched};

/// Calls.
impl Peer {
    /// Makes a call: resolves to the reply, or to what became of the call without one.
    ///
    /// It waits while there is no room for one call more. Dropping the future cancels the call. The call has no streams,
    /// whatever the request says: who waits for the reply cannot use them; [`Peer::start`] gives them.
    pub const fn call<'a>(&'a self, mut request: Request<'a>) -> Calling<'a> {
        request.streams = Streams::None;
        Calling { node: &self.node, target: self.target, request, waiter: None, call: None }
    }

    /// Starts a call: resolves when it is accepted, to a [`Pending`] that holds the streams that the request asks for, and is
    /// to be waited for.
    ///
    /// A call that is started while outcomes of earlier ones wait to be taken leaves together with those that follow it: when
    /// half of all that are open are started, but at least 16, when somebody waits for what has not come, or after five
    /// milliseconds. So one task can have many calls under way, and wait for the oldest.
    pub const fn start<'a>(&'a self, request: Request<'a>) -> Starting<'a> {
        Starting { node: &self.node, target: self.target, request, waiter: None }
    }
}

/// A call under way. It begins when it is first polled, and dropping it cancels it.
#[must_use = "a call begins when it is polled"]
pub struct Calling<'a> {
    node: &'a Arc<Node>,
    target: Target,
    request: Request<'a>,
    /// Taken at the first poll, given back with the outcome or by `drop`.
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
    ending: Ending,
    /// In a box, because few calls have any, and those that have none are moved about by the hundred.
    streams: Option<Box<Beside>>,
}

/// The streams beside a call that nobody has taken yet.
struct Beside {
    upward: Option<StreamWriter>,
    downward: Option<StreamReader>,
}

impl Future for Calling<'_> {
    type Output = Result<Reply, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let (node, call, target, request) = (this.node, &mut this.call, this.target, &this.request);
        let polled = node.poll(&mut this.waiter, cx, |state, waiter| match *call {
            Some(id) => outcome(state, waiter).map(|outcome| Ok((id, outcome))),
            None => {
                let now = node.moment(state);
                match begin(state, waiter, now, target, request) {
                    Ok(id) => {
                        *call = Some(id);
                        Poll::Pending
                    }
                    Err(error) => state.refused(waiter, error),
                }
            }
        });
        let conclude = |waiter, call, outcome| conclude(Arc::clone(node), waiter, call, outcome);
        polled.map(|result| match (result, this.call.take()) {
            (Ok(Ok((call, outcome))), _) => conclude(this.waiter.take(), call, outcome),
            (Ok(Err(error)), _) => Err(CallError::Refused(error)),
            // The socket came to its end.
            (Err(_), Some(call)) => conclude(this.waiter.take(), call, Outcome::Unknown(Unknown::ConnectionLost)),
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

impl Future for Starting<'_> {
    type Output = Result<Pending, SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let (node, target, request) = (this.node, this.target, &this.request);
        let polled = node.poll(&mut this.waiter, cx, |state, waiter| {
            let now = node.moment(state);
            match begin(state, waiter, now, target, request) {
                Ok(call) => {
                    let has_streams = request.streams != Streams::None;
                    let streams =
                        has_streams.then(|| state.endpoint.call_streams(call).expect("the call has only begun"));
                    node.send_started(state, 0);
                    Poll::Ready(Ok((call, streams)))
                }
                Err(error) => state.refused(waiter, error),
            }
        });
        polled.map(|result| {
            let (call, streams) = result.unwrap_or(Err(SendError::Closed))?;
            let streams = streams.map(|streams| Box::new(Beside::new(node, streams)));
            Ok(Pending { ending: Ending::new(Arc::clone(node), this.waiter.take(), call), streams })
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
    /// resolves to that; to `None` once the call has ended.
    ///
    /// The client asks a second after the call began, and then ever more rarely.
    pub fn next_progress(&mut self) -> impl Future<Output = Option<u64>> + '_ {
        poll_fn(|cx| self.ending.poll_progress(cx))
    }
}

impl Future for Pending {
    type Output = Result<Reply, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        // A handler that waits for somebody to read or write them would never answer.
        this.streams = None;
        Pin::new(&mut this.ending).poll(cx)
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pending").field(&self.ending.call()).finish()
    }
}

impl Beside {
    fn new(node: &Arc<Node>, (upward, downward): (Option<StreamId>, Option<StreamId>)) -> Self {
        Self {
            upward: upward.map(|stream| StreamWriter::new(Arc::clone(node), stream)),
            downward: downward.map(|stream| StreamReader::new(Arc::clone(node), stream, None, None)),
        }
    }
}

/// Hands a call to the endpoint, and has its end told to `waiter`.
pub(crate) fn begin(
    state: &mut State,
    waiter: &mut Waiter,
    now: Instant,
    target: Target,
    request: &Request<'_>,
) -> Result<CallId, SendError> {
    let peer = target.find(state, now)?;
    let call = state.endpoint.call(now, peer, request.clone())?;
    state.unsent_count += 1;
    state.watch(Watched::Call(call), waiter);
    state.found_room(waiter);
    Ok(call)
}
