//! Messages: sending them, knowing that they arrived, taking those that arrived.

use alloc::sync::Arc;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use posthaste_core::endpoint::{Message, SendError};
use posthaste_core::{PeerId, SendId};

use crate::arrivals::{Arrivals, Arrived};
use crate::error::{FlushError, ReceiveError, SentError};
use crate::node::Node;
use crate::payload::Payload;
use crate::peer::{Peer, Target};
use crate::state::{Flush, State};
use crate::waiters::{News, Waiter, Watched};

/// Messages.
impl Peer {
    /// Sends a message: resolves when it is accepted, to a future that tells when it has arrived.
    ///
    /// It waits while there is no room for one message more.
    pub const fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a> {
        Sending { node: &self.node, target: self.target, message, waiter: None }
    }

    /// Waits until everything that was accepted for this peer until here is acknowledged.
    pub const fn flush(&self) -> Flushing<'_> {
        Flushing { node: &self.node, target: self.target, waiter: None }
    }
}

/// A message on its way into the queue. It waits for room as long as there is none.
#[must_use = "a message is sent when this is polled"]
pub struct Sending<'a> {
    node: &'a Arc<Node>,
    target: Target,
    message: Message<'a>,
    waiter: Option<Waiter>,
}

/// A message that was accepted: ready when the peer has received it. To be dropped if nobody wants to know.
#[must_use = "dropping this is fine; `drop` says so"]
pub struct Sent {
    node: Arc<Node>,
    message: SendId,
    waiter: Waiter,
}

/// Ready when everything that was accepted before is acknowledged.
#[must_use = "it waits when it is polled"]
pub struct Flushing<'a> {
    node: &'a Arc<Node>,
    target: Target,
    waiter: Option<Waiter>,
}

/// Ready when a message, or a stream, has arrived.
pub(crate) struct Taking<'a, T> {
    node: &'a Arc<Node>,
    arrivals: fn(&mut State) -> &mut Arrivals<T>,
    waiter: Option<Waiter>,
}

/// A whole message. It stays in the endpoint's memory, and the sender's credit with it, until this is dropped.
pub struct Received {
    payload: Payload,
    peer: PeerId,
    channel: Option<u64>,
}

impl Future for Sending<'_> {
    type Output = Result<Sent, SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let (target, message, node) = (this.target, &this.message, this.node);
        let polled = node.poll(&mut this.waiter, cx, |state, waiter| {
            let now = node.read_clock(state);
            let sent = target.find(state, now).and_then(|peer| state.endpoint.send(now, peer, message.clone()));
            match sent {
                Ok(message) => {
                    state.found_room(waiter);
                    let waiter = Waiter::new(&mut state.waiters);
                    state.watch(Watched::Message(message), &waiter);
                    state.settle(node.socket(), now);
                    Poll::Ready(Ok((message, waiter)))
                }
                Err(error) => state.refused(waiter, error),
            }
        });
        polled.map(|result| {
            let (message, waiter) = result.unwrap_or(Err(SendError::Closed))?;
            Ok(Sent { node: Arc::clone(node), message, waiter })
        })
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            self.node.leave(&waiter, |_, _| ());
        }
    }
}

impl Sent {
    /// Gives the message up if it has not arrived.
    pub fn cancel(self) {
        // Stale if it has arrived.
        let _ = self.node.command(|state, now| state.endpoint.cancel_send(now, self.message));
    }
}

impl Future for Sent {
    type Output = Result<(), SentError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let polled = this.node.poll_for(&mut this.node.lock(), &mut this.waiter, cx, |state, waiter| {
            match state.waiters.news(waiter.key) {
                Some(News::Acknowledged) => Poll::Ready(Ok(())),
                Some(_) => Poll::Ready(Err(SentError::Failed)),
                None => Poll::Pending,
            }
        });
        polled.map(|result| result.unwrap_or(Err(SentError::Closed)))
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.node.leave(&self.waiter, |state, _| state.unwatch(Watched::Message(self.message)));
    }
}

impl Future for Flushing<'_> {
    type Output = Result<(), FlushError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let (node, target) = (this.node, this.target);
        let polled = node.poll(&mut this.waiter, cx, |state, waiter| {
            let now = node.read_clock(state);
            if !state.flushes.iter().any(|flush| flush.waiter == waiter.key) {
                // The end of an earlier flush that nobody was told of yet is not ours.
                state.dispatch(now);
                let Ok(peer) = target.find(state, now) else { return Poll::Ready(Err(FlushError::Closed)) };
                if state.endpoint.flush(now, peer).is_err() {
                    return Poll::Ready(Err(FlushError::Closed));
                }
                state.flushes.push(Flush { peer, waiter: waiter.key, is_done: None });
                // If all is acknowledged already, that is among the events at once.
                state.dispatch(now);
            }
            let flush = state.flushes.iter().find(|flush| flush.waiter == waiter.key);
            match flush.and_then(|flush| flush.is_done) {
                Some(result) => Poll::Ready(result.map_err(|()| FlushError::Closed)),
                None => Poll::Pending,
            }
        });
        polled.map(|result| result.unwrap_or(Err(FlushError::Closed)))
    }
}

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            self.node.leave(&waiter, |state, _| state.flushes.retain(|flush| flush.waiter != waiter.key));
        }
    }
}

impl<'a, T> Taking<'a, T> {
    pub(crate) const fn new(node: &'a Arc<Node>, arrivals: fn(&mut State) -> &mut Arrivals<T>) -> Self {
        Self { node, arrivals, waiter: None }
    }
}

impl<T> Future for Taking<'_, T> {
    type Output = Result<Arrived<T>, ReceiveError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let arrivals = this.arrivals;
        let polled = this.node.poll(&mut this.waiter, cx, |state, waiter| match arrivals(state).take(waiter.key) {
            Some(arrived) => Poll::Ready(arrived),
            None => Poll::Pending,
        });
        polled.map_err(|_| ReceiveError::Closed)
    }
}

impl<T> Drop for Taking<'_, T> {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.take() else { return };
        self.node.leave(&waiter, |state, _| {
            if let Some(next) = (self.arrivals)(state).leave(waiter.key) {
                state.waiters.wake(next);
            }
        });
    }
}

impl Received {
    /// Returns the sender.
    #[must_use]
    pub fn peer(&self) -> Peer {
        Peer::new(Arc::clone(self.payload.node()), Target::Known(self.peer))
    }

    /// Returns the channel, if it came in order on one.
    #[must_use]
    pub const fn channel(&self) -> Option<u64> {
        self.channel
    }

    /// Lets `look` see the octets in place.
    ///
    /// The endpoint is locked meanwhile: nothing of it may be used, and other futures wait.
    pub fn with<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        self.payload.with(look)
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
        self.payload.into_bytes()
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Received").field(&self.payload).finish()
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sent").field(&self.message).finish()
    }
}

/// Takes the next message of any peer.
pub(crate) async fn receive(node: &Arc<Node>) -> Result<Received, ReceiveError> {
    loop {
        let Arrived { peer, channel, id } = Taking::new(node, |state| &mut state.messages).await?;
        // One that went with its session before anybody took it is none any more.
        if node.lock().endpoint.payload(id).is_ok() {
            return Ok(Received { payload: Payload::new(Arc::clone(node), id), peer, channel });
        }
    }
}
