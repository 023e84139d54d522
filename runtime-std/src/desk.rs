//! Where a handler runs.

use alloc::sync::Arc;
use core::mem;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering};
use std::panic::catch_unwind;
use std::sync::{Mutex, PoisonError};

use posthaste_core::config::METADATA_LEN_MAX;
use posthaste_core::endpoint::{Answer, Body};
use posthaste_core::wire::Description;
use posthaste_core::{IncomingCallId, Instant, PeerId, StreamId};

use crate::handler::{Handler, Incoming};
use crate::message::Received;
use crate::node::Node;
use crate::peer::Peer;
use crate::service::Execution;
use crate::state::State;
use crate::stream::{StreamReader, StreamWriter};

/// A call of a peer from its begin to its answer, with buffers that serve one call after the other.
pub(crate) struct Desk {
    /// Its place among all desks.
    index: usize,
    call: Option<Call>,
    arguments: Vec<u8>,
    /// The arguments, if they are too many to be copied.
    #[cfg(feature = "bytes")]
    taken: Option<bytes::Bytes>,
    metadata: Vec<u8>,
    reply: Vec<u8>,
    /// What the handler answers with in place of what it writes.
    #[cfg(feature = "bytes")]
    shared: Mutex<Option<bytes::Bytes>>,
    answer: Answer,
    cancelled: Arc<AtomicBool>,
}

/// What is known of a call whose handler runs.
pub(crate) struct Call {
    pub(crate) id: IncomingCallId,
    pub(crate) peer: PeerId,
    pub(crate) procedure: Description,
    /// What it was at the begin.
    pub(crate) deadline: Option<Instant>,
    /// Who runs the handler.
    pub(crate) execution: Execution,
    /// In a box, because few calls have any.
    streams: Option<Box<Beside>>,
}

impl Desk {
    /// Makes a desk, with its place among all.
    pub(crate) fn new(index: usize) -> Self {
        Self {
            index,
            call: None,
            arguments: Vec::new(),
            #[cfg(feature = "bytes")]
            taken: None,
            // Calls whose request was held up bring the time that is left to them, and others bring nothing.
            metadata: Vec::with_capacity(METADATA_LEN_MAX),
            reply: Vec::new(),
            #[cfg(feature = "bytes")]
            shared: Mutex::default(),
            answer: Answer::HandlerFailed,
            cancelled: Arc::default(),
        }
    }

    /// Begins a call on the thread that receives, or on a worker, and copies what came with it here, or takes it; says whether its
    /// handler is to run.
    ///
    /// It is not if the call is over already; or, on the thread that receives, for somebody else, who is told.
    pub(crate) fn begin(
        &mut self,
        node: &Arc<Node>,
        state: &mut State,
        call: IncomingCallId,
        execution: Execution,
    ) -> bool {
        let State { endpoint, service: Some(service), now, .. } = state else { return false };
        let Ok(known) = endpoint.incoming_call(call) else { return false };
        let (peer, procedure, deadline) = (known.peer, known.procedure, known.deadline);
        let (upward, downward) = (known.upward, known.downward);
        if execution == Execution::Inline {
            match service.assign(call, &procedure) {
                Execution::Inline => {}
                Execution::Pool => return false,
                Execution::Refuse(why) => {
                    // A call that is over in the meantime needs no refusal.
                    let _ = endpoint.refuse(*now, call, why);
                    return false;
                }
            }
        }
        #[cfg(feature = "bytes")]
        let is_taken = known.arguments.len() >= endpoint.config().own_body_len_min;
        #[cfg(not(feature = "bytes"))]
        let is_taken = false;
        self.arguments.clear();
        if !is_taken {
            self.arguments.extend_from_slice(known.arguments);
        }
        self.metadata.clear();
        self.metadata.extend_from_slice(known.metadata);
        #[cfg(feature = "bytes")]
        if is_taken {
            self.taken = endpoint.take_arguments(*now, call).ok();
        }
        if endpoint.begin(*now, call).is_err() {
            self.clear();
            return false;
        }
        self.cancelled.store(false, Ordering::Relaxed);
        service.begin(call, self.index);
        let has_streams = upward.is_some() || downward.is_some();
        let streams = has_streams.then(|| Box::new(Beside::new(node, peer, upward, downward)));
        self.call = Some(Call { id: call, peer, procedure, deadline, execution, streams });
        true
    }

    /// Runs the handler of the call that was begun; without the lock, as all that gives commands.
    pub(crate) fn run(&mut self, node: &Arc<Node>, handler: &dyn Handler) {
        // Of the desk, which the handler only looks at.
        let mut reply = mem::take(&mut self.reply);
        reply.clear();
        if let Some(call) = &self.call {
            let incoming = Incoming::new(node, call, self);
            // A handler that left its own state broken meets it again; ours is not touched by it.
            let answer = catch_unwind(AssertUnwindSafe(|| handler.handle(&incoming, &mut reply)));
            self.answer = answer.unwrap_or(Answer::HandlerFailed);
        }
        self.reply = reply;
        if let Some(streams) = self.call.as_mut().and_then(|call| call.streams.as_mut()) {
            streams.end();
        }
    }

    /// Gives the reply to the endpoint, unless the call is over, and is free for another call.
    pub(crate) fn end(&mut self, node: &Node, state: &mut State) {
        let Some(call) = self.call.take() else { return };
        node.catch_up(state, call.execution);
        // Stale if the handler has answered by itself.
        state.reply(call.id, self.answer, self.body());
        self.clear();
        if let Some(service) = &mut state.service {
            service.end(self.index);
        }
        if call.streams.is_some() {
            state.waiters.wake_streams();
        }
    }

    /// Returns what the handler has answered with.
    fn body(&mut self) -> Body<'_> {
        #[cfg(feature = "bytes")]
        if let Some(octets) = self.shared.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            return Body::Shared(octets);
        }
        Body::Copied(&self.reply)
    }

    /// Lets go of arguments that were taken.
    fn clear(&mut self) {
        #[cfg(feature = "bytes")]
        {
            self.taken = None;
        }
    }

    /// Gives back what a long call made its buffers grow to.
    pub(crate) fn shrink(&mut self) {
        for buffer in [&mut self.arguments, &mut self.reply] {
            if buffer.capacity() > KEPT_LEN_MAX {
                *buffer = Vec::new();
            }
        }
    }

    pub(crate) fn arguments(&self) -> &[u8] {
        #[cfg(feature = "bytes")]
        if let Some(taken) = &self.taken {
            return taken;
        }
        &self.arguments
    }

    #[cfg(feature = "bytes")]
    pub(crate) fn arguments_bytes(&self) -> bytes::Bytes {
        self.taken.clone().unwrap_or_else(|| bytes::Bytes::copy_from_slice(&self.arguments))
    }

    pub(crate) const fn metadata(&self) -> &[u8] {
        self.metadata.as_slice()
    }

    /// Has the handler answer with octets that are read in place.
    #[cfg(feature = "bytes")]
    pub(crate) fn share_reply(&self, octets: bytes::Bytes) {
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(octets);
    }

    /// Tells the handler that nobody waits for its answer any more.
    pub(crate) const fn cancelled(&self) -> &Arc<AtomicBool> {
        &self.cancelled
    }
}

impl Call {
    /// Takes the stream from the caller, if there is one and nobody has.
    pub(crate) fn take_upward(&self) -> Option<StreamReader> {
        self.streams.as_ref()?.upward.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Takes the stream to the caller, likewise.
    pub(crate) fn take_downward(&self) -> Option<StreamWriter> {
        self.streams.as_ref()?.downward.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The streams beside a call. What nobody has taken is given up when the handler returns.
struct Beside {
    upward: Mutex<Option<StreamReader>>,
    downward: Mutex<Option<StreamWriter>>,
}

impl Beside {
    fn new(node: &Arc<Node>, peer: PeerId, upward: Option<StreamId>, downward: Option<StreamId>) -> Self {
        let source = || Received { peer: Peer::known(Arc::clone(node), peer), channel: None };
        Self {
            upward: Mutex::new(upward.map(|stream| StreamReader::new(source(), stream))),
            downward: Mutex::new(downward.map(|stream| StreamWriter::new(Arc::clone(node), stream))),
        }
    }

    /// Ends those that nobody has taken.
    fn end(&mut self) {
        drop(self.upward.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        drop(self.downward.get_mut().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// How long a buffer may be that a desk keeps although calls seldom come to it; our choice.
const KEPT_LEN_MAX: usize = 1 << 16;
