//! What generated code is made of. It changes with the compiler: not for hands.

pub use alloc::boxed::Box;
pub use alloc::vec::Vec;
pub use core::future::Future;
pub use core::time::Duration;

pub use posthaste_xdr::{
    Bounded, Decode, DecodeBounded, DecodeError, Decoder, Encode, EncodeBounded, EncodeError, Layout, Limits, List,
    Message, Quadruple, Sink, UnsignedChar, XdrStr, XdrString,
};

pub use crate::call::{Answer, Call, Failure, Target};
pub use crate::caller::{Arguments, AsyncCaller, AsyncStreamCaller, Caller, Request, StreamCaller};
pub use crate::dispatch::{AsyncDispatch, Directory, Dispatch};
pub use crate::outcome::{AsyncCallError, CallError, NotExecuted};
pub use crate::procedure::{Procedure, ReplyMode, Semantics, Signature, Streams, Timeout};
pub use crate::streaming::Streaming;

use crate::procedure::limits;

/// A caller, and for how long it waits: what is in every generated client.
#[derive(Clone, Debug)]
pub struct Stub<C> {
    caller: C,
    timeout: Option<Timeout>,
}

impl<C> Stub<C> {
    /// Makes one that waits as long as each interface file says.
    pub const fn new(caller: C) -> Self {
        Self { caller, timeout: None }
    }

    /// Makes all calls wait this long.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(Timeout::After(timeout)), ..self }
    }

    fn request<'a, U>(
        &self,
        signature: &'a Signature,
        arguments: &'a (dyn Message + Sync),
    ) -> Result<Request<'a>, CallError<U>> {
        let arguments =
            Arguments::new(arguments).map_err(|error| CallError::NotExecuted(NotExecuted::Unencodable(error)))?;
        if arguments.len() > signature.arguments_len_max as usize {
            let limit = Some(signature.arguments_len_max.into());
            return Err(CallError::NotExecuted(NotExecuted::TooLarge { limit }));
        }
        Ok(Request { signature, timeout: self.timeout.unwrap_or(signature.timeout), arguments })
    }
}

impl<C: Caller> Stub<C> {
    /// Makes a call, and reads its result.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn call<R: for<'a> Decode<'a>>(
        &self,
        procedure: &Procedure<R>,
        arguments: &(dyn Message + Sync),
    ) -> Result<R, CallError> {
        let request = self.request(&procedure.signature, arguments)?;
        let mut result = None;
        self.caller.call(&request, &mut |octets| result = Some(procedure.decode_result(octets)))?;
        // A one-way call may show none.
        result.unwrap_or_else(|| procedure.decode_result(&[])).map_err(CallError::BadReply)
    }
}

impl<C: AsyncCaller> Stub<C> {
    /// Makes a call, and reads its result.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call_async<R: for<'a> Decode<'a>>(
        &self,
        procedure: &Procedure<R>,
        arguments: &(dyn Message + Sync),
    ) -> Result<R, AsyncCallError> {
        let request = self.request(&procedure.signature, arguments)?;
        let result = self.caller.call(request, |octets| procedure.decode_result(octets)).await?;
        result.map_err(CallError::BadReply)
    }
}

impl<C: StreamCaller> Stub<C> {
    /// Starts a call with streams.
    ///
    /// # Errors
    /// [`CallError::NotExecuted`]: nothing was sent.
    pub fn start<R>(
        &self,
        procedure: &Procedure<R>,
        arguments: &(dyn Message + Sync),
    ) -> Result<Streaming<C::Started, R>, CallError> {
        let request = self.request(&procedure.signature, arguments)?;
        Ok(Streaming::new(self.caller.start(&request)?, *procedure))
    }
}

impl<C: AsyncStreamCaller> Stub<C> {
    /// Starts a call with streams.
    ///
    /// # Errors
    /// [`CallError::NotExecuted`]: nothing was sent.
    pub async fn start_async<R>(
        &self,
        procedure: &Procedure<R>,
        arguments: &(dyn Message + Sync),
    ) -> Result<Streaming<C::Started, R>, AsyncCallError> {
        let request = self.request(&procedure.signature, arguments)?;
        Ok(Streaming::new(self.caller.start(request).await?, *procedure))
    }
}

/// Refuses a call that the directory does not know.
///
/// # Errors
/// The refusal.
pub fn check(directory: &impl Directory, call: &dyn Call) -> Result<u32, Answer> {
    directory.find(call.target()).map(|signature| signature.procedure).map_err(Answer::NotExecuted)
}

/// Reads the arguments of a call, runs its handler, and writes what comes of it.
pub fn answer<'a, A: Decode<'a>, R: Encode>(
    procedure: &Procedure<R>,
    arguments: &'a [u8],
    reply: &mut Vec<u8>,
    run: impl FnOnce(A) -> Result<R, Failure>,
) -> Answer {
    match decode_arguments(&procedure.signature, arguments) {
        Ok(arguments) => write(&procedure.signature, run(arguments), reply),
        Err(_) => Answer::NotExecuted(NotExecuted::BadArguments),
    }
}

/// As [`answer`], with a handler that is awaited.
pub async fn answer_async<'a, A: Decode<'a>, R: Encode, F: Future<Output = Result<R, Failure>>>(
    procedure: &Procedure<R>,
    arguments: &'a [u8],
    reply: &mut Vec<u8>,
    run: impl FnOnce(A) -> F,
) -> Answer {
    match decode_arguments(&procedure.signature, arguments) {
        Ok(arguments) => write(&procedure.signature, run(arguments).await, reply),
        Err(_) => Answer::NotExecuted(NotExecuted::BadArguments),
    }
}

fn decode_arguments<'a, A: Decode<'a>>(signature: &Signature, arguments: &'a [u8]) -> Result<A, DecodeError> {
    posthaste_xdr::from_octets(arguments, &limits(signature.arguments_len_max))
}

/// Writes what a handler came to over `reply`.
fn write<R: Encode>(signature: &Signature, result: Result<R, Failure>, reply: &mut Vec<u8>) -> Answer {
    reply.clear();
    match result {
        Ok(result) => encode_result(signature, &result, reply).unwrap_or(Answer::Failed),
        Err(Failure::Application(error)) => {
            reply.extend_from_slice(error.octets());
            Answer::Application
        }
        Err(Failure::Busy) => Answer::NotExecuted(NotExecuted::Busy),
        Err(Failure::BadArguments) => Answer::NotExecuted(NotExecuted::BadArguments),
    }
}

fn encode_result<R: Encode>(signature: &Signature, result: &R, reply: &mut Vec<u8>) -> Result<Answer, EncodeError> {
    let len = posthaste_xdr::encoded_len(result)?;
    if len > signature.result_len_max as usize {
        return Ok(Answer::Failed);
    }
    reply.resize(len, 0);
    let written = posthaste_xdr::to_slice(result, reply);
    if written.is_err() {
        reply.clear();
    }
    written.map(|()| Answer::Ok)
}
