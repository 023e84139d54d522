//! Calls that have begun, whose result comes at the end.

use core::fmt;
use core::ops::{Deref, DerefMut};

use posthaste_xdr::Decode;

use crate::caller::{AsyncStarted, Started};
use crate::outcome::{AsyncCallError, CallError};
use crate::procedure::Procedure;

/// A call that has begun, with the type of its result. What it points to is the call of the client that made it, which has the
/// streams, and what else that client can do with a call: cancel it, wait for any of several.
#[must_use = "a call that nobody waits for is given up"]
pub struct Ongoing<P, R> {
    call: P,
    procedure: Procedure<R>,
}

impl<P, R> Ongoing<P, R> {
    pub(crate) const fn new(call: P, procedure: Procedure<R>) -> Self {
        Self { call, procedure }
    }
}

impl<P: Started, R: for<'a> Decode<'a>> Ongoing<P, R> {
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

impl<P: AsyncStarted, R: for<'a> Decode<'a>> Ongoing<P, R> {
    /// Waits for the result; as [`Ongoing::wait`].
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn finish(self) -> Result<R, AsyncCallError> {
        let procedure = self.procedure;
        let result = self.call.wait(|octets| procedure.decode_result(octets)).await?;
        result.map_err(CallError::BadReply)
    }
}

impl<P, R> Deref for Ongoing<P, R> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.call
    }
}

impl<P, R> DerefMut for Ongoing<P, R> {
    fn deref_mut(&mut self) -> &mut P {
        &mut self.call
    }
}

/// For what takes calls of any type.
impl<P, R> AsRef<P> for Ongoing<P, R> {
    fn as_ref(&self) -> &P {
        &self.call
    }
}

impl<P: fmt::Debug, R> fmt::Debug for Ongoing<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ongoing").field("call", &self.call).field("procedure", &self.procedure).finish()
    }
}
