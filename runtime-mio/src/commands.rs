//! The commands of the core, with the clock filled in.

use core::net::SocketAddr;
use core::time::Duration;

use posthaste_core::endpoint::{
    Answer, Body, CallError, Counters, Delivery, IncomingCall, Message, OpenError, Remote, ReplyError, Request,
    SendError, StreamError, Streamed,
};
use posthaste_core::wire;
use posthaste_core::{CallId, Config, IncomingCallId, MessageId, PeerId, SendId, StaleId, StreamId};

use crate::endpoint::Endpoint;

/// Commands; [`Endpoint::transmit`] sends what they give rise to.
impl Endpoint {
    /// Returns the peer at an address, or takes a slot for it; nothing is sent before its first message or call.
    ///
    /// # Errors
    /// [`OpenError`]; nothing has changed then.
    pub fn peer(&mut self, address: SocketAddr) -> Result<PeerId, OpenError> {
        let now = self.moment();
        self.core.peer(now, &Remote { address, identity: &[] })
    }

    /// Sends a message; `Event::MessageAcknowledged` or `Event::MessageFailed` tells what became of it.
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed then.
    pub fn send(&mut self, peer: PeerId, message: Message<'_>) -> Result<SendId, SendError> {
        let now = self.moment();
        self.core.send(now, peer, message)
    }

    /// Begins a message whose length is not known yet; write it with [`Endpoint::write`] and end it with [`Endpoint::finish`].
    ///
    /// # Errors
    /// [`SendError`]; [`SendError::TooLarge`] for a delivery that is not reliable.
    pub fn open_stream(
        &mut self,
        peer: PeerId,
        delivery: Delivery,
        priority: u8,
    ) -> Result<(SendId, StreamId), SendError> {
        let now = self.moment();
        self.core.open_stream(now, peer, delivery, priority)
    }

    /// Writes as much of `octets` to a stream as there is room for; `Event::Writable` tells when there is more.
    ///
    /// # Errors
    /// [`StreamError`]; nothing was written.
    pub fn write(&mut self, stream: StreamId, octets: &[u8]) -> Result<usize, StreamError> {
        let now = self.moment();
        self.core.write(now, stream, octets)
    }

    /// Ends a stream that we write: the other side learns that this was all.
    ///
    /// # Errors
    /// [`StreamError`] if it is over already.
    pub fn finish(&mut self, stream: StreamId) -> Result<(), StreamError> {
        let now = self.moment();
        self.core.finish(now, stream)
    }

    /// Reads from a stream into `out`, which must not be empty.
    ///
    /// # Errors
    /// [`StreamError`]; the stream is over then.
    pub fn read(&mut self, stream: StreamId, out: &mut [u8]) -> Result<Streamed, StreamError> {
        let now = self.moment();
        self.core.read(now, stream, out)
    }

    /// Gives up a stream, in whichever direction: the other side is told.
    ///
    /// # Errors
    /// [`StreamError`] if it is over already.
    pub fn abandon(&mut self, stream: StreamId) -> Result<(), StreamError> {
        let now = self.moment();
        self.core.abandon(now, stream)
    }

    /// Gives up a message of which not all was acknowledged.
    ///
    /// # Errors
    /// [`StaleId`] if its end has been told.
    pub fn cancel_send(&mut self, send: SendId) -> Result<(), StaleId> {
        let now = self.moment();
        self.core.cancel_send(now, send)
    }

    /// Asks to be told, by `Event::Flushed`, when everything that was accepted for a peer until here is acknowledged.
    ///
    /// # Errors
    /// [`StaleId`] if the peer is gone.
    pub fn flush(&mut self, peer: PeerId) -> Result<(), StaleId> {
        let now = self.moment();
        self.core.flush(now, peer)
    }

    /// Makes a call; `Event::CallEnded` tells its outcome.
    ///
    /// # Errors
    /// [`CallError`]; nothing has changed then.
    #[inline(always)]
    pub fn call(&mut self, peer: PeerId, request: Request<'_>) -> Result<CallId, CallError> {
        let now = self.moment();
        self.unsent_count += 1;
        self.core.call(now, peer, request)
    }

    /// Returns the streams beside a call that we make: from us, and to us, as its request asked for them.
    ///
    /// They may outlast a reply that says "ok". Whatever else ends the call ends them, and no other event tells so; while its
    /// outcome is unknown they go on, until it is forgotten.
    ///
    /// # Errors
    /// [`StaleId`] if the call is over and released.
    pub fn call_streams(&self, call: CallId) -> Result<(Option<StreamId>, Option<StreamId>), StaleId> {
        self.core.call_streams(call)
    }

    /// Asks for a call to be given up: the callee is told, and the outcome follows.
    ///
    /// # Errors
    /// [`StaleId`] if the call is over.
    pub fn cancel(&mut self, call: CallId) -> Result<(), StaleId> {
        let now = self.moment();
        self.core.cancel(now, call)
    }

    /// Asks the callee what became of a call whose outcome is unknown, and closes its number if it has not begun. Another
    /// `Event::CallEnded` tells, within `timeout`.
    ///
    /// # Errors
    /// [`StaleId`] if the call is not one whose outcome is unknown and can be learnt.
    pub fn resolve(&mut self, call: CallId, timeout: Duration) -> Result<(), StaleId> {
        let now = self.moment();
        self.core.resolve(now, call, timeout)
    }

    /// Lets go of a call whose outcome is unknown, which can then not be resolved any more.
    ///
    /// # Errors
    /// [`StaleId`] if it is not such a call.
    pub fn forget(&mut self, call: CallId) -> Result<(), StaleId> {
        let now = self.moment();
        self.core.forget(now, call)
    }

    /// Returns the octets of a message or reply that arrived.
    ///
    /// # Errors
    /// [`StaleId`] if it was released.
    pub fn payload(&self, message: MessageId) -> Result<&[u8], StaleId> {
        self.core.payload(message)
    }

    /// Returns the metadata items that came with a request or reply.
    ///
    /// # Errors
    /// [`StaleId`] if it was released.
    pub fn metadata(&self, message: MessageId) -> Result<&[u8], StaleId> {
        self.core.metadata(message)
    }

    /// Lets go of a message or reply: its memory is used again, and the sender may learn that it was taken.
    ///
    /// # Errors
    /// [`StaleId`] if it was released before.
    pub fn release(&mut self, message: MessageId) -> Result<(), StaleId> {
        let now = self.moment();
        self.core.release(now, message)
    }

    /// Takes a message or reply whole, and lets go of it as [`Endpoint::release`] does; its metadata goes with it.
    ///
    /// One of at least [`Config::own_body_len_min`] octets is handed over where it lies, and a shorter one is copied. The octets are the
    /// application's from here on: they count against no limit of the endpoint, and may outlive it.
    ///
    /// # Errors
    /// [`StaleId`] if it was released.
    #[cfg(feature = "bytes")]
    pub fn take_payload(&mut self, message: MessageId) -> Result<bytes::Bytes, StaleId> {
        let now = self.moment();
        self.core.take_payload(now, message)
    }

    /// Takes the arguments of a call of a peer, as [`Endpoint::take_payload`] takes a message; its metadata stays. They are taken
    /// once: from here on the call has none.
    ///
    /// # Errors
    /// [`StaleId`] if the call is over.
    #[cfg(feature = "bytes")]
    pub fn take_arguments(&mut self, call: IncomingCallId) -> Result<bytes::Bytes, StaleId> {
        let now = self.moment();
        self.core.take_arguments(now, call)
    }

    /// Returns what is known of a call of a peer.
    ///
    /// # Errors
    /// [`StaleId`] if it is over.
    pub fn incoming_call(&self, call: IncomingCallId) -> Result<IncomingCall<'_>, StaleId> {
        self.core.incoming_call(call)
    }

    /// Says that the handler of a call begins: from here on the call counts as executed.
    ///
    /// # Errors
    /// [`ReplyError::Expired`] if the deadline has passed, [`ReplyError::Stale`] if the caller cancelled: the handler must not run.
    pub fn begin(&mut self, call: IncomingCallId) -> Result<(), ReplyError> {
        let now = self.moment();
        self.core.begin(now, call)
    }

    /// Says how far the handler is; the caller learns it when it asks.
    ///
    /// # Errors
    /// [`StaleId`] if the call is over.
    pub fn progress(&mut self, call: IncomingCallId, progress: u64) -> Result<(), StaleId> {
        self.core.progress(call, progress)
    }

    /// Answers a call with the result of its handler; its arguments are released.
    ///
    /// The stream from its caller ends with it, and, unless it says "ok", the one to its caller too.
    ///
    /// # Errors
    /// [`ReplyError`]; at [`ReplyError::TooLarge`] the call is still to be answered.
    #[inline(always)]
    pub fn reply(
        &mut self,
        call: IncomingCallId,
        status: Answer,
        body: &[u8],
        metadata: &[u8],
    ) -> Result<(), ReplyError> {
        self.reply_body(call, status, Body::Copied(body), metadata)
    }

    /// As [`Endpoint::reply`], with octets that are to be written where they are kept, or read in place.
    ///
    /// Those read in place count against [`Config::payload_memory`] as if they were copied: how long they are held is up to the caller.
    ///
    /// # Errors
    /// As [`Endpoint::reply`].
    #[inline(always)]
    pub fn reply_body(
        &mut self,
        call: IncomingCallId,
        status: Answer,
        body: Body<'_>,
        metadata: &[u8],
    ) -> Result<(), ReplyError> {
        let now = self.moment();
        self.unsent_count += 1;
        self.core.reply_body(now, call, status, body, metadata)
    }

    /// Refuses a call that has not begun: the caller learns that it never will.
    ///
    /// # Errors
    /// [`ReplyError::Stale`] if it is over or has begun.
    pub fn refuse(&mut self, call: IncomingCallId, why: wire::NotExecuted) -> Result<(), ReplyError> {
        let now = self.moment();
        self.core.refuse(now, call, why)
    }

    /// Closes the conversation and the session with a peer, with a number of the application's own; what is open ends.
    ///
    /// # Errors
    /// [`StaleId`] if the peer is gone.
    pub fn close(&mut self, peer: PeerId, code: u64) -> Result<(), StaleId> {
        let now = self.moment();
        self.core.close(now, peer, code)
    }

    /// Closes the conversations and sessions with all peers, as [`Endpoint::close`] does with one. Dropping the endpoint does so,
    /// too, and sends what it can.
    pub fn close_all(&mut self, code: u64) {
        let now = self.moment();
        self.core.close_all(now, code);
    }

    /// Says whether no call of a peer waits or runs, and all that was sent is acknowledged but refusals: after
    /// [`Endpoint::drain`], the moment to drop the endpoint, unless waiting for it takes too long.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.core.is_drained()
    }

    /// Begins no handler any more: peers are told, and calls that arrive are refused; those under way go on.
    pub fn drain(&mut self) {
        let now = self.moment();
        self.core.drain(now)
    }

    /// Notes that our own address has changed: sessions that we opened go on in other conversations.
    pub fn handle_address_change(&mut self) {
        let now = self.moment();
        self.core.handle_address_change(now)
    }

    /// Returns what was counted since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        self.core.counters()
    }

    /// Returns the limits and timing in use.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.core.config()
    }
}
