//! Names of things inside an endpoint. Each carries a generation: a stale one is an error, never somebody else's thing.

use core::fmt;

use crate::lane::Lane;
use crate::storage::Key;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) Key);

        impl $name {
            /// Returns a small index that no other living id of this kind has: for tables of the caller's own.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0.index as usize
            }
        }
    };
}

id! {
    /// A peer: one session, over all its conversations.
    PeerId
}
id! {
    /// A message that we send.
    SendId
}
id! {
    /// A call that we make.
    CallId
}
id! {
    /// A call that a peer makes to us.
    IncomingCallId
}
id! {
    /// A message, request or reply that arrived, until it is released.
    MessageId
}

/// One end of a stream: of a message, of a request or reply, or beside a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    pub(crate) exchange: Key,
    pub(crate) lane: Lane,
}

/// The id names nothing any more: what it named is over, released, or was given to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleId;

impl fmt::Display for StaleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the id is stale")
    }
}

impl core::error::Error for StaleId {}
