//! Generated clients.

use core::time::Duration;

use posthaste_rpc::{
    AsyncCallError, AsyncUnresolved, CallError, NotExecuted, Semantics, Streams, Timeout, Unknown as Why, Unresolved,
};

use super::{Arguments, Failure, NotSent, Request, Retransmission, Unknown};
use crate::message::{Refusal, Target};

impl<'a> Request<'a> {
    /// Makes the call that a stub asks for; its arguments are written into the message itself.
    ///
    /// A call that may be executed but once is sent again over UDP all the same, and the server is to know it again.
    ///
    /// # Errors
    /// [`NotExecuted::Unsupported`] if ONC RPC has no such thing: streams, or what is executed exactly once.
    pub fn from_stub(request: &posthaste_rpc::Request<'a>) -> Result<Self, NotExecuted> {
        let signature = request.signature;
        if signature.streams != Streams::None || signature.semantics == Semantics::ExactlyOnce {
            return Err(NotExecuted::Unsupported);
        }
        Ok(Self {
            target: Target { program: signature.program, version: signature.version, procedure: signature.procedure },
            arguments: Arguments::Encoded(request.arguments),
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

impl From<NotSent> for NotExecuted {
    fn from(why: NotSent) -> Self {
        match why {
            NotSent::Full => Self::Full,
            NotSent::TooLarge { limit } => Self::TooLarge { limit: Some(limit as u64) },
            NotSent::Unreached => Self::NeverSent,
        }
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
        Failure::NotSent(why) => why.into(),
        Failure::Unknown(Unknown::Deadline) => return Err(Why::Deadline),
        Failure::Unknown(Unknown::ConnectionLost) => return Err(Why::ConnectionLost),
    })
}

#[cfg(test)]
mod tests {
    use posthaste_rpc::{Procedure, Request as StubRequest, Signature};

    use super::*;
    use crate::message::AuthStatus;

    #[test]
    fn what_a_stub_asks_for_is_asked_or_refused() {
        let procedure = Procedure::<()>::new("p", 1, 2, 3);
        let asked = asked(&procedure.signature, Timeout::Configured).unwrap();
        assert_eq!((asked.0, asked.1), (None, Retransmission::BackOff));
        let maybe = procedure.with_semantics(Semantics::Maybe).signature;
        let second = Duration::from_secs(1);
        assert_eq!(self::asked(&maybe, Timeout::After(second)), Ok((Some(second), Retransmission::Never)));
        assert_eq!(self::asked(&maybe, Timeout::Never), Ok((Some(Duration::MAX), Retransmission::Never)));
        let procedure = Procedure::<()>::new("p", 1, 2, 3);
        let exactly_once = procedure.with_semantics(Semantics::ExactlyOnce).signature;
        assert_eq!(self::asked(&exactly_once, Timeout::Configured), Err(NotExecuted::Unsupported));
        let streams = Procedure::<()>::new("p", 1, 2, 3).with_streams(Streams::Upward).signature;
        assert_eq!(self::asked(&streams, Timeout::Configured), Err(NotExecuted::Unsupported));
    }

    #[test]
    fn only_what_surely_was_not_executed_is_called_so() {
        for failure in [
            Failure::Refused(Refusal::NoSuchProgram),
            Failure::Refused(Refusal::NoSuchVersion { low: 1, high: 2 }),
            Failure::Refused(Refusal::NoSuchProcedure),
            Failure::Refused(Refusal::GarbageArguments),
            Failure::Refused(Refusal::SystemError),
            Failure::Refused(Refusal::RpcVersion { low: 2, high: 2 }),
            Failure::Refused(Refusal::Auth(AuthStatus::TooWeak)),
            Failure::NotSent(NotSent::Full),
            Failure::NotSent(NotSent::TooLarge { limit: 1 }),
            Failure::NotSent(NotSent::Unreached),
            Failure::Unknown(Unknown::Deadline),
            Failure::Unknown(Unknown::ConnectionLost),
        ] {
            let (blocking, awaited): (CallError, AsyncCallError) = (failure.into(), failure.into());
            assert_eq!(blocking.is_not_executed(), failure.is_not_executed(), "{failure:?}");
            assert_eq!(awaited.is_not_executed(), failure.is_not_executed(), "{failure:?}");
        }
    }

    fn asked(signature: &Signature, timeout: Timeout) -> Result<(Option<Duration>, Retransmission), NotExecuted> {
        let arguments = posthaste_rpc::Values::new(&()).expect("nothing has no bound");
        let request = StubRequest { signature, timeout, arguments };
        let made = Request::from_stub(&request)?;
        assert_eq!(made.target, Target { program: 1, version: 2, procedure: 3 });
        Ok((made.timeout, made.retransmission))
    }
}
