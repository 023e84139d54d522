//! Generated clients.

use core::time::Duration;

use posthaste_rpc::{
    AsyncCallError, AsyncUnresolved, CallError, NotExecuted, Semantics, Streams, Timeout, Unknown as Why, Unresolved,
};

use super::{Failure, NotSent, Request, Retransmission, Unknown};
use crate::message::{Refusal, Target};

impl<'a> Request<'a> {
    /// Makes the call that a stub asks for, with its arguments written down.
    ///
    /// A call that may be executed but once is sent again over UDP all the same, and the server is to know it again.
    ///
    /// # Errors
    /// [`NotExecuted::Unsupported`] if ONC RPC has no such thing: streams, or what is executed exactly once.
    pub fn from_stub(request: &posthaste_rpc::Request<'_>, arguments: &'a [u8]) -> Result<Self, NotExecuted> {
        let signature = request.signature;
        if signature.streams != Streams::None || signature.semantics == Semantics::ExactlyOnce {
            return Err(NotExecuted::Unsupported);
        }
        Ok(Self {
            target: Target { program: signature.program, version: signature.version, procedure: signature.procedure },
            arguments,
            timeout: match request.timeout {
                Timeout::Configured => None,
                Timeout::After(timeout) => Some(timeout),
                Timeout::Never => Some(Duration::MAX),
            },
            retransmission: match signature.semantics {
                Semantics::Maybe => Retransmission::Never,
                Semantics::AtMostOnce | Semantics::AtLeastOnce | Semantics::ExactlyOnce => Retransmission::BackOff,
            },
        })
    }
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        classify(failure).map_or_else(|why| Self::Unknown(Unresolved::new(why, None)), Self::NotExecuted)
    }
}

impl From<Failure> for AsyncCallError {
    fn from(failure: Failure) -> Self {
        classify(failure).map_or_else(|why| Self::Unknown(AsyncUnresolved::new(why, None)), Self::NotExecuted)
    }
}

/// Returns why a call was not executed, or why that is not known.
fn classify(failure: Failure) -> Result<NotExecuted, Why> {
    Ok(match failure {
        Failure::Refused(Refusal::NoSuchProgram) => NotExecuted::NoSuchProgram,
        Failure::Refused(Refusal::NoSuchVersion { low, high }) => NotExecuted::NoSuchVersion { low, high },
        Failure::Refused(Refusal::NoSuchProcedure) => NotExecuted::NoSuchProcedure,
        Failure::Refused(Refusal::GarbageArguments) => NotExecuted::BadArguments,
        Failure::Refused(Refusal::SystemError) => return Err(Why::HandlerFailed),
        Failure::Refused(Refusal::RpcVersion { .. }) => NotExecuted::Protocol,
        Failure::Refused(Refusal::Auth(_)) => NotExecuted::Denied,
        Failure::NotSent(NotSent::Full) => NotExecuted::Full,
        Failure::NotSent(NotSent::TooLarge { limit }) => NotExecuted::TooLarge { limit: Some(limit as u64) },
        Failure::NotSent(NotSent::Unreached) => NotExecuted::NeverSent,
        Failure::Unknown(Unknown::Deadline) => return Err(Why::Deadline),
        Failure::Unknown(Unknown::ConnectionLost) => return Err(Why::ConnectionLost),
    })
}
