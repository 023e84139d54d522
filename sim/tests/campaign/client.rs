//! A client that calls, sends, streams, cancels, resolves and flushes as its seed says.

use alloc::collections::BTreeMap;
use core::net::SocketAddr;
use core::time::Duration;

use posthaste_core::endpoint::{Body, Delivery, Event, Message, Remote, Reply, Request, SendError};
use posthaste_core::wire::{self, Semantics};
use posthaste_core::{CallId, Endpoint, Instant, NotExecuted, Outcome, PeerId, SendId, StreamId, Unknown};
use posthaste_sim::{Application, Rng, sometimes};

use crate::ledger::{Book, Verdict, after, content, reply_to};
use crate::server::procedure;

pub(crate) struct Client {
    book: Book,
    dice: Rng,
    server: SocketAddr,
    /// The upper half of all numbers that it gives.
    name: u64,
    count: u64,
    /// The number of its present session, over all its lives.
    session: u64,
    peer: Option<PeerId>,
    calls: BTreeMap<CallId, OpenCall>,
    sends: BTreeMap<SendId, u64>,
    writers: BTreeMap<StreamId, Writer>,
    positions: BTreeMap<u64, u64>,
    /// When its next command comes, and how many are left.
    next_at: Option<Instant>,
    left: u64,
    gap: u64,
    connected_count: u64,
    flush_count: u64,
    flushed_count: u64,
}

struct OpenCall {
    id: u64,
    procedure: u32,
    len: usize,
    deadline: Option<Instant>,
    resolve_count: u32,
    is_open: bool,
}

struct Writer {
    octets: Vec<u8>,
    written: usize,
}

impl Client {
    /// Makes a client that gives `count` commands within about `span`.
    pub(crate) fn new(book: Book, seed: u64, index: u64, server: SocketAddr, count: u64, span: Duration) -> Self {
        Self {
            book,
            dice: Rng::at(seed, CLIENT, index),
            server,
            name: (index + 1) << 32,
            count: 0,
            session: 0,
            peer: None,
            calls: BTreeMap::new(),
            sends: BTreeMap::new(),
            writers: BTreeMap::new(),
            positions: BTreeMap::new(),
            next_at: None,
            left: count,
            gap: (span.as_nanos() as u64 / count.max(1)).max(1),
            connected_count: 0,
            flush_count: 0,
            flushed_count: 0,
        }
    }

    /// Closes its session.
    pub(crate) fn close(&mut self, now: Instant, endpoint: &mut Endpoint<'static>) {
        self.next_at = None;
        if let Some(peer) = self.peer.take() {
            // It may be gone by itself.
            let _ = endpoint.close(now, peer, 7);
        }
    }

    /// Asserts that whatever was due has ended.
    pub(crate) fn check(&self, now: Instant) {
        for call in self.calls.values().filter(|call| call.is_open) {
            let is_late = call.deadline.is_some_and(|deadline| after(deadline, 1000 * MS) < now);
            assert!(!is_late, "call {} with its deadline at {:?} is open at {now:?}", call.id, call.deadline);
        }
    }

    pub(crate) fn assert_flushed(&self) {
        if let Some(id) = self.sends.values().next() {
            panic!("message {id} has no end: {}", self.book.borrow().describe(*id));
        }
    }

    fn id(&mut self) -> u64 {
        self.count += 1;
        self.name | self.count
    }

    fn peer(&mut self, now: Instant, endpoint: &mut Endpoint<'static>) -> Option<PeerId> {
        if self.peer.is_none() {
            self.peer = endpoint.peer(now, &Remote { address: self.server, identity: &[] }).ok();
        }
        self.peer
    }

    fn command(&mut self, now: Instant, endpoint: &mut Endpoint<'static>) {
        let Some(peer) = self.peer(now, endpoint) else { return };
        match self.dice.below(100) {
            0..50 => self.call(now, endpoint, peer),
            50..72 => self.send(now, endpoint, peer),
            72..82 => self.stream(now, endpoint, peer),
            82..86 => {
                self.flush_count += u64::from(endpoint.flush(now, peer).is_ok());
            }
            86..93 => {
                let open: Vec<CallId> = self.calls.iter().filter(|(_, call)| call.is_open).map(|(id, _)| *id).collect();
                if !open.is_empty() {
                    endpoint.cancel(now, self.dice.pick(&open)).expect("the call is open");
                }
            }
            93..97 => {
                let open: Vec<SendId> = self.sends.keys().copied().collect();
                if !open.is_empty() {
                    let send = self.dice.pick(&open);
                    self.book.borrow_mut().on_message_cancelled(self.sends[&send]);
                    // Its end may have come and not been told yet.
                    let _ = endpoint.cancel_send(now, send);
                    let id = self.sends.remove(&send).expect("it was just there");
                    self.writers.retain(|_, writer| crate::ledger::id_of(&writer.octets) != id);
                    self.book.borrow_mut().on_message_outcome(id, Verdict::Failed);
                }
            }
            _ => endpoint.handle_address_change(now),
        }
    }

    fn len(&mut self) -> usize {
        self.dice.pick(&[8, 8, 32, 100, 1000, 1180, 3000, 20_000])
    }

    fn call(&mut self, now: Instant, endpoint: &mut Endpoint<'static>, peer: PeerId) {
        let (id, len) = (self.id(), self.len());
        let kind = match self.dice.below(6) {
            0..3 => procedure::ECHO,
            3..5 => procedure::LATER,
            _ => self.dice.below(u64::from(procedure::COUNT)) as u32,
        };
        let number = kind * 4 + self.dice.below(4) as u32;
        let octets = content(id, len);
        let semantics = match self.dice.below(10) {
            0..7 => Semantics::AtMostOnce,
            7..9 => Semantics::AtLeastOnce,
            _ => Semantics::Maybe,
        };
        let reply = if self.dice.below(12) == 0 { Reply::Never } else { Reply::Expected };
        // Who never answers, or may never have been asked, is not waited for without end.
        let may_wait = kind != procedure::NEVER && semantics != Semantics::Maybe && reply == Reply::Expected;
        let timeout = match self.dice.below(6) {
            0 if may_wait => None,
            1 => Some(Duration::from_nanos(self.dice.within(20 * MS, 3000 * MS))),
            _ => Some(Duration::ZERO),
        };
        let request = Request {
            semantics,
            reply,
            timeout,
            // Mostly that of brief calls.
            priority: self.dice.pick(&[0, 1, 1, 1, 1, 2, 3]),
            ..Request::new(1, 1, number, &octets)
        };
        match endpoint.call(now, peer, request) {
            Ok(call) => {
                let timeout =
                    timeout.map(|timeout| if timeout.is_zero() { endpoint.config().call_timeout } else { timeout });
                let deadline = timeout.map(|timeout| now.saturating_add(timeout));
                let open = OpenCall { id, procedure: number, len, deadline, resolve_count: 0, is_open: true };
                self.calls.insert(call, open);
                self.book.borrow_mut().on_call(id, semantics, reply == Reply::Never);
            }
            Err(error) => self.refused(error),
        }
    }

    fn send(&mut self, now: Instant, endpoint: &mut Endpoint<'static>, peer: PeerId) {
        let (id, len) = (self.id(), self.len());
        let delivery = match self.dice.below(8) {
            0 => Delivery::Unreliable,
            1 => Delivery::Newest { key: self.dice.below(2) },
            2..5 => Delivery::Reliable,
            _ => Delivery::Ordered { channel: self.dice.below(3) },
        };
        let octets = content(id, len);
        let message = Message { delivery, priority: self.dice.below(4) as u8, body: Body::Copied(&octets) };
        match endpoint.send(now, peer, message) {
            Ok(send) => self.sent(send, id, len, delivery),
            Err(error) => self.refused(error),
        }
    }

    fn stream(&mut self, now: Instant, endpoint: &mut Endpoint<'static>, peer: PeerId) {
        let (id, len) = (self.id(), self.dice.within(8, 60_000) as usize);
        let delivery = match self.dice.below(2) {
            0 => Delivery::Reliable,
            _ => Delivery::Ordered { channel: self.dice.below(3) },
        };
        match endpoint.open_stream(now, peer, delivery, 1) {
            Ok((send, stream)) => {
                self.sent(send, id, len, delivery);
                self.writers.insert(stream, Writer { octets: content(id, len), written: 0 });
                self.write(now, endpoint, stream);
            }
            Err(error) => self.refused(error),
        }
    }

    fn write(&mut self, now: Instant, endpoint: &mut Endpoint<'static>, stream: StreamId) {
        let Some(writer) = self.writers.get_mut(&stream) else { return };
        match endpoint.write(now, stream, &writer.octets[writer.written..]) {
            Ok(len) => {
                writer.written += len;
                if writer.written == writer.octets.len() {
                    endpoint.finish(now, stream).expect("a stream that is written to is not over");
                    self.writers.remove(&stream);
                }
            }
            Err(_) => drop(self.writers.remove(&stream)),
        }
    }

    fn sent(&mut self, send: SendId, id: u64, len: usize, delivery: Delivery) {
        let ordered = match delivery {
            Delivery::Ordered { channel } => {
                let position = self.positions.entry(channel).or_default();
                *position += 1;
                Some((self.name | self.session, channel, *position))
            }
            _ => None,
        };
        let is_reliable = matches!(delivery, Delivery::Reliable | Delivery::Ordered { .. });
        self.sends.insert(send, id);
        self.book.borrow_mut().on_message(id, len, is_reliable, ordered);
    }

    /// Begins another session, in which what the former one did not send goes on.
    fn renew(&mut self) {
        self.session += 1;
        let mut book = self.book.borrow_mut();
        book.lost_session_count += 1;
        for id in self.sends.values() {
            book.on_moved(*id, self.name | self.session);
        }
    }

    fn refused(&mut self, error: SendError) {
        match error {
            SendError::Full => sometimes!("a command was refused for want of room"),
            SendError::Stale | SendError::Closed => self.peer = None,
            _ => {}
        }
    }

    fn on_ended(&mut self, now: Instant, endpoint: &mut Endpoint<'static>, call: CallId, outcome: Outcome) {
        let open = self.calls.get_mut(&call).expect("only what was called ends");
        let verdict = match outcome {
            Outcome::Ok(_) => Verdict::Ok,
            Outcome::ApplicationError(_) => Verdict::Error,
            Outcome::Delivered => Verdict::Delivered,
            Outcome::NotExecuted(_) => Verdict::NotExecuted,
            Outcome::ReplyLost => Verdict::ReplyLost,
            Outcome::Unknown(_) => Verdict::Unknown,
        };
        self.book.borrow_mut().on_outcome(open.id, verdict);
        match outcome {
            Outcome::Ok(reply) | Outcome::ApplicationError(reply) => {
                let octets = crate::take(now, endpoint, reply);
                let right = reply_to(open.procedure, &content(open.id, open.len));
                // Who was cancelled answers with nothing.
                let is_right = octets == right || (octets.is_empty() && open.procedure / 4 == procedure::NEVER);
                assert!(is_right, "call {} got a wrong reply of {} octets", open.id, octets.len());
                self.calls.remove(&call);
            }
            Outcome::Unknown(why) => {
                open.is_open = false;
                sometimes!(why == Unknown::SessionLost, "a session was lost under an open call");
                sometimes!(why == Unknown::ConnectionLost, "contact was lost under an open call");
                sometimes!(why == Unknown::HandlerFailed, "a handler failed");
                sometimes!(why == Unknown::Cancelled, "a call was cancelled");
                if open.resolve_count < 2 && self.dice.below(2) == 0 {
                    let timeout = Duration::from_secs(3);
                    if endpoint.resolve(now, call, timeout).is_ok() {
                        open.resolve_count += 1;
                        open.is_open = true;
                        open.deadline = Some(now.saturating_add(timeout));
                        return;
                    }
                }
                let _ = endpoint.forget(now, call);
                self.calls.remove(&call);
            }
            Outcome::NotExecuted(why) => {
                sometimes!(why == NotExecuted::NeverSent, "a call was never sent");
                sometimes!(
                    why == NotExecuted::Refused(wire::NotExecuted::Cancelled),
                    "a cancelled call left a tombstone"
                );
                sometimes!(
                    why == NotExecuted::Refused(wire::NotExecuted::DeadlinePassed),
                    "a call was refused because its deadline had passed"
                );
                self.calls.remove(&call);
            }
            Outcome::Delivered => drop(self.calls.remove(&call)),
            Outcome::ReplyLost => {
                sometimes!("a reply was lost");
                self.calls.remove(&call);
            }
        }
    }
}

impl Application for Client {
    fn on_start(&mut self, now: Instant, _endpoint: &mut Endpoint<'static>) {
        if self.session > 0 {
            let name = self.name;
            self.book.borrow_mut().on_client_crash(|id| id & !0xffff_ffff == name);
        }
        self.session += 1;
        (self.calls, self.sends, self.writers) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        (self.positions, self.peer) = (BTreeMap::new(), None);
        self.next_at = (self.left > 0).then(|| after(now, self.dice.below(2 * self.gap) + 1));
    }

    fn on_event(&mut self, now: Instant, endpoint: &mut Endpoint<'static>, event: Event) {
        match event {
            Event::Connected { .. } => {
                self.connected_count += 1;
                sometimes!(self.connected_count > 1, "a conversation was opened again");
            }
            Event::SessionLost { .. } => {
                sometimes!("a session was lost");
                self.renew();
            }
            Event::Closed { peer } => {
                sometimes!("a conversation was closed");
                self.renew();
                if self.peer == Some(peer) {
                    self.peer = None;
                }
            }
            Event::Flushed { .. } => self.flushed_count += 1,
            Event::Writable { stream } => self.write(now, endpoint, stream),
            Event::MessageAcknowledged { message } => {
                let id = self.sends.remove(&message).expect("only what was sent is acknowledged");
                self.book.borrow_mut().on_message_outcome(id, Verdict::Acknowledged);
            }
            Event::MessageFailed { message } => {
                if let Some(id) = self.sends.remove(&message) {
                    self.book.borrow_mut().on_message_outcome(id, Verdict::Failed);
                }
            }
            Event::CallEnded { call, outcome } => self.on_ended(now, endpoint, call, outcome),
            Event::CallProgress { .. } => sometimes!("a callee told its progress"),
            Event::Taken { .. } => sometimes!("messages of a channel were taken"),
            _ => {}
        }
    }

    fn on_timer(&mut self, now: Instant, endpoint: &mut Endpoint<'static>) {
        self.check(now);
        self.left -= 1;
        self.next_at = (self.left > 0).then(|| after(now, self.dice.below(2 * self.gap) + 1));
        self.command(now, endpoint);
    }

    fn next_at(&self) -> Option<Instant> {
        self.next_at
    }
}

const MS: u64 = 1_000_000;
const CLIENT: u64 = 0xc11e;
