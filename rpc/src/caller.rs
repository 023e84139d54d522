//! The side that calls.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::time::Duration;

use posthaste_xdr::{Decode, Message};

use crate::outcome::{AsyncCallError, AsyncUnresolved, CallError, NotExecuted, Unresolved};
use crate::procedure::{Procedure, Signature, Timeout};
use crate::values::Values;

/// Makes calls and waits for them: what a generated `Client` needs.
pub trait Caller {
    /// Makes a call, and shows the octets of its result to `read`, once; a one-way call ends when it is delivered, with none.
    ///
    /// # Errors
    /// [`CallError`]; `read` has seen nothing then.
    fn call(&self, request: &Request<'_>, read: &mut dyn FnMut(&[u8])) -> Result<(), CallError>;

    /// As [`Caller::call`], and shows `progress` how far the handler is, each time that it is heard of (`@progress`).
    ///
    /// A transport that does not hear of it shows nothing.
    ///
    /// # Errors
    /// As [`Caller::call`].
    fn call_with_progress(
        &self,
        request: &Request<'_>,
        progress: &mut dyn FnMut(u64),
        read: &mut dyn FnMut(&[u8]),
    ) -> Result<(), CallError> {
        let _ = progress;
        self.call(request, read)
    }
}

/// Makes calls that are awaited: what a generated `AsyncClient` needs.
pub trait AsyncCaller {
    /// As [`Caller::call`]. Dropping the future cancels the call.
    fn call<T>(
        &self,
        request: Request<'_>,
        read: impl FnOnce(&[u8]) -> T,
    ) -> impl Future<Output = Result<T, AsyncCallError>>;

    /// As [`Caller::call_with_progress`]. Dropping the future cancels the call.
    fn call_with_progress<T>(
        &self,
        request: Request<'_>,
        progress: impl FnMut(u64),
        read: impl FnOnce(&[u8]) -> T,
    ) -> impl Future<Output = Result<T, AsyncCallError>> {
        drop(progress);
        self.call(request, read)
    }
}

/// Makes calls that are waited for later: many at a time, or with streams beside them (`@stream`).
pub trait StartCaller: Caller {
    /// A call that has begun: the client's own type, which has the streams.
    type Started: Started;

    /// Starts a call and returns at once.
    ///
    /// # Errors
    /// [`CallError::NotExecuted`]: nothing was sent.
    fn start(&self, request: &Request<'_>) -> Result<Self::Started, CallError>;
}

/// A call that has begun.
pub trait Started {
    /// Waits for its end; as [`Caller::call`]. Streams that were not taken are given up.
    ///
    /// # Errors
    /// [`CallError`]; `read` has seen nothing then.
    fn wait(self, read: &mut dyn FnMut(&[u8])) -> Result<(), CallError>;
}

/// As [`StartCaller`], to be awaited.
pub trait AsyncStartCaller: AsyncCaller {
    /// A call that has begun: the client's own type, which has the streams.
    type Started: AsyncStarted;

    /// Starts a call: ready when it is accepted.
    fn start(&self, request: Request<'_>) -> impl Future<Output = Result<Self::Started, AsyncCallError>>;
}

/// As [`Started`], to be awaited.
pub trait AsyncStarted {
    /// As [`Started::wait`]. Dropping the future cancels the call.
    fn wait<T>(self, read: impl FnOnce(&[u8]) -> T) -> impl Future<Output = Result<T, AsyncCallError>>;
}

/// A call to make.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is called.
    pub signature: &'a Signature,
    /// How long to wait for its end.
    pub timeout: Timeout,
    /// What it is called with.
    pub arguments: Values<'a>,
}

impl<'a> Request<'a> {
    /// Makes a request, to wait for as long as the interface file says.
    ///
    /// # Errors
    /// [`NotExecuted::Unencodable`] or [`NotExecuted::TooLarge`] if the arguments break a bound of the interface file.
    #[inline]
    pub fn new(signature: &'a Signature, arguments: &'a (dyn Message + Sync)) -> Result<Self, NotExecuted> {
        let arguments = Values::new(arguments).map_err(NotExecuted::Unencodable)?;
        if arguments.len() > signature.arguments_len_max as usize {
            return Err(NotExecuted::TooLarge { limit: Some(signature.arguments_len_max.into()) });
        }
        Ok(Self { signature, timeout: signature.timeout, arguments })
    }
}

/// Finds out what became of a call whose outcome is unknown.
pub trait Resolve: Send + Sync {
    /// Asks the callee what became of the call, and makes sure that it does not begin any more.
    ///
    /// # Errors
    /// As the call itself; still [`CallError::Unknown`] if the callee does not answer within `timeout`, or does not know either.
    fn resolve(self: Box<Self>, timeout: Duration) -> Result<Vec<u8>, CallError>;
}

/// As [`Resolve`], to be awaited.
pub trait AsyncResolve: Send + Sync {
    /// As [`Resolve::resolve`].
    fn resolve(self: Box<Self>, timeout: Duration) -> Resolving;
}

/// What [`AsyncResolve::resolve`] returns.
pub type Resolving = Pin<Box<dyn Future<Output = Result<Vec<u8>, AsyncCallError>> + Send>>;

impl Unresolved {
    /// Asks the callee what became of the call of `procedure`, and makes sure that it does not begin any more.
    ///
    /// # Errors
    /// As the call itself; still [`CallError::Unknown`] if the callee does not answer within `timeout`, or does not know either.
    pub fn resolve<R: for<'a> Decode<'a>>(
        mut self,
        procedure: &Procedure<R>,
        timeout: Duration,
    ) -> Result<R, CallError> {
        let Some(call) = self.call.take() else { return Err(CallError::Unknown(self)) };
        let result = call.resolve(timeout)?;
        procedure.decode_result(&result).map_err(CallError::BadReply)
    }
}

impl AsyncUnresolved {
    /// As [`Unresolved::resolve`].
    ///
    /// # Errors
    /// As [`Unresolved::resolve`].
    pub async fn resolve<R: for<'a> Decode<'a>>(
        mut self,
        procedure: &Procedure<R>,
        timeout: Duration,
    ) -> Result<R, AsyncCallError> {
        let Some(call) = self.call.take() else { return Err(CallError::Unknown(self)) };
        let result = call.resolve(timeout).await?;
        procedure.decode_result(&result).map_err(CallError::BadReply)
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => { $(
        impl<C: Caller + ?Sized> Caller for $pointer {
            fn call(&self, request: &Request<'_>, read: &mut dyn FnMut(&[u8])) -> Result<(), CallError> {
                (**self).call(request, read)
            }

            fn call_with_progress(
                &self,
                request: &Request<'_>,
                progress: &mut dyn FnMut(u64),
                read: &mut dyn FnMut(&[u8]),
            ) -> Result<(), CallError> {
                (**self).call_with_progress(request, progress, read)
            }
        }
    )* };
}

forward!(&C, Box<C>, Arc<C>);

macro_rules! forward_start {
    ($($pointer:ty),*) => { $(
        impl<C: StartCaller + ?Sized> StartCaller for $pointer {
            type Started = C::Started;

            fn start(&self, request: &Request<'_>) -> Result<C::Started, CallError> {
                (**self).start(request)
            }
        }
    )* };
}

forward_start!(&C, Box<C>, Arc<C>);

macro_rules! forward_async {
    ($($pointer:ty),*) => { $(
        impl<C: AsyncCaller> AsyncCaller for $pointer {
            fn call<T>(
                &self,
                request: Request<'_>,
                read: impl FnOnce(&[u8]) -> T,
            ) -> impl Future<Output = Result<T, AsyncCallError>> {
                (**self).call(request, read)
            }

            fn call_with_progress<T>(
                &self,
                request: Request<'_>,
                progress: impl FnMut(u64),
                read: impl FnOnce(&[u8]) -> T,
            ) -> impl Future<Output = Result<T, AsyncCallError>> {
                (**self).call_with_progress(request, progress, read)
            }
        }
    )* };
}

forward_async!(&C, Arc<C>);

macro_rules! forward_async_start {
    ($($pointer:ty),*) => { $(
        impl<C: AsyncStartCaller> AsyncStartCaller for $pointer {
            type Started = C::Started;

            fn start(&self, request: Request<'_>) -> impl Future<Output = Result<C::Started, AsyncCallError>> {
                (**self).start(request)
            }
        }
    )* };
}

forward_async_start!(&C, Arc<C>);
