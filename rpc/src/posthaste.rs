//! How the core says what is said here.

use alloc::vec::Vec;

use posthaste_core::endpoint::{self, Body, Encode, SendError};
use posthaste_core::wire::{self, Description};

use crate::call::{Answer, Target};
use crate::caller::Request;
use crate::outcome::{ApplicationError, CallError, NotExecuted, Unknown};
use crate::procedure::{ReplyMode, Semantics, Streams, Timeout};
use crate::values::Values;

impl Encode for Values<'_> {
    fn len(&self) -> usize {
        Self::len(self)
    }

    fn encode(&self, out: &mut [u8]) {
        self.write(out);
    }
}

/// The request, with the arguments to be encoded where the endpoint keeps them.
impl<'a> From<&'a Request<'a>> for endpoint::Request<'a> {
    fn from(request: &'a Request<'a>) -> Self {
        let signature = request.signature;
        Self {
            semantics: match signature.semantics {
                Semantics::AtMostOnce => wire::Semantics::AtMostOnce,
                Semantics::AtLeastOnce => wire::Semantics::AtLeastOnce,
                Semantics::Maybe => wire::Semantics::Maybe,
                Semantics::ExactlyOnce => wire::Semantics::ExactlyOnce,
            },
            reply: match signature.reply {
                ReplyMode::Expected => endpoint::Reply::Expected,
                ReplyMode::Never => endpoint::Reply::Never,
            },
            streams: match signature.streams {
                Streams::None => endpoint::Streams::None,
                Streams::Upward => endpoint::Streams::Upward,
                Streams::Downward => endpoint::Streams::Downward,
                Streams::Both => endpoint::Streams::Both,
            },
            timeout: match request.timeout {
                // Stands for `Config::call_timeout`.
                Timeout::Configured => Some(core::time::Duration::ZERO),
                Timeout::After(timeout) => Some(timeout),
                Timeout::Never => None,
            },
            body: Body::Encoded(&request.arguments),
            ..Self::new(signature.program, signature.version, signature.procedure, &[])
        }
    }
}

impl From<&Description> for Target {
    fn from(description: &Description) -> Self {
        let &Description { program, version, procedure, .. } = description;
        Self { program, version, procedure }
    }
}

impl Answer<'_> {
    /// Returns what the endpoint is told, with a result to be encoded where it keeps it.
    #[must_use]
    pub fn to_reply(&self) -> (endpoint::Answer, Body<'_>) {
        match self {
            Self::Ok(result) => (endpoint::Answer::Ok, Body::Encoded(result)),
            Self::Application(octets) => (endpoint::Answer::Error, Body::Copied(octets)),
            Self::NotExecuted(why) => (endpoint::Answer::Refused((*why).into()), Body::Copied(&[])),
            Self::Failed => (endpoint::Answer::HandlerFailed, Body::Copied(&[])),
        }
    }
}

/// For those who answer calls, who have no other reasons than the wire has.
impl From<NotExecuted> for wire::NotExecuted {
    fn from(why: NotExecuted) -> Self {
        match why {
            NotExecuted::DeadlinePassed => Self::DeadlinePassed,
            NotExecuted::Cancelled => Self::Cancelled,
            NotExecuted::BadArguments | NotExecuted::Unencodable(_) => Self::BadArguments,
            NotExecuted::NoSuchProgram | NotExecuted::Protocol => Self::NoSuchProgram,
            NotExecuted::NoSuchVersion { low, high } => Self::NoSuchVersion { low, high },
            NotExecuted::NoSuchProcedure | NotExecuted::Unsupported => Self::NoSuchProcedure,
            NotExecuted::TooLarge { .. } => Self::TooLarge,
            NotExecuted::ReplyNotKept => Self::ReplyNotKept,
            NotExecuted::Draining | NotExecuted::Closed => Self::Draining,
            NotExecuted::Metadata => Self::Metadata,
            NotExecuted::Resolved => Self::Resolved,
            NotExecuted::Busy | NotExecuted::Full | NotExecuted::NeverSent | NotExecuted::Denied => Self::Busy,
        }
    }
}

impl From<posthaste_core::NotExecuted> for NotExecuted {
    fn from(why: posthaste_core::NotExecuted) -> Self {
        match why {
            posthaste_core::NotExecuted::Refused(why) => why.into(),
            posthaste_core::NotExecuted::TooLarge { limit } => Self::TooLarge { limit: Some(limit) },
            // Of further reasons, it is known that nothing was executed.
            posthaste_core::NotExecuted::NeverSent | _ => Self::NeverSent,
        }
    }
}

impl From<wire::NotExecuted> for NotExecuted {
    fn from(why: wire::NotExecuted) -> Self {
        match why {
            wire::NotExecuted::Busy => Self::Busy,
            wire::NotExecuted::DeadlinePassed => Self::DeadlinePassed,
            wire::NotExecuted::Cancelled => Self::Cancelled,
            wire::NotExecuted::BadArguments => Self::BadArguments,
            wire::NotExecuted::NoSuchProgram => Self::NoSuchProgram,
            wire::NotExecuted::NoSuchVersion { low, high } => Self::NoSuchVersion { low, high },
            wire::NotExecuted::NoSuchProcedure => Self::NoSuchProcedure,
            wire::NotExecuted::TooLarge => Self::TooLarge { limit: None },
            wire::NotExecuted::ReplyNotKept => Self::ReplyNotKept,
            wire::NotExecuted::Draining => Self::Draining,
            wire::NotExecuted::Metadata => Self::Metadata,
            wire::NotExecuted::Resolved => Self::Resolved,
        }
    }
}

impl From<posthaste_core::Unknown> for Unknown {
    fn from(why: posthaste_core::Unknown) -> Self {
        match why {
            posthaste_core::Unknown::Deadline => Self::Deadline,
            posthaste_core::Unknown::Cancelled => Self::Cancelled,
            posthaste_core::Unknown::SessionLost => Self::SessionLost,
            posthaste_core::Unknown::HandlerFailed => Self::HandlerFailed,
            posthaste_core::Unknown::Closed => Self::Closed,
            // Of further reasons, it is known that no answer came.
            posthaste_core::Unknown::ConnectionLost | _ => Self::ConnectionLost,
        }
    }
}

impl From<SendError> for NotExecuted {
    fn from(why: SendError) -> Self {
        match why {
            SendError::Full => Self::Full,
            SendError::TooLarge { limit } => Self::TooLarge { limit: Some(limit) },
            SendError::Stale | SendError::Closed => Self::Closed,
            // Of further reasons, it is known that nothing was sent.
            SendError::OutOfRange | _ => Self::NeverSent,
        }
    }
}

impl<U> CallError<U> {
    /// Makes the error of a handler from its octets.
    #[must_use]
    pub const fn application(octets: Vec<u8>) -> Self {
        Self::Application(ApplicationError::new(octets))
    }
}
