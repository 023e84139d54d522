//! What can go wrong, by operation.

use core::error::Error;
use core::fmt;
use std::io;

use posthaste_core::endpoint::SendError;
use posthaste_core::{ConfigError, NotExecuted};

use crate::call::{Reply, Unresolved};

/// Why there is no client or server.
#[derive(Debug)]
#[non_exhaustive]
pub enum BindError {
    /// A field of the configuration is out of its range.
    Config(ConfigError),
    /// The address cannot be sent to.
    Address,
    /// The operating system gave no socket, or no random seed.
    Io(io::Error),
}

/// Why a call gave no reply.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The handler ran and answered with an error, whose octets this is.
    Application(Reply),
    /// The call was not executed and never will be; it is safe to call again.
    NotExecuted(NotExecuted),
    /// The handler ran, but its reply is gone.
    ReplyLost,
    /// Nobody here knows whether the handler ran.
    Unknown(Unresolved),
    /// The call was not accepted here, and was never sent. A full queue is no reason: the call waits for room.
    Refused(SendError),
}

/// Why a message is not known to have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SentError {
    /// It will not be delivered, or its session was lost and nobody knows.
    Failed,
    /// The socket came to its end.
    Closed,
}

/// Why not everything that was sent is known to have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushError {
    /// The peer is gone, or its session was lost: what was not acknowledged is unknown.
    Closed,
}

/// Why nothing was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiveError {
    /// Nothing will come any more: the socket came to its end.
    Closed,
}

impl From<ConfigError> for BindError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<io::Error> for BindError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Address => f.write_str("nothing can be sent to this address"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(reply) => write!(f, "the handler answered with an error of {} octets", reply.len()),
            Self::NotExecuted(why) => write!(f, "not executed: {why:?}"),
            Self::ReplyLost => f.write_str("executed, but the reply is lost"),
            Self::Unknown(unresolved) => write!(f, "outcome unknown: {}", unresolved.why()),
            Self::Refused(why) => write!(f, "not sent: {why}"),
        }
    }
}

impl fmt::Display for SentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "the message is not known to have arrived",
            Self::Closed => "closed",
        })
    }
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the peer is gone",
        })
    }
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
        })
    }
}

impl Error for BindError {}
impl Error for CallError {}
impl Error for SentError {}
impl Error for FlushError {}
impl Error for ReceiveError {}
