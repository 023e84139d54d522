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
pub use crate::caller::{Arguments, AsyncCaller, AsyncStartCaller, Caller, Request, StartCaller};
pub use crate::dispatch::{AsyncDispatch, Directory, Dispatch};
pub use crate::ongoing::Ongoing;
pub use crate::outcome::{AsyncCallError, CallError, NotExecuted};
pub use crate::procedure::{Procedure, ReplyMode, Semantics, Signature, Streams, Timeout};

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
        let request = Request::new(signature, arguments).map_err(CallError::NotExecuted)?;
        Ok(Request { timeout: self.timeout.unwrap_or(request.timeout), ..request })
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

    /// As [`Stub::call`], and shows `progress` how far the handler is.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn call_with_progress<R: for<'a> Decode<'a>>(
        &self,
        procedure: &Procedure<R>,
        arguments: &(dyn Message + Sync),
        mut progress: impl FnMut(u64),
    ) -> Result<R, CallError> {
        let request = self.request(&procedure.signature, arguments)?;
        let mut result = None;
        let mut read = |octets: &[u8]| result = Some(procedure.decode_result(octets));
        self.caller.call_with_progress(&request, &mut progress, &mut read)?;
        result.unwrap_or_else(|| procedure.decode_result(&[])).map_err(CallError::BadReply)
    }
}

impl<C: AsyncCaller> Stub<C> {
    /// As [`Stub::call_async`], and shows `progress` how far the handler is.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call_async_with_progress<R: for<'a> Decode<'a>>(
        &self,
        procedure: &Procedure<R>,
        arguments: &(dyn Message + Sync),
        progress: impl FnMut(u64),
    ) -> Result<R, AsyncCallError> {
        let request = self.request(&procedure.signature, arguments)?;
        let read = |octets: &[u8]| procedure.decode_result(octets);
        self.caller.call_with_progress(request, progress, read).await?.map_err(CallError::BadReply)
    }

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

impl<C: StartCaller> Stub<C> {
    /// Starts a call, and returns at once.
    ///
    /// # Errors
    /// [`CallError::NotExecuted`]: nothing was sent.
    pub fn start<R>(
        &self,
        procedure: &Procedure<R>,
        arguments: &(dyn Message + Sync),
    ) -> Result<Ongoing<C::Started, R>, CallError> {
        let request = self.request(&procedure.signature, arguments)?;
        Ok(Ongoing::new(self.caller.start(&request)?, *procedure))
    }
}

impl<C: AsyncStartCaller> Stub<C> {
    /// Starts a call: ready when it is accepted.
    ///
    /// # Errors
    /// [`CallError::NotExecuted`]: nothing was sent.
    pub async fn start_async<R>(
        &self,
        procedure: &Procedure<R>,
        arguments: &(dyn Message + Sync),
    ) -> Result<Ongoing<C::Started, R>, AsyncCallError> {
        let request = self.request(&procedure.signature, arguments)?;
        Ok(Ongoing::new(self.caller.start(request).await?, *procedure))
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
        Err(error) => Answer::NotExecuted(refusal(&procedure.signature, error)),
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
        Err(error) => Answer::NotExecuted(refusal(&procedure.signature, error)),
    }
}

fn decode_arguments<'a, A: Decode<'a>>(signature: &Signature, arguments: &'a [u8]) -> Result<A, DecodeError> {
    posthaste_xdr::from_octets(arguments, &signature.arguments_limits())
}

/// Tells arguments that are too much for the limits here from those that are none.
fn refusal(signature: &Signature, error: DecodeError) -> NotExecuted {
    if error == DecodeError::TooLong {
        NotExecuted::TooLarge { limit: Some(signature.arguments_len_max.into()) }
    } else if matches!(error, DecodeError::TooDeep | DecodeError::TooMuchWork | DecodeError::TooMuchMemory) {
        NotExecuted::TooLarge { limit: None }
    } else {
        NotExecuted::BadArguments
    }
}

/// Writes what a handler came to over `reply`.
fn write<R: Encode>(signature: &Signature, result: Result<R, Failure>, reply: &mut Vec<u8>) -> Answer {
    let answer = match result {
        // What is there already is written over, and not set to zero before.
        Ok(result) if encode_result(signature, &result, reply).is_ok() => return Answer::Ok,
        Ok(_) => Answer::Failed,
        Err(Failure::Application(error)) => {
            reply.clear();
            reply.extend_from_slice(error.octets());
            return Answer::Application;
        }
        Err(Failure::Busy) => Answer::NotExecuted(NotExecuted::Busy),
        Err(Failure::BadArguments) => Answer::NotExecuted(NotExecuted::BadArguments),
    };
    reply.clear();
    answer
}

fn encode_result<R: Encode>(signature: &Signature, result: &R, reply: &mut Vec<u8>) -> Result<(), EncodeError> {
    let len = posthaste_xdr::encoded_len(result)?;
    if len > signature.result_len_max as usize {
        return Err(EncodeError::NoRoom);
    }
    reply.resize(len, 0);
    posthaste_xdr::to_slice(result, reply)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_result_leaves_nothing_of_a_longer_one_before_it() {
        let mut reply = vec![7; 100];
        let answer = answer(&NUMBER, &[], &mut reply, |()| Ok(5));
        assert_eq!((answer, reply.as_slice()), (Answer::Ok, &[0, 0, 0, 5][..]));
    }

    #[test]
    fn what_is_no_result_leaves_nothing_of_one_before_it() {
        let failures = [
            (Failure::Application("no".into()), Answer::Application, &b"no"[..]),
            (Failure::Busy, Answer::NotExecuted(NotExecuted::Busy), b""),
            (Failure::BadArguments, Answer::NotExecuted(NotExecuted::BadArguments), b""),
        ];
        for (failure, expected, octets) in failures {
            let mut reply = vec![7; 100];
            let answer = answer(&NUMBER, &[], &mut reply, |()| Err(failure));
            assert_eq!((answer, reply.as_slice()), (expected, octets));
        }
    }

    #[test]
    fn a_result_that_breaks_a_bound_leaves_nothing_at_all() {
        let two = Procedure::<Bounded<Vec<u8>, 2>>::new("two", 1, 1, 2);
        let short = two.with_result_len_max(4);
        for (procedure, octets) in [(two, vec![1, 2, 3]), (short, vec![1, 2])] {
            let mut reply = vec![7; 100];
            let answer = answer(&procedure, &[], &mut reply, |()| Ok(Bounded(octets)));
            assert_eq!((answer, reply.as_slice()), (Answer::Failed, &[][..]));
        }
    }

    const NUMBER: Procedure<i32> = Procedure::new("number", 1, 1, 1);
}
