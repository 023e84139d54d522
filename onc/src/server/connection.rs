//! Calls that arrive over a TCP connection.

use core::net::SocketAddr;

use posthaste_core::Instant;

use super::{Incoming, RPC_MISMATCH, ServerConfig, Transport, canonical};
use crate::client::StreamError;
use crate::message::{Call, HEADER_LEN, NoCall, Refusal, Reply};
use crate::outgoing::Outgoing;
use crate::record::{RecordReader, put_record};

/// A call that came over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// What the caller tells its reply by.
    pub xid: u32,
    /// The call, or what to answer if it is none that may be executed.
    pub call: Result<Incoming<'a>, Refusal>,
}

/// One TCP connection of a server. Several calls may be under way, and be answered in any order.
#[derive(Debug)]
pub struct Connection {
    config: ServerConfig,
    from: SocketAddr,
    reader: RecordReader,
    outgoing: Outgoing,
    running_count: usize,
    /// Since when part of a call has been there, and more was wanted.
    partial_since: Option<Instant>,
    /// Since when octets have waited to be taken, and the offset of their end in the stream.
    waiting: Option<(Instant, u64)>,
    idle_since: Instant,
}

impl Connection {
    /// Makes a connection without traffic so far, from `from`.
    #[must_use]
    pub fn new(config: ServerConfig, from: SocketAddr, now: Instant) -> Self {
        Self {
            from: canonical(from),
            reader: RecordReader::new(config.message_len_max),
            outgoing: Outgoing::new(),
            running_count: 0,
            partial_since: None,
            waiting: None,
            idle_since: now,
            config,
        }
    }

    /// Says whether to hand in what arrives; while not, leave it with the operating system, so that the peer slows down.
    #[must_use]
    pub const fn wants_input(&self) -> bool {
        self.running_count < self.config.running_count_max && self.outgoing.len() <= self.config.outgoing_len_max
    }

    /// Takes octets from the front of `input` and returns a call when one is whole, to be answered with [`Self::reply`]; `None`
    /// when all of `input` is taken.
    ///
    /// # Errors
    /// Why the connection is to be closed.
    pub fn handle_octets(&mut self, now: Instant, input: &mut &[u8]) -> Result<Option<Received<'_>>, StreamError> {
        if !self.reader.is_within_record() {
            self.partial_since = None;
        }
        let Some(record) = self.reader.read(input)? else {
            self.partial_since = self.partial_since.or(Some(now));
            return Ok(None);
        };
        self.partial_since = None;
        let (xid, call) = match Call::decode(record) {
            Ok(call) => (call.xid, Incoming::screen(self.from, Transport::Tcp, &call)),
            Err(NoCall::RpcVersion { xid }) => (xid, Err(RPC_MISMATCH)),
            Err(NoCall::Malformed) => return Err(StreamError::Malformed),
        };
        self.running_count += 1;
        Ok(Some(Received { xid, call }))
    }

    /// Answers a call that was received.
    ///
    /// Results that are too long become [`Refusal::SystemError`].
    pub fn reply(&mut self, now: Instant, xid: u32, outcome: Result<&[u8], Refusal>) {
        let wanted_input = self.wants_input();
        self.running_count = self.running_count.saturating_sub(1);
        let outcome = outcome.and_then(|results| {
            let is_short = results.len() <= self.config.message_len_max.saturating_sub(HEADER_LEN);
            if is_short { Ok(results) } else { Err(Refusal::SystemError) }
        });
        put_record(self.outgoing.octets_mut(), |out| Reply { xid, outcome }.encode(out));
        self.waiting = self.waiting.or(Some((now, self.outgoing.end_offset())));
        self.idle_since = now;
        self.resume(now, wanted_input);
    }

    /// Returns the octets to send next; [`Self::handle_transmitted`] says how many the connection took.
    #[must_use]
    pub fn poll_transmit(&self) -> Option<&[u8]> {
        self.outgoing.poll_transmit()
    }

    /// Notes that the connection took `len` of the octets.
    pub fn handle_transmitted(&mut self, now: Instant, len: usize) {
        let wanted_input = self.wants_input();
        self.outgoing.handle_transmitted(len);
        if self.waiting.is_some_and(|(_, end)| end <= self.outgoing.begin_offset()) {
            // What came meanwhile has waited less: a peer that takes octet by octet is slow, and one that is always busy is not.
            self.waiting = (self.outgoing.len() > 0).then_some((now, self.outgoing.end_offset()));
            self.idle_since = now;
        }
        self.resume(now, wanted_input);
    }

    /// Returns when the connection is to be closed unless something happens before; `None` while calls are running and nothing is
    /// wanted of the peer.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let partial_since = self.partial_since.filter(|_| self.wants_input() && self.reader.is_within_record());
        let message = [partial_since, self.waiting.map(|(since, _)| since)].into_iter().flatten().min();
        let message = message.map(|since| since.saturating_add(self.config.message_timeout));
        let is_idle = self.running_count == 0 && self.outgoing.len() == 0;
        let idle = is_idle.then(|| self.idle_since.saturating_add(self.config.idle_timeout));
        [message, idle].into_iter().flatten().min()
    }

    /// Gives the peer its time anew if it had to wait for us.
    fn resume(&mut self, now: Instant, wanted_input: bool) {
        if !wanted_input && self.wants_input() {
            self.partial_since = self.partial_since.map(|_| now);
        }
    }
}
