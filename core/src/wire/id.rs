//! The names of things on the wire.

use core::fmt;

/// The name that one end of a conversation chose for it; the other end puts it into each datagram (protocol §4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationId(pub [u8; 8]);

impl ConversationId {
    /// What a client writes while it does not know the server's id; names no conversation (protocol §3.1).
    pub const UNKNOWN: Self = Self([0; 8]);

    /// The length of an id, in octets.
    pub const LEN: usize = 8;

    /// Returns which of the sockets of one port chose it (protocol §4.1).
    #[must_use]
    pub const fn socket(&self) -> u8 {
        self.0[0]
    }
}

/// Which phase of a conversation a datagram belongs to (protocol §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Epoch {
    /// Opening; never protected.
    Hello,
    /// The cryptographic handshake; always protected.
    Handshake,
    /// Everything else; protected if the handshake made keys.
    Data,
}

/// A side of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The side that opened the conversation.
    Client,
    /// The side that answered.
    Server,
}

impl Side {
    /// Returns the other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// The number of an exchange among those that one side began in a session, from 0 (protocol §1.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// What proves that a reset comes from the owner of a conversation id (protocol §3.3.6).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ResetToken(pub [u8; 16]);

/// What proves that a session is resumed by the client that it was issued to (protocol §6.12).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionSecret(pub [u8; 16]);

// Neither belongs into a log.
impl fmt::Debug for ResetToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetToken(..)")
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(..)")
    }
}
