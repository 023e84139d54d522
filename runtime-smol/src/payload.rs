//! Octets that are looked at where they arrived.

use alloc::sync::Arc;
use core::fmt;

use posthaste_core::MessageId;

use crate::node::Node;

/// A reply or message in the endpoint's memory, which has it back when this is dropped.
pub(crate) struct Payload {
    node: Arc<Node>,
    message: MessageId,
}

impl Payload {
    pub(crate) const fn new(node: Arc<Node>, message: MessageId) -> Self {
        Self { node, message }
    }

    /// Lets `look` see the octets in place, with the endpoint locked.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        // Stale if its session is gone.
        look(self.node.lock().endpoint.payload(self.message).unwrap_or(&[]))
    }

    /// Lets `look` see the encoded metadata items that came along, with the endpoint locked.
    pub(crate) fn with_metadata<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(self.node.lock().endpoint.metadata(self.message).unwrap_or(&[]))
    }

    /// Takes the octets whole.
    #[cfg(feature = "bytes")]
    pub(crate) fn into_bytes(self) -> bytes::Bytes {
        // As above.
        self.node.command_aside(|state, now| state.endpoint.take_payload(now, self.message)).unwrap_or_default()
    }

    pub(crate) const fn node(&self) -> &Arc<Node> {
        &self.node
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        // As above.
        let _ = self.node.command_aside(|state, now| state.endpoint.release(now, self.message));
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}
