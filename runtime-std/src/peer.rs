//! The other side, and what can be asked of it.

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use posthaste_core::endpoint::{Body, Delivery, Message, OpenError, Remote, Request, SendError, Streams};
use posthaste_core::{CallId, Instant, PeerId};

use crate::error::{CallError, FlushError, ReceiveError};
use crate::node::{Node, Vain, deadline_after};
use crate::pending::{Pending, conclude, take};
use crate::state::{Interest, State};
use crate::stream::{StreamReader, StreamWriter};

/// The other side of a conversation: to be called, and to be sent messages.
///
/// Cheap to clone, and to be shared by many threads. It does not keep the conversation alive: that does the
/// [`Client`](crate::Client) or [`Server`](crate::Server) that it comes from.
#[derive(Clone)]
pub struct Peer {
    pub(crate) node: Arc<Node>,
    target: Target,
}

/// How a peer is found.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// By its address: if its conversation has ended, the next command begins another.
    Address(SocketAddr),
    /// By its id, which ends with its conversation.
    Known(PeerId),
}

impl Peer {
    pub(crate) const fn at(node: Arc<Node>, address: SocketAddr) -> Self {
        Self { node, target: Target::Address(address) }
    }

    pub(crate) const fn known(node: Arc<Node>, id: PeerId) -> Self {
        Self { node, target: Target::Known(id) }
    }

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
        let request = &Request { streams: Streams::None, ..request.clone() };
        let mut state = self.node.lock();
        let now = self.node.clock.now();
        let call = match self.begin(&mut state, now, request) {
            Ok(call) => call,
            Err(SendError::Full) => {
                drop(state);
                let accepted = self.wait_for_room(|state, now| self.begin(state, now, request));
                let call = accepted.map_err(CallError::Refused)?;
                state = self.node.lock();
                call
            }
            Err(error) => return Err(CallError::Refused(error)),
        };
        let ended =
            self.node.wait_locked(state, now, Interest::Call(call), None, |state, now| take(state, now, call, reply));
        conclude(self, call, ended, reply)
    }

    /// Starts a call and returns at once; [`Pending`] holds the streams that the request asks for.
    ///
    /// A call that is started while outcomes of earlier ones wait to be taken leaves together with those that follow it: when
    /// sixteen are started, when somebody waits, or after a millisecond.
    ///
    /// # Errors
    /// [`SendError`]; the call was not sent then.
    pub fn start(&self, request: &Request<'_>) -> Result<Pending, SendError> {
        let mut state = self.node.lock();
        let now = self.node.clock.now();
        let call = self.begin(&mut state, now, request)?;
        let (upward, downward) = match request.streams {
            Streams::None => (None, None),
            Streams::Upward | Streams::Downward | Streams::Both => {
                state.endpoint.call_streams(call).expect("the call has only begun")
            }
        };
        state.settle_started(now, &self.node.socket);
        self.node.watch(&mut state);
        drop(state);
        Ok(Pending::new(self.clone(), call, upward, downward))
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

    /// Opens a message of unknown length, to be written as it is produced.
    ///
    /// # Errors
    /// [`SendError`]; [`SendError::TooLarge`] for a delivery that is not reliable.
    pub fn open_stream(&self, delivery: Delivery) -> Result<StreamWriter, SendError> {
        let (_, stream) = self.wait_for_room(|state, now| {
            let id = self.id(state, now)?;
            state.endpoint.open_stream(now, id, delivery, PRIORITY)
        })?;
        Ok(StreamWriter::new(Arc::clone(&self.node), stream))
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
            is_flushed.then(|| core::mem::take(&mut state.failed_count))
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
        receive_into(&self.node, octets, timeout)
    }

    /// Waits for a stream that the other side opens.
    ///
    /// # Errors
    /// [`ReceiveError::TimedOut`] if none came within `timeout`.
    pub fn accept_stream(&self, timeout: Option<Duration>) -> Result<StreamReader, ReceiveError> {
        accept_stream(&self.node, timeout)
    }

    /// Hands a call to the endpoint, and follows it.
    fn begin(&self, state: &mut State, now: Instant, request: &Request<'_>) -> Result<CallId, SendError> {
        let id = self.id(state, now)?;
        let call = state.endpoint.call(now, id, request.clone())?;
        state.follow(call);
        Ok(call)
    }

    fn id(&self, state: &mut State, now: Instant) -> Result<PeerId, SendError> {
        if state.is_closed {
            return Err(SendError::Closed);
        }
        match self.target {
            Target::Known(id) => Ok(id),
            Target::Address(address) => {
                state.endpoint.peer(now, &Remote { address, identity: &[] }).map_err(|error| match error {
                    OpenError::Full => SendError::Full,
                    OpenError::Address | OpenError::Identity | _ => SendError::Stale,
                })
            }
        }
    }

    /// Repeats a command until there is room for it.
    fn wait_for_room<T>(
        &self,
        mut command: impl FnMut(&mut State, Instant) -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        let done = self.node.wait(Interest::Room, None, |state, now| match command(state, now) {
            Err(SendError::Full) => None,
            result => Some(result),
        });
        done.unwrap_or(Err(SendError::Closed))
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Peer").field(&self.target).finish()
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

pub(crate) fn receive_into(
    node: &Arc<Node>,
    octets: &mut Vec<u8>,
    timeout: Option<Duration>,
) -> Result<Received, ReceiveError> {
    let until = deadline_after(node.clock.now(), timeout);
    let (peer, channel) = node.wait(Interest::Arrival, until, |state, now| {
        let (peer, message, channel) = state.messages.pop_front()?;
        // A message whose session was lost meanwhile is gone.
        let payload = state.endpoint.payload(message).ok()?;
        octets.clear();
        octets.extend_from_slice(payload);
        state.endpoint.release(now, message).ok()?;
        Some((peer, channel))
    })?;
    Ok(Received { peer: Peer::known(Arc::clone(node), peer), channel })
}

pub(crate) fn accept_stream(node: &Arc<Node>, timeout: Option<Duration>) -> Result<StreamReader, ReceiveError> {
    let until = deadline_after(node.clock.now(), timeout);
    let (peer, stream, channel) = node.wait(Interest::Arrival, until, |state, _| state.streams.pop_front())?;
    let received = Received { peer: Peer::known(Arc::clone(node), peer), channel };
    Ok(StreamReader::new(received, stream))
}

impl From<Vain> for ReceiveError {
    fn from(vain: Vain) -> Self {
        match vain {
            Vain::TimedOut => Self::TimedOut,
            Vain::Closed => Self::Closed,
        }
    }
}

/// Neither first nor last of the four priorities.
const PRIORITY: u8 = 1;
