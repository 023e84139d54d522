//! Generated stubs in a loop of the caller's own: calls that begin here and end with an event, and calls of peers to answer.

use core::fmt;
use core::time::Duration;

use posthaste_core::endpoint::{self, ReplyError};
use posthaste_core::{CallId, IncomingCallId, Outcome, PeerId};
use posthaste_rpc::xdr::{Decode, Message};
use posthaste_rpc::{self as rpc, Answer, Call, CallError, Dispatch, NotExecuted, Procedure, Request, Target, Unknown};

use crate::endpoint::Endpoint;

/// Generated stubs.
impl Endpoint {
    /// Calls a procedure of a generated stub with its arguments, a tuple; [`Endpoint::take_result`] reads what
    /// `Event::CallEnded` brings.
    ///
    /// # Errors
    /// Why nothing was sent.
    pub fn call_procedure<R>(
        &mut self,
        peer: PeerId,
        procedure: &Procedure<R>,
        arguments: &(dyn Message + Sync),
    ) -> Result<CallId, NotExecuted> {
        let request = Request::new(&procedure.signature, arguments)?;
        Ok(self.call(peer, endpoint::Request::from(&request))?)
    }

    /// Reads the result of a call that ended, and releases its octets.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn take_result<R: for<'a> Decode<'a>>(
        &mut self,
        procedure: &Procedure<R>,
        call: CallId,
        outcome: Outcome,
    ) -> Result<R, CallError<Unresolved>> {
        match outcome {
            Outcome::Ok(message) => {
                let result = procedure.decode_result(self.payload(message).unwrap_or(&[]));
                // Stale if its session is gone, as the payload then is.
                let _ = self.release(message);
                result.map_err(CallError::BadReply)
            }
            Outcome::ApplicationError(message) => {
                let octets = self.payload(message).unwrap_or(&[]).to_vec();
                let _ = self.release(message);
                Err(CallError::application(octets))
            }
            // A one-way call has no result, and its procedure reads none.
            Outcome::Delivered => procedure.decode_result(&[]).map_err(CallError::BadReply),
            Outcome::NotExecuted(why) => Err(CallError::NotExecuted(why.into())),
            Outcome::ReplyLost => Err(CallError::ReplyLost),
            Outcome::Unknown(why) => Err(CallError::Unknown(Unresolved { call, why: why.into() })),
        }
    }

    /// Has a generated server answer a call of a peer: its result is written where the endpoint keeps it.
    ///
    /// # Errors
    /// [`ReplyError`]: nobody waits for the answer, or it is too large, and the caller is told that the handler failed.
    pub fn answer(&mut self, call: IncomingCallId, service: &impl Dispatch) -> Result<(), ReplyError> {
        let incoming = self.incoming_call(call).map_err(|_| ReplyError::Stale)?;
        let (target, deadline) = (Target::from(&incoming.procedure), incoming.deadline);
        if let Err(why) = service.find(target) {
            return self.refuse(call, why.into());
        }
        self.begin(call)?;
        let now = self.now();
        let known = Known { target, time_left: deadline.map(|deadline| deadline.saturating_since(now)) };
        let mut exchange = Exchange { endpoint: self, call, replied: None };
        service.dispatch(&known, &mut exchange);
        let replied = exchange.replied;
        if matches!(replied, None | Some(Err(ReplyError::TooLarge { .. }))) {
            self.reply(call, endpoint::Answer::HandlerFailed, &[], &[])?;
        }
        replied.unwrap_or(Ok(()))
    }
}

/// A call whose outcome is unknown: [`Endpoint::resolve`] asks for it, [`Endpoint::forget`] lets go of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// The call.
    pub call: CallId,
    /// Why its outcome is unknown.
    pub why: Unknown,
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

/// A call whose arguments are read, and whose result is written, where the endpoint keeps them.
struct Exchange<'a> {
    endpoint: &'a mut Endpoint,
    call: IncomingCallId,
    /// `None` until it has been answered.
    replied: Option<Result<(), ReplyError>>,
}

impl rpc::Exchange for Exchange<'_> {
    fn arguments(&self) -> &[u8] {
        // There are none once it has been answered.
        self.endpoint.incoming_call(self.call).map_or(&[], |call| call.arguments)
    }

    fn answer(&mut self, answer: Answer<'_>) {
        let (answer, body) = answer.to_reply();
        self.replied = Some(self.endpoint.reply_body(self.call, answer, body, &[]));
    }
}

/// What a handler learns of its call.
struct Known {
    target: Target,
    time_left: Option<Duration>,
}

impl Call for Known {
    fn target(&self) -> Target {
        self.target
    }

    fn time_left(&self) -> Option<Duration> {
        self.time_left
    }
}
