//! Calls that arrive over UDP.

use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use posthaste_core::Instant;
use posthaste_core::random::Random;
use posthaste_core::siphash;

use super::reply_cache::{Known, ReplyCache};
use super::{Incoming, RPC_MISMATCH, ServerConfig, Transport, canonical};
use crate::client::DATAGRAM_LEN_MAX;
use crate::message::{Call, NoCall, Refusal, Reply, Target};

/// The calls that arrive at one UDP socket.
///
/// A call that arrives again while it runs is dropped, and one that was answered is answered in the same octets, for as long as it
/// is remembered: so it is executed once, however often it is sent. What nobody remembers any more is executed again;
/// the protocol has nothing to prevent that (RFC 5531 §5).
pub struct DatagramServer {
    reply_len_max: usize,
    call_len_max: usize,
    key: siphash::Key,
    cache: ReplyCache,
    /// The reply that goes out at once.
    reply: Vec<u8>,
}

/// A call that arrived and is to be answered.
///
/// Whose call it is, and which: a client that uses an xid twice does not get the reply of another call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IncomingId {
    from: SocketAddr,
    xid: u32,
    /// Program, version and procedure.
    target: [u32; 3],
    /// Of the whole call, with its credential and its arguments.
    fingerprint: u64,
}

/// What is to be done about a datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival<'s, 'd> {
    /// Execute the call, and hand its outcome to [`DatagramServer::reply`].
    Call(IncomingId, Incoming<'d>),
    /// Send these octets to where it came from.
    Answer(&'s [u8]),
}

/// Why nothing is to be done about a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It is no call, or too long.
    Malformed,
    /// The call is running.
    Running,
    /// As many calls are running as are remembered; whoever sent it will send it again.
    Full,
}

impl DatagramServer {
    /// Makes a server that remembers nothing. `seed` is to be drawn from the operating system, so that nobody can make a call that
    /// looks like another.
    #[must_use]
    pub fn new(config: &ServerConfig, seed: [u8; 32]) -> Self {
        Self {
            reply_len_max: config.message_len_max.min(DATAGRAM_LEN_MAX),
            call_len_max: config.message_len_max,
            key: Random::new(seed).octets(),
            cache: ReplyCache::new(config),
            reply: Vec::new(),
        }
    }

    /// Takes in a datagram from `from`.
    ///
    /// # Errors
    /// Why nothing is to be done about it.
    pub fn handle_datagram<'s, 'd>(
        &'s mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &'d [u8],
    ) -> Result<Arrival<'s, 'd>, Dropped> {
        if datagram.len() > self.call_len_max {
            return Err(Dropped::Malformed);
        }
        let from = canonical(from);
        let call = match Call::decode(datagram) {
            Ok(call) => call,
            Err(NoCall::Malformed) => return Err(Dropped::Malformed),
            // A refusal is not remembered: to find out again costs less.
            Err(NoCall::RpcVersion { xid }) => return Ok(self.refuse(xid, RPC_MISMATCH)),
        };
        let incoming = match Incoming::screen(from, Transport::Udp, &call) {
            Ok(incoming) => incoming,
            Err(refusal) => return Ok(self.refuse(call.xid, refusal)),
        };
        let fingerprint = siphash::siphash_2_4(&self.key, datagram);
        let Target { program, version, procedure } = call.target;
        let id = IncomingId { from, xid: call.xid, target: [program, version, procedure], fingerprint };
        match self.cache.begin(now, id) {
            Known::Unknown => Ok(Arrival::Call(id, incoming)),
            Known::Running => Err(Dropped::Running),
            Known::Answered(reply) => Ok(Arrival::Answer(reply)),
            Known::Full => Err(Dropped::Full),
        }
    }

    /// Answers a call: returns the octets to send to where it came from, and keeps them. `None` if it was answered before.
    ///
    /// Results that are too long for a datagram become [`Refusal::SystemError`].
    pub fn reply(&mut self, now: Instant, call: IncomingId, outcome: Result<&[u8], Refusal>) -> Option<&[u8]> {
        let mut reply = Vec::new();
        Reply { xid: call.xid, outcome }.encode(&mut reply);
        if reply.len() > self.reply_len_max {
            reply.clear();
            Reply { xid: call.xid, outcome: Err(Refusal::SystemError) }.encode(&mut reply);
        }
        self.reply = reply;
        self.cache.end(now, call, &self.reply).then_some(&self.reply)
    }

    fn refuse(&mut self, xid: u32, refusal: Refusal) -> Arrival<'_, 'static> {
        self.reply.clear();
        Reply { xid, outcome: Err(refusal) }.encode(&mut self.reply);
        Arrival::Answer(&self.reply)
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "no call of ONC RPC",
            Self::Running => "the call is running",
            Self::Full => "too many calls are running",
        })
    }
}

impl core::error::Error for Dropped {}
