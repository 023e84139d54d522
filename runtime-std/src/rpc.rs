//! What generated stubs need: the client makes their calls, and [`Rpc`] has a generated server answer.

use alloc::boxed::Box;
use core::cell::RefCell;
use core::mem;
use core::time::Duration;
use std::io::{self, Read};
use std::time;

use posthaste_core::endpoint::{self, Answer};
use posthaste_core::wire::Description;
use posthaste_rpc::{self as rpc, Caller, Dispatch, Resolve, StartCaller, Started, Target, WriteStream};

use crate::call::Pending;
use crate::client::Client;
use crate::handler::{Handler, Incoming};
use crate::outcome::{CallError, Unresolved};
use crate::peer::Peer;
use crate::service::Execution;
use crate::stream::StreamWriter;

impl Caller for Peer {
    fn call(&self, request: &rpc::Request<'_>, read: &mut dyn FnMut(&[u8])) -> Result<(), rpc::CallError> {
        // The calls of a thread share a buffer, which does not allocate once it is long enough. Whoever calls from within `read`
        // finds none, and makes another.
        let mut reply = REPLY.with_borrow_mut(mem::take);
        let called = self.call_into(&endpoint::Request::from(request), &mut reply);
        if called.is_ok() {
            read(&reply);
        }
        REPLY.with_borrow_mut(|buffer| *buffer = reply);
        called.map_err(rpc::CallError::from)
    }

    fn call_with_progress(
        &self,
        request: &rpc::Request<'_>,
        progress: &mut dyn FnMut(u64),
        read: &mut dyn FnMut(&[u8]),
    ) -> Result<(), rpc::CallError> {
        let started = self.start_with_room(&endpoint::Request::from(request));
        let call = started.map_err(|why| rpc::CallError::NotExecuted(why.into()))?;
        while let Some(heard) = call.next_progress() {
            progress(heard);
        }
        Started::wait(call, read)
    }
}

impl Caller for Client {
    fn call(&self, request: &rpc::Request<'_>, read: &mut dyn FnMut(&[u8])) -> Result<(), rpc::CallError> {
        Caller::call(&**self, request, read)
    }

    fn call_with_progress(
        &self,
        request: &rpc::Request<'_>,
        progress: &mut dyn FnMut(u64),
        read: &mut dyn FnMut(&[u8]),
    ) -> Result<(), rpc::CallError> {
        Caller::call_with_progress(&**self, request, progress, read)
    }
}

impl StartCaller for Peer {
    type Started = Pending;

    fn start(&self, request: &rpc::Request<'_>) -> Result<Pending, rpc::CallError> {
        let request = endpoint::Request::from(request);
        self.start(&request).map_err(|why| rpc::CallError::NotExecuted(why.into()))
    }
}

impl StartCaller for Client {
    type Started = Pending;

    fn start(&self, request: &rpc::Request<'_>) -> Result<Pending, rpc::CallError> {
        StartCaller::start(&**self, request)
    }
}

impl Started for Pending {
    fn wait(self, read: &mut dyn FnMut(&[u8])) -> Result<(), rpc::CallError> {
        read(&self.wait()?);
        Ok(())
    }
}

impl From<CallError> for rpc::CallError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Application(octets) => Self::application(octets),
            CallError::NotExecuted(why) => Self::NotExecuted(why.into()),
            CallError::ReplyLost => Self::ReplyLost,
            CallError::Unknown(unresolved) => {
                let why = unresolved.why().into();
                Self::Unknown(rpc::Unresolved::new(why, Some(Box::new(unresolved))))
            }
            CallError::Refused(why) => Self::NotExecuted(why.into()),
        }
    }
}

impl Resolve for Unresolved {
    fn resolve(self: Box<Self>, timeout: Duration) -> Result<Vec<u8>, rpc::CallError> {
        Ok(Self::resolve(*self, timeout)?)
    }
}

/// A generated server as what answers calls, on the workers; within [`Inline`](crate::Inline), on the thread that receives.
///
/// What the server does not know is refused before anything else is looked at. A call has been answered by the time that `handle`
/// returns, and nothing is written into the buffer that it was given.
#[derive(Clone, Copy, Debug)]
pub struct Rpc<D>(pub D);

impl<D: Dispatch + Send + Sync + 'static> Handler for Rpc<D> {
    fn execution(&self, procedure: &Description) -> Execution {
        match self.0.find(Target::from(procedure)) {
            Ok(_) => Execution::Pool,
            Err(why) => Execution::Refuse(why.into()),
        }
    }

    fn handle(&self, call: &Incoming<'_>, _reply: &mut Vec<u8>) -> Answer {
        let mut exchange = Exchange { call, answer: Answer::HandlerFailed };
        self.0.dispatch(call, &mut exchange);
        // For whoever asks: the call has ended, unless nobody has answered.
        exchange.answer
    }
}

/// A call whose result is written where the endpoint keeps it.
struct Exchange<'a> {
    call: &'a Incoming<'a>,
    answer: Answer,
}

impl rpc::Exchange for Exchange<'_> {
    fn arguments(&self) -> &[u8] {
        self.call.arguments()
    }

    fn answer(&mut self, answer: rpc::Answer<'_>) {
        let (answer, body) = answer.to_reply();
        self.call.answer(answer, body);
        self.answer = answer;
    }
}

impl rpc::Call for Incoming<'_> {
    fn target(&self) -> Target {
        Target::from(self.procedure())
    }

    fn time_left(&self) -> Option<Duration> {
        Some(self.deadline()?.saturating_duration_since(time::Instant::now()))
    }

    fn is_cancelled(&self) -> bool {
        Incoming::is_cancelled(self)
    }

    fn set_progress(&self, progress: u64) {
        Incoming::set_progress(self, progress);
    }

    fn take_upward(&self) -> Option<Box<dyn Read + Send>> {
        Some(Box::new(Incoming::take_upward(self)?))
    }

    fn take_downward(&self) -> Option<Box<dyn WriteStream>> {
        Some(Box::new(Incoming::take_downward(self)?))
    }
}

impl WriteStream for StreamWriter {
    fn finish(self: Box<Self>) -> io::Result<()> {
        Self::finish(*self)
    }
}

std::thread_local! {
    static REPLY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}
