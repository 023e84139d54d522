//! What can go wrong, by operation.

use core::error::Error;
use core::fmt;
use std::io;

use posthaste_core::ConfigError;

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

/// The socket came to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed;

impl From<posthaste_udp::BindError> for BindError {
    fn from(error: posthaste_udp::BindError) -> Self {
        match error {
            posthaste_udp::BindError::Config(error) => Self::Config(error),
            posthaste_udp::BindError::Io(error) => Self::Io(error),
        }
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
impl Error for SentError {}
impl Error for FlushError {}
impl Error for ReceiveError {}
