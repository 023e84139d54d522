//! A call as its handler sees it, and how it ends.

#[cfg(feature = "std")]
use alloc::boxed::Box;
use alloc::string::String;
#[cfg(feature = "async-io")]
use core::pin::Pin;
use core::time::Duration;

use crate::outcome::{ApplicationError, NotExecuted};
use crate::values::Values;

/// A call whose handler runs.
pub trait Call: Send + Sync {
    /// Returns the numbers of program, version and procedure.
    fn target(&self) -> Target;

    /// Returns how long the caller waits yet; `None` if it waits as long as the handler runs, or did not say.
    fn time_left(&self) -> Option<Duration> {
        None
    }

    /// Says whether the caller wants no answer any more.
    fn is_cancelled(&self) -> bool {
        false
    }

    /// Tells the caller how far the handler is, in a number of its own choice. Without effect where the transport cannot.
    fn set_progress(&self, progress: u64) {
        let _ = progress;
    }

    /// Takes the stream from the caller (`@stream`); `None` if there is none, or it was taken before.
    ///
    /// It ends with the handler: what is left of it then, the caller is told, is not wanted.
    #[cfg(feature = "std")]
    fn take_upward(&self) -> Option<Box<dyn std::io::Read + Send>> {
        None
    }

    /// Takes the stream to the caller (`@stream`); `None` if there is none, or it was taken before.
    ///
    /// It may be written on after a result. Any other answer gives it up.
    #[cfg(feature = "std")]
    fn take_downward(&self) -> Option<Box<dyn WriteStream>> {
        None
    }

    /// As [`Call::take_upward`], in an async server.
    #[cfg(feature = "async-io")]
    fn take_async_upward(&self) -> Option<Pin<Box<dyn futures_io::AsyncRead + Send>>> {
        None
    }

    /// As [`Call::take_downward`], in an async server; closing it ends it.
    #[cfg(feature = "async-io")]
    fn take_async_downward(&self) -> Option<Pin<Box<dyn futures_io::AsyncWrite + Send>>> {
        None
    }

    /// Returns who calls, as far as the transport was told (RFC 5531 §8.2): the flavor, and the octets of its body.
    ///
    /// What is not authenticated is a claim.
    fn credential(&self) -> Option<(u32, &[u8])> {
        None
    }
}

/// A stream to be written. Dropped before its end, it is given up.
#[cfg(feature = "std")]
pub trait WriteStream: std::io::Write + Send {
    /// Ends it: the reader learns that this was all.
    ///
    /// # Errors
    /// If the reader gave it up.
    fn finish(self: Box<Self>) -> std::io::Result<()>;
}

/// What is called, by its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The program.
    pub program: u32,
    /// The version of the program.
    pub version: u32,
    /// The procedure of the version.
    pub procedure: u32,
}

/// How a handler says that it has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// It ran, and the application is to know why there is no result.
    Application(ApplicationError),
    /// It did nothing, for lack of something that will be there again: the caller may try later.
    Busy,
    /// It did nothing: its arguments can be decoded, but mean nothing.
    BadArguments,
}

/// What a dispatched call came to.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// Its result, which is not written down yet.
    Ok(Values<'a>),
    /// The octets of its error.
    Application(&'a [u8]),
    /// Nothing was done.
    NotExecuted(NotExecuted),
    /// It ran, but there is nothing to tell of it: its result breaks a bound of the interface file.
    Failed,
}

impl From<ApplicationError> for Failure {
    fn from(error: ApplicationError) -> Self {
        Self::Application(error)
    }
}

/// Text that says why there is no result.
impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        Self::Application(text.into())
    }
}

/// Text that says why there is no result.
impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Application(text.into())
    }
}
