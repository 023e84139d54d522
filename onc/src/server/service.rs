//! What answers calls.

use alloc::vec::Vec;
use core::future::Future;

use super::Incoming;
use crate::message::Refusal;

/// What answers the calls of clients. A closure of the same shape is one.
pub trait Service {
    /// Answers a call: appends the results in XDR to `results`, which is empty.
    ///
    /// # Errors
    /// What the caller is told where there are no results. Whatever was appended is dropped.
    fn answer(&self, call: &Incoming<'_>, results: &mut Vec<u8>) -> Result<(), Refusal>;
}

impl<F> Service for F
where
    F: Fn(&Incoming<'_>, &mut Vec<u8>) -> Result<(), Refusal>,
{
    fn answer(&self, call: &Incoming<'_>, results: &mut Vec<u8>) -> Result<(), Refusal> {
        self(call, results)
    }
}

/// As [`Service`], to be awaited. Each [`Service`] is one, which takes no longer than it takes.
pub trait AsyncService {
    /// As [`Service::answer`].
    fn answer(&self, call: &Incoming<'_>, results: &mut Vec<u8>) -> impl Future<Output = Result<(), Refusal>>;
}

impl<S: Service> AsyncService for S {
    async fn answer(&self, call: &Incoming<'_>, results: &mut Vec<u8>) -> Result<(), Refusal> {
        Service::answer(self, call, results)
    }
}
