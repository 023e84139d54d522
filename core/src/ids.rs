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
                self.0.index() as usize
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

/// Where a message that arrived is held.
#[derive(Clone, Copy)]
pub(crate) enum Holder {
    /// In the record of its flow.
    Incoming(Key),
    /// In its exchange, or where that has put it since.
    Exchange(Key),
}

// The indices of the two tables share the index of the id, whose lowest bit tells them apart.
impl MessageId {
    pub(crate) const fn in_incoming(key: Key) -> Self {
        Self(Key::new(key.index() << 1, key.generation()))
    }

    pub(crate) const fn in_exchange(key: Key) -> Self {
        Self(Key::new(key.index() << 1 | 1, key.generation()))
    }

    pub(crate) const fn holder(self) -> Holder {
        let key = Key::new(self.0.index() >> 1, self.0.generation());
        if self.0.index() & 1 == 0 { Holder::Incoming(key) } else { Holder::Exchange(key) }
    }
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
