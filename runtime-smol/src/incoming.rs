//! A call of a peer, as its handler sees it.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;
use core::future::poll_fn;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Poll;
use std::panic::catch_unwind;
use std::time;

use posthaste_core::endpoint::{Answer, Body, ReplyError};
use posthaste_core::wire::{Description, NotExecuted};
use posthaste_core::{IncomingCallId, Instant, PeerId, StreamId};

use crate::node::Node;
use crate::peer::{Peer, Target};
use crate::state::State;
use crate::stream::{StreamReader, StreamWriter};
use crate::waiters::Waiter;

/// A call of a peer whose handler runs. Dropped without an answer, its caller learns that the handler failed.
pub struct Incoming {
    node: Arc<Node>,
    call: IncomingCallId,
    peer: PeerId,
    procedure: Description,
    deadline: Option<Instant>,
    /// What was not taken is given up with the call.
    upward: Option<StreamId>,
    downward: Option<StreamId>,
    /// Once it waits for its end.
    waiter: Option<Waiter>,
    is_over: AtomicBool,
}

/// Says why a call is refused before its handler begins.
pub(crate) type Admit = dyn Fn(&Description) -> Result<(), NotExecuted> + Send + Sync;

impl Incoming {
    /// Begins the next `count_max` calls that `admit` does not refuse, at the moment at which the slice is answered that they belong to.
    pub(crate) fn begin_next(
        node: &Arc<Node>,
        state: &mut State,
        admit: Option<&Admit>,
        count_max: usize,
        begun: &mut VecDeque<Self>,
    ) {
        let now = state.now;
        let count_max = begun.len() + count_max;
        while begun.len() < count_max
            && let Some(call) = state.calls.pop_front()
        {
            // What was cancelled or has expired since is gone.
            let Ok(known) = state.endpoint.incoming_call(call) else { continue };
            let (peer, procedure, deadline) = (known.peer, known.procedure, known.deadline);
            let (upward, downward) = (known.upward, known.downward);
            let asked = admit.map(|admit| catch_unwind(AssertUnwindSafe(|| admit(&procedure))));
            if let Some(Err(why)) = asked.map(|admitted| admitted.unwrap_or(Err(NotExecuted::Busy))) {
                let _ = state.endpoint.refuse(now, call, why);
                continue;
            }
            if state.endpoint.begin(now, call).is_err() {
                continue;
            }
            begun.push_back(Self {
                node: Arc::clone(node),
                call,
                peer,
                procedure,
                deadline,
                upward,
                downward,
                waiter: None,
                is_over: AtomicBool::new(false),
            });
        }
    }

    /// Returns what is called, and how.
    #[must_use]
    pub const fn procedure(&self) -> &Description {
        &self.procedure
    }

    /// Returns when the caller gives up; each progress of a stream puts it off.
    #[must_use]
    pub fn deadline(&self) -> Option<time::Instant> {
        // A call that is over keeps the one that it began with.
        let known = self.node.lock().endpoint.incoming_call(self.call).map(|call| call.deadline);
        known.unwrap_or(self.deadline).and_then(|deadline| self.node.clock().to_std(deadline))
    }

    /// Returns the caller, for calls and messages to it.
    #[must_use]
    pub fn peer(&self) -> Peer {
        Peer::new(Arc::clone(&self.node), Target::Known(self.peer))
    }

    /// Lets `look` see the arguments in place.
    ///
    /// The endpoint is locked meanwhile: nothing of it may be used, and other futures wait.
    pub fn with<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(self.node.lock().endpoint.incoming_call(self.call).map_or(&[], |call| call.arguments))
    }

    /// Copies the arguments out.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.with(<[u8]>::to_vec)
    }

    /// Takes the arguments whole: without a copy if they are as many as
    /// [`Config::own_body_len_min`](posthaste_core::Config::own_body_len_min). There are none from here on.
    #[cfg(feature = "bytes")]
    #[must_use]
    pub fn take_arguments(&mut self) -> bytes::Bytes {
        // Stale if the caller is gone.
        self.node.command_aside(|state, now| state.endpoint.take_arguments(now, self.call)).unwrap_or_default()
    }

    /// Lets `look` see the encoded metadata items that came with the call; as [`Incoming::with`].
    pub fn with_metadata<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(self.node.lock().endpoint.incoming_call(self.call).map_or(&[], |call| call.metadata))
    }

    /// Takes the stream from the caller; `None` if the call has none, or it was taken before.
    ///
    /// It ends with the answer: what is left of it then, the caller is told, is not wanted.
    #[must_use]
    pub fn take_upward(&mut self) -> Option<StreamReader> {
        Some(StreamReader::new(Arc::clone(&self.node), self.upward.take()?, None, None))
    }

    /// Takes the stream to the caller; `None` if the call has none, or it was taken before.
    ///
    /// It may be written on after [`Incoming::reply`]. Any other answer gives it up.
    #[must_use]
    pub fn take_downward(&mut self) -> Option<StreamWriter> {
        Some(StreamWriter::new(Arc::clone(&self.node), self.downward.take()?))
    }

    /// Returns whether the caller wants no answer any more, or is gone.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.node.lock().is_cancelled(self.call)
    }

    /// Waits until the caller wants no answer any more or is gone, which may never happen.
    pub async fn cancelled(&mut self) {
        let call = self.call;
        poll_fn(|cx| {
            self.node.poll(&mut self.waiter, cx, |state, waiter| {
                if state.is_cancelled(call) {
                    return Poll::Ready(());
                }
                state.await_cancel(call, waiter);
                Poll::Pending
            })
        })
        .await
        .unwrap_or(());
    }

    /// Tells the caller how far the handler is, in a number of its own choice.
    pub fn set_progress(&self, progress: u64) {
        // A call that is over needs no progress.
        let _ = self.node.lock().endpoint.progress(self.call, progress);
    }

    /// Answers with the result.
    ///
    /// # Errors
    /// [`ReplyError`]: the caller is gone or has given up; or the result is too large, and the caller is told that the handler
    /// failed.
    pub fn reply(self, octets: &[u8]) -> Result<(), ReplyError> {
        self.answer(Answer::Ok, Body::Copied(octets))
    }

    /// Answers with an error of the application.
    ///
    /// # Errors
    /// As [`Incoming::reply`].
    pub fn reply_error(self, octets: &[u8]) -> Result<(), ReplyError> {
        self.answer(Answer::Error, Body::Copied(octets))
    }

    /// Refuses the call, of which nothing was done: the caller learns that it was not executed.
    ///
    /// # Errors
    /// As [`Incoming::reply`].
    pub fn refuse(self, why: NotExecuted) -> Result<(), ReplyError> {
        self.answer(Answer::Refused(why), Body::Copied(&[]))
    }

    /// Answers with what the handler came to, and with octets that may be read in place.
    ///
    /// Those read in place count against [`Config::payload_memory`](posthaste_core::Config::payload_memory) as if they were copied: how
    /// long they are held is up to the caller.
    ///
    /// # Errors
    /// As [`Incoming::reply`].
    pub fn answer(self, answer: Answer, body: Body<'_>) -> Result<(), ReplyError> {
        self.end(answer, body)
    }

    /// Answers, unless that was done, and gives back what the call has held.
    pub(crate) fn end(&self, answer: Answer, body: Body<'_>) -> Result<(), ReplyError> {
        if self.is_over.load(Ordering::Relaxed) {
            return Err(ReplyError::Stale);
        }
        self.node.command(|state, now| {
            // The lock keeps others from it meanwhile.
            if self.is_over.load(Ordering::Relaxed) {
                return Err(ReplyError::Stale);
            }
            self.is_over.store(true, Ordering::Relaxed);
            let replied = state.endpoint.reply_body(now, self.call, answer, body, &[]);
            if matches!(replied, Err(ReplyError::TooLarge { .. })) {
                // The handler ran, and its result cannot be told.
                let _ = state.endpoint.reply(now, self.call, Answer::HandlerFailed, &[], &[]);
            }
            // The answer has ended the other one.
            if let Some(stream) = self.downward {
                let _ = state.endpoint.abandon(now, stream);
            }
            if self.procedure.options.has_upward() || self.procedure.options.has_downward() {
                state.wake_streams();
            }
            state.forget_cancel(self.call);
            if let Some(waiter) = &self.waiter {
                self.node.vacate(state, waiter);
            }
            replied
        })
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Stale if it was answered, or the caller is gone.
        let _ = self.end(Answer::HandlerFailed, Body::Copied(&[]));
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("peer", &self.peer).field("procedure", &self.procedure).finish_non_exhaustive()
    }
}
