//! Many calls of one thread under way, and their outcomes in the order of the calls.

use alloc::collections::VecDeque;
use core::{fmt, slice};

use posthaste_core::endpoint::{Request, SendError, Streams};
use posthaste_core::{CallId, Outcome, Unknown};
use posthaste_udp::OutcomeBatch;

use crate::outcome::{CallError, TAKEN_ONCE, conclude};
use crate::peer::Peer;
use crate::state::State;
use crate::waiters::Interest;

impl Peer {
    /// Begins a row of calls, of which one thread keeps many under way.
    pub fn pipeline(&self) -> Pipeline {
        Pipeline { peer: self.clone(), open: VecDeque::new(), ended: OutcomeBatch::default() }
    }
}

/// A row of calls under way, whose outcomes are taken in the order in which the calls were started: the quickest way to make many.
///
/// What has ended is taken out of the client many calls at a time, so most outcomes take neither a lock nor a reading of the clock. A
/// call that takes long keeps those behind it: for outcomes as they come there are [`Peer::start`] and
/// [`wait_any`](crate::wait_any). Dropping it cancels what is under way.
///
/// ```
/// # use posthaste_std::{Answer, Client, Config, Incoming, Inline, Request, Server};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let handler = Inline(|call: &Incoming<'_>, reply: &mut Vec<u8>| {
/// #     reply.extend_from_slice(call.arguments());
/// #     Answer::Ok
/// # });
/// # let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), handler)?;
/// # let client = Client::connect_insecure(server.local_addr(), Config::lan())?;
/// let mut calls = client.pipeline();
/// for number in 0..1000_u32 {
///     if calls.open_count() == 64 {
///         let reply = calls.wait().expect("64 calls are under way")?;
///         assert_eq!(reply.len(), 4);
///     }
///     calls.start(&Request::new(1, 1, 1, &number.to_be_bytes()))?;
/// }
/// while let Some(reply) = calls.wait() {
///     assert_eq!(reply?.len(), 4);
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "calls that nobody waits for are cancelled"]
pub struct Pipeline {
    peer: Peer,
    /// Calls that the client still has, the oldest first.
    open: VecDeque<CallId>,
    /// Those before them.
    ended: OutcomeBatch,
}

impl Pipeline {
    /// Starts a call and returns at once. It has no streams, whatever the request says.
    ///
    /// While outcomes are at hand, it leaves together with those that follow it: when half of all that are under way are started, but
    /// at least 16, when somebody waits for what has not come, or after a millisecond.
    ///
    /// # Errors
    /// [`SendError`]; the call was not sent then. Where too much is under way ([`SendError::Full`]), [`Pipeline::wait`] makes room.
    pub fn start(&mut self, request: &Request<'_>) -> Result<(), SendError> {
        self.start_all(slice::from_ref(request)).map(drop)
    }

    /// Starts calls one after the other, as [`Pipeline::start`] does, but at less cost; returns how many: all, or those before the
    /// first that was not accepted.
    ///
    /// # Errors
    /// [`SendError`] of the first one; none was sent then.
    pub fn start_all(&mut self, requests: &[Request<'_>]) -> Result<usize, SendError> {
        let Self { peer, open, ended } = self;
        let node = &peer.node;
        let mut state = node.lock();
        let now = node.moment(&mut state);
        let id = peer.id(&mut state, now)?;
        for (index, request) in requests.iter().enumerate() {
            let request = Request { streams: Streams::None, ..request.clone() };
            let now = state.now;
            match state.begin(now, id, request) {
                Ok(call) => open.push_back(call),
                Err(error) if index == 0 => return Err(error),
                Err(_) => return Ok(index),
            }
            let following_count = requests.len() - 1 - index;
            node.send_started(&mut state, ended.len() + following_count);
        }
        Ok(requests.len())
    }

    /// Waits for the outcome of the oldest call, and returns its reply; `None` if none is under way.
    ///
    /// # Errors
    /// Each outcome but "ok"; see [`CallError`].
    pub fn wait(&mut self) -> Option<Result<&[u8], CallError>> {
        if self.ended.is_empty() {
            self.take_ended()?;
        }
        let node = &self.peer.node;
        let (call, outcome, octets) = self.ended.next_outcome()?;
        // Those of an error become its own.
        let mut error = if matches!(outcome, Outcome::ApplicationError(_)) { octets.to_vec() } else { Vec::new() };
        Some(conclude(node, call, outcome, &mut error).map(|()| octets))
    }

    /// Returns how many outcomes are still to be waited for.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open.len() + self.ready_count()
    }

    /// Returns how many of them are at hand: [`Pipeline::wait`] returns them at once, and they came with the last one that it waited
    /// for.
    #[must_use]
    pub fn ready_count(&self) -> usize {
        self.ended.len()
    }

    /// Takes what has ended out of the client, and waits until the oldest call has; `None` if there is none.
    fn take_ended(&mut self) -> Option<()> {
        let Self { peer, open, ended } = self;
        let oldest = *open.front()?;
        ended.begin(open.len());
        let node = &peer.node;
        let mut take = |state: &mut State| {
            take_all(ended, state, open);
            if ended.is_empty() {
                return None;
            }
            node.hold_ready(state);
            Some(())
        };
        let mut state = node.lock();
        if take(&mut state).is_some() {
            return Some(());
        }
        node.read_clock(&mut state);
        if node.wait_locked(state, Interest::Call(oldest), None, |state, _| take(state)).is_err() {
            open.pop_front();
            ended.push(oldest, Outcome::Unknown(Unknown::Closed));
        }
        Some(())
    }
}

/// Takes the outcomes of the oldest calls out of the state, up to the first that has not ended.
fn take_all(ended: &mut OutcomeBatch, state: &mut State, open: &mut VecDeque<CallId>) {
    while !ended.is_full()
        && let Some(call) = open.front().copied()
        && let Some(outcome) = state.calls.take(call)
    {
        open.pop_front();
        if let Outcome::Ok(message) | Outcome::ApplicationError(message) = outcome {
            ended.take(&mut state.endpoint, state.now, message).expect(TAKEN_ONCE);
        }
        ended.push(call, outcome);
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if self.open_count() == 0 {
            return;
        }
        let Self { peer, open, ended } = self;
        peer.node.command(|state, now| {
            open.drain(..).for_each(|call| state.abandon(now, call));
            while let Some((call, outcome, _)) = ended.next_outcome() {
                if matches!(outcome, Outcome::Unknown(_)) {
                    state.forget(now, call);
                }
            }
        });
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("open_count", &self.open_count()).finish_non_exhaustive()
    }
}
