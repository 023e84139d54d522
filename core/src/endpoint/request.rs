//! What the commands take and give: messages, requests, answers, and why they are refused.

use core::fmt;
use core::time::Duration;

use super::OpenError;
use crate::ids::{PeerId, StreamId};
use crate::time::Instant;
use crate::wire::{Description, NotExecuted, Semantics};

/// How a message is to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// At most once, perhaps never; it must fit into one datagram.
    Unreliable,
    /// As [`Delivery::Unreliable`]; a message gives way to newer ones with the same key.
    Newest {
        /// Which messages replace each other. Below 2^62.
        key: u64,
    },
    /// Exactly once, in any order.
    Reliable,
    /// Exactly once, in the order of sending among those on the same channel.
    Ordered {
        /// The channel. Below 2^62.
        channel: u64,
    },
}

/// A message to send.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// How it is to be delivered.
    pub delivery: Delivery,
    /// What goes before what: 0 (first) to 3. What waits for the peer's window of exchanges is let in by age first.
    pub priority: u8,
    /// Its octets.
    pub body: Body<'a>,
}

/// The octets of a message.
#[derive(Clone)]
pub enum Body<'a> {
    /// To be copied into the endpoint's memory.
    Copied(&'a [u8]),
    /// To be written into the endpoint's memory, once there is room for them.
    Encoded(&'a dyn Encode),
    /// To be read in place until they are acknowledged. Those of a reply count against
    /// [`Config::payload_memory`](crate::Config::payload_memory) as if they were copied, those of what we begin do not.
    ///
    /// They are dropped in the midst of the endpoint's work, by an adapter with its lock held: what owns them
    /// (`Bytes::from_owner`) must not use the endpoint when it is dropped, nor hold the last handle to it.
    #[cfg(feature = "bytes")]
    Shared(bytes::Bytes),
}

/// Octets that are not written down yet.
#[expect(clippy::len_without_is_empty, reason = "it holds nothing, and says how much it will write")]
pub trait Encode: Send + Sync {
    /// Returns how many octets there will be.
    fn len(&self) -> usize;

    /// Writes all of them to `out`, which has that length.
    fn encode(&self, out: &mut [u8]);
}

impl Body<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Copied(octets) => octets.len(),
            Self::Encoded(octets) => octets.len(),
            #[cfg(feature = "bytes")]
            Self::Shared(octets) => octets.len(),
        }
    }

    /// Says whether the octets are not to be copied.
    pub(super) const fn is_shared(&self) -> bool {
        match self {
            Self::Copied(_) | Self::Encoded(_) => false,
            #[cfg(feature = "bytes")]
            Self::Shared(_) => true,
        }
    }

    /// Takes the octets out, and leaves none: what says by reference which way it goes is not moved on that way.
    pub(super) const fn take(&mut self) -> Self {
        core::mem::replace(self, Self::Copied(&[]))
    }

    /// Writes all octets to `out`, which has their length.
    #[inline(always)]
    pub(super) fn write(&self, out: &mut [u8]) {
        match self {
            Self::Copied(octets) => out.copy_from_slice(octets),
            Self::Encoded(octets) => octets.encode(out),
            #[cfg(feature = "bytes")]
            Self::Shared(octets) => out.copy_from_slice(octets),
        }
    }
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copied(octets) => f.debug_tuple("Copied").field(octets).finish(),
            Self::Encoded(octets) => f.debug_tuple("Encoded").field(&octets.len()).finish(),
            #[cfg(feature = "bytes")]
            Self::Shared(octets) => f.debug_tuple("Shared").field(octets).finish(),
        }
    }
}

/// A call to make.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The program, as its interface file numbers it.
    pub program: u32,
    /// The version of the program.
    pub version: u32,
    /// The procedure of the version.
    pub procedure: u32,
    /// What is promised about its execution.
    pub semantics: Semantics,
    /// Whether a reply is expected.
    pub reply: Reply,
    /// Which streams go beside it.
    pub streams: Streams,
    /// How long the caller waits; with streams, how long without progress of any of them (semantics S35). `None` waits as long as
    /// the peer answers; [`Duration::ZERO`] stands for `Config::call_timeout`.
    pub timeout: Option<Duration>,
    /// What goes before what: 0 (first) to 3. What waits for the peer's window of exchanges is let in by age first.
    pub priority: u8,
    /// Encoded metadata items ([`MetadataWriter`](crate::wire::MetadataWriter)), without the deadline.
    pub metadata: &'a [u8],
    /// The arguments.
    pub body: Body<'a>,
}

/// Whether a call has a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It has one.
    Expected,
    /// One-way: it has none.
    Never,
}

/// Which streams go beside the request and reply of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// None.
    None,
    /// One from the caller.
    Upward,
    /// One to the caller.
    Downward,
    /// One each way.
    Both,
}

impl<'a> Request<'a> {
    /// Makes a request with the defaults: at-most-once, a reply within `Config::call_timeout`, no streams, middle priority.
    #[must_use]
    pub const fn new(program: u32, version: u32, procedure: u32, body: &'a [u8]) -> Self {
        Self {
            program,
            version,
            procedure,
            semantics: Semantics::AtMostOnce,
            reply: Reply::Expected,
            streams: Streams::None,
            timeout: Some(Duration::ZERO),
            priority: 1,
            metadata: &[],
            body: Body::Copied(body),
        }
    }
}

/// What reading from a stream gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streamed {
    /// So many octets, at least 1.
    Octets(usize),
    /// Nothing yet; an event tells when there is more.
    Pending,
    /// The stream has been read to its end; its id is stale from here on.
    End,
}

/// Why a message was not accepted. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The peer is gone.
    Stale,
    /// There is no room; acknowledgements make some.
    Full,
    /// It is longer than the limit.
    TooLarge {
        /// The most octets that may be sent.
        limit: u64,
    },
    /// The conversation is being closed.
    Closed,
    /// Its channel or key is 2^62 or more, for which the wire has no room.
    OutOfRange,
}

/// For a command to a peer that is opened for it: where there can be none, it is gone.
impl From<OpenError> for SendError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Full => Self::Full,
            OpenError::Address | OpenError::Identity => Self::Stale,
        }
    }
}

/// Why a call was not accepted. Nothing has changed.
pub type CallError = SendError;

/// Why a reply, or the beginning of a handler, was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyError {
    /// The call is over: answered, cancelled before it began, or gone with its session.
    Stale,
    /// The deadline passed before the handler began; the caller has been told that it never will.
    Expired,
    /// The reply is longer than the caller takes, or than a message may be.
    TooLarge {
        /// The most octets that may be sent.
        limit: u64,
    },
}

/// Why nothing was read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// The stream is over.
    Stale,
    /// The other side gave it up.
    Abandoned,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str("the peer is gone"),
            Self::Full => f.write_str("there is no room until something is acknowledged"),
            Self::TooLarge { limit } => write!(f, "longer than the limit of {limit} octets"),
            Self::Closed => f.write_str("the conversation is being closed"),
            Self::OutOfRange => f.write_str("a channel or key of 2^62 or more"),
        }
    }
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str("the call is over"),
            Self::Expired => f.write_str("the deadline passed before the handler began"),
            Self::TooLarge { limit } => write!(f, "longer than the limit of {limit} octets"),
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stale => "the stream is over",
            Self::Abandoned => "the other side gave the stream up",
        })
    }
}

impl core::error::Error for SendError {}
impl core::error::Error for ReplyError {}
impl core::error::Error for StreamError {}

/// A call that a peer makes to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncomingCall<'a> {
    /// The caller.
    pub peer: PeerId,
    /// What is called, and how.
    pub procedure: Description,
    /// When the caller gives up; put off by each progress of a stream (semantics S35).
    pub deadline: Option<Instant>,
    /// Encoded metadata items.
    pub metadata: &'a [u8],
    /// The arguments.
    pub arguments: &'a [u8],
    /// The stream from the caller, if there is one.
    pub upward: Option<StreamId>,
    /// The stream to the caller, if there is one.
    pub downward: Option<StreamId>,
}

/// What a handler came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It returned a result.
    Ok,
    /// It returned an error of the application.
    Error,
    /// It did nothing, for this reason: the call counts as not executed, as if it had been refused before.
    Refused(NotExecuted),
    /// It failed half-way; the caller learns that the outcome is unknown.
    HandlerFailed,
}
