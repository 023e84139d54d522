//! The side that calls.
//!
//! [`DatagramClient`] calls over UDP and sends again what is not answered; [`StreamClient`] calls over a TCP connection. Neither
//! has a socket or a clock: octets and the time go in, octets and outcomes come out.

mod calls;
mod datagram;
mod rpc;
mod stream;

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

pub(crate) use datagram::DATAGRAM_LEN_MAX;
pub use datagram::{DatagramClient, Transmit};
pub use stream::StreamClient;

use crate::message::{Auth, Call, Claim, Refusal, Target};
use crate::record::RecordTooLong;

/// Limits and timing of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Who the calls claim to come from.
    pub claim: Claim,
    /// How long the reply to a call may take in all, unless the call says otherwise; and how long a connection may take to come about.
    pub timeout: Duration,
    /// Calls that are under way, or have ended and wait to be asked for.
    pub call_count_max: usize,
    /// The longest call and the longest reply, in octets with their headers. Over UDP, a datagram's own limit holds as well.
    pub message_len_max: usize,
    /// Octets that may wait for a TCP connection to take them when a call is begun.
    pub outgoing_len_max: usize,
    /// How long after its first datagram a call is sent again, if it is not answered: at least so long, and longer where the server
    /// is known to take longer (RFC 6298).
    pub retransmit_timeout: Duration,
    /// Each time it is sent again, it waits twice as long for the next time, up to this. Chance adds up to a half.
    pub retransmit_timeout_max: Duration,
}

/// A call to make.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What to call.
    pub target: Target,
    /// What to call it with.
    pub arguments: Arguments<'a>,
    /// How long a reply may take in all, if not as long as [`ClientConfig::timeout`] says.
    pub timeout: Option<Duration>,
    /// Whether the call may be sent again over UDP.
    pub retransmission: Retransmission,
}

/// The arguments of a call, in XDR.
#[derive(Clone, Copy, Debug)]
pub enum Arguments<'a> {
    /// Written already.
    Octets(&'a [u8]),
    /// Those of a stub, to be written into the message itself.
    Encoded(posthaste_rpc::Values<'a>),
}

/// Whether a call that is not answered is sent again over UDP. Over TCP, none ever is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retransmission {
    /// After longer and longer waits, until it is answered or its time is up. A server that remembers no calls may execute it
    /// more than once (RFC 5531 §5).
    BackOff,
    /// Never: it is executed once at most, and lost where a datagram is.
    Never,
}

/// A call that was made: the xid of its messages. It comes back after 2^32 calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u32);

/// How a call ended: its results in XDR, or why there are none.
pub type Outcome = Result<Vec<u8>, Failure>;

/// Why a call brought no results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server said so. It executed nothing, unless it is [`Refusal::SystemError`].
    Refused(Refusal),
    /// Nothing of it was ever sent.
    NotSent(NotSent),
    /// Nobody here knows whether it was executed, or how often.
    Unknown(Unknown),
}

/// Why the outcome of a call is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Its time was up before a reply came.
    Deadline,
    /// The connection was lost before a reply came.
    ConnectionLost,
}

/// Why a call was not sent, and may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// As much is under way as may be; room comes with the next outcome, or with what the connection takes.
    Full,
    /// The call is too long.
    TooLarge {
        /// The longest arguments that can be sent, in octets.
        limit: usize,
    },
    /// Its time was up, or the connection lost, before any of it was sent.
    Unreached,
}

/// Why something that arrived is not the reply to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// It is no reply at all, or too long.
    Malformed,
    /// No call waits for it: the reply came twice, too late, or is a forger's guess.
    NotAwaited,
    /// It does not come from where the call went.
    WrongAddress,
}

/// Why a connection cannot go on and is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// The peer sends a record that is too long.
    TooLong(RecordTooLong),
    /// The peer sends a record that is no message that belongs here.
    Malformed,
}

impl Default for ClientConfig {
    /// Nobody in particular; ten seconds, as a call of the native protocol; 64 calls, 1 MiB, and a first wait of one second, as RFC 8085 §3.1.1 asks of those who do not know the path.
    fn default() -> Self {
        Self {
            claim: Claim::NONE,
            timeout: Duration::from_secs(10),
            call_count_max: 64,
            message_len_max: 1 << 20,
            outgoing_len_max: 1 << 20,
            retransmit_timeout: Duration::from_secs(1),
            retransmit_timeout_max: Duration::from_secs(30),
        }
    }
}

impl<'a> Request<'a> {
    /// Makes a call of which nothing special is to be said: it is sent again until it is answered.
    #[must_use]
    pub const fn new(target: Target, arguments: &'a [u8]) -> Self {
        let arguments = Arguments::Octets(arguments);
        Self { target, arguments, timeout: None, retransmission: Retransmission::BackOff }
    }
}

impl Arguments<'_> {
    const fn len(&self) -> usize {
        match self {
            Self::Octets(octets) => octets.len(),
            Self::Encoded(arguments) => arguments.len(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.len().is_multiple_of(4), "what is in XDR has whole units");
        match self {
            Self::Octets(octets) => out.extend_from_slice(octets),
            Self::Encoded(arguments) => {
                let begin = out.len();
                out.resize(begin + arguments.len(), 0);
                arguments.write(&mut out[begin..]);
            }
        }
    }
}

impl Failure {
    /// Says whether the call was surely not executed, and never will be.
    #[must_use]
    pub const fn is_not_executed(&self) -> bool {
        match self {
            Self::Refused(Refusal::SystemError) | Self::Unknown(_) => false,
            Self::Refused(_) | Self::NotSent(_) => true,
        }
    }
}

impl From<NotSent> for Failure {
    fn from(why: NotSent) -> Self {
        Self::NotSent(why)
    }
}

impl From<RecordTooLong> for StreamError {
    fn from(error: RecordTooLong) -> Self {
        Self::TooLong(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::NotSent(why) => write!(f, "not sent: {why}"),
            Self::Unknown(why) => write!(f, "outcome unknown: {why}"),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "the deadline passed before a reply came",
            Self::ConnectionLost => "the connection was lost",
        })
    }
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too many calls are under way"),
            Self::TooLarge { limit } => write!(f, "the arguments are longer than {limit} octets"),
            Self::Unreached => f.write_str("the server was not reached"),
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "no reply of ONC RPC",
            Self::NotAwaited => "no call waits for it",
            Self::WrongAddress => "it does not come from where the call went",
        })
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(error) => error.fmt(f),
            Self::Malformed => f.write_str("a record is no message of ONC RPC"),
        }
    }
}

impl core::error::Error for Failure {}
impl core::error::Error for Unknown {}
impl core::error::Error for NotSent {}
impl core::error::Error for Rejected {}
impl core::error::Error for StreamError {}

/// The message of a call, to be written where it is to lie.
struct Message<'c> {
    /// The call without its arguments.
    head: Call<'c>,
    arguments: Arguments<'c>,
}

impl<'c> Message<'c> {
    /// Makes a message of at most `len_max` octets.
    fn new(config: &'c ClientConfig, xid: u32, request: &Request<'c>, len_max: usize) -> Result<Self, NotSent> {
        let (credential, verifier) = (config.claim.auth(), Auth::NONE);
        let head = Call { xid, target: request.target, credential, verifier, arguments: &[] };
        let message = Self { head, arguments: request.arguments };
        if message.len() > len_max {
            return Err(NotSent::TooLarge { limit: len_max.saturating_sub(head.encoded_len()) });
        }
        Ok(message)
    }

    const fn len(&self) -> usize {
        self.head.encoded_len() + self.arguments.len()
    }

    /// Appends it to `out`.
    fn encode(&self, out: &mut Vec<u8>) {
        self.head.encode(out);
        self.arguments.encode(out);
    }
}

#[cfg(test)]
mod tests;
