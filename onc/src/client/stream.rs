//! Calls over a TCP connection.

use posthaste_core::Instant;

use super::calls::Calls;
use super::{CallId, ClientConfig, Failure, Message, NotSent, Outcome, Request, StreamError, Unknown};
use crate::message::Reply;
use crate::outgoing::Outgoing;
use crate::record::{RecordReader, put_record};

/// The calls that go out by one TCP connection. Several may be under way; their replies come in any order.
///
/// The contract is that of the core: input, then outcomes, then output, then sleep until [`Self::poll_timeout`].
#[derive(Debug)]
pub struct StreamClient {
    config: ClientConfig,
    calls: Calls<Sending>,
    reader: RecordReader,
    outgoing: Outgoing,
}

/// What is kept of a call.
#[derive(Debug)]
struct Sending {
    /// Where in the stream it begins.
    offset: u64,
}

impl StreamClient {
    /// Makes a client on a connection without traffic so far. Xids go up from `first_xid`, which is best drawn.
    #[must_use]
    pub const fn new(config: ClientConfig, first_xid: u32) -> Self {
        let calls = Calls::new(config.call_count_max, first_xid);
        let reader = RecordReader::new(config.message_len_max);
        Self { config, calls, reader, outgoing: Outgoing::new() }
    }

    /// Begins a call; [`Self::poll_outcome`] tells how it ends.
    ///
    /// # Errors
    /// Why it was not begun.
    pub fn call(&mut self, now: Instant, request: &Request<'_>) -> Result<CallId, NotSent> {
        let xid = self.calls.vacant_xid()?;
        if self.outgoing.len() > self.config.outgoing_len_max {
            return Err(NotSent::Full);
        }
        let message = Message::new(&self.config, xid, request, self.config.message_len_max)?;
        let offset = self.outgoing.end_offset();
        put_record(self.outgoing.octets_mut(), |out| message.encode(out));
        Ok(self.calls.insert(
            xid,
            now.saturating_add(request.timeout.unwrap_or(self.config.timeout)),
            Sending { offset },
        ))
    }

    /// Forgets a call: it has no outcome. What was to be sent is sent.
    pub fn cancel(&mut self, call: CallId) {
        self.calls.cancel(call);
    }

    /// Takes in octets that arrived.
    ///
    /// # Errors
    /// Why the connection is to be closed.
    pub fn handle_octets(&mut self, mut octets: &[u8]) -> Result<(), StreamError> {
        while let Some(record) = self.reader.read(&mut octets)? {
            let reply = Reply::decode(record).map_err(|_| StreamError::Malformed)?;
            // Nobody may be there for it any more, and that is no fault of the peer.
            self.calls.end(reply.xid, reply.outcome.map(<[u8]>::to_vec).map_err(Failure::Refused));
        }
        Ok(())
    }

    /// Notes that the connection is no more: all calls end.
    pub fn handle_closed(&mut self) {
        let taken = self.outgoing.begin_offset();
        self.calls.end_all(|call| {
            let was_sent = call.offset < taken;
            Err(if was_sent { Failure::Unknown(Unknown::ConnectionLost) } else { Failure::NotSent(NotSent::Unreached) })
        });
    }

    /// Lets time pass: calls end whose time is up.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(xid) = self.calls.next_due(now) {
            // A call that waits to be taken will yet be sent.
            self.calls.end(xid, Err(Failure::Unknown(Unknown::Deadline)));
        }
    }

    /// Returns the octets to send next; [`Self::handle_transmitted`] says how many the connection took.
    #[must_use]
    pub fn poll_transmit(&self) -> Option<&[u8]> {
        self.outgoing.poll_transmit()
    }

    /// Notes that the connection took `len` of the octets.
    pub fn handle_transmitted(&mut self, len: usize) {
        self.outgoing.handle_transmitted(len);
    }

    /// Returns the outcome of a call that has ended, each once.
    pub fn poll_outcome(&mut self) -> Option<(CallId, Outcome)> {
        self.calls.poll_outcome()
    }

    /// Returns when [`Self::handle_timeout`] is to be called; `None` if nothing is scheduled.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.calls.poll_timeout()
    }
}
