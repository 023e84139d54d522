//! The other side, and how it is found; what can be asked of it stands with calls, messages and streams.

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;

use posthaste_core::endpoint::{Remote, SendError};
use posthaste_core::{Instant, PeerId};

use crate::node::Node;
use crate::state::State;

/// The other side of a conversation: to be called, and to be sent messages. Cheap to clone.
#[derive(Clone)]
pub struct Peer {
    pub(crate) node: Arc<Node>,
    pub(crate) target: Target,
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
            Self::Address(address) => Ok(state.endpoint.peer(now, &Remote { address, identity: &[] })?),
            Self::Known(peer) => Ok(peer),
        }
    }
}

impl Peer {
    pub(crate) const fn new(node: Arc<Node>, target: Target) -> Self {
        Self { node, target }
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
