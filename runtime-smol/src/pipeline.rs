//! Many calls of one task under way, and their outcomes in the order of the calls.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::{fmt, slice};

use posthaste_core::endpoint::{Request, SendError, Streams};
use posthaste_core::{CallId, Outcome, Unknown};
use posthaste_udp::OutcomeBatch;

use crate::outcome::{CallError, conclude};
use crate::peer::Peer;
use crate::state::State;
use crate::waiters::{Waiter, Watched, is_definite};

impl Peer {
    /// Begins a row of calls, of which one task keeps many under way.
    pub fn pipeline(&self) -> Pipeline {
        Pipeline {
            peer: self.clone(),
            open: VecDeque::new(),
            ended: OutcomeBatch::default(),
            waiter: None,
            unresolved: None,
        }
    }
}

/// A row of calls under way, whose outcomes are taken in the order in which the calls were started: the quickest way to make many.
///
/// What has ended is taken out of the client many calls at a time, so most outcomes take neither a lock nor a place among those who
/// wait. A call that takes long keeps those behind it: for outcomes as they come there are [`Peer::start`] and [`Peer::call`].
/// Dropping it cancels what is under way.
///
/// ```
/// # use posthaste_smol::{Client, Config, Request, Server};
/// # use smol::future;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # smol::block_on(async {
/// # let server = Server::bind_insecure("127.0.0.1:0".parse()?, Config::lan())?;
/// # let client = Client::connect_insecure(server.local_addr(), Config::lan())?;
/// # let serving = server.serve(16, |call| async move {
/// #     let arguments = call.to_vec();
/// #     let _ = call.reply(&arguments);
/// # });
/// # let calling = async {
/// let mut calls = client.pipeline();
/// for number in 0..1000_u32 {
///     if calls.open_count() == 64 {
///         let reply = calls.wait().await.expect("64 calls are under way")?;
///         assert_eq!(reply.len(), 4);
///     }
///     calls.start(&Request::new(1, 1, 1, &number.to_be_bytes()))?;
/// }
/// while let Some(reply) = calls.wait().await {
///     assert_eq!(reply?.len(), 4);
/// }
/// # Ok(())
/// # };
/// # future::or(calling, async { Err(serving.await.into()) }).await
/// # })
/// # }
/// ```
#[must_use = "calls that nobody waits for are cancelled"]
pub struct Pipeline {
    peer: Peer,
    /// Calls that the client still has, the oldest first.
    open: VecDeque<CallId>,
    /// Those before them.
    ended: OutcomeBatch,
    /// Its place among those who wait, from the first call on.
    waiter: Option<Waiter>,
    /// Waits on for a call whose outcome is unknown, and the next to be told.
    unresolved: Option<Waiter>,
}

impl Pipeline {
    /// Starts a call and returns at once. It has no streams, whatever the request says.
    ///
    /// While outcomes are at hand, it leaves together with those that follow it: when half of all that are under way are started, but
    /// at least 16, when somebody waits for what has not come, or after five milliseconds.
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
        let Self { peer: Peer { node, target }, open, ended, waiter, .. } = self;
        let mut state = node.lock();
        if state.failure().is_some() {
            return Err(SendError::Closed);
        }
        let now = node.moment(&mut state);
        let peer = target.find(&mut state, now)?;
        let waiter = waiter.get_or_insert_with(|| Waiter::new(&mut state.waiters));
        let mut result = Ok(requests.len());
        for (index, request) in requests.iter().enumerate() {
            let request = Request { streams: Streams::None, ..request.clone() };
            let now = state.now;
            match state.begin_in_row(now, peer, request, waiter) {
                Ok(call) => open.push_back(call),
                Err(error) => {
                    result = if index == 0 { Err(error) } else { Ok(index) };
                    break;
                }
            }
            let following_count = requests.len() - 1 - index;
            node.send_started(&mut state, ended.len() + following_count);
        }
        node.rouse(&mut state);
        result
    }

    /// Waits for the outcome of the oldest call, and resolves to its reply; to `None` if none is under way.
    ///
    /// Nothing is lost where the future is dropped before.
    ///
    /// # Errors
    /// Each outcome but "ok"; see [`CallError`].
    pub async fn wait(&mut self) -> Option<Result<&[u8], CallError>> {
        if self.ended.is_empty() {
            Taking(self).await;
        }
        let (call, outcome, octets) = self.ended.next_outcome()?;
        if let Outcome::Ok(_) = outcome {
            return Some(Ok(octets));
        }
        let concluded = conclude(Arc::clone(&self.peer.node), self.unresolved.take(), call, outcome);
        Some(concluded.map(|_| octets))
    }

    /// Returns how many outcomes are still to be waited for.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open.len() + self.ready_count()
    }

    /// Returns how many of them are at hand: [`Pipeline::wait`] resolves to them at once, and they came with the last one that it
    /// waited for.
    #[must_use]
    pub const fn ready_count(&self) -> usize {
        self.ended.len()
    }

    /// Takes the outcomes of the oldest calls out of the state, up to the first that has not ended. One that is unknown, which a
    /// definite one may follow late, is taken alone.
    fn take_ended(&mut self, state: &mut State, waiter: &Waiter) {
        while !self.ended.is_full()
            && let Some(outcome) = state.waiters.first_in_row(waiter.key)
            && (is_definite(outcome) || self.ended.is_empty())
        {
            self.take_oldest(state, waiter, outcome);
            if !is_definite(outcome) {
                return;
            }
        }
    }

    /// Takes the oldest call out of the state, which has come to `outcome`.
    fn take_oldest(&mut self, state: &mut State, waiter: &Waiter, outcome: Outcome) {
        let Some(call) = self.open.pop_front() else { return };
        state.waiters.take_from_row(waiter.key);
        match outcome {
            // Stale if its session is gone: no octets are left.
            Outcome::Ok(reply) => drop(self.ended.take(&mut state.endpoint, state.now, reply)),
            Outcome::Unknown(_) => self.unresolved = Some(state.wait_on(call, outcome)),
            Outcome::ApplicationError(_) | Outcome::Delivered | Outcome::NotExecuted(_) | Outcome::ReplyLost => {}
        }
        self.ended.push(call, outcome);
    }
}

/// Waits until the oldest call has ended, and takes what has.
struct Taking<'a>(&'a mut Pipeline);

impl Future for Taking<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let calls = &mut *self.get_mut().0;
        if calls.open.is_empty() {
            return Poll::Ready(());
        }
        calls.ended.begin(calls.open.len());
        let node = Arc::clone(&calls.peer.node);
        let mut waiter = calls.waiter.take();
        let polled = node.poll(&mut waiter, cx, |state, waiter| {
            calls.take_ended(state, waiter);
            if calls.ended.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        });
        // The socket came to its end.
        if let (Poll::Ready(Err(_)), Some(waiter)) = (&polled, &waiter) {
            calls.take_oldest(&mut node.lock(), waiter, Outcome::Unknown(Unknown::ConnectionLost));
        }
        calls.waiter = waiter;
        polled.map(|_| ())
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        if let Some(waiter) = self.0.waiter.as_ref().filter(|_| self.0.ended.is_empty()) {
            self.0.peer.node.step_aside(waiter);
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.take() else { return };
        let Self { peer, open, ended, .. } = self;
        peer.node.leave(&waiter, |state, now| {
            while let Some((call, outcome, _)) = ended.next_outcome() {
                state.dispose(now, call, outcome);
            }
            for call in open.drain(..) {
                state.unwatch(Watched::Call(call));
                match state.waiters.take_from_row(waiter.key) {
                    Some(outcome) => state.dispose(now, call, outcome),
                    // Nobody wants to hear of its end.
                    None => drop(state.endpoint.cancel(now, call)),
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
