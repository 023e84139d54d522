//! Why something did not come about.

use core::error::Error;
use core::fmt;
use core::net::SocketAddr;
use std::io;

/// Why a client could not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name of the server leads to no address.
    Name(io::Error),
    /// No address of the server answered.
    Unreachable(Vec<Attempt>),
}

/// An address that was tried.
#[derive(Debug)]
pub struct Attempt {
    /// The address.
    pub address: SocketAddr,
    /// What went wrong; [`TimedOut`](io::ErrorKind::TimedOut) if nothing answered.
    pub error: io::Error,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => write!(f, "the name leads to no address: {error}"),
            Self::Unreachable(attempts) => {
                f.write_str("no address answered")?;
                for (index, attempt) in attempts.iter().enumerate() {
                    let separator = if index == 0 { ": " } else { "; " };
                    write!(f, "{separator}{}: {}", attempt.address, attempt.error)?;
                }
                Ok(())
            }
        }
    }
}

impl Error for ConnectError {}

/// Why not everything that was sent is known to have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushError {
    /// So many messages failed since the last flush: they will not be delivered, or nobody knows.
    Failed {
        /// How many.
        count: u64,
    },
    /// The peer is gone.
    Closed,
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { count } => write!(f, "{count} messages are not known to have arrived"),
            Self::Closed => f.write_str("the peer is gone"),
        }
    }
}

impl Error for FlushError {}

/// Why nothing was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiveError {
    /// Nothing came in time.
    TimedOut,
    /// Nothing will come any more: the client or server is closed.
    Closed,
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "nothing came in time",
            Self::Closed => "closed",
        })
    }
}

impl Error for ReceiveError {}

/// Why waiting ended without what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vain {
    /// The time is up.
    TimedOut,
    /// The node is closed.
    Closed,
}

impl From<Vain> for ReceiveError {
    fn from(vain: Vain) -> Self {
        match vain {
            Vain::TimedOut => Self::TimedOut,
            Vain::Closed => Self::Closed,
        }
    }
}
