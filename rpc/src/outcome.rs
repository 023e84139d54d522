//! What becomes of a call that brings no result.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;

use posthaste_xdr::{DecodeError, EncodeError};

use crate::caller::{AsyncResolve, Resolve};

/// Why a call brought no result: one of the outcomes of *semantics*, or a reply that cannot be read.
///
/// `U` holds on to a call whose outcome is unknown.
#[derive(Debug)]
pub enum CallError<U = Unresolved> {
    /// The handler ran and answered with an error.
    Application(ApplicationError),
    /// The call was not executed and never will be; it is safe to call again.
    NotExecuted(NotExecuted),
    /// The handler ran, but its reply is gone.
    ReplyLost,
    /// The handler ran, but its reply is not what the interface file says.
    BadReply(DecodeError),
    /// Nobody here knows whether the handler ran.
    Unknown(U),
}

/// As [`CallError`], of an async client.
pub type AsyncCallError = CallError<AsyncUnresolved>;

/// An error of the application, in octets of its own choice.
#[derive(Clone, PartialEq, Eq)]
pub struct ApplicationError {
    octets: Vec<u8>,
}

/// Why a call was not executed. Further reasons may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotExecuted {
    /// The callee has too much to do.
    Busy,
    /// The deadline passed before it began.
    DeadlinePassed,
    /// It was cancelled before it began.
    Cancelled,
    /// The callee could not decode the arguments.
    BadArguments,
    /// The callee does not know the program.
    NoSuchProgram,
    /// The callee knows other versions of the program.
    NoSuchVersion {
        /// The lowest version that it knows.
        low: u32,
        /// The highest version that it knows.
        high: u32,
    },
    /// The program has no such procedure.
    NoSuchProcedure,
    /// The request, or the reply that it would have, is too large.
    TooLarge {
        /// The most octets that may be sent, if that is known.
        limit: Option<u64>,
    },
    /// The callee has no room to keep the reply.
    ReplyNotKept,
    /// The callee begins no handler any more.
    Draining,
    /// The callee does not understand metadata that it must understand.
    Metadata,
    /// The caller closed its number before it began.
    Resolved,
    /// The callee does not let this caller do it.
    Denied,
    /// The callee speaks another protocol, or another version of it.
    Protocol,
    /// The arguments break a bound of the interface file; nothing was sent.
    Unencodable(EncodeError),
    /// The transport cannot do what the interface file asks for; nothing was sent.
    Unsupported,
    /// There was no room for another call; nothing was sent.
    Full,
    /// The peer is gone, or the client is closed; nothing was sent.
    Closed,
    /// It never left this machine.
    NeverSent,
}

/// Why the outcome of a call is unknown. Further reasons may come.
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

/// A call whose outcome is unknown. Dropping it gives up finding out.
pub struct Unresolved {
    why: Unknown,
    pub(crate) call: Option<Box<dyn Resolve>>,
}

/// As [`Unresolved`], of an async client.
pub struct AsyncUnresolved {
    why: Unknown,
    pub(crate) call: Option<Box<dyn AsyncResolve>>,
}

impl<U> CallError<U> {
    /// Says whether the call was not executed and never will be, so that it may be made again, elsewhere too.
    #[must_use]
    pub const fn is_not_executed(&self) -> bool {
        matches!(self, Self::NotExecuted(_))
    }
}

impl ApplicationError {
    /// Makes an error from its octets.
    #[must_use]
    pub const fn new(octets: Vec<u8>) -> Self {
        Self { octets }
    }

    /// Returns its octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Returns its octets as a vector.
    #[must_use]
    pub fn into_octets(self) -> Vec<u8> {
        self.octets
    }

    /// Returns its octets as text; what is no UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> alloc::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.octets)
    }
}

impl Unresolved {
    /// Makes one; without `call`, there is no way to find out.
    #[must_use]
    pub const fn new(why: Unknown, call: Option<Box<dyn Resolve>>) -> Self {
        Self { why, call }
    }

    /// Returns why the outcome is unknown.
    #[must_use]
    pub const fn why(&self) -> Unknown {
        self.why
    }
}

impl AsyncUnresolved {
    /// Makes one; without `call`, there is no way to find out.
    #[must_use]
    pub const fn new(why: Unknown, call: Option<Box<dyn AsyncResolve>>) -> Self {
        Self { why, call }
    }

    /// Returns why the outcome is unknown.
    #[must_use]
    pub const fn why(&self) -> Unknown {
        self.why
    }
}

/// Text of an error, for those to whom it is all that there is to say.
impl<T: fmt::Display + ?Sized> From<&T> for ApplicationError {
    fn from(text: &T) -> Self {
        Self::new(text.to_string().into_bytes())
    }
}

impl From<String> for ApplicationError {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl<U: fmt::Display> fmt::Display for CallError<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(error) => write!(f, "the handler answered with an error: {error}"),
            Self::NotExecuted(why) => write!(f, "not executed: {why}"),
            Self::ReplyLost => f.write_str("executed, but the reply is lost"),
            Self::BadReply(error) => write!(f, "executed, but the reply cannot be read: {error}"),
            Self::Unknown(unresolved) => write!(f, "outcome unknown: {unresolved}"),
        }
    }
}

/// Its octets as text, without anything that would steer a terminal.
impl fmt::Display for ApplicationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text()
            .chars()
            .try_for_each(|c| if c.is_control() { write!(f, "{}", c.escape_default()) } else { write!(f, "{c}") })
    }
}

impl fmt::Debug for ApplicationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ApplicationError").field(&self.text()).finish()
    }
}

impl fmt::Display for NotExecuted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the callee has too much to do",
            Self::DeadlinePassed => "the deadline passed before it began",
            Self::Cancelled => "it was cancelled before it began",
            Self::BadArguments => "the callee could not decode the arguments",
            Self::NoSuchProgram => "the callee does not know the program",
            Self::NoSuchVersion { low, high } => {
                return write!(f, "the callee knows the program in versions {low} to {high}");
            }
            Self::NoSuchProcedure => "the program has no such procedure",
            Self::TooLarge { limit: Some(limit) } => return write!(f, "more than {limit} octets"),
            Self::TooLarge { limit: None } => "the request or the reply is too large",
            Self::ReplyNotKept => "the callee has no room to keep the reply",
            Self::Draining => "the callee begins no handler any more",
            Self::Metadata => "the callee does not understand the metadata",
            Self::Resolved => "its number was closed before it began",
            Self::Denied => "the callee does not let this caller do it",
            Self::Protocol => "the callee speaks another protocol",
            Self::Unencodable(error) => return write!(f, "the arguments cannot be encoded: {error}"),
            Self::Unsupported => "the transport cannot do what the interface asks for",
            Self::Full => "there is no room for another call",
            Self::Closed => "the peer is gone, or the client is closed",
            Self::NeverSent => "it was never sent",
        })
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

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl fmt::Display for AsyncUnresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl fmt::Debug for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unresolved").field("why", &self.why).finish_non_exhaustive()
    }
}

impl fmt::Debug for AsyncUnresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncUnresolved").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<U: fmt::Debug + fmt::Display> Error for CallError<U> {}
impl Error for ApplicationError {}
impl Error for NotExecuted {}
impl Error for Unknown {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_application_is_told_without_anything_that_steers_a_terminal() {
        let error = CallError::<Unresolved>::Application(ApplicationError::from("no\u{1b}[2Jroom\n"));
        assert_eq!(error.to_string(), "the handler answered with an error: no\\u{1b}[2Jroom\\n");
        let error = ApplicationError::new(Vec::from(*b"\xffa"));
        assert_eq!(error.text(), "\u{fffd}a");
    }

    #[test]
    fn an_error_can_be_passed_on_to_other_threads() {
        fn is_passed_on<T: Error + Send + Sync + 'static>() {}
        is_passed_on::<CallError>();
        is_passed_on::<AsyncCallError>();
    }
}
