//! Calls with streams beside them, whose result comes at the end.

use core::fmt;
use core::ops::{Deref, DerefMut};

use posthaste_xdr::Decode;

use crate::caller::{AsyncStarted, Started};
use crate::outcome::{AsyncCallError, CallError};
use crate::procedure::Procedure;

/// A call that has begun, with the type of its result. What it points to is the call of the client that made it, which has the
/// streams.
pub struct Streaming<P, R> {
    call: P,
    procedure: Procedure<R>,
}

impl<P, R> Streaming<P, R> {
    pub(crate) const fn new(call: P, procedure: Procedure<R>) -> Self {
        Self { call, procedure }
    }
}

impl<P: Started, R: for<'a> Decode<'a>> Streaming<P, R> {
    /// Waits for the result. Streams that were not taken are given up.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn wait(self) -> Result<R, CallError> {
        let mut result = None;
        self.call.wait(&mut |octets| result = Some(self.procedure.decode_result(octets)))?;
        // A one-way call may show none.
        result.unwrap_or_else(|| self.procedure.decode_result(&[])).map_err(CallError::BadReply)
    }
}

impl<P: AsyncStarted, R: for<'a> Decode<'a>> Streaming<P, R> {
    /// Waits for the result; as [`Streaming::wait`].
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn finish(self) -> Result<R, AsyncCallError> {
        let procedure = self.procedure;
        let result = self.call.wait(|octets| procedure.decode_result(octets)).await?;
        result.map_err(CallError::BadReply)
    }
}

impl<P, R> Deref for Streaming<P, R> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.call
    }
}

impl<P, R> DerefMut for Streaming<P, R> {
    fn deref_mut(&mut self) -> &mut P {
        &mut self.call
    }
}

impl<P: fmt::Debug, R> fmt::Debug for Streaming<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").field("call", &self.call).field("procedure", &self.procedure).finish()
    }
}
