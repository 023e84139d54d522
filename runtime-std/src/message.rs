//! Messages: sending them, knowing that all have arrived, receiving them.

use alloc::sync::Arc;
use core::mem;
use core::time::Duration;

use posthaste_core::Instant;
use posthaste_core::endpoint::{Body, Delivery, Message, SendError};

use crate::error::{FlushError, ReceiveError, Vain};
use crate::node::Node;
use crate::octets::Octets;
use crate::peer::Peer;
use crate::state::State;
use crate::waiters::Interest;

/// Messages.
impl Peer {
    /// Sends a message and returns when it was accepted. Where too much is under way, it waits for room first.
    ///
    /// # Errors
    /// [`SendError`]; the message was not sent then.
    pub fn send(&self, delivery: Delivery, octets: &[u8]) -> Result<(), SendError> {
        self.send_message(&Message { delivery, priority: PRIORITY, body: Body::Copied(octets) })
    }

    /// As [`Peer::send`], with all that can be said about a message.
    ///
    /// # Errors
    /// As [`Peer::send`].
    pub fn send_message(&self, message: &Message<'_>) -> Result<(), SendError> {
        self.wait_for_room(|state, now| {
            let id = self.id(state, now)?;
            state.endpoint.send(now, id, message.clone())
        })?;
        Ok(())
    }

    /// Waits until everything that was accepted for this peer is acknowledged.
    ///
    /// # Errors
    /// [`FlushError::Failed`] if messages that were sent through this client or server since the last flush failed;
    /// [`FlushError::Closed`] if the peer is gone.
    pub fn flush(&self) -> Result<(), FlushError> {
        let started = self.node.command(|state, now| {
            let id = self.id(state, now).ok()?;
            let before = state.news_of(id).flushed_count;
            state.endpoint.flush(now, id).ok()?;
            Some((id, before))
        });
        let Some((id, before)) = started else { return Err(FlushError::Closed) };
        let flushed = self.node.wait(Interest::Peer(id), None, |state, _| {
            let is_flushed = state.news_of(id).flushed_count != before;
            is_flushed.then(|| mem::take(&mut state.failed_count))
        });
        match flushed {
            Ok(0) => Ok(()),
            Ok(count) => Err(FlushError::Failed { count }),
            Err(Vain::Closed | Vain::TimedOut) => Err(FlushError::Closed),
        }
    }

    /// Waits for a message and writes it over `octets`.
    ///
    /// Whoever receives gets the messages of all peers of the client or server; a client has one.
    ///
    /// # Errors
    /// [`ReceiveError::TimedOut`] if none came within `timeout`.
    pub fn receive_into(&self, octets: &mut Vec<u8>, timeout: Option<Duration>) -> Result<Received, ReceiveError> {
        receive(&self.node, octets, timeout)
    }

    /// As [`Peer::receive_into`], but takes the octets whole: without a copy if they are as many as
    /// [`Config::own_body_len_min`](posthaste_core::Config::own_body_len_min).
    ///
    /// # Errors
    /// As [`Peer::receive_into`].
    #[cfg(feature = "bytes")]
    pub fn receive_bytes(&self, timeout: Option<Duration>) -> Result<(Received, bytes::Bytes), ReceiveError> {
        let mut octets = bytes::Bytes::new();
        let received = receive(&self.node, &mut octets, timeout)?;
        Ok((received, octets))
    }
}

/// A message that was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its sender.
    pub peer: Peer,
    /// Its channel, if it came in order on one.
    pub channel: Option<u64>,
}

fn receive(node: &Arc<Node>, octets: &mut impl Octets, timeout: Option<Duration>) -> Result<Received, ReceiveError> {
    let until = node.deadline_after(timeout);
    Ok(node.wait(Interest::Arrival, until, |state, now| take_message(node, state, now, octets))?)
}

/// Takes the message that has waited longest, if there is one.
pub(crate) fn take_message(
    node: &Arc<Node>,
    state: &mut State,
    now: Instant,
    octets: &mut impl Octets,
) -> Option<Received> {
    while let Some((peer, message, channel)) = state.messages.pop_front() {
        // A message whose session was lost meanwhile is gone.
        if octets.take(&mut state.endpoint, now, message).is_ok() {
            return Some(Received { peer: Peer::known(Arc::clone(node), peer), channel });
        }
    }
    None
}

/// Neither first nor last of the four priorities.
pub(crate) const PRIORITY: u8 = 1;
