//! What became of a call (semantics, *Outcomes*).

use core::fmt;

use crate::ids::MessageId;
use crate::wire;

/// What became of a call. The caller always learns one of these, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The handler ran, and this is its reply; release it when done with it. At-most-once: it ran exactly once.
    Ok(MessageId),
    /// The handler ran and answered with an error, whose octets are the message.
    ApplicationError(MessageId),
    /// A one-way call has arrived at the peer; there is no reply to wait for, nor word of a refusal. Its streams go on.
    Delivered,
    /// The call was not executed and never will be; it is safe to call again.
    NotExecuted(NotExecuted),
    /// The handler ran, but its reply is gone.
    ReplyLost,
    /// Nobody here knows whether the handler ran; [`Endpoint::resolve`](crate::Endpoint::resolve) asks.
    Unknown(Unknown),
}

/// Why a call was not executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotExecuted {
    /// The callee refused it and closed its number.
    Refused(wire::NotExecuted),
    /// It never left this endpoint.
    NeverSent,
    /// The peer takes no request of that length.
    TooLarge {
        /// The longest request that it takes, in octets.
        limit: u64,
    },
}

/// Why the outcome of a call is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unknown {
    /// The deadline passed before a reply came.
    Deadline,
    /// The caller gave up; the callee had not confirmed that it will not run.
    Cancelled,
    /// The peer fell silent.
    ConnectionLost,
    /// The peer restarted, or no longer knows the session.
    SessionLost,
    /// The handler failed half-way.
    HandlerFailed,
    /// The conversation was closed, by either side.
    Closed,
}

/// Leaves out what the handler said.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok(_) => f.write_str("executed"),
            Self::ApplicationError(_) => f.write_str("executed, and the handler answered with an error"),
            Self::Delivered => f.write_str("delivered"),
            Self::NotExecuted(why) => write!(f, "not executed: {why}"),
            Self::ReplyLost => f.write_str("executed, but the reply is lost"),
            Self::Unknown(why) => write!(f, "outcome unknown: {why}"),
        }
    }
}

impl fmt::Display for NotExecuted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => why.fmt(f),
            Self::NeverSent => f.write_str("it was never sent"),
            Self::TooLarge { limit } => write!(f, "the callee takes {limit} octets at most"),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "the deadline passed before a reply came",
            Self::Cancelled => "the call was cancelled after it was sent",
            Self::ConnectionLost => "the peer does not answer",
            Self::SessionLost => "the peer restarted or forgot the session",
            Self::HandlerFailed => "the handler failed half-way",
            Self::Closed => "the conversation was closed",
        })
    }
}

impl core::error::Error for NotExecuted {}
impl core::error::Error for Unknown {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn an_outcome_is_told_with_its_reason() {
        let told = [
            (NotExecuted::Refused(wire::NotExecuted::Busy), "not executed: the callee has too much to do"),
            (
                NotExecuted::Refused(wire::NotExecuted::NoSuchVersion { low: 2, high: 4 }),
                "not executed: the callee knows the program in versions 2 to 4",
            ),
            (NotExecuted::TooLarge { limit: 1024 }, "not executed: the callee takes 1024 octets at most"),
        ];
        for (why, text) in told {
            assert_eq!(Outcome::NotExecuted(why).to_string(), text);
        }
        let text = "outcome unknown: the deadline passed before a reply came";
        assert_eq!(Outcome::Unknown(Unknown::Deadline).to_string(), text);
    }
}
