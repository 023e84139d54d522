//! The other side, and how it is found; what can be asked of it stands with calls, messages and streams.

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;

use posthaste_core::endpoint::{Remote, SendError};
use posthaste_core::{Instant, PeerId};

use crate::node::Node;
use crate::state::State;
use crate::waiters::Interest;

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

    /// Returns its id, by which the endpoint knows it.
    pub(crate) fn id(&self, state: &mut State, now: Instant) -> Result<PeerId, SendError> {
        if state.is_closed {
            return Err(SendError::Closed);
        }
        match self.target {
            Target::Known(id) => Ok(id),
            Target::Address(address) => Ok(state.endpoint.peer(now, &Remote { address, identity: &[] })?),
        }
    }

    /// Repeats a command until there is room for it.
    pub(crate) fn wait_for_room<T>(
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
