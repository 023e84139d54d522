//! Generated servers.

use alloc::vec::Vec;

use posthaste_rpc::{self as rpc, Answer, AsyncDispatch, Call, Dispatch, NotExecuted, Target};

use super::{AsyncService, Incoming, Service};
use crate::message::Refusal;

/// A generated server as a [`Service`].
///
/// ONC RPC has no word for an error of the application: an interface that is to have them puts them into its results. A handler
/// that answers with one all the same, or that there is no time for, is a [`Refusal::SystemError`].
#[derive(Clone, Copy, Debug)]
pub struct Rpc<D>(pub D);

impl<D: Dispatch> Service for Rpc<D> {
    fn answer(&self, call: &Incoming<'_>, results: &mut Vec<u8>) -> Result<(), Refusal> {
        let mut exchange = Exchange { arguments: call.arguments, results, outcome: Err(Refusal::SystemError) };
        self.0.dispatch(call, &mut exchange);
        exchange.outcome
    }
}

/// As [`Rpc`], with a generated server whose handlers are awaited.
#[derive(Clone, Copy, Debug)]
pub struct AsyncRpc<D>(pub D);

impl<D: AsyncDispatch> AsyncService for AsyncRpc<D> {
    async fn answer(&self, call: &Incoming<'_>, results: &mut Vec<u8>) -> Result<(), Refusal> {
        let mut exchange = Exchange { arguments: call.arguments, results, outcome: Err(Refusal::SystemError) };
        self.0.dispatch(call, &mut exchange).await;
        exchange.outcome
    }
}

impl Call for Incoming<'_> {
    fn target(&self) -> Target {
        self.target
    }

    fn credential(&self) -> Option<(u32, &[u8])> {
        Some((self.auth.flavor.0, self.auth.body))
    }
}

/// A call whose results are written to the buffer of its service.
struct Exchange<'a> {
    arguments: &'a [u8],
    results: &'a mut Vec<u8>,
    /// What the caller is told if nobody answers.
    outcome: Result<(), Refusal>,
}

impl rpc::Exchange for Exchange<'_> {
    fn arguments(&self) -> &[u8] {
        self.arguments
    }

    fn answer(&mut self, answer: Answer<'_>) {
        self.outcome = outcome(&answer);
        if let Answer::Ok(results) = answer {
            self.results.resize(results.len(), 0);
            results.write(self.results);
        }
    }
}

/// Tells what a dispatched call came to in the words of ONC RPC.
fn outcome(answer: &Answer<'_>) -> Result<(), Refusal> {
    match *answer {
        Answer::Ok(_) => Ok(()),
        Answer::NotExecuted(NotExecuted::NoSuchProgram) => Err(Refusal::NoSuchProgram),
        Answer::NotExecuted(NotExecuted::NoSuchVersion { low, high }) => Err(Refusal::NoSuchVersion { low, high }),
        Answer::NotExecuted(NotExecuted::NoSuchProcedure) => Err(Refusal::NoSuchProcedure),
        // To ONC RPC, what is too much is no better than what means nothing.
        Answer::NotExecuted(NotExecuted::BadArguments | NotExecuted::TooLarge { .. }) => Err(Refusal::GarbageArguments),
        Answer::NotExecuted(_) | Answer::Application(_) | Answer::Failed => Err(Refusal::SystemError),
    }
}

#[cfg(test)]
mod tests {
    use posthaste_rpc::Values;

    use super::*;

    #[test]
    fn the_standard_refusals_are_told_and_everything_else_is_an_error_of_the_system() {
        for (answer, told) in [
            (Answer::Ok(Values::new(&()).unwrap()), Ok(())),
            (Answer::NotExecuted(NotExecuted::NoSuchProgram), Err(Refusal::NoSuchProgram)),
            (
                Answer::NotExecuted(NotExecuted::NoSuchVersion { low: 1, high: 3 }),
                Err(Refusal::NoSuchVersion { low: 1, high: 3 }),
            ),
            (Answer::NotExecuted(NotExecuted::NoSuchProcedure), Err(Refusal::NoSuchProcedure)),
            (Answer::NotExecuted(NotExecuted::BadArguments), Err(Refusal::GarbageArguments)),
            (Answer::NotExecuted(NotExecuted::TooLarge { limit: None }), Err(Refusal::GarbageArguments)),
            (Answer::NotExecuted(NotExecuted::Busy), Err(Refusal::SystemError)),
            (Answer::Application(b"no"), Err(Refusal::SystemError)),
            (Answer::Failed, Err(Refusal::SystemError)),
        ] {
            assert_eq!(outcome(&answer), told, "{answer:?}");
        }
    }
}
