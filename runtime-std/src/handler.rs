//! What answers calls.

use alloc::sync::Arc;
use core::fmt;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering};
use std::panic::catch_unwind;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time;

use posthaste_core::config::METADATA_LEN_MAX;
use posthaste_core::endpoint::{Answer, ReplyError};
use posthaste_core::wire::{Description, NotExecuted};
use posthaste_core::{IncomingCallId, Instant, PeerId};

use crate::node::Node;
use crate::peer::{Peer, Received};
use crate::state::State;
use crate::stream::{StreamReader, StreamWriter};

/// What answers the calls of peers. A closure of the same shape is one, and runs on the workers.
pub trait Handler: Send + Sync + 'static {
    /// Says who runs the handler of a procedure.
    ///
    /// Asked for each call before anything is decoded, with the endpoint locked: it only looks and returns.
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

/// Who runs a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// One of the workers, when one is free. If too many calls wait already, the call is refused as busy.
    Pool,
    /// The thread that receives, at once. Nothing else is received meanwhile, and a handler that waits for a peer would wait for
    /// ever: it panics.
    Inline,
    /// Nobody: the caller is told why.
    Refuse(NotExecuted),
}

/// A call of a peer, for as long as its handler runs.
pub struct Incoming<'a> {
    node: &'a Arc<Node>,
    id: IncomingCallId,
    peer: PeerId,
    procedure: Description,
    deadline: Option<Instant>,
    arguments: &'a [u8],
    metadata: &'a [u8],
    cancelled: &'a AtomicBool,
    /// What was not taken is given up when the handler returns.
    upward: Mutex<Option<StreamReader>>,
    downward: Mutex<Option<StreamWriter>>,
}

impl Incoming<'_> {
    /// Returns the arguments.
    #[must_use]
    pub const fn arguments(&self) -> &[u8] {
        self.arguments
    }

    /// Returns the encoded metadata items that came with the call.
    #[must_use]
    pub const fn metadata(&self) -> &[u8] {
        self.metadata
    }

    /// Returns what is called, and how.
    #[must_use]
    pub const fn procedure(&self) -> &Description {
        &self.procedure
    }

    /// Takes the stream from the caller; `None` if the call has none, or it was taken before.
    ///
    /// It ends with the handler: what is left of it then, the caller is told, is not wanted.
    #[must_use]
    pub fn take_upward(&self) -> Option<StreamReader> {
        self.upward.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Takes the stream to the caller; `None` if the call has none, or it was taken before.
    ///
    /// It may be written on after a reply that says "ok". Any other answer gives it up.
    #[must_use]
    pub fn take_downward(&self) -> Option<StreamWriter> {
        self.downward.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns when the caller gives up.
    #[must_use]
    pub fn deadline(&self) -> Option<time::Instant> {
        self.node.clock.to_std(self.deadline?)
    }

    /// Says whether the caller wants no answer any more; what the handler returns is dropped then.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Tells the caller how far the handler is, in a number of its own choice.
    pub fn set_progress(&self, progress: u64) {
        // A call that is over needs no progress.
        let _ = self.node.lock().endpoint.progress(self.id, progress);
    }

    /// Returns the caller, for calls and messages to it.
    #[must_use]
    pub fn peer(&self) -> Peer {
        Peer::known(Arc::clone(self.node), self.peer)
    }
}

impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("peer", &self.peer)
            .field("procedure", &self.procedure)
            .field("arguments", &self.arguments.len())
            .finish_non_exhaustive()
    }
}

/// Where a handler runs: buffers that serve one call after the other.
pub(crate) struct Desk {
    arguments: Vec<u8>,
    metadata: Vec<u8>,
    reply: Vec<u8>,
    cancelled: Arc<AtomicBool>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            arguments: Vec::new(),
            // Calls whose request was held up bring the time that is left to them, and others bring nothing.
            metadata: Vec::with_capacity(METADATA_LEN_MAX),
            reply: Vec::new(),
            cancelled: Arc::default(),
        }
    }
}

impl Desk {
    /// Runs the handler of a call, without the lock, and gives its reply to the endpoint.
    pub(crate) fn answer<'n>(
        &mut self,
        node: &'n Arc<Node>,
        mut state: MutexGuard<'n, State>,
        call: IncomingCallId,
    ) -> MutexGuard<'n, State> {
        if state.endpoint.begin(node.clock.now(), call).is_err() {
            return state;
        }
        let State { endpoint, service, .. } = &mut *state;
        let (Ok(known), Some(service)) = (endpoint.incoming_call(call), service) else { return state };
        let (peer, procedure, deadline) = (known.peer, known.procedure, known.deadline);
        let (upward, downward) = (known.upward, known.downward);
        self.arguments.clear();
        self.arguments.extend_from_slice(known.arguments);
        self.metadata.clear();
        self.metadata.extend_from_slice(known.metadata);
        self.reply.clear();
        self.cancelled.store(false, Ordering::Relaxed);
        service.running.push((call, Arc::clone(&self.cancelled)));
        let handler = Arc::clone(&service.handler);
        drop(state);

        let incoming = Incoming {
            node,
            id: call,
            peer,
            procedure,
            deadline,
            arguments: &self.arguments,
            metadata: &self.metadata,
            cancelled: &self.cancelled,
            upward: Mutex::new(upward.map(|stream| {
                let peer = Peer::known(Arc::clone(node), peer);
                StreamReader::new(Received { peer, channel: None }, stream)
            })),
            downward: Mutex::new(downward.map(|stream| StreamWriter::new(Arc::clone(node), stream))),
        };
        // A handler that left its own state broken meets it again; ours is not touched by it.
        let answer = catch_unwind(AssertUnwindSafe(|| handler.handle(&incoming, &mut self.reply)));
        let answer = answer.unwrap_or(Answer::HandlerFailed);
        drop(incoming);

        let mut state = node.lock();
        let now = node.clock.now();
        let replied = state.endpoint.reply(now, call, answer, &self.reply, &[]);
        if let Err(ReplyError::TooLarge { .. }) = replied {
            // The handler ran, and its reply cannot be told.
            let _ = state.endpoint.reply(now, call, Answer::HandlerFailed, &[], &[]);
        }
        if upward.is_some() || downward.is_some() {
            state.wake_streams();
        }
        if let Some(service) = &mut state.service {
            service.running.retain(|(running, _)| *running != call);
        }
        state
    }
}
