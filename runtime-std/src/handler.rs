//! What answers calls.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::Ordering;
use std::time;

use posthaste_core::endpoint::Answer;
#[cfg(feature = "rpc")]
use posthaste_core::endpoint::Body;
use posthaste_core::wire::Description;

use crate::desk::{Call, Desk};
use crate::node::Node;
use crate::peer::Peer;
use crate::service::Execution;
use crate::stream::{StreamReader, StreamWriter};

/// What answers the calls of peers. A closure of the same shape is one, and runs on the workers.
pub trait Handler: Send + Sync + 'static {
    /// Says who runs the handler of a procedure.
    ///
    /// Asked for each call before anything is decoded, with the endpoint locked: it only looks and returns. If it panics, the call is
    /// refused as if too many waited.
    fn execution(&self, procedure: &Description) -> Execution {
        let _ = procedure;
        Execution::Pool
    }

    /// Answers a call: writes the reply, or the octets of an application error, into `reply`, which is empty.
    ///
    /// If it panics, the caller learns that the outcome is unknown, and the server lives on.
    fn handle(&self, call: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer;
}

impl<F> Handler for F
where
    F: Fn(&Incoming<'_>, &mut Vec<u8>) -> Answer + Send + Sync + 'static,
{
    fn handle(&self, call: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer {
        self(call, reply)
    }
}

/// Runs a handler on the thread that receives: for handlers that take microseconds and wait for nothing.
#[derive(Clone, Copy, Debug)]
pub struct Inline<H>(pub H);

impl<H: Handler> Handler for Inline<H> {
    fn execution(&self, _procedure: &Description) -> Execution {
        Execution::Inline
    }

    fn handle(&self, call: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer {
        self.0.handle(call, reply)
    }
}

/// A call of a peer, for as long as its handler runs.
pub struct Incoming<'a> {
    node: &'a Arc<Node>,
    call: &'a Call,
    desk: &'a Desk,
}

impl<'a> Incoming<'a> {
    /// Shows a call that was begun at a desk.
    pub(crate) const fn new(node: &'a Arc<Node>, call: &'a Call, desk: &'a Desk) -> Self {
        Self { node, call, desk }
    }

    /// Returns the arguments.
    #[must_use]
    pub fn arguments(&self) -> &[u8] {
        self.desk.arguments()
    }

    /// Returns a share of the arguments, which may outlive the call: made without a copy if they are as many as
    /// [`Config::own_body_len_min`](posthaste_core::Config::own_body_len_min).
    #[cfg(feature = "bytes")]
    #[must_use]
    pub fn arguments_bytes(&self) -> bytes::Bytes {
        self.desk.arguments_bytes()
    }

    /// Answers with octets that are read in place until all of them are acknowledged, and not with what is written into `reply`.
    ///
    /// They count against [`Config::payload_memory`](posthaste_core::Config::payload_memory) as if they were copied: how long they are
    /// held is up to the caller. Of several, the last are the answer.
    #[cfg(feature = "bytes")]
    pub fn reply_bytes(&self, octets: bytes::Bytes) {
        self.desk.share_reply(octets);
    }

    /// Returns the encoded metadata items that came with the call.
    #[must_use]
    pub const fn metadata(&self) -> &[u8] {
        self.desk.metadata()
    }

    /// Returns what is called, and how.
    #[must_use]
    pub const fn procedure(&self) -> &Description {
        &self.call.procedure
    }

    /// Takes the stream from the caller; `None` if the call has none, or it was taken before.
    ///
    /// It ends with the handler: what is left of it then, the caller is told, is not wanted.
    #[must_use]
    pub fn take_upward(&self) -> Option<StreamReader> {
        self.call.take_upward()
    }

    /// Takes the stream to the caller; `None` if the call has none, or it was taken before.
    ///
    /// It may be written on after a reply that says "ok". Any other answer gives it up.
    #[must_use]
    pub fn take_downward(&self) -> Option<StreamWriter> {
        self.call.take_downward()
    }

    /// Returns when the caller gives up; each progress of a stream puts it off.
    #[must_use]
    pub fn deadline(&self) -> Option<time::Instant> {
        // A call that is over keeps the one that it began with.
        let known = self.node.lock().endpoint.incoming_call(self.call.id).map(|call| call.deadline);
        self.node.clock.to_std(known.unwrap_or(self.call.deadline)?)
    }

    /// Says whether the caller wants no answer any more, or is gone; what the handler returns is dropped then.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.desk.cancelled().load(Ordering::Relaxed)
    }

    /// Tells the caller how far the handler is, in a number of its own choice.
    pub fn set_progress(&self, progress: u64) {
        // A call that is over needs no progress.
        let _ = self.node.lock().endpoint.progress(self.call.id, progress);
    }

    /// Returns the caller, for calls and messages to it.
    #[must_use]
    pub fn peer(&self) -> Peer {
        Peer::known(Arc::clone(self.node), self.call.peer)
    }

    /// Ends the call with octets that may be encoded where the endpoint keeps them. What the handler returns comes too late then.
    #[cfg(feature = "rpc")]
    pub(crate) fn answer(&self, answer: Answer, body: Body<'_>) {
        let mut state = self.node.lock();
        self.node.catch_up(&mut state, self.call.execution);
        state.reply(self.call.id, answer, body);
    }
}

impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("peer", &self.call.peer)
            .field("procedure", &self.call.procedure)
            .field("arguments", &self.arguments().len())
            .finish_non_exhaustive()
    }
}
