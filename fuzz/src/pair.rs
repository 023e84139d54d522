//! Two endpoints, and between them a network that does what the fuzzer says: what is promised holds, and in the end all is over.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use posthaste_core::ecn::Ecn;
use posthaste_core::endpoint::{Answer, Arrival, Body, Delivery, Event, Message, Remote, Request, Usage};
use posthaste_core::wire::{NotExecuted as Refusal, Semantics};
use posthaste_core::{CallId, Endpoint, IncomingCallId, Instant, Outcome, PeerId, SendId, Storage};

use crate::limits::{small, within};
use crate::tape::Tape;

/// Drives the two by operations: an octet says which, and its operands follow.
pub fn pair(octets: &[u8]) {
    let mut tape = Tape::new(octets);
    let mut pair = Pair::new();
    while !tape.is_empty() {
        pair.step(&mut tape);
    }
    pair.heal();
    pair.lift();
}

struct Pair {
    now: Instant,
    hosts: [Host; 2],
    network: VecDeque<Flying>,
    ledger: Ledger,
    /// Where datagrams are written: so long that clearing one each time takes longer than all the rest.
    out: Vec<u8>,
}

struct Host {
    endpoint: Endpoint<'static>,
    address: SocketAddr,
    peers: Vec<PeerId>,
    /// Calls that wait for their handlers.
    waiting: Vec<IncomingCallId>,
    own_calls: BTreeMap<CallId, usize>,
    own_sends: BTreeMap<SendId, usize>,
}

/// A datagram under way, to one of the two.
#[derive(Clone)]
struct Flying {
    to: usize,
    octets: Vec<u8>,
}

/// What became of each call and message; the octets of each say its place here.
#[derive(Default)]
struct Ledger {
    entries: Vec<Entry>,
    /// The last message of a channel: by receiver, which has a channel of each name with each peer.
    latest: BTreeMap<(usize, PeerId, u64), usize>,
    /// Whether a session may have ended with messages in it.
    has_lost: bool,
}

#[derive(Debug)]
struct Entry {
    len: usize,
    kind: Kind,
    run_count: u32,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    AtMostOnce,
    AtLeastOnce,
    Reliable,
    Unreliable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    Unknown,
    Done,
    NotExecuted,
}

/// How many datagrams are under way at most; the oldest are lost beyond.
const NETWORK_COUNT_MAX: usize = 64;

impl Pair {
    fn new() -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let host = |index: u8| {
            let config = small();
            let storage = Storage::owned(&config);
            Host {
                endpoint: Endpoint::new_insecure(config, storage, [index; 32], now)
                    .expect("the configuration is valid"),
                address: ([10, 0, 0, index], 4000).into(),
                peers: Vec::new(),
                waiting: Vec::new(),
                own_calls: BTreeMap::new(),
                own_sends: BTreeMap::new(),
            }
        };
        let hosts = [host(1), host(2)];
        let out = vec![0; hosts[0].endpoint.config().datagram_len_max];
        let mut pair = Self { now, hosts, network: VecDeque::new(), ledger: Ledger::default(), out };
        pair.dial(0);
        pair
    }

    fn step(&mut self, tape: &mut Tape<'_>) {
        match tape.below(16) {
            0..=3 => self.deliver(tape.below(NETWORK_COUNT_MAX)),
            4 => drop(self.network.remove(tape.below(NETWORK_COUNT_MAX))),
            5 => {
                let copy = self.network.get(tape.below(NETWORK_COUNT_MAX)).cloned();
                self.network.extend(copy);
            }
            6 => self.damage(tape),
            7 => self.pass(tape.time()),
            8 => self.pass_to_deadline(),
            9 | 10 => self.call(tape),
            11 | 12 => self.send(tape),
            13 | 14 => self.serve(tape),
            _ => self.decide(tape),
        }
        self.collect();
    }

    fn dial(&mut self, host: usize) {
        let remote = Remote { address: self.hosts[1 - host].address, identity: &[] };
        let Host { endpoint, peers, .. } = &mut self.hosts[host];
        peers.extend(endpoint.peer(self.now, &remote).ok().filter(|peer| !peers.contains(peer)));
    }

    fn deliver(&mut self, at: usize) {
        let Some(Flying { to, mut octets }) = self.network.remove(at) else { return };
        let arrival = Arrival { from: self.hosts[1 - to].address, to: None, ecn: Ecn::NotEct };
        let _ = self.hosts[to].endpoint.handle_datagram(self.now, arrival, &mut octets);
        assert_eq!(self.hosts[to].endpoint.counters().violations, 0, "neither breaks a rule");
    }

    /// Changes some octets of a datagram under way: its checksum tells, or the payloads will.
    fn damage(&mut self, tape: &mut Tape<'_>) {
        let Some(Flying { octets, .. }) = self.network.get_mut(tape.below(NETWORK_COUNT_MAX)) else { return };
        for _ in 0..=tape.below(3) {
            let at = tape.len(octets.len() - 1);
            octets[at] ^= tape.octet();
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.saturating_add(time);
        for Host { endpoint, .. } in &mut self.hosts {
            if endpoint.poll_timeout().is_some_and(|at| at <= self.now) {
                endpoint.handle_timeout(self.now);
                assert!(endpoint.poll_timeout().is_none_or(|at| at > self.now), "no progress");
            }
        }
    }

    fn pass_to_deadline(&mut self) {
        if let Some(at) = self.hosts.iter_mut().filter_map(|host| host.endpoint.poll_timeout()).min() {
            self.pass(at.saturating_since(self.now));
        }
    }

    fn call(&mut self, tape: &mut Tape<'_>) {
        let host = tape.below(2);
        self.dial(host);
        let Host { endpoint, peers, own_calls, .. } = &mut self.hosts[host];
        let Some(peer) = tape.pick(peers) else { return };
        let (semantics, kind) =
            [(Semantics::AtMostOnce, Kind::AtMostOnce), (Semantics::AtLeastOnce, Kind::AtLeastOnce)][tape.below(2)];
        let timeout = [Some(Duration::ZERO), Some(Duration::from_millis(300)), None][tape.below(3)];
        let body = self.ledger.add(kind, tape.len(3000));
        let request = Request { semantics, timeout, ..Request::new(1, 1, 1, &body) };
        match endpoint.call(self.now, peer, request) {
            Ok(call) => drop(own_calls.insert(call, self.ledger.entries.len() - 1)),
            Err(_) => self.ledger.refuse(),
        }
    }

    fn send(&mut self, tape: &mut Tape<'_>) {
        let host = tape.below(2);
        self.dial(host);
        let Host { endpoint, peers, own_sends, .. } = &mut self.hosts[host];
        let Some(peer) = tape.pick(peers) else { return };
        let (delivery, kind, len_max) = match tape.below(4) {
            0 => (Delivery::Unreliable, Kind::Unreliable, 1000),
            1 => (Delivery::Reliable, Kind::Reliable, 3000),
            channel => (Delivery::Ordered { channel: channel as u64 }, Kind::Reliable, 3000),
        };
        let body = self.ledger.add(kind, tape.len(len_max));
        let message = Message { delivery, priority: tape.below(4) as u8, body: Body::Copied(&body) };
        match endpoint.send(self.now, peer, message) {
            Ok(send) => drop(own_sends.insert(send, self.ledger.entries.len() - 1)),
            Err(_) => self.ledger.refuse(),
        }
    }

    /// Runs a handler that answers with its arguments, or refuses.
    fn serve(&mut self, tape: &mut Tape<'_>) {
        let host = &mut self.hosts[tape.below(2)];
        let Some(call) = tape.take(&mut host.waiting) else { return };
        if tape.octet() < 16 {
            let _ = host.endpoint.refuse(self.now, call, Refusal::Busy);
        } else {
            host.run(self.now, call, &mut self.ledger);
        }
    }

    fn decide(&mut self, tape: &mut Tape<'_>) {
        let host = &mut self.hosts[tape.below(2)];
        let calls: Vec<_> = host.own_calls.iter().map(|(call, entry)| (*call, *entry)).collect();
        let Some((call, entry)) = tape.pick(&calls) else { return };
        let choice = tape.octet();
        match choice % 4 {
            0 => drop(host.endpoint.cancel(self.now, call)),
            1 | 2 if host.endpoint.resolve(self.now, call, Duration::from_secs(5)).is_ok() => self.ledger.reopen(entry),
            _ if choice > 240 => {
                self.ledger.has_lost = true;
                for peer in &host.peers {
                    let _ = host.endpoint.close(self.now, *peer, 9);
                }
            }
            _ if choice > 200 => host.endpoint.handle_address_change(self.now),
            _ => {}
        }
    }

    /// Takes what both have to say.
    fn collect(&mut self) {
        for index in 0..2 {
            self.hosts[index].hear(self.now, index, &mut self.ledger);
            let Host { endpoint, .. } = &mut self.hosts[index];
            while let Some(transmit) = endpoint.poll_transmit(self.now, &mut self.out) {
                self.network.push_back(Flying { to: 1 - index, octets: self.out[..transmit.len].to_vec() });
                if self.network.len() > NETWORK_COUNT_MAX {
                    self.network.pop_front();
                }
            }
            let usage = endpoint.usage();
            assert!(within(&usage, endpoint.config()), "{usage:?}");
            assert_eq!(endpoint.counters().broken, 0, "the books do not agree");
        }
    }

    /// Lets the network deliver and the handlers run, until all that was begun has ended.
    fn heal(&mut self) {
        for _ in 0..20_000 {
            while !self.network.is_empty() {
                self.deliver(0);
                self.collect();
            }
            for host in &mut self.hosts {
                for call in core::mem::take(&mut host.waiting) {
                    host.run(self.now, call, &mut self.ledger);
                }
            }
            self.collect();
            if self.network.is_empty() {
                let is_idle = self.hosts.iter_mut().all(|host| host.endpoint.poll_timeout().is_none());
                if is_idle && self.ledger.entries.iter().all(|entry| entry.end != End::Open) {
                    return self.ledger.close();
                }
                if is_idle {
                    self.outlast_leases();
                }
                self.pass_to_deadline();
                self.collect();
            }
        }
        let open = self.ledger.entries.iter().filter(|entry| entry.end == End::Open);
        panic!("these never end: {:?}", open.collect::<Vec<_>>());
    }

    /// Lets the leases of idle peers end: no timer looks after those, but each datagram that arrives after one.
    fn outlast_leases(&mut self) {
        for host in &mut self.hosts {
            self.now = self.now.saturating_add(host.endpoint.config().lease);
            for _ in 0..host.endpoint.config().peer_count_max {
                let arrival = Arrival { from: ([10, 0, 0, 9], 9).into(), to: None, ecn: Ecn::NotEct };
                let _ = host.endpoint.handle_datagram(self.now, arrival, &mut [0]);
            }
        }
    }

    /// Lets everything go: nothing may be left behind.
    fn lift(mut self) {
        for _ in 0..1000 {
            for Host { endpoint, peers, .. } in &mut self.hosts {
                for peer in peers.drain(..) {
                    let _ = endpoint.close(self.now, peer, 0);
                }
            }
            self.collect();
            self.network.clear();
            self.outlast_leases();
            if self.hosts.iter().all(|host| host.endpoint.usage() == Usage::default()) {
                return;
            }
            self.pass(Duration::from_secs(2));
        }
        panic!("something is left behind: {:?}", self.hosts.map(|host| host.endpoint.usage()));
    }
}

impl Host {
    fn hear(&mut self, now: Instant, index: usize, ledger: &mut Ledger) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Connected { peer } if !self.peers.contains(&peer) => self.peers.push(peer),
                Event::Closed { .. } | Event::SessionLost { .. } => ledger.has_lost = true,
                Event::CallReceived { call } => self.waiting.push(call),
                Event::CallEnded { call, outcome } => {
                    let entry = self.own_calls[&call];
                    ledger.end_call(entry, outcome);
                    if let Outcome::Ok(reply) | Outcome::ApplicationError(reply) = outcome {
                        ledger.check(entry, &self.endpoint.take_payload(now, reply).expect("the reply is there"));
                    }
                }
                Event::MessageReceived { peer, message, channel } => {
                    let octets = self.endpoint.take_payload(now, message).expect("the message is there");
                    ledger.receive(channel.map(|channel| (index, peer, channel)), &octets);
                }
                Event::MessageAcknowledged { message } => ledger.end_send(self.own_sends[&message], End::Done),
                Event::MessageFailed { message } => ledger.end_send(self.own_sends[&message], End::Unknown),
                _ => {}
            }
        }
    }

    fn run(&mut self, now: Instant, call: IncomingCallId, ledger: &mut Ledger) {
        if self.endpoint.begin(now, call).is_err() {
            return;
        }
        let arguments = self.endpoint.take_arguments(now, call).expect("it has begun");
        ledger.run(&arguments);
        self.endpoint.reply(now, call, Answer::Ok, &arguments, &[]).expect("it is open, and its caller takes as much");
    }
}

impl Ledger {
    /// Makes the octets of the next call or message; the first four say its place.
    fn add(&mut self, kind: Kind, len: usize) -> Vec<u8> {
        let place = self.entries.len();
        let mut octets = (place as u32).to_be_bytes().to_vec();
        octets.resize(4 + len, place as u8);
        self.entries.push(Entry { len, kind, run_count: 0, end: End::Open });
        octets
    }

    /// Takes the last entry back: the endpoint did not accept it.
    fn refuse(&mut self) {
        self.entries.pop();
    }

    fn reopen(&mut self, entry: usize) {
        assert_eq!(self.entries[entry].end, End::Unknown, "only what is unknown is resolved");
        self.entries[entry].end = End::Open;
    }

    /// Returns the place of octets, all of which must be as they were made.
    fn place_of(&self, octets: &[u8]) -> usize {
        let (place, rest) = octets.split_first_chunk().expect("there is a place");
        let place = u32::from_be_bytes(*place) as usize;
        assert_eq!(rest.len(), self.entries[place].len);
        assert!(rest.iter().all(|octet| *octet == place as u8), "the octets are not those that were sent");
        place
    }

    fn check(&self, place: usize, octets: &[u8]) {
        assert_eq!(self.place_of(octets), place, "the reply to another call");
        assert!(self.entries[place].run_count > 0, "a reply, and nobody ran");
    }

    fn run(&mut self, arguments: &[u8]) {
        let place = self.place_of(arguments);
        let entry = &mut self.entries[place];
        entry.run_count += 1;
        assert_ne!(entry.end, End::NotExecuted, "it ran after it was said that it never will");
        assert!(entry.kind == Kind::AtLeastOnce || entry.run_count == 1, "an at-most-once call ran twice");
    }

    fn end_call(&mut self, place: usize, outcome: Outcome) {
        let entry = &mut self.entries[place];
        assert!(matches!(entry.end, End::Open | End::Unknown), "only what is unknown is followed by {outcome:?}");
        entry.end = match outcome {
            Outcome::Unknown(_) => End::Unknown,
            Outcome::NotExecuted(_) => {
                assert!(entry.kind == Kind::AtLeastOnce || entry.run_count == 0, "it ran: {outcome:?}");
                if entry.kind == Kind::AtLeastOnce { End::Done } else { End::NotExecuted }
            }
            _ => End::Done,
        };
    }

    fn receive(&mut self, channel: Option<(usize, PeerId, u64)>, octets: &[u8]) {
        let place = self.place_of(octets);
        self.entries[place].run_count += 1;
        // Where a datagram finds no room for all that it brings, a copy of it brings what is not numbered again (semantics, Messages).
        let is_new = self.entries[place].run_count == 1 || self.entries[place].kind == Kind::Unreliable;
        assert!(is_new, "a message arrived twice");
        if let Some(channel) = channel {
            let before = self.latest.insert(channel, place);
            assert!(before < Some(place), "a channel is out of order");
        }
    }

    fn end_send(&mut self, place: usize, end: End) {
        assert_eq!(self.entries[place].end, End::Open, "a message ends once");
        self.entries[place].end = end;
    }

    /// Checks that what was acknowledged has arrived.
    fn close(&self) {
        let is_missing = |entry: &Entry| entry.kind == Kind::Reliable && entry.end == End::Done && entry.run_count == 0;
        assert!(self.has_lost || !self.entries.iter().any(is_missing), "an acknowledged message is missing");
    }
}
