//! Two endpoints on a virtual clock, with a queue between them that a test may tamper with.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of this file")]

extern crate alloc;

use alloc::collections::VecDeque;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use posthaste_core::crypto::Crypto;
use posthaste_core::ecn::Ecn;
use posthaste_core::endpoint::{Arrival, Body, Delivery, Event, Message, Remote, Request};
use posthaste_core::{
    CallId, Config, Endpoint, IncomingCallId, Instant, MessageId, Outcome, PeerId, SendId, Storage, StreamId,
};

/// One datagram under way.
pub struct Flying {
    pub at: Instant,
    pub from: SocketAddr,
    /// The local address that the endpoint wanted it to come from.
    pub source: Option<IpAddr>,
    pub to: SocketAddr,
    pub octets: Vec<u8>,
}

/// What the network does to a datagram.
pub enum Fate {
    Arrive,
    Lose,
    Twice,
}

/// One endpoint with its address and what it was told.
pub struct Host {
    pub endpoint: Endpoint<'static>,
    pub address: SocketAddr,
    pub events: VecDeque<Event>,
    pub sent: Vec<Vec<u8>>,
}

/// A client, a server, and the time that both share.
pub struct Pair {
    pub now: Instant,
    pub client: Host,
    pub server: Host,
    pub delay: Duration,
    pub network: VecDeque<Flying>,
    pub fate: Box<dyn FnMut(&Flying) -> Fate>,
}

pub const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 4000);
pub const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 5000);

impl Pair {
    pub fn new() -> Self {
        Self::with(Config::internet(), Config::internet())
    }

    pub fn with(client: Config, server: Config) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let host = |config: Config, address, seed| {
            let storage = Storage::owned(&config);
            let endpoint = Endpoint::new_insecure(config, storage, [seed; 32], now).unwrap();
            Host { endpoint, address, events: VecDeque::new(), sent: Vec::new() }
        };
        Self {
            now,
            client: host(client, CLIENT, 1),
            server: host(server, SERVER, 2),
            delay: Duration::from_millis(10),
            network: VecDeque::new(),
            fate: Box::new(|_| Fate::Arrive),
        }
    }

    /// Two endpoints in protected mode.
    pub fn secured(client: Config, server: Config, keys: Box<dyn Crypto>, server_keys: Box<dyn Crypto>) -> Self {
        let mut pair = Self::new();
        let make = |config: Config, keys, seed| {
            let storage = Storage::owned(&config);
            Endpoint::new_owned(config, storage, keys, [seed; 32], pair.now).unwrap()
        };
        pair.client.endpoint = make(client, keys, 1);
        pair.server.endpoint = make(server, server_keys, 2);
        pair
    }

    /// A pair whose client has made a call already, and the peer that the server is to it.
    pub fn open() -> (Self, PeerId) {
        Self::open_with(Config::internet(), Config::internet())
    }

    pub fn open_with(client: Config, server: Config) -> (Self, PeerId) {
        let mut pair = Self::with(client, server);
        let peer = pair.dial();
        echo(&mut pair, b"open");
        (pair, peer)
    }

    pub fn dial(&mut self) -> PeerId {
        self.dial_to(&[])
    }

    pub fn dial_to(&mut self, identity: &[u8]) -> PeerId {
        self.client.endpoint.peer(self.now, &Remote { address: SERVER, identity }).unwrap()
    }

    /// Has the client call the server.
    pub fn call(&mut self, peer: PeerId, request: Request<'_>) -> CallId {
        self.client.endpoint.call(self.now, peer, request).unwrap()
    }

    /// Has the client send the server a message.
    pub fn send(&mut self, peer: PeerId, delivery: Delivery, octets: &[u8]) -> SendId {
        let message = Message { delivery, priority: 1, body: Body::Copied(octets) };
        self.client.endpoint.send(self.now, peer, message).unwrap()
    }

    /// Puts a server that knows nothing of the past in the place of this one.
    pub fn restart_server(&mut self) {
        let config = self.server.endpoint.config().clone();
        let storage = Storage::owned(&config);
        self.server.endpoint = Endpoint::new_insecure(config, storage, [3; 32], self.now).unwrap();
    }

    /// Loses every datagram from here on.
    pub fn cut(&mut self) {
        self.fate = Box::new(|_| Fate::Lose);
    }

    /// Loses none from here on.
    pub fn mend(&mut self) {
        self.fate = Box::new(|_| Fate::Arrive);
    }

    /// Lets both endpoints say what they have to say at this moment.
    pub fn flush(&mut self) {
        for host in [&mut self.client, &mut self.server] {
            while let Some(event) = host.endpoint.poll_event() {
                host.events.push_back(event);
            }
            let mut out = vec![0; host.endpoint.config().datagram_len_max];
            while let Some(transmit) = host.endpoint.poll_transmit(self.now, &mut out) {
                let octets = out[..transmit.len].to_vec();
                host.sent.push(octets.clone());
                let at = Instant::from_nanos(self.now.as_nanos() + self.delay.as_nanos() as u64);
                let flying = Flying { at, from: host.address, source: transmit.from, to: transmit.to, octets };
                match (self.fate)(&flying) {
                    Fate::Lose => {}
                    Fate::Arrive => self.network.push_back(flying),
                    Fate::Twice => {
                        let copy = Flying { octets: flying.octets.clone(), ..flying };
                        self.network.push_back(flying);
                        self.network.push_back(copy);
                    }
                }
            }
            while let Some(event) = host.endpoint.poll_event() {
                host.events.push_back(event);
            }
        }
    }

    /// Goes to the next moment at which something happens; false if nothing ever will.
    pub fn step(&mut self) -> bool {
        self.flush();
        let arrival = self.network.iter().map(|flying| flying.at).min();
        let timeouts = [self.client.endpoint.poll_timeout(), self.server.endpoint.poll_timeout()];
        let Some(next) = timeouts.into_iter().chain([arrival]).flatten().min() else { return false };
        self.now = self.now.max(next);
        self.deliver();
        for host in [&mut self.client, &mut self.server] {
            if host.endpoint.poll_timeout().is_some_and(|at| at <= self.now) {
                host.endpoint.handle_timeout(self.now);
                let next = host.endpoint.poll_timeout();
                assert!(next.is_none_or(|at| at > self.now), "no progress at {:?}: {next:?}", self.now);
            }
        }
        self.flush();
        true
    }

    /// Hands over what has arrived.
    pub fn deliver(&mut self) {
        while let Some(index) = self.network.iter().position(|flying| flying.at <= self.now) {
            let mut flying = self.network.remove(index).unwrap();
            let host = if flying.to == self.client.address { &mut self.client } else { &mut self.server };
            let arrival = Arrival { from: flying.from, to: Some(flying.to.ip()), ecn: Ecn::NotEct };
            let _ = host.endpoint.handle_datagram(self.now, arrival, &mut flying.octets);
        }
    }

    /// Steps until `done` or until `timeout` has passed; says whether it is done.
    pub fn run_until(&mut self, timeout: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = Instant::from_nanos(self.now.as_nanos() + timeout.as_nanos() as u64);
        loop {
            self.flush();
            if done(self) {
                return true;
            }
            if self.now >= end || !self.step() {
                return done(self);
            }
        }
    }

    pub fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    pub fn datagram_count(&self) -> usize {
        self.client.sent.len() + self.server.sent.len()
    }
}

impl Host {
    pub fn take<T>(&mut self, mut pick: impl FnMut(&Event) -> Option<T>) -> Option<T> {
        let index = self.events.iter().position(|event| pick(event).is_some())?;
        let event = self.events.remove(index)?;
        pick(&event)
    }

    /// Says whether it was told something that nobody took yet.
    pub fn heard(&self, is_meant: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(is_meant)
    }

    pub fn take_call(&mut self) -> Option<IncomingCallId> {
        self.take(|event| if let Event::CallReceived { call } = event { Some(*call) } else { None })
    }

    pub fn take_message(&mut self) -> Option<MessageId> {
        self.take(|event| if let Event::MessageReceived { message, .. } = event { Some(*message) } else { None })
    }

    pub fn take_stream(&mut self) -> Option<StreamId> {
        self.take(|event| if let Event::StreamReceived { stream, .. } = event { Some(*stream) } else { None })
    }

    pub fn take_outcome(&mut self) -> Option<Outcome> {
        self.take(|event| if let Event::CallEnded { outcome, .. } = event { Some(*outcome) } else { None })
    }

    /// Releases the messages that have arrived, and returns how many there were.
    pub fn release_messages(&mut self, now: Instant) -> usize {
        let mut count = 0;
        while let Some(message) = self.take_message() {
            self.endpoint.release(now, message).unwrap();
            count += 1;
        }
        count
    }

    /// Answers every call that waits with its own arguments.
    pub fn echo(&mut self, now: Instant) -> usize {
        use posthaste_core::endpoint::Answer;
        let mut count = 0;
        while let Some(call) = self.take_call() {
            self.endpoint.begin(now, call).unwrap();
            let arguments = self.endpoint.incoming_call(call).unwrap().arguments.to_vec();
            self.endpoint.reply(now, call, Answer::Ok, &arguments, &[]).unwrap();
            count += 1;
        }
        count
    }
}

/// Has the client call the server, which echoes, and waits for that reply; others may come before.
pub fn echo(pair: &mut Pair, octets: &[u8]) {
    let peer = pair.dial();
    pair.call(peer, Request::new(1, 1, 7, octets));
    let is_answered = pair.run_until(Duration::from_secs(10), |pair| {
        pair.server.echo(pair.now);
        let mut is_ours = false;
        let ended = |event: &Event| {
            if let Event::CallEnded { outcome: Outcome::Ok(reply), .. } = event { Some(*reply) } else { None }
        };
        while let Some(reply) = pair.client.take(ended) {
            is_ours |= pair.client.endpoint.payload(reply) == Ok(octets);
            pair.client.endpoint.release(pair.now, reply).unwrap();
        }
        is_ours
    });
    assert!(is_answered);
}

/// Runs until a call has ended, with an echo at the server.
pub fn answer(pair: &mut Pair) -> (CallId, Vec<u8>) {
    let mut result = None;
    let done = pair.run_until(Duration::from_secs(10), |pair| {
        pair.server.echo(pair.now);
        result = pair
            .client
            .take(|event| if let Event::CallEnded { call, outcome } = event { Some((*call, *outcome)) } else { None });
        result.is_some()
    });
    assert!(
        done,
        "no outcome: client {:?} server {:?} events {:?}",
        pair.client.endpoint.counters(),
        pair.server.endpoint.counters(),
        pair.client.events
    );
    let (call, outcome) = result.unwrap();
    let Outcome::Ok(reply) = outcome else {
        let counters = [pair.client.endpoint.counters(), pair.server.endpoint.counters()];
        panic!("{outcome:?} at {:?}: {counters:?}", pair.now)
    };
    let octets = pair.client.endpoint.payload(reply).unwrap().to_vec();
    pair.client.endpoint.release(pair.now, reply).unwrap();
    (call, octets)
}
