//! What answers calls.

use alloc::vec::Vec;

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
