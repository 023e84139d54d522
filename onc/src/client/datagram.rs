//! Calls over UDP.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use posthaste_core::Instant;
use posthaste_core::random::Random;
use posthaste_core::rtt::Rtt;

use super::calls::Calls;
use super::{CallId, ClientConfig, Failure, Message, NotSent, Outcome, Rejected, Request, Retransmission, Unknown};
use crate::message::Reply;
use crate::server::canonical;

/// The calls that go out by one UDP socket, to any number of servers.
///
/// The contract is that of the core: input, then outcomes, then output, then sleep until [`Self::poll_timeout`].
pub struct DatagramClient {
    config: ClientConfig,
    random: Random,
    calls: Calls<Sending>,
    /// Calls to be sent as soon as somebody asks, each once.
    due: VecDeque<u32>,
    /// How long the servers take that have answered lately; no more of them than calls.
    paces: BTreeMap<SocketAddr, Pace>,
}

/// A datagram to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit<'a> {
    /// Where to.
    pub to: SocketAddr,
    /// What.
    pub datagram: &'a [u8],
}

/// What is kept of a call in order to send it.
struct Sending {
    to: SocketAddr,
    datagram: Vec<u8>,
    /// How long to wait after it is sent next; `None` if it is not to be sent again.
    interval: Option<Duration>,
    sent: Option<Sent>,
}

/// That a call was sent.
#[derive(Clone, Copy)]
struct Sent {
    first_at: Instant,
    attempts: Attempts,
}

#[derive(Clone, Copy)]
enum Attempts {
    One,
    Several,
}

/// How long a server takes to answer, the execution included.
struct Pace {
    rtt: Rtt,
    /// How long a reply may well take.
    timeout: Duration,
}

impl Pace {
    /// Learns from a reply.
    fn on_reply(&mut self, now: Instant, sent: Sent) {
        let took = now.saturating_since(sent.first_at);
        match sent.attempts {
            Attempts::One => {
                self.rtt.on_sample(now, took, Duration::ZERO);
                self.timeout = self.rtt.probe_timeout(Duration::ZERO);
            }
            // Which datagram it answers cannot be told, so it gives no sample (RFC 6298 §3, Karn). But that long it may take: the next
            // call waits for it, so that it gives one.
            Attempts::Several => self.timeout = self.timeout.max(took),
        }
    }
}

impl DatagramClient {
    /// Makes a client without calls. `seed` is to be drawn from the operating system: the first xid follows from it.
    #[must_use]
    pub fn new(config: ClientConfig, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        let calls = Calls::new(config.call_count_max, random.u64() as u32);
        Self { config, random, calls, due: VecDeque::new(), paces: BTreeMap::new() }
    }

    /// Begins a call; [`Self::poll_outcome`] tells how it ends.
    ///
    /// # Errors
    /// Why it was not begun.
    pub fn call(&mut self, now: Instant, to: SocketAddr, request: &Request<'_>) -> Result<CallId, NotSent> {
        let xid = self.calls.vacant_xid()?;
        let len_max = self.config.message_len_max.min(DATAGRAM_LEN_MAX);
        let message = Message::new(&self.config, xid, request, len_max)?;
        let mut datagram = Vec::with_capacity(message.len());
        message.encode(&mut datagram);
        let to = canonical(to);
        let interval = match request.retransmission {
            Retransmission::BackOff => Some(self.first_interval(to)),
            Retransmission::Never => None,
        };
        let state = Sending { to, datagram, interval, sent: None };
        self.due.push_back(xid);
        Ok(self.calls.insert(xid, now.saturating_add(request.timeout.unwrap_or(self.config.timeout)), state))
    }

    /// Forgets a call: it is not sent any more, and has no outcome.
    pub fn cancel(&mut self, call: CallId) {
        self.calls.cancel(call);
        self.due.retain(|xid| *xid != call.0);
    }

    /// Takes in a datagram from `from`.
    ///
    /// # Errors
    /// Why it ends no call. Nothing has changed then.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Result<(), Rejected> {
        if datagram.len() > self.config.message_len_max {
            return Err(Rejected::Malformed);
        }
        let reply = Reply::decode(datagram).map_err(|_| Rejected::Malformed)?;
        let call = self.calls.get(reply.xid).ok_or(Rejected::NotAwaited)?;
        let server = call.state.to;
        if server != canonical(from) {
            return Err(Rejected::WrongAddress);
        }
        let sent = call.state.sent.ok_or(Rejected::NotAwaited)?;
        self.learn(now, server, sent);
        self.end(reply.xid, reply.outcome.map(<[u8]>::to_vec).map_err(Failure::Refused));
        Ok(())
    }

    /// Lets time pass: calls become due again, or end.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(xid) = self.calls.next_due(now) {
            let Some(call) = self.calls.get(xid) else { break };
            if call.deadline <= now {
                let failure = match call.state.sent {
                    Some(_) => Failure::Unknown(Unknown::Deadline),
                    None => Failure::NotSent(NotSent::Unreached),
                };
                self.end(xid, Err(failure));
            } else {
                // While it waits to be sent, only its deadline counts.
                let deadline = call.deadline;
                self.calls.set_timer(xid, deadline);
                self.due.push_back(xid);
            }
        }
    }

    /// Returns the next datagram to send, if there is one.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit<'_>> {
        let xid = self.due.pop_front()?;
        let call = self.calls.get_mut(xid)?;
        call.state.sent = Some(match call.state.sent {
            None => Sent { first_at: now, attempts: Attempts::One },
            Some(sent) => Sent { attempts: Attempts::Several, ..sent },
        });
        if let Some(interval) = call.state.interval {
            call.state.interval = Some(interval.saturating_mul(2).min(self.config.retransmit_timeout_max));
            // Chance keeps clients apart that began together, as after the restart of their server.
            let jitter = self.random.below(posthaste_core::time::nanos(interval / 2));
            self.calls.set_timer(xid, now.saturating_add(interval).saturating_add(Duration::from_nanos(jitter)));
        }
        let state = &self.calls.get(xid)?.state;
        Some(Transmit { to: state.to, datagram: &state.datagram })
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

    /// Returns how long to wait for the reply to a call before it is sent again (RFC 6298 §2.4: that is no less for a quick server).
    fn first_interval(&self, server: SocketAddr) -> Duration {
        let least = self.config.retransmit_timeout;
        let pace = self.paces.get(&server).map_or(least, |pace| pace.timeout.max(least));
        pace.min(self.config.retransmit_timeout_max)
    }

    fn learn(&mut self, now: Instant, server: SocketAddr, sent: Sent) {
        if self.paces.len() >= self.config.call_count_max && !self.paces.contains_key(&server) {
            self.paces.pop_first();
        }
        let unknown = || Pace { rtt: Rtt::new(self.config.retransmit_timeout), timeout: Duration::ZERO };
        self.paces.entry(server).or_insert_with(unknown).on_reply(now, sent);
    }

    fn end(&mut self, xid: u32, outcome: Outcome) {
        self.due.retain(|due| *due != xid);
        self.calls.end(xid, outcome);
    }
}

/// The most octets of a UDP datagram in IPv4 (RFC 768, RFC 791: 65 535 less both headers).
pub(crate) const DATAGRAM_LEN_MAX: usize = 65_507;
