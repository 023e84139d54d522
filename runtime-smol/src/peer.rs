//! Commands for one peer, client and server alike.

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;

use posthaste_core::endpoint::{Delivery, Message, OpenError, Remote, Request, SendError, Streams};
use posthaste_core::{Instant, PeerId};

use crate::call::{Calling, Starting};
use crate::message::{Flushing, Sending};
use crate::node::{Node, State};
use crate::stream::StreamWriter;

/// The other side of a conversation: to be called, and to be sent messages. Cheap to clone.
#[derive(Clone)]
pub struct Peer {
    node: Arc<Node>,
    target: Target,
}

/// How a peer is found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// By its address: if its conversation has ended, the next command begins another.
    Address(SocketAddr),
    /// By its id, which ends with its conversation.
    Known(PeerId),
}

impl Target {
    pub(crate) fn find(self, state: &mut State, now: Instant) -> Result<PeerId, SendError> {
        match self {
            Self::Address(address) => {
                let opened = state.endpoint.peer(now, &Remote { address, identity: &[] });
                opened.map_err(|error| if error == OpenError::Full { SendError::Full } else { SendError::Closed })
            }
            Self::Known(peer) => Ok(peer),
        }
    }
}

impl Peer {
    pub(crate) const fn new(node: Arc<Node>, target: Target) -> Self {
        Self { node, target }
    }

    pub(crate) const fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Makes a call: resolves to the reply, or to what became of the call without one.
    ///
    /// It waits while there is no room for one call more. Dropping the future cancels the call. The call has no streams,
    /// whatever the request says: who waits for the reply cannot use them; [`Peer::start`] gives them.
    pub const fn call<'a>(&'a self, mut request: Request<'a>) -> Calling<'a> {
        request.streams = Streams::None;
        Calling::new(&self.node, self.target, request)
    }

    /// Starts a call: resolves when it is accepted, to a [`Pending`](crate::Pending) that holds the streams that the request asks for, and is
    /// to be waited for.
    pub const fn start<'a>(&'a self, request: Request<'a>) -> Starting<'a> {
        Starting::new(&self.node, self.target, request)
    }

    /// Sends a message: resolves when it is accepted, to a future that tells when it has arrived.
    ///
    /// It waits while there is no room for one message more.
    pub const fn send<'a>(&'a self, message: Message<'a>) -> Sending<'a> {
        Sending::new(&self.node, self.target, message)
    }

    /// Waits until everything that was accepted for this peer until here is acknowledged.
    pub const fn flush(&self) -> Flushing<'_> {
        Flushing::new(&self.node, self.target)
    }

    /// Opens a message of unknown length, to be written as it is produced.
    ///
    /// # Errors
    /// [`SendError`]; [`SendError::TooLarge`] for a delivery that is not reliable, [`SendError::Full`] if there is no room.
    pub fn open_stream(&self, delivery: Delivery) -> Result<StreamWriter, SendError> {
        let (_, stream) = self.node.command(|state, now| {
            let peer = self.target.find(state, now)?;
            state.endpoint.open_stream(now, peer, delivery, PRIORITY)
        })?;
        Ok(StreamWriter::new(Arc::clone(&self.node), stream))
    }

    /// Closes the conversation and the session, with a number of the application's own; what is open ends.
    pub fn close(&self, code: u64) {
        self.node.command(|state, now| {
            // What is stale is closed already.
            if let Ok(peer) = self.target.find(state, now) {
                let _ = state.endpoint.close(now, peer, code);
            }
        });
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Peer").field(&self.target).finish()
    }
}

/// In the middle; a stream is none that others wait for.
const PRIORITY: u8 = 1;
