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
pub use crate::caller::{AsyncCaller, AsyncStartCaller, Caller, Request, StartCaller};
pub use crate::dispatch::{AsyncDispatch, Directory, Dispatch, Exchange};
pub use crate::ongoing::Ongoing;
pub use crate::outcome::{AsyncCallError, CallError, NotExecuted};
pub use crate::procedure::{Procedure, ReplyMode, Semantics, Signature, Streams, Timeout};
use crate::values::Values;

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
        shown(procedure, result)
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
        shown(procedure, result)
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

/// Finds the procedure of a call, by its number.
///
/// # Errors
/// The standard refusal.
pub fn check(directory: &impl Directory, call: &dyn Call) -> Result<u32, NotExecuted> {
    directory.find(call.target()).map(|signature| signature.procedure)
}

/// What a handler returned, or why there was nothing to give to it.
pub type Ran<R> = Result<Result<R, Failure>, NotExecuted>;

/// Reads the arguments of a call, and runs its handler.
///
/// # Errors
/// If they are none.
pub fn run<'a, A: Decode<'a>, R>(
    procedure: &Procedure<R>,
    arguments: &'a [u8],
    handler: impl FnOnce(A) -> Result<R, Failure>,
) -> Ran<R> {
    match posthaste_xdr::from_octets(arguments, &procedure.signature.arguments_limits()) {
        // No `?` on what another function returns: values just read, member by member, are slow to be moved.
        Ok(arguments) => Ok(handler(arguments)),
        Err(error) => Err(refusal(&procedure.signature, error)),
    }
}

/// As [`run`], with a handler that is awaited.
///
/// # Errors
/// As [`run`].
pub async fn run_async<'a, A: Decode<'a>, R, F: Future<Output = Result<R, Failure>>>(
    procedure: &Procedure<R>,
    arguments: &'a [u8],
    handler: impl FnOnce(A) -> F,
) -> Ran<R> {
    match posthaste_xdr::from_octets(arguments, &procedure.signature.arguments_limits()) {
        Ok(arguments) => Ok(handler(arguments).await),
        Err(error) => Err(refusal(&procedure.signature, error)),
    }
}

/// Answers a call with what its handler came to.
pub fn answer<R: Encode + Sync>(procedure: &Procedure<R>, ran: &Ran<R>, exchange: &mut dyn Exchange) {
    exchange.answer(match ran {
        Ok(Ok(result)) => match Values::new(result) {
            Ok(result) if result.len() <= procedure.signature.result_len_max as usize => Answer::Ok(result),
            _ => Answer::Failed,
        },
        Ok(Err(Failure::Application(error))) => Answer::Application(error.octets()),
        Ok(Err(Failure::Busy)) => Answer::NotExecuted(NotExecuted::Busy),
        Ok(Err(Failure::BadArguments)) => Answer::NotExecuted(NotExecuted::BadArguments),
        Err(why) => Answer::NotExecuted(*why),
    });
}

/// Returns the result that was shown. A one-way call may show none.
#[inline]
fn shown<R: for<'a> Decode<'a>>(
    procedure: &Procedure<R>,
    result: Option<Result<R, DecodeError>>,
) -> Result<R, CallError> {
    // One `match`, which moves it once: each function that takes and returns it may move it again.
    match result {
        Some(Ok(result)) => Ok(result),
        Some(Err(error)) => Err(CallError::BadReply(error)),
        None => procedure.decode_result(&[]).map_err(CallError::BadReply),
    }
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

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_result_is_written_to_as_many_octets_as_it_takes() {
        assert_eq!(answered(&NUMBER, Ok(5)), ("ok", vec![0, 0, 0, 5]));
    }

    #[test]
    fn what_is_no_result_is_told() {
        assert_eq!(answered(&NUMBER, Err(Failure::Application("no".into()))), ("application", b"no".to_vec()));
        assert_eq!(answered(&NUMBER, Err(Failure::Busy)), ("busy", vec![]));
        assert_eq!(answered(&NUMBER, Err(Failure::BadArguments)), ("bad arguments", vec![]));
    }

    #[test]
    fn a_result_that_breaks_a_bound_is_not_written() {
        let two = Procedure::<Bounded<Vec<u8>, 2>>::new("two", 1, 1, 2);
        let short = two.with_result_len_max(4);
        for (procedure, octets) in [(two, vec![1, 2, 3]), (short, vec![1, 2])] {
            assert_eq!(answered(&procedure, Ok(Bounded(octets))), ("failed", vec![]));
        }
    }

    #[test]
    fn no_handler_runs_without_its_arguments() {
        let mut exchange = Noted::default();
        let ran = run(&NUMBER, &[0; 3], |_: i32| panic!("there is no argument"));
        answer(&NUMBER, &ran, &mut exchange);
        assert_eq!(exchange.answer, Some(("bad arguments", vec![])));
    }

    fn answered<R: Encode + Sync>(procedure: &Procedure<R>, returned: Result<R, Failure>) -> (&'static str, Vec<u8>) {
        let mut exchange = Noted::default();
        let ran = run(procedure, exchange.arguments(), |()| returned);
        answer(procedure, &ran, &mut exchange);
        exchange.answer.unwrap()
    }

    /// A call without arguments, and what it was answered with.
    #[derive(Default)]
    struct Noted {
        answer: Option<(&'static str, Vec<u8>)>,
    }

    impl Exchange for Noted {
        fn arguments(&self) -> &[u8] {
            &[]
        }

        fn answer(&mut self, answer: Answer<'_>) {
            let answer = match answer {
                Answer::Ok(result) => {
                    let mut octets = vec![7; result.len()];
                    result.write(&mut octets);
                    ("ok", octets)
                }
                Answer::Application(octets) => ("application", octets.to_vec()),
                Answer::NotExecuted(NotExecuted::Busy) => ("busy", vec![]),
                Answer::NotExecuted(NotExecuted::BadArguments) => ("bad arguments", vec![]),
                Answer::NotExecuted(_) => unreachable!(),
                Answer::Failed => ("failed", vec![]),
            };
            assert!(self.answer.replace(answer).is_none());
        }
    }

    const NUMBER: Procedure<i32> = Procedure::new("number", 1, 1, 1);
}
