//! Why something did not come about.

use core::error::Error;
use core::fmt;
use core::net::SocketAddr;
use std::io;

use posthaste_core::NotExecuted;
use posthaste_core::endpoint::SendError;

use crate::pending::Unresolved;

/// Why a call brought no reply.
#[derive(Debug)]
pub enum CallError {
    /// The handler ran and answered with an error, whose octets these are.
    Application(Vec<u8>),
    /// The call was not executed and never will be; it is safe to call again.
    NotExecuted(NotExecuted),
    /// The handler ran, but its reply is gone.
    ReplyLost,
    /// Nobody here knows whether the handler ran.
    Unknown(Unresolved),
    /// The call was not accepted here, and was never sent.
    Refused(SendError),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(octets) => write!(f, "the application answered with an error of {} octets", octets.len()),
            Self::NotExecuted(NotExecuted::Refused(why)) => write!(f, "not executed, the callee refused: {why:?}"),
            Self::NotExecuted(NotExecuted::NeverSent) => f.write_str("not executed: it was never sent"),
            Self::NotExecuted(NotExecuted::TooLarge { limit }) => {
                write!(f, "not executed: the callee takes {limit} octets at most")
            }
            Self::NotExecuted(why) => write!(f, "not executed: {why:?}"),
            Self::ReplyLost => f.write_str("executed, but the reply is lost"),
            Self::Unknown(unresolved) => write!(f, "outcome unknown: {}", unresolved.why()),
            Self::Refused(why) => write!(f, "not sent: {why}"),
        }
    }
}

impl Error for CallError {}

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
