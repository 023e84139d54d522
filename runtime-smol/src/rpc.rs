//! What generated stubs need: the client makes their calls, and [`Rpc`] has a generated server answer.

use alloc::boxed::Box;
use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time;

use futures_io::{AsyncRead, AsyncWrite};
use posthaste_core::endpoint;
use posthaste_rpc::{
    self as rpc, Answer, AsyncCallError, AsyncCaller, AsyncDispatch, AsyncResolve, AsyncStartCaller, AsyncStarted,
    AsyncUnresolved, Resolving, Target,
};

use crate::call::Pending;
use crate::client::Client;
use crate::error::ReceiveError;
use crate::incoming::Incoming;
use crate::outcome::{CallError, Reply, Unresolved};
use crate::peer::Peer;
use crate::server::Server;
use crate::stream::{StreamReader, StreamWriter};

impl AsyncCaller for Peer {
    async fn call<T>(&self, request: rpc::Request<'_>, read: impl FnOnce(&[u8]) -> T) -> Result<T, AsyncCallError> {
        match self.call(endpoint::Request::from(&request)).await {
            Ok(reply) => Ok(reply.with(read)),
            Err(error) => Err(error.into()),
        }
    }

    async fn call_with_progress<T>(
        &self,
        request: rpc::Request<'_>,
        mut progress: impl FnMut(u64),
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, AsyncCallError> {
        let mut call = AsyncStartCaller::start(self, request).await?;
        while let Some(heard) = call.next_progress().await {
            progress(heard);
        }
        AsyncStarted::wait(call, read).await
    }
}

impl AsyncCaller for Client {
    fn call<T>(
        &self,
        request: rpc::Request<'_>,
        read: impl FnOnce(&[u8]) -> T,
    ) -> impl Future<Output = Result<T, AsyncCallError>> {
        AsyncCaller::call(&**self, request, read)
    }

    fn call_with_progress<T>(
        &self,
        request: rpc::Request<'_>,
        progress: impl FnMut(u64),
        read: impl FnOnce(&[u8]) -> T,
    ) -> impl Future<Output = Result<T, AsyncCallError>> {
        AsyncCaller::call_with_progress(&**self, request, progress, read)
    }
}

impl AsyncStartCaller for Peer {
    type Started = Pending;

    async fn start(&self, request: rpc::Request<'_>) -> Result<Pending, AsyncCallError> {
        let started = self.start(endpoint::Request::from(&request)).await;
        started.map_err(|why| AsyncCallError::NotExecuted(why.into()))
    }
}

impl AsyncStartCaller for Client {
    type Started = Pending;

    fn start(&self, request: rpc::Request<'_>) -> impl Future<Output = Result<Pending, AsyncCallError>> {
        AsyncStartCaller::start(&**self, request)
    }
}

impl AsyncStarted for Pending {
    async fn wait<T>(self, read: impl FnOnce(&[u8]) -> T) -> Result<T, AsyncCallError> {
        Ok(self.await?.with(read))
    }
}

impl From<CallError> for AsyncCallError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Application(reply) => Self::application(reply.to_vec()),
            CallError::NotExecuted(why) => Self::NotExecuted(why.into()),
            CallError::ReplyLost => Self::ReplyLost,
            CallError::Unknown(unresolved) => {
                let why = unresolved.why().into();
                Self::Unknown(AsyncUnresolved::new(why, Some(Box::new(unresolved))))
            }
            CallError::Refused(why) => Self::NotExecuted(why.into()),
        }
    }
}

impl AsyncResolve for Unresolved {
    fn resolve(self: Box<Self>, timeout: Duration) -> Resolving {
        Box::pin(async move {
            let resolved: Result<Reply, CallError> = Self::resolve(*self, timeout).await;
            Ok(resolved?.to_vec())
        })
    }
}

/// A call whose result is written where the endpoint keeps it.
struct Exchange<'a> {
    incoming: &'a Incoming,
    arguments: &'a [u8],
}

impl rpc::Exchange for Exchange<'_> {
    fn arguments(&self) -> &[u8] {
        self.arguments
    }

    fn answer(&mut self, answer: Answer<'_>) {
        let (answer, body) = answer.to_reply();
        // Whoever gave up waiting needs no answer.
        let _ = self.incoming.end(answer, body);
    }
}

/// A call, as its handler sees it, which takes streams from what it shares with others.
struct Handled {
    incoming: Incoming,
    upward: Mutex<Option<StreamReader>>,
    downward: Mutex<Option<StreamWriter>>,
}

impl Handled {
    fn new(mut incoming: Incoming) -> Self {
        let (upward, downward) = (Mutex::new(incoming.take_upward()), Mutex::new(incoming.take_downward()));
        Self { incoming, upward, downward }
    }
}

impl rpc::Call for Handled {
    fn target(&self) -> Target {
        Target::from(self.incoming.procedure())
    }

    fn time_left(&self) -> Option<Duration> {
        Some(self.incoming.deadline()?.saturating_duration_since(time::Instant::now()))
    }

    fn is_cancelled(&self) -> bool {
        self.incoming.is_cancelled()
    }

    fn set_progress(&self, progress: u64) {
        self.incoming.set_progress(progress);
    }

    fn take_async_upward(&self) -> Option<Pin<Box<dyn AsyncRead + Send>>> {
        Some(Box::pin(lock(&self.upward).take()?))
    }

    fn take_async_downward(&self) -> Option<Pin<Box<dyn AsyncWrite + Send>>> {
        Some(Box::pin(lock(&self.downward).take()?))
    }
}

impl Server {
    /// Answers calls by a generated server, at most `handler_count_max` at a time; as [`Server::serve`].
    ///
    /// What the server does not know is refused before anything else is looked at.
    pub async fn serve_rpc(&self, handler_count_max: usize, service: &(impl AsyncDispatch + Sync)) -> ReceiveError {
        let desks = Mutex::default();
        self.serve(handler_count_max, |call| answer(call, service, &desks)).await
    }
}

/// A buffer for the arguments of one call at a time.
type Desk = Vec<u8>;

/// Answers one call, at a desk that serves one call after the other.
async fn answer(call: Incoming, service: &(impl AsyncDispatch + Sync), desks: &Mutex<Vec<Desk>>) {
    if let Err(why) = service.find(Target::from(call.procedure())) {
        // Before the arguments are copied. Whoever gave up waiting needs no answer.
        let _ = call.refuse(why.into());
        return;
    }
    let mut arguments = lock(desks).pop().unwrap_or_default();
    arguments.clear();
    call.with(|octets| arguments.extend_from_slice(octets));
    let handled = Handled::new(call);
    let mut exchange = Exchange { incoming: &handled.incoming, arguments: &arguments };
    service.dispatch(&handled, &mut exchange).await;
    // Streams that the handler did not take are given up here.
    drop(handled);
    lock(desks).push(arguments);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
